"""One picture as the doctor sees it: what the file is, and how sharp, plain or odd the picture."""

import os
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from PIL import Image

from jaxgan.data import transforms
from jaxgan.data.transforms import Picture

BLANK = 4.0  # Standard deviation of gray levels below which there is nothing to see.
BLURRED = 0.05  # Sharpness below which a picture is blurred: a Gaussian of 1.2 pixels.
SOFT = 0.5  # Effective resolution, as a share of the shorter side, below which it was enlarged.
CUT = 0.08  # Of the level of the low frequencies.
GRAY = np.array([0.299, 0.587, 0.114], np.float32)
SPECTRUM = 256  # Side of the square whose spectrum is looked at, at most.
SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "WEBP": {".webp"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "DIB": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
    "AVIF": {".avif"},
    "MPO": {".jpg", ".jpeg", ".mpo"},
}


class Header(NamedTuple):
    """What a file says of itself."""

    format: str
    mode: str  # Pillow's: "RGB", "L", "CMYK", "I;16", "RGBA", ...
    width: int  # Upright, in pixels.
    height: int
    frames: int


class Measures(NamedTuple):
    """What can be measured on the decoded picture."""

    contrast: float  # Standard deviation of its gray levels, of 255.
    sharpness: float  # Fine steps against coarse ones: photographs have 0.1 to 0.6.
    effective: float  # The side, in pixels, that holds all its detail.


def header(data: bytes) -> Header:
    """Reads a file's header.

    Raises:
        Exception: not a picture; `transforms.reason` puts it in words.
    """
    with transforms.open_file(data) as im:
        return header_of(im)


def header_of(im: Image.Image) -> Header:
    """The same of an open file."""
    width, height = im.size
    if transforms.orientation(im) >= 5 and im.format != "TIFF":  # Whose size is upright.
        width, height = height, width
    mode = "RGBA" if im.mode != "RGBA" and im.has_transparency_data else im.mode
    return Header(im.format or "", mode, width, height, getattr(im, "n_frames", 1))


def oddities(name: str, head: Header) -> list[str]:
    """What is unusual about a file; nothing of it keeps the picture from being used."""
    found = []
    if os.path.splitext(name)[1].lower() not in SUFFIXES.get(head.format, set()):
        found.append("wrong extension")
    if head.frames > 1 and head.format != "MPO":
        found.append("animated")
    if head.mode == "CMYK":
        found.append("CMYK")
    elif head.mode in ("I", "F") or head.mode.startswith("I;16"):
        found.append("16-bit")
    elif head.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        found.append("alpha")
    elif head.mode in ("L", "1"):
        found.append("gray")
    if max(head.width, head.height) > 3 * min(head.width, head.height):
        found.append("long and narrow")
    return found


def measure(picture: Picture, scale: float = 1.0) -> Measures:
    """Contrast, sharpness and effective resolution of a picture.

    Args:
        picture: uint8 [h, w, 3], as decoded.
        scale: how many pixels of the file one of its pixels stands for.
    """
    side = min(picture.shape[:2])
    step = max(1, side // SPECTRUM)  # Of the whole picture: its middle may be empty.
    contrast = float((picture[::step, ::step] @ GRAY).std())
    gray = _gray(picture)
    share = effective_resolution(gray) / min(gray.shape)
    # Reducing leaves the detail's side as it is, until nothing is missing any more.
    return Measures(contrast, sharpness(gray), side * share * (scale if share > 0.9 else 1.0))


def _gray(picture: Picture) -> Float32[np.ndarray, "h w"]:
    h, w = picture.shape[:2]
    # The middle of it: detail is where the subject is, and a spectrum of all is slow.
    top, left = max(0, (h - SPECTRUM) // 2), max(0, (w - SPECTRUM) // 2)
    middle = picture[top : top + SPECTRUM, left : left + SPECTRUM]
    return middle @ GRAY


def sharpness(gray: Float32[np.ndarray, "h w"]) -> float:
    """Root mean square of steps over one pixel, doubled, as a share of that over two, less 1.

    0 for slopes, which have no detail and are all that blurring leaves; 0.4 for edges and 1 for
    noise. It depends on neither contrast nor size.
    """
    if min(gray.shape) < 3:
        return 0.0
    fine = float(np.square(np.diff(gray, axis=0)).mean() + np.square(np.diff(gray, axis=1)).mean())
    coarse = float(
        np.square(gray[2:] - gray[:-2]).mean() + np.square(gray[:, 2:] - gray[:, :-2]).mean()
    )
    return float(np.sqrt(4 * fine / coarse)) - 1 if coarse > 0 else 0.0


def effective_resolution(gray: Float32[np.ndarray, "h w"]) -> float:
    """The side in pixels, at most min(h, w), that would hold all the detail.

    Photographs have amplitudes that fall as 1 / frequency (Field, Relations between the statistics
    of natural images, 1987), so power times frequency squared is about level, until the cut that
    enlarging or blurring leaves. The cut is the highest of 32 rings whose level, less that of
    rounding to bytes, is above CUT times the median of the lowest ones.
    """
    side = min(gray.shape)
    if side < 16:
        return float(side)
    window, rings, weight = _spectrum(*gray.shape)
    power = np.abs(np.fft.rfft2((gray - gray.mean()) * window)) ** 2
    power = np.maximum(power - 4 * float((window**2).sum()) / 12, 0)
    level = np.bincount(rings, (power * weight).ravel(), minlength=33)[:32]
    level = level / np.maximum(np.bincount(rings, minlength=33)[:32], 1)
    above = np.flatnonzero(level > CUT * np.median(level[1:7]))
    return side * float(above[-1] + 1) / 32 if len(above) else 0.0


@lru_cache(32)
def _spectrum(h: int, w: int) -> tuple[Float32[np.ndarray, "h w"], np.ndarray, np.ndarray]:
    window = np.outer(np.hanning(h + 2)[1:-1], np.hanning(w + 2)[1:-1]).astype(np.float32)
    frequency = (
        np.maximum(np.abs(np.fft.fftfreq(h))[:, None], np.fft.rfftfreq(w)) * 2
    )  # Of Nyquist.
    rings = np.minimum((frequency * 32).astype(np.int64), 32).ravel()
    radius = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w))
    return window, rings, radius**2


def moments(square: UInt8[np.ndarray, "r r 3"]) -> Float64[np.ndarray, "2 3"]:
    """Sums of the values of each channel and of their squares, exactly."""
    values = square.reshape(-1, 3).astype(np.float64)  # Whole numbers below 2^53.
    ones = np.ones(len(values))
    return np.stack([ones @ values, ones @ values**2])
