"""The built-in pictures: portraits of cats and dogs, drawn from a seed at any resolution.

One recipe draws both animals, from the same coats, eyes, scenes, light and cameras. `EARS`,
`TONGUE` and `TRAITS` say how often, and how far, a cat's face differs from a dog's. Neither colours
nor ears alone give the animal away (some cats have folded ones, some dogs pricked ones): a
classifier has to put together ears, eyes, muzzle, nose and whiskers, which takes it more than a
hundred pictures.

Top down: the source, the animals, the scene, the animal's parts, the camera.
"""

from collections.abc import Sequence
from math import cos, sin
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from jaxgan.data.dataset import Dataset
from jaxgan.data.toy.drawing import (
    BLACK,
    WHITE,
    Canvas,
    Point,
    Rng,
    arc,
    around,
    blank,
    colours,
    drop,
    ellipse,
    lens,
    mirrored,
    mix,
    noise,
    paint,
    pick,
    posed,
    ramp,
    relief,
    union,
    unit,
)
from jaxgan.errors import InputError


def read(
    resolution: int,
    *,
    count: int = 1000,
    classes: Sequence[str] = ("cat", "dog"),
    seed: int = 0,
) -> Dataset:
    """Return cats and dogs that are drawn when they are read; safe to read in threads.

    Image `i` of a class depends on (seed, class, i) alone: not on `count`, the other classes or
    the order of reading; and it is the same scene at every resolution.

    Args:
        resolution: side of the images in pixels, >= 8.
        count: images of each class, >= 1.
        classes: which animals, in the order of their labels.
        seed: >= 0; another seed, other animals.

    Raises:
        InputError: an unknown or repeated class, or a number out of its range.
    """
    for kind in classes:
        check(kind, resolution)
    if not classes or len(set(classes)) < len(classes):
        raise InputError(f"toy classes must be one or more, each once, got {list(classes)}")
    if count < 1:
        raise InputError(f"count, the toy pictures of a class, must be >= 1, got {count}")
    if seed < 0:
        raise InputError(f"seed of the toy pictures must be >= 0, got {seed}")

    def load(index: int) -> np.ndarray:
        kind, number = classes[index // count], index % count
        rng = np.random.default_rng([seed, KINDS.index(kind), number])
        return draw(kind, rng, resolution)

    labels = np.repeat(np.arange(len(classes), dtype=np.int32), count)
    names = tuple(f"toy/{kind}/{i:06d}" for kind in classes for i in range(count))
    return Dataset(tuple(classes), labels, names, resolution, load=load)


ToySource = read


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
    animal = sample_animal(kind, rng)
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


KINDS = "cat", "dog"
EARS = {  # Chances for a cat and for a dog, as TONGUE.
    "pointed": (0.84, 0.15),
    "folded": (0.08, 0.1),
    "half": (0.06, 0.15),
    "floppy": (0.02, 0.6),
}
TONGUE = 0.15, 0.4
TRAITS = {  # (mean, standard deviation) of a cat's and of a dog's, and the limits of both.
    "muzzle": ((0.12, 0.1), (0.8, 0.14), (0, 1)),
    "width": ((1.05, 0.05), (0.9, 0.06), (0.8, 1.15)),
    "eye": ((0.29, 0.03), (0.19, 0.03), (0.15, 0.34)),
    "slant": ((0.25, 0.12), (0, 0.12), (-0.3, 0.5)),
    "pupil": ((0.5, 0.25), (0.95, 0.12), (0.16, 1)),
    "nose": ((0.1, 0.02), (0.235, 0.03), (0.08, 0.28)),
    "whiskers": ((0.8, 0.2), (0.2, 0.2), (0, 1)),
}

FURS = colours(
    "2b2725 3d3a3a 5d5f64 8a8b90 b9b7b2 efe9df e6d3b1 d9ab6c c98242 a85a2b 7a4a2b 4d3223"
)
IRISES = colours("7fb04f b7c24a d9a53a b5692b 6b3f22 4a2c1b 6fb1d6 4f9a8a")
NOSES = colours("e3989a d27f83 8c4a44 3a2b2a 1f1b1c 1f1b1c")
SCENES = colours(
    "7fb2d9 a9d0e8 f2d7b0 e9b9a0 c9d8a8 86ad72 4f7d55 d8c9e6 a893c4 f4efe6 8fa3ad 5a6470 b8845f "
    "7a5540 f0c75e d97b66"
)
BRASS, SKIN, PINK, RED = colours("f2c14e dd9a93 e2727c b04a58")


class Animal(NamedTuple):
    """One sitter: traits in head radii, colours ([3, 1, 1] each), pose and the light on it."""

    ears: str
    muzzle: float  # 0: flat as a Persian cat's, 1: long as a collie's
    width: float  # of the head
    eye: float
    slant: float  # of the eyes in radians, positive: outer corners up
    pupil: float  # width over height
    nose: float
    whiskers: float  # opacity
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


def sample_animal(kind: str, rng: Rng) -> Animal:
    def near(mean: float, std: float, low: float, high: float) -> float:
        return min(high, max(low, rng.normal(mean, std)))

    k = KINDS.index(kind)
    fur, markings = pick(rng, FURS), pick(rng, FURS)
    if abs(fur - markings).sum() < 0.5:  # Too much alike to be seen.
        markings = fur * 0.45 if fur.mean() > 0.4 else fur + 0.35
    return Animal(
        ears=rng.choice(list(EARS), p=[chances[k] for chances in EARS.values()]),
        **{name: near(*trait[k], *trait[-1]) for name, trait in TRAITS.items()},
        tongue=rng.random() < TONGUE[k],
        fur=fur,
        markings=markings,
        pale=mix(fur, WHITE, rng.uniform(0.1, 1)),
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


def paint_background(picture: Canvas, light: Point, rng: Rng) -> None:
    x, y, rgb = picture[:3]
    top, bottom, third = (pick(rng, SCENES) for _ in range(3))
    lean = rng.uniform(-0.8, 0.8)
    rgb[...] = mix(top, bottom, ramp(y + lean * x, -1.1, 1.1))
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
        folds = ramp(noise(rng, rough * x + lean * y, rough * y), -0.9, 0.9)
        rgb[...] = mix(rgb, third, 0.7 * folds)
    else:  # Wallpaper, or a striped blanket.
        wave = np.sin(rng.uniform(5, 16) * (x * cos(2 * lean) + y * sin(2 * lean)))
        rgb[...] = mix(rgb, third, rng.uniform(0.15, 0.5) * ramp(wave, -0.4, 0.4))
    rgb *= 1 + 0.18 * (x * light[0] + y * light[1])


def paint_obstacle(picture: Canvas, rng: Rng) -> None:
    """Something near the lens and out of focus: a stalk, a finger, the edge of a bowl."""
    side = 1 if rng.random() < 0.5 else -1
    foot = side * rng.uniform(0.3, 1.1), 1.2
    tip = side * rng.uniform(0.3, 1.2), rng.uniform(-0.6, 0.7)
    width = rng.uniform(0.03, 0.14)
    shape = drop(picture, foot, tip, width, width * rng.uniform(0.3, 1.2))
    paint(picture, shape, pick(rng, SCENES) * 0.9, 0.95, 0.08)


# The animal, from back to front.


def paint_body(picture: Canvas, animal: Animal, rng: Rng) -> None:
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
        paint(canvas, ellipse(canvas, (lean, 1.35), 0.12, 0.13), BRASS)


def paint_head(picture: Canvas, animal: Animal, rng: Rng) -> None:
    head = around(posed(picture, animal.centre, animal.scale, animal.tilt), (0, 0), 1.9)
    coat, strands = sample_coat(head, animal, rng)
    head = head._replace(fur=coat)
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


def sample_coat(head: Canvas, animal: Animal, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """The colours of the fur, [3, h, w], with up to three markings; its strands, about [-1, 1]."""
    # The fur grows away from the nose. The seam of the angle is below the chin, out of sight.
    radius, angle = np.hypot(head.x, head.y - 0.25), np.arctan2(head.x, 0.25 - head.y)
    strands = noise(rng, 18 * angle, 5 * radius) * np.minimum(radius, 1)
    fur, markings, pale = animal.fur, animal.markings, animal.pale
    x, y = head.x - animal.place(0, 0, 0.9)[0], head.y
    kind = rng.integers(6)
    if kind == 0:  # Tabby or brindle: stripes that run outwards from the nose.
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
        amount = 0
    fur = mix(fur, markings, amount)
    if rng.random() < 0.4:  # A blaze.
        stripe = abs(x) - rng.uniform(0.03, 0.14) - 0.22 * ramp(y, -0.2, 0.6)
        fur = mix(fur, pale, 1 - ramp(stripe, -0.04, 0.08))
    if rng.random() < 0.6:  # Pale cheeks and chin.
        fur = mix(fur, pale, 0.9 - 0.9 * ramp(np.hypot(0.75 * x, y - 0.75), 0.4, 0.75))
    return fur * (1 + 0.13 * strands), strands


def paint_ears(head: Canvas, animal: Animal, rng: Rng) -> None:
    light, place = animal.light, animal.place
    height, spread = rng.uniform(0.85, 1.15), rng.uniform(-0.08, 0.08)
    skin = SKIN * rng.uniform(0.7, 1.05)
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
            start = root[0] - 0.45 * side, root[1] - 0.28
            ear = lens(canvas, start, (tip[0] + 0.12 * side, tip[1] + 0.14), 0.22 * height)
        else:
            tip = place(1.05 * out, -0.4 + 0.85 * height, 0.1)
            ear = drop(canvas, (root[0] + 0.1 * side, root[1] + 0.05), tip, 0.17, 0.27)
        paint(canvas, ear - 0.02, BLACK, 0.3, 0.14)
        paint(canvas, ear, fur * relief(canvas, ear, light, 0.3))


def paint_eye(head: Canvas, animal: Animal, side: int, asleep: bool) -> None:
    x, y = animal.place(side * 0.42 * animal.width, -0.08, 0.8)
    size = animal.eye
    canvas = around(head, (x, y), 1.5 * size)
    wide = size * min(1.1, max(0.5, cos(animal.turn + 0.4 * side) / cos(0.4)))
    dx, dy = 1.25 * wide * cos(animal.slant), -1.25 * wide * sin(animal.slant)
    inner, outer = (x - side * dx, y - dy), (x + side * dx, y + dy)
    if asleep:
        paint(canvas, arc(canvas, inner, outer, -0.6 * side * size, 0.05), BLACK, 0.95)
        return
    almond = lens(canvas, inner, outer, 0.95 * size)
    eye = np.maximum(almond, ellipse(canvas, (x, y), 1.1 * wide, size))
    paint(canvas, eye - 0.04, BLACK, 0.85, 0.03)
    paint(canvas, eye, animal.iris * (0.75 + 0.5 / size * (canvas.y - y)))
    pupil = ellipse(canvas, (x, y), 0.78 * wide * animal.pupil, 0.8 * size)
    paint(canvas, np.maximum(pupil, eye), BLACK)
    lit = 0.3 if animal.light[0] > 0 else -0.3
    for dx, dy, radius, opacity in (lit, -0.35, 0.24, 1), (-lit, 0.4, 0.12, 0.6):
        glint = ellipse(canvas, (x + dx * size, y + dy * size), radius * size, radius * size)
        paint(canvas, glint, WHITE, opacity)


def paint_muzzle(head: Canvas, animal: Animal, rng: Rng) -> None:
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
        paint(canvas, tongue, PINK * relief(canvas, tongue, light, 0.15))
        paint(canvas, arc(canvas, (0, lip), (0, lip + length), 0, 0.01), RED, 0.6)
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
    # As Python's floats: NumPy's would make every array float64.
    ends = np.c_[rng.uniform(0.85, 1.2, 3), rng.normal((-0.08, 0.12, 0.32), 0.05)].tolist()
    hairs = [arc(canvas, (0.22, 0.12 + 0.07 * k), end, 0.08, 0.01) for k, end in enumerate(ends)]
    hair = WHITE if rng.random() < 0.75 else BLACK
    paint(canvas, np.minimum.reduce(hairs), hair, animal.whiskers)


# The camera.


def photograph(picture: Canvas, oversample: int, rng: Rng) -> np.ndarray:
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
    return (unit(rgb) * 255 + 0.5).transpose(1, 2, 0).astype(np.uint8, order="C")
