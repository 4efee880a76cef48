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
from jaxtyping import Int

from jaxgan.data import dataset, folder, images, prepared, walk
from jaxgan.data.dataset import Dataset, Source
from jaxgan.data.fingerprint import add_to_fingerprint, start_fingerprint
from jaxgan.data.images import Crop
from jaxgan.data.ranges import Scale
from jaxgan.data.sources import discover
from jaxgan.data.threads import in_threads
from jaxgan.data.toy import animals
from jaxgan.errors import InputError
from jaxgan.system import machine
from jaxgan.system.terminal import few

logger = logging.getLogger("jaxgan")
LOOKED_AT = 200  # Images, for their size.


def open_source(
    path: str | os.PathLike[str],
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
) -> Dataset:
    """Read images: prepared or not, where `discover.find` finds some, or drawn ones.

    Args:
        path: what `folder.read` takes, a prepared set (see `prepared.read`: it is cropped, and
            nothing in it is unreadable) or "toy"; a folder of that name is "./toy".
        resolution: side of the square images in pixels.
        classes: the classes wanted; None takes all.
        crop: "center" or "stretch".
        on_error: what an unreadable file does: "skip" or "raise".
        count: images a class: as many are drawn, or at most so many chosen at random from a
            folder. None takes all of a folder, and the default of `animals.read`.
        seed: of the drawing or choosing.
        given_sides: of a folder with train and test folders; see `folder.read`.
        reading: of a folder's layout, likewise.
        grouped: which images stay on one side, likewise.
        scale: of gray values beyond 8 bits, likewise.

    Raises:
        InputError: see `folder.read`, `prepared.read` and `animals.read`.
    """
    if os.fspath(path) == "toy":
        given: dict[str, Any] = {"classes": classes, "count": count}
        given = {name: value for name, value in given.items() if value is not None}
        return animals.read(resolution, seed=seed, **given).in_memory()
    if prepared.is_prepared(path):
        found = prepared.read(
            path, resolution, classes=classes, grouped=grouped, given_sides=given_sides
        )
    else:
        found = folder.read(
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
        return found
    order = np.random.default_rng(seed).permutation(len(found))
    of_class = [order[found.labels[order] == label] for label in range(len(found.classes))]
    return found.select(np.sort(np.concatenate([indices[:count] for indices in of_class])))


def exists(path: str | os.PathLike[str]) -> bool:
    """Return whether there is something at a path that `open_source` may read."""
    return os.fspath(path) == "toy" or discover.exists(path)


def usual_side(path: str | os.PathLike) -> int:
    """Return the median of the shorter sides in px of the first images; a prepared set's own.

    Raises:
        InputError: there is no image that can be read.
    """
    if prepared.is_prepared(path):
        return int(prepared.read_info(path)["resolution"])
    sides: list[int] = []
    for root, place in _places(path):
        if len(sides) == LOOKED_AT:
            break
        try:
            with images.open_file(discover.read(root, place)) as image:
                sides.append(min(image.size))
        except Exception:  # Reading it for good will say what is wrong.
            continue
    if not sides:
        raise InputError(f"a folder must hold images, and {path} has none that can be read")
    return int(np.median(sides))


def _places(path: str | os.PathLike) -> Iterator[tuple[str, Any]]:
    """Where images are: of a folder in the order of their names, whatever its layout."""
    root = Path(path).expanduser()
    if root.is_dir():
        yield from ((str(root), file.place) for file in walk.of_folder(root).images)
        return
    found = discover.find(path, flag="data.path")
    yield from ((found.root, entry.place) for entry in found.entries)


def Subset(source: Source, indices: Sequence[int] | Int[np.ndarray, " n"]) -> Dataset:
    """`Dataset.select`, as it was called before."""
    return dataset.of(source).select(indices)


def in_memory(source: Source) -> Dataset:
    """Return the same source with its images in RAM."""
    return dataset.of(source).in_memory()


def fingerprint(source: Source) -> str:
    """SHA-256 (64 hex digits) over classes, resolution, names, labels and pixels, in order."""
    of = dataset.of(source)
    if of.fingerprint is not None:
        return of.fingerprint
    digest = start_fingerprint(of.classes, of.resolution)
    pixels = in_threads(of.image, len(of))
    for name, label, image in zip(of.names, of.labels, pixels, strict=True):
        add_to_fingerprint(digest, name, label, image)
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

    Every epoch is shuffled anew and covers each image once; batches run on across its end.
    What batch t holds depends on the source, `seed`, t, `batch_size` and `turns` alone: the hosts'
    shares, one after the other, are the batch of a single host, flips included. A source with
    `weights` gives "weight", float32 [b], too; of one with `phases` each step draws of its phase
    alone, whose epochs begin with it.

    Args:
        source: At least one image.
        batch_size: Of all hosts together; divisible by `process_count`.
        seed: At least 0.
        shuffle: False keeps the source's order.
        flip: Choose with probability 1/2 of each image that it is to be mirrored.
        labels: False leaves them out.
        turns: Where given, a batch is so many batches on a leading axis: [turns, b, ...].
        start: Batches drawn before: k goes on as an iterator that was never stopped goes on after
            k batches. `get_state()` and `set_state({"next_index": k})` count alike.
        process_index: This host.
        process_count: Hosts.
        threads: That load, so that one batch or more is ready while the caller works; 0 loads in
            the caller. None: as many as help, which is 1 where the images are in memory and
            else the cores of this process.

    Raises:
        InputError: no images, or a batch that the hosts cannot share evenly.
    """
    of = dataset.of(source)
    if not len(of):
        raise InputError("batches need at least one image, the source has none")
    if batch_size < 1 or batch_size % process_count:
        raise InputError(
            f"the batch size must be a positive multiple of the {process_count} hosts, "
            f"got {batch_size}"
        )
    if len(source) < batch_size and process_index == 0:
        present = few([source.classes[i] for i in np.unique(source.labels)])
        logger.warning(
            "a batch of %d repeats images: there are only %d (%s)",
            *(batch_size, len(source), present),
        )
    share = batch_size // process_count
    local = slice(process_index * share, (process_index + 1) * share)
    grid = (turns or 1, batch_size)

    threads = _best_threads(of) if threads is None else threads
    stack = _stacker(of, threads)

    phases = of.phases or ((0, np.arange(len(source))),)

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

    # Not grain's own shuffle: it takes 8 ms an image where there are 10, 0.2 ms where 600.
    batches = grain.MapDataset.range(2**40).map(load)
    iterator = iter(batches.to_iter_dataset(_read_options(threads, grid[0] * share)))
    iterator.set_state({"next_index": start})
    return iterator


def in_order(source: Source, batch_size: int, *, threads: int | None = None) -> Iterator[dict]:
    """Once through the source: {"image", "label", "mask": bool [b]}, every batch of `batch_size`.

    The last batch is filled up with zeros, where the mask is False; `threads` as in `make_batches`.

    Raises:
        InputError: no images.
    """
    of = dataset.of(source)
    if not len(of):
        raise InputError("batches need at least one image, the source has none")
    threads = _best_threads(of) if threads is None else threads
    stack = _stacker(of, threads)

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


def _best_threads(source: Dataset) -> int:
    """Copying needs no more than one; decoding all cores, of which Python's lock feeds 20 to 30."""
    return 1 if source.in_ram else min(machine.cores(), 32)


def _read_options(threads: int, pictures: int) -> grain.ReadOptions:
    """Grain's threads wait for those of `_stacker`, one for each batch that is under way.

    So many are under way that all threads find an image to load while one batch is completed, and
    one more is kept: a CPU's training step waits 3 % of its time instead of 10 %.
    """
    ahead = 1 + -(-threads // pictures) if threads > 1 else threads
    return grain.ReadOptions(num_threads=ahead, prefetch_buffer_size=ahead + 1 if ahead else 0)


def _stacker(source: Dataset, threads: int) -> Callable[[Int[np.ndarray, " b"]], dict]:
    """indices -> their images and labels, loaded by `threads` threads where that is above 1.

    The threads share each batch: the first one comes soon, and few need room at once.
    """
    pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def stack(indices: Int[np.ndarray, " b"]) -> dict:
        found = {"label": source.labels[indices]}
        if source.weights is not None:
            found["weight"] = source.weights[indices]
        if source.images is not None:
            return {"image": source.images[indices], **found}
        shape = (len(indices), source.resolution, source.resolution, 3)
        images = np.empty(shape, np.uint8)

        def fill(part: range) -> None:
            for i in part:
                images[i] = source.image(int(indices[i]))

        if pool is None:
            fill(range(len(indices)))
        else:
            parts = min(threads, len(indices))
            list(pool.map(fill, [range(i, len(indices), parts) for i in range(parts)]))
        return {"image": images, **found}

    return stack
