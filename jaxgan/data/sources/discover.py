"""Images where they lie: in a folder, a zip, a tar or a set of another library; found once.

What is found is plain data (`Files`), so that training, preparing and other processes read alike.
"""

import functools
import hashlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxgan.data import groups, layout, walk
from jaxgan.data.sources.archives import Found, open_zip, stripped, tarred, zipped
from jaxgan.data.sources.entries import Entries, Entry, Files, Place
from jaxgan.data.tables import Tables
from jaxgan.errors import InputError
from jaxgan.system.paths import NAMED, TFDS, check_no_run, near
from jaxgan.system.terminal import printable

LARGEST = 512 * 1024**2  # Bytes of an image file; what is larger is no image.
ZIP = b"PK\3\4"  # How an archive begins; what is in it stands at its end.
START = 32  # Bytes that say what a file is.


def find(
    source: str | os.PathLike,
    scratch: str | os.PathLike | None = None,
    *,
    flag: str = "--source",
    reading: str = "auto",
    grouped: str | None = None,
    wanted: Sequence[str] | None = None,
) -> Files:
    """Find all files of `source` that may hold images, with classes as `layout.recognise` does.

    A file counts by its extension or, without a known one, by its first bytes. In an archive, one
    folder that holds all the rest is no part of the names. Nothing is unpacked: a compressed tar
    alone is decompressed, as one file. Of links in archives, hard ones are followed, symbolic ones
    are not.

    Args:
        source: a folder (links are followed), a .zip, or a .tar, compressed or not; or what
            `tfds.find` or `hf.find` takes.
        scratch: a folder for what is decompressed; None: a temporary one.
        flag: that named the source.
        reading: of the layout, one of `layout.READINGS`.
        grouped: which images stay on one side, see `groups.check`.
        wanted: classes; a folder that is one of them is gone through for no other.

    Raises:
        InputError: no such thing, an unreadable one, no images, a prepared set, or names that
            leave the archive.
    """
    if os.fspath(source).startswith(NAMED):
        return _library(os.fspath(source)).find(
            os.fspath(source), flag=flag, reading=reading, grouped=grouped
        )
    for known in (open_zip, _is_folder):
        known.cache_clear()  # It may have been written anew.
    path = Path(source).expanduser()
    if not os.fspath(source) or not path.exists():
        missing = f"{flag} must be a folder, a .zip or a .tar, and {path} does not exist"
        raise InputError(missing + near(path))
    left_out: Counter = Counter()
    try:
        if path.is_dir():
            check_no_run(path, flag)
            _refuse_prepared(path, flag)
            root, found = path, list(walk.walk(path))
        elif path.is_file() and zipfile.is_zipfile(path):  # Opening a pipe would wait.
            root, found = path, zipped(path, left_out)
        elif path.is_file() and tarfile.is_tarfile(path):
            root, found = tarred(path, scratch, left_out)
        elif path.is_file() and start(os.fspath(path.parent), path.name).startswith(ZIP):
            raise zipfile.BadZipFile("it is cut off")
        else:
            raise InputError(f"{flag} must be a folder, a .zip or a .tar, and {path} is neither")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"{flag} must be a whole archive, and {path} is not: {error}") from error
    except OSError as error:
        if error.errno is None:  # What gzip and bz2 raise for damaged data.
            raise InputError(
                f"{flag} must be a whole archive, and {path} is not: {error}"
            ) from error
        if not isinstance(error, PermissionError):
            raise
        raise InputError(f"every folder must be readable, and {error.filename} is not") from error
    if not path.is_dir():
        found = list({f.path: f for f in stripped(found)}.values())  # The last of a name counts.
    stem = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    return _laid_out(os.path.abspath(root), stem, found, left_out, flag, reading, grouped, wanted)


def exists(source: str | os.PathLike) -> bool:
    """Return whether there is such a path; sets of other libraries are looked for when they are
    read.
    """
    return os.fspath(source).startswith(NAMED) or Path(source).expanduser().exists()


def _library(source: str) -> Any:
    """Return what reads the sets of another library; importing that takes seconds."""
    if source.startswith(TFDS):
        from jaxgan.data.sources import tfds

        return tfds
    from jaxgan.data.sources import hf

    return hf


def _refuse_prepared(path: Path, flag: str) -> None:
    """A folder that `scripts/prepare.py` has written holds shards, and perhaps a quarantine."""
    if (path / "dataset_info.json").is_file() and (path / "features.json").is_file():
        raise InputError(
            f"{flag} must hold images, and {path} is a prepared set: {flag}={TFDS}{path} reads it"
        )
    if (path / "dataset.json").is_file() and any(path.glob("*.array_record*")):  # Of WebP.
        raise InputError(
            f"{flag} must hold images, and {path} is a prepared set: give what it was made of"
        )


def read(root: str, place: Place) -> bytes:
    """Return the bytes of a file; by any process, in any thread.

    Raises:
        Exception: it cannot be read; `images.reason` puts it in words.
    """
    if isinstance(place, tuple):
        if root.startswith(NAMED):
            return _library(root).read(root, place)
        start, size = place
        with open(root, "rb") as archive:
            return os.pread(archive.fileno(), size, start)
    if _is_folder(root):
        return _read_file(os.path.join(root, place))
    archive, lock = open_zip(root)
    with lock:
        return archive.read(place)


def _read_file(path: str) -> bytes:
    """With as few calls of the system as can be: of small files they are half the work."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # Opening a pipe would wait for ever.
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("not a regular file")
        data = os.read(file, about.st_size)
        while len(data) < about.st_size and (more := os.read(file, about.st_size - len(data))):
            data += more
        return data
    finally:
        os.close(file)


@functools.lru_cache(4)
def _is_folder(root: str) -> bool:
    return os.path.isdir(root)


def checksum(file: str | os.PathLike) -> str:
    """SHA-256, in hex."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _laid_out(
    root: str,
    stem: str,
    found: list[Found],
    left_out: Counter,
    flag: str,
    reading: str,
    grouped: str | None,
    wanted: Sequence[str] | None,
) -> Files:
    landmarks = {f.path: f.place for f in found if f.path.endswith(walk.SIDE_FILES)}
    pictures, others, more, kinds = walk.sort(found, lambda f: start(root, f.place))
    left_out += more
    if not pictures:
        raise InputError(
            f"{flag} must hold images, in class folders or directly, and {root} has none "
            f"({left_out.total()} other files"
            + "".join(f"; {line}" for line in walk.told(kinds) if ":" in line)
            + ")"
            + next(
                (f": unpack {printable(p)}" for p in others if p.lower().endswith(layout.ARCHIVES)),
                "",
            )
        )
    tables = Tables(others, lambda name: read(root, others[name].place))
    paths = [f.path for f in pictures]
    laid = layout.recognise(paths, list(others), stem, tables, wanted, reading)
    kinds -= walk.extensions(laid.used)
    left_out["beside the class folders"] += len(laid.beside)
    told = list(laid.told)
    if laid.beside:
        told.append(
            f"left out what lies beside the class folders, not in one: {len(laid.beside)} "
            f"images, {printable(laid.beside[0])} the first"
        )
    if len(laid.classes) > 1 and (empty := _without(root, paths)):
        told.append(f"left out folders without images: {printable(', '.join(empty))}")
    of: list[str] | None = None
    if grouped:
        used = [paths[i] for i in laid.pictures]
        mine = groups.find(grouped, used, tables, paths)
        of = [mine[path] for path in used]
    entries = Entries(
        Entry(
            printable(f.path),
            label,
            *(f.place, f.size, f.changed),
            _beside(f.path, landmarks) if landmarks else None,
        )
        for f, label in ((pictures[i], n) for i, n in zip(laid.pictures, laid.labels, strict=True))
    )
    csv = [f for f in found if f.path.lower().endswith(".csv") and "/" not in f.path]
    return Files(
        root,
        tuple(printable(name) for name in laid.classes),
        entries,
        +left_out,
        tuple(f.place for f in csv if 0 < f.size < LARGEST),
        tuple(told),
        kinds,
        None if laid.given is None else tuple(laid.given),
        None if of is None else tuple(groups.numbered(of).tolist()),
    )


def _without(root: str, paths: Sequence[str]) -> list[str]:
    """Folders at the top that hold no image; of an archive nobody asks."""
    if not os.path.isdir(root):
        return []
    with os.scandir(root) as there:
        names = {e.name for e in there if e.is_dir() and not layout.is_hidden(e.name)}
    return sorted(names - {path.partition("/")[0] for path in paths})


def start(root: str, place: Place) -> bytes:
    """Return the first bytes of a file, which may be large."""
    if root.startswith(NAMED):
        return read(root, place)[:START]
    if isinstance(place, tuple):
        return read(root, (place[0], min(START, place[1])))
    if _is_folder(root):
        with open(os.path.join(root, place), "rb") as file:
            return file.read(START)
    archive, lock = open_zip(root)
    with lock, archive.open(place) as file:
        return file.read(START)


def _beside(path: str, landmarks: dict[str, Place]) -> Place | None:
    stem = os.path.splitext(path)[0]
    for name in (f"{path}.cat", f"{stem}.cat", f"{stem}.xml"):
        if name in landmarks:
            return landmarks[name]
    return None
