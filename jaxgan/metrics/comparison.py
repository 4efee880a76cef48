"""All distances between two sets of features, each with an interval, and with its floor."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from jaxgan.metrics.frechet import at_infinity, frechet_distance, moments
from jaxgan.metrics.kernel import kernel_distance, polynomial_mmd
from jaxgan.metrics.prdc import prdc

SHARES = ("precision", "recall", "density", "coverage")
NAMES = ("frechet", "kid", *SHARES)
DRAWS = 20  # Of halves.
ENOUGH = 2048  # Pictures a side, from which on a Fréchet distance is usual.
Features = Float[np.ndarray, "n d"]


def with_interval(
    measure: Callable[[Features, Features], np.ndarray],
    real: Features,
    fake: Features,
    seed: int,
    level: float = 0.95,
    lowest: float = 0.0,
) -> list[dict[str, float]]:
    """The values of `measure`, a number or several, with intervals by random halves of both sides.

    Halves are drawn without replacement, for repeats bias all of these measures. Of n pictures the
    values on halves have the variance s^2 / (n / 2) * (1 - 1/2) = s^2 / n: that of the value on
    all. So their deviation is its standard error, and Student's interval lies around the value.
    Nothing is below `lowest`.

    References:
        Politis, Romano and Wolf, Subsampling, 1999, chapter 2.
    """
    rng = np.random.default_rng(seed)
    values = np.atleast_1d(measure(real, fake))
    halves = []
    for _ in range(DRAWS):
        a, b = (rng.permutation(len(side))[: len(side) // 2] for side in (real, fake))
        halves.append(np.atleast_1d(measure(real[a], fake[b])))
    errors = np.std(halves, axis=0, ddof=1) * stats.t.ppf((1 + level) / 2, DRAWS - 1)
    return [
        {"value": float(v), "low": max(lowest, float(v - e)), "high": float(v + e)}
        for v, e in zip(values, errors, strict=True)
    ]


def compare(
    real: Features, fake: Features, seed: int = 0, names: Collection[str] = NAMES
) -> dict[str, dict[str, Any]]:
    """Fréchet and kernel distance, precision, recall, density and coverage, or some of them.

    Each has `value`, `low` and `high` (95 %); the distances a `floor`, too: the same between two
    halves of the real pictures, which differ by chance alone.

    Args:
        real: features of real pictures.
        fake: of generated ones.
        seed: of all that is drawn.
        names: of NAMES, those that are wanted.

    Raises:
        InputError: too few pictures, or features that are not finite.
    """
    order = np.random.default_rng(seed).permutation(len(real))
    halves = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    found: dict[str, dict[str, Any]] = {}
    if "frechet" in names:
        (found["frechet"],) = with_interval(_frechet, real, fake, seed)
        found["frechet"] |= {
            "floor": float(_frechet(*halves)),
            "at_infinity": at_infinity(moments(real), fake, seed),
            "enough": min(len(real), len(fake)) >= ENOUGH,
        }
    if "kid" in names:
        found["kid"] = kernel_distance(real, fake, seed)._asdict()
        found["kid"]["floor"] = polynomial_mmd(*halves)
    if not set(SHARES).isdisjoint(names):
        for name, share in zip(SHARES, with_interval(_shares, real, fake, seed), strict=True):
            if name != "density":
                share["high"] = min(1.0, share["high"])
            if name in names:
                found[name] = share
    return found


def values(real: Features, fake: Features) -> dict[str, float]:
    """The same without intervals: by name."""
    shares = dict(zip(SHARES, _shares(real, fake).tolist(), strict=True))
    return {"frechet": float(_frechet(real, fake)), "kid": polynomial_mmd(real, fake), **shares}


def _frechet(real: Features, fake: Features) -> np.ndarray:
    return np.array(frechet_distance(moments(real), moments(fake)))


def _shares(real: Features, fake: Features) -> np.ndarray:
    found = prdc(real, fake)
    return np.array([getattr(found, name) for name in SHARES])
