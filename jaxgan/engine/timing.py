"""What a few steps of a training take, run as the training loop runs them."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.engine import memory, sharding
from jaxgan.engine.loop import QUICK
from jaxgan.engine.options import TrainOptions
from jaxgan.engine.updates import Updates
from jaxgan.types import Metrics, Recipe, State


class Timing(NamedTuple):
    """Seconds and bytes of a training's steps.

    Attributes:
        init: seconds before there were weights.
        compile: seconds more before each program had run once, and those of the first look.
        step: seconds a step, the loading of its images included.
        prelude: of an update that comes before some steps; 0 where there are none.
        preludes: how many of these, by the steps done before.
        memory: bytes of a device.
        checkpoint: bytes of the state but for what is all zeros, which takes none in a file.
        look: seconds a generated image of a GAN, or a batch that a classifier judges.
    """

    init: float
    compile: float
    step: float
    prelude: float
    preludes: Callable[[int], int]
    memory: int
    checkpoint: int
    look: float


def time_steps(
    recipe: Recipe,
    batches: Any,
    options: TrainOptions,
    seconds: float,
    look: Callable[[State], tuple[float, float]] = lambda state: (0.0, 0.0),
) -> Timing:
    """Run a few steps with random weights; nothing of it is kept.

    Args:
        recipe: of the training.
        batches: its own.
        options: its own; no more than its devices, seed and memory settings count.
        seconds: how long to time steps: at least two are, after two that are not.
        look: from the last state to seconds of a look, and more of the first one.

    Raises:
        OutOfMemoryError: names what to lower.
    """
    devices = sharding.spread(options.parallel)
    init_key, key = jax.random.split(jax.random.key(options.seed))
    with memory.watch_memory(options.memory, lambda text: None) as compile_step:
        updates = Updates(recipe, batches, devices, options.batch_axis, compile_step)
        clock = time.perf_counter()
        state = devices.place(jax.jit(recipe.init, compiler_options=QUICK)(init_key))
        jax.block_until_ready(state)
        init, done, pending = time.perf_counter() - clock, 0, list[Metrics]()

        def step() -> None:
            nonlocal state, done
            state, metrics = updates.step(state, done, key)
            pending.append(metrics)
            jax.block_until_ready(pending[-3:-2])  # As `Progress.add` does.
            done += 1

        def timed(run: Callable[[], None]) -> float:
            clock = time.perf_counter()
            run()
            jax.block_until_ready(state)
            return time.perf_counter() - clock

        def several() -> None:
            first, begin = done, time.perf_counter()
            while done < first + 2 or time.perf_counter() - begin < seconds:
                step()

        def prelude() -> None:
            nonlocal state
            state, _ = updates.prelude(state, key)

        compiling = timed(step)  # With all parts that are due together at the first one.
        step()
        jax.block_until_ready(state)
        first = done
        each = timed(several) / (done - first)
        compiling, before = max(0.0, compiling - each), 0.0
        if recipe.prelude:
            whole, before = timed(prelude), timed(prelude)
            compiling += max(0.0, whole - before)
        found = [memory.needs(program) for program in updates.programs.values()]
    needs = max((sum(one) for one in found if one is not None), default=0)
    state = devices.fetch(state)
    looking, more = look(state)
    return Timing(
        *(init, compiling + more, each, before, updates.preludes, needs),
        *(_stored_bytes(state), looking),
    )


def _stored_bytes(state: State) -> int:
    """Return the bytes of a state but for what is all zeros, which takes none in a file."""
    return sum(x.nbytes for x in jax.tree.leaves(state) if np.any(x))
