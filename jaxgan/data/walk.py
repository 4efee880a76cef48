"""One walk and one rule of which files are images: for training, preparing and evaluating alike."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jaxgan.data import images as transforms
from jaxgan.data import layout
from jaxgan.data.sources.archives import Found

EXTENSIONS = {".avif", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm"}
EXTENSIONS |= {".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
HEIF = {".heic", ".heif", ".hif"}  # With an extra.
SIDE_FILES = (".cat", ".xml")  # Landmarks, beside the images.
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
MAGIC_AT_8 = (b"WEBP", b"avif")  # After a size or a box, which may hold anything.
# However they begin.
NO_IMAGE = {*SIDE_FILES, ".cls", ".csv", ".tsv", ".json", ".jsonl", ".txt", ".md", ".html"}
SMALLEST = 64  # Bytes of an image without an extension.
REMEDY = dict.fromkeys(HEIF, "pip install 'jaxgan[heic]'")


class Sorted(NamedTuple):
    """The files that a walk has found.

    Attributes:
        images: that may be images.
        others: the rest, by path, without those that are hidden.
        left_out: how many are "hidden" or "no picture".
        kinds: of the latter, how many have each extension.
    """

    images: list[Found]
    others: dict[str, Found]
    left_out: Counter[str]
    kinds: Counter[str]


def walk(root: Path, folder: str = "", above: frozenset[str] = frozenset()) -> Iterator[Found]:
    """All files below `root`, in any order; hidden folders and those of tools as one file each.

    Links are followed, but not in a circle.
    """
    real = os.path.realpath(root / folder)
    if real in above:
        return
    start = folder and folder + os.sep
    with os.scandir(root / folder) as entries:
        for entry in entries:
            path = start + entry.name
            try:
                about = entry.stat()
            except OSError:  # A link to nothing: reading it will say so.
                about = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode) and not layout.is_hidden(entry.name):
                yield from walk(root, path, above | {real})
            else:
                name = path if os.sep == "/" else path.replace(os.sep, "/")
                yield Found(name, path, about.st_size, about.st_mtime_ns)


def sort(found: Iterable[Found], start: Callable[[Found], bytes]) -> Sorted:
    """Tell images from other files: by extension or, without a known one, by their first bytes.

    Args:
        found: the files, of a walk or an archive.
        start: reads the first 16 bytes or so of one.

    Returns:
        Images and others folder by folder, in the order of their names.
    """
    images: list[Found] = []
    others: dict[str, Found] = {}
    left_out: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    known = EXTENSIONS | (HEIF if transforms.HEIF else set())
    for f in sorted(found, key=_order):
        extension = os.path.splitext(f"/{f.path}")[1].lower()
        if layout.is_hidden(f.path):
            left_out["hidden"] += 1
            continue
        begin = b"" if extension in known else _begin(f, extension, start)
        if extension in known or _is_image(begin):
            images.append(f)
        elif extension not in SIDE_FILES:
            left_out["no picture"] += 1
            kinds[".heic" if transforms.is_heif(begin) else extension or "without extension"] += 1
            others[f.path] = f
    return Sorted(images, others, left_out, kinds)


def of_folder(root: Path) -> Sorted:
    """Return the files below a folder.

    Raises:
        OSError: a folder in it cannot be read.
    """

    def start(f: Found) -> bytes:
        with open(root / str(f.place), "rb") as file:
            return file.read(16)

    return sort(walk(root), start)


def extensions(paths: Iterable[str]) -> Counter[str]:
    """Return how many of some files have each extension."""
    return Counter(os.path.splitext(path)[1].lower() for path in paths)


def told(kinds: Mapping[str, int]) -> list[str]:
    """Return what was left out by extension, and what would let it in."""
    return [
        f"{n:,} {kind}" + (f": {REMEDY[kind]}" if kind in REMEDY and not transforms.HEIF else "")
        for kind, n in sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))
    ]


def _order(found: Found) -> str:
    return found.path.replace("/", "\0")  # Folder by folder: no character comes before.


def _begin(f: Found, extension: str, start: Callable[[Found], bytes]) -> bytes:
    if extension in NO_IMAGE or f.size < SMALLEST:
        return b""
    try:
        return start(f)
    except Exception:  # Whatever it is, it is no image.
        return b""


def _is_image(begin: bytes) -> bool:
    heif = transforms.HEIF and transforms.is_heif(begin)
    return heif or begin.startswith(MAGIC) or begin[8:12] in MAGIC_AT_8
