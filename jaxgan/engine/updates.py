"""The updates of a recipe, compiled for some devices: what trainings run and forecasts time."""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from jaxgan.engine.sharding import Devices
from jaxgan.steps.accumulation import repeat
from jaxgan.types import Batch, Metrics, PRNGKey, Recipe, State, Step


@lru_cache
def in_one_call(step: Step) -> Step:
    """Return several steps as one: all but the state has a leading axis of them."""

    def several(state: State, batches: Batch, keys: PRNGKey) -> tuple[State, Metrics]:
        return repeat(lambda state, xs: step(state, *xs), state, (batches, keys))

    return several


@jax.jit
def fold_in(key: PRNGKey, number: Any) -> PRNGKey:
    """Return `jax.random.fold_in` of a key, or of each of several."""
    fold = jax.vmap(jax.random.fold_in, (0, None)) if key.ndim else jax.random.fold_in
    return fold(key, number)


_fold_all = jax.jit(jax.vmap(fold_in, (None, 0)))


class Updates:
    """Runs a recipe's steps, each program compiled when it is first due.

    Args:
        recipe: says which updates a step has.
        batches: a grain iterator of {"image", "label"}; its position is its number of batches.
        devices: where they run.
        batch_axis: which axis of the batches' arrays counts images.
        compile_step: see `watch_memory`.

    Attributes:
        programs: the compiled ones.
        splits: whether a step may be several programs.
        drawn: batches drawn.
        waited: seconds in which they were waited for.
        on_compile: called when a program has been compiled, with the batches drawn for it.
    """

    def __init__(
        self,
        recipe: Recipe,
        batches: Any,
        devices: Devices,
        batch_axis: int,
        compile_step: Callable[..., Callable],
    ):
        self._batches, self._devices, self._axis = batches, devices, batch_axis
        self._compile = compile_step
        self.preludes = recipe.prelude.count if recipe.prelude else lambda step: 0
        self._prelude = [recipe.prelude.step] if recipe.prelude else []
        self.splits = recipe.turns is not None  # Which are compiled apart.
        self._turns = recipe.turns or (lambda step: [recipe.step])
        self.programs: dict[Step, Any] = {}
        self.drawn, self.waited = 0, 0.0
        self.on_compile: Callable[[int], None] = lambda batches: None

    def seek(self, step: int) -> None:
        """Go to the batch that comes after so many steps."""
        self._batches.set_state({"next_index": step + sum(map(self.preludes, range(step)))})

    def run(self, state: State, step: int, key: PRNGKey) -> tuple[State, Metrics]:
        """Dispatch the step after `step` steps, and what comes before it."""
        key = fold_in(key, np.uint32(step))
        before: list[Metrics] = []
        for i in range(self.preludes(step)):
            state, metrics = self.prelude(state, fold_in(fold_in(key, 2), np.uint32(i)))
            before.append(metrics)
            jax.block_until_ready(before[-3:-2])  # Or batches would fill the device.
        return self.step(state, step, key)

    def step(self, state: State, step: int, key: PRNGKey) -> tuple[State, Metrics]:
        """Dispatch the step after `step` steps alone, with its own key."""
        return self._update(self._turns(step), state, key)

    def several(self, state: State, step: int, count: int, key: PRNGKey) -> tuple[State, Metrics]:
        """Dispatch the `count` steps after `step` steps in one call; see `in_one_call`."""
        keys = _fold_all(key, np.arange(step, step + count, dtype=np.uint32))
        (one,) = self._turns(step)
        drawn = [self._draw() for _ in range(count)]
        batch = jax.tree.map(lambda *x: np.stack(x), *drawn)
        batch = self._devices.shard(batch, self._axis + 1)
        return self._call([in_one_call(one)], state, batch, keys, count)

    def prelude(self, state: State, key: PRNGKey) -> tuple[State, Metrics]:
        """Dispatch one of the updates that come before some steps."""
        return self._update(self._prelude, state, key)

    def _update(self, steps: Sequence[Step], state: State, key: PRNGKey) -> tuple[State, Metrics]:
        batch = self._devices.shard(self._draw(), self._axis)
        return self._call(steps, state, batch, key, 1)

    def _call(
        self, steps: Sequence[Step], state: State, batch: Batch, key: PRNGKey, batches: int
    ) -> tuple[State, Metrics]:
        metrics: Metrics = {}
        for step in steps:
            if step not in self.programs:
                program = self._devices.compile(step)
                self.programs[step] = self._compile(program, state, batch, key)
                self.on_compile(batches)
            state, more = self.programs[step](state, batch, key)
            metrics |= more
        return state, metrics

    def _draw(self) -> dict[str, np.ndarray]:
        before = time.perf_counter()
        batch = next(self._batches)
        self.waited += time.perf_counter() - before
        self.drawn += 1
        return batch
