"""Sides that folders or splits give: used as they are, and those that are missing are held out."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int32, Int64

from jaxgan.data import dataset
from jaxgan.data.dataset import Dataset, Source
from jaxgan.errors import InputError

SIDES = ("train", "validation", "test")
VALIDATION = 0.1  # Of a given train side, where no validation side is given.


def settled(
    given: Int32[np.ndarray, " n"],
    labels: Int32[np.ndarray, " n"],
    classes: Sequence[str],
    digests: Sequence[bytes],
    grouped: Int64[np.ndarray, " n"] | None = None,
) -> tuple[str, Int32[np.ndarray, " n"]]:
    """Return the sides that folders give, all three of them, and a sentence on how.

    Where none is to test with, validation is; where none is to validate with, some images of train
    are, by a stable hash.

    Args:
        given: 0 train, 1 validation, 2 test.
        labels: of the images.
        classes: their names.
        digests: what stands for each image.
        grouped: which of them stay together.

    Raises:
        InputError: a class that is missing on a side.
    """
    for side in sorted(set(given.tolist())):
        for label, name in enumerate(classes):
            if not ((given == side) & (labels == label)).any():
                raise InputError(
                    f"every given side must hold every class, and {SIDES[side]} has no {name}: "
                    f"choose data.classes, or merge the sides: data.given_sides=merge"
                )
    if len(set(given.tolist())) == 3:
        return "the given sides train, validation and test are used as they are", given
    sides = given.copy()
    sides[given == 1] = 2  # What is held out is never trained on or chosen by.
    keys = np.array([int.from_bytes(hashlib.sha256(d).digest()[:4]) for d in digests]) / 2**32
    unit = np.arange(len(given)) if grouped is None else grouped
    least = np.full(unit.max() + 1, np.inf)
    np.minimum.at(least, unit, keys)
    # Hashed once more: the least of several is not uniform.
    share = keys if grouped is None else np.array([_again(x) for x in least.tolist()])[unit]
    for label in range(len(classes)):
        train = np.flatnonzero((given == 0) & (labels == label))
        of_it = train[share[train] < VALIDATION]
        if not len(of_it) and len(np.unique(unit[train])) > 1:
            of_it = train[unit[train] == unit[train[share[train].argmin()]]]
        sides[np.isin(unit, unit[of_it]) & (given == 0)] = 1
    said = (
        f"the given sides are used: {SIDES[max(given)]} is the test, and {(sides == 1).sum():,} "
        f"images of train are validation"
    )
    return said, sides


def to_learn_from(source: Source) -> tuple[Dataset, str]:
    """Return the images that a GAN learns from, and a sentence where others are left alone.

    Where folders give sides, those are the images of train; what is held out stays unseen.
    """
    of = dataset.of(source)
    if of.sides is None or of.given is None:
        return of, ""
    train = np.flatnonzero(of.given == 0)
    rest = len(of) - len(train)
    said = (
        f"the GAN learns from the {len(train):,} images of train alone; {rest:,} on other sides "
        f"are left alone: data.given_sides=merge takes all"
    )
    return replace(of.select(train), sides=None, given=None), said


def _again(key: float) -> float:
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:4]) / 2**32
