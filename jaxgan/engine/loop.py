"""The training loop: steps, logs, checkpoints. It knows nothing about GANs or classifiers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxgan.engine import distributed, sharding
from jaxgan.engine.checkpoint import Best, Checkpoints, Restored
from jaxgan.engine.log import Log
from jaxgan.engine.memory import Settings, watch_memory
from jaxgan.engine.profiler import tracer
from jaxgan.engine.progress import NotFiniteError, Progress, SetbackError
from jaxgan.errors import FileError
from jaxgan.types import Metrics, PRNGKey, Recipe, State, Step

# Random weights are drawn once: not worth the half minute that XLA would spend on the program.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class TrainOptions(NamedTuple):
    """How long, how often, and with which seed.

    Attributes:
        steps: when to stop.
        pictures_a_step: in a batch, for the rate in pictures per second.
        seed: of the weights and of all noise in training.
        log_every, sample_every, checkpoint_every: in steps; `sample_every` calls `evaluate`.
        measure_every: in steps; calls `measure`.
        measure_at: further steps after which `measure` is called.
        best: the metric whose best checkpoint is kept; the steps at which it is told are saved.
        parallel: auto, jit or pmap.
        config: stored in each checkpoint.
        batch_axis: which axis of the batches' arrays counts pictures.
        profile: the steps of which TensorBoard's profiler gets a trace.
        memory: the settings that decide over a step's memory, for advice where it is short.
        start: from the fresh state to the one to begin with (another run's weights).
        alarm: from all rows of metrics to what is wrong by the last one, in words, or None.
        on_alarm: warn, stop, or rollback: to the latest checkpoint, with other noise; so, too,
            where a loss is not finite. What an alarm speaks of is not saved, but with warn.
        rollbacks: at most, before it stops.
    """

    steps: int
    pictures_a_step: int
    seed: int = 0
    log_every: int = 100
    sample_every: int = 1000
    checkpoint_every: int = 1000
    measure_every: int = 1000
    measure_at: frozenset[int] = frozenset()
    best: Best | None = None
    parallel: str = "auto"
    config: dict | None = None
    batch_axis: int = 0
    profile: range = range(0)
    memory: Settings = Settings(batch_size=1)
    start: Callable[[State], State] = lambda state: state
    alarm: Callable[[Sequence[dict]], str | None] = lambda rows: None
    on_alarm: str = "warn"
    rollbacks: int = 0


class Evaluation(NamedTuple):
    """What `evaluate` returns: numbers for the curves, pictures for `<name>/<step>.png`."""

    metrics: dict[str, float]
    images: dict[str, np.ndarray]


class CollapseError(SetbackError):
    """An alarm, where it is not to warn only."""


def train(
    recipe: Recipe,
    batches: Any,
    options: TrainOptions,
    workdir: epath.PathLike,
    *,
    log: Log,
    evaluate: Callable[[State], Evaluation] | None = None,
    measure: Callable[[State, int], dict[str, float]] | None = None,
) -> State:
    """Trains until `options.steps`, going on from the latest checkpoint in `workdir`.

    Args:
        recipe: how to begin, and the step.
        batches: a grain iterator of {"image", "label"}; its position is its number of batches.
        options: see `TrainOptions`.
        workdir: where checkpoints lie.
        log: where to tell.
        evaluate: called every `sample_every` steps and after the last one; must not depend on
            anything but the state. Of several processes only the first calls it.
        measure: of the state and the step, called every `measure_every` steps and after the last
            one, also by the first process only; may tell nothing.

    Returns:
        The last state, on one device.

    Raises:
        NotFiniteError, CollapseError: name the step; the last good checkpoint stays.
        OutOfMemoryError: names what to lower.
        SystemExit: 143 or 130 after SIGTERM or Ctrl-C, with a checkpoint saved.
    """
    devices = sharding.spread(options.parallel)
    init_key, train_key = jax.random.split(jax.random.key(options.seed))
    with (
        Checkpoints(workdir, options.best) as checkpoints,
        distributed.stop_signals() as stopped,
        watch_memory(options.memory, log.line) as compile_step,
        tracer(options.profile, log) as trace,
    ):
        abstract = jax.eval_shape(recipe.init, init_key)
        compiled: dict[Step, Callable] = {}

        def zeros() -> State:
            return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), abstract)

        def restore() -> tuple[int, int, State]:
            """The latest checkpoint's step, or -1, its number of rollbacks, and its state."""
            with distributed.agreed():
                found = checkpoints.restore(abstract)
            found = found or Restored(-1, zeros(), {}, {})
            numbers = found.step, found.data.get("rollbacks", 0)
            (step, rolled), state = distributed.from_first((numbers, found.state))
            return int(step), int(rolled), state

        def begin() -> State:
            fresh = zeros()
            with distributed.agreed():
                if jax.process_index() == 0:
                    fresh = jax.jit(recipe.init, compiler_options=QUICK)(init_key)
                    fresh = options.start(fresh)
            return distributed.from_first(fresh)

        def go_on(first: int, rolled: int, state: State) -> State:
            """From step `first` to the last."""
            saved = first
            # Other noise after a rollback: the same would go the same way.
            noise_key = jax.random.fold_in(train_key, 2**32 - rolled) if rolled else train_key
            preludes = recipe.prelude.count if recipe.prelude else lambda step: 0
            turns = recipe.turns or (lambda step: [recipe.step])
            batches.set_state({"next_index": first + sum(map(preludes, range(first)))})
            progress = Progress(log, first, options.steps, options.pictures_a_step, options.alarm)
            state = devices.place(state)

            def turn(step_fns: Sequence[Step], state: State, key: PRNGKey) -> tuple[State, Metrics]:
                batch = devices.shard(progress.draw(batches), options.batch_axis)
                metrics: Metrics = {}
                for step_fn in step_fns:
                    if step_fn not in compiled:
                        program = devices.compile(step_fn)
                        compiled[step_fn] = compile_step(program, state, batch, key)
                        progress.begin()
                    state, more = compiled[step_fn](state, batch, key)
                    metrics |= more
                return state, metrics

            def save(step: int, metrics: dict | None = None) -> None:
                nonlocal saved
                if step == saved:
                    return
                saved = step
                progress.flush(step)  # Raises where a loss or gradient is not finite.
                if not finite(devices.fetch(state)):
                    raise NotFiniteError(
                        f"weights must be finite, and are not after step {step}; the last good "
                        f"checkpoint stays: lower the learning rates or change the seed"
                    )
                data = {"next_index": step, "rollbacks": rolled}
                checkpoints.wait()
                checkpoints.save(step, devices.fetch(state), options.config or {}, data, metrics)
                if step == options.steps or stop:
                    checkpoints.wait()
                log.flush()

            for step in range(first + 1, options.steps + 1):
                key = jax.random.fold_in(noise_key, step - 1)
                before: list[Metrics] = []
                for i in range(preludes(step - 1)):
                    assert recipe.prelude is not None
                    turn_key = jax.random.fold_in(jax.random.fold_in(key, 2), i)
                    state, metrics = turn([recipe.prelude.step], state, turn_key)
                    before.append(metrics)
                    jax.block_until_ready(before[-3:-2])  # Or batches would fill the device.
                trace(step, state)
                state, metrics = turn(turns(step - 1), state, key)
                progress.add(step, metrics)
                last = step == options.steps
                due = step % options.checkpoint_every == 0 or last
                told = step % options.log_every == 0 or due or step == first + 1
                show = evaluate if step % options.sample_every == 0 or last else None
                measured = step % options.measure_every == 0 or step in options.measure_at or last
                rate = measure if measured else None
                found: dict[str, float] = {}
                if told or show or rate:
                    progress.flush(step)
                if jax.process_index() == 0 and (show or rate):
                    whole = devices.fetch(state)
                    if show:
                        judged = show(whole)
                        progress.judged(step, judged.metrics)
                        found |= judged.metrics
                        for name, image in judged.images.items():
                            log.image(step, name, image)
                    if rate:
                        more = rate(whole, step)
                        progress.judged(step, more)
                        found |= more
                    del whole
                ranked = False
                if show or rate:
                    distributed.meet()
                    progress.begin()
                    ranked = options.best is not None and options.best.metric in found
                    ranked = bool(distributed.from_first(np.array(ranked)))  # Process 0 knows it.
                if options.on_alarm != "warn" and (told or show):
                    _check(progress.wrong, step)
                stop = stopped()  # Read once: what comes later is for the next step.
                if ranked or due or stop:
                    save(step, found if ranked else None)
                if stop:
                    log.line(f"stopped at step {step:,}; the same command goes on from there")
                    raise SystemExit(128 + stop)
            if stop := stopped():
                raise SystemExit(128 + stop)
            return devices.fetch(state)

        first, rolled, state = restore()
        if first < 0:
            first, state = 0, begin()
        else:
            log.line(f"going on from the checkpoint of step {first:,}")
        if first >= options.steps:
            log.line(f"already trained to step {first:,}")
        held = [state]  # Handed over, or it would stay in memory beside the one that moves.
        del state
        while True:
            try:
                return go_on(first, rolled, held.pop())
            except SetbackError as error:
                if options.on_alarm != "rollback" or rolled >= options.rollbacks:
                    raise
                checkpoints.wait()
                first, _, good = restore()
                if first < 0:
                    raise
                held.append(good)
                del good
                rolled += 1
                log.line(str(error))
                log.line(
                    f"back to the checkpoint of step {first:,}, with other noise "
                    f"({rolled} of {options.rollbacks} times)"
                )
            except OSError as error:  # A log or an image; a checkpoint says it itself.
                if error.filename is None:
                    raise
                raise FileError(
                    f"{error.filename} must be readable or writable ({error.strerror}); "
                    f"{checkpoints.kept()}"
                ) from error


def _check(wrong: str | None, step: int) -> None:
    """Raises CollapseError, on all processes, where process 0 has an alarm."""
    if distributed.from_first(np.array(wrong is not None)):
        raise CollapseError(
            f"at step {step:,} {wrong or 'process 0 has an alarm'}; the last good checkpoint "
            f"stays: lower the learning rates, change the seed or let it warn only "
            f"(train.on_collapse=warn)"
        )


@jax.jit
def finite(state: State) -> jax.Array:
    """Whether all of its numbers are."""
    floats = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.array([jnp.isfinite(x).all() for x in floats]).all()
