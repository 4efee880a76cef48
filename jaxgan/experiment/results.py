"""What `results.json` holds, of which everything in the report can be told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxgan import __version__
from jaxgan.config import loading as configs
from jaxgan.experiment.design.plan import Plan, counts

FORMAT = 3


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


def tested(plan: Plan, done: Sequence[int]) -> Tested:
    """Return the test images of the folds that are done."""
    sides = [plan.folds[k].sides.test for k in done]
    positions, groups = np.concatenate(sides), getattr(plan.real, "groups", None)
    return Tested(
        [plan.real.names[i] for i in positions],
        plan.real.labels[positions].tolist(),
        np.repeat(done, [len(of) for of in sides]).tolist(),
        None if groups is None else groups[positions].tolist(),
    )


def build(
    config: ConfigDict,
    plan: Plan,
    done: Sequence[int],
    judged: Mapping[str, Any],
    guards: Sequence[dict],
    *,
    gate: dict | None,
    data: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """Return what is known before the report.

    Args:
        config: the experiment's.
        plan: of it.
        done: the folds of which there are runs.
        judged: see `analysis.judge`.
        guards: every check.
        gate: see `gate.about`.
        data: what is said of the images.
        more: the rest, as it is.
    """
    first = plan.folds[done[0]].sides
    real = plan.real
    return {
        "format": FORMAT,
        "jaxgan": __version__,
        "config": configs.to_dict(config),
        "classes": list(real.classes),
        **judged,
        "guards": list(guards),
        "gate": gate,
        "data": {
            "path": config.data.path,
            **data,
            "folds": len(plan.folds),
            "counts": {
                part: counts(real, getattr(first, part)) for part in ("train", "validation", "test")
            },
        },
        "test": asdict(tested(plan, done)),
        **more,
    }
