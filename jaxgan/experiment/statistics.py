"""Intervals and the verdict: means over seeds crossed with test pictures.

Every seed's classifier answers the same test pictures, so that the outcomes [seeds, pictures] have
two sources of chance: another seed would train another classifier, another test set would hold
other pictures. An interval that resamples only one of them, or both with few seeds, is too narrow.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped
from scipy import special

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


def crossed_interval(outcomes: Shaped[np.ndarray, "_ _"], level: float = 0.95) -> Interval:
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

    Raises:
        InputError: there is no seed or no picture.

    References:
        Satterthwaite, An approximate distribution of estimates of variance components, 1946.
        Searle, Casella, McCulloch, Variance Components, 1992, section 4.7 (two-way crossed).
        Agresti, Coull, Approximate is better than "exact" for interval estimation of binomial
        proportions, 1998.
    """
    outcomes = np.asarray(outcomes, np.float64)
    interval = _t_interval(outcomes, level)
    if not np.isin(outcomes, (0, 1)).all():
        return interval
    wider = _with_pictures(outcomes, (0, 0, 1, 1))
    return _recentre(interval, _t_interval(wider, level), 0)


def paired_difference(
    correct_a: Shaped[np.ndarray, "_ _"],
    correct_b: Shaped[np.ndarray, "_ _"],
    level: float = 0.95,
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
    interval = _t_interval(differences, level)
    wider = differences if np.ptp(differences) else _with_pictures(differences, (-1, 1))
    return _recentre(interval, _t_interval(wider, level), -1)


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


def verdict(interval: Interval) -> str:
    """ "helps" where a difference's interval lies above 0, "hurts" below, else "no evidence"."""
    if interval.low is None or interval.high is None:
        return "no evidence"
    return "helps" if interval.low > 0 else "hurts" if interval.high < 0 else "no evidence"


def sentence(
    interval: Interval,
    seeds: int,
    pictures: int,
    *,
    level: float = 0.95,
    subject: str = "generated pictures",
) -> str:
    """The verdict on `subject` (a plural) in one plain sentence with its figures."""
    size = f"{seeds} seed{'s' * (seeds != 1)} x {pictures} test picture{'s' * (pictures != 1)}"
    word, value, low, high = verdict(interval), interval.value, interval.low, interval.high
    if low is None or high is None:
        return (
            f"No evidence that {subject} help or hurt: accuracy changes by {points(value)} points, "
            f"but {size} give no interval, so this may be chance."
        )
    chance = f"{100 * level:g} % interval"
    if word == "no evidence":
        return (
            f"No evidence that {subject} help or hurt: accuracy changes by {points(value)} points "
            f"({chance} {points(low)} to {points(high)}), {size}."
        )
    change, value, low, high = (
        ("rises", value, low, high) if word == "helps" else ("falls", -value, -high, -low)
    )
    return (
        f"{subject[:1].upper()}{subject[1:]} {word.removesuffix('s')}: accuracy {change} by "
        f"{points(value)} points ({chance} {points(low)} to {points(high)}), {size}."
    )


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points, "2.1"; "0.03" rather than "0.0"."""
    value = 100 * fraction
    if float(f"{value:.1f}"):
        return f"{value:.1f}"
    return f"{value:.1g}" if abs(value) >= 1e-4 else "0.0"


def _t_interval(y: np.ndarray, level: float) -> Interval:
    """`crossed_interval` by the formula alone."""
    seeds, pictures = y.shape
    if not y.size:
        raise InputError(
            f"an interval needs at least one seed and one picture, got {seeds} and {pictures}"
        )
    mean = float(y.mean())
    if min(seeds, pictures) < 2:
        return Interval(mean)
    by_seed, by_picture = y.mean(1, keepdims=True) - mean, y.mean(0, keepdims=True) - mean
    df_s, df_t = seeds - 1, pictures - 1
    ms_s = pictures * np.sum(by_seed**2) / df_s
    ms_t = seeds * np.sum(by_picture**2) / df_t
    ms_e = np.sum((y - mean - by_seed - by_picture) ** 2) / (df_s * df_t)

    picture_part = max(ms_t, ms_e) - ms_e
    se = np.sqrt((max(ms_s, ms_e) + picture_part) / (seeds * pictures))
    high_s = ms_s * (1 + 2 * np.sqrt(2 / df_s))  # A mean square's relative error is sqrt(2 / df).
    spread = high_s**2 / df_s + ms_t**2 / df_t + ms_e**2 / (df_s * df_t)
    df = max(1.0, float((max(high_s, ms_e) + picture_part) ** 2 / spread)) if spread else 1.0
    half = special.stdtrit(df, (1 + level) / 2) * se
    return Interval(mean, float(mean - half), float(mean + half), float(se), df)


def _with_pictures(y: np.ndarray, outcomes: tuple[int, ...]) -> np.ndarray:
    """y [seeds, pictures] with further pictures, on each of which all seeds have one outcome."""
    return np.concatenate([y, np.tile(np.asarray(outcomes, y.dtype), (len(y), 1))], axis=1)


def _recentre(plain: Interval, wide: Interval, lowest: int) -> Interval:
    """`wide` about the plain mean, cut to the outcomes' range [lowest, 1]."""
    if plain.low is None or wide.low is None or wide.high is None:
        return plain
    low, high = min(wide.low, plain.value), max(wide.high, plain.value)
    return wide._replace(value=plain.value, low=max(low, float(lowest)), high=min(high, 1.0))
