"""Which images are unlike the rest of their class: a light descriptor, and a measure on features.

The measure takes any features. On a network's it also finds another animal's face among faces; on
the descriptor's it finds what is hardly a photograph: blanks, noise, text, drawings, blur.
No JAX in here: the descriptor runs in worker processes.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8
from PIL import Image

from jaxgan.data.images import Picture
from jaxgan.data.npy_rows import Stored
from jaxgan.errors import InputError
from jaxgan.system import machine

SIDE = 64  # Of what the descriptor sees.
SCALES = 4  # Each half the one before.
DIRECTIONS = 8
NUMBERS = 3 + 2 * SCALES + 3 + DIRECTIONS  # Of a descriptor.
# Gray, red against green, yellow against blue; of RGB.
OPPONENTS = np.array([[0.299, 0.587, 0.114], [1, -1, 0], [0.5, 0.5, -1]], np.float32)
_ANGLES = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
_TURN = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1).astype(np.float32)

NEIGHBOUR = 50  # A cluster of so many strange images does not hide itself.
REFERENCE = 5000  # Images of a class among which neighbours are sought.
BLOCK = 512  # Images at a time, by each core.
SHRINKAGE = 0.5
STEADY = 0.01  # The least spread of log distances: below 1 % they count as equal.

View = Callable[[Float32[np.ndarray, "n d"]], Float32[np.ndarray, "n d"]]


def descriptor(image: Picture) -> Float32[np.ndarray, " 22"]:
    """Sharpness, colours and directions of an image, seen at 64 x 64 px.

    Logarithms of 1 + the mean and the root mean square of the steps between neighbours, in gray
    levels, at 64, 32, 16 and 8 px (a spectrum, and how sparse its edges are); the means of three
    opponent colours, in units of 64 levels, and the logarithms of 1 + their deviations; the
    logarithms of 1 + the mean step in each of 8 directions.

    Args:
        image: uint8 [h, w, 3] of any size and aspect; averaged down or enlarged to 64 x 64.
    """
    return descriptors(seen(image)[None])[0]


def seen(image: Picture) -> UInt8[np.ndarray, "64 64 3"]:
    """Return the image as `descriptor` sees it."""
    if image.shape[:2] == (SIDE, SIDE):
        return image
    smaller = min(image.shape[:2]) < SIDE
    filter = Image.Resampling.BILINEAR if smaller else Image.Resampling.BOX
    return np.asarray(Image.fromarray(image).resize((SIDE, SIDE), filter, reducing_gap=2.0))


def descriptors(images: UInt8[np.ndarray, "n 64 64 3"]) -> Float32[np.ndarray, "n 22"]:
    """`descriptor` of many images, for a third of the work."""
    n = len(images)
    # In planes: products of long rows, and sums along them, are what numpy is fast at.
    planes = np.empty((3, n * SIDE**2), np.float32)
    planes[:] = images.reshape(-1, 3).T
    colours = (OPPONENTS @ planes).reshape(3, n, -1)
    means = colours.mean(axis=2).T
    gray = colours[0].reshape(n, SIDE, SIDE)
    steps = _steps(gray)
    turned = (_TURN @ steps.reshape(2, -1)).reshape(DIRECTIONS, n, -1)
    directions = np.abs(turned, out=turned).mean(axis=2).T
    scales = [_sizes(steps)]
    for _ in range(SCALES - 1):
        gray = (
            gray[:, ::2, ::2] + gray[:, 1::2, ::2] + gray[:, ::2, 1::2] + gray[:, 1::2, 1::2]
        ) / 4
        scales.append(_sizes(_steps(gray)))
    colours -= colours.mean(axis=2, keepdims=True)
    deviations = np.sqrt(np.einsum("cni,cni->nc", colours, colours) / SIDE**2)
    logs = np.log1p(np.concatenate([*scales, deviations, directions], axis=1))
    return np.concatenate([means / 64, logs], axis=1, dtype=np.float32)


def _sizes(steps: Float32[np.ndarray, "2 n m"]) -> Float32[np.ndarray, "n 2"]:
    """Return mean and root mean square."""
    mean = np.abs(steps).mean(axis=(0, 2))
    squares = np.einsum("dni,dni->n", steps, steps)
    return np.stack([mean, np.sqrt(squares / (2 * steps.shape[2]))], axis=1)


def _steps(gray: Float32[np.ndarray, "n s s"]) -> Float32[np.ndarray, "2 n m"]:
    """Return the steps right and down from each pixel that has both neighbours."""
    here = gray[:, :-1, :-1]
    right, down = gray[:, :-1, 1:] - here, gray[:, 1:, :-1] - here
    return np.stack([right, down]).reshape(2, len(gray), -1)


def strangeness(
    features: Float32[np.ndarray, "n d"] | Stored,
    labels: Int[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Return how far each image lies from the others of its class; 0 is the class's median.

    The distance to the 50th nearest neighbour in the class (in classes below 500 images: to the
    one that a tenth of them are nearer than) is an outlier's measure that asks nothing of the
    class's shape, clusters included (Ramaswamy et al.); one sample of the class serves for all as
    neighbours (Sugiyama and Borgwardt), so that the work is linear in n. It is taken twice. First
    between features whitened with a shrunk covariance (in the form of Ledoit and Wolf): far is what
    has more of something than the class ever has. Then between their directions: of an image with
    little in it (blank, noise, text) a network's features are all small, near to everything, but
    in other proportions. Each distance's logarithm is set against the class's median in units of
    the median absolute deviation, and the greater of the two counts.

    Args:
        features: float32, any network's or `descriptor`'s.
        labels: each image's class.
        groups: the same number for copies of an image (`splits.near_duplicates`): they are no
            neighbours of each other, and count once. None: there are no copies.

    Returns:
        float64; the strangest image has the greatest. 0 for all of a class of fewer than three
        different images.

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
            raise ValueError(f"features must be finite, those of image {bad} are not")
    groups = np.arange(len(features)) if groups is None else groups
    scores = np.zeros(len(features))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        _, first = np.unique(groups[rows], return_index=True)
        drawn = np.random.default_rng(0).permutation(first)[:REFERENCE]
        if len(drawn) < 3:
            continue
        owners = groups[rows[drawn]]
        order = np.argsort(owners)
        place = order[np.searchsorted(owners[order], groups[rows]).clip(max=len(order) - 1)]
        own = np.where(owners[place] == groups[rows], place, -1)
        distances = _to_neighbour(features, rows, features[rows[drawn]], own)
        scores[rows] = np.maximum(*(_deviations(each, drawn) for each in distances))
    return scores


def strangeness_beside(
    features: Float32[np.ndarray, "n d"], reference: Float32[np.ndarray, "m d"]
) -> Float[np.ndarray, " n"]:
    """Return the same of images that are not in the class themselves, and so do not change it.

    Args:
        features: of the images.
        reference: of the class.

    Raises:
        InputError: fewer than three images in the class.
    """
    if len(reference) < 3:
        raise InputError(f"strangeness needs three real images or more, got {len(reference)}")
    drawn = np.random.default_rng(0).permutation(len(reference))[:REFERENCE]
    reference = reference[drawn]
    own, none = np.arange(len(reference)), np.full(len(features), -1)
    usual = _to_neighbour(reference, own, reference, own)
    distances = _to_neighbour(features, np.arange(len(features)), reference, none)
    both = np.concatenate([usual, distances], axis=1)
    return np.maximum(*(_deviations(each, own)[len(own) :] for each in both))


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
    features: Float32[np.ndarray, "n d"] | Stored,
    rows: Int[np.ndarray, " m"],
    reference: Float32[np.ndarray, "r d"],
    own: Int[np.ndarray, " m"],
) -> Float[np.ndarray, "2 m"]:
    """From each of `rows` to its NEIGHBOURth of the reference but `own`, where that is not -1.

    Whitened, and by direction.
    """
    nth = min(NEIGHBOUR, -(-len(reference) // 10)) - 1
    views = [(view, _rows_of(view(reference))) for view in (_whitening(reference), _directions)]
    distances = np.empty((2, len(rows)))

    def measure(start: int) -> None:
        part = slice(start, start + BLOCK)
        is_there = np.flatnonzero(own[part] >= 0)
        some = features[rows[part]]
        for (view, others), found in zip(views, distances, strict=True):
            between = _columns_of(view(some)) @ others.T  # Squared distances.
            between[is_there, own[part][is_there]] = np.inf
            between.partition(nth, axis=1)
            found[part] = np.sqrt(np.maximum(between[:, nth], 0))

    with ThreadPoolExecutor(machine.cores()) as threads:
        list(threads.map(measure, range(0, len(rows), BLOCK)))
    return distances


def _columns_of(x: Float32[np.ndarray, "m d"]) -> Float32[np.ndarray, "m e"]:
    """Such that the product with `_rows_of(y).T` is |x - y|^2."""
    return np.concatenate([x, (x**2).sum(axis=1, keepdims=True), np.ones_like(x[:, :1])], axis=1)


def _rows_of(y: Float32[np.ndarray, "r d"]) -> Float32[np.ndarray, "r e"]:
    squares = (y**2).sum(axis=1, keepdims=True)
    return np.concatenate([-2 * y, np.ones_like(squares), squares], axis=1)


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
