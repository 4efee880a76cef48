"""The kernel distance: an unbiased estimate of the squared maximum mean discrepancy."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64
from scipy import stats

from jaxgan.errors import InputError

LEAST = 20  # Images a side.
DRAWS = 199  # Of other partings: with the true one 200, which level 0.95 cuts into whole numbers.
BLOCK = 2**23  # Kernel values at a time.
TINY = float(np.finfo(np.float64).tiny)


class Estimate(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float
    error: float  # Its standard error.


def polynomial_mmd(one: Float[np.ndarray, "n d"], other: Float[np.ndarray, "m d"]) -> float:
    """Return the unbiased estimate of MMD^2 with the kernel (x.y / d + 1)^3, in float64.

    References:
        Binkowski et al., Demystifying MMD GANs, 2018, section 4. Gretton et al., A Kernel
        Two-Sample Test, 2012, eq. 3.
    """
    n, m = len(one), len(other)
    if min(n, m) < 2:
        raise InputError(f"a kernel distance needs two images or more a side, got {min(n, m)}")

    def within(x: np.ndarray) -> float:
        # What an image has with itself does not count.
        total = sum(values.sum() - np.trace(values, rows.start) for rows, values in _kernel(x, x))
        return total / (len(x) * (len(x) - 1))

    across = sum(values.sum() for _, values in _kernel(one, other)) / (n * m)
    return float(within(one) + within(other) - 2 * across)


def kernel_distance(
    one: Float[np.ndarray, "n d"],
    other: Float[np.ndarray, "m d"],
    seed: int = 0,
    level: float = 0.95,
) -> Estimate:
    """`polynomial_mmd` of all images, with an interval that holds 0 as often as it says.

    The value is off the true one, t, by two terms (Hoeffding). One is there even if both sides are
    draws from one distribution. Then any other parting of the images into sides is as likely as
    the true one: the quantile q of |value| over DRAWS partings at random (without replacement) is
    exact, for any number of images and however skewed the values are. The other is 2 <d, e>, d
    being the difference of the sides' means in the kernel's space, so that |d|^2 = t, and e its
    error: its variance grows as t. Where t is the value (or q, if that is more), the variance of
    both terms together is at most s^2 = 4 (s_1^2 / n + s_2^2 / m), with s_i^2 the variance over a
    side's images of how much nearer one is to its own side than to the other. As in Wilson's
    interval of a share, the variance is taken at t, not at the value: the interval is all t for
    which (value - t)^2 <= q^2 + z^2 s^2 t / max(value, q), with the normal quantile z. It holds 0
    where |value| <= q, and is longer upwards.

    Args:
        one: features of one side.
        other: of the other.
        seed: of the partings.
        level: of the interval, up to 0.995.

    Raises:
        InputError: fewer than LEAST images on a side, or features that are not finite.

    References:
        Hoeffding, A Class of Statistics with Asymptotically Normal Distribution, 1948, section 5.
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """
    n, m = len(one), len(other)
    if min(n, m) < LEAST:
        raise InputError(f"a kernel distance needs {LEAST} images a side, got {min(n, m)}")
    both = np.concatenate([one, other])
    if not np.isfinite(both).all():
        raise InputError("features must be finite, and some are not")
    rng = np.random.default_rng(seed)
    sides = np.zeros((n + m, 1 + DRAWS))  # 1 on the first side; the true parting is the first.
    sides[:n, 0] = 1
    for draw in range(1, 1 + DRAWS):
        sides[rng.permutation(n + m)[:n], draw] = 1

    # Each image's sums of kernel values with the others of the first side, and with all others.
    first, whole = np.empty_like(sides), np.empty((n + m, 1))
    for rows, values in _kernel(both, both):
        np.fill_diagonal(values[:, rows], 0)
        first[rows] = values @ sides
        whole[rows] = values.sum(axis=1, keepdims=True)

    # An image's mean kernel value with its own side, less that with the other side.
    second = whole - first
    on_first, on_second = first / (n - 1) - second / m, second / (m - 1) - first / n
    values = (sides * on_first).sum(axis=0) / n + ((1 - sides) * on_second).sum(axis=0) / m
    value, rank = float(values[0]), int(np.ceil(level * (1 + DRAWS) - 1e-9))
    alike = float(np.sort(np.abs(values[1:]))[rank - 1])

    nearer = on_first[:n, 0], on_second[n:, 0]
    spread = 4 * sum(float(side.var(ddof=1)) / len(side) for side in nearer)
    slope = stats.norm.ppf((1 + level) / 2) ** 2 * spread / max(value, alike, TINY)
    low, high = value - alike, value + alike
    root = np.sqrt(max(0.0, slope * (slope / 4 + value) + alike**2))
    if low > 0:
        low = value + slope / 2 - root
    if high > 0:
        high = value + slope / 2 + root
    # Where the sides are alike, `spread` is twice the variance.
    noise = float((values[1:] ** 2).mean())
    return Estimate(value, float(low), float(high), float(np.sqrt(max(spread - noise, noise))))


def _kernel(
    one: Float[np.ndarray, "n d"], other: Float[np.ndarray, "m d"]
) -> Iterator[tuple[slice, Float64[np.ndarray, "b m"]]]:
    """Rows of (x.y / d + 1)^3, a block at a time."""
    y = other.astype(np.float64).T / other.shape[1]
    size = max(1, BLOCK // len(other))
    for start in range(0, len(one), size):
        x = one[start : start + size].astype(np.float64)
        values = x @ y
        values += 1
        values *= values * values
        yield slice(start, start + len(x)), values
