"""What has come of an experiment's jobs so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxgan.experiment.design.jobs import Samples
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.schema import HeldOut


@dataclass
class Record:
    """What has come of the jobs so far.

    Attributes:
        runs: of each classifier that was tested, a `schema.Run`.
        failed: of each that was not, a `schema.FailedRun`.
        generators: of each GAN and class: "class", "steps", "generated" ...
        failed_generators: of each that failed, a `schema.FailedGenerator`.
        samples: the generated images of each fold.
        seconds: of each stage.
        ended: why it ended before all seeds and folds; "" where it did not.
        reached: shares of the validation images that classifiers get right which were trained on
            samples of GANs, and of principal components, alone.
    """

    runs: list[Any] = field(default_factory=list)
    failed: list[Any] = field(default_factory=list)
    generators: list[dict] = field(default_factory=list)
    failed_generators: list[Any] = field(default_factory=list)
    samples: dict[int, Samples] = field(default_factory=dict)
    seconds: dict[str, float] = field(
        default_factory=lambda: {"data": 0.0, "gan": 0.0, "generate": 0.0}
    )
    ended: str = ""
    reached: tuple[float, float] | None = None

    @property
    def folds(self) -> list[int]:
        """The folds of which there are runs."""
        return sorted({run["fold"] for run in self.runs})


def held_out(plan: Plan, done: Sequence[int]) -> HeldOut:
    """Return the test images of the folds that are done, in the order of each run's answers."""
    sides, groups = [plan.folds[k].sides.test for k in done], plan.groups
    return {
        "names": [plan.real.names[i] for side in sides for i in side],
        "labels": np.concatenate([plan.labels[k] for k in done]).tolist(),
        "fold": np.repeat(done, [len(side) for side in sides]).tolist(),
        "group": None if groups is None else np.concatenate([groups[k] for k in done]).tolist(),
    }
