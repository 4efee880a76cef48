"""The training loop: steps, logs, checkpoints. It knows nothing about GANs or classifiers."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxgan.engine import distributed, sharding
from jaxgan.engine.checkpoint import Checkpoints, Restored
from jaxgan.engine.log import Log, read_metrics
from jaxgan.engine.loop_state import Evaluate, Found, LoopState, Measure, Members, Training
from jaxgan.engine.memory import watch_memory
from jaxgan.engine.options import Evaluation, TrainOptions
from jaxgan.engine.profiler import tracer
from jaxgan.engine.progress import NotFiniteError, Progress, SetbackError
from jaxgan.engine.updates import Updates, fold_in
from jaxgan.errors import FileError
from jaxgan.system import screen
from jaxgan.types import Recipe, State

__all__ = ["CollapseError", "Evaluation", "NotFiniteError", "TrainOptions", "train"]

# Random weights are drawn once: not worth the half minute that XLA would spend on the program.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class CollapseError(SetbackError):
    """An alarm, where it is not to warn only."""


def train(
    recipe: Recipe,
    batches: Any,
    options: TrainOptions,
    workdir: epath.PathLike,
    *,
    log: Log,
    evaluate: Evaluate | None = None,
    measure: Measure | None = None,
) -> State:
    """Train until `options.steps`, going on from the latest checkpoint in `workdir`.

    Args:
        recipe: how to begin, and the step.
        batches: a grain iterator of {"image", "label"}; its position is its number of batches.
        options: see `TrainOptions`.
        workdir: where checkpoints lie.
        log: takes lines, rows and images.
        evaluate: called every `sample_every` steps and after the last one; must not depend on
            anything but the state. Of several processes only the first calls it.
        measure: of the state and the step, called every `measure_every` steps and after the last
            one, also by the first process only; may return no metrics.

    Returns:
        The last state, on one device.

    Raises:
        NotFiniteError, CollapseError: name the step; the last good checkpoint stays.
        OutOfMemoryError: names what to lower.
        SystemExit: 143 or 130 after SIGTERM or Ctrl-C, with a checkpoint saved.
    """
    with Checkpoints(workdir, options.best) as checkpoints:

        def save(step: int, state: State, data: dict, found: Found) -> None:
            checkpoints.save(step, state, options.config or {}, data, found.get(0))

        init_key, train_key = jax.random.split(jax.random.key(options.seed))
        members = Members(
            (init_key, train_key), [options.seed], [log], lambda state, i: state,
            checkpoints.restore, save, checkpoints.wait, checkpoints.kept,
        )  # fmt: skip
        return run(recipe, batches, options, members, evaluate, measure).state


def run(
    recipe: Recipe,
    batches: Any,
    options: TrainOptions,
    members: Members,
    evaluate: Evaluate | None = None,
    measure: Measure | None = None,
) -> LoopState:
    """Train one or several in one state, and return where it ended; see `train`."""
    devices, say = sharding.spread(options.parallel), members.logs[0].line
    with (
        distributed.stop_signals() as stopped,
        screen.stage(members.logs[0].stage, "images"),
        watch_memory(options.memory, members.logs[0].detail) as compile_step,
        tracer(options.profile, members.logs[0]) as trace,
    ):
        updates = Updates(recipe, batches, devices, options.batch_axis, compile_step)
        training = Training(
            recipe, options, members, devices, updates, evaluate, measure, stopped, trace
        )
        with screen.stage("setting up", once=True):
            found = restore(training)
            at = LoopState(0, init(training), 0) if found is None else found
        if at.step >= options.steps:
            say(f"already finished: trained to step {at.step:,}")
        elif found is not None:
            say(f"going on from the checkpoint of step {at.step:,}")
        elif read_metrics(members.logs[0].folder):
            say("there is no checkpoint to go on from: the training begins anew")
        while True:
            try:
                begin(training, at)
                run_steps(training, at)
                at.state = devices.fetch(at.state)
                return at
            except SetbackError as error:
                if options.on_alarm != "rollback" or at.rolled >= options.rollbacks:
                    raise
                roll_back(training, at, error)
            except OSError as error:  # A log or an image; a checkpoint says it itself.
                if error.filename is None:
                    raise
                raise FileError(
                    f"{error.filename} must be readable or writable ({error.strerror}); "
                    f"{members.kept()}"
                ) from error


def init(training: Training) -> State:
    """Return fresh weights, or those to begin with; process 0's on all."""
    recipe, options, (key, _) = training.recipe, training.options, training.members.keys
    fresh = _zeros(training)
    with distributed.agreed():
        if jax.process_index() == 0:
            fresh = options.start(jax.jit(recipe.init, compiler_options=QUICK)(key))
    return distributed.from_first(fresh)


def restore(training: Training) -> LoopState | None:
    """Return the latest checkpoint's, the same on all processes; None where there is none."""
    with distributed.agreed():
        found = training.members.restore(_abstract(training))
    found = found or Restored(-1, _zeros(training), {}, {})
    numbers = found.step, found.data.get("rollbacks", 0)
    (step, rolled), state = distributed.from_first((numbers, found.state))
    return None if step < 0 else LoopState(int(step), state, int(rolled))


def _abstract(training: Training) -> State:
    return jax.eval_shape(training.recipe.init, training.members.keys[0])


def _zeros(training: Training) -> State:
    return jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), _abstract(training))


def begin(training: Training, at: LoopState) -> None:
    """Place the state on the devices, and go to its batch."""
    members = training.members
    at.first = at.saved = at.step
    at.clock = time.monotonic()
    training.updates.seek(at.step)
    at.progress = Progress(members.logs, members.seeds, at.step, training.options, training.updates)
    training.updates.on_compile = at.progress.begin
    at.state = training.devices.place(at.state)


def run_steps(training: Training, at: LoopState) -> None:
    """Run to the last step, or until no training goes on."""
    key = training.members.keys[1]
    if at.rolled:  # Other noise after a rollback: the same would go the same way.
        key = fold_in(key, np.uint32(2**32 - at.rolled))
    while at.step < training.options.steps and at.progress.going:
        training.trace(at.step + 1, at.state)
        count = together(training, at.step)
        if count > 1:
            at.state, metrics = training.updates.several(at.state, at.step, count, key)
        else:
            at.state, metrics = training.updates.run(at.state, at.step, key)
        at.step += count
        at.progress.add(at.step, metrics, count)
        follow(training, at, at.step == at.first + count)
    if stop := training.stopped():
        raise SystemExit(128 + stop)


def together(training: Training, step: int) -> int:
    """Return how many steps after `step` go into one call.

    It hangs on their numbers alone, so that a run that is resumed makes the same calls.
    """
    options, updates = training.options, training.updates
    count = options.steps_per_call
    steps = range(step, step + count)
    alone = updates.splits or step % count or steps.stop > options.steps
    if alone or any(map(options.due, steps[1:])) or any(map(updates.preludes, steps)):
        return 1
    return count


def follow(training: Training, at: LoopState, begun: bool) -> None:
    """Do what is due after a step, or after the first one: log, evaluate, save, stop."""
    options, step = training.options, at.step
    last, told = step == options.steps, step % options.log_every == 0
    due = step % options.checkpoint_every == 0 or last or (told and _long_ago(options, at))
    soon = training.evaluate is not None and step in options.sample_at
    shown = training.evaluate is not None and (step % options.sample_every == 0 or last)
    measured = step % options.measure_every == 0 or step in options.measure_at or last
    measured = measured and training.measure is not None
    found, ranked, cautious = {}, False, options.on_alarm != "warn"
    if due or shown or soon or measured or (cautious and (told or begun)):
        at.progress.flush(step)
        if shown or soon or measured:
            found, ranked = assess(training, at, shown, measured)
        if cautious:
            _check(at.progress.wrong, step)
    elif told or begun:
        at.progress.ask(step)
    stop = training.stopped()  # Read once: what comes later is for the next step.
    if ranked or due or stop:
        save(training, at, found if ranked else {}, wait=last or bool(stop))
    if stop:
        again = f"the same command {training.members.then}"
        training.members.logs[0].line(f"stopped at step {step:,}; {again}")
        raise SystemExit(128 + stop)


def assess(training: Training, at: LoopState, shown: bool, measured: bool) -> tuple[Found, bool]:
    """Evaluate and measure what is due; say what was found, and whether checkpoints rank by it."""
    options, members, found = training.options, training.members, {}
    whole = training.devices.fetch(at.state)
    _check_weights(training, at, whole)
    if jax.process_index() == 0:
        found = {i: {} for i in at.progress.going}
        soon = at.step in options.sample_at
        if (shown or soon) and training.evaluate is not None:
            for i in found:
                with screen.stage("evaluating"):
                    judged = training.evaluate(members.part(whole, i))
                found[i] |= judged.metrics if shown else {}
                for name, image in judged.images.items():
                    members.logs[i].image(at.step, name, image)
            at.progress.judged(at.step, found)
        if measured and training.measure is not None:
            with screen.stage("measuring"):
                more = {i: training.measure(members.part(whole, i), at.step) for i in found}
            at.progress.judged(at.step, more)
            found = {i: found[i] | more[i] for i in found}
    distributed.meet()
    at.progress.begin()
    ranked = options.best is not None and any(options.best.metric in f for f in found.values())
    return found, bool(distributed.from_first(np.array(ranked)))  # Process 0 knows it.


def save(training: Training, at: LoopState, found: Found, wait: bool) -> None:
    """Save the state unless it is saved already; `wait` until it is on disk."""
    members = training.members
    if at.step == at.saved:
        return
    at.saved, at.clock = at.step, time.monotonic()
    at.progress.flush(at.step)  # Raises where a loss or gradient is not finite.
    whole = training.devices.fetch(at.state)
    _check_weights(training, at, whole)
    members.wait()
    members.save(at.step, whole, {"next_index": at.step, "rollbacks": at.rolled}, found)
    if wait:
        members.wait()
    for log in members.logs:
        log.flush()


def roll_back(training: Training, at: LoopState, error: SetbackError) -> None:
    """Go back to the latest checkpoint; with other noise, if this is not the first time, again."""
    at.state = None  # Or it would stay in memory beside the other.
    training.members.wait()
    good = restore(training)
    if good is None:
        raise error
    at.step, at.state, at.rolled = good.step, good.state, at.rolled + 1
    say = training.members.logs[0].line
    say(str(error))
    say(
        f"back to the checkpoint of step {at.step:,}, with other noise "
        f"({at.rolled} of {training.options.rollbacks} times)"
    )


def _long_ago(options: TrainOptions, at: LoopState) -> bool:
    """Return, the same on all processes, whether the last save is `checkpoint_minutes` ago."""
    if options.checkpoint_minutes is None:
        return False
    past = time.monotonic() - at.clock >= 60 * options.checkpoint_minutes
    return bool(distributed.from_first(np.array(past)))


def _check(wrong: str | None, step: int) -> None:
    """Raise CollapseError, on all processes, where process 0 has an alarm."""
    if distributed.from_first(np.array(wrong is not None)):
        raise CollapseError(
            f"at step {step:,} {wrong or 'process 0 has an alarm'}; the last good checkpoint "
            f"stays: lower the learning rates, change the seed or let it warn only "
            f"(train.on_collapse=warn)"
        )


def _check_weights(training: Training, at: LoopState, whole: State) -> None:
    """Let those trainings fail whose weights are not finite."""
    for i in at.progress.going:
        if not finite(training.members.part(whole, i)):
            at.progress.fail(i, f"weights must be finite, and are not after step {at.step}")


@jax.jit
def finite(state: State) -> jax.Array:
    """Return whether all of its numbers are."""
    floats = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.array([jnp.isfinite(x).all() for x in floats]).all()
