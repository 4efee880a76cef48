"""What an experiment could have seen: its power, from variances and never from an effect."""

from typing import NamedTuple

import numpy as np

from jaxgan.statistics.variance_components import (
    LUCK_OF_ARMS,
    Components,
    Squares,
    luck_of,
    moderated,
    spread,
)

DRAWS = 20_000
FEW = 500


class Design(NamedTuple):
    """K folds, in each S seeds crossed with its share of the test images, and how it is judged.

    Attributes:
        seeds: in each fold.
        images: test images of all folds together.
        level: of the interval that decides.
        folds: in how many the images are tested.
        arms: all arms of the experiment, whose seeds have a say.
    """

    seeds: int
    images: int
    level: float = 0.95
    folds: int = 1
    arms: int = 2

    @property
    def judged(self) -> bool:
        """Whether there is an interval."""
        return self.seeds * self.folds > 1 and self.images > self.folds


def assumed(disagree: float = 0.1, steady: float = 0.5, luck: float = 0.01) -> Components:
    """Variance components of a difference of accuracies, to plan with before anything is run.

    Args:
        disagree: share of test images that one arm's classifier gets right and the other wrong.
        steady: share of that which is the same with every seed, a trait of the image.
        luck: standard deviation of one arm's accuracy over seeds, in accuracies (0.01 is a point).
    """
    return Components(2 * luck**2, steady * disagree, (1 - steady) * disagree)


def power(effect: float, variances: Components, design: Design) -> float:
    """Probability that a true rise of `effect` comes out as "helps" (of -effect, as "hurts").

    Mean squares and the mean are drawn 20,000 times as the variances have it, and each draw is
    judged by the interval that judges an experiment.
    """
    return float((_needed(variances, design) < effect).mean())


def smallest_effect(
    variances: Components, design: Design, probability: float = 0.8
) -> float | None:
    """Return the least true rise that is found with `probability`; None where there is no interval.

    May exceed 1: such a design could see nothing.
    """
    if not design.judged:
        return None
    return float(np.quantile(_needed(variances, design), probability))


def expected_half(variances: Components, design: Design) -> float | None:
    """Half the interval's width, its mean over chance; None where there is no interval.

    From 500 draws, fast enough to compare hundreds of designs.
    """
    if not design.judged:
        return None
    return float(spread(_drawn(variances, design, FEW), design.level).half.mean())


def _needed(variances: Components, design: Design) -> np.ndarray:
    """For each draw of chance, the effect from which on the interval lies above 0."""
    folds, seeds, images = design.folds, design.seeds, design.images
    seed, picture, rest = variances
    variance = seed / (folds * seeds) + picture / images + rest / (seeds * images)
    chance = np.sqrt(variance) * np.random.default_rng(1).standard_normal(DRAWS)
    return spread(_drawn(variances, design, DRAWS), design.level).half - chance


def _drawn(variances: Components, design: Design, draws: int) -> Squares:
    """Analyses of variance as chance has them; every arm's seeds scatter alike."""
    seeds, images, _, folds, arms = design
    seed, picture, rest = variances
    rng = np.random.default_rng(0)

    def mean_square(df: int) -> np.ndarray:
        return rng.chisquare(df, draws) / df

    df_t = images - folds
    by_image = (picture + rest / seeds) / images * mean_square(df_t)
    by_seed = seed + rest * folds / images
    if seeds == 1:
        df = folds - 1
        between = (by_seed / folds + picture / images) * mean_square(df)
        return Squares(between, by_image, by_image, df, df_t, df_t, luck_of(df))
    df = folds * (seeds - 1)
    df_e = (seeds - 1) * (images - folds)
    of_rest = rest / (seeds * images) * mean_square(df_e)
    # Two arms' variances and covariance: Bartlett's decomposition of Wishart's distribution.
    first, slope = np.sqrt(df * mean_square(df)), rng.standard_normal(draws)
    left = rng.chisquare(df - 1, draws) if df > 1 else 0.0
    a, b, both = (by_seed / 2 / df * x for x in (first**2, slope**2 + left, first * slope))
    further = [by_seed / 2 * mean_square(df) for _ in range(arms - 2)]
    found, degrees = moderated(a, b, both, df, 0.0, further, [df] * len(further))
    of_seed = found / (folds * seeds)
    return Squares(of_seed, by_image, of_rest, degrees, df_t, df_e, LUCK_OF_ARMS)
