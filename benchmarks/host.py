"""What the host does beside the devices' steps, each way as it was and as it is.

    python benchmarks/host.py

Prints one JSON object per figure; contenders take turns, and medians count. README.md in this
folder says what each figure is.
"""

import datetime
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import measure
import numpy as np
from absl import flags

from jaxgan.cli import command
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine import sharding
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.engine.log import Log
from jaxgan.engine.options import TrainOptions
from jaxgan.engine.progress import Progress
from jaxgan.engine.updates import Updates, fold_in
from jaxgan.training.device_flips import mirrored
from jaxgan.types import Recipe

FLAGS = flags.FLAGS
flags.DEFINE_integer("resolution", 64, "Side of the images.", 8)
flags.DEFINE_integer("batch_size", 64, "Images a batch.", 1)
flags.DEFINE_integer("megabytes", 100, "Of the state that is saved.", 1)
flags.DEFINE_integer("rounds", 7, "Turns of each contender, whose median counts.", 1)
flags.DEFINE_float("seconds", 0.2, "A turn repeats short calls for this long.", 0)


def main() -> None:
    source = loader.in_memory(ToySource(FLAGS.resolution, count=50))
    about = {"resolution": FLAGS.resolution, "batch_size": FLAGS.batch_size}
    about |= {"device": measure.device_name(), "jax": metadata.version("jax")}
    about |= {"date": datetime.date.today().isoformat()}
    with tempfile.TemporaryDirectory() as folder:
        compare(about, "key", interleave(keys(), 100))
        compare(about, "loading", interleave(loading(source), 30))
        drained, asked, by_eight = steps(source, Path(folder))
        compare(about, "dispatch", interleave({"one_by_one": asked, "by_eight": by_eight}, 160))
        runs = {"drained": drained, "asked": asked}
        compare(about, "step", measure.interleave(runs, FLAGS.rounds, FLAGS.seconds))
        compare(about, "checkpoint", saving(Path(folder)))


def interleave(runs: dict[str, measure.Run], count: int) -> dict[str, measure.Timing]:
    """Time contenders by turns, by what the calling thread computes: others do not disturb it."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(FLAGS.rounds):
        for name, run in runs.items():
            clock = time.thread_time()
            run(count)
            times[name].append((time.thread_time() - clock) / count)
    return {k: measure.Timing(statistics.median(v), min(v), max(v)) for k, v in times.items()}


def compare(about: dict, figure: str, times: dict[str, measure.Timing]) -> None:
    """Report milliseconds of each way, and how many times as fast each one is as the first."""
    first = next(iter(times.values()))
    for name, t in times.items():
        bounds = {"low": t.low * 1e3, "high": t.high * 1e3, "gain": first.median / t.median}
        measure.report(about, f"{figure}_ms", t.median * 1e3, "ms", of=name, **bounds)


def keys() -> dict[str, measure.Run]:
    """Return the key of a step."""
    key = jax.random.key(0)

    def run(fold: Callable) -> measure.Run:
        def several(count: int) -> None:
            for i in range(count):
                found = fold(key, np.uint32(i))
            jax.block_until_ready(found)

        several(1)
        return several

    return {"eager": run(jax.random.fold_in), "jitted": run(fold_in)}


def loading(source: Source) -> dict[str, measure.Run]:
    """Return a batch from memory, half of whose images are mirrored."""

    def on_host(batches: Iterator) -> Iterator:
        for batch in batches:
            mirror = batch["mirror"]
            batch["image"][mirror] = batch["image"][mirror, :, ::-1]
            yield batch

    def run(change: Callable[[Iterator], Iterator]) -> measure.Run:
        # In this thread, to be timed with it.
        batches = change(make_batches(source, threads=0))

        def several(count: int) -> None:
            for _ in range(count):
                next(batches)

        several(2)
        return several

    return {"mirrored_on_host": run(on_host), "as_it_is": run(iter)}


def make_batches(source: Source, **more: Any) -> Iterator:
    size = FLAGS.batch_size
    return loader.make_batches(source, batch_size=size, seed=0, flip=True, labels=False, **more)


def small() -> Recipe:
    """Of one weight: what is left of a step is the host's."""

    def step(state, batch, key):
        mean = batch["image"][:, 0, 0].astype(jnp.float32).mean(0) / 255
        weight = 0.9 * state + mean + 0.1 * jax.random.normal(key, (3,))
        return weight, {"loss": weight.sum(), "height": weight.max()}

    return mirrored(Recipe(lambda key: jax.random.normal(key, (3,)), step))


def steps(source: Source, folder: Path) -> list[measure.Run]:
    """A step of one weight with a line in every tenth: drained for it, asked for, or by eight."""
    recipe, devices, key = small(), sharding.spread("jit"), jax.random.key(0)
    batch = next(make_batches(source))

    def run(name: str, asks: bool, count_a_call: int = 1) -> measure.Run:
        log = Log(folder / name)
        log.line = lambda text: None  # type: ignore[method-assign]
        compile_step = lambda program, *given: program.lower(*given).compile()  # noqa: E731
        updates = Updates(recipe, itertools.repeat(batch), devices, 0, compile_step)
        options = TrainOptions(10**9, FLAGS.batch_size)
        progress = Progress([log], [0], 0, options, updates)
        state, done = devices.place(recipe.init(key)), 0

        def several(count: int) -> None:
            nonlocal state, done
            goal = done + count
            while done < goal:
                if count_a_call > 1:
                    state, metrics = updates.several(state, done, count_a_call, key)
                else:
                    state, metrics = updates.run(state, done, key)
                before, done = done, done + count_a_call
                progress.add(done, metrics, count_a_call)
                if done // 10 > before // 10:
                    (progress.ask if asks else progress.flush)(done)
            jax.block_until_ready(state)

        several(20)
        return several

    return [run("a", False), run("b", True), run("c", True, 8)]


def saving(folder: Path) -> dict[str, measure.Timing]:
    """Return how long training waits while a state is saved, the save before being done."""
    state = {"weights": jnp.ones((FLAGS.megabytes, 2**18))}
    times: dict[str, list[float]] = {"summed_first": [], "in_background": []}
    with Checkpoints(folder / "checkpoints") as checkpoints:
        for step in range(2 * FLAGS.rounds):
            name = list(times)[step % 2]
            checkpoints.wait()
            clock = time.perf_counter()
            checkpoints.save(step, state, {}, {})
            if name == "summed_first":  # The part that was done before it returned.
                checkpoints._under_way.result()  # type: ignore[union-attr]
            times[name].append(time.perf_counter() - clock)
    return {k: measure.Timing(statistics.median(v), min(v), max(v)) for k, v in times.items()}


if __name__ == "__main__":
    command.run(main)
