"""Class folders of pictures as a random-access source of (picture, label) records."""

import hashlib
import logging
import math
import os
import sys
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Int32, Int64
from PIL import Image

from jaxgan.data import given, groups, images, layout, quality, ranges, walk
from jaxgan.data.images import Crop, reason
from jaxgan.data.tables import Tables
from jaxgan.errors import InputError
from jaxgan.system import machine, paths

logger = logging.getLogger("jaxgan")
T = TypeVar("T")

IN_MEMORY = 4 * 1024**3  # Bytes of decoded pictures that are kept, at most.


@runtime_checkable
class Source(Protocol):
    """What every set of pictures looks like; grain reads it, and so does everything else."""

    classes: tuple[str, ...]
    labels: Int32[np.ndarray, " n"]  # Positions in `classes`.
    names: tuple[str, ...]  # Unique and printable, like "cat/001.jpg".
    resolution: int

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> dict:
        """{"image": uint8 [resolution, resolution, 3], "label": int32}."""
        ...


class FolderSource:
    """The pictures below `path`, with classes and given sides as `layout.recognise` finds them.

    `path/<class>/**` are class folders, and without any all is the one class `path.name`.

    Every file is decoded once here, by threads, and never again where the pictures are kept.
    Unreadable files are left out, and one warning says so. The order (class by class, names sorted)
    depends on nothing but the names.

    Args:
        path: The folder. Links are followed.
        resolution: Side of the square pictures in pixels.
        classes: The classes wanted, in the order of their labels; None takes all, sorted.
        crop: "center" cuts the middle square out, "stretch" keeps all and changes the aspect.
        on_error: "skip" leaves unreadable files out, "raise" makes the first an InputError.
        in_memory: Keep the decoded pictures where they need no more than so many bytes; None: than
            4 GiB, and than half of the free memory.
        given_sides: "use" those that folders like train/ and test/ give, or "merge" them.
        reading: Of the layout, one of `layout.READINGS`.
        grouped: Which images stay on one side, see `groups.check`; None groups nothing.
        scale: Of gray values beyond 8 bits; None: that of all images here.

    Attributes:
        images: uint8 [n, resolution, resolution, 3] where the pictures are kept, else None.
        fingerprint: As `loader.fingerprint` says, of the pictures as they were read here.
        unreadable: (name, reason) of each picture left out, sorted by class and name.
        left_out: How many entries were "hidden", "no picture" by extension, or pictures "beside
            the class folders".
        kinds: of "no picture", how many files have each extension.
        oddities: how many images are odd, by `quality.oddities`.
        scale: of gray values beyond 8 bits, or None where there are none.
        groups: the number of each image's group, or None.
        content: The same of a single class, whatever its name, which is that of the folder.
        digests: 16 bytes that stand for each file's bytes, at any resolution.
        given: the side of each picture by its folder: 0 train, 1 validation, 2 test; or None.
        sides: those to use, or None; `fractions` are their shares. As `RecordSource` has them.

    Raises:
        InputError: no such folder or class, a class without a readable picture, or, with
            on_error="raise", an unreadable file.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        resolution: int,
        *,
        classes: Sequence[str] | None = None,
        crop: Crop = "center",
        on_error: Literal["skip", "raise"] = "skip",
        in_memory: int | None = None,
        given_sides: Literal["use", "merge"] = "use",
        reading: str = "auto",
        grouped: str | None = None,
        scale: ranges.Scale | None = None,
    ):
        self.resolution = resolution
        self._crop: Crop = crop
        self.scale = scale
        found = _find(path, classes, reading, grouped)
        self._root, self.left_out, self.kinds = found.root, found.left_out, found.kinds
        self.classes = choose(found.folders, classes)
        files = [(file, i) for i, name in enumerate(self.classes) for file in found.folders[name]]
        shape = (len(files), resolution, resolution, 3)
        limit = memory_limit() if in_memory is None else in_memory
        kept = np.empty(shape, np.uint8) if math.prod(shape) <= limit else None
        self.unreadable: list[tuple[str, str]] = []
        self.oddities: Counter[str] = Counter()
        readable: list[tuple[str, int]] = []
        digests: list[bytes] = []
        sources: list[bytes] = []
        deep: dict[int, ranges.Deep] = {}  # Images that wait for the scale.
        with warnings.catch_warnings():  # Here, not in the threads: the filters are global.
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            first = in_threads(lambda i: self._first(files[i][0]), len(files))
            for (file, label), (picture, odd, source) in zip(files, first, strict=True):
                if isinstance(picture, str):
                    name = printable(file)
                    if on_error == "raise":
                        raise InputError(
                            f"every picture must be readable, {name} is not: {picture}"
                        )
                    self.unreadable.append((name, picture))
                    continue
                sources.append(source)
                if isinstance(picture, ranges.Deep):
                    deep[len(readable)] = picture
                    digests.append(b"")
                else:
                    digests.append(images.digest(picture))
                    if kept is not None:
                        kept[len(readable)] = picture
                self.oddities.update(odd)
                readable.append((file, label))
            if deep:
                self.scale = ranges.chosen(deep.values())
                at = list(deep)
                again = in_threads(lambda i: self._read(readable[at[i]][0]), len(at))
                for i, picture in zip(at, again, strict=True):
                    digests[i] = images.digest(picture)
                    if kept is not None:
                        kept[i] = picture
                floats = sum(d.floats for d in deep.values())
                logger.warning("%s", ranges.describe(self.scale, (len(deep) - floats, floats)))
        digest = start_fingerprint(self.classes, resolution)
        nameless = start_fingerprint(("",), resolution)
        for (file, label), pixels in zip(readable, digests, strict=True):
            for one in (digest, nameless):
                add_digest(one, printable(file), label, pixels)
        self.fingerprint = digest.hexdigest()
        self.content = nameless.hexdigest() if len(self.classes) == 1 else None
        self.digests = np.frombuffer(b"".join(sources), "V16")
        self.images = None if kept is None else kept[: len(readable)]
        if self.images is not None:
            self.images.flags.writeable = False
        self._files = tuple(file for file, _ in readable)
        self.names = tuple(printable(file) for file in self._files)
        self.labels = np.array([label for _, label in readable], np.int32)
        self._report(len(files))
        self.groups: Int64[np.ndarray, " n"] | None = None
        if found.groups is not None:
            self.groups = groups.numbered([found.groups[file] for file in self._files])
            groups.check_classes(self.groups, self.labels, self.classes)
        self.given: Int32[np.ndarray, " n"] | None = None
        self.sides: Int32[np.ndarray, " n"] | None = None
        self.fractions: tuple[float, ...] | None = None
        if found.given is not None:
            self.given = np.array([found.given[file] for file in self._files], np.int32)
            if given_sides == "use":
                if self.groups is not None:
                    groups.check_sides(self.groups, self.given, self.names)
                said, self.sides = given.settled(
                    self.given, self.labels, self.classes, digests, self.groups
                )
                logger.warning("%s", said)
                self.fractions = tuple(float((self.sides == side).mean()) for side in range(3))
            else:
                logger.warning("the given sides are merged: the split is decided anew")

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> dict:
        image = self.image_at(index, self.resolution) if self.images is None else self.images[index]
        return {"image": image, "label": self.labels[index]}

    def _read(self, file: str) -> np.ndarray:
        return self._open(self._data(file), file)[0]

    def _first(self, file: str) -> tuple[np.ndarray | ranges.Deep | str, list[str], bytes]:
        """An image, what is odd about it, and its file's digest; its range where it waits for the
        scale of the set, or why it cannot be read."""
        digest = b""
        try:
            data = self._data(file)
            digest = images.digest(data)
            return *self._open(data, file, self.scale is None), digest
        except ranges.DeepError as error:
            return error.deep, [], digest
        except Exception as error:  # Pillow's decoders raise nearly anything.
            return reason(error), [], digest

    def _open(
        self, data: bytes, file: str, wait: bool = False, resolution: int | None = None
    ) -> tuple[np.ndarray, list[str]]:
        side = resolution or self.resolution
        with images.open_file(data) as im:
            odd = quality.oddities(file, quality.header_of(im))
            whole = images.decode(im, 2 * side, self.scale, wait)
            return np.array(images.square_of(whole, side, self._crop)), odd

    def image_at(self, index: int, resolution: int) -> np.ndarray:
        """The picture at another resolution, from its file."""
        file = self._files[index]
        try:
            return self._open(self._data(file), file, resolution=resolution)[0]
        except Exception as error:  # As above; it was readable at the start.
            name = self.names[index]
            raise InputError(f"{name} is no longer readable: {reason(error)}") from error

    def _data(self, file: str) -> bytes:
        path = self._root / file
        if path.exists() and not path.is_file():  # Opening a pipe would wait for ever.
            raise ValueError("not a regular file")
        return path.read_bytes()

    def _report(self, found: int) -> None:
        if self.unreadable:
            first = ", ".join(f"{name} ({why})" for name, why in self.unreadable[:3])
            more = f" and {len(self.unreadable) - 3} more" if len(self.unreadable) > 3 else ""
            logger.warning(
                "left out %d of %d pictures that cannot be read: %s%s",
                *(len(self.unreadable), found, first, more),
            )
        for label, name in enumerate(self.classes):
            if not (self.labels == label).any():
                raise InputError(f"every class needs a readable picture, {name} has none")


def memory_limit() -> int:
    free = machine.free_memory()
    return IN_MEMORY if free is None else min(IN_MEMORY, free // 2)


def start_fingerprint(classes: Sequence[str], resolution: int) -> "hashlib._Hash":
    """The digest to which `add_to_fingerprint` adds each picture, in order."""
    return hashlib.sha256(repr((tuple(classes), resolution)).encode())


def add_to_fingerprint(digest: "hashlib._Hash", name: str, label: int, image: np.ndarray) -> None:
    """One more picture: its name, label and pixels."""
    add_digest(digest, name, label, images.digest(image))


def add_digest(digest: "hashlib._Hash", name: str, label: int, pixels: bytes) -> None:
    """The same for a picture whose `images.digest` is at hand."""
    digest.update(repr((name, int(label))).encode() + pixels)


def printable(name: str) -> str:
    """The name with everything that a terminal or JSON may choke on written as an escape."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


class _Found(NamedTuple):
    """A folder, laid out; files are named from its root."""

    root: Path
    folders: dict[str, list[str]]  # The files of each class, sorted.
    left_out: Counter[str]
    kinds: Counter[str]
    given: dict[str, int] | None  # Sides.
    groups: dict[str, str] | None


def _find(
    path: str | os.PathLike, classes: Sequence[str] | None, reading: str, grouped: str | None
) -> _Found:
    root = Path(path).expanduser()
    if not os.fspath(path) or not root.is_dir():
        raise InputError(f"the data path must be a folder of pictures, got {str(path)!r}")
    try:
        images, others, left_out, kinds = walk.of_folder(root)
        inner = [name for name in os.listdir(root) if not layout.is_hidden(name)]
        inner = [name for name in inner if (root / name).is_dir()]
    except OSError as error:
        raise InputError(f"every folder must be readable: {error.filename!r}") from error
    places = [f.path for f in images]
    empty = sorted(set(inner) - {path.partition("/")[0] for path in places})
    if not images:
        packed = [name for name in others if name.lower().endswith(layout.ARCHIVES)]
        raise InputError(
            f"the data path must hold pictures, in class folders or directly: {str(path)!r} "
            f"has none ({left_out.total()} other files"
            + "".join(f"; {line}" for line in walk.told(kinds) if ":" in line)
            + ")"
            + (f": unpack {printable(packed[0])}" if packed else "")
        )
    tables = Tables(others, lambda name: paths.read(root / name))
    found = layout.recognise(places, others, root.resolve().name, tables, classes, reading)
    kinds -= walk.extensions(found.used)
    if found.beside:
        left_out["beside the class folders"] = len(found.beside)
        logger.warning(
            "left out what lies beside the class folders, not in one: %d pictures, %s the first",
            *(len(found.beside), printable(found.beside[0])),
        )
    if empty and len(found.classes) > 1:
        logger.warning("left out folders without pictures: %s", printable(", ".join(empty)))
    for line in found.told:
        logger.warning("%s", printable(line))
    folders: dict[str, list[str]] = {printable(name): [] for name in found.classes}
    names = list(folders)
    used = [str(images[i].place) for i in found.pictures]
    for file, label in zip(used, found.labels, strict=True):
        folders[names[label]].append(file)
    sides = None if found.given is None else dict(zip(used, found.given, strict=True))
    of = None
    if grouped:
        mine = groups.find(grouped, [places[i] for i in found.pictures], tables, places)
        of = {file: mine[places[i]] for file, i in zip(used, found.pictures, strict=True)}
    return _Found(root, folders, left_out, kinds, sides, of)


def choose(folders: dict[str, list[str]], classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        return tuple(folders)
    missing = [name for name in classes if name not in folders]
    if missing or not classes or len(set(classes)) < len(classes):
        raise InputError(
            f"classes must name folders with pictures, each once; there are {', '.join(folders)}; "
            f"got {', '.join(map(repr, classes)) or 'none'}"
        )
    return tuple(classes)


def in_threads(function: Callable[[int], T], count: int) -> Iterator[T]:
    """function(0) ... function(count - 1) in order, by threads; a line of progress after 2 s.

    No more than a few results a thread wait to be fetched.
    """
    threads = ThreadPoolExecutor(machine.cores())
    ahead = 8 * machine.cores()
    waiting: deque[Future[T]] = deque()
    start = shown = time.monotonic()
    pause = 0.5 if sys.stderr.isatty() else 10
    end = "\r" if sys.stderr.isatty() else "\n"
    try:
        for i in range(ahead + count):
            if i < count:
                waiting.append(threads.submit(function, i))
            if i < ahead:
                continue
            yield waiting.popleft().result()
            now, done = time.monotonic(), i - ahead + 1
            if now - start > 2 and (now - shown > pause or shown == start):
                shown = now
                rate = f"{done / (now - start):.0f}/s"
                print(f"pictures read: {done} of {count} ({rate})", end=end, file=sys.stderr)
    finally:
        threads.shutdown(cancel_futures=True)
        if shown > start and end == "\r":
            print(file=sys.stderr)
