"""The parts of chance in outcomes of seeds crossed with test pictures, and intervals from them.

Everything here takes leading axes, so that thousands of simulated experiments are judged at once.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import special


class Squares(NamedTuple):
    """Mean squares of the two-way layout, and the layout: S seeds (or GANs) x T pictures."""

    seed: np.ndarray
    picture: np.ndarray
    rest: np.ndarray
    seeds: int
    pictures: int


class Components(NamedTuple):
    """Variances of y_st = mean + seed_s + picture_t + rest_st, in squared accuracies."""

    seed: float
    picture: float
    rest: float


class Spread(NamedTuple):
    """Standard error of the mean, degrees of freedom of its t, and half the interval."""

    se: np.ndarray
    df: np.ndarray
    half: np.ndarray


def mean_squares(y: Float[np.ndarray, "*n s t"]) -> Squares:
    """The analysis of variance of outcomes [..., seeds, pictures], at least two of each."""
    seeds, pictures = y.shape[-2:]
    by_seed = y.mean(-1, keepdims=True)
    by_picture = y.mean(-2, keepdims=True)
    mean = by_seed.mean(-2, keepdims=True)
    ms_s = pictures * np.sum((by_seed - mean) ** 2, (-2, -1)) / (seeds - 1)
    ms_t = seeds * np.sum((by_picture - mean) ** 2, (-2, -1)) / (pictures - 1)
    rest = np.sum((y - by_seed - by_picture + mean) ** 2, (-2, -1))
    return Squares(ms_s, ms_t, rest / ((seeds - 1) * (pictures - 1)), seeds, pictures)


def components(squares: Squares) -> Components:
    """The variances that mean squares of one table speak of; a negative one counts as 0."""
    ms_s, ms_t, ms_e, seeds, pictures = squares
    seed, picture = (ms_s - ms_e) / pictures, (ms_t - ms_e) / seeds
    return Components(max(float(seed), 0.0), max(float(picture), 0.0), float(ms_e))


def spread(squares: Squares, level: ArrayLike, overlap: float = 0.0) -> Spread:
    """The t interval that `statistics.crossed_interval` describes, from mean squares.

    Args:
        squares: of the table.
        level: probability that the interval covers.
        overlap: share of their training pictures that two seeds have in common, 0 for disjoint
            sets. The luck of the whole set, which all seeds share, then stays unseen between them.
            By the delete-d jackknife its variance is overlap / (1 - overlap) times that between
            seeds (Shao, Wu, A general theory for jackknife variance estimation, 1989), which is
            put down to the pictures as a whole: this errs on the safe side.
    """
    ms_s, ms_t, ms_e, seeds, pictures = squares
    df_s, df_t = seeds - 1, pictures - 1
    more = seeds * overlap / (1 - overlap)
    picture_part = np.maximum(ms_t, ms_e) - ms_e
    shared = more * (np.maximum(ms_s, ms_e) - ms_e)
    se = np.sqrt((np.maximum(ms_s, ms_e) + shared + picture_part) / (seeds * pictures))
    # A mean square's relative error is sqrt(2 / df).
    high = (1 + more) * ms_s * (1 + 2 * np.sqrt(2 / df_s))
    total = np.maximum(high, ms_e) + picture_part
    noise = high**2 / df_s + ms_t**2 / df_t + ms_e**2 / (df_s * df_t)
    df = np.maximum(1.0, np.divide(total**2, noise, out=np.ones_like(noise), where=noise > 0))
    half = special.stdtrit(df, (1 + np.asarray(level)) / 2) * se
    if overlap:  # Never narrower for it.
        half = np.maximum(half, spread(squares, level).half)
    return Spread(se, df, half)


def nested_spread(
    squares: Squares, level: ArrayLike, between: ArrayLike = 0.0, df_between: int = 1
) -> Spread:
    """The same for k GANs x pictures, each GAN's seeds averaged: it holds from k = 2 up.

    The parts of the variance keep a t of their own (Banerjee, 1960):

        half^2 = t(k - 1)^2 v_gan + t(T - 1)^2 v_picture + t(df_between)^2 between

    covers at least as often as it says, whatever the parts; with 2 GANs t(1) is 12.7.

    Args:
        squares: of the table of GANs x pictures.
        level: probability that the interval covers.
        between: variance of the luck that all seeds share (`spread`'s `overlap`).
        df_between: degrees of freedom of that variance.

    References:
        Banerjee, Approximate confidence interval for linear functions of means of k populations
        when the population variances are not equal, 1960.
    """
    ms_g, ms_t, ms_e, gans, pictures = squares
    n, tail = gans * pictures, (1 + np.asarray(level)) / 2
    parts = (
        (np.maximum(ms_g, ms_e) / n, gans - 1),
        ((np.maximum(ms_t, ms_e) - ms_e) / n, pictures - 1),
        (np.asarray(between), df_between),
    )
    half = np.sqrt(sum(special.stdtrit(df, tail) ** 2 * v for v, df in parts))
    se = np.sqrt(sum(v for v, _ in parts))
    return Spread(se, np.full_like(se, gans - 1), half)
