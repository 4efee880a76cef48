"""The mean and the standard deviation of a set of pictures, per channel."""

import numpy as np

from jaxgan.data import loader
from jaxgan.data.folder import Source

Moments = tuple[tuple[float, ...], tuple[float, ...]]


def moments(source: Source) -> Moments:
    """(mean, std) of each channel over all pixels of all pictures, of values in [0, 1]."""
    total, squares, pixels = np.zeros(3), np.zeros(3), 0
    for batch in loader.in_order(source, 64):
        images = batch["image"][batch["mask"]].reshape(-1, 3)
        # A byte has 256 values: exact, and faster than their squares.
        counts = np.stack([np.bincount(images[:, c], minlength=256) for c in range(3)])
        values = np.arange(256) / 255
        total, squares = total + counts @ values, squares + counts @ values**2
        pixels += len(images)
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 1e-6))  # Of one colour: not 0.
    return tuple(mean.tolist()), tuple(std.tolist())
