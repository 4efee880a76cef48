"""The kernel distance: an unbiased estimate of the squared maximum mean discrepancy."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxgan.errors import InputError

SUBSET = 1000  # Pictures of each side in a block, at most.
BLOCKS = 10  # At least, where there are pictures enough for SMALLEST in each.
SMALLEST = 20


class Estimate(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float
    error: float  # Its standard error.


def polynomial_mmd(one: Float[np.ndarray, "n d"], other: Float[np.ndarray, "m d"]) -> float:
    """The unbiased estimate of MMD^2 with the kernel (x.y / d + 1)^3, in float64.

    References:
        Binkowski et al., Demystifying MMD GANs, 2018, section 4. Gretton et al., A Kernel
        Two-Sample Test, 2012, eq. 3.
    """
    x, y = one.astype(np.float64), other.astype(np.float64)
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise InputError(f"a kernel distance needs two pictures or more a side, got {min(n, m)}")

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(a: np.ndarray) -> float:
        k = kernel(a, a)
        return (k.sum() - np.trace(k)) / (len(a) * (len(a) - 1))

    return float(within(x) + within(y) - 2 * kernel(x, y).mean())


def kernel_distance(
    one: Float[np.ndarray, "n d"],
    other: Float[np.ndarray, "m d"],
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """The mean over disjoint blocks of both sides, with Student's interval.

    Blocks share no picture, so their estimates are independent, and each is unbiased.

    Raises:
        InputError: fewer than twice SMALLEST pictures on a side.
    """
    least = min(len(one), len(other))
    if least < 2 * SMALLEST:
        raise InputError(f"a kernel distance needs {2 * SMALLEST} pictures a side, got {least}")
    blocks = max(2, min(BLOCKS, least // SMALLEST), -(-least // SUBSET))
    rng = np.random.default_rng(seed)
    size = min(SUBSET, least // blocks)
    a, b = (
        rng.permutation(len(side))[: blocks * size].reshape(blocks, size) for side in (one, other)
    )
    found = np.array([polynomial_mmd(one[i], other[j]) for i, j in zip(a, b, strict=True)])
    value, error = float(found.mean()), float(found.std(ddof=1) / np.sqrt(blocks))
    half = float(stats.t.ppf((1 + level) / 2, blocks - 1)) * error
    return Estimate(value, value - half, value + half, error)
