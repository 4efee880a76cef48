"""Several trainings of one recipe in one compiled step: small nets, of which a device holds many.

Each has its own seed and images; its random numbers, rows and checkpoints are those of a training
alone (`loop.train`), from which it differs by rounding only, as it does from one in another group.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxgan.engine import loop
from jaxgan.engine.checkpoint import Best, Checkpoints, has_checkpoints
from jaxgan.engine.log import Log
from jaxgan.engine.loop import Found, Members
from jaxgan.engine.options import Evaluation, TrainOptions
from jaxgan.engine.progress import NotFiniteError
from jaxgan.types import Prelude, Recipe, State, Step


@lru_cache
def vmapped(recipe: Recipe, n: int) -> Recipe:
    """Return the recipe of `n` trainings at once: all it takes and returns has a leading axis."""
    prelude, turns = recipe.prelude, recipe.turns
    return Recipe(
        # One after the other, as each alone.
        lambda keys: jax.lax.map(recipe.init, keys),
        vmapped_step(recipe.step, n),
        prelude and Prelude(vmapped_step(prelude.step, n), prelude.count),
        turns and (lambda step: [vmapped_step(one, n) for one in turns(step)]),
    )


@lru_cache  # Compiled once for all groups of as many.
def vmapped_step(step: Step, n: int) -> Step:
    """Return `n` steps at once."""
    return cast(Step, jax.vmap(step, axis_size=n))


def train(
    recipe: Recipe,
    batches: Sequence[Any],
    options: Sequence[TrainOptions],
    workdirs: Sequence[epath.PathLike],
    *,
    logs: Sequence[Log],
    evaluate: Callable[[State], Evaluation],
) -> list[NotFiniteError | None]:
    """Train each until `steps`, and save its best and its last state then.

    Nothing is saved before: after a kill those that are not in the folders begin anew.

    Args:
        recipe: of one of them.
        batches: grain iterators.
        options: equal but for `seed`, `config` and `start`; `best` is needed.
        workdirs: where checkpoints lie.
        logs: each one's, for its rows; the first one's has the lines of all, with means.
        evaluate: called on each state every `sample_every` steps and after the last one.

    Returns:
        For each None, or what ended it; the others are as good as without it.

    Raises:
        OutOfMemoryError: names what to lower.
        SystemExit: 143 or 130 after SIGTERM or Ctrl-C.
    """
    failures: dict[int, NotFiniteError | None] = dict.fromkeys(range(len(options)))
    left = [i for i, folder in enumerate(workdirs) if not _trained(folder, options[i])]
    if not left:
        return [*failures.values()]
    for i in left:
        if has_checkpoints(workdirs[i]):
            (epath.Path(workdirs[i]) / "checkpoints").rmtree()
    own = [options[i] for i in left]
    keys = [jax.random.split(jax.random.key(one.seed)) for one in own]
    init_keys, train_keys = map(jnp.stack, zip(*keys, strict=True))
    kept = _Kept([workdirs[i] for i in left], own)
    members = Members(
        (init_keys, train_keys),
        [one.seed for one in own],
        [logs[i] for i in left],
        part,
        lambda abstract: None,
        kept.save,
        lambda: None,
        lambda: "the same command begins anew",
        "begins anew",
    )
    common = own[0]._replace(
        batch_axis=own[0].batch_axis + 1,
        start=lambda states: stack([one.start(part(states, i)) for i, one in enumerate(own)]),
    )
    several = vmapped(recipe, len(left))
    ended = loop.run(several, _Stacked([batches[i] for i in left]), common, members, evaluate)
    failures |= dict(zip(left, ended.progress.failures, strict=True))
    return [*failures.values()]


class _Stacked:
    """Batches of several iterators at once, on a new leading axis."""

    def __init__(self, batches: Sequence[Any]):
        self._batches = batches

    def __next__(self) -> dict[str, np.ndarray]:
        return jax.tree.map(lambda *x: np.stack(x), *map(next, self._batches))

    def set_state(self, state: dict) -> None:
        for each in self._batches:
            each.set_state(state)


class _Kept:
    """The best state of each training so far, which is written with the last one."""

    def __init__(self, workdirs: Sequence[epath.PathLike], options: Sequence[TrainOptions]):
        self._workdirs, self._options = workdirs, options
        self._best: dict[int, tuple[int, State, dict]] = {}

    def save(self, step: int, states: State, data: dict, found: Found) -> None:
        for i, metrics in found.items():
            options, new = self._options[i], (step, jax.device_get(part(states, i)), metrics)
            assert options.best is not None
            if i not in self._best or _as_good(options.best, metrics, self._best[i][2]):
                self._best[i] = new
            if step != options.steps:
                continue
            kept = {at: (state, reached) for at, state, reached in (self._best[i], new)}
            with Checkpoints(self._workdirs[i], options.best) as checkpoints:
                for at, (state, reached) in sorted(kept.items()):
                    mine = data | {"next_index": at}
                    checkpoints.save(at, state, options.config or {}, mine, reached)
                    checkpoints.wait()


def _as_good(best: Best, new: dict, old: dict) -> bool:
    """Return whether `new` is at least as good; of equals the later one counts, as in Orbax."""
    a, b = new[best.metric], old[best.metric]
    return a >= b if best.mode == "max" else a <= b


def _trained(folder: epath.PathLike, options: TrainOptions) -> bool:
    if not has_checkpoints(folder):
        return False
    with Checkpoints(folder, options.best, read_only=True) as checkpoints:
        return checkpoints.latest == options.steps


def stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *x: jnp.stack(x), *trees)


@jax.jit
def part(states: State, i: int) -> State:
    """Return the state of training i."""
    return jax.tree.map(lambda x: x[i], states)
