"""Sources to batches: the same for any number of threads and hosts, from any position on."""

import functools
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import grain
import numpy as np
from jaxtyping import Float32, Int

from jaxgan.data import images, prepared, walk
from jaxgan.data.folder import (
    FolderSource,
    Source,
    add_to_fingerprint,
    in_threads,
    start_fingerprint,
)
from jaxgan.data.images import Crop
from jaxgan.data.prepared import RecordSource
from jaxgan.data.ranges import Scale
from jaxgan.data.toy.animals import ToySource
from jaxgan.errors import InputError
from jaxgan.system import machine

logger = logging.getLogger("jaxgan")
LOOKED_AT = 200  # Pictures of a folder, for their size.
Phases = Sequence[tuple[int, Int[np.ndarray, " m"]]]  # First steps, and positions from then on.


def open_source(
    path: str | os.PathLike,
    resolution: int,
    *,
    classes: Sequence[str] | None = None,
    crop: Crop = "center",
    on_error: Literal["skip", "raise"] = "skip",
    count: int | None = None,
    seed: int = 0,
    given_sides: Literal["use", "merge"] = "use",
    reading: str = "auto",
    grouped: str | None = None,
    scale: Scale | None = None,
) -> Source:
    """The pictures of a folder, prepared or not, or drawn ones where the path is "toy".

    Args:
        path: A folder (see `FolderSource`), a prepared set (see `RecordSource`: it is cropped, and
            nothing in it is unreadable) or "toy"; a folder of that name is "./toy".
        resolution: Side of the square pictures in pixels.
        classes: The classes wanted; None takes all.
        crop: "center" or "stretch".
        on_error: What an unreadable file does: "skip" or "raise".
        count: Pictures a class: as many are drawn, or at most so many chosen at random from a
            folder. None takes all of a folder, and the default of `ToySource`.
        seed: Of the drawing or choosing.
        given_sides: Of a folder with train and test folders; see `FolderSource`.
        reading: Of a folder's layout, likewise.
        grouped: Which images stay on one side, likewise.
        scale: Of gray values beyond 8 bits, likewise.

    Raises:
        InputError: see `FolderSource`, `RecordSource` and `ToySource`.
    """
    if os.fspath(path) == "toy":
        given: dict[str, Any] = {"classes": classes, "count": count}
        given = {name: value for name, value in given.items() if value is not None}
        return InMemory(ToySource(resolution, seed=seed, **given))
    if prepared.is_prepared(path):
        source: Source = RecordSource(path, resolution, classes=classes, grouped=grouped)
    else:
        source = FolderSource(
            path,
            resolution,
            classes=classes,
            crop=crop,
            on_error=on_error,
            given_sides=given_sides,
            reading=reading,
            grouped=grouped,
            scale=scale,
        )
    if count is None:
        return source
    order = np.random.default_rng(seed).permutation(len(source))
    of_class = [order[source.labels[order] == label] for label in range(len(source.classes))]
    return Subset(source, np.sort(np.concatenate([indices[:count] for indices in of_class])))


def usual_side(path: str | os.PathLike) -> int:
    """The median of the shorter sides in px of a folder's first pictures; a prepared set's own.

    Raises:
        InputError: there is no picture that can be read.
    """
    if prepared.is_prepared(path):
        return int(prepared.read_info(path)["resolution"])
    found: list[int] = []
    root = Path(path).expanduser()
    for file in walk.of_folder(root).images if root.is_dir() else ():
        if len(found) == LOOKED_AT:
            break
        if not os.path.isfile(root / str(file.place)):  # Opening a pipe would wait.
            continue
        try:
            with images.open_file(root / str(file.place)) as image:
                found.append(min(image.size))
        except (OSError, ValueError):
            continue
    if not found:
        raise InputError(f"a folder must hold pictures, and {path} has none that can be read")
    return int(np.median(found))


class Subset:
    """The pictures of a source at `indices`, in their order; a source too."""

    def __init__(self, source: Source, indices: Sequence[int] | Int[np.ndarray, " n"]):
        self.parts = (source,)
        self._indices = np.asarray(indices, np.int64)
        self.classes = source.classes
        self.resolution = source.resolution
        self.labels = source.labels[self._indices]
        self.names = tuple(source.names[i] for i in self._indices)
        self.unreadable = getattr(source, "unreadable", [])
        sides = getattr(source, "sides", None)  # Of a prepared set; see `RecordSource`.
        self.sides = None if sides is None else sides[self._indices]
        self.fractions = getattr(source, "fractions", None)
        given = getattr(source, "given", None)  # Of folders like train and test.
        self.given = None if given is None else given[self._indices]
        groups = getattr(source, "groups", None)  # Of images that stay on one side.
        self.groups = None if groups is None else groups[self._indices]
        for name in ("left_out", "kinds", "oddities", "scale"):  # For `account`.
            setattr(self, name, getattr(source, name, None) or {})
        digests = getattr(source, "digests", None)  # Of a folder's files.
        self.digests = None if digests is None else digests[self._indices]

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> dict:
        return self.parts[0][int(self._indices[index])]

    def image_at(self, index: int, resolution: int) -> np.ndarray:
        """As a folder has it at another resolution; of others the picture that they have."""
        source, index = self.parts[0], int(self._indices[index])
        larger = getattr(source, "image_at", None)
        return source[index]["image"] if larger is None else larger(index, resolution)


class Concat:
    """Several sources of the same classes and resolution one after the other; a source too.

    Names are unique only where they are so among the parts.

    Attributes:
        weights: float32 [n], of the pictures in the loss; None: all weigh the same.
        phases: steps and positions, rising: from each step on `make_batches` draws of these alone.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        weights: Float32[np.ndarray, " n"] | None = None,
        phases: Phases | None = None,
    ):
        if len({(tuple(source.classes), source.resolution) for source in sources}) != 1:
            got = "; ".join(f"{', '.join(s.classes)} at {s.resolution}" for s in sources)
            raise InputError(f"joined sources must have the same classes and resolution, got {got}")
        self.parts = tuple(sources)
        self.weights, self.phases = weights, phases
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
        return self.parts[part][index - start]


class InMemory:
    """A source's pictures (or features of them), read once by threads and kept."""

    def __init__(self, source: Source):
        self.classes = source.classes
        self.resolution = source.resolution
        self.labels = source.labels
        self.names = source.names
        self.weights = getattr(source, "weights", None)
        self.phases = getattr(source, "phases", None)
        like = source[0]["image"] if len(source) else np.empty((0, 0, 3), np.uint8)
        self.images = np.empty((len(source), *like.shape), like.dtype)
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
    if isinstance(source, FolderSource | RecordSource):
        return source.fingerprint
    digest = start_fingerprint(source.classes, source.resolution)
    pictures = in_threads(source.__getitem__, len(source))
    for name, record in zip(source.names, pictures, strict=True):
        add_to_fingerprint(digest, name, record["label"], record["image"])
    return digest.hexdigest()


def make_batches(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    flip: bool = False,
    labels: bool = True,
    turns: int | None = None,
    start: int = 0,
    process_index: int = 0,
    process_count: int = 1,
    threads: int | None = None,
) -> grain.DatasetIterator:
    """Endless batches {"image": uint8 [b, r, r, 3], "label": int32 [b]}, b the host's share.

    With `flip` they have "mirror", bool [b], too: the device mirrors faster than the host.

    Every epoch is shuffled anew and covers each picture once; batches run on across its end.
    What batch t holds depends on the source, `seed`, t, `batch_size` and `turns` alone: the hosts'
    shares, one after the other, are the batch of a single host, flips included. A source with
    `weights` gives "weight", float32 [b], too; of one with `phases` each step draws of its phase
    alone, whose epochs begin with it.

    Args:
        source: At least one picture.
        batch_size: Of all hosts together; divisible by `process_count`.
        seed: At least 0.
        shuffle: False keeps the source's order.
        flip: Choose with probability 1/2 of each picture that it is to be mirrored.
        labels: False leaves them out.
        turns: Where given, a batch is so many batches on a leading axis: [turns, b, ...].
        start: Batches drawn before: k goes on as an iterator that was never stopped goes on after
            k batches. `get_state()` and `set_state({"next_index": k})` count alike.
        process_index: This host.
        process_count: Hosts.
        threads: That load, so that one batch or more is ready while the caller works; 0 loads in
            the caller. None: as many as help, which is 1 where the pictures are in memory and
            else the cores of this process.

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

    threads = _best_threads(source) if threads is None else threads
    stack = _stacker(source, threads)

    phases = getattr(source, "phases", None) or ((0, np.arange(len(source))),)

    @functools.lru_cache(maxsize=4)  # The threads stand at most a few epochs apart.
    def order(phase: int, epoch: int) -> Int[np.ndarray, " n"]:
        first, members = phases[phase]
        draws = np.random.default_rng([seed, 0, epoch, *[first] * (phase > 0)]).random(len(members))
        return members[draws.argsort(kind="stable")] if shuffle else members

    def load(step: int) -> dict:
        phase = max(i for i, (first, _) in enumerate(phases) if first <= step or i == 0)
        first, members = phases[phase]
        drawn = (step - first) * grid[0] * batch_size
        drawn = drawn + np.arange(grid[0] * batch_size).reshape(grid)
        epochs, places = np.divmod(drawn[:, local].ravel(), len(members))
        pairs = zip(epochs.tolist(), places, strict=True)
        indices = np.array([order(phase, e)[i] for e, i in pairs])
        batch = stack(indices)
        if flip:
            draws = np.random.default_rng([seed, 1, step]).random(grid)
            batch["mirror"] = draws[:, local].ravel() < 0.5
        if not labels:
            del batch["label"]
        if turns is None:
            return batch
        return {name: x.reshape(turns, share, *x.shape[1:]) for name, x in batch.items()}

    # Not grain's own shuffle: it takes 8 ms a picture where there are 10, 0.2 ms where 600.
    batches = grain.MapDataset.range(2**40).map(load)
    iterator = iter(batches.to_iter_dataset(_read_options(threads, grid[0] * share)))
    iterator.set_state({"next_index": start})
    return iterator


def in_order(source: Source, batch_size: int, *, threads: int | None = None) -> Iterator[dict]:
    """Once through the source: {"image", "label", "mask": bool [b]}, every batch of `batch_size`.

    The last batch is filled up with zeros, where the mask is False; `threads` as in `make_batches`.

    Raises:
        InputError: no pictures.
    """
    if not len(source):
        raise InputError("batches need at least one picture, the source has none")

    threads = _best_threads(source) if threads is None else threads
    stack = _stacker(source, threads)

    def load(first: int) -> dict:
        indices = np.arange(first, min(first + batch_size, len(source)))
        missing = batch_size - len(indices)
        batch = {**stack(indices), "mask": np.ones(len(indices), bool)}
        return {
            name: np.concatenate([x, np.zeros((missing, *x.shape[1:]), x.dtype)]) if missing else x
            for name, x in batch.items()
        }

    batches = grain.MapDataset.range(0, len(source), batch_size).map(load)
    return iter(batches.to_iter_dataset(_read_options(threads, batch_size)))


def _best_threads(source: Source) -> int:
    """Copying needs no more than one; decoding all cores, of which Python's lock feeds 20 to 30."""
    return 1 if _kept(source) else min(machine.cores(), 32)


def _kept(source: Source) -> bool:
    if isinstance(source, Subset | Concat):
        return all(_kept(part) for part in source.parts)
    return getattr(source, "images", None) is not None


def _read_options(threads: int, pictures: int) -> grain.ReadOptions:
    """Grain's threads wait for those of `_stacker`, one for each batch that is under way.

    So many are under way that all threads find a picture to load while one batch is completed, and
    one more is kept: a CPU's training step waits 3 % of its time instead of 10 %.
    """
    ahead = 1 + -(-threads // pictures) if threads > 1 else threads
    return grain.ReadOptions(num_threads=ahead, prefetch_buffer_size=ahead + 1 if ahead else 0)


def _stacker(source: Source, threads: int) -> Callable[[Int[np.ndarray, " b"]], dict]:
    """indices -> their pictures and labels, loaded by `threads` threads where that is above 1.

    The threads share each batch: the first one comes soon, and few need room at once.
    """
    pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def stack(indices: Int[np.ndarray, " b"]) -> dict:
        found = {"label": source.labels[indices]}
        if (weights := getattr(source, "weights", None)) is not None:
            found["weight"] = weights[indices]
        if (kept := getattr(source, "images", None)) is not None:
            return {"image": kept[indices], **found}
        shape = (len(indices), source.resolution, source.resolution, 3)
        images = np.empty(shape, np.uint8)

        def fill(part: range) -> None:
            for i in part:
                images[i] = source[int(indices[i])]["image"]

        if pool is None:
            fill(range(len(indices)))
        else:
            parts = min(threads, len(indices))
            list(pool.map(fill, [range(i, len(indices), parts) for i in range(parts)]))
        return {"image": images, **found}

    return stack
