"""Keeps the metrics of dispatched steps on the device, and logs them every `log_every` steps."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxgan.engine.log import Log, duration, read_metrics
from jaxgan.engine.options import TrainOptions
from jaxgan.engine.updates import Updates
from jaxgan.system import screen
from jaxgan.types import InputError

ADVICE = "lower the learning rates or change the seed"


class SetbackError(InputError):
    """Training went wrong; the latest checkpoint is good."""


class NotFiniteError(SetbackError):
    """A loss, a gradient or a weight became infinite or NaN."""


class Progress:
    """What the trainings in one state reach: rows for each, lines for all.

    Args:
        logs: each training's; the first one's has the lines.
        seeds: theirs.
        first: the steps done before.
        options: of all; the alarm is for the first training.
        updates: counts the batches.

    Attributes:
        wrong: what the last row of metrics is an alarm for, or None.
        failures: of each training what ended it, or None.
    """

    def __init__(
        self,
        logs: Sequence[Log],
        seeds: Sequence[int],
        first: int,
        options: TrainOptions,
        updates: Updates,
    ):
        self._logs, self._seeds, self._updates = logs, seeds, updates
        self._steps, self._alarm = options.steps, options.alarm
        self._images = options.images_a_step
        self._pending: list[tuple[int, int, dict]] = []
        self._asked: tuple[int, int, float] | None = None
        self._first = self._told = first
        self._rows: list[dict] = []
        self._words = ""
        if jax.process_index() == 0:
            for log in logs:
                log.rewind(first)  # Also of rows that a kill before the first checkpoint left.
            self._rows = read_metrics(logs[0].folder)
        self.wrong: str | None = None
        self.failures: list[NotFiniteError | None] = [None] * len(logs)
        self.begin()

    def begin(self, under_way: int = 0) -> None:
        """Start the clock anew: what was before is not counted, but for batches under way."""
        if self._asked:
            self._log(*self._take())
        self._clock = time.perf_counter()
        self._drawn, self._waited = self._updates.drawn - under_way, self._updates.waited

    @property
    def going(self) -> list[int]:
        """The trainings that go on, by their position."""
        return [i for i, failure in enumerate(self.failures) if failure is None]

    def fail(self, i: int, text: str) -> None:
        """Note what ended a training; the others go on.

        Raises:
            NotFiniteError: it is the only one.
        """
        if len(self._logs) == 1:
            raise NotFiniteError(f"{text}; the last good checkpoint stays: {ADVICE}")
        self.failures[i] = NotFiniteError(f"{text}: {ADVICE}")
        line = f"seed {self._seeds[i]} failed, the others go on: {self.failures[i]}"
        self._logs[0].line(line)

    def add(self, step: int, metrics: dict, count: int = 1) -> None:
        """Note the `count` steps up to `step`, and wait for the call before the last.

        Raises:
            NotFiniteError: see `flush`.
        """
        self._pending.append((step, count, metrics))
        if len(self._pending) > 2:  # Batches of steps not yet run fill the device's memory.
            jax.block_until_ready(self._pending[-3][2])
        screen.at(step, self._steps, self._images * len(self._logs), self._words)
        if self._asked:
            self._log(*self._take())

    def ask(self, step: int) -> None:
        """Log the steps up to `step` when the next one is dispatched: the devices do not wait."""
        self._asked = step, self._updates.drawn, self._updates.waited

    def _take(self) -> tuple[int, int, float]:
        asked, self._asked = self._asked, None
        assert asked is not None
        return asked

    def flush(self, step: int) -> None:
        """Log the steps up to `step`, on average.

        Raises:
            NotFiniteError: a metric is not finite, of the only training.
        """
        if self._asked:
            self._log(*self._take())
        self._log(step, self._updates.drawn, self._updates.waited)

    def _log(self, step: int, drawn: int, waited: float) -> None:
        """Log the steps up to `step`, before which so many batches were drawn and waited for."""
        some = [(s, n, jax.device_get(m)) for s, n, m in self._pending if s <= step]
        if not some:
            return
        self._pending = [one for one in self._pending if one[0] > step]
        rows = [each for one in some for each in _rows(*one)]
        seconds = time.perf_counter() - self._clock
        rate = (drawn - self._drawn) * self._images / seconds
        left = (self._steps - step) * seconds / (step - self._told)
        waiting = (waited - self._waited) / seconds
        timing = {"images_per_second": rate, "waiting_share": waiting}
        eta = f"{rate * len(self._logs):,.0f} images/s  eta {duration(left)}  "
        if self._told == self._first:  # The first step takes longer than the others.
            timing, eta = {}, ""
        means = {}
        for i in self.going:
            for s, row in rows:
                for name, values in row.items():
                    if self.failures[i] is None and not np.isfinite(values[i]):
                        self.fail(i, f"{name} must be finite, got {float(values[i])} at step {s}")
            names = dict.fromkeys(name for _, row in rows for name in row)  # Not always due.
            means[i] = {
                k: float(np.mean([row[k][i] for _, row in rows if k in row])) for k in names
            }
        means = {i: means[i] for i in self.going}
        for i, mean in means.items():
            self._row(i, step, mean | timing)
        share = math.floor(100 * step / self._steps)
        self._words = in_words(means)
        self._progress(f"step {step:,}/{self._steps:,}  {share}%  {eta}{_shown(means)}")
        self._told = step
        self.begin()
        self._drawn, self._waited = drawn, waited

    def judged(self, step: int, found: Mapping[int, dict[str, float]]) -> None:
        """Log what an evaluation found, by the training."""
        for i, metrics in found.items():
            if metrics:
                self._row(i, step, metrics)
        if any(found.values()):
            self._words = in_words(found) or self._words
            screen.at(step, self._steps, self._images * len(self._logs), self._words)
            self._progress(f"step {step:,}  {_shown(found)}")

    def _row(self, i: int, step: int, metrics: dict[str, float]) -> None:
        self._logs[i].metrics(step, metrics)
        if i:
            return
        self._rows.append(metrics)
        before, self.wrong = self.wrong, self._alarm(self._rows)
        if self.wrong and not before:
            self._logs[0].line(f"ALARM at step {step:,}: {self.wrong}")

    def _progress(self, text: str) -> None:
        self._logs[0].line(text + ("  ALARM" if self.wrong else ""), "progress")


def _rows(step: int, count: int, metrics: dict) -> Iterator[tuple[int, dict]]:
    """The rows of the `count` steps up to `step`: a value for each training."""
    for i in range(count):
        row = metrics if count == 1 else {name: values[i] for name, values in metrics.items()}
        yield step - count + 1 + i, {name: np.atleast_1d(x) for name, x in row.items()}


def _shown(found: Mapping[int, dict[str, Any]]) -> str:
    """Return the means over the trainings."""
    rows = list(found.values())
    names = rows[0] if rows else ()
    return numbers({name: float(np.mean([row[name] for row in rows])) for name in names})


def in_words(found: Mapping[int, dict[str, float]]) -> str:
    """Return the losses, or what a look found, for the live line, as means over the trainings."""
    rows = list(found.values())
    mean = {name: float(np.mean([row[name] for row in rows])) for name in (rows[0] if rows else ())}
    if "validation_accuracy" in mean:
        return f"{mean['validation_accuracy']:.1%} validation accuracy"
    losses = {name.removesuffix("loss"): mean[name] for name in mean if name.endswith("loss")}
    said = ", ".join(f"{name.replace('_', ' ')}{x:.3g}" for name, x in losses.items())
    return f"loss {said}" if losses else ""


def numbers(metrics: dict[str, float]) -> str:
    """Return a value with `NAME/low` and `NAME/high` stands before them, and without what is before
    /.
    """
    text = []
    for name, value in metrics.items():
        low, high = (metrics.get(f"{name}/{end}") for end in ("low", "high"))
        if low is not None and high is not None:
            text.append(f"{name.rpartition('/')[2]} {value:.4g} [{low:.4g}, {high:.4g}]")
        elif not name.endswith(("/low", "/high")):
            text.append(f"{name} {value:.4g}")
    return "  ".join(text)
