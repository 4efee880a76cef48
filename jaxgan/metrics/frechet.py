"""The Fréchet distance between two sets of features, each taken as a normal distribution."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from jaxgan.errors import InputError

SIZES = 15  # Of the subsets that are extrapolated.
LEAST = 0.5  # The smallest of them, as a share of the whole.


class Moments(NamedTuple):
    """What the distance knows of a set."""

    mean: Float64[np.ndarray, " d"]
    root: Float64[np.ndarray, "r d"]  # root.T @ root is the covariance (divided by n - 1).
    count: int


def moments(features: Float[np.ndarray, "n d"]) -> Moments:
    """Mean and covariance of a set, in float64.

    Raises:
        InputError: fewer than two pictures, or features that are not finite.
    """
    n, d = features.shape
    if n < 2:
        raise InputError(f"a Fréchet distance needs two pictures or more on each side, got {n}")
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


def at_infinity(real: Moments, fake: Float[np.ndarray, "n d"], seed: int = 0) -> float:
    """The distance that infinitely many generated pictures would have, against these real ones.

    The bias falls as 1 / n, so a line through the distances of subsets of different sizes, drawn
    without replacement, has it at 1 / n = 0.

    References:
        Chong and Forsyth, Effectively Unbiased FID and Inception Score and Where to Find Them,
        2020, section 4.
    """
    rng = np.random.default_rng(seed)
    sizes = np.linspace(LEAST * len(fake), len(fake), SIZES).astype(int)
    if sizes[0] < 2:
        raise InputError(f"the extrapolation needs four generated pictures, got {len(fake)}")
    found = [
        frechet_distance(real, moments(fake[rng.permutation(len(fake))[:size]])) for size in sizes
    ]
    return float(np.polynomial.polynomial.polyfit(1 / sizes, found, 1)[0])
