"""The built-in pictures: portraits of cats and dogs, drawn from a seed at any resolution.

One recipe draws both animals, from the same coats, eyes, scenes, light and cameras. A `Kind` says
how far, and how often, a cat's face differs from a dog's. Neither colours nor ears alone give the
animal away (some cats have folded ones, some dogs pricked ones): a classifier has to put together
ears, eyes, muzzle, nose and whiskers, which takes it more than a hundred pictures.

Shapes are signed distances on a grid, negative inside, after Inigo Quilez, "2D distance functions":
antialiasing, outlines, soft shadows and relief all follow from one array, at every resolution.
Top down: the source, the animals, the scene, the animal's parts, the camera, the brushes.
"""

from collections.abc import Sequence
from math import cos, hypot, sin
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from jaxgan.types import InputError

Rng = np.random.Generator
Point = tuple[float, float]


class ToySource:
    """A source (see `folder.Source`) of cats and dogs, drawn when read; safe to read in threads.

    Picture `i` of a class depends on (seed, class, i) alone: not on `count`, the other classes or
    the order of reading; and it is the same scene at every resolution.

    Args:
        resolution: side of the pictures in pixels, >= 8.
        count: pictures of each class, >= 1.
        classes: which animals, in the order of their labels.
        seed: >= 0; another seed, other animals.

    Raises:
        InputError: an unknown or repeated class, or a number out of its range.
    """

    def __init__(
        self,
        resolution: int,
        *,
        count: int = 1000,
        classes: Sequence[str] = ("cat", "dog"),
        seed: int = 0,
    ):
        for kind in classes:
            check(kind, resolution)
        if not classes or len(set(classes)) < len(classes):
            raise InputError(f"toy classes must be one or more, each once, got {list(classes)}")
        if count < 1:
            raise InputError(f"count, the toy pictures of a class, must be >= 1, got {count}")
        if seed < 0:
            raise InputError(f"seed of the toy pictures must be >= 0, got {seed}")
        self.resolution, self.count, self.seed = resolution, count, seed
        self.classes = tuple(classes)
        self.labels = np.repeat(np.arange(len(classes), dtype=np.int32), count)
        self.names = tuple(f"toy/{kind}/{i:06d}" for kind in classes for i in range(count))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> dict:
        i = range(len(self))[i]  # Negative indices, and IndexError past the end.
        kind = self.classes[self.labels[i]]
        rng = np.random.default_rng([self.seed, list(KINDS).index(kind), i % self.count])
        return {"image": draw(kind, rng, self.resolution), "label": self.labels[i]}


def draw(kind: str, rng: Rng, resolution: int) -> np.ndarray:
    """One portrait, uint8 [resolution, resolution, 3] in [0, 255].

    Args:
        kind: "cat" or "dog".
        rng: where every choice comes from; the same state draws the same scene at each resolution.
        resolution: side in pixels, >= 8.

    Raises:
        InputError: an unknown kind or a resolution below 8.
    """
    check(kind, resolution)
    oversample = max(1, -(-64 // resolution))
    picture = blank(resolution * oversample)
    animal = sample_animal(KINDS[kind], rng)
    paint_background(picture, animal.light, rng)
    paint_body(picture, animal, rng)
    paint_head(picture, animal, rng)
    if rng.random() < 0.1:
        paint_obstacle(picture, rng)
    return photograph(picture, oversample, rng)


def check(kind: str, resolution: int) -> None:
    if kind not in KINDS:
        raise InputError(f"toy classes must be among {', '.join(KINDS)}, got {kind!r}")
    if resolution < 8:
        raise InputError(f"resolution of the toy pictures must be >= 8, got {resolution}")


# The animals.


class Kind(NamedTuple):
    """What makes a cat a cat: chances, and (mean, standard deviation) of traits in head radii."""

    ears: dict[str, float]
    muzzle: Point  # 0: flat as a Persian cat's, 1: long as a collie's.
    width: Point  # of the head
    eye: Point
    slant: Point  # of the eyes in radians, positive: outer corners up
    pupil: Point  # width over height
    nose: Point
    whiskers: Point  # opacity
    tongue: float


KINDS = {
    "cat": Kind(
        ears={"pointed": 0.84, "folded": 0.08, "half": 0.06, "floppy": 0.02},
        muzzle=(0.12, 0.1),
        width=(1.05, 0.05),
        eye=(0.29, 0.03),
        slant=(0.25, 0.12),
        pupil=(0.5, 0.25),
        nose=(0.1, 0.02),
        whiskers=(0.8, 0.2),
        tongue=0.15,
    ),
    "dog": Kind(
        ears={"pointed": 0.15, "folded": 0.1, "half": 0.15, "floppy": 0.6},
        muzzle=(0.8, 0.14),
        width=(0.9, 0.06),
        eye=(0.19, 0.03),
        slant=(0.0, 0.12),
        pupil=(0.95, 0.12),
        nose=(0.235, 0.03),
        whiskers=(0.2, 0.2),
        tongue=0.4,
    ),
}

FURS = "2b2725 3d3a3a 5d5f64 8a8b90 b9b7b2 efe9df e6d3b1 d9ab6c c98242 a85a2b 7a4a2b 4d3223"
IRISES = "7fb04f b7c24a d9a53a b5692b 6b3f22 4a2c1b 6fb1d6 4f9a8a"
NOSES = "e3989a d27f83 8c4a44 3a2b2a 1f1b1c 1f1b1c"
SCENES = (
    "7fb2d9 a9d0e8 f2d7b0 e9b9a0 c9d8a8 86ad72 4f7d55 d8c9e6 a893c4 f4efe6 8fa3ad 5a6470 b8845f "
    "7a5540 f0c75e d97b66"
)


class Animal(NamedTuple):
    """One sitter: its traits, its colours ([3, 1, 1] each), its pose and the light on it."""

    ears: str
    muzzle: float
    width: float
    eye: float
    slant: float
    pupil: float
    nose: float
    whiskers: float
    tongue: bool
    fur: np.ndarray
    markings: np.ndarray
    pale: np.ndarray
    iris: np.ndarray
    nose_colour: np.ndarray
    light: Point  # where it comes from
    centre: Point  # of the head, in the picture's coordinates
    scale: float  # radius of the head, half the picture's side being 1
    tilt: float  # radians, this and the next two
    turn: float
    nod: float

    def place(self, x: float, y: float, z: float) -> Point:
        """Where a point of the turned and nodding head is seen; z is towards the viewer."""
        return x * cos(self.turn) + z * sin(self.turn), y * cos(self.nod) + z * sin(self.nod)


def sample_animal(kind: Kind, rng: Rng) -> Animal:
    def near(mean: float, std: float, low: float, high: float) -> float:
        return min(high, max(low, rng.normal(mean, std)))

    ears, chances = list(kind.ears), np.cumsum(list(kind.ears.values()))
    fur, markings = pick(rng, FURS), pick(rng, FURS)
    if abs(fur - markings).sum() < 0.5:  # Too much alike to be seen.
        markings = fur * 0.45 if fur.mean() > 0.4 else fur + 0.35
    return Animal(
        ears=ears[np.searchsorted(chances, rng.random() * chances[-1])],
        muzzle=near(*kind.muzzle, 0, 1),
        width=near(*kind.width, 0.8, 1.15),
        eye=near(*kind.eye, 0.15, 0.34),
        slant=near(*kind.slant, -0.3, 0.5),
        pupil=near(*kind.pupil, 0.16, 1),
        nose=near(*kind.nose, 0.08, 0.28),
        whiskers=near(*kind.whiskers, 0, 1),
        tongue=rng.random() < kind.tongue,
        fur=fur,
        markings=markings,
        pale=fur + (WHITE - fur) * rng.uniform(0.1, 1),
        iris=pick(rng, IRISES),
        nose_colour=pick(rng, NOSES),
        light=(rng.uniform(-1, 1), rng.uniform(-1, -0.2)),
        centre=(rng.normal(0, 0.12), rng.normal(0.06, 0.09)),
        scale=rng.uniform(0.5, 0.7),
        tilt=near(0, 0.16, -0.5, 0.5),
        turn=near(0, 0.22, -0.5, 0.5),
        nod=near(0.02, 0.1, -0.2, 0.25),
    )


# The scene.


def paint_background(picture: "Canvas", light: Point, rng: Rng) -> None:
    x, y, rgb = picture[:3]
    top, bottom, third = (pick(rng, SCENES) for _ in range(3))
    lean = rng.uniform(-0.8, 0.8)
    rgb[...] = top + (bottom - top) * ramp(y + lean * x, -1.1, 1.1)
    scene = rng.integers(5)
    if scene == 0:  # Lights out of focus.
        for _ in range(rng.integers(5, 14)):
            spot, radius = (rng.uniform(-1, 1), rng.uniform(-1, 1)), rng.uniform(0.06, 0.26)
            part = around(picture, spot, radius + 0.05)
            shape = ellipse(part, spot, radius, radius)
            paint(part, shape, pick(rng, SCENES) * 0.5 + 0.5, rng.uniform(0.15, 0.6), 0.05)
    elif scene == 1:  # A meadow, or a bed.
        horizon = rng.uniform(-0.3, 0.5)
        paint(picture, horizon - y + 0.08 * np.sin(3 * x + 9 * lean), third, 0.9, 0.15)
        blades = noise(rng, 14 * x + 3 * y, 3 * y) * ramp(y, horizon - 0.1, horizon + 0.3)
        rgb *= 1 + 0.16 * blades
    elif scene == 2:  # A window, and the room beside it.
        middle, sill = rng.uniform(-0.6, 0.7), rng.uniform(-0.1, 0.7)
        pane = np.maximum(abs(x - middle) - 0.5, y - sill)
        paint(picture, pane, pick(rng, SCENES) * 0.4 + 0.6, 0.9, 0.05)
        bars = np.minimum(abs(x - middle), abs(y - sill + 0.7)) - 0.03
        paint(picture, np.maximum(bars, pane), third, 0.9, 0.04)
        paint(picture, rng.uniform(0.6, 0.9) - y, third, 0.8, 0.05)
    elif scene == 3:  # Leaves, or a crumpled cloth.
        rough = rng.uniform(1.5, 5)
        rgb += 0.7 * ramp(noise(rng, rough * x + lean * y, rough * y), -0.9, 0.9) * (third - rgb)
    else:  # Wallpaper, or a striped blanket.
        wave = np.sin(rng.uniform(5, 16) * (x * cos(2 * lean) + y * sin(2 * lean)))
        rgb += rng.uniform(0.15, 0.5) * ramp(wave, -0.4, 0.4) * (third - rgb)
    rgb *= 1 + 0.18 * (x * light[0] + y * light[1])


def paint_obstacle(picture: "Canvas", rng: Rng) -> None:
    """Something near the lens and out of focus: a stalk, a finger, the edge of a bowl."""
    side = 1 if rng.random() < 0.5 else -1
    foot = side * rng.uniform(0.3, 1.1), 1.2
    tip = side * rng.uniform(0.3, 1.2), rng.uniform(-0.6, 0.7)
    width = rng.uniform(0.03, 0.14)
    shape = drop(picture, foot, tip, width, width * rng.uniform(0.3, 1.2))
    paint(picture, shape, pick(rng, SCENES) * 0.9, 0.95, 0.08)


# The animal, from back to front.


def paint_body(picture: "Canvas", animal: Animal, rng: Rng) -> None:
    lean = rng.uniform(-0.5, 0.5)
    canvas = posed(picture, animal.centre, animal.scale, 0)
    body = drop(canvas, (lean, 1.2), (lean, 3), 0.75, 1.25)
    shade = relief(canvas, body, animal.light, 0.6) * (0.7 + 0.25 * ramp(canvas.y, 0.6, 1.6))
    paint(canvas, body, (animal.fur if rng.random() < 0.6 else animal.markings) * shade)
    if rng.random() < 0.4:
        bib = ellipse(canvas, (lean, 1.75), 0.5, 0.8)
        paint(canvas, np.maximum(bib, body), animal.pale * shade, 0.9, 0.15)
    if rng.random() < 0.35:
        collar = arc(canvas, (lean - 0.9, 0.9), (lean + 0.9, 0.9), 0.3, 0.1)
        paint(canvas, np.maximum(collar, body - 0.03), pick(rng, SCENES) * shade)
        paint(canvas, ellipse(canvas, (lean, 1.35), 0.12, 0.13), colour("f2c14e"))


def paint_head(picture: "Canvas", animal: Animal, rng: Rng) -> None:
    head = around(posed(picture, animal.centre, animal.scale, animal.tilt), (0, 0), 1.9)
    strands = sample_strands(head, rng)
    head = head._replace(fur=sample_coat(head, animal, rng) * (1 + 0.13 * strands))
    ears_in_front = animal.ears in ("folded", "floppy")
    if not ears_in_front:
        paint_ears(head, animal, rng)
    m, width = animal.muzzle, animal.width
    skull = ellipse(head, animal.place(0, -0.08, 0), width, 0.86)
    cheeks = ellipse(head, animal.place(0, 0.32, 0.1), width * (0.95 - 0.3 * m), 0.5 + 0.3 * m)
    face = union(skull, cheeks, 0.25)
    outline = face + 0.03 * strands
    paint(head, outline - 0.03, head.fur * 0.35, 0.35, 0.16)
    paint(head, outline, head.fur * relief(head, face, animal.light, 0.75))
    if ears_in_front:
        paint_ears(head, animal, rng)
    asleep = rng.random() < 0.06
    for side in (-1, 1):
        paint_eye(head, animal, side, asleep)
    paint_muzzle(head, animal, rng)


def sample_strands(head: "Canvas", rng: Rng) -> np.ndarray:
    """Noise drawn out along the fur, which grows away from the nose: [h, w], about [-1, 1]."""
    radius = np.hypot(head.x, head.y - 0.25)
    angle = np.arctan2(head.x, 0.25 - head.y)  # The seam is below the chin, out of sight.
    return noise(rng, 18 * angle, 5 * radius) * np.minimum(radius, 1)


def sample_coat(head: "Canvas", animal: Animal, rng: Rng) -> np.ndarray:
    """The colours of the fur, [3, h, w]: plain, or with up to three markings."""
    fur, markings, pale = animal.fur, animal.markings, animal.pale
    x, y = head.x - animal.place(0, 0, 0.9)[0], head.y
    kind = rng.integers(6)
    if kind == 0:  # Tabby or brindle: stripes that run outwards from the nose.
        radius, angle = np.hypot(head.x, y - 0.25), np.arctan2(head.x, 0.25 - y)
        waves = np.cos(float(rng.integers(9, 15)) * angle + np.sin(4 * radius))
        amount = ramp(waves, 0, 0.7) * ramp(radius, 0.45, 0.8) * rng.uniform(0.4, 0.9)
    elif kind == 1:  # Patches.
        size = rng.uniform(0.9, 1.8)
        amount = ramp(noise(rng, size * x, size * y), 0, 0.15)
    elif kind == 2:  # A mask around the nose.
        amount = 1 - ramp(np.hypot(x / rng.uniform(0.5, 0.9), y - 0.3), 0.5, 0.95)
    elif kind == 3:  # A cap down to the eyes.
        amount = 1 - ramp(y + rng.uniform(-0.4, 0.1) - rng.uniform(0.2, 0.9) * abs(x), -0.15, 0.15)
    elif kind == 4:  # Spots over the eyes.
        amount = 1 - ramp(np.hypot(abs(x) - 0.36, y + 0.42), 0.1, 0.2)
    else:
        amount = np.zeros_like(x)
    fur = fur + amount * (markings - fur)
    if rng.random() < 0.4:  # A blaze.
        stripe = abs(x) - rng.uniform(0.03, 0.14) - 0.22 * ramp(y, -0.2, 0.6)
        fur = fur + (1 - ramp(stripe, -0.04, 0.08)) * (pale - fur)
    if rng.random() < 0.6:  # Pale cheeks and chin.
        fur = fur + (0.9 - 0.9 * ramp(np.hypot(0.75 * x, y - 0.75), 0.4, 0.75)) * (pale - fur)
    return fur


def paint_ears(head: "Canvas", animal: Animal, rng: Rng) -> None:
    light, place = animal.light, animal.place
    height, spread = rng.uniform(0.85, 1.15), rng.uniform(-0.08, 0.08)
    skin = colour("dd9a93") * rng.uniform(0.7, 1.05)
    shade = 1.0 if rng.random() < 0.5 else 0.55
    odd = rng.random() < 0.12  # One ear does as it likes.
    for side in (-1, 1):
        ears = "half" if odd and side == 1 else animal.ears
        out = side * (animal.width + spread)
        root = place(0.6 * out, -0.6, 0)
        canvas = around(head, (root[0], root[1] + 0.2), 1.5 if ears == "floppy" else 1.15)
        fur = canvas.fur * shade
        if ears in ("pointed", "half"):
            tip = place((0.72 if ears == "pointed" else 1.05) * out, -0.55 - 0.85 * height, -0.1)
            ear = lens(canvas, (2 * root[0] - tip[0], 2 * root[1] - tip[1] + 0.25), tip, 0.36)
            paint(canvas, ear, fur * relief(canvas, ear, light, 0.4))
            paint(canvas, ear + 0.12, skin, 0.85, 0.08)
            if ears == "half":
                crease = tip[0] - 0.1 * side, tip[1] + 0.18
                flap = drop(canvas, crease, (tip[0] + 0.05 * side, tip[1] + 0.5), 0.18, 0.07)
                paint(canvas, flap - 0.02, BLACK, 0.25, 0.1)
                paint(canvas, flap, fur * 0.9 * relief(canvas, flap, light, 0.2))
            continue
        if ears == "folded":
            tip = place(0.82 * out, -0.42, 0.35)
            start, end = (
                (root[0] - 0.45 * side, root[1] - 0.28),
                (tip[0] + 0.12 * side, tip[1] + 0.14),
            )
            ear = lens(canvas, start, end, 0.22 * height)
        else:
            tip = place(1.05 * out, -0.4 + 0.85 * height, 0.1)
            ear = drop(canvas, (root[0] + 0.1 * side, root[1] + 0.05), tip, 0.17, 0.27)
        paint(canvas, ear - 0.02, BLACK, 0.3, 0.14)
        paint(canvas, ear, fur * relief(canvas, ear, light, 0.3))


def paint_eye(head: "Canvas", animal: Animal, side: int, asleep: bool) -> None:
    x, y = animal.place(side * 0.42 * animal.width, -0.08, 0.8)
    size = animal.eye
    canvas = around(head, (x, y), 1.5 * size)
    wide = size * min(1.1, max(0.5, cos(animal.turn + 0.4 * side) / cos(0.4)))
    dx, dy = 1.25 * wide * cos(animal.slant), -1.25 * wide * sin(animal.slant)
    inner, outer = (x - side * dx, y - dy), (x + side * dx, y + dy)
    if asleep:
        paint(canvas, arc(canvas, inner, outer, -0.6 * side * size, 0.05), BLACK, 0.95)
        return
    eye = np.maximum(
        lens(canvas, inner, outer, 0.95 * size), ellipse(canvas, (x, y), 1.1 * wide, size)
    )
    paint(canvas, eye - 0.04, BLACK, 0.85, 0.03)
    paint(canvas, eye, animal.iris * (0.75 + 0.5 / size * (canvas.y - y)))
    pupil = ellipse(canvas, (x, y), 0.78 * wide * animal.pupil, 0.8 * size)
    paint(canvas, np.maximum(pupil, eye), BLACK)
    glint = 0.3 * size if animal.light[0] > 0 else -0.3 * size
    paint(canvas, ellipse(canvas, (x + glint, y - 0.35 * size), 0.24 * size, 0.24 * size), WHITE)
    paint(
        canvas, ellipse(canvas, (x - glint, y + 0.4 * size), 0.12 * size, 0.12 * size), WHITE, 0.6
    )


def paint_muzzle(head: "Canvas", animal: Animal, rng: Rng) -> None:
    m, w, light = animal.muzzle, animal.nose, animal.light
    x, y = animal.place(0, 0.36 + 0.06 * m, 0.95 + 0.35 * m)
    lip = 0.2 + 0.26 * m  # Below the nose, as all that follows.
    canvas = around(head, (x, y), 0.9)
    brow = animal.place(0, -0.1, 0.9)
    bridge = drop(canvas, brow, (x, y), 0.1 + 0.1 * m, 0.14 + 0.2 * m)
    canvas = mirrored(canvas, (x, y))
    pad = 0.24 + 0.13 * m
    pads = ellipse(canvas, (0.19 + 0.03 * m, 0.14 + 0.1 * m), pad, pad * (0.8 + 0.35 * m))
    muzzle = union(pads, bridge, 0.15)

    chin = ellipse(canvas, (0, 0.36 + 0.3 * m), 0.2 + 0.1 * m, 0.16)
    paint(canvas, chin, canvas.fur * relief(canvas, chin, light, 0.2) * 0.9)
    length = rng.uniform(0.15, 0.4)
    if animal.tongue:
        tongue = drop(canvas, (0, lip), (0, lip + length), 0.13, 0.12)
        paint(canvas, tongue - 0.04, BLACK, 0.6)
        paint(canvas, tongue, colour("e2727c") * relief(canvas, tongue, light, 0.15))
        paint(canvas, arc(canvas, (0, lip), (0, lip + length), 0, 0.01), colour("b04a58"), 0.6)
    fur = canvas.fur if rng.random() < 0.5 else (canvas.fur + animal.pale) / 2
    paint(canvas, muzzle - 0.03, canvas.fur * 0.3, 0.25 + 0.3 * m, 0.14)
    paint(canvas, muzzle, fur * relief(canvas, muzzle, light, 0.2 + 0.15 * m), 1, 0.06)

    smile = arc(canvas, (0, lip - 0.02), (0.26 + 0.12 * m, lip + 0.02), 0.08 + 0.05 * m, 0.018)
    cleft = arc(canvas, (0, 0), (0, lip - 0.02), 0, 0.016)
    paint(canvas, np.minimum(smile, cleft), BLACK, 0.8)
    nose = ellipse(canvas, (0, -0.02), 1.1 * w, 0.7 * w)
    nose = union(nose, ellipse(canvas, (0, 0.35 * w), 0.55 * w, 0.6 * w), 0.08)
    paint(canvas, nose - 0.02, BLACK, 0.4, 0.04)
    paint(canvas, nose, animal.nose_colour * relief(canvas, nose, light, 0.1))
    paint(canvas, ellipse(canvas, (0, -0.3 * w), 0.35 * w, 0.16 * w), WHITE, 0.5, 0.02)

    canvas = mirrored(head, (x, y))
    ends = rng.uniform(0.85, 1.2, 3).tolist(), rng.normal((-0.08, 0.12, 0.32), 0.05).tolist()
    hairs = [
        arc(canvas, (0.22, 0.12 + 0.07 * k), end, 0.08, 0.01)
        for k, end in enumerate(zip(*ends, strict=True))
    ]
    hair = WHITE if rng.random() < 0.75 else BLACK
    paint(canvas, np.minimum(np.minimum(*hairs[:2]), hairs[2]), hair, animal.whiskers)


# The camera.


def photograph(picture: "Canvas", oversample: int, rng: Rng) -> np.ndarray:
    """Exposure, white balance, vignette, focus and grain: uint8 [r, r, 3]."""
    x, y, rgb = picture[:3]
    balance = rng.normal(1, 0.05, (3, 1, 1)).astype(np.float32) * rng.uniform(0.8, 1.15)
    gamma, vignette = rng.uniform(0.75, 1.35), rng.uniform(0, 0.2)
    rgb = np.maximum(rgb, 0) ** gamma * balance * (1 - vignette * (x * x + y * y))
    size = len(x) // oversample
    rgb = rgb.reshape(3, size, oversample, size, oversample).mean((2, 4))
    blur, grain = rng.uniform(0.003, 0.01), rng.uniform(0, 0.02)
    if rng.random() < 0.2:
        photo = Image.fromarray(to_bytes(rgb)).filter(ImageFilter.GaussianBlur(blur * size))
        rgb = np.asarray(photo, np.float32).transpose(2, 0, 1) / 255
    return to_bytes(rgb + grain * rng.standard_normal(rgb.shape, np.float32))


def to_bytes(rgb: np.ndarray) -> np.ndarray:
    """[3, h, w] in [0, 1] to uint8 [h, w, 3]."""
    return np.ascontiguousarray((unit(rgb) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0))


# The brushes.


class Canvas(NamedTuple):
    """Pixels, painted in place, and a grid of coordinates over them, in any unit and pose."""

    x: np.ndarray  # [h, w], to the right
    y: np.ndarray  # [h, w], down
    rgb: np.ndarray  # [3, h, w], about [0, 1]
    pixel: float  # side of a pixel, in the unit of x and y
    fur: np.ndarray  # [3, h, w]: what the coat looks like here, once there is one


def blank(size: int) -> Canvas:
    """The whole picture: x and y in [-1, 1]."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1
    x, y = np.meshgrid(axis, axis)
    rgb, fur = np.zeros((2, 3, size, size), np.float32)
    return Canvas(x, y, rgb, 2 / size, fur)


def posed(canvas: Canvas, centre: Point, scale: float, tilt: float) -> Canvas:
    """The same pixels in the coordinates of a head: its centre 0, its radius 1, its chin down."""
    x, y = (canvas.x - centre[0]) / scale, (canvas.y - centre[1]) / scale
    c, s = cos(tilt), sin(tilt)
    return canvas._replace(x=c * x + s * y, y=c * y - s * x, pixel=canvas.pixel / scale)


def mirrored(canvas: Canvas, centre: Point) -> Canvas:
    """The same pixels seen from a point, left folded onto right: one shape is painted on both."""
    return canvas._replace(x=abs(canvas.x - centre[0]), y=canvas.y - centre[1])


def around(canvas: Canvas, centre: Point, radius: float) -> Canvas:
    """The part of a canvas within a radius, for small things: a view, painted through."""
    near = np.hypot(canvas.x - centre[0], canvas.y - centre[1]) < radius + canvas.pixel
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    if not len(rows):  # Outside the picture: any pixel will do.
        rows = columns = [0]
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    rgb, fur = canvas.rgb[:, *part], canvas.fur[:, *part]
    return Canvas(canvas.x[part], canvas.y[part], rgb, canvas.pixel, fur)


def along(canvas: Canvas, start: Point, end: Point) -> tuple[np.ndarray, np.ndarray, float]:
    """Coordinates along a line from its middle and across it, and half its length."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = hypot(dx, dy)
    dx, dy = dx / length, dy / length
    x, y = canvas.x - (start[0] + end[0]) / 2, canvas.y - (start[1] + end[1]) / 2
    return x * dx + y * dy, y * dx - x * dy, length / 2


def ellipse(canvas: Canvas, centre: Point, rx: float, ry: float) -> np.ndarray:
    return (np.hypot((canvas.x - centre[0]) / rx, (canvas.y - centre[1]) / ry) - 1) * min(rx, ry)


def lens(canvas: Canvas, start: Point, end: Point, width: float) -> np.ndarray:
    """Pointed at both ends and `width` to either side of the middle: an ear, an almond eye."""
    s, t, half = along(canvas, start, end)
    radius = (half * half + width * width) / (2 * width)
    return np.hypot(s, abs(t) + (radius - width)) - radius


def drop(canvas: Canvas, start: Point, end: Point, r0: float, r1: float) -> np.ndarray:
    """A stroke with round ends, whose radius goes from r0 to r1."""
    s, t, half = along(canvas, start, end)
    h = unit((s / half + 1) / 2)
    return np.hypot(s - (2 * h - 1) * half, t) - (r0 + (r1 - r0) * h)


def arc(canvas: Canvas, start: Point, end: Point, bend: float, width: float) -> np.ndarray:
    """A line bent like a parabola, which leaves the straight one by `bend` in the middle."""
    s, t, half = along(canvas, start, end)
    t = t - bend * (1 - (s / half) ** 2)
    return np.hypot(np.maximum(abs(s) - half, 0), t) - width


def union(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Both shapes, melted together over a distance (Quilez's quadratic smooth minimum)."""
    h = np.maximum(blend - abs(a - b), 0)
    return np.minimum(a, b) - h * h / (4 * blend)


def paint(
    canvas: Canvas, shape: np.ndarray, ink: np.ndarray, opacity: float = 1, soft: float = 0
) -> None:
    """Lay a colour [3, 1, 1] or [3, h, w] over the inside of a shape, its edge `soft` wide."""
    cover = unit(0.5 - shape / (canvas.pixel + soft)) * opacity
    canvas.rgb[...] += cover * (ink - canvas.rgb)


def relief(canvas: Canvas, shape: np.ndarray, light: Point, depth: float) -> np.ndarray:
    """Brightness, about 1, of a cushion of that outline, rounded off within `depth` of its edge."""
    slope = np.zeros_like(shape)
    slope[:, 1:] = (shape[:, 1:] - shape[:, :-1]) * (light[0] / canvas.pixel)
    slope[1:] += (shape[1:] - shape[:-1]) * (light[1] / canvas.pixel)
    edge = unit(1 + shape / depth)
    return 1 + edge * edge * (0.3 * np.minimum(np.maximum(slope, -1), 1) - 0.1)


def noise(rng: Rng, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Smooth noise of unit cells in (u, v), in [-1, 1], repeating after 32."""
    table = rng.random((33, 33), np.float32) * 2 - 1
    table[-1], table[:, -1] = table[0], table[:, 0]
    table = table.ravel()
    i, j = np.floor(u), np.floor(v)
    a, b = ramp(u - i, 0, 1), ramp(v - j, 0, 1)
    corner = (i % 32 * 33 + j % 32).astype(np.intp)
    here, right, below, diagonal = (table[corner + k] for k in (0, 1, 33, 34))
    upper = here + b * (right - here)
    return upper + a * (below + b * (diagonal - below) - upper)


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, smooth between."""
    t = unit((value - low) / (high - low))
    return t * t * (3 - 2 * t)


def unit(value: np.ndarray) -> np.ndarray:
    """Limited to [0, 1]; half the time of np.clip on small arrays."""
    return np.minimum(np.maximum(value, 0), 1)


def colour(code: str) -> np.ndarray:
    """[3, 1, 1] in [0, 1]."""
    return np.array(tuple(bytes.fromhex(code)), np.float32)[:, None, None] / 255


def pick(rng: Rng, colours: str) -> np.ndarray:
    """One of the colours, a little brighter or darker and a very little off its hue."""
    codes = colours.split()
    brightness, hue = rng.normal(1, 0.12), rng.normal(1, 0.04, (3, 1, 1)).astype(np.float32)
    return np.clip(colour(codes[rng.integers(len(codes))]) * hue * brightness, 0.05, 1)


BLACK, WHITE = colour("1a1516"), colour("fffdf8")
