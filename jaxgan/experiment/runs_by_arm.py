"""The runs' answers, by arm and fold: tables, intervals, and whether a look decides."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxgan.experiment import verdict
from jaxgan.experiment.outcomes import OUTCOMES, Tables
from jaxgan.statistics import crossed, group_sequential
from jaxgan.statistics.crossed import Interval


class RunsByArm:
    """The runs, by arm and fold: their probabilities, in the order of the seeds.

    Args:
        runs: one per arm, seed and fold: "arm", "seed", "fold" (0 without), "probabilities"
            [images, classes] and, where GANs were trained several times, "gan".
        labels: of each fold's test images.
        outcome: what tables hold; see `outcomes.OUTCOMES`.
        groups: of each fold's test images, where some belong together: see
            `clusters.clustered`.
    """

    def __init__(
        self,
        runs: Sequence[Mapping[str, Any]],
        labels: Mapping[int, Int[np.ndarray, " n"]],
        outcome: str = "accuracy",
        groups: Mapping[int, Int[np.ndarray, " n"]] | None = None,
    ):
        self.labels, self.outcome, self._groups = dict(labels), outcome, groups
        self._p: dict[str, dict[int, dict[int, np.ndarray]]] = {}
        self._gan: dict[tuple[int, int], int] = {}
        for run in runs:
            fold, seed = run.get("fold", 0), run["seed"]
            of = self._p.setdefault(run["arm"], {}).setdefault(fold, {})
            of[seed] = np.asarray(run["probabilities"], np.float64)
            if run.get("gan") is not None:
                self._gan[fold, seed] = run["gan"]

    def common(self, *arms: str) -> dict[int, list[int]]:
        """Return the seeds of each fold that all of `arms` have; folds without any are left out."""
        first, *others = (self._p.get(arm, {}) for arm in arms)
        found = {
            k: [s for s in of if all(s in other.get(k, {}) for other in others)]
            for k, of in sorted(first.items())
        }
        return {k: seeds for k, seeds in found.items() if seeds}

    def probabilities(self, arm: str, seeds: Mapping[int, Sequence[int]]) -> list[np.ndarray]:
        """[seeds, images, classes] of each fold."""
        return [np.stack([self._p[arm][k][s] for s in of]) for k, of in seeds.items()]

    def tables(
        self, arm: str, seeds: Mapping[int, Sequence[int]], outcome: str | None = None
    ) -> Tables:
        """Return the outcome, [seeds, images] of each fold."""
        labels = [self.labels[k] for k in seeds]
        of = OUTCOMES[outcome or self.outcome].values
        return of(self.probabilities(arm, seeds), labels)

    def groups(
        self, seeds: Mapping[int, Sequence[int]], label: int | None = None
    ) -> list[np.ndarray] | None:
        """Return those of the test images of each fold, or of a class alone where a
        fold has any.
        """
        if self._groups is None:
            return None
        mine = {k: self.labels[k] == label if label is not None else ... for k in seeds}
        found = [self._groups[k][some] for k, some in mine.items()]
        return [of for of in found if len(of)]

    def others(self, *arms: str) -> list[Tables]:
        """Tables of the other arms in the folds of `arms`: what seeds do to them tells, too."""
        folds = set(self.common(*arms))
        found = []
        for arm in self._p:
            own = {k: seeds for k, seeds in self.common(arm).items() if k in folds}
            if arm not in arms and set(own) == folds:
                found.append(self.tables(arm, own))
        return found

    def gans(self, seeds: Mapping[int, Sequence[int]]) -> list[int]:
        """Return the GAN behind each seed of a single fold; [] of several folds or without GANs."""
        if len(seeds) != 1:
            return []
        ((fold, of),) = seeds.items()
        return [self._gan[fold, s] for s in of] if all((fold, s) in self._gan for s in of) else []

    def interval(self, a: str, b: str, level: float = 0.95) -> Interval | None:
        """Return that of arm a minus arm b; None where no seed has both."""
        seeds = self.common(a, b)
        if not seeds:
            return None
        pair = self.tables(a, seeds), self.tables(b, seeds)
        others, groups = self.others(a, b), self.groups(seeds)
        return crossed.paired_difference(*pair, level, others, self.limits, groups)

    @property
    def limits(self) -> tuple[float, float] | None:
        """Of a difference."""
        return (-1.0, 1.0) if OUTCOMES[self.outcome].share else None

    def decided(
        self,
        a: str,
        b: str,
        looks: Sequence[int],
        seeds: int,
        level: float,
        margin: float | None,
    ) -> bool:
        """Return whether the look after so many seeds gives a verdict: see
        `group_sequential.decided`.
        """
        both = self.common(a, b)
        return group_sequential.decided(
            self.tables(a, both),
            self.tables(b, both),
            looks,
            seeds,
            level,
            decides=partial(verdict.decides, margin=margin),
            others=self.others(a, b),
            groups=self.groups(both),
        )
