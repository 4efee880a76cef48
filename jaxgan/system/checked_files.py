"""Files that are read back: replaced as a whole, and trusted only as they were written.

A JSON object holds the SHA-256 of its other values as `checksum`, a row of JSON lines the CRC-32 of
its own as `crc32`. Both are of the values: white space and the order of an object's keys are free.
"""

import errno
import hashlib
import json
import logging
import os
import secrets
import stat
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from etils import epath

from jaxgan.errors import FileError
from jaxgan.system import paths

CHECKSUM, CRC = "checksum", "crc32"
# Of a disk that is full, read-only, broken or gone.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ENXIO)
DISK += (errno.ENODEV, errno.ESTALE, errno.ENOTCONN)


def write(file: epath.PathLike, data: str | bytes | memoryview | Iterable[str]) -> None:
    """Replace a file as a whole: a kill or a full disk leaves the old one.

    A link or a device, like /dev/stdout, is written to and stays.

    Raises:
        OSError: naming the file, with nothing left beside it.
    """
    file = epath.Path(file)
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    if not _is_regular(file):
        part = file
    try:
        if isinstance(data, bytes | memoryview):
            part.write_bytes(data)  # type: ignore[arg-type]
        else:
            with part.open("w", encoding="utf-8") as opened:
                opened.writelines([data] if isinstance(data, str) else data)
        if part != file:
            part.replace(file)
    except BaseException as error:
        if part != file:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise named(error, file) from error
        raise


def _is_regular(file: epath.Path) -> bool:
    """Also where there is none, or none that this system knows."""
    try:
        return stat.S_ISREG(os.lstat(file).st_mode)
    except OSError:
        return True


def named(error: OSError, file: epath.PathLike) -> OSError:
    """Return the same error, of this file: Python names none where a write fails."""
    if error.errno is None:
        return error
    return OSError(error.errno, os.strerror(error.errno), str(file))


def ends_all(error: BaseException) -> bool:
    """Return whether no other part of an experiment can do better: a damaged file, or no disk to
    use.
    """
    if isinstance(error, OSError):
        return error.errno in DISK
    return isinstance(error, FileError)


def checksum(values: Mapping[str, Any]) -> str:
    """SHA-256 of an object as JSON, but for its `checksum`."""
    said = {key: value for key, value in values.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def seal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object as JSON has it, with its `checksum`."""
    said = json.loads(json.dumps(values))
    return said | {CHECKSUM: checksum(said)}


def save(file: epath.PathLike, values: Mapping[str, Any], indent: int | None = None) -> None:
    """Write an object that `load` reads back."""
    write(file, json.dumps(seal(values), indent=indent) + "\n")


def load(file: epath.PathLike, remedy: str, *, strict: bool = True) -> dict[str, Any]:
    """Return what `save` wrote, without the checksum.

    Args:
        file: of one object.
        remedy: what the user may do where it is missing or damaged.
        strict: refuse an object that has no checksum, rather than warn.

    Raises:
        FileError: it is missing, or is not what was written.
    """
    file = epath.Path(file)
    try:
        values = json.loads(paths.check_plain(file).read_bytes())
        if not isinstance(values, dict):
            raise ValueError(f"it holds no object but {type(values).__name__}")
        found = checksum(values)
    except FileNotFoundError:
        raise FileError(f"{file} must be there, and is missing: {remedy}") from None
    except (ValueError, RecursionError) as error:
        why = f"{error}".splitlines()[0][:100]
        raise FileError(
            f"{file} must be as it was written, and is damaged ({why}): {remedy}"
        ) from None
    said = values.pop(CHECKSUM, None)
    if said is None and not strict:
        logging.getLogger("jaxgan").warning("%s has no checksum, and is taken as it is", file)
    elif said != found:
        raise FileError(f"{file} must be as it was written, and was changed: {remedy}")
    return values


def row(values: Mapping[str, Any]) -> str:
    """Return a line of a file that `rows` reads back."""
    said = json.loads(json.dumps(values))
    return json.dumps(said | {CRC: _crc(said)}) + "\n"


def rows(file: epath.PathLike) -> list[dict[str, Any]]:
    """Return a file's rows, but for a last one that is cut off; none without a file.

    Files without any CRC are taken as they are.

    Raises:
        FileError: naming the line that is not what was written.
    """
    file = epath.Path(file)
    lines = paths.check_plain(file).read_bytes().split(b"\n") if file.exists() else [b""]
    found: list[dict[str, Any]] = []
    sums: list[int | None] = []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            sums.append(values.pop(CRC, None))
            if sums[-1] != (None if sums[0] is None else _crc(values)):
                raise ValueError
            found.append(values)
        except (ValueError, AttributeError, TypeError, RecursionError):
            if number < len(lines) or not _is_cut(line):
                raise FileError(
                    f"{file} must be as it was written, and line {number} was changed: delete "
                    f"{file.parent} and run the same command again"
                ) from None
    return found


def append(file: epath.PathLike, values: Mapping[str, Any]) -> None:
    """Add a row to a local file, in the place of one that is cut off.

    Raises:
        OSError: naming the file.
    """
    file = Path(file)
    try:
        with file.open("ab+") as opened:
            opened.seek(0)
            text = opened.read()
            if not text.endswith(b"\n"):
                opened.truncate(text.rfind(b"\n") + 1)
            opened.write(row(values).encode())
    except OSError as error:
        raise named(error, file) from error


def _crc(values: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(values).encode())


def _is_cut(line: bytes) -> bool:
    """Return whether a kill or a full disk leaves such a last line: the beginning of a row, no
    more.
    """
    try:
        json.JSONDecoder().raw_decode(line.decode(errors="replace"))
    except (ValueError, RecursionError):
        return line[:1] in (b"", b"{")
    return False
