"""Pictures where they lie: the files of a folder, a zip or a tar, found once and read by anybody.

What is found is plain data (`Files`), so that other processes can read it, too.
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
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jaxgan.data import groups, layout, walk
from jaxgan.data.folder import printable
from jaxgan.data.prepare.archives import Found, open_zip, stripped, tarred, zipped
from jaxgan.data.prepare.entries import Entries, Entry, Place
from jaxgan.data.tables import Tables
from jaxgan.errors import InputError

LARGEST = 512 * 1024**2  # Bytes of a picture file; what is larger is no picture.
ZIP = b"PK\3\4"  # How an archive begins; what is in it stands at its end.
START = 32  # Bytes that say what a file is.
TFDS = "tfds:"  # What sources and roots of tensorflow-datasets begin with.


class Files(NamedTuple):
    """What was found: classes in order, and the files, class by class, sorted by name."""

    root: str
    classes: tuple[str, ...]
    entries: Entries
    # How many files were "hidden", "no picture", "beside the class folders" or, in an archive, a
    # "link" that is not followed.
    left_out: Counter
    tables: tuple[bytes, ...] = ()  # CSV files of points at the top.
    told: tuple[str, ...] = ()  # What was merged, skipped or guessed of the layout.
    kinds: Mapping[str, int] | None = None  # How many of "no picture" have each extension.
    given: tuple[int, ...] | None = None  # The side of each by its folder, if any.
    groups: tuple[int, ...] | None = None  # Which stay together, if that was asked for.


def find(
    source: str | os.PathLike,
    scratch: str | os.PathLike | None = None,
    *,
    reading: str = "auto",
    grouped: str | None = None,
) -> Files:
    """All files of `source` that may hold pictures, with classes as `layout.recognise` finds them.

    A file counts by its extension or, without a known one, by its first bytes. In an archive, one
    folder that holds all the rest is no part of the names. Nothing is unpacked: a compressed tar
    alone is decompressed, as one file. Of links in archives, hard ones are followed, symbolic ones
    are not.

    Args:
        source: a folder (links are followed), a .zip, or a .tar, compressed or not; or what
            `tfds.find` takes.
        scratch: a folder for what is decompressed.
        reading: of the layout, one of `layout.READINGS`.
        grouped: which images stay on one side, see `groups.check`.

    Raises:
        InputError: no such thing, an unreadable one, no pictures, a prepared set, or names that
            leave the archive.
    """
    if os.fspath(source).startswith(TFDS):
        from jaxgan.data.prepare import tfds  # It takes a second.

        if grouped:
            raise InputError(f"--groups must be of a folder or an archive, and {source} is neither")
        return tfds.find(os.fspath(source))
    for known in (open_zip, _is_folder):
        known.cache_clear()  # It may have been written anew.
    path = Path(source).expanduser()
    if not os.fspath(source) or not path.exists():
        raise InputError(f"--source must be a folder, a .zip or a .tar, and {path} does not exist")
    left_out: Counter = Counter()
    try:
        if path.is_dir():
            _refuse_prepared(path)
            root, found = path, list(walk.walk(path))
        elif path.is_file() and zipfile.is_zipfile(path):  # Opening a pipe would wait.
            root, found = path, zipped(path, left_out)
        elif path.is_file() and tarfile.is_tarfile(path):
            root, found = tarred(path, scratch, left_out)
        elif path.is_file() and start(os.fspath(path.parent), path.name).startswith(ZIP):
            raise zipfile.BadZipFile("it is cut off")
        else:
            raise InputError(f"--source must be a folder, a .zip or a .tar, and {path} is neither")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error) as error:
        raise InputError(f"--source must be a whole archive, and {path} is not: {error}") from error
    except OSError as error:
        if error.errno is None:  # What gzip and bz2 raise for damaged data.
            raise InputError(
                f"--source must be a whole archive, and {path} is not: {error}"
            ) from error
        if not isinstance(error, PermissionError):
            raise
        raise InputError(f"every folder must be readable, and {error.filename} is not") from error
    if not path.is_dir():
        found = list({f.path: f for f in stripped(found)}.values())  # The last of a name counts.
    stem = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    return _group(os.path.abspath(root), stem, found, left_out, reading, grouped)


def _refuse_prepared(path: Path) -> None:
    """A folder that `scripts/prepare.py` has written holds shards, and perhaps a quarantine."""
    if (path / "dataset_info.json").is_file() and (path / "features.json").is_file():
        raise InputError(
            f"--source must hold pictures, and {path} is a prepared set: "
            f"--source={TFDS}{path} reads it"
        )
    if (path / "dataset.json").is_file() and any(path.glob("*.array_record*")):  # Of WebP.
        raise InputError(
            f"--source must hold pictures, and {path} is a prepared set: give what it was made of"
        )


def read(root: str, place: Place) -> bytes:
    """The bytes of a file; by any process, in any thread.

    Raises:
        Exception: it cannot be read; `images.reason` puts it in words.
    """
    if isinstance(place, tuple):
        if root.startswith(TFDS):
            from jaxgan.data.prepare import tfds

            return tfds.read(root, place)
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


def _group(
    root: str, stem: str, found: list[Found], left_out: Counter, reading: str, grouped: str | None
) -> Files:
    landmarks = {f.path: f.place for f in found if f.path.endswith(walk.SIDE_FILES)}
    pictures, others, more, kinds = walk.sort(found, lambda f: start(root, f.place))
    left_out += more
    if not pictures:
        raise InputError(
            f"--source must hold pictures, in class folders or directly, and {root} has none "
            f"({left_out.total()} other files"
            + "".join(f"; {line}" for line in walk.told(kinds) if ":" in line)
            + ")"
            + next((f": unpack {p}" for p in others if p.lower().endswith(layout.ARCHIVES)), "")
        )
    tables = Tables(others, lambda name: read(root, others[name].place))
    laid = layout.recognise([f.path for f in pictures], list(others), stem, tables, None, reading)
    kinds -= walk.extensions(laid.used)
    left_out["beside the class folders"] += len(laid.beside)
    of: list[str] | None = None
    if grouped:
        used = [pictures[i].path for i in laid.pictures]
        mine = groups.find(grouped, used, tables, [f.path for f in pictures])
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
    points = tuple(read(root, f.place) for f in csv if 0 < f.size < LARGEST)
    names = tuple(printable(name) for name in laid.classes)
    return Files(
        root,
        names,
        entries,
        +left_out,
        points,
        tuple(laid.told),
        kinds,
        None if laid.given is None else tuple(laid.given),
        None if of is None else tuple(groups.numbered(of).tolist()),
    )


def start(root: str, place: Place) -> bytes:
    """The first bytes of a file, which may be large."""
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
