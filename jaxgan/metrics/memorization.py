"""Copies: is a generated image nearer to one training image than real ones ever are?"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64
from scipy import stats

from jaxgan.errors import InputError
from jaxgan.metrics.prdc import squared_distances

AROUND = 50  # Training images around an image, with which its nearest one is compared.
SHARES = (0.02, 0.05)  # Of all images, the most copy-like, among which the test counts.
LEAST = 20  # Real images without which there is nothing to compare with.


class View(NamedTuple):
    """What of images is compared."""

    features: Float[np.ndarray, "n d"]
    outlines: Float[np.ndarray, "n 512"]  # By `images.outlines`.


class Nearest(NamedTuple):
    """Of each image the training image that it could be a copy of."""

    ratio: Float64[np.ndarray, " n"]  # See `find_copies`.
    distance: Float64[np.ndarray, " n"]  # Of its features to the nearest training image's.
    match: Int64[np.ndarray, " n"]


class Copies(NamedTuple):
    """What the nearest training images say."""

    share: float  # Of generated images whose ratio is below that of every held-out one.
    low: float  # Its 95 % interval, of Clopper and Pearson.
    high: float
    authenticity: float  # Share that is farther from its training image than that from others.
    p: float  # Of as many generated ones among the most copy-like, were they like held-out ones.
    fake: Nearest
    held_out: Nearest


def find_copies(
    fake: list[View],
    train: View,
    held_out: list[View] | None,
    train_groups: Int[np.ndarray, " m"] | None = None,
    level: float = 0.95,
) -> Copies:
    """Compare generated with held-out real images, by how near one training image is to them.

    Near alone says little: a common or a blurred image is near to many. A copy is much nearer to
    one than to those around it, in content and in outlines. So a distance counts as a share of the
    mean one to the nearest AROUND, of features and of outlines (the greater of both shares), and
    the training image with the smallest share is the one that is compared. If nothing is copied,
    it is no smaller for generated images than for real ones that were held out; then the smallest
    2 % of both together are a draw without replacement, and the number of generated ones among them
    is hypergeometric at most: an exact test. It is made with 5 %, too, for few held-out images,
    and the smaller p counts twice (Bonferroni).

    Args:
        fake: of the generated images, and of the same ones mirrored.
        train: of what the generator learned from.
        held_out: of real images that it did not see, none of them a copy of a training image,
            and of the same ones mirrored. None: each training image stands in for one, against
            all others; the test is then not exact, for their distances depend on each other.
        train_groups: equal for copies among the training images; they do not count as neighbours
            of each other.
        level: of the interval.

    References:
        The ratio: Carlini et al., Extracting Training Data from Diffusion Models, 2023, section
        5.1. Authenticity: Alaa et al., How Faithful is your Synthetic Data?, 2022, section 4.3.

    Raises:
        InputError: too few real images.
    """
    least = min(len(view.features) for view in [train, *(held_out or [])])
    if least < LEAST:
        raise InputError(f"copies need {LEAST} real images to compare with, got {least}")
    groups = np.arange(len(train.features)) if train_groups is None else train_groups
    ours, own = nearest(fake, train), nearest([train], train, groups)
    return judge(ours, own if held_out is None else nearest(held_out, train), own, level)


def judge(ours: Nearest, others: Nearest, own: Nearest, level: float = 0.95) -> Copies:
    """`find_copies`, where it is known which training image each could be a copy of.

    Args:
        ours: of the generated images.
        others: of those that stand for images which are no copies.
        own: of the training images, among themselves.
        level: of the interval.
    """
    n, h = len(ours.ratio), len(others.ratio)
    count = int((ours.ratio < others.ratio.min()).sum())
    interval = stats.binomtest(count, n).proportion_ci(level, "exact")
    # Of equal ones, held-out ones come first.
    order = np.lexsort((np.repeat([1, 0], [n, h]), np.concatenate([ours.ratio, others.ratio])))
    p = []
    for share in SHARES:
        among = math.ceil(share * (n + h))
        p.append(stats.hypergeom.sf(int((order[:among] < n).sum()) - 1, n + h, n, among))
    return Copies(
        count / n,
        float(interval.low),
        float(interval.high),
        float((ours.distance >= own.distance[ours.match]).mean()),
        min(1.0, len(p) * float(min(p))),
        ours,
        others,
    )


def nearest(views: list[View], points: View, own: Int[np.ndarray, " m"] | None = None) -> Nearest:
    """Return the training image of which each image is most like a copy.

    Args:
        views: of the images as they are, and mirrored.
        points: of the training images.
        own: where the images are the training images: groups, within which nothing counts.
    """
    found = []
    around = min(AROUND, len(points.features) - 1)
    for view in views:
        count = len(view.features)
        ratio, distance = np.empty(count), np.empty(count)
        match = np.empty(count, np.int64)
        blocks = zip(
            squared_distances(view.features, points.features),
            squared_distances(view.outlines, points.outlines),
            strict=True,
        )
        for (rows, between), (_, outlines) in blocks:
            if own is not None:
                between[own[rows, None] == own[None]] = np.inf
            few = np.argpartition(between, around - 1, axis=1)[:, :around]
            ratios = [_ratios(d, few, np.isfinite(between)) for d in (between, outlines)]
            both = np.maximum(*ratios)
            best = both.argmin(axis=1)[:, None]
            ratio[rows] = np.take_along_axis(both, best, 1)[:, 0]
            match[rows] = np.take_along_axis(few, best, 1)[:, 0]
            distance[rows] = np.sqrt(between.min(axis=1))
        found.append(Nearest(ratio, distance, match))
    stacked = [np.stack(values) for values in zip(*found, strict=True)]
    best, columns = stacked[0].argmin(axis=0), np.arange(len(views[0].features))
    return Nearest(*(values[best, columns] for values in stacked))


def _ratios(
    squares: Float64[np.ndarray, "b m"],
    few: Int64[np.ndarray, "b k"],
    counts: Bool[np.ndarray, "b m"],
) -> Float64[np.ndarray, "b k"]:
    """Of the distances to a few points, each over their mean; those that do not count: infinite."""
    counted = np.take_along_axis(counts, few, 1)
    distances = np.sqrt(np.where(counted, np.take_along_axis(squares, few, 1), 0))
    means = distances.sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    ratios = distances / np.maximum(means, np.finfo(np.float64).tiny)[:, None]
    return np.where(counted, ratios, np.inf)
