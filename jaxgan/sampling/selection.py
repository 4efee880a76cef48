"""Which of many drawn images to keep: the best by a stated measure, and what that costs.

All functions take features, of the drawn images and of real ones that the generator may have
learned from; never of images that something is to be tested with. Higher scores are better.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int, Int64

from jaxgan.data.outliers import strangeness_beside
from jaxgan.errors import InputError
from jaxgan.metrics import intervals
from jaxgan.metrics.frechet import frechet_distance, moments
from jaxgan.metrics.intervals import with_interval
from jaxgan.metrics.prdc import NEIGHBOURS, prdc, radii, squared_distances

MEASURES = ("realism", "density", "classifier", "outlier", "none")
LOOK_AT_REAL = ("realism", "density", "outlier")
REALISM = 3  # Neighbours, as in its paper.
LEAST = 2 * (NEIGHBOURS + 1)  # Images a side whose halves have precision and recall.

Features = Float[np.ndarray, "n d"]
Scores = Float64[np.ndarray, " n"]


class Selection(NamedTuple):
    """What is kept of the drawn images."""

    kept: Int64[np.ndarray, " k"]  # Positions among them, rising.
    scores: Scores  # Of all of them.


class Classified(NamedTuple):
    """What a classifier says of the drawn images."""

    log_probabilities: Float[np.ndarray, "n k"]
    label: int  # The class that is wanted.


def select(
    by: str,
    keep: int,
    drawn: Features,
    real: Float[np.ndarray, "m d"],
    classified: Classified | None = None,
) -> Selection:
    """Return the `keep` best of the drawn images; of equal ones those that were drawn first.

    Args:
        by: "realism", "density", "outlier" (the least strange), "classifier" (by `classified`; the
            features do not matter), or "none" (the first ones: the control).
        keep: how many, from 1 to n.
        drawn: features of the drawn images; of any width for "classifier" and "none".
        real: of real images, for the first three.
        classified: for "classifier".

    Raises:
        InputError: no such measure, too few drawn or real images, features that are not finite.
    """
    check(by, keep, len(drawn))
    if by in LOOK_AT_REAL:
        for side, name in ((drawn, "drawn"), (real, "real")):
            if not np.isfinite(side).all():
                raise InputError(f"features must be finite, and some of the {name} images are not")
    if by == "classifier":
        if classified is None:
            raise InputError("selection by classifier needs what a classifier says, got nothing")
        scores = margin(*classified)
    elif by == "none":
        scores = np.zeros(len(drawn))
    else:
        scores = {"realism": realism, "density": density, "outlier": usualness}[by](drawn, real)
    # Rounded: products of matrices give equal images scores that differ in their last digits.
    best = np.argsort(-scores.round(3), kind="stable")[:keep]
    return Selection(np.sort(best).astype(np.int64), scores)


def check(by: str, keep: int, drawn: int) -> None:
    """Raise InputError for a measure that there is not, or for more images than are drawn."""
    if by not in MEASURES:
        raise InputError(f"--by must be one of {', '.join(MEASURES)}, got {by!r}")
    if not 1 <= keep <= drawn:
        raise InputError(f"--select must be from 1 to the {drawn:,} images drawn, got {keep:,}")


def realism(drawn: Features, real: Float[np.ndarray, "m d"], neighbours: int = REALISM) -> Scores:
    """Return how deep an image lies in a ball of a real one: the ball's radius over the distance.

    The greatest such ratio; 1 and more is inside. Balls reach to the k-th nearest other real
    image; the larger half of them, those of unusual images, does not count.

    References:
        Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models,
        2019, eq. 3.
    """
    around = radii(real, neighbours)
    small = around <= np.median(around)
    found = np.empty(len(drawn))
    for rows, between in squared_distances(drawn, real[small]):
        # Not 0, for a copy of a real image: a score is finite.
        ratios = around[small][None] / np.maximum(between, np.finfo(np.float32).tiny)
        found[rows] = np.sqrt(ratios.max(axis=1))
    return found


def density(
    drawn: Features, real: Float[np.ndarray, "m d"], neighbours: int = NEIGHBOURS
) -> Scores:
    """Return how many balls of real images hold each image, over k: the mean is Naeem's density.

    References:
        Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020, eq. 4.
    """
    around = radii(real, neighbours)
    found = np.empty(len(drawn))
    for rows, between in squared_distances(drawn, real):
        found[rows] = (between < around[None]).sum(axis=1) / neighbours
    return found


def usualness(drawn: Features, real: Float[np.ndarray, "m d"]) -> Scores:
    """Minus the strangeness of each image among real ones (`data.outliers`)."""
    return -strangeness_beside(drawn, real)


def margin(log_probabilities: Float[np.ndarray, "n k"], label: int) -> Scores:
    """By how much the wanted class's log-probability exceeds the best other one's.

    The log-probability itself is 0 in float32 for all that a classifier is sure of.
    """
    others = np.delete(log_probabilities, label, axis=1).max(axis=1)
    return (log_probabilities[:, label] - others).astype(np.float64)


def effect(
    by: str,
    selection: Selection,
    drawn: Features,
    real: Float[np.ndarray, "m d"],
    classified: Classified | None = None,
    labels: Int[np.ndarray, " m"] | None = None,
    classes: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, dict[str, dict[str, float]]]:
    """Return what selection does to precision, recall and so on, and to the balance of classes.

    Equal numbers are compared: the first drawn images, which are any, and the best. Real images
    that chose the best cannot judge them too: they would find nearly all of them precise. So half
    of the real images choose for precision, recall, density, coverage and the Fréchet distance,
    and the other half judges.

    Authenticity and classes are those of the images that are kept. Authenticity, for an image
    that is near to a training image scores high: the share that is farther from the nearest real
    image than that one from the next (Alaa et al., How Faithful is your Synthetic Data?, 2022,
    section 4.3); "real" is that of real images among each other. An image's class is that of
    most of the NEIGHBOURS real ones nearest to it.

    Args:
        by: as for `select`.
        selection: what it made of them.
        drawn: features, for "classifier" and "none", too.
        real: likewise.
        classified: as for `select`.
        labels: positions in `classes` of the real images; None where there is one class.
        classes: their names.
        seed: of all that is drawn.

    Returns:
        "precision", "recall", "density", "coverage", "frechet", "authenticity" and "class NAME" of
        each class; each has "before", "after" and "change" (authenticity: "real", too), with value,
        low and high (95 %).

    Raises:
        InputError: fewer than LEAST images kept, or fewer than twice as many real ones.
    """
    keep = len(selection.kept)
    if keep < LEAST or len(real) < 2 * LEAST:
        raise InputError(
            f"what selection does is told of {LEAST} kept images and {2 * LEAST} real ones or "
            f"more, got {keep} and {len(real)}"
        )
    order = np.random.default_rng(seed).permutation(len(real))
    choosing, judging = real[order[: len(real) // 2]], real[order[len(real) // 2 :]]
    chosen = select(by, keep, drawn, choosing, classified).kept
    shares = _shares(drawn, real, labels, classes)
    sides = [
        np.concatenate([drawn[one], *(share[other, None] for share in shares.values())], axis=1)
        for one, other in ((slice(keep), slice(keep)), (chosen, selection.kept))
    ]
    width = drawn.shape[1]

    def measure(judges: Features, both: Features) -> np.ndarray:
        before, after = (
            np.array([*prdc(judges, x), frechet_distance(moments(judges), moments(x)), *means])
            for x, means in (
                (part[:, :width], part[:, width:].mean(axis=0))
                for part in np.split(both, 2, axis=1)
            )
        )
        return np.stack([before, after, after - before]).ravel()

    names = ("precision", "recall", "density", "coverage", "frechet", *shares)
    counts = {"precision": keep, "recall": len(judging), "coverage": len(judging)}
    counts |= dict.fromkeys(shares, keep)
    both = np.concatenate(sides, axis=1)
    found = with_interval(
        *(measure, judging, both, seed),
        lowest=-np.inf,  # A change may be below 0.
        shares={
            i + len(names) * when: counts[name]
            for i, name in enumerate(names)
            for when in (0, 1)  # Before and after.
            if name in counts
        },
    )
    result: dict[str, dict[str, dict[str, float]]] = {
        name: dict(zip(("before", "after", "change"), found[i :: len(names)], strict=True))
        for i, name in enumerate(names)
    }
    own = _authentic_real(real)
    result["authenticity"]["real"] = intervals.proportion(int(own.sum()), len(own))
    for about in result.values():
        for when in ("before", "after"):
            about[when]["low"] = max(0.0, about[when]["low"])
    return result


def _shares(
    drawn: Features,
    real: Float[np.ndarray, "m d"],
    labels: Int[np.ndarray, " m"] | None,
    classes: Sequence[str],
) -> dict[str, Float[np.ndarray, " n"]]:
    """Of each drawn image, 1 or 0: whether it is authentic, and whether of each class."""
    own = np.sqrt(radii(real, 1))
    authentic, guess = np.empty(len(drawn)), np.empty(len(drawn), np.int64)
    for rows, between in squared_distances(drawn, real):
        nearest = between.argmin(axis=1)
        authentic[rows] = np.sqrt(between[np.arange(len(between)), nearest]) >= own[nearest]
        if labels is not None:
            few = np.argpartition(between, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
            votes = labels[few][:, :, None] == np.arange(len(classes))
            guess[rows] = votes.sum(axis=1).argmax(axis=1)
    shares = {"authenticity": authentic}
    if labels is not None:
        shares |= {f"class {name}": (guess == i) * 1.0 for i, name in enumerate(classes)}
    return shares


def _authentic_real(real: Float[np.ndarray, "m d"]) -> Bool[np.ndarray, " m"]:
    """Return whether each real image is authentic among the others."""
    nearest = np.empty(len(real), np.int64)
    first, second = np.empty(len(real)), np.empty(len(real))
    for rows, between in squared_distances(real, real):
        here = np.arange(len(between))
        between[here, np.arange(rows.start, rows.stop)] = np.inf
        nearest[rows] = between.argmin(axis=1)
        first[rows] = between[here, nearest[rows]]
        between[here, nearest[rows]] = np.inf
        second[rows] = between.min(axis=1)
    # What is nearest to the nearest one, were the image itself not there.
    mutual = nearest[nearest] == np.arange(len(real))
    return first >= np.where(mutual, second[nearest], first[nearest])
