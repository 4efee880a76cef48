"""Against Pillow's functions of the same names."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from jaxgan.augment import randaugment
from jaxgan.augment.randaugment import CHANGES, ENHANCE

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def picture():
    """A smooth one with an edge, whose channels differ, far from filling [0, 255]."""
    y, x = np.mgrid[:24, :20] / 24
    channels = [90 + 60 * np.sin(3 * x + 2 * y), 80 + 50 * x * y, 100 + 40 * (x > 0.4)]
    return np.round(np.stack(channels, 2)).astype(np.uint8)


def levels(name, picture, level):
    return np.asarray(CHANGES[name](jnp.asarray(picture, jnp.float32), jnp.float32(level)))


PILLOW = {
    "identity": lambda image, level: image,
    "autocontrast": lambda image, level: ImageOps.autocontrast(image),
    "equalize": lambda image, level: ImageOps.equalize(image),
    "solarize": lambda image, level: ImageOps.solarize(image, int(256 * (1 - level))),
    "posterize": lambda image, level: ImageOps.posterize(image, 8 - round(4 * level)),
    "color": lambda image, level: ImageEnhance.Color(image).enhance(1 + ENHANCE * level),
    "contrast": lambda image, level: ImageEnhance.Contrast(image).enhance(1 + ENHANCE * level),
    "brightness": lambda image, level: ImageEnhance.Brightness(image).enhance(1 + ENHANCE * level),
    "sharpness": lambda image, level: ImageEnhance.Sharpness(image).enhance(1 + ENHANCE * level),
}


@pytest.mark.parametrize("name", PILLOW)
@pytest.mark.parametrize("level", [0.5, 0.9, -0.7])
def test_like_pillow(name, level, picture):
    if level < 0 and name in ("solarize", "posterize"):
        level = -level
    want = np.asarray(PILLOW[name](Image.fromarray(picture), level), np.float32)
    got = levels(name, picture, level)
    # Pillow rounds gray levels on the way; away from the original that is enlarged.
    assert abs(got - want).max() <= 1.6, name
    assert name == "identity" or abs(got - picture).max() >= 3


@pytest.mark.parametrize(
    ("name", "matrix"),
    [
        ("shear_x", lambda level: (1, 0.3 * level, 0, 0, 1, 0)),
        ("shear_y", lambda level: (1, 0, 0, 0.3 * level, 1, 0)),
        ("translate_x", lambda level: (1, 0, 150 / 331 * 32 * level, 0, 1, 0)),
        ("translate_y", lambda level: (1, 0, 0, 0, 1, 150 / 331 * 32 * level)),
    ],
)
def test_moves_like_pillow(name, matrix):
    """About the middle; Pillow's own way is about the corner, so its matrix is moved."""
    y, x = np.mgrid[:32, :32] / 32
    smooth = np.repeat((127 + 60 * np.sin(4 * x + 3 * y))[..., None], 3, 2).astype(np.uint8)
    a, b, c, d, e, f = matrix(0.5)
    c, f = c + 16 - 16 * a - 16 * b, f + 16 - 16 * d - 16 * e
    image = Image.fromarray(smooth)
    want = image.transform((32, 32), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.BILINEAR)
    got = levels(name, smooth, 0.5)
    inside = np.asarray(want)[..., 0] > 0  # Black comes in there, gray here.
    inside = ndimage.binary_erosion(inside, iterations=2)
    assert inside.mean() > 0.5
    assert abs(got - np.asarray(want))[inside].max() < 1.5


def test_turns_like_pillow():
    y, x = np.mgrid[:32, :32] / 32
    smooth = np.repeat((127 + 60 * np.sin(4 * x + 3 * y))[..., None], 3, 2).astype(np.uint8)
    want = np.asarray(Image.fromarray(smooth).rotate(-15, Image.BILINEAR))
    other = np.asarray(Image.fromarray(smooth).rotate(15, Image.BILINEAR))
    got = levels("rotate", smooth, 0.5)
    middle = np.s_[8:24, 8:24]
    errors = [abs(got - w.astype(np.float32))[middle].max() for w in (want, other)]
    assert min(errors) < 1.5 < max(errors)  # Which way is drawn anyway.


def test_flat_channels_stay():
    flat = np.full((8, 8, 3), 77, np.uint8)
    for name in ("autocontrast", "equalize"):
        np.testing.assert_array_equal(levels(name, flat, 0.5), flat)


def test_an_augmentation(picture):
    images = jnp.asarray(np.stack([picture] * 64), jnp.float32) / 127.5 - 1
    augment = jax.jit(randaugment.randaugment())
    np.testing.assert_array_equal(augment(images, jnp.float32(0), KEY), images)
    once, again = (augment(images, jnp.float32(1), KEY) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    assert once.min() >= -1 and once.max() <= 1 + 1e-5
    same = (abs(once - images).max((1, 2, 3)) < 1e-5).mean()
    assert same < 0.15  # Both draws are the identity: 1 in 196.
    assert len(np.unique(np.asarray(once).round(3).reshape(64, -1), axis=0)) > 32


def test_trivialaugment_draws_a_magnitude(picture):
    """The identity is drawn, or a magnitude of 0, and small changes are as likely as great ones."""
    images = jnp.asarray(np.stack([picture] * 256), jnp.float32) / 127.5 - 1
    augment = jax.jit(randaugment.trivialaugment())
    np.testing.assert_array_equal(augment(images, jnp.float32(0), KEY), images)
    once = augment(images, jnp.float32(1), KEY)
    moved = np.asarray(abs(once - images).max((1, 2, 3)))
    assert 0.05 < (moved < 1e-5).mean() < 0.4
    assert len(np.unique(np.asarray(once).round(3).reshape(256, -1), axis=0)) > 100
