"""Train, validation and test sets that do not leak: copies of an image stay on one side.

`duplicates` says which images are copies; mirrored or cropped by more than some 2 % they are not.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int, Int64

from jaxgan.data.dataset import Source
from jaxgan.data.duplicates import Duplicates, group_copies, near_duplicates
from jaxgan.errors import InputError

SMALL = 60  # Images of a class below which its shares are not left to chance.

__all__ = ["Duplicates", "across_classes", "assign", "group_copies", "near_duplicates", "split"]


class Split(NamedTuple):
    """Positions in the source, sorted; every image is in exactly one."""

    train: Int64[np.ndarray, " train"]
    validation: Int64[np.ndarray, " validation"]
    test: Int64[np.ndarray, " test"]


def split(
    source: Source,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    *,
    duplicates: Duplicates | None = None,
) -> Split:
    """Train, validation and test by a stable hash of the files, or of the pixels without any.

    The side of a group of equal images follows from the smallest digest in it, so images that
    are added move no others, with two exceptions, which a prepared set does not have (`assign`):
    one that joins two groups takes both to one side (and one that becomes the smallest of its
    group may move it); and where a class would have nothing on a side, or a small class less
    than its share, those whose hashes lie nearest are moved there.
    Pixels depend on the resolution: split once, and use the positions at any resolution.

    Args:
        source: Images; read once unless `duplicates` is given.
        fractions: Of train, validation and test, summing to 1; 0 leaves a side empty.
        duplicates: From `near_duplicates(source)`, where it is at hand.

    Raises:
        InputError: bad fractions, or a class with too few different images for the sides.
    """
    duplicates = near_duplicates(source) if duplicates is None else duplicates
    sides = assign(source.labels, source.classes, fractions, duplicates)
    return Split(*(np.flatnonzero(sides == side) for side in range(3)))


def assign(
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    fractions: Sequence[float],
    duplicates: Duplicates,
    decided: Mapping[bytes, int] | None = None,
    kept: Bool[np.ndarray, " n"] | None = None,
    called: str = "images",
) -> Int64[np.ndarray, " n"]:
    """Return the side of each image: 0, 1 or 2; see `split`.

    Args:
        labels: positions in `classes`.
        classes: their names.
        fractions: as for `split`.
        duplicates: of these images; a digest may be any bytes that stand for one.
        decided: sides decided before, by digest, which stay. What is like one of these goes to
            its side; what ties two sides together goes nowhere: -1. A side may then be left
            without a class.
        kept: those that count where a side needs some of every class; None: all.
        called: what must be different from each other, in a sentence.

    Raises:
        InputError: as `split`.
    """
    share = np.asarray(fractions, np.float64)
    if share.shape != (3,) or (share < 0).any() or abs(share.sum() - 1) > 1e-6:
        raise InputError(f"fractions must be three numbers >= 0 with sum 1, got {fractions}")
    group, digests = duplicates.group, duplicates.digest
    first, member = np.unique(group, return_inverse=True)
    _, rank = np.unique(np.asarray(digests), return_inverse=True)
    order = np.lexsort((rank, member))  # The smallest digest of each group, group by group.
    smallest = order[np.searchsorted(member[order], np.arange(len(first)))]
    draws = np.fromiter((_uniform(bytes(digests[i])) for i in smallest.tolist()), np.float64)
    sides = np.searchsorted(np.cumsum(share)[:2], draws, side="right")

    decided = decided or {}
    own = np.fromiter((decided.get(bytes(digest), -1) for digest in digests), np.int64)
    touched = np.zeros((len(first), 3), bool)
    touched[member[own >= 0], own[own >= 0]] = True
    fixed = np.any(touched, axis=1)
    sides = np.where(fixed, touched.argmax(axis=1), sides)
    torn = touched.sum(axis=1) > 1

    counted = slice(None) if kept is None else kept
    # Pairs, not a table of groups and classes: of many classes that is too large.
    pairs = np.unique(np.stack([member[counted], labels[counted]], axis=1), axis=0)
    _fill_sides(sides, draws, pairs, fixed, share, classes, called)
    return np.where(own >= 0, own, np.where(torn[member], -1, sides[member])).astype(np.int64)


def _uniform(key: bytes) -> float:
    # Hashed once more: the smallest of several digests is not uniform.
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) / 2**64


def _fill_sides(
    sides: Int64[np.ndarray, " g"],
    draws: Float64[np.ndarray, " g"],
    pairs: Int64[np.ndarray, "m 2"],
    fixed: Bool[np.ndarray, " g"],
    share: Float64[np.ndarray, " 3"],
    classes: Sequence[str],
    called: str,
) -> None:
    """Move groups, not `fixed` ones, in place: to every wanted side goes one of every class, and,
    as far as there are any to spare, the share of a small class, rounded down.

    Args:
        sides: of the groups.
        draws: of the groups, in [0, 1).
        pairs: (group, class) for all classes of each group, sorted.
        fixed: groups that stay.
        share: of each side.
        classes: their names.
        called: see `assign`.
    """
    of_group = np.split(pairs[:, 1], np.searchsorted(pairs[:, 0], np.arange(1, len(sides))))
    order = np.argsort(pairs[:, 1], kind="stable")
    ends = np.searchsorted(pairs[order, 1], np.arange(1, len(classes)))
    of_class = np.split(pairs[order, 0], ends)
    wanted = np.flatnonzero(share > 0).tolist()
    total = np.array([len(groups) for groups in of_class])
    for name, groups in zip(classes, total, strict=True):
        if groups < len(wanted):
            raise InputError(
                f"each class needs at least {len(wanted)} different {called} for a split, "
                f"{name} has {groups}"
            )
    counts = np.zeros((3, len(classes)), np.int64)
    np.add.at(counts, (sides[pairs[:, 0]], pairs[:, 1]), 1)
    middles = np.cumsum(share) - share / 2
    one = np.tile(share[:, None] > 0, len(classes)).astype(np.int64)
    whole = np.floor(share[:, None] * np.where(total < SMALL, total, 0) + 1e-9).astype(np.int64)

    def to_spare(least: Int64[np.ndarray, "3 k"], label: int, side: int) -> int | None:
        """Return the nearest group of the class that the side it is on can do without."""
        groups = of_class[label][~fixed[of_class[label]] & (sides[of_class[label]] != side)]
        for group in groups[np.argsort(np.abs(draws[groups] - middles[side]), kind="stable")]:
            here = sides[group], of_group[group]
            if (counts[here] > least[here]).all():
                return group
        return None

    for least in (one, np.maximum(one, whole)):
        for side in wanted:
            for label, name in enumerate(classes):
                while counts[side, label] < least[side, label]:
                    group = to_spare(least, label, side)
                    if group is not None:
                        counts[sides[group], of_group[group]] -= 1
                        counts[side, of_group[group]] += 1
                        sides[group] = side
                        continue
                    if not fixed.any() and not counts[side, label]:
                        raise InputError(
                            "every side of a split needs an image of each class: too few of "
                            f"{name} are different from each other and from the other classes' "
                            f"{called}"
                        )
                    break  # What was decided stays; `split` of a new set would refuse it.


def across_classes(
    source: Source, *, duplicates: Duplicates | None = None
) -> Int64[np.ndarray, "pairs 2"]:
    """Pairs of positions that hold the same image under two labels.

    Each image whose label differs from that of the first one like it is paired with that one:
    two classes of the same n images give n pairs.
    """
    group = (near_duplicates(source) if duplicates is None else duplicates).group
    others = np.flatnonzero(source.labels != source.labels[group])
    return np.stack([group[others], others], axis=1)
