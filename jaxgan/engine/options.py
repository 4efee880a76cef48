"""How a training goes: its length, what is due when, and what an evaluation returns."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.engine.checkpoint import Best
from jaxgan.engine.memory import Settings
from jaxgan.types import State


class TrainOptions(NamedTuple):
    """How long, how often, and with which seed.

    Attributes:
        steps: when to stop.
        images_a_step: images in a batch, for the rate in images per second.
        seed: of the weights and of all noise in training.
        log_every, sample_every, checkpoint_every: in steps; `sample_every` calls `evaluate`.
        sample_at: further steps after which `evaluate` is called, for its images alone.
        checkpoint_minutes: saves, too, at the first line of the log so long after the last save.
        steps_per_call: so many steps are dispatched at once, where nothing is due between them.
        measure_every: in steps; calls `measure`.
        measure_at: further steps after which `measure` is called.
        best: the metric whose best checkpoint is kept; the steps that have it are saved.
        parallel: auto, jit or pmap.
        config: stored in each checkpoint.
        batch_axis: which axis of the batches' arrays counts images.
        profile: the steps of which TensorBoard's profiler gets a trace.
        memory: the settings that decide over a step's memory, for advice where it is short.
        start: from the fresh state to the one to begin with (another run's weights).
        alarm: from all rows of metrics to what is wrong by the last one, in words, or None.
        on_alarm: warn, stop, or rollback: to the latest checkpoint, with other noise; so, too,
            where a loss is not finite. What an alarm speaks of is not saved, but with warn.
        rollbacks: at most, before it stops.
    """

    steps: int
    images_a_step: int
    seed: int = 0
    log_every: int = 100
    sample_every: int = 1000
    sample_at: frozenset[int] = frozenset()
    checkpoint_every: int = 1000
    checkpoint_minutes: float | None = None
    steps_per_call: int = 1
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

    def due(self, step: int) -> bool:
        """Return whether something is to be done after this step."""
        every = (self.log_every, self.sample_every, self.checkpoint_every, self.measure_every)
        some = {*self.sample_at, *self.measure_at, self.steps}
        return any(step % n == 0 for n in every) or step in some


class Evaluation(NamedTuple):
    """What `evaluate` returns: numbers for the curves, images for `<name>/<step>.png`."""

    metrics: dict[str, float]
    images: dict[str, np.ndarray]
