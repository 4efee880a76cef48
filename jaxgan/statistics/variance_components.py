"""The parts of chance in outcomes of seeds crossed with test images, and intervals from them.

A table holds outcomes [..., seeds, images]: every seed's classifier answers the same images. A
design has one table per fold, with images and seeds of its own; folds are weighed by their
images, so that each image counts once. Everything here takes leading axes, so that thousands
of simulated experiments are judged at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import ArrayLike
from scipy import special

from jaxgan.statistics.clusters import Groups, clustered, clustered_rest
from jaxgan.types import InputError

Tables = Sequence[Shaped[np.ndarray, "*n _ _"]]
LUCK = 2.0  # Standard errors by which degrees are guarded where one number per seed is all there is
LUCK_OF_ARMS = 1.0  # and where both arms' seeds say how much they scatter.
ALIKE = 0.3  # Correlation of the arms' rests from which on their seeds are taken as pairs alone.
DOUBT = 8  # Degrees at which a correlation of the arms' seeds is half believed.


class Squares(NamedTuple):
    """What each part of chance adds to the variance of the mean, and the degrees of freedom.

    In one table of S seeds x T images these are the mean squares of its analysis of variance,
    divided by S T. `seed` and `picture` hold `rest` once each.
    """

    seed: np.ndarray
    picture: np.ndarray
    rest: np.ndarray
    df_seed: np.ndarray | float
    df_image: np.ndarray | float
    df_rest: np.ndarray | float
    luck: np.ndarray | float = LUCK


def luck_of(df: int) -> float:
    """Return the guard where one number per seed is all there is: twice as much with one degree."""
    return LUCK * (1 + (df == 1))


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


class Layout(NamedTuple):
    """The shape of a design: each fold's seeds and images."""

    seeds: np.ndarray
    images: np.ndarray

    @property
    def df_seed(self) -> int:
        return int((self.seeds - 1).sum())

    @property
    def df_image(self) -> int:
        return int((self.images - 1).sum())

    @property
    def df_rest(self) -> int:
        return int(((self.seeds - 1) * (self.images - 1)).sum())

    @property
    def share(self) -> np.ndarray:
        """Of each fold in the mean."""
        return self.images / self.images.sum()

    @property
    def per_seed(self) -> float:
        """What a seed's variance, within its fold, adds to that of the mean."""
        return float((self.share**2 / self.seeds).sum())

    @property
    def per_answer(self) -> float:
        """What an answer's variance adds to that of the mean."""
        return float((self.share**2 / (self.seeds * self.images)).sum())


def as_tables(tables: Tables | np.ndarray) -> list[np.ndarray]:
    """Return one table per fold, as floats; one array is one fold, and a fold without images is
    none.

    Raises:
        InputError: there is no seed or no image.
    """
    several = [tables] if isinstance(tables, np.ndarray) else list(tables)
    found = [np.asarray(t, np.float64) for t in several if t.shape[-1]]
    if not found or not all(t.shape[-2] for t in found):
        raise InputError(
            "an interval needs at least one seed and one image in each fold, got seeds and "
            f"images {[t.shape[-2:] for t in several]}"
        )
    return found


def layout(tables: Tables) -> Layout:
    """Of one table per fold."""
    return Layout(*np.array([t.shape[-2:] for t in tables]).T)


def mean_of(tables: Tables) -> np.ndarray:
    """Return the mean over images of the means over seeds."""
    means = [t.mean((-2, -1)) for t in tables]
    return sum((w * m for w, m in zip(layout(tables).share, means, strict=True)), np.zeros(()))


def squares(
    tables: Tables,
    pair: tuple[Tables, Tables] | None = None,
    others: Sequence[Tables] = (),
    groups: Groups | None = None,
) -> Squares | None:
    """Return the analysis of variance within folds, pooled over them; None where there is too
    little.

    With one seed in each fold the folds' means take the seeds' place.

    Args:
        tables: the outcomes; of a contrast, the differences.
        pair: the contrast's arms, whose own scatter says more of the seeds' variance than that of
            the differences (`seed_variance`), unless they give much the same answers (`alike`).
        others: further arms.
        groups: of the images, where some belong together; see `clusters.clustered`.
    """
    shape = layout(tables)
    if shape.df_image < 1 or not (shape.df_seed or len(tables) > 1):
        return None
    by_image = [t.mean(-2) for t in tables]
    df_t: np.ndarray | float = shape.df_image
    if groups is None:
        variance = sum(((m - m.mean(-1, keepdims=True)) ** 2).sum(-1) for m in by_image)
        picture = variance / shape.df_image / shape.images.sum()
    else:
        found = clustered(by_image, groups)
        if found is None:
            return None
        picture, df_t = found
    if not shape.df_seed:
        means = np.stack([m.mean(-1) for m in by_image], -1)
        off = shape.share * (means - mean_of(tables)[..., None])
        folds = len(tables)
        between = (off**2).sum(-1) * folds / (folds - 1)
        luck = luck_of(folds - 1)
        return Squares(between, picture, picture, folds - 1, df_t, df_t, luck)
    if groups is None:
        rest, df_e = left(tables, tables) / max(shape.df_rest, 1) * shape.per_answer, shape.df_rest
    else:
        rest = clustered_rest(tables, groups)
        df_e = df_t * shape.df_seed / len(tables)
    seed, df_seed = scatter(tables, tables) / shape.df_seed, shape.df_seed
    luck = luck_of(shape.df_seed)
    if pair is not None:
        paired = alike(*pair)
        more = (*seed_variance(*pair, others), LUCK_OF_ARMS)
        chosen = zip((seed, df_seed, luck), more, strict=True)
        seed, df_seed, luck = (np.where(paired, *two) for two in chosen)
    seed = seed * shape.per_seed
    return Squares(seed, picture, rest, df_seed, df_t, np.maximum(df_e, 1), luck)


def scatter(a: Tables, b: Tables) -> np.ndarray:
    """Return the sum of products of two arms' seeds' means about their folds' means."""
    total = np.zeros(())
    for x, y in zip(a, b, strict=True):
        x, y = x.mean(-1), y.mean(-1)
        total = total + ((x - x.mean(-1, keepdims=True)) * (y - y.mean(-1, keepdims=True))).sum(-1)
    return total


def left(a: Tables, b: Tables) -> np.ndarray:
    """Return the sum of products of what neither seed nor image explains in two arms' outcomes."""
    total = np.zeros(())
    for x, y in zip(a, b, strict=True):
        x, y = (t - t.mean(-1, keepdims=True) - t.mean(-2, keepdims=True) for t in (x, y))
        x, y = (t - t.mean((-2, -1), keepdims=True) for t in (x, y))
        total = total + (x * y).sum((-2, -1))
    return total


def alike(a: Tables, b: Tables) -> np.ndarray:
    """Return whether what neither seed nor image explains goes together in two arms.

    Such arms share their seeds' luck, too: their differences scatter far less than either. All
    answers tell so, and none of their means: the choice says nothing of the seeds' variance.
    """
    return left(a, b) > ALIKE * np.sqrt(left(a, a) * left(b, b))


def seed_variance(
    a: Tables, b: Tables, others: Sequence[Tables] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of a seed's difference between two arms, and its degrees of freedom."""
    shape = layout(a)
    df = shape.df_seed
    known = left(a, b) / max(shape.df_rest, 1) * shape.per_answer / shape.per_seed
    further, dfs = list[np.ndarray](), list[int]()
    for other in others:
        if own := layout(other).df_seed:
            further.append(scatter(other, other) / own)
            dfs.append(own)
    one, two, both = (scatter(x, y) / df for x, y in ((a, a), (b, b), (a, b)))
    return moderated(one, two, both, df, known, further, dfs)


def moderated(
    a: np.ndarray,
    b: np.ndarray,
    both: np.ndarray,
    df: int,
    known: np.ndarray | float = 0.0,
    further: Sequence[np.ndarray] = (),
    dfs: Sequence[int] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Return the variance of a difference from its terms' variances, and Satterthwaite's degrees.

    The differences' own variance v_a + v_b - 2 c has `df` degrees; without the covariance c
    (Welch) it has up to twice as many, but takes the arms as independent. So c is shrunk by
    df / (df + 8) to what answers that go together over the images make it, which is well known.
    With few degrees all arms together have a say (Smyth): the variance is lifted to one whose v_a
    and v_b are drawn by a share of 1 / df^2 to the mean of all arms', never lowered to it, as an
    arm in the contrast may scatter more than those outside.

    Args:
        a: variance of the one arm, with `df` degrees of freedom.
        b: of the other.
        both: their covariance.
        df: degrees of freedom of each of these.
        known: what their covariance is if only single answers, and not seeds, go together.
        further: other arms' variances.
        dfs: their degrees.

    References:
        Satterthwaite, An approximate distribution of estimates of variance components, 1946.
        Welch, The generalization of "Student's" problem when several different population
        variances are involved, 1947.
        Smyth, Linear models and empirical Bayes methods for assessing differential expression in
        microarray experiments, 2004.
    """
    believed = df / (df + DOUBT)
    shrunk = believed * both + (1 - believed) * known

    def estimate(own: float, each: float) -> tuple[np.ndarray, np.ndarray]:
        """Of weights on a and b and on each further arm."""
        value = own * (a + b) - 2 * shrunk + each * sum(further, np.zeros(()))
        error = (own * a - believed * shrunk) ** 2 + (own * b - believed * shrunk) ** 2
        error = error + 2 * (own * shrunk - believed * a) * (own * shrunk - believed * b)
        error = error / df + sum(((each * v) ** 2 / n for v, n in zip(further, dfs, strict=True)))
        ones = np.ones_like(error)
        return value, np.maximum(1, np.divide(value**2, error, out=ones, where=error > 0))

    value, degrees = estimate(1, 0)
    if further:
        drawn = 2 / df**2 / (2 + len(further))
        lifted, more = estimate(1 - 1 / df**2 + drawn, drawn)
        degrees = np.where(lifted > value, more, degrees)
        value = np.maximum(value, lifted)
    return np.maximum(value, 0), degrees


def spread(parts: Squares, level: ArrayLike) -> Spread:
    """Return the t interval that `crossed.paired_difference` describes."""
    seed, picture, rest, df_s, df_t, df_e, luck = parts
    image_part = np.maximum(picture, rest) - rest
    se = np.sqrt(np.maximum(seed, rest) + image_part)
    # A variance's relative error is sqrt(2 / df).
    high = seed * (1 + luck * np.sqrt(2 / np.asarray(df_s, float)))
    total = np.maximum(high, rest) + image_part
    noise = high**2 / df_s + picture**2 / df_t + rest**2 / df_e
    df = np.maximum(1.0, np.divide(total**2, noise, out=np.ones_like(noise), where=noise > 0))
    half = special.stdtrit(df, (1 + np.asarray(level)) / 2) * se
    return Spread(se, df, half)


def components(tables: Tables | np.ndarray, groups: Groups | None = None) -> Components | None:
    """Return the variances that outcomes speak of, a negative one counting as 0; None without
    several seeds and images.
    """
    tables = as_tables(tables)
    shape, found = layout(tables), squares(tables, groups=groups)
    if found is None or not shape.df_seed:
        return None
    images = shape.images.sum()
    seed, picture = found.seed - found.rest, (found.picture - found.rest) * images
    rest = found.rest / shape.per_answer
    return Components(max(float(seed / shape.per_seed), 0.0), max(float(picture), 0.0), float(rest))


def nested_spread(
    y: Float[np.ndarray, "*n g t"], level: ArrayLike, groups: Groups | None = None
) -> Spread:
    """Return the interval for other GANs and other images, of outcomes [..., GANs, images].

    Each part of the variance keeps a t of its own, and none is cut at 0 (Banerjee, 1960):

        half^2 = t(G - 1)^2 v_gan + t(T - 1)^2 v_image

    covers at least as often as it says, whatever the parts; with 2 GANs t(1) is 12.7.

    References:
        Banerjee, Approximate confidence interval for linear functions of means of k populations
        when the population variances are not equal, 1960.
    """
    gans, images = y.shape[-2:]
    v_gan = y.mean(-1).var(-1, ddof=1) / gans
    v_image, df = y.mean(-2).var(-1, ddof=1) / images, images - 1
    if groups is not None and (found := clustered([y.mean(-2)], groups)) is not None:
        v_image, df = found
    tail = (1 + np.asarray(level)) / 2
    half = np.sqrt(
        special.stdtrit(gans - 1, tail) ** 2 * v_gan + special.stdtrit(df, tail) ** 2 * v_image
    )
    se = np.sqrt(v_gan + v_image)
    return Spread(se, np.full_like(se, gans - 1), half)
