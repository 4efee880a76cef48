"""Two CPU devices, warnings as errors, shapes checked: for every test."""

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "fuzz")]  # For helpers: test files are no package.

# The same tiny nets are compiled by many tests, and run for a few steps each.
_CACHE = tempfile.TemporaryDirectory()
os.environ |= {
    "OPENBLAS_NUM_THREADS": "1",  # `make test` has two processes, whose threads would spin.
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
    "JAX_COMPILATION_CACHE_DIR": _CACHE.name,
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402
from etils.epath import backend  # noqa: E402
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

# A busy machine is no fault.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

CHECKED = ("augment", "models", "prng", "types", "steps.accumulation", "steps.classifier")
CHECKED += ("steps.gan", "steps.losses", "steps.optimizers", "steps.penalties", "steps.schedules")
CHECKED += ("steps.stylegan2", "weights.pickles", "weights.stylegan2_ada", "weights.torch_files")
CHECKED += ("weights.torchvision",)
install_import_hook([f"jaxgan.{name}" for name in CHECKED], "beartype.beartype")


@pytest.fixture(autouse=True)
def forget_programs() -> Iterator[None]:
    """Drops compiled programs before the process maps more pages of them than a process may.

    Linux kills it by a signal at 65,530 (`vm.max_map_count`), and a program maps hundreds.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 20_000:
        jax.clear_caches()
        gc.collect()


class Store(MemoryFileSystem):
    """Like Google's, in memory; it keeps count of what is written."""

    store, pseudo_dirs, written = {}, [""], []

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(os.fspath(path).removeprefix("gs://"))

    def _open(self, path: str, mode: str = "rb", **more: object) -> object:
        if "a" in mode or "+" in mode:
            raise NotImplementedError("objects are written as a whole")
        if "w" in mode:
            self.written.append(path)
        return super()._open(path, mode, **more)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """An object store behind all `gs://` paths."""
    files = Store(skip_instance_cache=True)
    files.store, files.written = {}, []
    files.pseudo_dirs = [""]
    monkeypatch.setattr(backend._FileSystemSpecBackend, "fs", lambda self, path: files)
    return files
