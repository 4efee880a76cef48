"""What is compiled once is found by the next run; and no run depends on it."""

import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from jaxgan.engine import compilation_cache as compilation
from jaxgan.metrics import feature_cache

ROOT = Path(__file__).parents[2]
CHANGED = (
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture(autouse=True)
def restored(monkeypatch) -> Iterator[None]:
    """As in a new process, without the tests' own cache; put back afterwards."""
    before = {name: getattr(jax.config, name) for name in CHANGED}
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    compilation_cache.reset_cache()
    with warnings.catch_warnings():
        yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def compile_one(n: int = 3) -> None:
    """Compiles a program, as a new process would: nothing is left in memory of it."""
    x = np.full((n, n), 2, np.float32)
    np.testing.assert_array_equal(jax.jit(lambda x: x @ x + 1)(x), 4 * n + 1)


def programs(folder: Path) -> set[Path]:
    return set(folder.glob("jit*-cache"))


def test_a_program_is_compiled_once(tmp_path: Path) -> None:
    events: list[str] = []
    jax.monitoring.register_event_listener(lambda name, **_: events.append(name.split("/")[-1]))
    compilation.keep_programs(str(tmp_path / "a" / "b"))
    compile_one()
    kept = programs(tmp_path / "a" / "b")
    assert kept and "cache_hits" not in events
    compile_one()
    assert "cache_hits" in events and programs(tmp_path / "a" / "b") == kept


def test_where_programs_lie(tmp_path: Path, monkeypatch) -> None:
    """The flag, or else JAX's variable, or else the user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    compilation.keep_programs()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "user" / "jaxgan" / "xla")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "variable"))
    compilation.keep_programs()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "variable")
    compilation.keep_programs(str(tmp_path / "flag"))
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "flag")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert compilation.cache_folder("xla") == Path.home() / ".cache" / "jaxgan" / "xla"


def test_programs_in_an_object_store(store) -> None:
    compilation.keep_programs("gs://bucket/programs")
    compile_one()
    kept = store.ls("gs://bucket/programs", detail=False)
    assert kept and all(name.endswith("-cache") for name in kept)
    compile_one()
    assert len(store.written) == len(kept)


def test_a_store_that_cannot_be_read_is_one_warning(store, caplog, monkeypatch) -> None:
    monkeypatch.setattr(store, "exists", full)
    warnings.simplefilter("always")
    compilation.keep_programs("gs://bucket/programs")
    with caplog.at_level(logging.WARNING, "jaxgan"):
        compile_one(3)
        compile_one(4)
    assert len(caplog.records) == 1 and "kept in gs://bucket/programs (" in caplog.text


def test_off_keeps_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    compilation.keep_programs("off")
    compile_one()
    assert not programs(tmp_path)


def full(*args, **kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("cause", ["a file in the way", "a full disk"])
def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog, monkeypatch, cause: str) -> None:
    folder = tmp_path / "file" / "cache"
    if cause == "a file in the way":
        folder.parent.write_text("")
    else:
        monkeypatch.setattr(compilation.tempfile, "TemporaryFile", full)
    with caplog.at_level(logging.WARNING, "jaxgan"):
        compilation.keep_programs(str(folder))
        compile_one()
    assert len(caplog.records) == 1
    assert str(folder) in caplog.text and "--compilation_cache=DIR" in caplog.text


def test_damaged_programs_are_one_warning(tmp_path: Path, caplog) -> None:
    """And so is a disk that fills up: JAX itself would warn of each program."""
    warnings.simplefilter("always")
    compilation.keep_programs(str(tmp_path))
    compile_one(3)
    compile_one(4)
    assert len(programs(tmp_path)) > 1
    for file in programs(tmp_path):
        file.write_bytes(file.read_bytes()[:50])
    with caplog.at_level(logging.WARNING, "jaxgan"):
        compile_one(3)
        compile_one(4)
    assert len(caplog.records) == 1 and f"kept in {tmp_path} (" in caplog.text


def test_other_warnings_pass(tmp_path: Path) -> None:
    warnings.simplefilter("always")
    seen: list = []
    warnings.showwarning = lambda *args, **kwargs: seen.append(args)
    compilation.keep_programs(str(tmp_path))
    warnings.warn("something else", stacklevel=1)
    assert len(seen) == 1


@pytest.mark.parametrize("open_", ["folder", "parent"])
def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path, caplog, open_: str) -> None:
    folder = tmp_path / "a" / "cache"
    folder.mkdir(parents=True)
    (folder if open_ == "folder" else folder.parent).chmod(0o777)
    with caplog.at_level(logging.WARNING, "jaxgan"):
        compilation.keep_programs(str(folder))
    assert len(caplog.records) == 1 and "others may write to" in caplog.text
    compile_one()
    assert not list(folder.iterdir())
    features = np.ones((2, 3), np.float32)
    assert feature_cache.kept(folder, {"a": 1}, 2, lambda: features) is features
    assert len(caplog.records) == 2 and not list(folder.iterdir())


def test_the_longest_unused_programs_go(tmp_path: Path) -> None:
    def file(name: str, used: int) -> Path:
        path = tmp_path / name
        path.write_bytes(bytes(100))
        os.utime(path, (used, 1))
        return path

    used = [5, 2, 9, 1, 7]
    files = {u: file(f"jit_step-{i:064x}-cache", u) for i, u in enumerate(used)}
    other = file("my-cache", 0)
    compilation.keep_programs(str(tmp_path), limit=350)
    assert {u for u, path in files.items() if path.exists()} == {5, 7, 9} and other.exists()


def test_every_script_has_the_flag_and_starts_without_slow_kernels(tmp_path: Path) -> None:
    """JAX ends where it does not know one of XLA's flags."""
    shown = "jax.config.jax_compilation_cache_dir, len(jax.devices()), os.environ['XLA_FLAGS']"
    code = (
        "import os, jax; from jaxgan.cli import command; "
        f"command.run(lambda: print({shown}), ['x.py', '--compilation_cache={tmp_path / 'x'}'])"
    )
    run, flags = [sys.executable, "-c", code], "--xla_force_host_platform_device_count=3"
    env = os.environ | {"XLA_FLAGS": flags}
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=100, env=env)
    assert done.stdout.startswith(f"{tmp_path / 'x'} 3 {flags} --{compilation.SLOW}="), done.stderr


@pytest.mark.parametrize("given", ["", "--xla_cpu_max_isa=AVX2"])
def test_slow_kernels_are_off_and_other_flags_stay(monkeypatch, given: str) -> None:
    monkeypatch.setenv("XLA_FLAGS", given)
    for _ in range(2):  # Called again, it adds nothing.
        compilation.avoid_slow_kernels()
        *others, ours = os.environ["XLA_FLAGS"].split()
        assert others == given.split()
        assert ours == f"--{compilation.SLOW}=-LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"


def test_a_user_s_choice_of_kernels_stays(monkeypatch) -> None:
    flags = f"--{compilation.SLOW}=+LIBRARY_FUSION_TYPE_REDUCE --xla_cpu_max_isa=AVX2"
    monkeypatch.setenv("XLA_FLAGS", flags)
    compilation.avoid_slow_kernels()
    assert os.environ["XLA_FLAGS"] == flags
