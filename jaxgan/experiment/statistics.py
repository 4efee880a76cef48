"""Intervals and tests: means over seeds crossed with test pictures.

Every seed's classifier answers the same test pictures, so that the outcomes [seeds, pictures] have
two sources of chance: another seed would train another classifier, another test set would hold
other pictures. An interval that resamples only one of them, or both with few seeds, is too narrow.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from scipy import special, stats

from jaxgan.experiment.components import mean_squares, nested_spread, spread
from jaxgan.types import InputError


class Interval(NamedTuple):
    """An estimate and its interval; None where it cannot be had (one seed, one picture).

    `se` is the standard error of the mean outcome and `df` the degrees of freedom of its t.
    """

    value: float
    low: float | None = None
    high: float | None = None
    se: float | None = None
    df: float | None = None


def crossed_interval(
    outcomes: Shaped[np.ndarray, "_ _"],
    level: float = 0.95,
    overlap: float = 0.0,
    gans: Sequence[int] | None = None,
) -> Interval:
    """The mean of a two-way crossed random layout, for other seeds and other pictures.

    The model is y_st = mean + seed_s + picture_t + rest_st. With the mean squares MS_s, MS_t and
    MS_e of its analysis of variance, S seeds and T pictures,

        se^2 = (max(MS_s, MS_e) + max(MS_t, MS_e) - MS_e) / (S T)

    (a variance component estimated as negative counts as 0), on Satterthwaite's degrees of freedom.
    Those come out too large where MS_s, a figure of only S - 1 degrees, is small by chance: the
    plain interval then covers 92 % with 3 seeds and 94 % with 5. So they are taken as if MS_s lay
    two of its standard errors higher, which costs 12 and 5 % of width and covers 94.6 % or more
    from 3 seeds up, whatever the components (simulated; 92 % with 2 seeds). Never less than 1.

    Outcomes that are all 0 or 1 are answers, wrong or right: their interval is that of the same
    answers with four pictures more, two that every seed gets right and two that every seed gets
    wrong, cut to [0, 1] (Agresti and Coull's rule with whole pictures). It so covers near 100 %
    too, where 300 right answers of 300 leave room for an accuracy of 98.4 %. `value` stays the
    plain mean. Other outcomes that are all equal get an interval of no width.

    Args:
        outcomes: [seeds, pictures], any real numbers.
        level: probability that the interval covers the mean.
        overlap: share of training pictures that two seeds' subsets have in common, below 1
            (`components.spread`); 0 where each seed drew afresh, or where the interval is meant
            for these very training pictures.
        gans: which GAN each seed's generated pictures come from. With two or more the interval
            holds for other GANs too: each GAN's seeds are averaged, and the GANs take the seeds'
            place (`components.nested_spread`).

    Raises:
        InputError: there is no seed or no picture.

    References:
        Satterthwaite, An approximate distribution of estimates of variance components, 1946.
        Searle, Casella, McCulloch, Variance Components, 1992, section 4.7 (two-way crossed).
        Agresti, Coull, Approximate is better than "exact" for interval estimation of binomial
        proportions, 1998.
    """
    outcomes = np.asarray(outcomes, np.float64)
    interval = _t_interval(outcomes, level, overlap, gans)
    if not np.isin(outcomes, (0, 1)).all():
        return interval
    wider = _with_pictures(outcomes, (0, 0, 1, 1))
    return _recentre(interval, _t_interval(wider, level, overlap, gans), 0)


def paired_difference(
    correct_a: Shaped[np.ndarray, "_ _"],
    correct_b: Shaped[np.ndarray, "_ _"],
    level: float = 0.95,
    overlap: float = 0.0,
    gans: Sequence[int] | None = None,
) -> Interval:
    """The rise of accuracy from arm b to arm a, from the same seeds on the same pictures.

    The interval is `crossed_interval`'s t interval on the differences a - b, cut to [-1, 1]. Where
    these are all equal (two arms with the same answers) it is taken with two pictures more, one
    that only arm a gets right and one that only arm b does: that no picture of T told the arms
    apart does not prove that none would.

    Args:
        correct_a: [seeds, pictures], True or 1 where the answer is right.
        correct_b: the same seeds and pictures, in the same order.
        level: probability that the interval covers the true difference.
        overlap: as in `crossed_interval`.
        gans: as in `crossed_interval`.

    Raises:
        InputError: the arms differ in shape, or there is no seed or no picture.

    References:
        Agresti, Min, Simple improved confidence intervals for comparing matched proportions, 2005.
    """
    if correct_a.shape != correct_b.shape:
        raise InputError(
            "both arms need the same seeds and test pictures, "
            f"got {correct_a.shape} and {correct_b.shape}"
        )
    differences = np.asarray(correct_a, np.float64) - np.asarray(correct_b, np.float64)
    interval = _t_interval(differences, level, overlap, gans)
    wider = differences if np.ptp(differences) else _with_pictures(differences, (-1, 1))
    return _recentre(interval, _t_interval(wider, level, overlap, gans), -1)


def p_value(
    correct_a: Shaped[np.ndarray, "_ _"],
    correct_b: Shaped[np.ndarray, "_ _"],
    overlap: float = 0.0,
    gans: Sequence[int] | None = None,
) -> float | None:
    """The least alpha whose `paired_difference` of level 1 - alpha leaves 0 out; None without one.

    Two-sided; it agrees with the interval by construction. Not below 1e-9.
    """
    low, high = np.log(1e-9), 0.0
    for _ in range(40):
        middle = (low + high) / 2
        level = -np.expm1(middle)
        interval = paired_difference(correct_a, correct_b, level, overlap, gans)
        if interval.low is None or interval.high is None:
            return None
        if interval.low > 0 or interval.high < 0:
            high = middle
        else:
            low = middle
    return float(np.exp(high))


def holm(p: Sequence[float]) -> list[float]:
    """p-values adjusted for their number: below alpha they reject with familywise error alpha.

    References:
        Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, np.float64)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return adjusted.tolist()


class McNemar(NamedTuple):
    """Test pictures that one arm alone gets right, and the exact two-sided p-value."""

    only_a: int
    only_b: int
    p: float


def mcnemar(correct_a: Shaped[np.ndarray, " _"], correct_b: Shaped[np.ndarray, " _"]) -> McNemar:
    """The exact test of one classifier against one other on the same pictures [pictures].

    It speaks of these two trained classifiers, not of the ways they were trained.

    References:
        McNemar, Note on the sampling error of the difference between correlated proportions, 1947.
    """
    a, b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    tail = stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)
    return McNemar(only_a, only_b, min(1.0, 2 * float(tail)))


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """A proportion's score interval: one classifier's accuracy on n test pictures.

    Args:
        successes: how many of the n answers are right.
        n: number of test pictures.
        level: probability that the interval covers the true proportion.

    Raises:
        InputError: n is not positive, or successes lie outside [0, n].

    References:
        Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    if not 0 <= successes <= n or n < 1:
        raise InputError(f"successes must lie in 0..n with n at least 1, got {successes} of {n}")
    p, z = successes / n, special.ndtri((1 + level) / 2)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return Interval(p, float(max(min(centre - half, p), 0)), float(min(max(centre + half, p), 1)))


def _t_interval(
    y: Float[np.ndarray, "_ _"], level: float, overlap: float, gans: Sequence[int] | None
) -> Interval:
    """`crossed_interval` by the formula alone."""
    seeds, pictures = y.shape
    if not y.size:
        raise InputError(
            f"an interval needs at least one seed and one picture, got {seeds} and {pictures}"
        )
    if not 0 <= overlap < 1:
        raise InputError(f"overlap must be within [0, 1), got {overlap}")
    of = np.arange(seeds) if gans is None else np.unique(gans, return_inverse=True)[1]
    if len(of) != seeds:
        raise InputError(f"gans must name one for each of {seeds} seeds, got {len(of)}")
    mean = float(y.mean())
    if min(seeds, pictures) < 2:
        return Interval(mean)
    if gans is None or not of.any():
        found = spread(mean_squares(y), level, overlap)
    else:
        y_gan = np.stack([y[of == g].mean(0) for g in range(of.max() + 1)])
        mean = float(y_gan.mean())
        ms_s, _, ms_e, *_ = mean_squares(y)
        between = overlap / (1 - overlap) * (np.maximum(ms_s, ms_e) - ms_e) / pictures
        found = nested_spread(mean_squares(y_gan), level, between, seeds - 1)
    se, df, half = map(float, found)
    return Interval(mean, mean - half, mean + half, se, df)


def _with_pictures(y: np.ndarray, outcomes: tuple[int, ...]) -> np.ndarray:
    """y [seeds, pictures] with further pictures, on each of which all seeds have one outcome."""
    return np.concatenate([y, np.tile(np.asarray(outcomes, y.dtype), (len(y), 1))], axis=1)


def _recentre(plain: Interval, wide: Interval, lowest: int) -> Interval:
    """`wide` about the plain mean, cut to the outcomes' range [lowest, 1]."""
    if plain.low is None or wide.low is None or wide.high is None:
        return plain
    low, high = min(wide.low, plain.value), max(wide.high, plain.value)
    return wide._replace(value=plain.value, low=max(low, float(lowest)), high=min(high, 1.0))
