"""Two CPU devices, warnings as errors, shapes checked: for every test."""

import os
import tempfile

# The same tiny nets are compiled by many tests, and run for a few steps each.
_CACHE = tempfile.TemporaryDirectory()
os.environ |= {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
    "JAX_COMPILATION_CACHE_DIR": _CACHE.name,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}

from jaxtyping import install_import_hook  # noqa: E402

CHECKED = ("augment", "losses", "models", "noise", "optim", "penalties", "steps", "types")
install_import_hook([f"jaxgan.{name}" for name in CHECKED], "beartype.beartype")
