"""Steps that are done but not yet told: lines, curves, and what is wrong by them."""

import math
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxgan.engine.log import Log, duration, read_metrics
from jaxgan.types import InputError

Alarm = Callable[[Sequence[dict]], str | None]


class SetbackError(InputError):
    """Training went wrong; the latest checkpoint is good."""


class NotFiniteError(SetbackError):
    """A loss, a gradient or a weight became infinite or NaN."""


class Progress:
    """Keeps the metrics of steps on the device until they are told.

    Args:
        log: where to tell.
        first: the steps done before.
        steps: the steps in all.
        pictures: in a batch.
        alarm: see `TrainOptions`.

    Attributes:
        wrong: what the last row of metrics is an alarm for, or None.
    """

    def __init__(self, log: Log, first: int, steps: int, pictures: int, alarm: Alarm):
        self._log, self._steps, self._pictures, self._alarm = log, steps, pictures, alarm
        self._pending: list[tuple[int, dict]] = []
        self._first = self._told = first
        self._rows: list[dict] = []
        if jax.process_index() == 0:
            log.rewind(first)  # Also of rows that a kill before the first checkpoint left.
            self._rows = read_metrics(log.folder)
        self.wrong: str | None = None
        self.begin()

    def begin(self) -> None:
        """Starts the clock anew: what was before is not counted."""
        self._clock, self._waited, self._batches = time.perf_counter(), 0.0, 0

    def draw(self, batches: object) -> dict:
        """The next batch; the time that it takes is told, too."""
        before = time.perf_counter()
        batch = next(batches)  # type: ignore[call-overload]
        self._waited += time.perf_counter() - before
        self._batches += 1
        return batch

    def add(self, step: int, metrics: dict) -> None:
        """Notes a step that was begun, and waits for the one before the last."""
        self._pending.append((step, metrics))
        if len(self._pending) > 2:  # Batches of steps not yet run fill the device's memory.
            jax.block_until_ready(self._pending[-3][1])

    def flush(self, step: int) -> None:
        """Tells the steps up to `step`, on average.

        Raises:
            NotFiniteError: a metric is not finite.
        """
        if not self._pending:
            return
        rows = [(s, jax.device_get(metrics)) for s, metrics in self._pending]
        self._pending.clear()
        for s, row in rows:
            for name, value in row.items():
                if not np.isfinite(value):
                    raise NotFiniteError(
                        f"{name} must be finite, got {float(value)} at step {s}; the last good "
                        f"checkpoint stays: lower the learning rates or change the seed"
                    )
        names = dict.fromkeys(name for _, row in rows for name in row)  # Some are not always due.
        mean = {k: float(np.mean([row[k] for _, row in rows if k in row])) for k in names}
        seconds = time.perf_counter() - self._clock
        rate = self._batches * self._pictures / seconds
        left = (self._steps - step) * seconds / (step - self._told)
        timing = {"images_per_second": rate, "waiting_share": self._waited / seconds}
        eta = f"{rate:,.0f} images/s  eta {duration(left)}  "
        if self._told == self._first:  # The first step takes longer than the others.
            timing, eta = {}, ""
        share = math.floor(100 * step / self._steps)
        self._row(step, mean | timing)
        self._line(f"step {step:,}/{self._steps:,}  {share}%  {eta}{numbers(mean)}")
        self._told = step
        self.begin()

    def judged(self, step: int, metrics: dict[str, float]) -> None:
        """Tells what an evaluation found."""
        if metrics:
            self._row(step, metrics)
            self._line(f"step {step:,}  {numbers(metrics)}")

    def _row(self, step: int, metrics: dict[str, float]) -> None:
        self._log.metrics(step, metrics)
        self._rows.append(metrics)
        before, self.wrong = self.wrong, self._alarm(self._rows)
        if self.wrong and not before:
            self._log.line(f"ALARM at step {step:,}: {self.wrong}")

    def _line(self, text: str) -> None:
        self._log.line(text + ("  ALARM" if self.wrong else ""))


def numbers(metrics: dict[str, float]) -> str:
    """A value with `NAME/low` and `NAME/high` stands before them, and without what is before /."""
    text = []
    for name, value in metrics.items():
        low, high = (metrics.get(f"{name}/{end}") for end in ("low", "high"))
        if low is not None and high is not None:
            text.append(f"{name.rpartition('/')[2]} {value:.4g} [{low:.4g}, {high:.4g}]")
        elif not name.endswith(("/low", "/high")):
            text.append(f"{name} {value:.4g}")
    return "  ".join(text)
