"""Files of images, in folders, archives or sets of other libraries, read as a dataset."""

import logging
import math
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int32, Int64
from PIL import Image

from jaxgan.data import given_splits, groups, images, quality, ranges
from jaxgan.data.dataset import Dataset
from jaxgan.data.dataset import Source as Source
from jaxgan.data.fingerprint import add_digest, start_fingerprint
from jaxgan.data.images import Crop, reason
from jaxgan.data.sources import discover
from jaxgan.data.sources.entries import Entries, Files
from jaxgan.data.threads import in_threads as in_threads
from jaxgan.errors import InputError
from jaxgan.system import machine
from jaxgan.system.terminal import few

logger = logging.getLogger("jaxgan")
IN_MEMORY = 4 * 1024**3  # Bytes of decoded images that are kept, at most.


def read(
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
) -> Dataset:
    """Read the images of `path`, with classes and given sides as `discover.find` finds them.

    `path/<class>/**` are class folders, and without any all is the one class `path.name`.

    Every file is decoded once here, by threads, and never again where the images are kept.
    Unreadable files are left out, and one warning says so. The order (class by class, names sorted)
    depends on nothing but the names.

    Args:
        path: a folder, an archive or a set of another library, see `discover.find`.
        resolution: side of the square images in pixels.
        classes: the classes wanted, in the order of their labels; None takes all, sorted.
        crop: "center" cuts the middle square out, "stretch" keeps all and changes the aspect.
        on_error: "skip" leaves unreadable files out, "raise" makes the first an InputError.
        in_memory: keep the decoded images where they need no more than so many bytes; None: than
            4 GiB, and than half of the free memory.
        given_sides: "use" those that folders like train/ and test/ give, or "merge" them.
        reading: of the layout, one of `layout.READINGS`.
        grouped: which images stay on one side, see `groups.check`; None groups nothing.
        scale: of gray values beyond 8 bits; None: that of all images here.

    Raises:
        InputError: no such folder or class, a class without a readable image, or, with
            on_error="raise", an unreadable file.
    """
    found = discover.find(path, flag="data.path", reading=reading, grouped=grouped, wanted=classes)
    for line in found.told:
        logger.warning("%s", line)
    names = choose(found.classes, classes)
    entries, chosen, labels = _of_classes(found, names)
    file = _File(found.root, entries, resolution, crop, scale)
    seen = _look(file, chosen, on_error, in_memory)
    good = np.array(seen.readable, np.int64)
    _report(len(chosen), seen.unreadable, names, labels[good])
    chosen, labels = chosen[good], labels[good]
    file = file._replace(scale=seen.scale)
    paths = tuple(entries.name(int(i)) for i in chosen)
    known = {
        name: None if values is None else np.array(values)[chosen]
        for name, values in (("groups", found.groups), ("given", found.given))
    }
    mine = _grouped(known["groups"], labels, names)
    said = _sides(known["given"], given_sides, labels, names, paths, seen.digests, mine)
    prints = [start_fingerprint(c, resolution) for c in (names, ("",))]
    for name, label, pixels in zip(paths, labels.tolist(), seen.digests, strict=True):
        for one in prints:
            add_digest(one, name, label, pixels)

    def at(index: int, side: int) -> np.ndarray:
        try:
            return file.image(int(chosen[index]), side)
        except Exception as error:  # It was readable at the start.
            why = reason(error)
            raise InputError(f"{paths[index]} is no longer readable: {why}") from error

    return Dataset(
        names,
        labels,
        paths,
        resolution,
        load=lambda index: at(index, resolution),
        images=seen.images,
        load_at=at,
        digests=np.frombuffer(b"".join(seen.sources), "V16"),
        groups=mine,
        given=known["given"],
        sides=said[0],
        fractions=said[1],
        fingerprint=prints[0].hexdigest(),
        content=prints[1].hexdigest() if len(names) == 1 else None,
        unreadable=seen.unreadable,
        left_out=found.left_out,
        kinds=found.kinds or {},
        oddities=seen.oddities,
        scale=seen.scale,
    )


class _File(NamedTuple):
    """How a file becomes a square."""

    root: str
    entries: Entries
    resolution: int
    crop: Crop
    scale: ranges.Scale | None

    def image(self, entry: int, resolution: int | None = None) -> np.ndarray:
        return self.open(self.data(entry), entry, resolution=resolution)[0]

    def data(self, entry: int) -> bytes:
        if self.entries.size(entry) > discover.LARGEST:
            raise ValueError(f"larger than {discover.LARGEST // 1024**2} MiB")
        return discover.read(self.root, self.entries.place(entry))

    def open(
        self, data: bytes, entry: int, wait: bool = False, resolution: int | None = None
    ) -> tuple[np.ndarray, list[str]]:
        """Return an image and what is odd about it."""
        side = resolution or self.resolution
        # Of twice the side: large JPEGs are several times as fast, and differ by 0.6 of 255.
        head, whole = quality.decoded(data, 2 * side, self.scale, wait)
        odd = quality.oddities(self.entries.name(entry), head)
        return np.array(images.square_of(whole, side, self.crop)), odd

    def first(self, entry: int) -> tuple[np.ndarray | ranges.Deep | str, list[str], bytes]:
        """Return an image, what is odd about it, and its file's digest; its range where it waits
        for the scale of the set, or why it cannot be read."""
        digest = b""
        try:
            data = self.data(entry)
            digest = images.digest(data)
            return *self.open(data, entry, self.scale is None), digest
        except ranges.DeepError as error:
            return error.deep, [], digest
        except Exception as error:  # Pillow's decoders raise nearly anything.
            return reason(error), [], digest


class _Seen(NamedTuple):
    """What a first look at all files has come to; of those that can be read."""

    readable: list[int]  # Positions among the files.
    digests: list[bytes]  # Of the pixels.
    sources: list[bytes]  # Of the files.
    images: np.ndarray | None
    scale: ranges.Scale | None
    oddities: Counter[str]
    unreadable: list[tuple[str, str]]


def _look(
    file: _File,
    chosen: Int64[np.ndarray, " n"],
    on_error: Literal["skip", "raise"],
    in_memory: int | None,
) -> _Seen:
    shape = (len(chosen), file.resolution, file.resolution, 3)
    limit = memory_limit() if in_memory is None else in_memory
    kept = np.empty(shape, np.uint8) if math.prod(shape) <= limit else None
    seen = _Seen([], [], [], None, file.scale, Counter(), [])
    deep: dict[int, ranges.Deep] = {}  # Images that wait for the scale.
    with warnings.catch_warnings():  # Here, not in the threads: the filters are global.
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        first = in_threads(lambda i: file.first(int(chosen[i])), len(chosen))
        for position, (image, odd, source) in enumerate(first):
            if isinstance(image, str):
                name = file.entries.name(int(chosen[position]))
                if on_error == "raise":
                    raise InputError(f"every image must be readable, {name} is not: {image}")
                seen.unreadable.append((name, image))
                continue
            seen.sources.append(source)
            if isinstance(image, ranges.Deep):
                deep[len(seen.readable)] = image
                seen.digests.append(b"")
            else:
                seen.digests.append(images.digest(image))
                if kept is not None:
                    kept[len(seen.readable)] = image
            seen.oddities.update(odd)
            seen.readable.append(position)
        if deep:
            file = file._replace(scale=ranges.chosen(deep.values()))
            waiting = list(deep)
            again = in_threads(
                lambda i: file.image(int(chosen[seen.readable[waiting[i]]])), len(waiting)
            )
            for i, image in zip(waiting, again, strict=True):
                seen.digests[i] = images.digest(image)
                if kept is not None:
                    kept[i] = image
            floats = sum(d.floats for d in deep.values())
            assert file.scale is not None
            logger.warning("%s", ranges.describe(file.scale, (len(deep) - floats, floats)))
    if kept is not None:
        kept = kept[: len(seen.readable)]
        kept.flags.writeable = False
    return seen._replace(images=kept, scale=file.scale)


def _of_classes(
    found: Files, names: Sequence[str]
) -> tuple[Entries, Int64[np.ndarray, " n"], Int32[np.ndarray, " n"]]:
    """Return the entries of some classes, in the order of these, and their labels."""
    own = found.entries.labels()
    position = [names.index(name) if name in names else len(names) for name in found.classes]
    labels = np.array(position, np.int32)[own]
    chosen = np.argsort(labels, kind="stable")[: int((labels < len(names)).sum())]
    return found.entries, chosen, labels[chosen]


def _grouped(
    numbers: np.ndarray | None, labels: Int32[np.ndarray, " n"], classes: Sequence[str]
) -> Int64[np.ndarray, " n"] | None:
    if numbers is None:
        return None
    mine = np.unique(numbers, return_inverse=True)[1].astype(np.int64)
    groups.check_classes(mine, labels, classes)
    return mine


def _sides(
    by_folder: np.ndarray | None,
    given_sides: Literal["use", "merge"],
    labels: Int32[np.ndarray, " n"],
    classes: Sequence[str],
    names: Sequence[str],
    digests: Sequence[bytes],
    grouped: Int64[np.ndarray, " n"] | None,
) -> tuple[Int32[np.ndarray, " n"] | None, tuple[float, ...] | None]:
    """Return the sides to use and their shares, where folders give any."""
    if by_folder is None:
        return None, None
    if given_sides != "use":
        logger.warning("the given sides are merged: the split is decided anew")
        return None, None
    if grouped is not None:
        groups.check_sides(grouped, by_folder, names)
    said, sides = given_splits.settled(
        by_folder.astype(np.int32), labels, classes, digests, grouped
    )
    logger.warning("%s", said)
    return sides, tuple(float((sides == side).mean()) for side in range(3))


def _report(
    found: int,
    unreadable: Sequence[tuple[str, str]],
    classes: Sequence[str],
    labels: Int32[np.ndarray, " n"],
) -> None:
    if unreadable:
        first = ", ".join(f"{name} ({why})" for name, why in unreadable[:3])
        more = f" and {len(unreadable) - 3} more" if len(unreadable) > 3 else ""
        logger.warning(
            "left out %d of %d images that cannot be read: %s%s",
            *(len(unreadable), found, first, more),
        )
    for label, name in enumerate(classes):
        if not (labels == label).any():
            raise InputError(f"every class needs a readable image, {name} has none")


def memory_limit() -> int:
    free = machine.free_memory()
    return IN_MEMORY if free is None else min(IN_MEMORY, free // 2)


def choose(there: Sequence[str], classes: Sequence[str] | None) -> tuple[str, ...]:
    """Return the classes wanted, or all that there are."""
    if classes is None:
        return tuple(there)
    missing = [name for name in classes if name not in there]
    if missing or not classes or len(set(classes)) < len(classes):
        raise InputError(
            f"each class must have images, and be named once: there are {few(there)}; wanted are "
            f"{few([*map(repr, classes)]) or 'none'}"
        )
    return tuple(classes)


FolderSource = read  # As it was called before.
