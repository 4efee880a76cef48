"""The built-in images: portraits of cats and dogs, drawn from a seed at any resolution.

One recipe draws both animals, from the same coats, eyes, scenes, light and cameras. `sitter.EARS`,
`TONGUE` and `TRAITS` say how often, and how far, a cat's face differs from a dog's. Neither colours
nor ears alone give the animal away (some cats have folded ones, some dogs pricked ones): a
classifier has to put together ears, eyes, muzzle, nose and whiskers, which takes it more than a
hundred images.

Top down: the set, the scene, the camera; `sitter` and `painting` have the animals.
"""

from collections.abc import Sequence
from math import cos, sin

import numpy as np
from PIL import Image, ImageFilter

from jaxgan.data.dataset import Dataset
from jaxgan.data.toy.drawing import (
    Canvas,
    Point,
    Rng,
    around,
    blank,
    drop,
    ellipse,
    mix,
    noise,
    paint,
    pick,
    ramp,
    unit,
)
from jaxgan.data.toy.painting import paint_body, paint_head
from jaxgan.data.toy.sitter import KINDS, SCENES, sample_animal
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
        raise InputError(f"count, the toy images of a class, must be >= 1, got {count}")
    if seed < 0:
        raise InputError(f"seed of the toy images must be >= 0, got {seed}")

    def load(index: int) -> np.ndarray:
        kind, number = classes[index // count], index % count
        rng = np.random.default_rng([seed, KINDS.index(kind), number])
        return draw(kind, rng, resolution)

    labels = np.repeat(np.arange(len(classes), dtype=np.int32), count)
    names = tuple(f"toy/{kind}/{i:06d}" for kind in classes for i in range(count))
    return Dataset(tuple(classes), labels, names, resolution, load=load)


ToySource = read  # As it was called before.


def draw(kind: str, rng: Rng, resolution: int) -> np.ndarray:
    """Return one portrait, uint8 [resolution, resolution, 3] in [0, 255].

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
        raise InputError(f"resolution of the toy images must be >= 8, got {resolution}")


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
