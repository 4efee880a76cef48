"""Features of reference images, kept on disk; what is not whole there is computed anew."""

import hashlib
import io
import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from jaxgan.system import checked_files, machine

LIMIT = 2 * 2**30
"""Bytes that are kept: the longest unused ones go."""
DIGEST = 32  # Bytes of SHA-256, before what it is of.

Array = Float32[np.ndarray, "n d"]


def kept(
    folder: str | os.PathLike | None,
    about: dict[str, Any],
    count: int,
    compute: Callable[[], Array],
    limit: int = LIMIT,
) -> Array:
    """Return what `compute` returns; from `folder`, where it was kept there for the same `about`.

    Args:
        folder: None keeps nothing. One that cannot be written, or that others may write to, is one
            warning.
        about: all that the array depends on, as JSON.
        count: how many rows it must have.
        compute: called at most once.
        limit: in bytes, for the folder.
    """
    if folder is None:
        return compute()
    name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    file = Path(os.path.expanduser(folder)) / f"{name}.features"
    try:
        file.parent.mkdir(0o700, parents=True, exist_ok=True)
        if others := machine.open_to_others(file.parent):
            raise OSError(others)
    except OSError as error:
        _warn(file.parent, error)
        return compute()
    if (found := _read(file, count)) is not None:
        return found
    found = compute()
    try:
        _write(file, found)
        _tidy(file.parent, limit)
    except OSError as error:
        _warn(file.parent, error)
    return found


def _warn(folder: Path, error: OSError) -> None:
    logging.getLogger("jaxgan").warning(
        "features cannot be kept in %s (%s): the next evaluation computes them anew",
        *(folder, error.strerror or error),
    )


def _read(file: Path, count: int) -> Array | None:
    try:
        content = file.read_bytes()
        if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
            return None
        found = np.load(io.BytesIO(content[DIGEST:]), allow_pickle=False)
        os.utime(file)  # It was used.
    except (OSError, ValueError, EOFError):
        return None
    return found if found.ndim == 2 and len(found) == count else None


def _write(file: Path, array: Array) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    content = buffer.getvalue()
    file.parent.mkdir(parents=True, exist_ok=True)
    checked_files.write(file, hashlib.sha256(content).digest() + content)


def _tidy(folder: Path, limit: int) -> None:
    files = []
    for file in folder.glob("*.features"):
        with suppress(FileNotFoundError):  # Another process tidies up, too.
            files.append((file.stat().st_mtime_ns, file.stat().st_size, file))
    total = 0
    for _, size, file in sorted(files, reverse=True):
        total += size
        if total > limit:
            file.unlink(missing_ok=True)
