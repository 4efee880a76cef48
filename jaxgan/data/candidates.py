"""Pairs of images whose outlines are alike, among many: found by bands of signs of projections."""

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64, UInt16

from jaxgan.data.npy_rows import Stored

SAME = 0.85
BANDS = 48  # Of 16 bits each.
# Of 768 signs those of images that correlate by SAME differ in 136, and in 204 once in 10^9.
FAR = 204
WINDOW = 32
BLOCK = 4096
TOP = 8  # Candidates of each image, at most.

Pairs = Int64[np.ndarray, "m 2"]
Vectors = Float[np.ndarray, "n 512"] | Stored


def codes(vectors: Vectors) -> tuple[UInt16[np.ndarray, "n bands"], Bool[np.ndarray, " n"]]:
    """Signs of each image's random projections, 16 to a band; and whether it is flat."""
    codes, flat = np.empty((len(vectors), BANDS), np.uint16), np.empty(len(vectors), bool)
    if not len(vectors):
        return codes, flat
    width = vectors[:1].shape[1]
    planes = np.random.default_rng(0).standard_normal((BANDS, width, 16), np.float32)
    planes = planes.transpose(1, 0, 2).reshape(width, -1)
    for rows in blocks(len(vectors)):
        some = vectors[rows].astype(np.float32)
        flat[rows] = ~some.any(axis=1)
        codes[rows] = np.packbits(some @ planes > 0, axis=1).view(np.uint16)
    return codes, flat


def candidates(codes: UInt16[np.ndarray, "n bands"], kept: Int64[np.ndarray, " m"]) -> Pairs:
    """Pairs of those kept that agree in a band, and in the others not too little.

    Of each image the TOP nearest: where all share a layout there would be too many.
    """
    words = codes.view(np.uint64)
    best = np.full((len(codes), TOP), -1, np.int32)
    far = np.full((len(codes), TOP), FAR, np.uint16)
    waiting: list[tuple[np.ndarray, ...]] = []
    for number in range(BANDS):
        band = codes[kept, number]
        order = np.argsort(band, kind="stable")
        band, order = band[order], kept[order]
        for step in range(1, min(WINDOW, len(order) - 1) + 1):
            agree = np.flatnonzero(band[:-step] == band[step:])
            if not len(agree):
                break
            for some in blocks(len(agree)):
                a, b = order[agree[some]], order[agree[some] + step]
                differ = np.bitwise_count(words[a] ^ words[b]).sum(axis=1, dtype=np.uint16)
                near = differ < np.maximum(far[a, -1], far[b, -1])
                waiting.append((a[near], b[near], differ[near]))
            if sum(len(a) for a, _, _ in waiting) > 16 * BLOCK:
                _keep_nearest(best, far, waiting)
                waiting = []
    if waiting:
        _keep_nearest(best, far, waiting)
    one, at = np.nonzero(best >= 0)
    return np.unique(np.sort(np.stack([one, best[one, at]], axis=1), axis=1), axis=0)


def _keep_nearest(best: np.ndarray, far: np.ndarray, pairs: list[tuple[np.ndarray, ...]]) -> None:
    """Put pairs, with what they differ by, among the TOP of both of their images; in place."""
    a, b, differ = (np.concatenate(each) for each in zip(*pairs, strict=True))
    touched = np.unique(np.concatenate([a, b]))
    before = np.repeat(touched, TOP), best[touched].ravel(), far[touched].ravel()
    rows, others, differ = (
        np.concatenate(each) for each in zip((a, b, differ), (b, a, differ), before, strict=True)
    )
    there = np.flatnonzero(others >= 0)
    unique = there[np.unique(rows[there] * len(best) + others[there], return_index=True)[1]]
    rows, others, differ = rows[unique], others[unique], differ[unique]
    order = np.lexsort((differ, rows))
    rows, others, differ = rows[order], others[order], differ[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    some = rank < TOP
    best[rows[some], rank[some]] = others[some]
    far[rows[some], rank[some]] = differ[some]


def alike(vectors: Vectors, pairs: Pairs) -> tuple[Pairs, Float32[np.ndarray, " m"]]:
    """Return those whose outlines correlate by more than SAME, and by how much."""
    alike = np.zeros(len(pairs), np.float32)
    for some in blocks(len(pairs)):
        one, other = (vectors[rows].astype(np.float32) for rows in pairs[some].T)
        alike[some] = np.einsum("nd,nd->n", one, other)
    return pairs[alike > SAME], alike[alike > SAME]


def nearest(
    vectors: Vectors, some: Int64[np.ndarray, " s"], kept: Int64[np.ndarray, " m"], count: int
) -> tuple[Int64[np.ndarray, "s k"], Float32[np.ndarray, "s k"]]:
    """Return the `count` of `kept` whose outlines are most like those of each of some,
    best first.
    """
    own = vectors[some].astype(np.float32)
    found = np.zeros((len(some), 0), np.int64)
    alike = np.zeros((len(some), 0), np.float32)
    for rows in blocks(len(kept)):
        here = kept[rows]
        score = own @ vectors[here].astype(np.float32).T
        score[some[:, None] == here] = -np.inf
        alike = np.concatenate([alike, score], axis=1)
        found = np.concatenate([found, np.broadcast_to(here, score.shape)], axis=1)
        order = np.argsort(-alike, axis=1, kind="stable")[:, :count]
        alike, found = (np.take_along_axis(x, order, axis=1) for x in (alike, found))
    return found, alike


def blocks(count: int, size: int = BLOCK) -> list[slice]:
    """So many rows at a time are taken in float32."""
    return [slice(start, start + size) for start in range(0, count, size)]
