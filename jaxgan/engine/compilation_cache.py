"""Compiled programs are kept in a folder between runs: the next one only traces and loads them."""

import logging
import os
import re
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax

from jaxgan.system import machine
from jaxgan.system.machine import cache_folder

LIMIT = 5 * 2**30
"""Bytes of programs that a run may find when it begins: the longest unused ones go."""


SLOW = "xla_cpu_experimental_ynn_fusion_type"


def avoid_slow_kernels() -> None:
    """Keep XLA from YNN's convolutions on a CPU; before JAX looks for devices.

    On recent CPUs XLA takes them by default; a filter's gradient then takes 2 to 6 times as long.
    An XLA_FLAGS that already says something about it stays as it is.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if SLOW not in flags:
        without = f"--{SLOW}=-LIBRARY_FUSION_TYPE_INDIVIDUAL_CONVOLUTION"
        os.environ["XLA_FLAGS"] = f"{flags} {without}".strip()


def keep_programs(folder: str | None = None, limit: int = LIMIT) -> None:
    """Let JAX keep what it compiles; before the first compilation.

    A folder that cannot be written, or that others may write to, is one warning, and the run goes
    on without.

    Args:
        folder: where; "off" keeps nothing. By default that of JAX_COMPILATION_CACHE_DIR, which is
            not tidied up here, and else `jaxgan/xla` in the user's cache folder.
        limit: in bytes, for what is in the folder before this run.
    """
    if folder == "off":
        jax.config.update("jax_enable_compilation_cache", False)
        return
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR") if folder is None else None
    if "://" in (given or folder or ""):  # JAX's to open.
        jax.config.update("jax_compilation_cache_dir", given or folder)
        _one_warning(given or folder)
        return
    path = Path(os.path.expanduser(given or folder or cache_folder("xla")))
    try:
        path.mkdir(0o700, parents=True, exist_ok=True)
        if others := machine.open_to_others(path):  # Programs are run.
            raise OSError(others)
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(bytes(2**20))  # The least that is worth while: a full disk fails here.
        if not given:
            _tidy(path, limit)
    except OSError as error:
        jax.config.update("jax_enable_compilation_cache", False)
        _warn(path, error.strerror or str(error))
        return
    jax.config.update("jax_compilation_cache_dir", str(path))
    for name, value in (("MIN_COMPILE_TIME_SECS", 0), ("MIN_ENTRY_SIZE_BYTES", -1)):
        if f"JAX_PERSISTENT_CACHE_{name}" not in os.environ:  # By default the small ones are not.
            jax.config.update(f"jax_persistent_cache_{name.lower()}", value)
    _one_warning(path)


def _tidy(folder: Path, limit: int) -> None:
    """Remove the programs that were not used for longest, until the others are within `limit`."""
    programs = []
    for file in folder.iterdir():
        # By JAX's name for a program: the folder may be one with other things in it.
        if re.search(r"-[0-9a-f]{64}-cache$", file.name):
            with suppress(FileNotFoundError):  # Another run tidies up, too.
                about = file.stat()
                programs.append((max(about.st_atime, about.st_mtime), about.st_size, file))
    total = 0
    for _, size, file in sorted(programs, reverse=True):
        total += size
        if total > limit:
            file.unlink(missing_ok=True)


def _one_warning(folder: Path | str | None) -> None:
    """JAX warns for each program that it cannot read or write: once is enough."""
    show, told = warnings.showwarning, []

    def showwarning(message: Any, *where: Any, **more: Any) -> None:
        if "persistent compilation cache" not in str(message):
            show(message, *where, **more)
        elif not told:
            told.append(message)
            _warn(folder, str(message).partition(": ")[2].splitlines()[0][:150])

    warnings.showwarning = showwarning


def _warn(folder: Path | str | None, cause: str) -> None:
    logging.getLogger("jaxgan").warning(
        "compiled programs cannot be kept in %s (%s): the run goes on, and compiles anew; if this "
        "comes again, delete that folder or choose another with --compilation_cache=DIR",
        folder,
        cause,
    )
