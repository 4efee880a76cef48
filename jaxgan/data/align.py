"""Faces by their landmarks: turn a picture until the eyes are level, then cut a square around them.

It is how the CAT set was cropped for Deep-learning-with-cats. A point is (x, y) in pixels from the
picture's upper left corner, y downwards: pixel i spans i to i + 1, so a box of whole numbers that
is not turned is a slice. The files' numbers are taken as they stand; where they mean the middle of
a pixel, crops lie half a pixel off.

The picture is the upright one, as `open_picture` gives it and viewers show it. The published code
does the same: it reads with OpenCV, which obeys EXIF orientation, and applies the points to that.
Points of a picture as stored do not fit one whose EXIF tag turns it.

References:
    Zhang, Sun, Tang, Cat Head Detection: How to Effectively Exploit Shape and Texture Features,
    2008 (the CAT set). Jolicoeur-Martineau, Deep-learning-with-cats, 2017 (its crops).
"""

import csv
import io
import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, NoReturn
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from PIL import Image

from jaxgan.data.transforms import Picture
from jaxgan.errors import InputError

Point = Float64[np.ndarray, "2"]
Ear = Float64[np.ndarray, "3 2"]  # Of an upright face from left to right: base, tip, base.
Border = Literal["reflect", "gray", "reject"]

# Side of the box by the distance of the eyes, where ears are missing: the median of (width of the
# face box) / (distance of the centres of the eye boxes) over those 133 of the 218 faces of
# `cat_eyes` that are tilted by less than 10 degrees, so that levelling hardly changes the width.
# Quartiles 2.12 and 2.37, 5 % and 95 % at 1.99 and 2.62, deviation 0.19; the median of all is 2.23.
# A face box is not the distance of the ears, which that set lacks: such crops may show more or
# less of a face than those of the CAT set do.
EYE_RATIO = 2.24
THRESHOLDS = (64, 128, 256)
GRAY = 128
LIMIT = 1_000_000  # Of a coordinate: far from where sums overflow.
MARGIN = 1  # Pixels that the filter reads beyond a point.

_EARS = [f"{side}_ear{i}" for side in ("left", "right") for i in (1, 2, 3)]
_GROUPS = (("left_eye",), ("right_eye",), ("mouth",), _EARS[:3], _EARS[3:])  # Landmarks' order.


class OutsideError(InputError):
    """The crop leaves the picture, which border="reject" does not allow."""


class Landmarks(NamedTuple):
    """Of one face. Left is the left of the picture, where the face is upright."""

    left_eye: Point
    right_eye: Point
    mouth: Point | None = None
    left_ear: Ear | None = None
    right_ear: Ear | None = None


class Placement(NamedTuple):
    """Where the crop lies: a square in the picture that was turned by `angle` about `centre`."""

    angle: float  # Degrees by which the line of the eyes falls to the right: the turn undoes it.
    centre: tuple[float, float]  # Between the eyes.
    left: float
    top: float
    side: float
    eyes: float  # Their distance.
    swapped: bool  # The eyes had each other's names.


def read_cat(data: bytes) -> Landmarks:
    """The CAT set's `x.jpg.cat`: "9", then x and y of both eyes, mouth, left ear and right ear.

    Raises:
        InputError: anything else, or a number that is not finite or beyond a million.
    """
    count, *rest = data.decode("ascii", "replace").split() or ["nothing"]
    if count != "9" or len(rest) != 18:
        raise InputError(
            f"a .cat file must hold the number 9 and 9 points, got {count[:20]} "
            f"and {len(rest)} coordinates"
        )
    points = _numbers(rest, "a .cat file")
    return Landmarks(points[0], points[1], points[2], points[3:6], points[6:])


def read_voc(data: bytes) -> list[Landmarks]:
    """Pascal VOC XML: the faces, in its order; their eyes are the centres of the eye boxes.

    A box is an eye where its name has "eye" in it, a face where it has "face" or "head"; others
    are ignored. An eye belongs to the smallest face that holds its centre. A face with fewer than
    two eyes (in profile, say) cannot be aligned and is left out. Without a face box, all eyes are
    one face's. The eye further left is the left one: right for a tilt of less than 90 degrees.

    Raises:
        InputError: not XML; a document type declaration (its entities could fill the memory); a
            box without four numbers in order; an eye outside all faces; more than two eyes in a
            face; no face with two.
    """
    parser = ElementTree.XMLParser(target=_WithoutDoctype())
    try:
        parser.feed(data)
        root = parser.close()
    except InputError:
        raise
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # The others: its encoding.
        raise InputError(f"boxes must be Pascal VOC XML: {error}") from error
    faces, eyes = [], []
    for item in root.iter("object"):
        name = (item.findtext("name") or "").lower()
        if "eye" in name:
            eyes.append(_box(item).mean(axis=0))
        elif "face" in name or "head" in name:
            faces.append(_box(item))
    if not faces:
        faces = [np.array([[-math.inf, -math.inf], [math.inf, math.inf]])]
    areas = [np.prod(high - low) for low, high in faces]
    eyes_of: list[list[Point]] = [[] for _ in faces]
    for eye in eyes:
        holding = [i for i, (a, b) in enumerate(faces) if (a <= eye).all() and (eye <= b).all()]
        if not holding:
            raise InputError(f"every eye must lie in a face box, got one at {_told(eye)}")
        eyes_of[min(holding, key=lambda i: areas[i])].append(eye)
    if max(map(len, eyes_of)) > 2:
        raise InputError(f"a face must have two eyes, got {max(map(len, eyes_of))}")
    pairs = [sorted(pair, key=lambda eye: eye[0]) for pair in eyes_of if len(pair) == 2]
    if not pairs:
        raise InputError(f"a face needs two eye boxes, got {len(eyes)} and no face with two")
    return [Landmarks(left, right) for left, right in pairs]


def read_points(data: bytes) -> dict[str, list[Landmarks]]:
    """CSV with a header: the faces of each file, in the table's order.

    Columns, in any order: file, left_eye_x, left_eye_y, right_eye_x, right_eye_y; and where wanted
    mouth_x, mouth_y, left_ear1_x ... left_ear3_y, right_ear1_x ... right_ear3_y. A face may leave
    mouth or an ear empty. Bytes of file names that are no UTF-8 are kept as `os.fsdecode` does.

    Raises:
        InputError: a column too few, too many or twice; a row of another length; an empty file
            name; a mouth or ear in part; a number that is not finite or beyond a million.
    """
    table = csv.reader(io.StringIO(data.decode("utf-8-sig", "surrogateescape"), newline=""))
    faces: dict[str, list[Landmarks]] = {}
    try:
        header = [name.strip() for name in next(table, [])]
        groups = _columns(header)
        for row in table:
            if not row:
                continue
            if len(row) != len(header) or not row[header.index("file")]:
                raise InputError(
                    f"every row must name a file and have {len(header)} cells, "
                    f"line {table.line_num} has {len(row)}"
                )
            points = [_cells(row, columns, table.line_num) for columns in groups]
            left, right, mouth = (None if p is None else p[0] for p in points[:3])
            if left is None or right is None:
                raise InputError(f"every row must give both eyes, line {table.line_num} does not")
            face = Landmarks(left, right, mouth, points[3], points[4])
            faces.setdefault(row[header.index("file")], []).append(face)
    except csv.Error as error:
        raise InputError(f"points must be a CSV table: {error}, line {table.line_num}") from error
    return faces


def place(landmarks: Landmarks) -> Placement:
    """The square around a face.

    Where the left eye lies right of and above the right one, and the mouth right of the right eye,
    the eyes swap names. The picture is turned about their midpoint until they are level, the left
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
    """The square around a face, at the picture's own scale; s is the box's side, rounded.

    The turn and the crop are one resampling, linear between pixels as in the published code (the
    cubic filter that Pillow has for it moves things by up to a tenth of a pixel). Shrink the
    result with `resize`, which is antialiased.

    Args:
        picture: uint8 [h, w, 3], upright.
        landmarks: Of one face; both eyes in the picture.
        border: What a crop shows beyond the picture: "reflect" mirrors it at its edges, "gray"
            is 128 as in the published crops (which stop, not square, where the turned picture's
            frame does); "reject" refuses a crop with the middle of a pixel outside.

    Raises:
        OutsideError: border="reject", and the crop leaves the picture.
        InputError: as `place`; an eye outside the picture; a box of more than twice the picture's
            shorter side.
    """
    where = place(landmarks)
    size = np.array([picture.shape[1], picture.shape[0]])
    for eye in (landmarks.left_eye, landmarks.right_eye):
        if (eye < 0).any() or (eye > size).any():
            raise InputError(
                f"eyes must lie in the picture, {_told(size)} pixels, got {_told(eye)}"
            )
    if where.side > 2 * size.min():
        raise InputError(
            f"a crop's side must be at most twice the picture's shorter one, {size.min()}, "
            f"got {where.side:.0f}"
        )
    side = round(where.side)
    angle, centre = math.radians(where.angle), np.array(where.centre)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    # A crop's point u is the picture's point `start + step @ u`.
    step = turn * (where.side / side)
    start = centre + turn @ (np.array([where.left, where.top]) - centre)
    ends = np.array([(u, v) for u in (0.5, side - 0.5) for v in (0.5, side - 0.5)])
    ends = start + ends @ step.T
    if border == "reject" and ((ends < 0) | (ends > size)).any():
        raise OutsideError(
            "a crop must lie in its picture, this one leaves it by "
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


def eyes_after(landmarks: Landmarks, resolution: int) -> Float64[np.ndarray, "2 2"]:
    """Where the eyes lie in the aligned picture of that side: (x, y) of the left one, the right.

    Left is the picture's left (the published names, unless `place` swapped them).
    """
    where = place(landmarks)
    half = where.eyes / where.side / 2
    return resolution * np.array([[0.5 - half, 0.4], [0.5 + half, 0.4]])


def published_side(placement: Placement, width: int, height: int) -> int:
    """The smaller side in pixels of the crop that the published code made of such a picture.

    It cuts the box at the picture's frame (the turned picture has the same one) and to whole
    pixels. `sizes` of it are the folders in which that code put the crop.
    """
    return min(
        max(0, min(int(start + placement.side), end) - int(max(start, 0)))
        for start, end in ((placement.left, width), (placement.top, height))
    )


def sizes(side: float) -> tuple[int, ...]:
    """Which of 64, 128 and 256 a crop of that side reaches."""
    return tuple(threshold for threshold in THRESHOLDS if side >= threshold)


def crop_names(name: str, faces: int) -> list[str]:
    """What the crops of a picture are called: as it is, or "name#1", "name#2" ... of several."""
    return [name] if faces == 1 else [f"{name}#{i + 1}" for i in range(faces)]


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise InputError("boxes must be XML without a document type, got one")


def _box(item: ElementTree.Element) -> Float64[np.ndarray, "2 2"]:
    """Its upper left and lower right corner."""
    texts = [item.findtext(f"bndbox/{name}") or "" for name in ("xmin", "ymin", "xmax", "ymax")]
    low, high = _numbers(texts, "a box")
    if (low >= high).any():
        raise InputError(
            f"a box must end right of and below its start, got {_told(low)} to {_told(high)}"
        )
    return np.stack([low, high])


def _columns(header: Sequence[str]) -> list[list[int]]:
    """Of each of _GROUPS, where its x, y, x, y ... stand; nowhere where the table lacks it."""
    groups = [[f"{point}_{axis}" for point in group for axis in "xy"] for group in _GROUPS]
    wanted = ["file"]
    for group in groups:
        if group in groups[:2] or set(group) & set(header):
            wanted += group
    for name in [*header, *wanted]:
        if name not in wanted or header.count(name) != 1:
            raise InputError(
                "columns must be file, left_eye_x, left_eye_y, right_eye_x, right_eye_y, and all "
                "of the mouth's and of an ear's or none (mouth_x ... right_ear3_y), each once; "
                f"{name[:30]!r} is there {header.count(name)} times"
            )
    return [[header.index(name) for name in group if name in wanted] for group in groups]


def _cells(row: Sequence[str], columns: Sequence[int], line: int) -> np.ndarray | None:
    """Points [n, 2], or None where every cell is empty."""
    cells = [row[i].strip() for i in columns]
    return _numbers(cells, f"line {line}") if any(cells) else None


def _numbers(cells: Sequence[str], where: str) -> Float64[np.ndarray, "n 2"]:
    points = []
    for cell in cells:
        try:
            points.append(float(cell))
        except ValueError:
            points.append(math.nan)
        if not abs(points[-1]) <= LIMIT:
            raise InputError(
                f"coordinates must be numbers from -{LIMIT} to {LIMIT}, {where} has {cell[:20]!r}"
            )
    return np.array(points).reshape(-1, 2)


def _mirrored(index: Int64[np.ndarray, " n"], length: int) -> Int64[np.ndarray, " n"]:
    """Positions beyond a line's ends, mirrored at its edges as often as need be."""
    index = index % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)


def _told(point: np.ndarray) -> str:
    return f"{point[0]:g} x {point[1]:g}"
