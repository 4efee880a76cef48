"""All distances between two sets of features, each with an interval, and with its floor."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxgan.metrics.frechet import chance, frechet_distance, moments
from jaxgan.metrics.kid import kernel_distance, polynomial_mmd
from jaxgan.metrics.prdc import prdc

SHARES = ("precision", "recall", "density", "coverage")
NAMES = ("frechet", "kid", *SHARES)
DRAWS = 20  # Of halves.
ENOUGH = 2048  # Images a side, from which on a Fréchet distance is usual.
# What an interval is of.
AT_SIZES = "the mean of sets of these sizes"
TRUE = "the distance itself, whatever the number of images"
BESIDE = "the share of generated images, beside these real ones"
Features = Float[np.ndarray, "n d"]


def with_interval(
    measure: Callable[[Features, Features], np.ndarray],
    real: Features,
    fake: Features,
    seed: int,
    level: float = 0.95,
    lowest: float = 0.0,
    shares: Mapping[int, int] | None = None,
) -> list[dict[str, float]]:
    """Return the values of `measure`, a number or several, with intervals by random halves of both
    sides.

    Halves are drawn without replacement, for repeats bias all of these measures. Of n images the
    values on halves have the variance s^2 / (n / 2) * (1 - 1/2) = s^2 / n: that of the value on
    all. So their deviation is its standard error, and Student's interval lies around the value.
    Nothing is below `lowest`. It is an interval for what other images drawn likewise would have
    in the mean, as many as these: not for infinitely many.

    A share near 1 varies little and to one side, and halves may all have 1. Wilson's interval lies
    around it, with as many images as would have the halves' variance, were each drawn alone:
    a share depends on all images, so they are fewer than there are, never more.

    Args:
        measure: of features of both sides.
        real: features of real images.
        fake: of generated ones.
        seed: of the halves.
        level: of the interval.
        lowest: that a value can be.
        shares: which of the values are shares, by position, and of how many images each.

    References:
        Politis, Romano and Wolf, Subsampling, 1999, chapter 2. Wilson, Probable Inference, the Law
        of Succession, and Statistical Inference, 1927. Korn and Graubard, Confidence Intervals for
        Proportions with Small Expected Number of Positive Counts, 1998: the images' number.
    """
    halves = _halves(measure, real, fake, seed)
    found = np.atleast_1d(measure(real, fake))
    return [
        wilson(value, column, shares[i], level)
        if shares and i in shares
        else student(value, column, level, lowest)
        for i, (value, column) in enumerate(zip(found.tolist(), halves.T, strict=True))
    ]


def student(
    value: float, halves: Float[np.ndarray, " k"], level: float = 0.95, lowest: float = 0.0
) -> dict[str, float]:
    """Return a value with Student's interval, from its values on halves: see `with_interval`."""
    error = float(halves.std(ddof=1)) * _quantile(halves, level)
    return {"value": value, "low": max(lowest, value - error), "high": value + error}


def proportion(right: int, count: int, level: float = 0.95) -> dict[str, float]:
    """Return the share of `count` images that are `right`, with Wilson's interval."""
    interval = stats.binomtest(right, count).proportion_ci(level, method="wilson")
    return {"value": right / count, "low": float(interval.low), "high": float(interval.high)}


def wilson(
    value: float, halves: Float[np.ndarray, " k"], count: int, level: float = 0.95
) -> dict[str, float]:
    """Return a share of `count` images with Wilson's interval: see `with_interval`."""
    mean, variance, z = float(halves.mean()), float(halves.var(ddof=1)), _quantile(halves, level)
    alone = mean * (1 - mean)
    n = alone / variance if variance * count > alone else count
    centre = (value + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(value * (1 - value) / n + (z / (2 * n)) ** 2)
    # Rounding leaves the ends at 0 and 1 off by a bit.
    low, high = min(value, centre - half), max(value, centre + half)
    return {"value": value, "low": max(0.0, float(low)), "high": min(1.0, float(high))}


def compare(
    real: Features, fake: Features, seed: int = 0, names: Collection[str] = NAMES
) -> dict[str, dict[str, Any]]:
    """Fréchet and kernel distance, precision, recall, density and coverage, or some of them.

    Each has `value`, `low` and `high` (95 %), and `interval`: of what. That is AT_SIZES, for these
    measures depend on the number of images; but TRUE for the kernel distance. Distances have a
    `floor`, too: what as many real images have from as many others of them, in the mean. It is 0
    for the kernel distance, which has no bias. The Fréchet distance without its bias is
    `at_infinity`: see `frechet.chance`.

    Args:
        real: features of real images.
        fake: of generated ones.
        seed: of all that is drawn.
        names: of NAMES, those that are wanted.

    Raises:
        InputError: too few images, or features that are not finite.
    """
    found: dict[str, dict[str, Any]] = {}
    if "frechet" in names:
        value, halves = float(_frechet(real, fake)), _halves(_frechet, real, fake, seed)[:, 0]
        found["frechet"] = student(value, halves) | {
            **chance(real, fake, value, float(halves.mean()), seed)._asdict(),
            "enough": min(len(real), len(fake)) >= ENOUGH,
            "interval": AT_SIZES,
        }
    if "kid" in names:
        found["kid"] = kernel_distance(real, fake, seed)._asdict()
        found["kid"] |= {"floor": 0.0, "interval": TRUE}
    if not set(SHARES).isdisjoint(names):
        n, m = len(real), len(fake)
        counts = {0: m, 1: n, 3: n}  # Density is no share.
        measured = with_interval(_shares, real, fake, seed, shares=counts)
        found |= {
            name: share | {"interval": AT_SIZES}
            for name, share in zip(SHARES, measured, strict=True)
            if name in names
        }
    return found


def values(real: Features, fake: Features) -> dict[str, float]:
    """Return the same without intervals: by name."""
    shares = dict(zip(SHARES, _shares(real, fake).tolist(), strict=True))
    return {"frechet": float(_frechet(real, fake)), "kid": polynomial_mmd(real, fake), **shares}


def _halves(
    measure: Callable[[Features, Features], np.ndarray], real: Features, fake: Features, seed: int
) -> Float[np.ndarray, "k v"]:
    """Return the values of `measure` on random halves of both sides."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS):
        a, b = (rng.permutation(len(side))[: len(side) // 2] for side in (real, fake))
        found.append(np.atleast_1d(measure(real[a], fake[b])))
    return np.array(found)


def _quantile(halves: Float[np.ndarray, " k"], level: float) -> float:
    return float(stats.t.ppf((1 + level) / 2, len(halves) - 1))


def _frechet(real: Features, fake: Features) -> np.ndarray:
    return np.array(frechet_distance(moments(real), moments(fake)))


def _shares(real: Features, fake: Features) -> np.ndarray:
    found = prdc(real, fake)
    return np.array([getattr(found, name) for name in SHARES])
