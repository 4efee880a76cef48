"""Two CPU devices, warnings as errors, shapes checked: for every test."""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=2"

import tempfile

import jax
from jaxtyping import install_import_hook

CHECKED = ("augment", "losses", "models", "noise", "optim", "penalties", "steps", "types")
install_import_hook([f"jaxgan.{name}" for name in CHECKED], "beartype.beartype")

jax.config.update("jax_numpy_rank_promotion", "raise")

# The same tiny nets are compiled by many tests.
_CACHE = tempfile.TemporaryDirectory()
jax.config.update("jax_compilation_cache_dir", _CACHE.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
