"""One set of images, wherever they were read: labels, names, sides, groups, and the pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int, Int32, Int64, Shaped

from jaxgan.data.ranges import Scale
from jaxgan.data.threads import in_threads
from jaxgan.errors import InputError
from jaxgan.system.terminal import few

Image = Shaped[np.ndarray, "..."]  # uint8 [r, r, 3]; or features of an image.
Phases = Sequence[tuple[int, Int[np.ndarray, " m"]]]  # First steps, and positions from then on.


@runtime_checkable
class Source(Protocol):
    """What every set of images looks like at least; `of` makes a `Dataset` of any."""

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def labels(self) -> Int32[np.ndarray, " n"]:
        """Positions in `classes`."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Unique and printable, like "cat/001.jpg"."""
        ...

    @property
    def resolution(self) -> int: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> dict:
        """{"image": uint8 [resolution, resolution, 3], "label": int32}."""
        ...


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images of some classes, cut to squares of one size, with all that is known of them.

    Attributes:
        classes: their names.
        labels: positions in `classes`.
        names: unique and printable, like "cat/001.jpg".
        resolution: side of the images in pixels.
        load: reads an image where `images` is None.
        images: all of them, where they are kept: uint8 [n, r, r, 3], or features.
        load_at: reads an image at another resolution (index, resolution), from its file.
        ready: whether `load` only copies what is in memory.
        sides: that of each image: 0 train, 1 validation, 2 test; None: a split decides.
        fractions: of the sides.
        given: the side of each image by its folder, whether it is used or not.
        groups: the number of each image's group, which stays on one side.
        digests: 16 bytes that stand for each file, at any resolution.
        weights: of the images in the loss; None: all weigh the same.
        phases: steps and positions, rising: from each step on batches are drawn of these alone.
        fingerprint: as `loader.fingerprint` says, where it is known already.
        content: the same of a single class, whatever its name.
        unreadable: (name, reason) of each image that was left out because it cannot be read.
        left_out: how many files were "hidden", "no picture", "beside the class folders" ...
        kinds: of "no picture", how many files have each extension.
        oddities: how many images are odd, by `quality.oddities`.
        scale: of gray values beyond 8 bits; None where there are none.
    """

    classes: tuple[str, ...]
    labels: Int32[np.ndarray, " n"]
    names: tuple[str, ...]
    resolution: int
    load: Callable[[int], Image] | None = None
    images: Shaped[np.ndarray, "n ..."] | None = None
    load_at: Callable[[int, int], Image] | None = None
    ready: bool = False
    sides: Int[np.ndarray, " n"] | None = None
    fractions: tuple[float, ...] | None = None
    given: Int[np.ndarray, " n"] | None = None
    groups: Int64[np.ndarray, " n"] | None = None
    digests: Shaped[np.ndarray, " n"] | None = None
    weights: Float32[np.ndarray, " n"] | None = None
    phases: Phases | None = None
    fingerprint: str | None = None
    content: str | None = None
    unreadable: Sequence[tuple[str, str]] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)
    oddities: Mapping[str, int] = field(default_factory=dict)
    scale: Scale | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        index = range(len(self))[index]  # Negative ones, and IndexError past the end.
        return {"image": self.image(index), "label": self.labels[index]}

    def image(self, index: int) -> Image:
        if self.images is not None:
            return self.images[index]
        assert self.load is not None
        return self.load(index)

    def image_at(self, index: int, resolution: int) -> Image:
        """Return an image at another resolution where its file is at hand, else as it is here."""
        return self.image(index) if self.load_at is None else self.load_at(index, resolution)

    @property
    def in_ram(self) -> bool:
        return self.ready or self.images is not None

    def select(self, indices: Sequence[int] | Int[np.ndarray, " m"]) -> "Dataset":
        """Return the images at `indices`, in their order."""
        at = np.asarray(indices, np.int64)
        load_at = self.load_at
        return replace(
            self,
            labels=self.labels[at],
            names=tuple(self.names[i] for i in at),
            load=lambda index: self.image(int(at[index])),
            images=None,
            load_at=load_at and (lambda index, side: load_at(int(at[index]), side)),
            ready=self.in_ram,
            phases=None,
            fingerprint=None,
            content=None,
            **{
                name: None if (values := getattr(self, name)) is None else values[at]
                for name in ("sides", "given", "groups", "digests", "weights")
            },
        )

    def relabel(self, classes: tuple[str, ...], name: str) -> "Dataset":
        """Return the images as those of one of several classes."""
        labels = np.full(len(self), classes.index(name), np.int32)
        return replace(self, classes=classes, labels=labels, fingerprint=None, content=None)

    def mirrored(self) -> "Dataset":
        """Return the images, each mirrored."""
        load_at = self.load_at
        return replace(
            self,
            load=lambda index: np.ascontiguousarray(self.image(index)[:, ::-1]),
            images=None,
            load_at=load_at and (lambda *at: np.ascontiguousarray(load_at(*at)[:, ::-1])),
            ready=self.in_ram,
            digests=None,
            fingerprint=None,
            content=None,
        )

    def in_memory(self) -> "Dataset":
        """Return the same with its images read, by threads, and kept."""
        if self.images is not None:
            return self
        images = np.empty((0, 0, 0, 3), np.uint8)
        for index, image in enumerate(in_threads(self.image, len(self))):
            if not index:
                images = np.empty((len(self), *image.shape), image.dtype)
            images[index] = image
        images.flags.writeable = False
        return replace(self, images=images, load=None)


def of(source: Source) -> Dataset:
    """Return any source as a dataset, with what it has of a dataset's attributes."""
    if isinstance(source, Dataset):
        return source
    known: dict[str, Any] = {
        f.name: getattr(source, f.name) for f in fields(Dataset) if hasattr(source, f.name)
    }
    known["load"] = lambda index: source[index]["image"]
    return Dataset(**known)


def concat(
    sources: Sequence[Source],
    weights: Float32[np.ndarray, " n"] | None = None,
    phases: Phases | None = None,
) -> Dataset:
    """Join sources of the same classes and resolution, one after the other.

    Names are unique only where they are so among the parts.

    Args:
        sources: one or more.
        weights: of all images in the loss.
        phases: see `Dataset`.

    Raises:
        InputError: they differ in classes or resolution.
    """
    if len({(tuple(source.classes), source.resolution) for source in sources}) != 1:
        got = "; ".join(f"{few(s.classes)} at {s.resolution}" for s in sources)
        raise InputError(f"joined sources must have the same classes and resolution, got {got}")
    parts = [of(source) for source in sources]
    ends = np.cumsum([len(part) for part in parts])

    def load(index: int) -> Image:
        part = int(np.searchsorted(ends, index, side="right"))
        return parts[part].image(index - (int(ends[part - 1]) if part else 0))

    return Dataset(
        parts[0].classes,
        np.concatenate([part.labels for part in parts]),
        tuple(name for part in parts for name in part.names),
        parts[0].resolution,
        load=load,
        ready=all(part.in_ram for part in parts),
        weights=weights,
        phases=phases,
    )
