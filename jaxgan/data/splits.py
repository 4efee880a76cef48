"""Train, validation and test sets that do not leak: copies of a picture stay on one side.

Two pictures are the same when the outlines of their 17x17 gray reductions correlate by more than
SAME. Re-encoding, resizing, brightness, contrast, colour casts and loss of colour leave them the
same (0.91 and more were seen at JPEG quality 30 and at half the size); mirrored or cropped by more
than some 2 % they are not. Different pictures stay below 0.8, even aligned faces.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Int64, Shaped, UInt16

from jaxgan.data.folder import Source, in_threads
from jaxgan.data.stored import Stored
from jaxgan.data.transforms import digest, outlines
from jaxgan.errors import InputError

SAME = 0.85
BANDS = 48  # Of 16 bits each.
# Of 768 signs those of pictures that correlate by SAME differ in 136, and in 204 once in 10^9.
FAR = 204
WINDOW = 32
SMALL = 60  # Images of a class below which its shares are not left to chance alone.
BLOCK = 4096

Pairs = Int64[np.ndarray, "m 2"]


Digests = Sequence[bytes] | Shaped[np.ndarray, " n"]  # Bytes, or an array of type "V16", say.


class Split(NamedTuple):
    """Positions in the source, sorted; every picture is in exactly one."""

    train: Int64[np.ndarray, " train"]
    validation: Int64[np.ndarray, " validation"]
    test: Int64[np.ndarray, " test"]


class Duplicates(NamedTuple):
    """Which pictures are the same: `group[i]` is the first position of a picture like `i`."""

    group: Int64[np.ndarray, " n"]
    digest: Digests  # Of the pixels.


def split(
    source: Source,
    fractions: Sequence[float] = (0.7, 0.15, 0.15),
    *,
    duplicates: Duplicates | None = None,
) -> Split:
    """Train, validation and test by a stable hash of the pixels.

    The side of a group of equal pictures follows from the smallest digest in it, so pictures that
    are added move no others, with two exceptions, which a prepared set does not have (`assign`):
    one that joins two groups takes both to one side (and one that becomes the smallest of its
    group may move it); and where a class would have nothing on a side, or a small class less
    than half of its share, those whose hashes lie nearest are moved there.
    The pixels depend on the resolution: split once, and use the positions at any resolution.

    Args:
        source: Pictures; read once unless `duplicates` is given.
        fractions: Of train, validation and test, summing to 1; 0 leaves a side empty.
        duplicates: From `near_duplicates(source)`, where it is at hand.

    Raises:
        InputError: bad fractions, or a class with too few different pictures for the sides.
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
    called: str = "pictures",
) -> Int64[np.ndarray, " n"]:
    """The side of each picture: 0, 1 or 2; see `split`.

    Args:
        labels: positions in `classes`.
        classes: their names.
        fractions: as for `split`.
        duplicates: of these pictures; a digest may be any bytes that stand for one.
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
    group, digests = duplicates
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
    sides = np.where(touched.any(axis=1), touched.argmax(axis=1), sides)
    torn = touched.sum(axis=1) > 1

    holds = np.zeros((len(first), len(classes)), bool)
    counted = slice(None) if kept is None else kept
    holds[member[counted], labels[counted]] = True
    _fill_sides(sides, draws, holds, touched.any(axis=1), share, classes, called)
    return np.where(own >= 0, own, np.where(torn[member], -1, sides[member])).astype(np.int64)


def _uniform(key: bytes) -> float:
    # Hashed once more: the smallest of several digests is not uniform.
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) / 2**64


def _fill_sides(sides, draws, holds, fixed, share, classes, called="pictures") -> None:
    """Moves groups, not `fixed` ones, in place: to every wanted side goes one of every class, and,
    as far as there are any to spare, half of the share of a small class.
    """
    wanted = np.flatnonzero(share > 0)
    total = holds.sum(axis=0)
    for name, groups in zip(classes, total, strict=True):
        if groups < len(wanted):
            raise InputError(
                f"each class needs at least {len(wanted)} different {called} for a split, "
                f"{name} has {groups}"
            )
    middles = np.cumsum(share) - share / 2
    one = np.tile(share[:, None] > 0, len(classes)).astype(np.int64)
    half = np.floor(share[:, None] * np.where(total < SMALL, total, 0) / 2).astype(np.int64)
    for least in (one, np.maximum(one, half)):
        for side in wanted:
            for label, name in enumerate(classes):
                while True:
                    counts = np.stack([holds[sides == s].sum(axis=0) for s in range(3)])
                    if counts[side, label] >= least[side, label]:
                        break
                    movable = (~holds | (counts[sides] > least[sides])).all(axis=1)
                    spare = ~fixed & holds[:, label] & movable & (sides != side)
                    if spare.any():
                        distance = np.where(spare, np.abs(draws - middles[side]), np.inf)
                        sides[distance.argmin()] = side
                        continue
                    if not fixed.any() and not counts[side, label]:
                        raise InputError(
                            "every side of a split needs a picture of each class: too few of "
                            f"{name} are different from each other and from the other classes' "
                            f"{called}"
                        )
                    break  # What was decided stays; `split` of a new set would refuse it.


def across_classes(
    source: Source, *, duplicates: Duplicates | None = None
) -> Int64[np.ndarray, "pairs 2"]:
    """Pairs of positions that hold the same picture under two labels.

    Each picture whose label differs from that of the first one like it is paired with that one:
    two classes of the same n pictures give n pairs.
    """
    group, _ = near_duplicates(source) if duplicates is None else duplicates
    others = np.flatnonzero(source.labels != source.labels[group])
    return np.stack([group[others], others], axis=1)


def near_duplicates(source: Source) -> Duplicates:
    """Finds exact and near copies; being the same is taken to be transitive.

    Each picture's outlines are cut to BANDS x 16 signs of random projections; pictures that agree
    in a whole band are compared with their next WINDOW neighbours in it. So the work grows as
    n log n, and a pair at a correlation of 0.93 is missed once in a thousand times.

    References:
        Charikar, Similarity estimation techniques from rounding algorithms, 2002.
    """
    if not len(source):
        raise InputError("a split needs at least one picture, the source has none")

    def read(index: int) -> tuple[bytes, np.ndarray]:
        image = source[index]["image"]
        return digest(image), outlines(image)

    digests, vectors = zip(*in_threads(read, len(source)), strict=True)
    return group_copies(digests, np.array(vectors))


def group_copies(digests: Digests, vectors: Float[np.ndarray, "n 512"] | Stored) -> Duplicates:
    """`near_duplicates` from each picture's `transforms.digest` and `transforms.outlines`."""
    _, first, same = np.unique(np.asarray(digests), return_index=True, return_inverse=True)
    group = first[same]
    codes, flat = _codes(vectors)
    kept = first[~flat[first]]  # Exact copies and flat pictures add nothing.
    waiting: list[Pairs] = []
    for pairs in _candidates(codes, kept):
        # What was joined already need not be looked at.
        waiting.append(pairs[group[pairs[:, 0]] != group[pairs[:, 1]]])
        if sum(map(len, waiting)) >= BLOCK:  # Vectors may lie in files, which are to be opened.
            group, waiting = _joined(group, _near(vectors, waiting)), []
    return Duplicates(_joined(group, _near(vectors, waiting)), digests)


def _codes(
    vectors: Float[np.ndarray, "n 512"] | Stored,
) -> tuple[UInt16[np.ndarray, "n bands"], Bool[np.ndarray, " n"]]:
    """Signs of each picture's random projections, 16 to a band; and whether it is flat."""
    codes, flat = np.empty((len(vectors), BANDS), np.uint16), np.empty(len(vectors), bool)
    if not len(vectors):
        return codes, flat
    width = vectors[:1].shape[1]
    planes = np.random.default_rng(0).standard_normal((BANDS, width, 16), np.float32)
    planes = planes.transpose(1, 0, 2).reshape(width, -1)
    for rows in _blocks(len(vectors)):
        some = vectors[rows].astype(np.float32)
        flat[rows] = ~some.any(axis=1)
        codes[rows] = np.packbits(some @ planes > 0, axis=1).view(np.uint16)
    return codes, flat


def _candidates(
    codes: UInt16[np.ndarray, "n bands"], kept: Int64[np.ndarray, " m"]
) -> Iterator[Pairs]:
    """Pairs of those kept that agree in a band, and in the others not too little; band by band."""
    words = codes.view(np.uint64)
    for number in range(BANDS):
        band = codes[kept, number]
        order = np.argsort(band, kind="stable")
        band, order = band[order], kept[order]
        for step in range(1, min(WINDOW, len(order) - 1) + 1):
            agree = np.flatnonzero(band[:-step] == band[step:])
            if not len(agree):
                break
            for some in _blocks(len(agree)):
                a, b = order[agree[some]], order[agree[some] + step]
                differ = np.bitwise_count(words[a] ^ words[b]).sum(axis=1, dtype=np.int64)
                yield np.stack([a, b], axis=1)[differ < FAR]


def _near(vectors: Float[np.ndarray, "n 512"] | Stored, pairs: list[Pairs]) -> Pairs:
    """Those that correlate by more than SAME."""
    every = np.concatenate([*pairs, np.zeros((0, 2), np.int64)])
    every = np.unique(every, axis=0)
    near = np.zeros(len(every), bool)
    for some in _blocks(len(every)):
        one, other = (vectors[rows].astype(np.float32) for rows in every[some].T)
        near[some] = np.einsum("nd,nd->n", one, other) > SAME
    return every[near]


def _joined(group: Int64[np.ndarray, " n"], pairs: Pairs) -> Int64[np.ndarray, " n"]:
    """The groups when those of each pair are the same; the first position stands for a group."""
    if not len(pairs):
        return group
    from scipy.sparse import coo_array  # It takes a fifth of a second.
    from scipy.sparse.csgraph import connected_components

    groups, ends = np.unique(group[pairs], return_inverse=True)
    graph = (np.ones(len(pairs), bool), ends.reshape(-1, 2).T)
    count, component = connected_components(coo_array(graph, shape=(len(groups), len(groups))))
    first = np.full(count, len(group))
    np.minimum.at(first, component, groups)
    to = np.arange(len(group))
    to[groups] = first[component]
    return to[group]


def _blocks(count: int) -> list[slice]:
    """So many rows at a time are taken in float32."""
    return [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]
