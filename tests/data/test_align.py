"""Faces are turned level and cut where the published method puts them, on real pixels too."""

import contextlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxgan.data.faces.align import (
    EYE_RATIO,
    Border,
    OutsideError,
    aligned,
    crop_name,
    place,
    published_side,
)
from jaxgan.data.faces.landmarks import Landmarks, read_cat, read_points, read_voc
from jaxgan.data.images import open_picture, resize
from jaxgan.errors import InputError

REAL = Path(__file__).parents[3] / "shared/data/cat_eyes.tar"
UPRIGHT = b"9 40 50 80 50 60 75 20 30 28 5 45 25 75 25 92 5 100 30 "


def eyes_after(landmarks: Landmarks, resolution: int) -> np.ndarray:
    """Return where the eyes lie in the aligned image of that side: (x, y) of the left one, the
    right.

    Left is the image's left (the published names, unless `place` swapped them).
    """
    where = place(landmarks)
    half = where.eyes / where.side / 2
    return resolution * np.array([[0.5 - half, 0.4], [0.5 + half, 0.4]])


def point(x, y) -> np.ndarray:
    return np.array([x, y], np.float64)


def face(left, right, mouth=None, ears=None) -> Landmarks:
    """Ears: the two points that decide the side; the four others are nowhere."""
    far = [(-999, -999)] * 2
    pair = [None, None] if ears is None else [[ears[0], *far], [*far, ears[1]]]
    pair = [None if ear is None else np.array(ear, np.float64) for ear in pair]
    return Landmarks(point(*left), point(*right), None if mouth is None else point(*mouth), *pair)


def moved(landmarks, by) -> Landmarks:
    rest = [None if p is None else p + by for p in landmarks[2:]]
    return Landmarks(landmarks.left_eye + by, landmarks.right_eye + by, *rest)


def noise(height=120, width=160, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


# By hand: face, angle, centre, left, top, side, distance of the eyes.
LEVEL = face((40, 50), (80, 50), (60, 75), ((20, 30), (100, 30)))
CASES = {
    # side 100 - 20; left 60 - 40; top 50 - 0.4 * 80.
    "level": (LEVEL, 0, (60, 50), 20, 18, 80, 40),
    # The same head, fallen to the right: (x, y) from the midpoint became (-y, x).
    "quarter turn right": (
        *(face((50, 40), (50, 80), (25, 60), ((70, 20), (70, 100))), 90),
        *((50, 60), 10, 28, 80, 40),
    ),
    "quarter turn left": (
        *(face((50, 80), (50, 40), (75, 60), ((30, 100), (30, 20))), -90),
        *((50, 60), 10, 28, 80, 40),
    ),
    # The eyes' line is (40, 30), 50 long: cos 0.8, sin 0.6, atan(3/4) = 36.8699 degrees. The ears
    # are (80, 30) apart: 0.8 * 80 + 0.6 * 30 = 82. Left 50 - 41, top 45 - 0.4 * 82.
    "three four five": (
        *(face((30, 30), (70, 60), ears=((10, 40), (90, 70))), 36.86989764584402),
        *((50, 45), 9, 12.2, 82, 50),
    ),
    # As above, ears in each other's place: the distance counts, not its sign.
    "crossed ears": (
        *(face((30, 30), (70, 60), ears=((90, 70), (10, 40))), 36.86989764584402),
        *((50, 45), 9, 12.2, 82, 50),
    ),
    # The left eye right of the right one, level: turned upside down, not swapped (not above it).
    "upside down": (face((80, 50), (40, 50), (60, 25)), 180, (60, 50), 15.2, 14.16, 89.6, 40),
}


@pytest.mark.parametrize("name", CASES)
def test_places_computed_by_hand(name):
    landmarks, angle, centre, left, top, side, eyes = CASES[name]
    got = place(landmarks)
    assert not got.swapped
    np.testing.assert_allclose(got.angle, angle, atol=1e-9)
    np.testing.assert_allclose(got.centre, centre)
    np.testing.assert_allclose(
        (got.left, got.top, got.side, got.eyes), (left, top, side, eyes), atol=1e-9
    )


# Left eye (70, 30), right eye (30, 60): right of it and above it.
@pytest.mark.parametrize(
    ("left", "right", "mouth", "swapped", "angle"),
    [
        ((70, 30), (30, 60), (31, 70), True, -36.86989764584402),
        ((70, 30), (30, 60), (30, 70), False, 143.13010235415598),  # Not right of the right eye.
        ((70, 30), (30, 60), None, False, 143.13010235415598),
        ((70, 60), (30, 30), (50, 70), False, -143.13010235415598),  # The left eye is below.
        ((70, 30), (30, 30), (50, 70), False, 180),
        ((30, 30), (70, 60), (80, 90), False, 36.86989764584402),  # The left eye is left.
    ],
)
def test_the_eyes_swap_by_the_published_rule(left, right, mouth, swapped, angle):
    got = place(face(left, right, mouth, ((10, 40), (90, 10))))
    assert got.swapped == swapped
    np.testing.assert_allclose(got.angle, angle)
    # The ears' distance does not ask which way round the eyes are.
    other = place(face(right, left, None, ((10, 40), (90, 10))))
    np.testing.assert_allclose((got.left, got.top, got.side), (other.left, other.top, other.side))


def test_without_both_ears_the_side_follows_from_the_eyes():
    both = face((30, 30), (70, 60), ears=((10, 40), (90, 70)))
    for landmarks in (
        *(both._replace(left_ear=None), both._replace(right_ear=None)),
        both._replace(left_ear=None, right_ear=None),
    ):
        assert place(landmarks).side == 50 * EYE_RATIO
    # 0.5 -+ 1 / 2.24 / 2 of the side.
    np.testing.assert_allclose(eyes_after(landmarks, 224), [[62, 89.6], [162, 89.6]])


def test_eyes_after_by_hand():
    # 40 of 80 pixels apart: a quarter of the side from the middle.
    np.testing.assert_allclose(eyes_after(LEVEL, 64), [[16, 25.6], [48, 25.6]])


def test_a_level_box_of_whole_pixels_is_a_slice():
    picture = noise()
    for border in ("reflect", "gray", "reject"):
        np.testing.assert_array_equal(aligned(picture, LEVEL, border), picture[18:98, 20:100])


def test_quarter_turns_are_exact():
    # A point (x, y) of the 120 x 160 picture is (120 - y, x) once it is turned to the right.
    picture = noise()
    right = face((70, 40), (70, 80), (45, 60), ((90, 20), (90, 100)))
    left = face((50, 120), (50, 80), (75, 100), ((30, 140), (30, 60)))
    upside = face((120, 70), (80, 70), (100, 45), ((140, 90), (60, 90)))
    for turns, landmarks in ((-1, right), (1, left), (2, upside)):
        crop = aligned(np.rot90(picture, turns), landmarks, "reject")
        np.testing.assert_array_equal(crop, picture[18:98, 20:100])


def test_half_a_pixel_lies_between_its_neighbours():
    picture = np.repeat(np.arange(160, dtype=np.uint8)[None, :, None], 120, axis=0)
    picture = np.repeat(picture, 3, axis=2) + np.uint8(20)
    shifted = face((40.5, 50), (80.5, 50), ears=((20.5, 30), (100.5, 30)))
    crop = aligned(picture, shifted, "reject").astype(float)
    between = (picture[18:98, 20:100].astype(float) + picture[18:98, 21:101]) / 2
    assert np.abs(crop - between).max() <= 0.5


def test_a_side_between_two_numbers_keeps_the_proportions():
    # 80.4 becomes 80 pixels, and the box of 80.4 fills them.
    ramp = np.broadcast_to(np.arange(160, dtype=np.uint8)[None, :, None], (120, 160, 3)).copy()
    crop = aligned(ramp, face((40, 50), (80, 50), ears=((20, 30), (100.4, 30))), "reject")
    assert crop.shape == (80, 80, 3)
    # Pixel i's middle lies at 60 - 40.2 + (i + 0.5) * 80.4 / 80, and a ramp is 0 at 0.5.
    want = 19.8 + (np.arange(80) + 0.5) * 1.005 - 0.5
    assert np.abs(crop[40, :, 0] - want).max() <= 0.51


# The box of LEVEL, 10 pixels to the left of the edge and 8 above it, and the other way.
CORNERS = [(-30, -26, slice(10, None), slice(8, None)), (70, 28, slice(0, 70), slice(0, 74))]


@pytest.mark.parametrize(("x", "y", "columns", "rows"), CORNERS)
def test_borders_by_hand(x, y, columns, rows):
    picture = noise()
    shifted = moved(LEVEL, point(x, y))
    gray = np.full((80, 80, 3), 128, np.uint8)
    top, left = max(0, 18 + y), max(0, 20 + x)
    inside = picture[top : 98 + y, left : 100 + x]
    gray[rows, columns] = inside
    np.testing.assert_array_equal(aligned(picture, shifted, "gray"), gray)
    wide = np.pad(picture, ((40, 40), (40, 40), (0, 0)), "symmetric")
    mirrored = wide[58 + y : 138 + y, 60 + x : 140 + x]
    np.testing.assert_array_equal(aligned(picture, shifted, "reflect"), mirrored)
    with pytest.raises(OutsideError, match="must lie in its image, this one leaves it by 10 pix"):
        aligned(picture, shifted, "reject")


def test_a_crop_that_fills_the_picture_is_not_rejected():
    picture = noise(80, 80)
    shifted = moved(LEVEL, -point(20, 18))
    np.testing.assert_array_equal(aligned(picture, shifted, "reject"), picture)
    with pytest.raises(OutsideError):
        aligned(picture[:, :79], shifted, "reject")


def test_turned_crops_see_the_mirrored_picture_and_the_gray():
    picture = noise()
    low = face((20, 15), (60, 45), ears=((0, 25), (80, 55)))
    around = ((80, 80), (80, 80), (0, 0))
    wider: dict[Border, np.ndarray] = {
        "reflect": np.pad(picture, around, "symmetric"),
        "gray": np.pad(picture, around, constant_values=128),
    }
    for border, wide in wider.items():
        crop = aligned(picture, low, border)
        np.testing.assert_array_equal(crop, aligned(wide, moved(low, 80), "reject"))
        assert (crop == 128).all(axis=2).any() == (border == "gray")
    with pytest.raises(OutsideError):
        aligned(picture, low, "reject")


def dot(shape, at, radius) -> np.ndarray:
    """A bell, whose centre of mass lies between pixels as exactly as on them."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.exp(-2 * ((x - at[0]) ** 2 + (y - at[1]) ** 2) / radius**2)


def centre_of_mass(weight) -> np.ndarray:
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return point((weight * x).sum(), (weight * y).sum()) / weight.sum()


def dots_found(picture, landmarks, border, resolution=None) -> np.ndarray:
    """A red and a blue dot on black ones at the eyes; where they are in the aligned picture.

    By the share of its side, left eye first. The same picture without them is taken off.
    """
    radius = max(2, 0.08 * np.hypot(*(landmarks.right_eye - landmarks.left_eye)))
    eyes = [dot(picture.shape, eye, radius) for eye in landmarks[:2]]
    black = picture * (1 - np.maximum(*eyes))[..., None]
    dotted = black + 255 * np.stack([eyes[0], 0 * eyes[0], eyes[1]], axis=-1)
    crops = [aligned(np.round(p).astype(np.uint8), landmarks, border) for p in (black, dotted)]
    if resolution is not None:
        crops = [resize(crop, resolution) for crop in crops]
    added = crops[1].astype(float) - crops[0]
    return np.array([centre_of_mass(added[..., c]) for c in (0, 2)]) / len(added)


@settings(max_examples=60, deadline=None)
@given(
    *(st.floats(60, 240), st.floats(60, 240), st.floats(20, 60), st.floats(-180, 180)),
    *(st.booleans(), st.floats(1.5, 3)),
)
def test_drawn_dots_come_to_lie_where_the_method_puts_them(x, y, distance, degrees, ears, ratio):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def turned(right, down):
        return tuple(point(x, y) + turn @ point(right, down) * distance)

    bases = (turned(-ratio / 2, -0.5), turned(ratio / 2, -0.7)) if ears else None
    landmarks = face(turned(-0.5, 0), turned(0.5, 0), turned(0, 0.8), bases)
    picture = noise(300, 300)
    assume(not place(landmarks).swapped)
    found = dots_found(picture, landmarks, "gray")
    half = 1 / (ratio if ears else EYE_RATIO) / 2
    assert np.abs(found - [[0.5 - half, 0.4], [0.5 + half, 0.4]]).max() < 0.003
    np.testing.assert_allclose(eyes_after(landmarks, 1)[:, 0], [0.5 - half, 0.5 + half])


def test_swapped_eyes_change_sides():
    # Upright, tilted a little to the left, but with the names of the eyes exchanged.
    landmarks = face((170, 130), (130, 160), (170, 190), ((90, 150), (190, 70)))
    assert place(landmarks).swapped
    found = dots_found(noise(300, 300), landmarks, "reject")
    np.testing.assert_allclose(found[::-1], eyes_after(landmarks, 1), atol=0.003)


@pytest.mark.skipif(not REAL.exists(), reason="needs the real images")
def test_eyes_of_real_cats_lie_within_two_percent_of_the_side():
    tilts = []
    with tarfile.open(REAL) as tar:
        files = {name: tar.extractfile(name) for name in tar.getnames() if "." in name}
        data = {name: file.read() for name, file in files.items() if file is not None}
    for name in sorted(name for name in data if name.endswith(".jpg")):
        (landmarks,) = read_voc(data[name.removesuffix("jpg") + "xml"])
        found = dots_found(open_picture(data[name]), landmarks, "gray", 64)
        assert np.hypot(*(found - eyes_after(landmarks, 1)).T).max() < 0.005, name
        half = 1 / EYE_RATIO / 2
        assert np.abs(found - [[0.5 - half, 0.4], [0.5 + half, 0.4]]).max() < 0.02, name
        tilts.append(abs(place(landmarks).angle))
    assert len(tilts) == 218 and max(tilts) > 70


@pytest.mark.parametrize(
    ("left", "top", "side", "frame", "want"),
    [
        (20, 18, 80, (160, 120), 80),
        (20.7, 18, 80, (160, 120), 80),  # int(100.7) - int(20.7)
        (20, 18, 63.9, (160, 120), 63),  # int(83.9) - 20; int(81.9) - 18
        (20.5, 18.5, 63.5, (160, 120), 64),  # 84 - 20; 82 - 18
        (-10, 18, 80, (160, 120), 70),  # 0 to 70
        (20, -8.5, 80, (160, 120), 71),  # int(71.5) - 0
        (100, 18, 80, (160, 120), 60),  # 100 to 160
        (20, 50, 80, (160, 120), 70),
        (-30, -40, 250, (160, 120), 120),
    ],
)
def test_the_published_side_by_hand(left, top, side, frame, want):
    spot = place(LEVEL)._replace(left=left, top=top, side=side)
    assert published_side(spot, *frame) == want


def test_crops_of_a_picture_are_numbered():
    assert [crop_name("cat/a.jpg", i) for i in range(3)] == [
        *("cat/a.jpg", "cat/a.jpg#1", "cat/a.jpg#2")
    ]


def test_degenerate_faces_are_refused():
    nan, inf = float("nan"), float("inf")
    for landmarks, told in (
        (face((50, 50), (50, 50)), "eyes must be at least 1 pixel apart, got 0"),
        (face((50, 50), (50.5, 50)), "at least 1 pixel apart, got 0.5"),
        (face((nan, 50), (80, 50)), "at least 1 pixel apart, got nan"),
        (face((50, 50), (inf, 50)), "at least 1 pixel apart, got inf"),
        (face((-1e308, 50), (1e308, 50)), "at least 1 pixel apart, got inf"),
        (face((40, 50), (80, 50), ears=((60, 30), (60, 10))), "level ears .* got 0"),
        (face((40, 50), (80, 50), ears=((nan, 30), (60, 10))), "level ears .* got nan"),
    ):
        for call in (place, lambda f: aligned(noise(), f, "gray"), lambda f: eyes_after(f, 64)):
            with pytest.raises(InputError, match=told):
                call(landmarks)


def test_boxes_that_do_not_fit_the_picture_are_refused():
    picture = noise()
    for eye in ((-1, 50), (161, 50), (80, 121)):
        with pytest.raises(InputError, match="eyes must lie in the image, 160 x 120 pixels, got"):
            aligned(picture, face((40, 50), eye), "reflect")
    big = face((40, 50), (80, 50), ears=((-100, 50), (141, 50)))
    with pytest.raises(InputError, match="at most twice the image's shorter one, 120, got 241"):
        aligned(picture, big, "gray")
    most = face((40, 50), (80, 50), ears=((-100, 50), (140, 50)))
    assert aligned(picture, most, "reflect").shape == (240, 240, 3)
    assert aligned(noise(3, 3), face((0, 1), (2, 1)), "reflect").shape == (4, 4, 3)


def test_cat_files_name_the_points_in_their_order():
    got = read_cat(UPRIGHT)
    assert got.mouth is not None and got.left_ear is not None and got.right_ear is not None
    assert got.left_eye.tolist() == [40, 50] and got.right_eye.tolist() == [80, 50]
    assert got.mouth.tolist() == [60, 75]
    assert got.left_ear.tolist() == [[20, 30], [28, 5], [45, 25]]
    assert got.right_ear.tolist() == [[75, 25], [92, 5], [100, 30]]
    assert place(got) == place(LEVEL)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "9 and 9 points, got nothing and 0 coordinates"),
        (b"8" + UPRIGHT[1:], "got 8 and 18"),
        (UPRIGHT[:-4], "got 9 and 17"),
        (UPRIGHT + b"5", "got 9 and 19"),
        (UPRIGHT.replace(b"75", b"x"), "a .cat file has 'x'"),
        (UPRIGHT.replace(b"75", b"nan"), "has 'nan'"),
        (UPRIGHT.replace(b"75", b"-1e7"), "must be numbers from -1000000 to 1000000, .* '-1e7'"),
        (b"\xff\xd8\xff\xe0 9", "must hold the number 9"),
    ],
)
def test_other_cat_files_are_refused(data, told):
    with pytest.raises(InputError, match=told):
        read_cat(data)


def boxes(*things) -> bytes:
    lines = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in things
    )
    return f"<annotation><size><width>9</width></size>{lines}</annotation>".encode()


def eyes_of(landmarks) -> list:
    return [landmarks.left_eye.tolist(), landmarks.right_eye.tolist()]


def test_eye_boxes_become_their_centres_left_to_right():
    (got,) = read_voc(
        boxes(("cat_eyes", 70, 20, 81, 31), ("Eye", 10, 20, 20, 30), ("tail", 0, 0, 0, 0))
    )
    assert eyes_of(got) == [[15, 25], [75.5, 25.5]]
    assert got.mouth is None and got.left_ear is None and got.right_ear is None


def test_eyes_go_to_the_smallest_face_that_holds_them():
    things = [("face", 0, 0, 200, 100), ("cat_face", 20, 10, 90, 60), ("Head", 0, 200, 50, 250)]
    eyes = [(120, 40), (30, 30), (60, 30), (160, 44), (20, 220)]
    got = read_voc(boxes(*things, *(("eye", x - 5, y - 5, x + 5, y + 5) for x, y in eyes)))
    # In the faces' order; the third has one eye only.
    assert [eyes_of(f) for f in got] == [[[120, 40], [160, 44]], [[30, 30], [60, 30]]]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "must be Pascal VOC XML: no element"),
        (b"<annotation>", "must be Pascal VOC XML"),
        (b"\xff\xd8\xff\xe0", "must be Pascal VOC XML"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "must be Pascal VOC XML"),
        (b'<?xml version="1.0" encoding="gbk"?><a/>', "must be Pascal VOC XML: multi-byte"),
        (boxes(), "needs two eye boxes, got 0 and no face"),
        (boxes(("eye", 0, 0, 9, 9)), "needs two eye boxes, got 1 and no face"),
        (boxes(*[("eye", 0, 0, 9, 9)] * 3), "must have two eyes, got 3"),
        (boxes(("eye", 9, 0, 0, 9)), "must end right of and below its start, got 9 x 0 to 0 x 9"),
        (boxes(("eye", "", 0, 9, 9)), "a box has ''"),
        (boxes(("eye", "inf", 0, 9, 9)), "a box has 'inf'"),
        (b"<a><object><name>eye</name></object></a>", "a box has ''"),
        (boxes(("face", 0, 0, 9, 9), ("eye", 20, 0, 29, 9)), "in a face box, got one at 24.5 x 4."),
    ],
)
def test_other_xml_is_refused(data, told):
    with pytest.raises(InputError, match=told):
        read_voc(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_never_expanded(encoding):
    levels = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(12))
    text = f'<!DOCTYPE a [<!ENTITY e0 "ha">{levels}]><a>&e12;</a>'
    with pytest.raises(InputError, match="must be XML without a document type"):
        read_voc(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding))
    with pytest.raises(InputError, match="without a document type"):
        read_voc(b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>')


EYES = "file,left_eye_x,left_eye_y,right_eye_x,right_eye_y"


def test_tables_hold_faces_by_file():
    text = f'\ufeff{EYES}\r\na.jpg,1,2,3,4\r\n"b, ""c"".jpg",5,6,7,8\r\n\r\na.jpg,9,10,11,12.5\r\n'
    got = read_points(text.encode())
    assert {name: [eyes_of(f) for f in faces] for name, faces in got.items()} == {
        "a.jpg": [[[1, 2], [3, 4]], [[9, 10], [11, 12.5]]],
        'b, "c".jpg': [[[5, 6], [7, 8]]],
    }
    (raw,) = read_points(EYES.encode() + b"\n\xff.jpg,1,2,3,4\n")
    assert raw == "\udcff.jpg"  # As os.fsdecode(b"\xff.jpg") has it.


def test_tables_may_hold_mouth_and_ears_in_any_order():
    ears = [f"{s}_ear{i}_{a}" for s in ("right", "left") for i in (3, 2, 1) for a in "yx"]
    header = f"mouth_y,mouth_x,{EYES}," + ",".join(ears)
    right, left = "30,100,5,92,25,75", "25,45,5,28,30,20"
    rows = [f"75,60,a,40,50,80,50,{right},{left}", f",,b,40,50,80,50,{right}, ,,,,,"]
    got = read_points("\n".join([header, *rows]).encode())
    for mine, cats in zip(got["a"][0], read_cat(UPRIGHT), strict=True):
        np.testing.assert_array_equal(mine, cats)
    (b,) = got["b"]
    assert b.mouth is None and b.left_ear is None and b.right_ear is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "columns must be file, left_eye_x.*'file' is there 0 times"),
        (EYES.replace("file", "name"), "'name' is there 1 times"),
        (EYES.removesuffix(",right_eye_y"), "'right_eye_y' is there 0 times"),
        (EYES + ",mouth_x", "'mouth_y' is there 0 times"),
        (EYES + ",moth_x", "'moth_x' is there 1 times"),
        (EYES + ",file", "'file' is there 2 times"),
        (EYES + ",left_ear1_x,left_ear1_y", "'left_ear2_x' is there 0 times"),
        (EYES + "\na,1,2,3", "have 5 cells, line 2 has 4"),
        (EYES + "\na,1,2,3,4\n,1,2,3,4", "must name a file and have 5 cells, line 3 has 5"),
        (EYES + "\na,1,2,,", "must give both eyes, line 2 does not"),
        (EYES + "\na,1,2,3,", "line 2 has ''"),
        (EYES + "\na,1,2,3,nan", "line 2 has 'nan'"),
        (EYES + "\na,1,2,3,0x1", "line 2 has '0x1'"),
        (EYES + ",mouth_x,mouth_y\na,1,2,3,4,5,", "line 2 has ''"),
        (EYES + "\n" + "a" * 200_000 + ",1,2,3,4", "must be a CSV table: field larger.*, line"),
    ],
)
def test_other_tables_are_refused(text, told):
    with pytest.raises(InputError, match=told):
        read_points(text.encode())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([read_cat, read_voc, read_points]))
def test_any_bytes_are_read_or_refused(data, read):
    for start in (b"", b"9 ", b"<a>", b"<a><object><name>eye</name>", EYES.encode() + b"\n"):
        with contextlib.suppress(InputError):
            read(start + data)


def test_workers_need_no_jax():
    code = "import sys, jaxgan.data.faces.align; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_pictures_of_one_file_become_several_crops():
    picture = noise()
    file = io.BytesIO()
    things = [("face", 10, 10, 70, 80), ("face", 90, 10, 150, 80)]
    eyes = [("eye", x - 4, 36, x + 4, 44) for x in (30, 50, 110, 130)]
    file.write(boxes(*things, *eyes))
    first, second = (aligned(picture, f, "reject") for f in read_voc(file.getvalue()))
    assert first.shape == second.shape == (45, 45, 3)  # 20 * 2.24 = 44.8
    rolled = np.roll(picture, -80, axis=1)
    np.testing.assert_array_equal(second, aligned(rolled, read_voc(boxes(*eyes[:2]))[0], "reject"))
