"""Faces by their landmarks: turn an image until the eyes are level, then cut a square around them.

It is how the CAT set was cropped for Deep-learning-with-cats. A point is (x, y) in pixels from the
image's upper left corner, y downwards: pixel i spans i to i + 1, so a box of whole numbers that
is not turned is a slice. The files' numbers are taken as they stand; where they mean the middle of
a pixel, crops lie half a pixel off.

The image is the upright one, as `open_picture` gives it and viewers show it. The published code
does the same: it reads with OpenCV, which obeys EXIF orientation, and applies the points to that.
Points of an image as stored do not fit one whose EXIF tag turns it.

References:
    Zhang, Sun, Tang, Cat Head Detection: How to Effectively Exploit Shape and Texture Features,
    2008 (the CAT set). Jolicoeur-Martineau, Deep-learning-with-cats, 2017 (its crops).
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from jaxgan.data.faces.landmarks import Landmarks, told
from jaxgan.data.images import Picture
from jaxgan.errors import InputError

Border = Literal["reflect", "gray", "reject"]

# Side of the box by the distance of the eyes, where ears are missing: the median of (width of the
# face box) / (distance of the centres of the eye boxes) over those 133 of the 218 faces of
# `cat_eyes` that are tilted by less than 10 degrees, so that levelling hardly changes the width.
# Quartiles 2.12 and 2.37, 5 % and 95 % at 1.99 and 2.62, deviation 0.19; the median of all is 2.23.
# A face box is not the distance of the ears, which that set lacks: such crops may show more or
# less of a face than those of the CAT set do.
EYE_RATIO = 2.24
GRAY = 128
MARGIN = 1  # Pixels that the filter reads beyond a point.


class OutsideError(InputError):
    """The crop leaves the image, which border="reject" does not allow."""


class Placement(NamedTuple):
    """Where the crop lies: a square in the image that was turned by `angle` about `centre`."""

    angle: float  # Degrees by which the line of the eyes falls to the right: the turn undoes it.
    centre: tuple[float, float]  # Between the eyes.
    left: float
    top: float
    side: float
    eyes: float  # Their distance.
    swapped: bool  # The eyes had each other's names.


def place(landmarks: Landmarks) -> Placement:
    """Return the square around a face.

    Where the left eye lies right of and above the right one, and the mouth right of the right eye,
    the eyes swap names. The image is turned about their midpoint until they are level, the left
    one on the left. The box is as wide as the horizontal distance, then, of the left ear's first
    point and the right ear's third; without both ears, EYE_RATIO times the distance of the eyes.
    The midpoint lies at 0.5 of its width and 0.4 of its height.

    Raises:
        InputError: the eyes or the ears are less than a pixel apart, or not finitely.
    """
    left, right = landmarks.left_eye.tolist(), landmarks.right_eye.tolist()
    swapped = (
        landmarks.mouth is not None
        and left[0] > right[0]
        and left[1] < right[1]
        and float(landmarks.mouth[0]) > right[0]
    )
    if swapped:
        left, right = right, left
    across, down = right[0] - left[0], right[1] - left[1]
    eyes = math.hypot(across, down)
    if not 1 <= eyes < math.inf:
        raise InputError(f"eyes must be at least 1 pixel apart, got {eyes:.3g}")
    x, y = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
    angle = math.atan2(down, across)
    side = EYE_RATIO * eyes
    if landmarks.left_ear is not None and landmarks.right_ear is not None:
        # In the published order: `published_side` cuts to whole pixels, where the last bit counts.
        cos, sin = math.cos(angle), math.sin(angle)
        ends = (landmarks.left_ear[0].tolist(), landmarks.right_ear[2].tolist())
        first, last = ((u - x) * cos + (v - y) * sin + x for u, v in ends)
        side = abs(last - first)
        if not 1 <= side < math.inf:
            raise InputError(f"level ears must be at least 1 pixel apart, got {side:.3g}")
    box = (x - side / 2, y - side * 2 / 5, side)
    return Placement(math.degrees(angle), (x, y), *box, eyes, swapped)


def aligned(picture: Picture, landmarks: Landmarks, border: Border) -> UInt8[np.ndarray, "s s 3"]:
    """Return the square around a face, at the image's own scale; s is the box's side, rounded.

    The turn and the crop are one resampling, linear between pixels as in the published code (the
    cubic filter that Pillow has for it moves things by up to a tenth of a pixel). Shrink the
    result with `resize`, which is antialiased.

    Args:
        picture: uint8 [h, w, 3], upright.
        landmarks: Of one face; both eyes in the image.
        border: What a crop shows beyond the image: "reflect" mirrors it at its edges, "gray"
            is 128 as in the published crops (which stop, not square, where the turned image's
            frame does); "reject" refuses a crop with the middle of a pixel outside.

    Raises:
        OutsideError: border="reject", and the crop leaves the image.
        InputError: as `place`; an eye outside the image; a box of more than twice the image's
            shorter side.
    """
    where = place(landmarks)
    size = np.array([picture.shape[1], picture.shape[0]])
    for eye in (landmarks.left_eye, landmarks.right_eye):
        if (eye < 0).any() or (eye > size).any():
            raise InputError(f"eyes must lie in the image, {told(size)} pixels, got {told(eye)}")
    if where.side > 2 * size.min():
        raise InputError(
            f"a crop's side must be at most twice the image's shorter one, {size.min()}, "
            f"got {where.side:.0f}"
        )
    side = round(where.side)
    angle, centre = math.radians(where.angle), np.array(where.centre)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    # A crop's point u is the image's point `start + step @ u`.
    step = turn * (where.side / side)
    start = centre + turn @ (np.array([where.left, where.top]) - centre)
    ends = np.array([(u, v) for u in (0.5, side - 0.5) for v in (0.5, side - 0.5)])
    ends = start + ends @ step.T
    if border == "reject" and ((ends < 0) | (ends > size)).any():
        raise OutsideError(
            "a crop must lie in its image, this one leaves it by "
            f"{np.maximum(-ends, ends - size).max() + 0.5:.0f} pixels"
        )
    low = np.floor(ends.min(axis=0)).astype(np.int64) - MARGIN
    high = np.ceil(ends.max(axis=0)).astype(np.int64) + MARGIN
    columns, rows = (np.arange(a, b) for a, b in zip(low, high, strict=True))
    patch = picture[np.ix_(_mirrored(rows, size[1]), _mirrored(columns, size[0]))]
    if border == "gray":
        patch[(rows < 0) | (rows >= size[1])] = GRAY
        patch[:, (columns < 0) | (columns >= size[0])] = GRAY
    affine = np.column_stack([step, start - low]).ravel().tolist()
    crop = np.empty((side, side, 3), np.float32)
    for channel in range(3):  # As floats: of bytes, Pillow cuts the fractions off.
        plane = Image.fromarray(patch[..., channel].astype(np.float32))
        turned = plane.transform(
            (side, side), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
        crop[..., channel] = np.asarray(turned)
    return np.rint(crop).astype(np.uint8)


def published_side(placement: Placement, width: int, height: int) -> int:
    """Return the smaller side in pixels of the crop that the published code made of such an image.

    It cuts the box at the image's frame (the turned image has the same one) and to whole
    pixels. Crops from 64, from 128 and from 256 on went to folders of their own there.
    """
    return min(
        max(0, min(int(start + placement.side), end) - int(max(start, 0)))
        for start, end in ((placement.left, width), (placement.top, height))
    )


def crop_name(name: str, face: int) -> str:
    """Return what the crop of an image's only face (0), or of its face 1, 2 ... of several, is
    called.
    """
    return f"{name}#{face}" if face else name


def _mirrored(index: Int64[np.ndarray, " n"], length: int) -> Int64[np.ndarray, " n"]:
    """Return positions beyond a line's ends, mirrored at its edges as often as need be."""
    index = index % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)
