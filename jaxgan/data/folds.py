"""Folds: every image is a test image once; copies of an image, and groups, stay in one fold."""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from jaxgan.data.dataset import Dataset, Source
from jaxgan.data.splits import Duplicates, Split
from jaxgan.errors import InputError


def folds(source: Source, count: int, validation: float, duplicates: Duplicates) -> list[Split]:
    """Part the images into `count` folds, each with the rest to train and to validate with.

    Groups of equal images are dealt out in the order of a hash of their pixels, each to the fold
    that has the fewest of its class, so that folds and classes are as even as the groups allow.

    Args:
        source: images.
        count: of folds, at least 2.
        validation: share of the rest of each fold that validates, in (0, 1); at least one group of
            each class does.
        duplicates: what stays together: `splits.near_duplicates` of the source, and its groups.

    Returns:
        Of each fold: its images as `test`, and those of all others in two parts.

    Raises:
        InputError: fewer than `count` different images in a class, or too few to leave one to train
            and one to validate with beside a fold.
    """
    grouped = isinstance(source, Dataset) and source.groups is not None
    called = "groups" if grouped else "different images"
    holds = np.zeros((len(source), len(source.classes)), bool)
    holds[duplicates.group, source.labels] = True  # A group may hold several classes.
    counts = holds.sum(0)
    least = count if count > 2 else 4  # Beside the largest fold: one to train, one to validate.
    for name, n in zip(source.classes, counts.tolist(), strict=True):
        if n < least:
            raise InputError(
                f"data.folds={count} needs at least {least} {called} in each class, and "
                f"{name} has {n}"
            )
    every = np.arange(len(source))
    of = _dealt(source, duplicates, every, [1 / count] * count, "fold")
    found = []
    for fold in range(count):
        rest = np.flatnonzero(of != fold)
        part = _dealt(source, duplicates, rest, [1 - validation, validation], f"fold {fold}")
        found.append(Split(rest[part == 0], rest[part == 1], np.flatnonzero(of == fold)))
        for name, side in zip(("train", "validate"), found[-1][:2], strict=True):
            missing = set(range(len(source.classes))) - set(source.labels[side].tolist())
            if missing:
                raise InputError(
                    f"data.folds={count} leaves fold {fold} no {source.classes[min(missing)]} to "
                    f"{name} with: too few {called}"
                )
    return found


def _dealt(
    source: Source,
    duplicates: Duplicates,
    rows: Int64[np.ndarray, " m"],
    shares: Sequence[float],
    salt: str,
) -> Int64[np.ndarray, " m"]:
    """Return which part each of `rows` belongs to: whole groups, each to where its class lacks
    most.
    """
    first, member = np.unique(duplicates.group[rows], return_inverse=True)
    digests = [bytes(duplicates.digest[i]) for i in rows.tolist()]
    key: dict[int, bytes] = {}
    for group, digest in zip(member.tolist(), digests, strict=True):
        key[group] = min(key.get(group, digest), digest)
    grouped = isinstance(source, Dataset) and source.groups is not None
    # Groups that were asked for differ in size: dealt last, a large one would be too much.
    size = np.bincount(member) if grouped else np.zeros(len(key))
    order = sorted(key, key=lambda g: (-size[g], hashlib.blake2b(key[g] + salt.encode()).digest()))
    holds = np.zeros((len(first), len(source.classes)), np.int64)
    np.add.at(holds, (member, source.labels[rows]), 1)
    wanted = np.outer(shares, holds.sum(0))
    got = np.zeros_like(wanted)
    part = np.empty(len(first), np.int64)
    for group in order:
        mine = holds[group] > 0
        # A part without any of a class comes first: each must have one of every class.
        lack = ((wanted - got)[:, mine] + 1e6 * (got[:, mine] == 0)).sum(1)
        part[group] = int(lack.argmax())
        got[part[group]] += holds[group]
    return part[member]
