"""What an experiment could have seen: its power, from variances and never from an effect."""

from typing import NamedTuple

import numpy as np

from jaxgan.experiment.components import Components, Squares, nested_spread, spread

DRAWS = 20_000


class Design(NamedTuple):
    """A table of differences: S seeds (or k GANs) x T test pictures, and how it is judged.

    Attributes:
        seeds: rows of the table; GANs where `nested`.
        pictures: test pictures.
        level: of the interval that decides.
        overlap: share of training pictures that two seeds have in common.
        nested: whether the rows are GANs, each the mean of its seeds.
    """

    seeds: int
    pictures: int
    level: float = 0.95
    overlap: float = 0.0
    nested: bool = False


def assumed(disagree: float = 0.1, steady: float = 0.5, luck: float = 0.01) -> Components:
    """Variance components of a difference of accuracies, to plan with before anything is run.

    Args:
        disagree: share of test pictures that one arm's classifier gets right and the other wrong.
        steady: share of that which is the same with every seed, a trait of the picture.
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
    """The least true rise that is found with `probability`; None with a single seed.

    May exceed 1: such a design could see nothing.
    """
    if min(design.seeds, design.pictures) < 2:
        return None
    return float(np.quantile(_needed(variances, design), probability))


def _needed(variances: Components, design: Design) -> np.ndarray:
    """For each draw of chance, the effect from which on the interval lies above 0."""
    seeds, pictures = design.seeds, design.pictures
    rng = np.random.default_rng(0)
    seed, picture, rest = variances
    df_s, df_t = seeds - 1, pictures - 1
    squares = Squares(
        (pictures * seed + rest) * rng.chisquare(df_s, DRAWS) / df_s,
        (seeds * picture + rest) * rng.chisquare(df_t, DRAWS) / df_t,
        rest * rng.chisquare(df_s * df_t, DRAWS) / (df_s * df_t),
        seeds,
        pictures,
    )
    shared = design.overlap / (1 - design.overlap) * seed
    variance = seed / seeds + shared + picture / pictures + rest / (seeds * pictures)
    chance = np.sqrt(variance) * rng.standard_normal(DRAWS)
    if design.nested:
        half = nested_spread(squares, design.level, shared, df_s).half
    else:
        half = spread(squares, design.level, design.overlap).half
    return half - chance
