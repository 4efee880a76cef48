"""What has come of an experiment, and what `results.json` holds of that."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from jaxgan.experiment.design.jobs import Samples
from jaxgan.experiment.design.plan import Plan


@dataclass
class Record:
    """What has come of the jobs so far.

    Attributes:
        runs: of each classifier that was tested: "arm", "seed", "fold", "probabilities" ...
        failed: of each that was not: "arm", "seed", "fold", "error", "seconds".
        generators: of each GAN and class: "class", "steps", "generated" ...
        failed_generators: of each that failed: "class", "name", "error", "seconds".
        samples: the generated images of each fold.
        seconds: of each stage.
        ended: why it ended before all seeds and folds; "" where it did not.
        reached: shares of the validation images that classifiers get right which were trained on
            samples of GANs, and of principal components, alone.
    """

    runs: list[dict] = field(default_factory=list)
    failed: list[dict] = field(default_factory=list)
    generators: list[dict] = field(default_factory=list)
    failed_generators: list[dict] = field(default_factory=list)
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


@dataclass(frozen=True)
class Tested:
    """The test images, in the order in which each run's probabilities have them, fold by fold.

    Attributes:
        names: of the images.
        labels: positions of their classes.
        fold: in which each was tested.
        group: of each, where `data.groups` has any.
    """

    names: list[str]
    labels: list[int]
    fold: list[int]
    group: list[int] | None

    @classmethod
    def of(cls, plan: Plan, done: Sequence[int]) -> "Tested":
        """Return those of the folds that are done."""
        sides, groups = [plan.folds[k].sides.test for k in done], plan.groups
        return cls(
            [plan.real.names[i] for side in sides for i in side],
            np.concatenate([plan.labels[k] for k in done]).tolist(),
            np.repeat(done, [len(side) for side in sides]).tolist(),
            None if groups is None else np.concatenate([groups[k] for k in done]).tolist(),
        )


@dataclass(frozen=True)
class Results:
    """`results.json` but for its costs and next steps, which follow from the rest.

    Attributes:
        format: its number; it rises with a change that a reader notices.
        jaxgan: the version.
        verdict, arms, contrasts, ladder, worth: see `analysis.judge`.
        guards: see `validity.audit.checks`.
        gate: see `validity.gate.about`.
        data: the images' path, fingerprint and counts.
        runs, failed, generators, failed_generators, seconds, ended: see `Record`.
        figures: files in the workdir, by kind and class.
        environment: versions and devices.
    """

    format: int
    jaxgan: str
    config: dict[str, Any]
    classes: list[str]
    verdict: dict[str, Any]
    arms: dict[str, dict[str, Any]]
    contrasts: list[dict[str, Any]]
    ladder: dict[str, Any] | None
    worth: dict[str, Any] | None
    guards: list[dict[str, Any]]
    gate: dict[str, Any] | None
    data: dict[str, Any]
    test: Tested
    runs: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    generators: list[dict[str, Any]]
    failed_generators: list[dict[str, Any]]
    figures: dict[str, Any]
    environment: dict[str, Any]
    seconds: dict[str, float]
    ended: str

    def to_dict(self) -> dict[str, Any]:
        """Return what is written."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"test": asdict(self.test)}
