"""Colour profiles: what an image's values mean, converted to sRGB."""

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

SAME = 2  # Of 255: a profile that changes no value by more is sRGB.
SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
CONVERTED, UNUSABLE = "colour profile", "unusable colour profile"


def profile(im: Image.Image) -> str:
    """Return what becomes of an image's profile: `CONVERTED`, `UNUSABLE`, or nothing,
    which is "".
    """
    data = im.info.get("icc_profile")
    if not data:
        return ""
    found = _transform(data, _mode(im, data))
    return found if isinstance(found, str) else CONVERTED


def to_srgb(im: Image.Image) -> Image.Image:
    """Return the image in sRGB, "RGB" or "RGBA", where it has a profile of another space; else as
    it is.

    What a profile of another kind of image says is left aside.
    """
    data = im.info.get("icc_profile")
    if not data:
        return im
    mode = _mode(im, data)
    found = _transform(data, mode)
    if isinstance(found, str):
        return im
    converted = found.apply(im if im.mode == mode else im.convert(mode))
    if mode == "L" and im.has_transparency_data:
        converted.putalpha(im.convert("LA").getchannel("A"))
    return converted


def _mode(im: Image.Image, data: bytes) -> str:
    """Return the mode in which an image is converted; "" where its profile is for other images."""
    space = _space(data)
    if space == "L" and im.mode in ("1", "L", "LA", "La"):
        return "L"
    if space == "RGB" and im.mode not in ("CMYK", "LAB", "HSV", "YCbCr"):
        return "RGBA" if im.has_transparency_data else "RGB"
    return im.mode if space == im.mode == "CMYK" else ""


@functools.lru_cache(64)
def _space(data: bytes) -> str:
    try:
        return SPACES.get(ImageCms.core.profile_frombytes(data).xcolor_space, "")
    except Exception:  # Damaged.
        return ""


@functools.lru_cache(64)
def _transform(data: bytes, mode: str) -> Any:
    """From a profile to sRGB, or the word for what else becomes of it: `UNUSABLE` or ""."""
    if not mode:
        return UNUSABLE
    try:
        there = ImageCms.ImageCmsProfile(io.BytesIO(data))
        out = "RGBA" if mode == "RGBA" else "RGB"
        # Without the cache of one pixel threads share it.
        flags = ImageCms.Flags.NOCACHE
        found = ImageCms.buildTransform(
            there, ImageCms.createProfile("sRGB"), mode, out, flags=flags
        )
        if mode == "CMYK":
            return found
        if mode == "L":
            some = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        else:
            levels = np.stack(np.meshgrid(*[np.arange(0, 256, 51)] * 3, indexing="ij"), -1)
            some = Image.fromarray(levels.reshape(1, -1, 3).astype(np.uint8)).convert(mode)
        before, after = (np.asarray(x.convert("RGB"), int) for x in (some, found.apply(some)))
        return "" if np.abs(after - before).max() <= SAME else found
    except Exception:  # Damaged, or of a kind that cannot be read from.
        return UNUSABLE
