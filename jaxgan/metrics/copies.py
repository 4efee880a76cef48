"""Copies: are generated pictures nearer to the training pictures than other real ones ever are?"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int, Int64
from scipy import stats

from jaxgan.errors import InputError
from jaxgan.metrics.prdc import nearest, squared_distances

NEAREST = 0.05  # The share of all pictures, the nearest ones, of which the test counts.
LEAST = 20  # Held-out pictures without which there is nothing to compare with.


class Copies(NamedTuple):
    """What the distances to the nearest training picture say."""

    share: float  # Of generated pictures nearer than every held-out one.
    low: float  # Its 95 % interval, of Clopper and Pearson.
    high: float
    authenticity: float  # Share that is farther from its training picture than that from others.
    p: float  # Of as many generated ones among the nearest, were they like held-out ones.
    distance: Float64[np.ndarray, " n"]  # Of each generated picture.
    match: Int64[np.ndarray, " n"]  # Its training picture.
    held_out: Float64[np.ndarray, " h"]  # Distances of the held-out pictures.


def find_copies(
    fake: list[Float[np.ndarray, "n d"]],
    train: Float[np.ndarray, "m d"],
    held_out: list[Float[np.ndarray, "h d"]],
    train_groups: Int[np.ndarray, " m"] | None = None,
    level: float = 0.95,
) -> Copies:
    """Compares the distances of generated and of held-out real pictures to the training pictures.

    If nothing is copied, a generated picture is at least as far from the training pictures as one
    that was held out. Then the nearest 5 % of both together are a draw without replacement, and the
    number of generated ones among them is hypergeometric at most: an exact test.

    Args:
        fake: features of the generated pictures, and of the same ones mirrored.
        train: of what the generator learned from.
        held_out: of real pictures that it did not see, and of the same ones mirrored.
        train_groups: equal for copies among the training pictures; they do not count as neighbours
            of each other.
        level: of the interval.

    References:
        Authenticity: Alaa et al., How Faithful is your Synthetic Data?, 2022, section 4.3.

    Raises:
        InputError: too few held-out pictures.
    """
    if len(held_out[0]) < LEAST:
        raise InputError(
            f"copies need {LEAST} held-out pictures to compare with, got {len(held_out[0])}"
        )
    distance, match = _nearest_of_views(fake, train)
    others, _ = _nearest_of_views(held_out, train)
    count, n, h = int((distance < others.min()).sum()), len(distance), len(others)
    interval = stats.binomtest(count, n).proportion_ci(level, "exact")
    among = math.ceil(NEAREST * (n + h))
    # Ties count for the held-out ones.
    order = np.lexsort((np.repeat([1, 0], [n, h]), np.concatenate([distance, others])))
    nearest_fakes = int((order[:among] < n).sum())
    return Copies(
        count / n,
        float(interval.low),
        float(interval.high),
        float((distance >= _own_spacing(train, train_groups)[match]).mean()),
        float(stats.hypergeom.sf(nearest_fakes - 1, n + h, n, among)),
        distance,
        match,
        others,
    )


def _nearest_of_views(
    views: list[Float[np.ndarray, "n d"]], points: Float[np.ndarray, "m d"]
) -> tuple[Float64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    found = [nearest(view, points) for view in views]
    distances = np.stack([distance for distance, _ in found])
    best = distances.argmin(axis=0)
    columns = np.arange(distances.shape[1])
    return distances[best, columns], np.stack([match for _, match in found])[best, columns]


def _own_spacing(
    train: Float[np.ndarray, "m d"], groups: Int[np.ndarray, " m"] | None
) -> Float64[np.ndarray, " m"]:
    """From each training picture to the nearest that is no copy of it."""
    groups = np.arange(len(train)) if groups is None else groups
    found = np.empty(len(train))
    for rows, between in squared_distances(train, train):
        between[groups[rows, None] == groups[None]] = np.inf
        found[rows] = np.sqrt(between.min(axis=1))
    return found
