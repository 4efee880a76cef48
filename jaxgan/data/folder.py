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
from typing import Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Int32
from PIL import Image

from jaxgan.data import layout, machine, transforms
from jaxgan.data.transforms import Crop, read_square, reason
from jaxgan.errors import InputError

logger = logging.getLogger("jaxgan")
T = TypeVar("T")

EXTENSIONS = {".avif", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm"}
EXTENSIONS |= {".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
SIDES = ("train", "validation", "test")
VALIDATION = 0.1  # Of a given train side, where no validation side is given.
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

    Attributes:
        images: uint8 [n, resolution, resolution, 3] where the pictures are kept, else None.
        fingerprint: As `loader.fingerprint` says, of the pictures as they were read here.
        unreadable: (name, reason) of each picture left out, sorted by class and name.
        left_out: How many entries were "hidden", "no picture" by extension, or pictures "beside
            the class folders".
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
    ):
        self.resolution = resolution
        self._crop: Crop = crop
        self._root, folders, self.left_out, given = _find(path, classes)
        self.classes = choose(folders, classes)
        files = [(file, i) for i, name in enumerate(self.classes) for file in folders[name]]
        shape = (len(files), resolution, resolution, 3)
        limit = memory_limit() if in_memory is None else in_memory
        kept = np.empty(shape, np.uint8) if math.prod(shape) <= limit else None

        def read(i: int) -> tuple[np.ndarray, bytes] | str:
            try:
                data = self._data(files[i][0])
                return read_square(data, resolution, crop), transforms.digest(data)
            except Exception as error:  # Pillow's decoders raise nearly anything.
                return reason(error)

        self.unreadable: list[tuple[str, str]] = []
        readable: list[tuple[str, int]] = []
        digests: list[bytes] = []
        sources: list[bytes] = []
        digest = start_fingerprint(self.classes, resolution)
        nameless = start_fingerprint(("",), resolution)
        with warnings.catch_warnings():  # Here, not in the threads: the filters are global.
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            pictures = in_threads(read, len(files))
            for (file, label), picture in zip(files, pictures, strict=True):
                name = printable(file)
                if not isinstance(picture, str):
                    picture, source = picture
                    sources.append(source)
                    digests.append(transforms.digest(picture))
                    add_digest(digest, name, label, digests[-1])
                    add_digest(nameless, name, label, digests[-1])
                    if kept is not None:
                        kept[len(readable)] = picture
                    readable.append((file, label))
                elif on_error == "raise":
                    raise InputError(f"every picture must be readable, {name} is not: {picture}")
                else:
                    self.unreadable.append((name, picture))
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
        self.given: Int32[np.ndarray, " n"] | None = None
        self.sides: Int32[np.ndarray, " n"] | None = None
        self.fractions: tuple[float, ...] | None = None
        if given is not None:
            self.given = np.array([given[file] for file in self._files], np.int32)
            if given_sides == "use":
                self.sides = self._sides(self.given, digests)
                self.fractions = tuple(float((self.sides == side).mean()) for side in range(3))
            else:
                logger.warning("the given sides are merged: the split is decided anew")

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> dict:
        image = self.image_at(index, self.resolution) if self.images is None else self.images[index]
        return {"image": image, "label": self.labels[index]}

    def image_at(self, index: int, resolution: int) -> np.ndarray:
        """The picture at another resolution, from its file."""
        try:
            return read_square(self._data(self._files[index]), resolution, self._crop)
        except Exception as error:  # As above; it was readable at the start.
            name = self.names[index]
            raise InputError(f"{name} is no longer readable: {reason(error)}") from error

    def _data(self, file: str) -> bytes:
        path = self._root / file
        if path.exists() and not path.is_file():  # Opening a pipe would wait for ever.
            raise ValueError("not a regular file")
        return path.read_bytes()

    def _sides(self, given: np.ndarray, digests: Sequence[bytes]) -> np.ndarray:
        """The given sides; one that is missing is held out: validation comes from train."""
        for side in sorted(set(given.tolist())):
            for label, name in enumerate(self.classes):
                if not ((given == side) & (self.labels == label)).any():
                    raise InputError(
                        f"every given side must hold every class, and {SIDES[side]} has no {name}: "
                        f"choose classes, or merge the sides (given_sides=merge)"
                    )
        if len(set(given.tolist())) == 3:
            logger.warning("the given sides train, validation and test are used as they are")
            return given
        sides = given.copy()
        held_out = SIDES[max(given)]
        sides[given == 1] = (
            2  # No test is given: what is held out is never trained on or chosen by.
        )
        share = np.array([int.from_bytes(hashlib.sha256(d).digest()[:4]) for d in digests]) / 2**32
        for label in range(len(self.classes)):
            train = np.flatnonzero((given == 0) & (self.labels == label))
            of_it = train[share[train] < VALIDATION]
            if not len(of_it) and len(train) > 1:
                of_it = train[[share[train].argmin()]]
            sides[of_it] = 1
        logger.warning(
            "the given sides are used: %s is the test, and %d pictures of train are validation",
            *(held_out, (sides == 1).sum()),
        )
        return sides

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
    add_digest(digest, name, label, transforms.digest(image))


def add_digest(digest: "hashlib._Hash", name: str, label: int, pixels: bytes) -> None:
    """The same for a picture whose `transforms.digest` is at hand."""
    digest.update(repr((name, int(label))).encode() + pixels)


def printable(name: str) -> str:
    """The name with everything that a terminal or JSON may choke on written as an escape."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _find(
    path: str | os.PathLike, classes: Sequence[str] | None
) -> tuple[Path, dict[str, list[str]], Counter, dict[str, int] | None]:
    """The root, the sorted files of each class (relative to it), what was left out, given sides."""
    root = Path(path).expanduser()
    if not os.fspath(path) or not root.is_dir():
        raise InputError(f"the data path must be a folder of pictures, got {str(path)!r}")
    left_out: Counter = Counter()
    others: list[str] = []

    def pictures(folder: str, above: frozenset[str]) -> list[str]:
        real = os.path.realpath(root / folder)
        if real in above:  # A link that leads in a circle.
            return []
        found = []
        for name in sorted(os.listdir(root / folder)):
            file = os.path.join(folder, name)
            if layout.is_hidden(name):
                left_out["hidden"] += 1
            elif (root / file).is_dir():
                found += pictures(file, above | {real})
            elif os.path.splitext(name)[1].lower() in EXTENSIONS:
                found.append(file)
            else:
                left_out["no picture"] += 1
                others.append(file)
        return found

    try:
        files = pictures("", frozenset())
        inner = [name for name in os.listdir(root) if not layout.is_hidden(name)]
        inner = [name for name in inner if (root / name).is_dir()]
    except OSError as error:
        raise InputError(f"every folder must be readable: {error.filename!r}") from error
    inner_empty = sorted(set(inner) - {file.split(os.sep)[0] for file in files})
    if not files:
        packed = [name for name in others if name.lower().endswith(layout.ARCHIVES)]
        raise InputError(
            f"the data path must hold pictures, in class folders or directly: {str(path)!r} "
            f"has none ({left_out.total()} other files)"
            + (f": unpack {printable(packed[0])}" if packed else "")
        )
    found = layout.recognise(
        [file.replace(os.sep, "/") for file in files],
        [name.replace(os.sep, "/") for name in others],
        root.resolve().name,
        lambda name: (root / name).read_bytes(),
        classes,
    )
    if found.beside:
        left_out["beside the class folders"] = len(found.beside)
        logger.warning(
            "left out what lies beside the class folders, not in one: %d pictures, %s the first",
            *(len(found.beside), printable(found.beside[0])),
        )
    if inner_empty and len(found.classes) > 1:
        logger.warning("left out folders without pictures: %s", printable(", ".join(inner_empty)))
    for line in found.told:
        logger.warning("%s", printable(line))
    folders: dict[str, list[str]] = {printable(name): [] for name in found.classes}
    names = list(folders)
    for i, label in zip(found.pictures, found.labels, strict=True):
        folders[names[label]].append(files[i])
    given = None
    if found.given is not None:
        given = {files[i]: side for i, side in zip(found.pictures, found.given, strict=True)}
    return root, folders, left_out, given


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
