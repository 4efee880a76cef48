"""The training loop: steps, logs, checkpoints. It knows nothing about GANs or classifiers."""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxgan import hosts, parallel
from jaxgan.checkpoint import Best, Checkpoints
from jaxgan.log import Log, duration
from jaxgan.memory import Settings, watch_memory
from jaxgan.tracing import tracer
from jaxgan.types import InputError, Recipe, State

# Random weights are drawn once: not worth the half minute that XLA would spend on the program.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


class TrainOptions(NamedTuple):
    """How long, how often, and with which seed.

    Attributes:
        steps: when to stop.
        pictures_a_step: for the rate in pictures per second.
        seed: of the weights and of all noise in training.
        log_every, sample_every, checkpoint_every: in steps; `sample_every` calls `evaluate`.
        best: the metric of `evaluate` whose best checkpoint is kept; each evaluation is then saved.
        parallel: auto, jit or pmap.
        config: stored in each checkpoint.
        batch_axis: which axis of the batches' arrays counts pictures.
        profile: the steps of which TensorBoard's profiler gets a trace.
        memory: the settings that decide over a step's memory, for advice where it is short.
    """

    steps: int
    pictures_a_step: int
    seed: int = 0
    log_every: int = 100
    sample_every: int = 1000
    checkpoint_every: int = 1000
    best: Best | None = None
    parallel: str = "auto"
    config: dict | None = None
    batch_axis: int = 0
    profile: range = range(0)
    memory: Settings = Settings(batch_size=1)


class Evaluation(NamedTuple):
    """What `evaluate` returns: numbers for the curves, pictures for `<name>/<step>.png`."""

    metrics: dict[str, float]
    images: dict[str, np.ndarray]


class NotFiniteError(InputError):
    """A loss or a gradient became infinite or NaN."""


def train(
    recipe: Recipe,
    batches: Any,
    options: TrainOptions,
    workdir: epath.PathLike,
    *,
    log: Log,
    evaluate: Callable[[State], Evaluation] | None = None,
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

    Returns:
        The last state, on one device.

    Raises:
        NotFiniteError: names the step; the last good checkpoint stays.
        OutOfMemoryError: names what to lower.
        SystemExit: 143 or 130 after SIGTERM or Ctrl-C, with a checkpoint saved.
    """
    devices = parallel.spread(options.parallel)
    init_key, train_key = jax.random.split(jax.random.key(options.seed))
    with (
        Checkpoints(workdir, options.best) as checkpoints,
        hosts.stop_signals() as stopped,
        watch_memory(options.memory, log) as compile_step,
        tracer(options.profile, log) as trace,
    ):
        abstract = jax.eval_shape(recipe.init, init_key)
        with hosts.agreed():
            restored = checkpoints.restore(abstract)
        if restored is not None:
            saved, state = restored.step, restored.state
            log.line(f"going on from the checkpoint of step {saved:,}")
        elif jax.process_index() == 0:
            saved, state = -1, jax.jit(recipe.init, compiler_options=QUICK)(init_key)
        else:
            saved, state = -1, jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), abstract)
        saved, state = hosts.from_first((saved, state))
        first, stop = max(0, int(saved)), 0
        log.rewind(first)  # Also of rows that a kill before the first checkpoint left.
        batches.set_state({"next_index": first})
        if first >= options.steps:
            log.line(f"already trained to step {first:,}")
        state = devices.place(state)
        step_fn, compiled = devices.compile(recipe.step), None
        progress = _Progress(options, first, log)

        def save(step: int, metrics: dict | None = None) -> None:
            nonlocal saved
            if step == saved:
                return
            saved = step
            progress.flush(step)  # Raises where a loss or gradient is not finite.
            if not _finite(devices.fetch(state)):
                raise NotFiniteError(
                    f"weights must be finite, and are not after step {step}; the last good "
                    f"checkpoint stays: lower the learning rates or change the seed"
                )
            try:
                checkpoints.wait()
                checkpoints.save(
                    step, devices.fetch(state), options.config or {}, {"next_index": step}, metrics
                )
                if step == options.steps or stop:
                    checkpoints.wait()
            except (OSError, ValueError) as error:
                raise InputError(
                    f"a checkpoint could not be written to {checkpoints.folder} at step {step}: "
                    f"{_first_line(error)}; those of earlier steps are whole"
                ) from error

        for step in range(first + 1, options.steps + 1):
            waited = time.perf_counter()
            batch = next(batches)
            progress.waited += time.perf_counter() - waited
            batch = devices.shard(batch, options.batch_axis)
            key = jax.random.fold_in(train_key, step - 1)
            if compiled is None:
                compiled = compile_step(step_fn, state, batch, key)
                progress.begin()
            trace(step, state)
            state, metrics = compiled(state, batch, key)
            progress.add(step, metrics)
            last = step == options.steps
            if step % options.log_every == 0 or last or step == first + 1:
                progress.flush(step)
            judged = None
            if evaluate is not None and (step % options.sample_every == 0 or last):
                progress.flush(step)
                judged = Evaluation({}, {})
                if jax.process_index() == 0:
                    judged = evaluate(devices.fetch(state))
                    _tell(log, step, judged)
            stop = stopped()  # Read once: what comes later is for the next step.
            if options.best is not None and judged is not None:
                save(step, judged.metrics)
            elif step % options.checkpoint_every == 0 or last or stop:
                save(step, judged.metrics if judged and options.best else None)
            if stop:
                log.line(f"stopped at step {step:,}; the same command goes on from there")
                raise SystemExit(128 + stop)
        if stop := stopped():
            raise SystemExit(128 + stop)
        return devices.fetch(state)


@jax.jit
def _finite(state: State) -> jax.Array:
    floats = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
    return jnp.array([jnp.isfinite(x).all() for x in floats]).all()


def _tell(log: Log, step: int, evaluation: Evaluation) -> None:
    if evaluation.metrics:
        log.metrics(step, evaluation.metrics)
        log.line(f"step {step:,}  " + _numbers(evaluation.metrics))
    for name, image in evaluation.images.items():
        log.image(step, name, image)


class _Progress:
    """Steps not yet told: their metrics stay on the device until they are."""

    def __init__(self, options: TrainOptions, first: int, log: Log):
        self.options, self.log = options, log
        self.pending: list[tuple[int, dict]] = []
        self.first, self.told = first, first
        self.begin()

    def begin(self) -> None:
        self.clock, self.waited = time.perf_counter(), 0.0  # Seconds for data since the last line.

    def add(self, step: int, metrics: dict) -> None:
        self.pending.append((step, metrics))
        if len(self.pending) > 2:  # Batches of steps not yet run fill the device's memory.
            jax.block_until_ready(self.pending[-3][1])

    def flush(self, step: int) -> None:
        if not self.pending:
            return
        rows = [(s, jax.device_get(metrics)) for s, metrics in self.pending]
        self.pending.clear()
        for s, row in rows:
            for name, value in row.items():
                if not np.isfinite(value):
                    raise NotFiniteError(
                        f"{name} must be finite, got {float(value)} at step {s}; the last good "
                        f"checkpoint stays: lower the learning rates or change the seed"
                    )
        mean = {k: float(np.mean([row[k] for _, row in rows])) for k in rows[0][1]}
        seconds = time.perf_counter() - self.clock
        steps = step - self.told
        rate = steps * self.options.pictures_a_step / seconds
        left = (self.options.steps - step) * seconds / steps
        timing = {"images_per_second": rate, "waiting_share": self.waited / seconds}
        eta = f"{rate:,.0f} images/s  eta {duration(left)}  "
        if self.told == self.first:  # The first step takes longer than the others.
            timing, eta = {}, ""
        self.log.metrics(step, mean | timing)
        share = math.floor(100 * step / self.options.steps)
        self.log.line(f"step {step:,}/{self.options.steps:,}  {share}%  {eta}{_numbers(mean)}")
        self.told = step
        self.begin()


def _numbers(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:150]
