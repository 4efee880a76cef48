"""Precision, recall, density and coverage: whether generated images lie among the real ones."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from jaxgan.errors import InputError

NEIGHBOURS = 5
BLOCK = 1024  # Images whose distances are computed at once,
MOST = 2**23  # if these are no more numbers than that.


class Prdc(NamedTuple):
    """All four are 1 where both sides are draws from one distribution (density: in the mean)."""

    precision: float
    recall: float
    density: float
    coverage: float


def squared_distances(
    one: Float[np.ndarray, "n d"], other: Float[np.ndarray, "m d"]
) -> Iterator[tuple[slice, Float64[np.ndarray, "b m"]]]:
    """Rows of the squared Euclidean distances, a block at a time; none below 0."""
    y = other.astype(np.float64)
    squares = (y**2).sum(axis=1)
    block = max(1, min(BLOCK, MOST // max(1, len(y))))
    for start in range(0, len(one), block):
        x = one[start : start + block].astype(np.float64)
        between = (x**2).sum(axis=1, keepdims=True) + squares - 2 * (x @ y.T)
        yield slice(start, start + len(x)), np.maximum(between, 0)


def radii(
    features: Float[np.ndarray, "n d"], neighbours: int = NEIGHBOURS
) -> Float64[np.ndarray, " n"]:
    """From each point to its k-th nearest other one, squared."""
    if len(features) <= neighbours:
        raise InputError(
            f"precision and recall need more than {neighbours} images a side, got {len(features)}"
        )
    found = np.empty(len(features))
    for rows, between in squared_distances(features, features):
        # Itself is the nearest, at a distance that rounding need not leave at 0.
        between[np.arange(len(between)), np.arange(rows.start, rows.stop)] = 0
        found[rows] = np.partition(between, neighbours, axis=1)[:, neighbours]
    return found


def prdc(
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m d"],
    neighbours: int = NEIGHBOURS,
) -> Prdc:
    """Precision and recall by k-nearest-neighbour balls, density and coverage.

    Precision: the share of generated images in a ball of a real one; recall: the share of real
    ones in a ball of a generated one; density: how many real balls hold a generated image, over
    k; coverage: the share of real balls that hold one.

    References:
        Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models,
        2019. Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020,
        eq. 4 and 5.
    """
    around_real, around_fake = radii(real, neighbours), radii(fake, neighbours)
    held = np.zeros(len(fake), np.int64)  # By how many real balls.
    recalled, covered = (np.empty(len(real), bool) for _ in range(2))
    for rows, between in squared_distances(real, fake):
        inside = between < around_real[rows, None]
        held += inside.sum(axis=0)
        recalled[rows] = (between < around_fake[None]).any(axis=1)
        covered[rows] = inside.any(axis=1)
    return Prdc(
        precision=float((held > 0).mean()),
        recall=float(recalled.mean()),
        density=float(held.sum() / (neighbours * len(fake))),
        coverage=float(covered.mean()),
    )
