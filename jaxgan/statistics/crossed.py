"""Intervals and tests: means over seeds crossed with test images, in one fold or several.

Every seed's classifier answers the same test images of its fold, so that the outcomes [seeds,
images] have two sources of chance: another seed would train another classifier, another test set
would hold other images. An interval that resamples only one of them, or both with few seeds, is
too narrow. What all classifiers of a fold share, its training images and its GANs, is given: the
intervals speak of these (`across_folds` and `across_gans` speak of others).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped
from scipy import special, stats

from jaxgan.statistics.clusters import Groups
from jaxgan.statistics.variance_components import (
    Tables,
    as_tables,
    mean_of,
    nested_spread,
    spread,
    squares,
)
from jaxgan.types import InputError


class Interval(NamedTuple):
    """An estimate and its interval; None where it cannot be had (one seed, one image).

    `se` is the standard error of the mean outcome and `df` the degrees of freedom of its t.
    """

    value: float
    low: float | None = None
    high: float | None = None
    se: float | None = None
    df: float | None = None

    @property
    def half(self) -> float | None:
        """Half its width."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def crossed_interval(
    tables: Tables | np.ndarray, level: float = 0.95, groups: Groups | None = None
) -> Interval:
    """Return the mean of a two-way crossed random layout, for other seeds and other images.

    In each fold the model is y_st = mean + seed_s + picture_t + rest_st. The mean squares of its
    analysis of variance are pooled over the folds, and the folds weighed by their images. In one
    table of S seeds and T images this is

        se^2 = (max(MS_s, MS_e) + max(MS_t, MS_e) - MS_e) / (S T)

    (a variance component estimated as negative counts as 0), on Satterthwaite's degrees of freedom.
    Those come out too large where MS_s, a figure of only S - 1 degrees, is small by chance. So they
    are taken as if MS_s lay two of its standard errors higher (four with one degree). Never less
    than 1.

    With one seed in each fold there is nothing to tell a seed's luck from; the folds' means are
    then taken as so many outcomes, which counts the folds' training images as chance too.

    Outcomes that are all 0 or 1 are answers, wrong or right: their interval is that of the same
    answers with four images more, two that every seed gets right and two that every seed gets
    wrong, cut to [0, 1] (Agresti and Coull's rule with whole images). It so covers near 100 %
    too, where 300 right answers of 300 leave room for an accuracy of 98.4 %. `value` stays the
    plain mean. Other outcomes that are all equal get an interval of no width.

    Args:
        tables: [seeds, images] of each fold, any real numbers; one array is one fold.
        level: probability that the interval covers the mean.
        groups: which images of each fold belong together (`clusters.clustered`): the interval
            then speaks of other groups, and the further images of Agresti's rule are groups, too.

    Raises:
        InputError: there is no seed or no image.

    References:
        Satterthwaite, An approximate distribution of estimates of variance components, 1946.
        Searle, Casella, McCulloch, Variance Components, 1992, section 4.7 (two-way crossed).
        Bayle, Bayle, Janson, Mackey, Cross-validation confidence intervals for test error, 2020
        (variances within folds, pooled).
        Agresti, Coull, Approximate is better than "exact" for interval estimation of binomial
        proportions, 1998.
    """
    tables, groups = as_tables(tables), _of_images(groups)
    interval = _t_interval(tables, level, groups=groups)
    if not all(np.isin(t, (0, 1)).all() for t in tables):
        return interval
    more, theirs = with_images(tables, (0, 0, 1, 1), groups)
    wider = _t_interval(more, level, groups=theirs)
    return _recentre(interval, wider, (0, 1))


def paired_difference(
    a: Tables | np.ndarray,
    b: Tables | np.ndarray,
    level: float = 0.95,
    others: Sequence[Tables | np.ndarray] = (),
    limits: tuple[float, float] | None = (-1, 1),
    groups: Groups | None = None,
) -> Interval:
    """The rise of the mean outcome from arm b to arm a, from the same seeds on the same images.

    The interval is `crossed_interval`'s of the differences a - b with one thing more: how much
    their seeds scatter is told by both arms' own seeds, and with few of them by those of all arms
    (`variance_components.moderated`). Arms that give much the same answers
    (`variance_components.alike`) are judged by their differences alone.

    Where the differences are all equal (two arms with the same answers) it is taken with two
    images more, one that only arm a gets right and one that only arm b does: that no image of T
    told the arms apart does not prove that none would.

    Args:
        a: [seeds, images] of each fold: 1 where the answer is right, or any outcome.
        b: the same seeds and images, in the same order.
        level: probability that the interval covers the true difference.
        others: tables of the experiment's further arms.
        limits: what the difference cannot leave; None for outcomes without bounds, whose equal
            differences get an interval of no width.
        groups: as in `crossed_interval`.

    Raises:
        InputError: the arms differ in shape, or there is no seed or no image.

    References:
        Agresti, Min, Simple improved confidence intervals for comparing matched proportions, 2005.
    """
    plain, wide = _difference(a, b, level, others, limits, groups)
    return plain if limits is None else _recentre(plain, wide, limits)


def p_value(
    a: Tables | np.ndarray,
    b: Tables | np.ndarray,
    others: Sequence[Tables | np.ndarray] = (),
    limits: tuple[float, float] | None = (-1, 1),
    groups: Groups | None = None,
) -> float | None:
    """The least alpha whose `paired_difference` of level 1 - alpha leaves 0 out; None without one.

    Two-sided; it agrees with the interval by construction. Not below 1e-9.
    """
    interval = _difference(a, b, 0.95, others, limits, groups)[1]
    if interval.se is None or interval.df is None:
        return None
    if not interval.se:
        return 1e-9 if interval.value else 1.0
    return max(2 * float(special.stdtr(interval.df, -abs(interval.value) / interval.se)), 1e-9)


def _difference(
    a: Tables | np.ndarray,
    b: Tables | np.ndarray,
    level: float,
    others: Sequence[Tables | np.ndarray],
    limits: tuple[float, float] | None,
    groups: Groups | None,
) -> tuple[Interval, Interval]:
    """The plain interval, and the one that decides: with two images more if all are equal."""
    (a, b), groups = _pair(a, b), _of_images(groups)
    y = [x - z for x, z in zip(a, b, strict=True)]
    plain = _t_interval(y, level, (a, b), [as_tables(o) for o in others], groups)
    told_apart = any(np.ptp(t) for t in y) or len({t.flat[0] for t in y}) > 1
    if limits is None or told_apart or plain.low is None:
        return plain, plain
    more, theirs = with_images(y, limits, groups)
    return plain, _t_interval(more, level, groups=theirs)


def across_folds(
    a: Tables | np.ndarray, b: Tables | np.ndarray, level: float = 0.95
) -> Interval | None:
    """The rise from arm b to arm a for other training images and other GANs; None with one fold.

    Each fold trained on images and GANs of its own, so that the folds' mean differences scatter
    by all there is. But two of K training sides share most of their images, and so the variance
    of the mean is not s^2 / K but s^2 (1 / K + 1 / (K - 1)), test images per training image
    being 1 / (K - 1); t with K - 1 degrees of freedom. No component is cut at 0.

    Args:
        a: as in `paired_difference`.
        b: as in `paired_difference`.
        level: probability that the interval covers.

    References:
        Nadeau, Bengio, Inference for the generalization error, 2003.
    """
    a, b = _pair(a, b)
    folds = len(a)
    if folds < 2:
        return None
    y = [x - z for x, z in zip(a, b, strict=True)]
    means = np.array([t.mean() for t in y])
    se = float(np.sqrt(means.var(ddof=1) * (1 / folds + 1 / (folds - 1))))
    half = float(special.stdtrit(folds - 1, (1 + level) / 2)) * se
    mean = float(mean_of(y))
    return Interval(mean, mean - half, mean + half, se, folds - 1.0)


def across_gans(
    a: Tables | np.ndarray,
    b: Tables | np.ndarray,
    gans: Sequence[int],
    level: float = 0.95,
    groups: Groups | None = None,
) -> Interval | None:
    """The rise from arm b to arm a for other GANs; None with one of them, or with several folds.

    Each GAN's seeds are averaged, and the GANs take the seeds' place
    (`variance_components.nested_spread`).

    Args:
        a: as in `paired_difference`.
        b: as in `paired_difference`.
        gans: which GAN each seed's generated images come from.
        level: probability that the interval covers.
        groups: as in `crossed_interval`.

    Raises:
        InputError: the numbers of GANs and seeds differ.
    """
    a, b = _pair(a, b)
    if len(a) > 1:
        return None
    y = a[0] - b[0]
    if len(gans) != len(y):
        raise InputError(f"gans must name one for each of {len(y)} seeds, got {len(gans)}")
    of = np.unique(gans, return_inverse=True)[1]
    if not of.any() or y.shape[1] < 2:
        return None
    rows = np.stack([y[of == g].mean(0) for g in range(of.max() + 1)])
    se, df, half = map(float, nested_spread(rows, level, groups))
    mean = float(rows.mean())
    return Interval(mean, mean - half, mean + half, se, df)


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
    """Test images that one arm alone gets right, and the exact two-sided p-value."""

    only_a: int
    only_b: int
    p: float


def mcnemar(correct_a: Shaped[np.ndarray, " _"], correct_b: Shaped[np.ndarray, " _"]) -> McNemar:
    """Return the exact test of one classifier against one other on the same images [images].

    It speaks of these two trained classifiers, not of the ways they were trained.

    References:
        McNemar, Note on the sampling error of the difference between correlated proportions, 1947.
    """
    a, b = np.asarray(correct_a, bool), np.asarray(correct_b, bool)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    tail = stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)
    return McNemar(only_a, only_b, min(1.0, 2 * float(tail)))


def _pair(
    a: Tables | np.ndarray, b: Tables | np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Both arms' tables."""
    a, b = as_tables(a), as_tables(b)
    shapes = [[t.shape for t in tables] for tables in (a, b)]
    if shapes[0] != shapes[1]:
        raise InputError(
            f"both arms need the same seeds and test images, got {shapes[0]} and {shapes[1]}"
        )
    return a, b


def _t_interval(
    tables: list[np.ndarray],
    level: float,
    pair: tuple[Tables, Tables] | None = None,
    others: Sequence[Tables] = (),
    groups: Groups | None = None,
) -> Interval:
    """Return the interval by the formula alone."""
    mean, parts = float(mean_of(tables)), squares(tables, pair, others, groups)
    if parts is None:
        return Interval(mean)
    se, df, half = map(float, spread(parts, level))
    return Interval(mean, mean - half, mean + half, se, df)


def with_images(
    tables: Sequence[np.ndarray], outcomes: Sequence[float], groups: Groups | None = None
) -> tuple[list[np.ndarray], Groups | None]:
    """Tables with further images in the first, on each of which all seeds have one outcome.

    Where images come in groups these are such groups, of the mean size.
    """
    first, *rest = tables
    added = np.asarray(outcomes, first.dtype)
    if groups is not None:
        of = np.unique(groups[0], return_inverse=True)[1]
        size = max(1, round(len(of) / (of.max() + 1)))
        more = of.max() + 1 + np.repeat(np.arange(len(added)), size)
        groups = [np.concatenate([of, more]), *groups[1:]]
        added = np.repeat(added, size)
    return [np.concatenate([first, np.tile(added, (len(first), 1))], axis=1), *rest], groups


def _of_images(groups: Groups | None) -> Groups | None:
    """Without those of folds that have no images, as `as_tables`."""
    return None if groups is None else [of for of in groups if len(of)]


def _recentre(plain: Interval, wide: Interval, limits: tuple[float, float]) -> Interval:
    """`wide` about the plain mean, cut to the limits."""
    if plain.low is None or wide.low is None or wide.high is None:
        return plain
    low, high = min(wide.low, plain.value), max(wide.high, plain.value)
    low, high = max(low, float(limits[0])), min(high, float(limits[1]))
    return wide._replace(value=plain.value, low=low, high=high)
