"""RandAugment and TrivialAugment, on the device: changes of an image, drawn from fourteen.

References:
    Cubuk et al., RandAugment: Practical Automated Data Augmentation with a Reduced Search Space,
    2020 (section 3.2). The ranges are those of Cubuk et al., AutoAugment: Learning Augmentation
    Policies from Data, 2019, table 6; what each does to pixels is what Pillow's function of that
    name does.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float

from jaxgan import prng
from jaxgan.types import Augment, Images, Keys, PRNGKey, Scalar

Picture = Float[Array, "h w c"]  # In gray levels, [0, 255], while it is changed.
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what Pillow's "L" is.
SHEAR, SHIFT, TURN = 0.3, 150 / 331, 30.0  # At most: slope, share of the side, degrees.
ENHANCE = 0.9  # At most, how far a factor lies from 1.


def randaugment(count: int = 2, magnitude: float = 0.9) -> Augment:
    """`count` of the fourteen changes, one after the other.

    Args:
        count: N of the paper.
        magnitude: M of the paper as a share of each change's range, in [0, 1]: its 9 of 10.
    """

    return _make(count, lambda key: jnp.float32(magnitude))


def trivialaugment() -> Augment:
    """Return one of the fourteen changes, each time with another magnitude: nothing is to be tuned.

    References:
        Müller & Hutter, TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation, 2021,
        algorithm 1, with the ranges of RandAugment ("TA (RA)").
    """
    levels = 31  # 0 to 30, as there.
    return _make(1, lambda key: jax.random.randint(key, (), 0, levels) / (levels - 1))


def _make(count: int, magnitude: Callable[[PRNGKey], Scalar]) -> Augment:
    def change(picture: Picture, key: Keys) -> Picture:
        which, sign = jax.random.split(key)
        level = magnitude(jax.random.fold_in(key, 2)) * jax.random.rademacher(sign, (), jnp.float32)
        index = jax.random.randint(which, (), 0, len(CHANGES))
        return jax.lax.switch(index, list(CHANGES.values()), picture, level)

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        keys = prng.example_keys(key, len(images))
        changed = (images + 1) * 127.5
        for i in range(count):
            changed = jax.vmap(change)(changed, prng.fold_in(keys, i))
        applied = prng.uniform(prng.fold_in(keys, count), (len(images), 1, 1, 1)) < p
        return jnp.where(applied, changed / 127.5 - 1, images)

    return augment


def _identity(x: Picture, level: Scalar) -> Picture:
    return x


def autocontrast(x: Picture, level: Scalar) -> Picture:
    """Return each channel stretched to [0, 255]; one that is flat stays."""
    low, high = x.min((0, 1), keepdims=True), x.max((0, 1), keepdims=True)
    flat = high - low < 1
    return jnp.where(flat, x, (x - low) * 255 / jnp.where(flat, 1, high - low))


def equalize(x: Picture, level: Scalar) -> Picture:
    """Return each channel's gray levels spread evenly, by their ranks; one that is flat stays."""
    levels = jnp.round(x).astype(jnp.int32)
    counts = (levels[..., None] == jnp.arange(256)[None, None, None]).sum((0, 1))  # [c, 256]
    last = jnp.take_along_axis(counts, levels.max((0, 1))[:, None], 1)
    step = (counts.sum(1, keepdims=True) - last) // 255
    below = jnp.cumsum(counts, 1) - counts
    table = jnp.clip((below + step // 2) // jnp.maximum(step, 1), 0, 255)
    table = jnp.where(step > 0, table, jnp.arange(256)[None]).astype(x.dtype)
    channels = jnp.arange(x.shape[2])[None, None]
    return table[channels, levels]


def solarize(x: Picture, level: Scalar) -> Picture:
    """Return what is brighter than a threshold is inverted."""
    return jnp.where(x < jnp.floor(256 * (1 - jnp.abs(level))), x, 255 - x)


def posterize(x: Picture, level: Scalar) -> Picture:
    """Fewer bits: 8 down to 4."""
    step = 2.0 ** jnp.round(4 * jnp.abs(level))
    return jnp.floor(jnp.round(x) / step) * step


def color(x: Picture, level: Scalar) -> Picture:
    """Towards gray, or away from it."""
    return _blend(_gray(x), x, level)


def contrast(x: Picture, level: Scalar) -> Picture:
    """Towards the mean gray level, or away from it."""
    return _blend(jnp.round(_gray(x).mean()), x, level)


def brightness(x: Picture, level: Scalar) -> Picture:
    """Towards black, or away from it."""
    return _blend(jnp.zeros_like(x), x, level)


def sharpness(x: Picture, level: Scalar) -> Picture:
    """Towards a smoothed image, or away from it; the border stays."""
    h, w = x.shape[:2]
    sums = sum(x[i : h - 2 + i, j : w - 2 + j] for i in range(3) for j in range(3))
    smooth = (sums + 4 * x[1:-1, 1:-1]) / 13
    return _blend(x.at[1:-1, 1:-1].set(smooth), x, level)


def _blend(end: Array, x: Picture, level: Scalar) -> Picture:
    return jnp.clip(end + (x - end) * (1 + ENHANCE * level), 0, 255)


def _gray(x: Picture) -> Float[Array, "h w 1"]:
    return x @ jnp.array(LUMA, x.dtype)[:, None]


def _affine(matrix: Callable[[Scalar], list[list]]) -> Callable[[Picture, Scalar], Picture]:
    """Pixel (y, x) from matrix @ (y, x, 1), the middle being 0 and the side 2; gray comes in."""

    def change(x: Picture, level: Scalar) -> Picture:
        h, w = x.shape[:2]
        middle = jnp.array([h - 1, w - 1])[:, None, None] / 2
        grid = jnp.stack(jnp.meshgrid(jnp.arange(h), jnp.arange(w), indexing="ij")) - middle
        m = jnp.array(matrix(level), x.dtype)
        sides = jnp.array([h, w])[:, None, None] / 2
        source = jnp.einsum("ij,jhw->ihw", m[:, :2], grid) + m[:, 2][:, None, None] * sides + middle
        warp = lambda channel: map_coordinates(  # noqa: E731
            channel, list(source), order=1, mode="constant", cval=127.5
        )
        return jax.vmap(warp, 2, 2)(x)

    return change


def _turn(level: Scalar) -> list[list]:
    angle = jnp.deg2rad(TURN * level)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return [[cos, sin, 0], [-sin, cos, 0]]


CHANGES: dict[str, Callable[[Picture, Scalar], Picture]] = {
    "identity": _identity,
    "autocontrast": autocontrast,
    "equalize": equalize,
    "rotate": _affine(_turn),
    "solarize": solarize,
    "color": color,
    "posterize": posterize,
    "contrast": contrast,
    "brightness": brightness,
    "sharpness": sharpness,
    "shear_x": _affine(lambda level: [[1, 0, 0], [SHEAR * level, 1, 0]]),
    "shear_y": _affine(lambda level: [[1, SHEAR * level, 0], [0, 1, 0]]),
    "translate_x": _affine(lambda level: [[1, 0, 0], [0, 1, 2 * SHIFT * level]]),
    "translate_y": _affine(lambda level: [[1, 0, 2 * SHIFT * level], [0, 1, 0]]),
}
