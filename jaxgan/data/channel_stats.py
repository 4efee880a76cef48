"""The mean and the standard deviation of a set of images, per channel."""

import numpy as np
from jaxtyping import Float64, UInt8

from jaxgan.data.dataset import Source
from jaxgan.data.threads import in_threads

Moments = tuple[tuple[float, ...], tuple[float, ...]]


def sums(images: UInt8[np.ndarray, "n h w 3"]) -> Float64[np.ndarray, "n 2 3"]:
    """Of each image and channel, the sums of the values and of their squares, exactly."""
    n, h, w, _ = images.shape
    # Along the rows in the type that holds whole numbers up to 255^2 w, which is the work.
    kind = np.float32 if 255**2 * w <= 2**24 else np.float64
    values = images.reshape(n * h, 3 * w).astype(kind)
    channels = np.tile(np.eye(3, dtype=kind), (w, 1))
    found = np.stack([values @ channels, np.square(values) @ channels])
    return found.reshape(2, n, h, 3).sum(axis=2, dtype=np.float64).swapaxes(0, 1)


def mean_and_std(totals: Float64[np.ndarray, "2 3"], pixels: int) -> Moments:
    """(mean, std) of values in [0, 1], from sums over so many pixels."""
    mean, squares = totals / max(1, pixels) / 255
    std = np.sqrt(np.maximum(squares / 255 - mean**2, 1e-6))  # Of one colour: not 0.
    return tuple(mean.tolist()), tuple(std.tolist())


def moments(source: Source) -> Moments:
    """(mean, std) of each channel over all pixels of all images, of values in [0, 1]."""
    of_each = in_threads(lambda i: sums(source[i]["image"][None])[0], len(source))
    total = np.zeros((2, 3))
    for found in of_each:
        total += found
    return mean_and_std(total, len(source) * source.resolution**2)
