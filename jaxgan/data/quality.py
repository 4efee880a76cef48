"""Images as the doctor sees them: what the file is, and how sharp, plain or odd the image."""

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Float64, Int32, Int64, UInt8
from PIL import Image, ImageFile

from jaxgan.data import colours, images
from jaxgan.data.ranges import Scale

BLANK = 4.0  # Standard deviation of gray levels below which there is nothing to see.
BLURRED = 0.05  # Sharpness below which an image is blurred: a Gaussian of 1.2 pixels.
SOFT = 0.5  # Effective resolution, as a share of the shorter side, below which it was enlarged.
CUT = 0.08  # Of the level of the low frequencies.
GRAY = np.array([0.299, 0.587, 0.114], np.float32)
# What is done about an oddity that changes what is read; of the others nothing is lost.
NOTES = {
    "animated": "of several pages or frames: the first is read",
    "CMYK": "in CMYK: converted to RGB",
    "16-bit colour": "in colours of 16 bits: the upper 8 are read",
    "alpha": "with transparency: laid over white",
    "long and narrow": "more than 3 times as long as wide: cropped or squeezed to a square",
    colours.CONVERTED: "with a colour profile: converted to sRGB",
    colours.UNUSABLE: "with a colour profile that cannot be used: taken as sRGB",
}
RINGS = 32  # Into which the spectrum is cut, up to Nyquist's frequency.
SPECTRUM = 256  # Side of the square whose spectrum is looked at, at most.
SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png"},
    "WEBP": {".webp"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "DIB": {".bmp", ".dib"},
    "TIFF": {".tif", ".tiff"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
    "AVIF": {".avif"},
    "HEIF": {".heic", ".heif", ".hif"},
    "MPO": {".jpg", ".jpeg", ".mpo"},
}


class Header(NamedTuple):
    """What a file says of itself."""

    format: str
    mode: str  # Pillow's: "RGB", "L", "CMYK", "I;16", "RGBA", ...
    width: int  # Upright, in pixels.
    height: int
    frames: int
    profile: str = ""  # As `colours.profile` says.
    is_16_bit_colour: bool = False


class Measures(NamedTuple):
    """What can be measured on decoded images."""

    contrast: Float[np.ndarray, " n"]  # Standard deviation of the gray levels, of 255.
    sharpness: Float[np.ndarray, " n"]  # Fine steps against coarse: photographs have 0.1 to 0.6.
    effective: Float[np.ndarray, " n"]  # The side, in pixels, that holds all the detail.


def header(data: bytes) -> Header:
    """Read a file's header.

    Raises:
        Exception: not an image; `images.reason` puts it in words.
    """
    with images.open_file(data) as im:
        return header_of(im)


def header_of(im: ImageFile.ImageFile) -> Header:
    """Return the same of an open file."""
    width, height = im.size
    if images.orientation(im) >= 5 and im.format != "TIFF":  # Whose size is upright.
        width, height = height, width
    mode = "RGBA" if im.mode != "RGBA" and im.has_transparency_data else im.mode
    stored = str(im.tile[0][3]) if im.tile else ""  # How the decoder finds the values.
    deep = im.mode in ("RGB", "RGBA", "LA") and ";16" in stored
    return Header(
        *(im.format or "", mode, width, height, getattr(im, "n_frames", 1)),
        *(colours.profile(im), deep),
    )


def decoded(
    data: bytes, at_least: int | None = None, scale: Scale | None = None, wait: bool = False
) -> tuple[Header, Image.Image]:
    """Return a file's header and its image, small plain JPEG files in two thirds of the time.

    Args:
        data: the file's bytes.
        at_least: as for `images.decode`, like the next two.
        scale: of gray values beyond 8 bits.
        wait: where there is none.

    Raises:
        Exception: as `images.open_picture`.
    """
    image = images.plain_jpeg(data, at_least)
    if image is not None:
        return Header("JPEG", "RGB", *image.size, frames=1), image
    with images.open_file(data) as im:
        return header_of(im), images.decode(im, at_least, scale, wait)


def oddities(name: str, head: Header) -> list[str]:
    """Return what is unusual about a file; nothing of it keeps the image from being used."""
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
    if head.profile:
        found.append(head.profile)
    if head.is_16_bit_colour:
        found.append("16-bit colour")
    return found


def measure(pictures: UInt8[np.ndarray, "n h w 3"], scales: Sequence[float] = (1.0,)) -> Measures:
    """Contrast, sharpness and effective resolution of images of one size.

    Args:
        pictures: as decoded.
        scales: for each, or for all, how many pixels of the file one of its pixels stands for.
    """
    side = min(pictures.shape[1:3])
    step = max(1, side // SPECTRUM)  # Of the whole image: its middle may be empty.
    middle = _middle(pictures)
    gray = middle @ GRAY
    seen = gray if middle.shape == pictures.shape else pictures[:, ::step, ::step] @ GRAY
    contrast = seen.reshape(len(seen), -1).std(axis=1)
    share = effective_resolution(gray) / min(gray.shape[1:])
    # Reducing leaves the detail's side as it is, until nothing is missing any more.
    scale = np.where(share > 0.9, scales, 1.0)
    return Measures(contrast, sharpness(gray), side * share * scale)


def _middle(pictures: UInt8[np.ndarray, "n h w 3"]) -> UInt8[np.ndarray, "n a b 3"]:
    """Detail is where the subject is, and a spectrum of all is slow."""
    top, left = (max(0, (side - SPECTRUM) // 2) for side in pictures.shape[1:3])
    return pictures[:, top : top + SPECTRUM, left : left + SPECTRUM]


def sharpness(gray: Float32[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Root mean square of steps over one pixel, doubled, as a share of that over two, less 1.

    0 for slopes, which have no detail and are all that blurring leaves; 0.4 for edges and 1 for
    noise. It depends on neither contrast nor size.
    """
    if min(gray.shape[1:]) < 3:
        return np.zeros(len(gray))
    fine = _mean_square(gray[:, 1:] - gray[:, :-1]) + _mean_square(gray[..., 1:] - gray[..., :-1])
    coarse = _mean_square(gray[:, 2:] - gray[:, :-2])
    coarse += _mean_square(gray[..., 2:] - gray[..., :-2])
    coarse, fine = np.where(coarse > 0, coarse, 4.0), np.where(coarse > 0, fine, 1.0)
    return np.sqrt(4 * fine / coarse) - 1


def _mean_square(steps: Float32[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    rows = steps.reshape(len(steps), -1)
    return np.einsum("ni,ni->n", rows, rows).astype(np.float64) / rows.shape[1]


def effective_resolution(gray: Float32[np.ndarray, "n h w"]) -> Float64[np.ndarray, " n"]:
    """Return the sides in pixels, at most min(h, w), that would hold all the detail.

    Photographs have amplitudes that fall as 1 / frequency (Field, Relations between the statistics
    of natural images, 1987), so power times frequency squared is about level, until the cut that
    enlarging or blurring leaves. The cut is the highest of 32 rings whose level, less that of
    rounding to bytes, is above CUT times the median of the lowest ones.
    """
    side = min(gray.shape[1:])
    if side < 16:
        return np.full(len(gray), float(side))
    window, floor, order, starts, weight, rings = _spectrum(*gray.shape[1:])
    spectrum = np.fft.rfft2((gray - gray.mean(axis=(1, 2), keepdims=True)) * window)
    power = np.square(spectrum.real) + np.square(spectrum.imag) - floor
    power = np.maximum(power, 0).reshape(len(gray), -1)[:, order] * weight
    level = np.zeros((len(gray), RINGS))
    level[:, rings] = np.add.reduceat(power, starts, axis=1, dtype=np.float64)
    above = level > CUT * np.median(level[:, 1:7], axis=1, keepdims=True)
    highest = RINGS - above[:, ::-1].argmax(axis=1)
    return np.where(above.any(axis=1), side * highest / RINGS, 0.0)


class _Rings(NamedTuple):
    """What `effective_resolution` needs for images of a size."""

    window: Float32[np.ndarray, "h w"]
    floor: np.float32  # Power of the rounding to bytes.
    order: Int32[np.ndarray, " m"]  # Frequencies below Nyquist, ring by ring.
    starts: Int64[np.ndarray, " rings"]  # In these.
    weight: Float32[np.ndarray, " m"]  # Frequency squared, by the frequencies in the ring.
    rings: Int64[np.ndarray, " rings"]  # Which of the 32 there are.


@lru_cache(32)
def _spectrum(h: int, w: int) -> _Rings:
    window = np.outer(np.hanning(h + 2)[1:-1], np.hanning(w + 2)[1:-1]).astype(np.float32)
    of_nyquist = np.maximum(np.abs(np.fft.fftfreq(h))[:, None], np.fft.rfftfreq(w)) * 2
    ring = (of_nyquist * RINGS).astype(np.int64).ravel()
    order = np.argsort(ring, kind="stable")[: int((ring < RINGS).sum())]
    rings, starts, counts = np.unique(ring[order], return_index=True, return_counts=True)
    squared = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)).ravel()[order] ** 2
    return _Rings(
        *(window, np.float32(4 * float((window**2).sum()) / 12), order.astype(np.int32), starts),
        *((squared / np.repeat(counts, counts)).astype(np.float32), rings),
    )
