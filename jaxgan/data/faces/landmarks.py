"""Landmarks of faces, read from the files in which they lie beside images.

The CAT set's .cat files, Pascal VOC XML with boxes of faces and eyes, and tables of points as CSV.
A point is (x, y) in pixels from the image's upper left corner, y downwards; the numbers are taken
as they stand.

Reference: Zhang, Sun, Tang, Cat Head Detection: How to Effectively Exploit Shape and Texture
Features, 2008 (the CAT set).
"""

import csv
import io
import math
from collections.abc import Sequence
from typing import NamedTuple, NoReturn
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float64

from jaxgan.errors import InputError

Point = Float64[np.ndarray, "2"]
Ear = Float64[np.ndarray, "3 2"]  # Of an upright face from left to right: base, tip, base.

LIMIT = 1_000_000  # Of a coordinate: far from where sums overflow.

_EARS = [f"{side}_ear{i}" for side in ("left", "right") for i in (1, 2, 3)]
_GROUPS = (("left_eye",), ("right_eye",), ("mouth",), _EARS[:3], _EARS[3:])  # Landmarks' order.


class Landmarks(NamedTuple):
    """Of one face. Left is the left of the image, where the face is upright."""

    left_eye: Point
    right_eye: Point
    mouth: Point | None = None
    left_ear: Ear | None = None
    right_ear: Ear | None = None


def read_cat(data: bytes) -> Landmarks:
    """Return the CAT set's `x.jpg.cat`: "9", then x and y of both eyes, mouth, left ear and right
    ear.

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
            raise InputError(f"every eye must lie in a face box, got one at {told(eye)}")
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


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise InputError("boxes must be XML without a document type, got one")


def _box(item: ElementTree.Element) -> Float64[np.ndarray, "2 2"]:
    """Return its upper left and lower right corner."""
    texts = [item.findtext(f"bndbox/{name}") or "" for name in ("xmin", "ymin", "xmax", "ymax")]
    low, high = _numbers(texts, "a box")
    if (low >= high).any():
        raise InputError(
            f"a box must end right of and below its start, got {told(low)} to {told(high)}"
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


def told(point: np.ndarray) -> str:
    return f"{point[0]:g} x {point[1]:g}"
