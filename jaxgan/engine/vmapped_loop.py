"""Several trainings of one recipe at once, in one compiled step: small nets, on the first device.

Each has its own seed and pictures; its random numbers, rows and checkpoints are those of a training
alone (`loop.train`), from which it differs by rounding only, as it does from one in another group.
"""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxgan.engine import distributed
from jaxgan.engine.checkpoint import Best, Checkpoints, has_checkpoints
from jaxgan.engine.log import Log, duration
from jaxgan.engine.loop import QUICK, Evaluation, TrainOptions, finite
from jaxgan.engine.memory import watch_memory
from jaxgan.engine.progress import NotFiniteError, numbers
from jaxgan.types import Metrics, PRNGKey, Recipe, State, Step


def train(
    recipe: Recipe,
    batches: Sequence[Any],
    options: Sequence[TrainOptions],
    workdirs: Sequence[epath.PathLike],
    *,
    logs: Sequence[Log],
    evaluate: Callable[[State], Evaluation],
) -> list[NotFiniteError | None]:
    """Trains each until `steps`, and saves its best and its last state then.

    Nothing is saved before: after a kill those that are not in the folders begin anew.

    Args:
        recipe: of them all; without a prelude or turns.
        batches: grain iterators, at their beginning.
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
    common, tell = options[0], logs[0].line
    assert common.best is not None
    wrong: list[NotFiniteError | None] = [None] * len(options)
    mine = [i for i, folder in enumerate(workdirs) if not _trained(folder, common)]
    if not mine:
        return wrong

    def begin(i: int) -> tuple[State, PRNGKey]:
        if has_checkpoints(workdirs[i]):
            (epath.Path(workdirs[i]) / "checkpoints").rmtree()
        logs[i].rewind(0)
        init_key, train_key = jax.random.split(jax.random.key(options[i].seed))
        state = jax.jit(recipe.init, compiler_options=QUICK)(init_key)
        return options[i].start(state), train_key

    with (
        distributed.stop_signals() as stopped,
        watch_memory(common.memory, tell) as compile_step,
    ):
        states, keys = jax.tree.map(lambda *x: jnp.stack(x), *map(begin, mine))
        run: Callable | None = None
        pending: list[Metrics] = []
        best: dict[int, tuple[int, State, dict]] = {}
        clock, since = time.perf_counter(), 0  # Of the steps not yet told.

        def fail(i: int, text: str) -> None:
            wrong[i] = NotFiniteError(f"{text}: lower the learning rates or change the seed")
            tell(f"seed {options[i].seed} failed, the others go on: {wrong[i]}")

        def flush(step: int) -> None:
            rows = jax.device_get(pending)
            pending.clear()
            table = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
            rate = len(rows) * len(mine) * common.pictures_a_step / (time.perf_counter() - clock)
            means = []
            for place, i in alive():
                for name, values in table.items():
                    bad = np.flatnonzero(~np.isfinite(values[:, place]))
                    if len(bad) and wrong[i] is None:
                        at, value = since + 1 + bad[0], values[bad[0], place]
                        fail(i, f"{name} must be finite, got {value} at step {at}")
                if wrong[i] is None:
                    mean = {k: float(np.mean(v[:, place])) for k, v in table.items()}
                    # The first step takes longer than the others.
                    timing = {"images_per_second": rate / len(mine)} if since else {}
                    logs[i].metrics(step, mean | timing)
                    means.append(mean)
            left = (common.steps - step) * (time.perf_counter() - clock) / len(rows)
            timing = f"{rate:,.0f} images/s  eta {duration(left)}  " if since else ""
            share = 100 * step // common.steps
            tell(f"step {step:,}/{common.steps:,}  {share}%  {timing}{_mean(means)}")

        def judge(step: int) -> None:
            found = []
            for place, i in alive():
                state = _take(states, place)
                if not finite(state):
                    fail(i, f"weights must be finite, and are not after step {step}")
                    continue
                metrics = evaluate(state).metrics
                found.append(metrics)
                logs[i].metrics(step, metrics)
                if i not in best or _as_good(common.best, metrics, best[i][2]):
                    best[i] = step, jax.device_get(state), metrics
                if step == common.steps:
                    kept = {step: (step, state, metrics)} | {best[i][0]: best[i]}
                    _save(workdirs[i], options[i], [kept[at] for at in sorted(kept)])
            if found:
                tell(f"step {step:,}  {_mean(found)}")

        def alive() -> list[tuple[int, int]]:
            return [(place, i) for place, i in enumerate(mine) if wrong[i] is None]

        for step in range(1, common.steps + 1):
            drawn = [next(batches[i]) for i in mine]
            batch = jax.tree.map(lambda *x: np.stack(x), *drawn)
            arguments = states, batch, keys, np.int32(step - 1)
            if run is None:
                run = compile_step(program(recipe.step), *arguments)
                clock = time.perf_counter()
            states, metrics = run(*arguments)
            pending.append(metrics)
            if len(pending) > 2:  # Batches of steps not yet run fill the device's memory.
                jax.block_until_ready(pending[-3])
            last = step == common.steps
            shown = step % common.sample_every == 0 or last
            every = common.log_every, common.checkpoint_every
            if shown or step == 1 or any(step % each == 0 for each in every):
                flush(step)
                if shown:
                    judge(step)
                clock, since = time.perf_counter(), step
            if stop := stopped():
                if not last:
                    tell(f"stopped at step {step:,}; the same command begins anew")
                raise SystemExit(128 + stop)
            if not alive():
                break
    return wrong


def _trained(folder: epath.PathLike, options: TrainOptions) -> bool:
    if not has_checkpoints(folder):
        return False
    with Checkpoints(folder, options.best, read_only=True) as checkpoints:
        return checkpoints.latest == options.steps


def _as_good(best: Best | None, new: dict, old: dict) -> bool:
    """Of two that are equal the later one counts, as in Orbax."""
    assert best is not None
    a, b = new[best.metric], old[best.metric]
    return a >= b if best.mode == "max" else a <= b


def _save(
    folder: epath.PathLike, options: TrainOptions, kept: Sequence[tuple[int, State, dict]]
) -> None:
    with Checkpoints(folder, options.best) as checkpoints:
        for step, state, metrics in kept:
            data = {"next_index": step, "rollbacks": 0}
            checkpoints.save(step, state, options.config or {}, data, metrics)
            checkpoints.wait()


def _mean(rows: Sequence[dict[str, float]]) -> str:
    names = rows[0] if rows else ()
    return numbers({name: float(np.mean([row[name] for row in rows])) for name in names})


@jax.jit
def _take(states: State, place: int) -> State:
    return jax.tree.map(lambda x: x[place], states)


@lru_cache  # Compiled once for all groups of as many.
def program(step: Step) -> jax.stages.Wrapped:
    """(states, batches, keys, step number) -> (states, metrics), all with an axis of trainings."""

    def of_all(states: State, batches: dict, keys: Any, number: Any) -> tuple[State, Metrics]:
        return jax.vmap(step)(
            states, batches, jax.vmap(jax.random.fold_in, (0, None))(keys, number)
        )

    return jax.jit(of_all, donate_argnums=0)
