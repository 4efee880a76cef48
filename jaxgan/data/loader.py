"""Sources to batches: the same for any number of threads and hosts, from any position on."""

import functools
import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import grain
import numpy as np
from jaxtyping import Int

from jaxgan.data.folder import FolderSource, Source, in_threads
from jaxgan.data.toy import ToySource
from jaxgan.data.transforms import Crop
from jaxgan.types import InputError

logger = logging.getLogger("jaxgan")


def open_source(
    path: str | os.PathLike,
    resolution: int,
    *,
    classes: Sequence[str] | None = None,
    crop: Crop = "center",
    on_error: Literal["skip", "raise"] = "skip",
    count: int | None = None,
    seed: int = 0,
) -> Source:
    """The pictures of a folder, or the built-in drawn ones where the path is "toy".

    Args:
        path: A folder (see `FolderSource`) or "toy"; a folder of that name is "./toy".
        resolution: Side of the square pictures in pixels.
        classes: The classes wanted; None takes all.
        crop: "center" or "stretch".
        on_error: What an unreadable file does: "skip" or "raise".
        count: Pictures a class: as many are drawn, or at most so many chosen at random from a
            folder. None takes all of a folder, and the default of `ToySource`.
        seed: Of the drawing or choosing.

    Raises:
        InputError: see `FolderSource` and `ToySource`.
    """
    if os.fspath(path) == "toy":
        given: dict[str, Any] = {"classes": classes, "count": count}
        given = {name: value for name, value in given.items() if value is not None}
        return InMemory(ToySource(resolution, seed=seed, **given))
    source = FolderSource(path, resolution, classes=classes, crop=crop, on_error=on_error)
    if count is None:
        return source
    order = np.random.default_rng(seed).permutation(len(source))
    of_class = [order[source.labels[order] == label] for label in range(len(source.classes))]
    return Subset(source, np.sort(np.concatenate([indices[:count] for indices in of_class])))


class Subset:
    """The pictures of a source at `indices`, in their order; a source too."""

    def __init__(self, source: Source, indices: Sequence[int] | Int[np.ndarray, " n"]):
        self._source = source
        self._indices = np.asarray(indices, np.int64)
        self.classes = source.classes
        self.resolution = source.resolution
        self.labels = source.labels[self._indices]
        self.names = tuple(source.names[i] for i in self._indices)
        self.unreadable = getattr(source, "unreadable", [])

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> dict:
        return self._source[int(self._indices[index])]


class Concat:
    """Several sources of the same classes and resolution one after the other; a source too.

    Names are unique only where they are so among the parts.
    """

    def __init__(self, sources: Sequence[Source]):
        if len({(tuple(source.classes), source.resolution) for source in sources}) != 1:
            got = "; ".join(f"{', '.join(s.classes)} at {s.resolution}" for s in sources)
            raise InputError(f"joined sources must have the same classes and resolution, got {got}")
        self._sources = tuple(sources)
        self._ends = np.cumsum([len(source) for source in sources])
        self.classes = sources[0].classes
        self.resolution = sources[0].resolution
        self.labels = np.concatenate([source.labels for source in sources])
        self.names = tuple(name for source in sources for name in source.names)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        part = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[part - 1]) if part else 0
        return self._sources[part][index - start]


class InMemory:
    """A source's pictures, read once by threads and kept: uint8 [n, resolution, resolution, 3]."""

    def __init__(self, source: Source):
        self.classes = source.classes
        self.resolution = source.resolution
        self.labels = source.labels
        self.names = source.names
        self.images = np.empty((len(source), source.resolution, source.resolution, 3), np.uint8)
        for index, record in enumerate(in_threads(source.__getitem__, len(source))):
            self.images[index] = record["image"]
        self.images.flags.writeable = False

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        return {"image": self.images[index], "label": self.labels[index]}


def in_memory(source: Source) -> InMemory:
    """The same source with its pictures in RAM."""
    return source if isinstance(source, InMemory) else InMemory(source)


def fingerprint(source: Source) -> str:
    """SHA-256 (64 hex digits) over classes, resolution, names, labels and pixels, in order."""
    digest = hashlib.sha256(repr((tuple(source.classes), source.resolution)).encode())
    for index, name in enumerate(source.names):
        record = source[index]
        digest.update(repr((name, int(record["label"]))).encode())
        digest.update(record["image"].tobytes())
    return digest.hexdigest()


def make_batches(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    flip: bool = False,
    turns: int | None = None,
    start: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    threads: int = 2,
) -> grain.DatasetIterator:
    """Endless batches {"image": uint8 [b, r, r, 3], "label": int32 [b]}, b the host's share.

    Every epoch is shuffled anew and covers each picture once; batches run on across its end.
    What batch t holds depends on the source, `seed`, t, `batch_size` and `turns` alone: the hosts'
    shares, one after the other, are the batch of a single host, flips included.

    Args:
        source: At least one picture.
        batch_size: Of all hosts together; divisible by `process_count`.
        seed: At least 0.
        shuffle: False keeps the source's order.
        flip: Mirror each picture with probability 1/2.
        turns: Where given, a batch is so many batches on a leading axis: [turns, b, ...].
        start: Batches drawn before: k goes on as an iterator that was never stopped goes on after
            k batches. `get_state()` and `set_state({"next_index": k})` count alike.
        process_index: This host.
        process_count: Hosts.
        threads: Each loads a whole batch, and one more waits; 0 loads in the caller.

    Raises:
        InputError: no pictures, or a batch that the hosts cannot share evenly.
    """
    if not len(source):
        raise InputError("batches need at least one picture, the source has none")
    if batch_size < 1 or batch_size % process_count:
        raise InputError(
            f"the batch size must be a positive multiple of the {process_count} hosts, "
            f"got {batch_size}"
        )
    if len(source) < batch_size and process_index == 0:
        present = ", ".join(source.classes[i] for i in np.unique(source.labels))
        logger.warning(
            "a batch of %d repeats pictures: there are only %d (%s)",
            *(batch_size, len(source), present),
        )
    share = batch_size // process_count
    local = slice(process_index * share, (process_index + 1) * share)
    grid = (turns or 1, batch_size)

    @functools.lru_cache(maxsize=4)  # The threads stand at most a few epochs apart.
    def order(epoch: int) -> Int[np.ndarray, " n"]:
        draws = np.random.default_rng([seed, 0, epoch]).random(len(source))
        return draws.argsort(kind="stable") if shuffle else np.arange(len(source))

    def load(step: int) -> dict:
        drawn = step * grid[0] * batch_size + np.arange(grid[0] * batch_size).reshape(grid)
        epochs, places = np.divmod(drawn[:, local].ravel(), len(source))
        indices = np.array([order(e)[i] for e, i in zip(epochs.tolist(), places, strict=True)])
        batch = _stack(source, indices)
        if flip:
            draws = np.random.default_rng([seed, 1, step]).random(grid)
            flipped = draws[:, local].ravel() < 0.5
            batch["image"][flipped] = batch["image"][flipped, :, ::-1]
        if turns is None:
            return batch
        return {name: x.reshape(turns, share, *x.shape[1:]) for name, x in batch.items()}

    # Not grain's own shuffle: it takes 8 ms a picture where there are 10, 0.2 ms where 600.
    batches = grain.MapDataset.range(2**40).map(load)
    iterator = iter(batches.to_iter_dataset(_read_options(threads)))
    iterator.set_state({"next_index": start})
    return iterator


def in_order(source: Source, batch_size: int, *, threads: int = 2) -> Iterator[dict]:
    """Once through the source: {"image", "label", "mask": bool [b]}, every batch of `batch_size`.

    The last batch is filled up with zeros, where the mask is False.

    Raises:
        InputError: no pictures.
    """
    if not len(source):
        raise InputError("batches need at least one picture, the source has none")

    def load(first: int) -> dict:
        indices = np.arange(first, min(first + batch_size, len(source)))
        missing = batch_size - len(indices)
        batch = {**_stack(source, indices), "mask": np.ones(len(indices), bool)}
        return {
            name: np.concatenate([x, np.zeros((missing, *x.shape[1:]), x.dtype)])
            for name, x in batch.items()
        }

    batches = grain.MapDataset.range(0, len(source), batch_size).map(load)
    return iter(batches.to_iter_dataset(_read_options(threads)))


def _read_options(threads: int) -> grain.ReadOptions:
    ahead = threads + 1 if threads else 0  # Batches in memory at once, besides the caller's.
    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead)


def _stack(source: Source, indices: Int[np.ndarray, " b"]) -> dict:
    if isinstance(source, InMemory):  # One copy instead of two, and no loop.
        return {"image": source.images[indices], "label": source.labels[indices]}
    records = [source[int(index)] for index in indices]
    return {
        "image": np.stack([record["image"] for record in records]),
        "label": np.array([record["label"] for record in records], np.int32),
    }
