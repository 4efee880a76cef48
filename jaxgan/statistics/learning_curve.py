"""What an arm is worth in real images: the learning curve of real images alone, inverted."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize

from jaxgan.statistics.clusters import Groups
from jaxgan.statistics.variance_components import Tables, as_tables, mean_of, spread, squares
from jaxgan.types import InputError

GRID = 101


class Worth(NamedTuple):
    """How many real images alone would do as well.

    Attributes:
        value: the number; None where the arm lies outside the curve.
        low: the least that the interval allows; None where it reaches below the curve.
        high: the most that it allows; None where it reaches beyond the curve.
        place: "within" the curve, "beyond" its largest size or "below" its smallest.
    """

    value: float | None
    low: float | None
    high: float | None
    place: str


def worth(
    arm: Tables | np.ndarray,
    curve: Sequence[Tables | np.ndarray],
    sizes: Sequence[int],
    level: float = 0.95,
    groups: Groups | None = None,
) -> Worth:
    """Return the real images that `arm` is worth, by the curve of real images alone.

    Between two sizes each test image's answer is taken to go over in proportion to log n. The
    interval holds every n at which the paired difference of the arm and the curve leaves room for
    0 (a test inverted, as Fieller's): no curve's form is assumed, and none is extrapolated. The
    value comes from the means, made to rise (isotonic regression).

    Args:
        arm: [seeds, images] of each fold, True where the answer is right; one array is one fold.
        curve: the same for each size.
        sizes: numbers of real training images, rising, at least two.
        level: probability that the interval covers.
        groups: which test images belong together, see `clusters.clustered`.

    Raises:
        InputError: fewer than two sizes, sizes that do not rise, or shapes that differ.

    References:
        Fieller, Some problems in interval estimation, 1954.
        Barlow, Brunk, The isotonic regression problem and its dual, 1972.
    """
    if len(sizes) < 2 or np.any(np.diff(sizes) <= 0) or sizes[0] < 1:
        raise InputError(f"a learning curve needs two or more rising sizes, got {tuple(sizes)}")
    a, y = as_tables(arm), [as_tables(one) for one in curve]
    shapes = [[t.shape for t in tables] for tables in (a, *y)]
    if len(y) != len(sizes) or any(shape != shapes[0] for shape in shapes):
        raise InputError(
            f"the curve needs the arm's seeds and test images at each of {len(sizes)} sizes, "
            f"got {shapes[1:]} for {shapes[0]}"
        )
    steps = np.log(sizes)
    rising = optimize.isotonic_regression([float(mean_of(one)) for one in y]).x
    goal = float(mean_of(a))
    if goal > rising[-1]:
        value, place = None, "beyond"
    elif goal < rising[0]:
        value, place = None, "below"
    else:
        value, place = _crossing(sizes, rising, goal), "within"

    grid = np.unique(np.concatenate([np.geomspace(sizes[0], sizes[-1], GRID), sizes]))
    halves, means = list[float](), list[float]()
    for n in grid.tolist():  # One by one: all at once might not fit.
        i = min(bisect_right(sizes, n) - 1, len(sizes) - 2)
        w = (np.log(n) - steps[i]) / (steps[i + 1] - steps[i])
        b = [(1 - w) * lower + w * upper for lower, upper in zip(y[i], y[i + 1], strict=True)]
        difference = [x - z for x, z in zip(a, b, strict=True)]
        parts = squares(difference, (a, b), groups=groups)
        if parts is None:
            return Worth(value, None, None, place)
        halves.append(float(spread(parts, level).half))
        means.append(float(mean_of(difference)))
    half, mean = np.array(halves), np.array(means)
    inside = np.flatnonzero(np.abs(mean) <= half)
    if not inside.size:  # Better or worse than all of the curve, or a jump between two points.
        better = np.flatnonzero(mean > 0)
        low = float(grid[better[-1]]) if better.size else None
        worse = np.flatnonzero(mean < 0)
        high = float(grid[worse[0]]) if worse.size else None
        return Worth(value, low, high, place)
    first, last = inside[0], inside[-1]
    low = float(grid[first]) if first else None
    high = float(grid[last]) if last < len(grid) - 1 else None
    if value is not None:  # The risen means may put it a hair outside.
        low = None if low is None else min(low, value)
        high = None if high is None else max(high, value)
    return Worth(value, low, high, place)


def describe(found: Worth, sizes: Sequence[int], level: float = 0.95) -> str:
    """ "worth 240 real images (95 % interval 150 to beyond the curve, which ends at 300)"."""
    if found.place == "within":
        text = f"worth {found.value:,.0f} real images"
    elif found.place == "beyond":
        text = f"beyond the curve: better than {sizes[-1]:,} real images"
    else:
        text = f"below the curve: worse than {sizes[0]:,} real images"
    low = f"fewer than {sizes[0]:,}" if found.low is None else f"{found.low:,.0f}"
    high = f"more than {sizes[-1]:,}" if found.high is None else f"{found.high:,.0f}"
    return f"{text} ({100 * level:g} % interval {low} to {high})"


def _crossing(sizes: Sequence[int], y: np.ndarray, goal: float) -> float:
    """Return the first n at which the line through y, straight in log n and rising,
    reaches `goal`.
    """
    i = int(np.searchsorted(y, goal))
    if y[i] == goal:
        return float(sizes[i])
    w = (goal - y[i - 1]) / (y[i] - y[i - 1])
    return float(sizes[i - 1] * (sizes[i] / sizes[i - 1]) ** w)
