"""Images in archives: what a zip or a tar holds, and its bytes, without unpacking it."""

import atexit
import bz2
import errno
import functools
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import threading
import zipfile
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from jaxgan.data.sources.entries import Place
from jaxgan.errors import InputError


class Found(NamedTuple):
    """A file, of whatever kind."""

    path: str  # With "/", from the top.
    place: Place
    size: int
    changed: int


def zipped(path: Path, left_out: Counter) -> list[Found]:
    with zipfile.ZipFile(path) as archive:
        found = [m for m in archive.infolist() if not m.is_dir()]
    members = [m for m in found if not stat.S_ISLNK(m.external_attr >> 16)]  # Modes of Unix.
    left_out["link"] += len(found) - len(members)
    changed = path.stat().st_mtime_ns
    return [Found(_inside(m.filename, path), m.filename, m.file_size, changed) for m in members]


def tarred(
    path: Path, scratch: str | os.PathLike | None, left_out: Counter
) -> tuple[Path, list[Found]]:
    changed = path.stat().st_mtime_ns
    if not _is_plain_tar(path):
        if scratch is None:
            about = path.stat()
            path = _plain(path.absolute(), about.st_size, about.st_mtime_ns)
        else:
            plain_path = Path(scratch) / "source.tar"
            _decompress(path, plain_path)
            path = plain_path
    with tarfile.open(path, "r:") as archive, open(path, "rb") as file:
        members = _members(archive, left_out)
        file.seek(archive.offset)  # Where tarfile has stopped, be it at the end or at damage.
        if any(file.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError("it is damaged or cut off")
    return path, [
        Found(_inside(name, path), (start, size), size, changed) for name, start, size in members
    ]


def _members(archive: tarfile.TarFile, left_out: Counter) -> list[tuple[str, int, int]]:
    """Return name of files, and where their bytes are; a hard link has those of an
    earlier member.
    """
    found = []
    places: dict[PurePosixPath, tuple[int, int]] = {}
    for member in archive:
        place = None
        if member.isreg() and not member.issparse():
            place = member.offset_data, member.size
        elif member.islnk():
            place = places.get(PurePosixPath(member.linkname))
        if place is not None:
            places[PurePosixPath(member.name)] = place
            found.append((member.name, *place))
        elif member.islnk() or member.issym():
            left_out["link"] += 1
        elif not member.isdir():  # A pipe, a device, or a sparse file, which lies in pieces.
            left_out["no picture"] += 1
    return found


def _is_plain_tar(path: Path) -> bool:
    try:
        tarfile.open(path, "r:").close()
    except tarfile.ReadError:
        return False
    return True


@functools.cache
def _plain(path: Path, size: int, changed: int) -> Path:
    """Return the tar decompressed in a temporary folder, which goes when the process ends.

    Args:
        path: of the tar.
        size: in bytes.
        changed: when; like the size, for the cache.
    """
    folder = Path(tempfile.mkdtemp(prefix="jaxgan"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    try:
        _decompress(path, folder / "source.tar")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(
            f"a compressed tar needs room to be decompressed, and in {folder.parent} there is too "
            f"little for {path}: unpack it, or name another folder by TMPDIR"
        ) from error
    return folder / "source.tar"


def _decompress(path: Path, target: Path) -> None:
    for opener in (gzip.open, bz2.open, lzma.open):
        try:
            with opener(path, "rb") as packed:
                packed.read(1)
        except (OSError, EOFError, lzma.LZMAError):
            continue
        with opener(path, "rb") as packed, open(target, "wb") as plain:
            shutil.copyfileobj(packed, plain, 2**20)
        return
    raise InputError(f"a tar must be plain or packed by gzip, bzip2 or xz, and {path} is not")


def _inside(name: str, archive: Path) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":":
        raise InputError(f"names must stay inside their archive, and {archive} has {name!r}")
    return str(path)


def stripped(found: list[Found]) -> list[Found]:
    """Without the folder that holds everything, where that holds folders of images itself."""
    paths = [f.path.split("/") for f in found if not f.path.split("/")[-1].startswith(".")]
    tops = {parts[0] for parts in paths}
    if len(tops) != 1 or not any(len(parts) > 2 for parts in paths):
        return found
    return [f._replace(path=f.path.partition("/")[2] or f.path) for f in found]


@functools.lru_cache(4)
def open_zip(root: str) -> tuple[zipfile.ZipFile, threading.Lock]:
    return zipfile.ZipFile(root), threading.Lock()
