"""The Fréchet distance between two sets of features, each taken as a normal distribution."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from jaxgan.errors import InputError

PARTINGS = 8  # Over which the distances of partings at random are averaged.
STEEPEST = 0.9  # Of a set's distance and its halves', beyond which there is no extrapolation.


class Moments(NamedTuple):
    """What the distance knows of a set."""

    mean: Float64[np.ndarray, " d"]
    root: Float64[np.ndarray, "r d"]  # root.T @ root is the covariance (divided by n - 1).
    count: int


def moments(features: Float[np.ndarray, "n d"]) -> Moments:
    """Return mean and covariance of a set, in float64.

    Raises:
        InputError: fewer than two images, or features that are not finite.
    """
    n, d = features.shape
    if n < 2:
        raise InputError(f"a Fréchet distance needs two images or more on each side, got {n}")
    if not np.isfinite(features).all():
        raise InputError("features must be finite, and some are not")
    x = features.astype(np.float64)
    mean = x.mean(axis=0)
    x = (x - mean) / np.sqrt(n - 1)
    if n <= d:
        return Moments(mean, x, n)
    variance, axes = np.linalg.eigh(x.T @ x)
    return Moments(mean, np.sqrt(np.maximum(variance, 0))[:, None] * axes.T, n)


def frechet_distance(one: Moments, other: Moments) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), at least 0.

    With C = R^T R the last trace is the sum of the singular values of R1 R2^T: no square root of a
    product that is not symmetric, no offset on its diagonal, exact where a covariance is singular.

    References:
        Dowson and Landau, The Fréchet distance between multivariate normal distributions, 1982,
        eq. 4. Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017, eq. 6.
    """
    difference = one.mean - other.mean
    both = np.linalg.svd(one.root @ other.root.T, compute_uv=False).sum()
    traces = (one.root**2).sum() + (other.root**2).sum()
    return max(0.0, float(difference @ difference + traces - 2 * both))


class Chance(NamedTuple):
    """What the number of images does to the distance."""

    floor: float  # Of as many real images from as many others of them, in the mean.
    at_infinity: float  # Of infinitely many real from infinitely many generated ones.


def chance(
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m d"],
    value: float,
    halved: float,
    seed: int = 0,
) -> Chance:
    """Return the distance that chance alone makes at these sizes, and the one without chance.

    The distance of two samples of one distribution falls as 1 / n only where images are many more
    than features, so no line through subsets has it. But partings at random of all images, each
    side less its own mean, into sets of n and m are such samples at the very sizes; of their halves
    likewise. How the distance of these partings changes with the size is taken from there:
    the floor is the distance between two halves of the real images times that change, from the
    halves' sizes to n and m. With r the change from n / 2 and m / 2 to n and m, the bias b of the
    value is r times that of halves: value = t + b and halved = t + b / r, which are solved for t.
    Both sides are extrapolated. Where all come from one distribution, t is 0 in the mean, and may
    be below it.

    Args:
        real: features of real images.
        fake: of generated ones.
        value: the distance of both.
        halved: the mean one of random halves of both.
        seed: of the partings.

    Raises:
        InputError: fewer than four images on a side.

    References:
        Chong and Forsyth, Effectively Unbiased FID and Inception Score and Where to Find Them,
        2020, section 4: the bias, and a line for it where only the generated side is few.
    """
    n, m = len(real), len(fake)
    if min(n, m) < 4:
        raise InputError(f"the floor needs four images or more on each side, got {min(n, m)}")
    rng = np.random.default_rng(seed)
    both = np.concatenate([real - real.mean(axis=0), fake - fake.mean(axis=0)])

    def parted(x: Float[np.ndarray, "k d"], one: int, other: int) -> float:
        orders = (rng.permutation(len(x)) for _ in range(PARTINGS))
        parts = ((x[order[:one]], x[order[one : one + other]]) for order in orders)
        return float(np.mean([frechet_distance(moments(a), moments(b)) for a, b in parts]))

    whole, halves = parted(both, n, m), parted(both, n // 2, m // 2)
    real_halves = halves if n // 2 == m // 2 else parted(both, n // 2, n // 2)
    if min(halves, real_halves) <= 0:  # All images are equal.
        return Chance(0.0, value)
    change = min(whole / halves, STEEPEST)
    return Chance(
        floor=parted(real, n // 2, n // 2) * whole / real_halves,
        at_infinity=(value - change * halved) / (1 - change),
    )
