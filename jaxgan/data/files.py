"""Pictures where they lie: the files of a folder, a zip or a tar, found once and read by anybody.

What is found is plain data (`Files`), so that other processes can read it, too.
"""

import functools
import lzma
import os
import stat
import tarfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from jaxgan.data.folder import EXTENSIONS, printable
from jaxgan.errors import InputError

LARGEST = 512 * 1024**2  # Bytes of a picture file; what is larger is no picture.
SIDE_FILES = (".cat", ".xml")  # Landmarks, beside the pictures.
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
MAGIC_AT_8 = (b"WEBP", b"avif")  # After a size or a box, which may hold anything.
TFDS = "tfds:"  # What sources and roots of tensorflow-datasets begin with.
# A path or a member's name; in a tar, where its bytes are; of a set, the split and the position.
Place = str | tuple[int, int]


class Entry(NamedTuple):
    """A file that may hold a picture."""

    name: str  # Printable, like "cat/001.jpg".
    label: int
    place: Place
    size: int  # In bytes.
    changed: int  # When, in nanoseconds; in an archive, when that was.
    side_file: Place | None = None  # Its landmarks.


class Files(NamedTuple):
    """What was found: classes in order, and the files, class by class, sorted by name."""

    root: str
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    # How many files were "hidden", "no picture", "beside the class folders" or, in an archive, a
    # "link" that is not followed.
    left_out: Counter
    tables: tuple[bytes, ...] = ()  # CSV files of points at the top.


class _Found(NamedTuple):
    path: str  # With "/", from the top.
    place: Place
    size: int
    changed: int


def find(source: str | os.PathLike, scratch: str | os.PathLike | None = None) -> Files:
    """All files of `source` that may hold pictures: `<class>/**`, or `*` as one class.

    A file counts by its extension or, without a known one, by its first bytes. In an archive, one
    folder that holds all the rest is passed over. Nothing is unpacked: a compressed tar alone is
    decompressed, as one file. Of links in archives, hard ones are followed, symbolic ones are not.

    Args:
        source: a folder (links are followed), a .zip, or a .tar, compressed or not; or what
            `tfds.find` takes.
        scratch: a folder for what is decompressed.

    Raises:
        InputError: no such thing, an unreadable one, no pictures, a prepared set, or names that
            leave the archive.
    """
    if os.fspath(source).startswith(TFDS):
        from jaxgan.data import tfds  # It takes a second.

        return tfds.find(os.fspath(source))
    _open_zip.cache_clear()  # It may have been written anew.
    path = Path(source).expanduser()
    if not os.fspath(source) or not path.exists():
        raise InputError(f"--source must be a folder, a .zip or a .tar, and {path} does not exist")
    left_out: Counter = Counter()
    try:
        if path.is_dir():
            _refuse_prepared(path)
            root, found = path, list(_walk(path, "", frozenset()))
        elif path.is_file() and zipfile.is_zipfile(path):  # Opening a pipe would wait.
            root, found = path, _zipped(path, left_out)
        elif path.is_file() and tarfile.is_tarfile(path):
            root, found = _tarred(path, scratch, left_out)
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
        found = list({f.path: f for f in _strip(found)}.values())  # The last of a name counts.
    stem = path.resolve().name if path.is_dir() else path.name.split(".")[0]
    return _group(os.path.abspath(root), stem, sorted(found, key=_order), left_out)


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
        Exception: it cannot be read; `transforms.reason` puts it in words.
    """
    if isinstance(place, tuple):
        if root.startswith(TFDS):
            from jaxgan.data import tfds

            return tfds.read(root, place)
        start, size = place
        with open(root, "rb") as archive:
            return os.pread(archive.fileno(), size, start)
    if os.path.isdir(root):
        file = os.path.join(root, place)
        if not stat.S_ISREG(os.stat(file).st_mode):  # Opening a pipe would wait for ever.
            raise ValueError("not a regular file")
        return Path(file).read_bytes()
    archive, lock = _open_zip(root)
    with lock:
        return archive.read(place)


@functools.lru_cache(4)
def _open_zip(root: str) -> tuple[zipfile.ZipFile, threading.Lock]:
    return zipfile.ZipFile(root), threading.Lock()


def _walk(root: Path, folder: str, above: frozenset[str]) -> Iterator[_Found]:
    real = os.path.realpath(root / folder)
    if real in above:  # A link that leads in a circle.
        return
    with os.scandir(root / folder) as entries:
        for entry in entries:
            path = os.path.join(folder, entry.name)
            try:
                about = entry.stat()
            except OSError:  # A link to nothing: reading it will say so.
                about = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode) and not entry.name.startswith("."):
                yield from _walk(root, path, above | {real})
            else:
                yield _Found(path.replace(os.sep, "/"), path, about.st_size, about.st_mtime_ns)


def _zipped(path: Path, left_out: Counter) -> list[_Found]:
    with zipfile.ZipFile(path) as archive:
        found = [m for m in archive.infolist() if not m.is_dir()]
    members = [m for m in found if not stat.S_ISLNK(m.external_attr >> 16)]  # Modes of Unix.
    left_out["link"] += len(found) - len(members)
    changed = path.stat().st_mtime_ns
    return [_Found(_inside(m.filename, path), m.filename, m.file_size, changed) for m in members]


def _tarred(
    path: Path, scratch: str | os.PathLike | None, left_out: Counter
) -> tuple[Path, list[_Found]]:
    changed = path.stat().st_mtime_ns
    if not _is_plain_tar(path):
        if scratch is None:
            raise InputError(f"a compressed tar needs room to be decompressed: {path}")
        plain_path = Path(scratch) / "source.tar"
        _decompress(path, plain_path)
        path = plain_path
    with tarfile.open(path, "r:") as archive, open(path, "rb") as file:
        members = _members(archive, left_out)
        file.seek(archive.offset)  # Where tarfile has stopped, be it at the end or at damage.
        if any(file.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError("it is damaged or cut off")
    return path, [
        _Found(_inside(name, path), (start, size), size, changed) for name, start, size in members
    ]


def _members(archive: tarfile.TarFile, left_out: Counter) -> list[tuple[str, int, int]]:
    """Names of files, and where their bytes are; a hard link has those of an earlier member."""
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


def _decompress(path: Path, target: Path) -> None:
    import bz2
    import gzip
    import shutil

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


def _strip(found: list[_Found]) -> list[_Found]:
    """Without the folder that holds everything, where that holds folders of pictures itself."""
    paths = [f.path.split("/") for f in found if not f.path.split("/")[-1].startswith(".")]
    tops = {parts[0] for parts in paths}
    if len(tops) != 1 or not any(len(parts) > 2 for parts in paths):
        return found
    return [f._replace(path=f.path.partition("/")[2] or f.path) for f in found]


def _order(found: _Found) -> list[str]:
    return found.path.split("/")


def _group(root: str, stem: str, found: list[_Found], left_out: Counter) -> Files:
    pictures: list[_Found] = []
    landmarks = {f.path: f.place for f in found if f.path.endswith(SIDE_FILES)}
    for f in found:
        parts = f.path.split("/")
        extension = os.path.splitext(parts[-1])[1].lower()
        if any(part.startswith(".") for part in parts) or "__MACOSX" in parts:
            left_out["hidden"] += 1
        elif extension in EXTENSIONS or _has_magic(root, f, extension):
            pictures.append(f)
        elif extension not in SIDE_FILES:
            left_out["no picture"] += 1
    inner = [f for f in pictures if "/" in f.path]
    if inner and len(inner) < len(pictures):
        left_out["beside the class folders"] = len(pictures) - len(inner)
        pictures = inner
    if not pictures:
        raise InputError(
            f"--source must hold pictures, in class folders or directly, and {root} has none "
            f"({left_out.total()} other files)"
        )
    names = sorted({f.path.split("/")[0] for f in inner}) or [stem]
    label = {name: i for i, name in enumerate(names)}
    entries = tuple(
        Entry(
            printable(f.path),
            label[f.path.split("/")[0]] if inner else 0,
            *(f.place, f.size, f.changed),
            _beside(f.path, landmarks) if landmarks else None,
        )
        for f in pictures
    )
    csv = [f for f in found if f.path.lower().endswith(".csv") and "/" not in f.path]
    tables = tuple(read(root, f.place) for f in csv if 0 < f.size < LARGEST)
    return Files(root, tuple(printable(name) for name in names), entries, +left_out, tables)


def _has_magic(root: str, f: _Found, extension: str) -> bool:
    """Whether a file without a picture's extension is one all the same."""
    if extension in {*SIDE_FILES, ".csv", ".json", ".txt", ".md", ".html"} or f.size < 64:
        return False
    try:
        start = _start(root, f.place)
    except Exception:  # Whatever it is, it is no picture.
        return False
    return start.startswith(MAGIC) or start[8:12] in MAGIC_AT_8


def _start(root: str, place: Place) -> bytes:
    """The first bytes of a file, which may be large."""
    if isinstance(place, tuple):
        return read(root, (place[0], 16))
    if os.path.isdir(root):
        with open(os.path.join(root, place), "rb") as file:
            return file.read(16)
    archive, lock = _open_zip(root)
    with lock, archive.open(place) as file:
        return file.read(16)


def _beside(path: str, landmarks: dict[str, Place]) -> Place | None:
    stem = os.path.splitext(path)[0]
    for name in (f"{path}.cat", f"{stem}.cat", f"{stem}.xml"):
        if name in landmarks:
            return landmarks[name]
    return None
