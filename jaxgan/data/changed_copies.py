"""Copies that were mirrored, turned, tilted, cropped, shifted, framed or captioned.

A second opinion on `splits`, which looks for re-encoded and resized copies alone: each image is
laid over those that look most like it in any of the eight ways to turn and mirror it, and the
details of the middle are compared. How near a copy must be follows from the set: far nearer than
its images are to each other.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from PIL import Image
from scipy import ndimage

from jaxgan.data.dataset import Source
from jaxgan.data.threads import in_threads

LOOKED_FOR = (
    "mirrored, turned by 90 or 180 degrees, tilted by up to 5, cropped by up to 10 % a side, "
    "shifted by 5 %, framed, captioned, re-encoded or resized copies"
)
UNSEEN = "other photographs of the same subject, negatives or crops beyond 10 % cannot be seen"
SIDE = 48  # Pixels at which details are compared.
MIDDLE = 0.6  # Of half the side: what a frame, a caption or a crop leaves alone.
EDGE = 10  # Pixels at the edge that the middle is not.
COARSE = 9  # Points a side at which candidates are looked for.
TOP = 4  # Candidates of each image that are laid over it.
STEPS = 8  # Of the registration.
ALIKE = 0.85  # Correlation of details that a copy has at least.
NEARER = 0.2  # Of the ordinary distance: so near lies a copy.
HOPELESS = 0.05  # Ordinary distance at which copies cannot be told from others.
MOST = (20_000, 2_000)  # Images that are looked at: of those learned from, of those held out.
LEAST = 20  # Held-out images that say how near ordinary ones are.
SOME = 400  # Of which so many are asked.
BLOCK = 500


class Leaks(NamedTuple):
    """What was found.

    Attributes:
        pairs: positions of what was learned from and of what is held out.
        told: whether copies could be told from ordinary images of this set.
        looked: images looked at, learned from and held out.
        ordinary: distance (1 - correlation) of a held-out image to the one most like it.
    """

    pairs: Int64[np.ndarray, "m 2"]
    told: bool
    looked: tuple[int, int]
    ordinary: float


def find(learned: Source, held_out: Source, seed: int = 0) -> Leaks:
    """Find the held-out images of which something that was learned from is a changed copy.

    Of more than MOST images a random part is looked at.
    """
    rng = np.random.default_rng(seed)
    parts = [
        np.sort(rng.permutation(len(source))[:most])
        for source, most in zip((learned, held_out), MOST, strict=True)
    ]
    looked = (len(parts[0]), len(parts[1]))
    if not all(looked):
        return Leaks(np.zeros((0, 2), np.int64), True, looked, 1.0)
    ours, theirs = (read(s, part) for s, part in zip((learned, held_out), parts, strict=True))
    ordinary = _ordinary(theirs if len(theirs) >= LEAST else np.concatenate([theirs, ours]))
    told = ordinary > HOPELESS
    found, score = _nearest(ours, theirs)
    best = score.argmax(axis=1)
    rows = np.flatnonzero(told & (score.max(axis=1) > max(ALIKE, 1 - NEARER * ordinary)))
    pairs = np.stack([parts[0][found[rows, best[rows]]], parts[1][rows]], axis=1)
    return Leaks(pairs.astype(np.int64), told, looked, ordinary)


def _ordinary(images: UInt8[np.ndarray, "n s s"]) -> float:
    """Median distance of an image to the one most like it that is no copy; 1 of a single one.

    Copies are far nearer than the last of the TOP that are most like it.
    """
    if len(images) < 2:
        return 1.0
    _, score = _nearest(images, images[:SOME], itself=True)
    distance = np.maximum(np.sort(1 - score, axis=1), 1e-6)
    ordinary = np.where(distance > NEARER * distance[:, -1:], distance, np.inf).min(axis=1)
    return float(np.median(ordinary))


def symmetries() -> Float32[np.ndarray, "8 2 2"]:
    """Return the ways to turn and mirror a square."""
    quarter, mirror = np.array([[0, -1], [1, 0]]), np.diag([-1, 1])
    turns = [np.linalg.matrix_power(quarter, k) for k in range(4)]
    return np.array([*turns, *(turn @ mirror for turn in turns)], np.float32)


def _variants() -> Float32[np.ndarray, "v 2 3"]:
    """Ways to lay one image over another: zoomed, tilted or shifted, then turned or mirrored."""
    tilt = np.radians(5)
    cos, sin = np.cos(tilt), np.sin(tilt)
    small = [np.eye(2, 3) * zoom for zoom in (1, 0.8, 0.9, 1.11, 1.25)]
    small += [np.array([[cos, -s, 0], [s, cos, 0]]) for s in (-sin, sin)]
    small += [
        np.array([[1, 0, x], [0, 1, y]]) for x, y in ((-0.1, 0), (0.1, 0), (0, -0.1), (0, 0.1))
    ]
    return np.array([s @ m for s in symmetries() for m in small], np.float32)


VARIANTS = _variants()


def read(source: Source, positions: Int64[np.ndarray, " n"]) -> UInt8[np.ndarray, "n s s"]:
    """Return images in gray, SIDE x SIDE."""

    def one(k: int) -> np.ndarray:
        im = Image.fromarray(source[int(positions[k])]["image"]).convert("L")
        return np.asarray(im.resize((SIDE, SIDE), Image.Resampling.LANCZOS))

    return np.stack(list(in_threads(one, len(positions))))


def _grid(points: int) -> Float32[np.ndarray, "2 p"]:
    line = np.linspace(-MIDDLE, MIDDLE, points, dtype=np.float32)
    y, x = np.meshgrid(line, line, indexing="ij")
    return np.stack([x.ravel(), y.ravel()])


def _sample(
    images: Float32[np.ndarray, "n s s"], points: Float32[np.ndarray, "n 2 p"]
) -> Float32[np.ndarray, "n p"]:
    """Bilinear values at points in [-1, 1], of the edge outside."""
    at = np.clip((points + 1) * (SIDE / 2) - 0.5, 0, SIDE - 1.001)
    low = at.astype(np.int32)
    fx, fy = (at - low).transpose(1, 0, 2)
    rows = np.arange(len(images), dtype=np.int32)[:, None] * SIDE**2
    start = rows + low[:, 1] * SIDE + low[:, 0]
    flat = images.reshape(-1)
    upper = flat[start] * (1 - fx) + flat[start + 1] * fx
    lower = flat[start + SIDE] * (1 - fx) + flat[start + SIDE + 1] * fx
    return upper * (1 - fy) + lower * fy


def _unit(values: Float32[np.ndarray, "n p"]) -> Float32[np.ndarray, "n p"]:
    values = values - values.mean(axis=1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-3)


def _smooth(images: np.ndarray, sigma: float) -> Float32[np.ndarray, "n s s"]:
    return ndimage.gaussian_filter(images.astype(np.float32), (0, sigma, sigma), mode="nearest")


def _coarse(
    band: Float32[np.ndarray, "n s s"], warp: Float32[np.ndarray, "2 3"]
) -> Float32[np.ndarray, "n p"]:
    points = warp[:, :2] @ _grid(COARSE) + warp[:, 2:]
    values = _sample(band, np.broadcast_to(points, (len(band), *points.shape)))
    return _unit(np.copysign(np.sqrt(np.abs(values)), values))  # No edge decides alone.


def _candidates(
    ours: UInt8[np.ndarray, "n s s"], theirs: UInt8[np.ndarray, "m s s"], itself: bool
) -> tuple[Int64[np.ndarray, "m k"], Int64[np.ndarray, "m k"]]:
    """Of each of `theirs` the TOP of `ours` that are most like it, and by which variant."""
    band = [_smooth(some, 2.0) - _smooth(some, 3.5) for some in (ours, theirs)]
    wanted = _coarse(band[1], VARIANTS[0])
    turned = [_coarse(band[0], warp) for warp in VARIANTS]
    found, ways = [], []
    for start in range(0, len(theirs), BLOCK):
        some = wanted[start : start + BLOCK]
        best = np.full((len(some), len(ours)), -2, np.float32)
        way = np.zeros(best.shape, np.uint8)
        for number, values in enumerate(turned):
            score = some @ values.T
            better = score > best
            np.copyto(best, score, where=better)
            way[better] = number
        if itself:
            best[np.arange(len(some)), start + np.arange(len(some))] = -3
        top = np.argpartition(-best, min(TOP, len(ours)) - 1, axis=1)[:, :TOP]
        found.append(top)
        ways.append(np.take_along_axis(way, top, axis=1))
    return np.concatenate(found), np.concatenate(ways).astype(np.int64)


def _likeness(
    ours: UInt8[np.ndarray, "n s s"],
    theirs: UInt8[np.ndarray, "m s s"],
    one: Int64[np.ndarray, " k"],
    other: Int64[np.ndarray, " k"],
    way: Int64[np.ndarray, " k"],
) -> Float32[np.ndarray, " k"]:
    """Correlation of the details of pairs, `theirs` laid over `ours` by a similarity.

    References:
        Evangelidis and Psarakis, Parametric Image Alignment Using Enhanced Correlation Coefficient
        Maximization, 2008.
    """
    scores = []
    for start in range(0, len(one), 2 * BLOCK):
        rows = slice(start, start + 2 * BLOCK)
        scores.append(_laid_over(ours[one[rows]], theirs[other[rows]], VARIANTS[way[rows]]))
    return np.concatenate([*scores, np.zeros(0, np.float32)])


def _laid_over(ours, theirs, warp) -> Float32[np.ndarray, " k"]:
    sides = symmetries()
    # The part of the warp that moves: a, b, x, y of [[a, -b], [b, a]] @ symmetry @ p + (x, y).
    shift, warp = warp[:, :, 2], warp[:, :, :2]
    turn = np.sign(np.linalg.det(warp))
    base = np.where(turn[:, None, None] > 0, sides[0], sides[4])
    rest = warp @ np.linalg.inv(base)
    move = np.stack([rest[:, 0, 0], rest[:, 1, 0], *shift.T], axis=1).astype(np.float32)
    for sigma, points in ((2.0, 16), (1.0, 24)):
        target, moving = _smooth(theirs, sigma), _smooth(ours, sigma)
        gx, gy = (ndimage.sobel(moving, axis=a) * (SIDE / 16) for a in (2, 1))
        grid = base @ _grid(points)
        wanted = _unit(_sample(target, np.broadcast_to(_grid(points), grid.shape)))
        for _ in range(STEPS):
            at = _moved(move, grid)
            there = _sample(moving, at)
            there -= there.mean(axis=1, keepdims=True)
            size = np.maximum(np.linalg.norm(there, axis=1), 1e-3)[:, None]
            dx, dy = _sample(gx, at), _sample(gy, at)
            x, y = grid[:, 0], grid[:, 1]
            slopes = np.stack([dx * x + dy * y, dy * x - dx * y, dx, dy], axis=1)
            slopes -= slopes.mean(axis=2, keepdims=True)
            unit = there / size
            slopes /= size[:, None]
            slopes -= (slopes @ unit[..., None]) * unit[:, None]  # Its size may change.
            cosine = np.maximum((wanted * unit).sum(axis=1), 0.2)[:, None]
            normal = slopes @ slopes.transpose(0, 2, 1)
            ridge = 1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1e-9
            normal += ridge * np.eye(4, dtype=np.float32)
            pull = slopes @ (wanted / cosine)[..., None]
            step = np.linalg.solve(normal, pull)[..., 0]
            move += np.clip(step, -0.08, 0.08).astype(np.float32)
    # Details of parts: a caption or a mark may hide some of them.
    points, cells = 36, 3
    grid = base @ _grid(points)
    values = []
    for images, at in (
        (theirs, np.broadcast_to(_grid(points), grid.shape)),
        (ours, _moved(move, grid)),
    ):
        detail = _smooth(images, 0.7) - _smooth(images, 2.0)
        usual = np.sqrt((detail[:, EDGE:-EDGE, EDGE:-EDGE] ** 2).mean(axis=(1, 2), keepdims=True))
        detail /= np.abs(detail) + usual + 1e-3  # Two bright eyes do not decide alone.
        part = _sample(detail, at).reshape(-1, cells, points // cells, cells, points // cells)
        part = part.transpose(0, 1, 3, 2, 4).reshape(len(ours), cells**2, -1)
        values.append(part - part.mean(axis=2, keepdims=True))
    both, one, other = ((a * b).sum(axis=2) for a, b in (values, [values[0]] * 2, [values[1]] * 2))
    alike = both / np.sqrt(np.maximum(one * other, 1e-6))
    order = np.argsort(alike, axis=1)[:, 2:]  # All but the two worst.
    both, one, other = (np.take_along_axis(v, order, axis=1).sum(1) for v in (both, one, other))
    score = both / np.sqrt(np.maximum(one * other, 1e-6))
    zoom = np.hypot(move[:, 0], move[:, 1])
    sane = (zoom > 0.7) & (zoom < 1.45) & (np.abs(move[:, 2:]).max(axis=1) < 0.35)
    return np.where(sane, score, 0).astype(np.float32)


def _moved(move: np.ndarray, grid: np.ndarray) -> np.ndarray:
    a, b, x, y = move.T[..., None]
    return np.stack([a * grid[:, 0] - b * grid[:, 1] + x, b * grid[:, 0] + a * grid[:, 1] + y], 1)


def _nearest(
    ours: UInt8[np.ndarray, "n s s"], theirs: UInt8[np.ndarray, "m s s"], itself: bool = False
) -> tuple[Int64[np.ndarray, "m k"], Float32[np.ndarray, "m k"]]:
    found, way = _candidates(ours, theirs, itself)
    other = np.broadcast_to(np.arange(len(theirs))[:, None], found.shape)
    score = _likeness(ours, theirs, found.ravel(), other.ravel(), way.ravel())
    return found, score.reshape(found.shape)
