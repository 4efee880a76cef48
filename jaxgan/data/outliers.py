"""Which pictures are unlike the rest of their class: a light descriptor, and a measure on features.

The measure takes any features. On a network's it also finds another animal's face among faces; on
the descriptor's it finds what is hardly a photograph: blanks, noise, text, drawings, blur.
No JAX in here: the descriptor runs in worker processes.
"""

import math
from collections.abc import Callable
from itertools import chain

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from PIL import Image

from jaxgan.data.transforms import Picture
from jaxgan.errors import InputError

SIDE = 64  # Of what the descriptor sees.
SCALES = 4  # Each half the one before.
DIRECTIONS = 8
# Gray, red against green, yellow against blue; of RGB.
OPPONENTS = np.array([[0.299, 0.587, 0.114], [1, -1, 0], [0.5, 0.5, -1]], np.float32)
_ANGLES = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
_EVENLY = np.full(SIDE**2, 1 / SIDE**2, np.float32)
_TURN = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1).astype(np.float32)

NEIGHBOUR = 50  # A cluster of so many strange pictures does not hide itself.
REFERENCE = 5000  # Pictures of a class among which neighbours are sought.
BLOCK = 2048
SHRINKAGE = 0.5
STEADY = 0.01  # The least spread of log distances: below 1 % they count as equal.

View = Callable[[Float32[np.ndarray, "n d"]], Float32[np.ndarray, "n d"]]


def descriptor(image: Picture) -> Float32[np.ndarray, " 22"]:
    """Sharpness, colours and directions of a picture, seen at 64 x 64 px, about 0.1 ms.

    Logarithms of 1 + the mean and the root mean square of the steps between neighbours, in gray
    levels, at 64, 32, 16 and 8 px (a spectrum, and how sparse its edges are); the means of three
    opponent colours, in units of 64 levels, and the logarithms of 1 + their deviations; the
    logarithms of 1 + the mean step in each of 8 directions.

    Args:
        image: uint8 [h, w, 3] of any size and aspect; averaged down or enlarged to 64 x 64.
    """
    if image.shape[:2] != (SIDE, SIDE):
        image = _resized(image)
    # Row by row of long rows, sums as products: numpy's own ways take twice the time.
    colours = OPPONENTS @ image.reshape(-1, 3).astype(np.float32).T
    means = colours @ _EVENLY
    gray = colours[0].reshape(SIDE, SIDE)
    steps = _steps(gray)
    turned = np.abs(_TURN @ steps) @ _EVENLY[: steps.shape[1]] * (SIDE**2 / steps.shape[1])
    scales = [_sizes(steps)]
    for _ in range(SCALES - 1):
        gray = (gray[::2, ::2] + gray[1::2, ::2] + gray[::2, 1::2] + gray[1::2, 1::2]) / 4
        scales.append(_sizes(_steps(gray)))
    centred = colours - means[:, None]
    deviations = [math.sqrt(row @ row / row.size) for row in centred]
    return np.concatenate(
        [means / 64, np.log1p([*chain(*scales), *deviations, *turned])], dtype=np.float32
    )


def _resized(image: Picture) -> UInt8[np.ndarray, "64 64 3"]:
    smaller = min(image.shape[:2]) < SIDE
    filter = Image.Resampling.BILINEAR if smaller else Image.Resampling.BOX
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), filter, reducing_gap=2.0))


def _sizes(steps: Float32[np.ndarray, "2 n"]) -> tuple[float, float]:
    """Mean and root mean square."""
    row = np.abs(steps.ravel())
    return float(row.mean()), math.sqrt(row @ row / row.size)


def _steps(gray: Float32[np.ndarray, "s s"]) -> Float32[np.ndarray, "2 n"]:
    """The steps right and down from each pixel that has both neighbours."""
    here = gray[:-1, :-1]
    return np.stack([gray[:-1, 1:] - here, gray[1:, :-1] - here]).reshape(2, -1)


def strangeness(
    features: Float32[np.ndarray, "n d"],
    labels: Int[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, " n"]:
    """How far each picture lies from the others of its class; 0 is the class's median.

    The distance to the 50th nearest neighbour in the class (in classes below 500 pictures: to the
    one that a tenth of them are nearer than) is an outlier's measure that asks nothing of the
    class's shape, clusters included (Ramaswamy et al.); one sample of the class serves for all as
    neighbours (Sugiyama and Borgwardt), so that the work is linear in n. It is taken twice. First
    between features whitened with a shrunk covariance (in the form of Ledoit and Wolf): far is what
    has more of something than the class ever has. Then between their directions: of a picture with
    little in it (blank, noise, text) a network's features are all small, near to everything, but
    in other proportions. Each distance's logarithm is set against the class's median in units of
    the median absolute deviation, and the greater of the two counts.

    Args:
        features: float32, any network's or `descriptor`'s; may be a memory map.
        labels: each picture's class.
        groups: the same number for copies of a picture (`splits.near_duplicates`): they are no
            neighbours of each other, and count once. None: there are no copies.

    Returns:
        float64; the strangest picture has the greatest. 0 for all of a class of fewer than three
        different pictures.

    Raises:
        ValueError: features that are not finite.

    References:
        Ramaswamy, Rastogi and Shim, Efficient Algorithms for Mining Outliers from Large Data Sets,
        2000. Sugiyama and Borgwardt, Rapid Distance-Based Outlier Detection via Sampling, 2013.
        Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
        2004. Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993 (deviations).
    """
    for start in range(0, len(features), BLOCK):
        finite = np.isfinite(features[start : start + BLOCK]).all(axis=1)
        if not finite.all():
            bad = start + finite.argmin()
            raise ValueError(f"features must be finite, those of picture {bad} are not")
    groups = np.arange(len(features)) if groups is None else groups
    scores = np.zeros(len(features))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        _, first = np.unique(groups[rows], return_index=True)
        drawn = np.random.default_rng(0).permutation(first)[:REFERENCE]
        if len(drawn) < 3:
            continue
        reference = features[rows[drawn]]
        owner = dict(zip(groups[rows[drawn]].tolist(), range(len(drawn)), strict=True))
        own = np.array([owner.get(group, -1) for group in groups[rows].tolist()])
        found = []
        for view in (_whitening(reference), _directions):
            distance = _to_neighbour(features, rows, view, view(reference), own)
            found.append(_deviations(distance, drawn))
        scores[rows] = np.maximum(*found)
    return scores


def strangeness_beside(
    features: Float32[np.ndarray, "n d"], reference: Float32[np.ndarray, "m d"]
) -> Float[np.ndarray, " n"]:
    """The same of pictures that are not in the class themselves, and so do not change it.

    Args:
        features: of the pictures.
        reference: of the class.

    Raises:
        InputError: fewer than three pictures in the class.
    """
    if len(reference) < 3:
        raise InputError(f"strangeness needs three real pictures or more, got {len(reference)}")
    drawn = np.random.default_rng(0).permutation(len(reference))[:REFERENCE]
    reference = reference[drawn]
    own, none = np.arange(len(reference)), np.full(len(features), -1)
    found = []
    for view in (_whitening(reference), _directions):
        seen = view(reference)
        usual = _to_neighbour(reference, own, view, seen, own)
        distance = _to_neighbour(features, np.arange(len(features)), view, seen, none)
        found.append(_deviations(np.concatenate([usual, distance]), own)[len(usual) :])
    return np.maximum(*found)


def _whitening(reference: Float32[np.ndarray, "n d"]) -> View:
    centre = reference.mean(axis=0, dtype=np.float64)
    centred = reference - centre
    variance, axes = np.linalg.eigh(centred.T @ centred / len(reference))
    variance = np.maximum(variance, 0) + SHRINKAGE * variance.mean()
    matrix = (axes / np.sqrt(np.maximum(variance, np.finfo(np.float32).tiny))).astype(np.float32)
    centre = centre.astype(np.float32)
    return lambda x: (x - centre) @ matrix


def _directions(x: Float32[np.ndarray, "n d"]) -> Float32[np.ndarray, "n d"]:
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.maximum(lengths, np.finfo(np.float32).tiny)


def _to_neighbour(
    features: Float32[np.ndarray, "n d"],
    rows: Int[np.ndarray, " m"],
    view: View,
    reference: Float32[np.ndarray, "r d"],
    own: Int[np.ndarray, " m"],
) -> Float[np.ndarray, " m"]:
    """From each of `rows` to its NEIGHBOURth in the reference but `own`, where that is not -1."""
    nth = min(NEIGHBOUR, -(-len(reference) // 10)) - 1
    squares = (reference**2).sum(axis=1)
    distances = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        x = view(features[rows[part]])
        between = (x**2).sum(axis=1, keepdims=True) + squares - 2 * x @ reference.T
        is_there = np.flatnonzero(own[part] >= 0)
        between[is_there, own[part][is_there]] = np.inf
        between.partition(nth, axis=1)
        distances[part] = np.sqrt(np.maximum(between[:, nth], 0))
    return distances


def _deviations(
    distances: Float[np.ndarray, " m"], drawn: Int[np.ndarray, " r"]
) -> Float[np.ndarray, " m"]:
    """Of the logarithms, from the median of those drawn, in units of the median deviation."""
    if not distances.any():
        return np.zeros(len(distances))
    logs = np.log(np.maximum(distances, 1e-6 * distances.max()))
    centre = np.median(logs[drawn])
    spread = np.median(np.abs(logs[drawn] - centre))
    return (logs - centre) / max(spread, STEADY)
