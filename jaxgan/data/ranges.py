"""Gray values beyond 8 bits: one scale for all images of a set, so that they stay comparable."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

WHITES = (255, 1023, 4095, 16383, 65535)  # Of 8, 10, 12, 14 and 16 bits.
Range = tuple[float, float]  # What becomes black, and what white.


class Deep(NamedTuple):
    """The values of one image."""

    low: float
    high: float
    floats: bool


class Scale(NamedTuple):
    """What becomes black and white, of whole numbers and of floats."""

    integers: Range | None = (0, 65535)
    floats: Range | None = None


class DeepError(Exception):
    """An image of more than 8 bits, where the scale of the set is not known yet."""

    def __init__(self, deep: Deep):
        super().__init__("its values need the scale of the whole set")
        self.deep = deep


def is_deep(mode: str) -> bool:
    """Return whether Pillow's images of this mode have more than 8 bits."""
    return mode in ("I", "F") or mode.startswith("I;16")


def measured(im: Image.Image) -> Deep:
    """Return the range of a loaded image of such a mode.

    Raises:
        ValueError: a value is not finite.
    """
    gray = np.asarray(im)
    low, high = float(gray.min()), float(gray.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("pixel values must be finite")
    return Deep(low, high, gray.dtype.kind == "f")


def chosen(found: Iterable[Deep]) -> Scale:
    """Return one scale for all images: the smallest usual range that holds all values, or their
    own.
    """
    every = list(found)
    return Scale(*(_range([d for d in every if d.floats == kind], kind) for kind in (False, True)))


def alone(deep: Deep) -> Scale:
    """Of an image that belongs to no set: whole numbers are of 16 bits.

    Raises:
        ValueError: no usual range holds its values.
    """
    usual = _range([deep], True) if deep.floats else (0, 65535)
    if deep.low < 0 or deep.high > 65535:
        raise ValueError(
            f"values from {deep.low:g} to {deep.high:g} have no usual range: only a set gives one"
        )
    return Scale(floats=usual) if deep.floats else Scale(usual)


def _range(found: list[Deep], floats: bool) -> Range | None:
    if not found:
        return None
    low, high = min(d.low for d in found), max(d.high for d in found)
    whites = (1, *WHITES) if floats else WHITES
    return next(((0, white) for white in whites if low >= 0 and high <= white), (low, high))


def to_eight_bits(im: Image.Image, scale: Scale | None) -> UInt8[np.ndarray, "h w"]:
    """Values to 0 ... 255; what lies outside the scale is cut.

    Raises:
        ValueError: values that are not finite, or that `alone` refuses where there is no scale.
    """
    deep, gray = measured(im), np.asarray(im)
    scale = alone(deep) if scale is None else scale
    return _scaled(gray, (scale.floats if deep.floats else scale.integers) or (0, 65535))


def _scaled(gray: Shaped[np.ndarray, "h w"], limits: Range) -> UInt8[np.ndarray, "h w"]:
    low, high = limits
    scaled = (gray.astype(np.float64) - low) * (255 / max(high - low, 1e-30))
    return np.round(np.clip(scaled, 0, 255)).astype(np.uint8)


def describe(scale: Scale, counts: tuple[int, int]) -> str:
    """Return the scale in a sentence.

    Args:
        scale: of the set.
        counts: how many images have whole numbers, and how many floats.
    """
    said = [
        f"{n:,} images of {what}, where {limits[0]:g} is black and {limits[1]:g} white"
        for n, limits, what in (
            (counts[0], scale.integers, "16-bit values"),
            (counts[1], scale.floats, "floats"),
        )
        if n and limits is not None
    ]
    return f"one scale for {' and for '.join(said)}"
