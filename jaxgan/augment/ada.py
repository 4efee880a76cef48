"""Adaptive discriminator augmentation: random changes of images, and how many of them.

Each is applied to an image with probability p, to real and generated images alike. While p is
below about .8, the generator learns the images and not what is done to them. All that moves an
image is one resampling, all that changes its colours one matrix.

References:
    Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, section 3 and
    appendix B, whose order and distributions these are.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxgan import prng
from jaxgan.augment.ada_resampling import amplify, warp
from jaxgan.augment.ada_transforms import COLORS, PIXELS
from jaxgan.types import Augment, Images, InputError, Keys, Scalar

BANDS = ("band1", "band2", "band3", "band4")
_BLIT = ("flip", "turn", "shift")
_GEOM = ("scale", "rotate", "stretch", "rotate_again", "move")
ALL = (*_BLIT, *_GEOM, *COLORS, *BANDS, "noise", "cutout")  # In the paper's order.
GROUPS: dict[str, tuple[str, ...]] = {
    "blit": _BLIT,
    "geom": _GEOM,
    "color": tuple(COLORS),
    "filter": BANDS,
    "noise": ("noise",),
    "cutout": ("cutout",),
    "bg": (*_BLIT, *_GEOM),
    "bgc": (*_BLIT, *_GEOM, *COLORS),
    "bgcf": (*_BLIT, *_GEOM, *COLORS, *BANDS),
    "bgcfn": (*_BLIT, *_GEOM, *COLORS, *BANDS, "noise"),
    "bgcfnc": ALL,
}
# How many numbers each is drawn with, besides its gate, from U[0, 1) and from N(0, 1).
UNIFORM = {"flip": 1, "turn": 1, "shift": 2, "rotate": 1, "rotate_again": 1}
UNIFORM |= {"luma_flip": 1, "hue": 1, "cutout": 2}
NORMAL = {"scale": 1, "stretch": 1, "move": 2, "brightness": 1, "contrast": 1, "saturation": 1}
NORMAL |= {"band1": 1, "band2": 1, "band3": 1, "band4": 1, "noise": 1}
INTERVAL = 4  # Steps between two adjustments of p.

Applied = Mapping[str, Bool[Array, " b"]]  # By transformation: to which images.


class Draws(NamedTuple):
    """What chance decides about each image, by transformation."""

    gates: Mapping[str, Float[Array, " b"]]  # U[0, 1): applied where its gate is below p.
    values: Mapping[str, Float[Array, "k b"]]  # What with: see UNIFORM and NORMAL.
    pixels: Images  # N(0, 1), for the noise.


def check(groups: str | Sequence[str]) -> tuple[str, ...]:
    """Return the transformations of one or several groups, in the paper's order.

    Raises:
        InputError: there is no such group.
    """
    groups = (groups,) if isinstance(groups, str) else groups
    for name in groups:
        if name not in GROUPS:
            raise InputError(f"augmentations must be of {', '.join(GROUPS)}, got {name!r}")
    return tuple(name for name in ALL if any(name in GROUPS[group] for group in groups))


def make(groups: str | Sequence[str]) -> Augment:
    """Return the transformations of one or several of GROUPS; `bgc` is the paper's choice.

    Images, of 1 or 3 channels, come back in the type that they came in; in between it is float32
    at least. They are changed in the paper's order, whatever that of the groups.

    Raises:
        InputError: there is no such group.
    """
    names = check(groups)

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        return apply(names, images, p, draw(images.shape, key))

    return augment


def draw(shape: tuple[int, ...], key: Keys) -> Draws:
    """Return what chance decides: the same whichever transformations are chosen.

    Args:
        shape: of the images, [b, h, w, c].
        key: the batch's, or the examples' own.
    """
    keys = prng.example_keys(key, shape[0])

    def numbers(source: Callable, fold: int, counts: Mapping[str, int]) -> dict[str, Array]:
        drawn = source(prng.fold_in(keys, fold), (shape[0], sum(counts.values()))).T
        ends = np.cumsum([*counts.values()])
        return dict(zip(counts, jnp.split(drawn, ends[:-1]), strict=True))

    gates = numbers(prng.uniform, 0, dict.fromkeys(ALL, 1))
    values = numbers(prng.uniform, 1, UNIFORM) | numbers(prng.normal, 2, NORMAL)
    pixels = prng.normal(prng.fold_in(keys, 3), shape)
    return Draws({name: gate[0] for name, gate in gates.items()}, values, pixels)


def apply(names: Sequence[str], images: Images, p: Scalar, draws: Draws) -> Images:
    """Return the images with `names` of ALL applied to those whose gates are open; no others
    change.
    """
    either = 1 - jnp.sqrt(jnp.maximum(1 - p, 0))  # One rotation or the other, or both: p.
    chances = {"rotate": either, "rotate_again": either}
    x = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    for kind, change in _STAGES:
        applied = {n: draws.gates[n] < chances.get(n, p) for n in names if n in kind}
        if applied:
            touched = jnp.stack([*applied.values()]).any(0)
            x = jnp.where(touched[:, None, None, None], change(x, applied, draws), x)
    return x.astype(images.dtype)


def adjust(
    p: Scalar,
    signs: Scalar,
    images: int | Int[Array, ""],
    target: float = 0.6,
    speed_kimg: float = 500,
) -> Scalar:
    """Return the next p: higher where the discriminator overfits, lower where it doesn't (section
    3.2).

    The paper keeps it from falling below 0. Here it stays below 1 as well: beyond, nothing changes
    but the way back.

    Args:
        p: the last one.
        signs: r_t, the mean of sign(D(x)) over the real images seen since.
        images: how many these are, on all devices together.
        target: of r_t.
        speed_kimg: thousands of images in which p goes from 0 to 1, where r_t stays above.
    """
    return jnp.clip(p + jnp.sign(signs - target) * images / (1000 * speed_kimg), 0, 1)


def _only(applied: Bool[Array, " b"], matrices: Float[Array, "b n n"]) -> Float[Array, "b n n"]:
    return jnp.where(applied[:, None, None], matrices, jnp.eye(matrices.shape[1])[None])


def _product(a: Float[Array, "b n n"], b: Float[Array, "b n n"]) -> Float[Array, "b n n"]:
    return jnp.einsum("bij,bjk->bik", a, b, precision="highest")


def _move(images: Images, applied: Applied, draws: Draws) -> Images:
    h, w = images.shape[1:3]
    maps = [_only(applied[n], PIXELS[n](draws.values[n], (h, w))) for n in applied]
    return warp(images, reduce(_product, maps))  # Inverse maps: the first one is the outermost.


def _recolor(images: Images, applied: Applied, draws: Draws) -> Images:
    maps = [_only(applied[n], COLORS[n](draws.values[n])) for n in applied]
    total = reduce(_product, reversed(maps))[:, :3].astype(images.dtype)
    if images.shape[3] == 1:  # As a gray image of three channels: the mean of what they become.
        scale, offset = total[..., :3].sum(2).mean(1), total[..., 3].mean(1)
        return images * scale[:, None, None, None] + offset[:, None, None, None]
    # Written out by channel: on a CPU a product with so small a matrix, or its gradient, is slow.
    planes = [images[..., i] for i in range(3)]
    weight = lambda i, j: total[:, i, j, None, None]  # noqa: E731
    mixed = [sum((planes[j] * weight(i, j) for j in range(3)), weight(i, 3)) for i in range(3)]
    return jnp.stack(mixed, 3)


def _filter(images: Images, applied: Applied, draws: Draws) -> Images:
    power = jnp.array([10, 1, 1, 1]) / 13  # Of images: 1 / f.
    gains = jnp.ones((len(images), 4))
    for i, name in enumerate(BANDS):
        if name in applied:
            gain = jnp.ones_like(gains).at[:, i].set(jnp.exp2(draws.values[name][0]))
            gain /= jnp.sqrt((power[None] * gain**2).sum(1, keepdims=True))
            gains *= jnp.where(applied[name][:, None], gain, 1)
    return amplify(images, gains.astype(images.dtype))


def _noise(images: Images, applied: Applied, draws: Draws) -> Images:
    deviation = 0.1 * abs(draws.values["noise"][0])[:, None, None, None]  # Half normal.
    return images + (deviation * draws.pixels).astype(images.dtype)


def _cutout(images: Images, applied: Applied, draws: Draws) -> Images:
    def inside(middle: Float[Array, " b"], size: int) -> Bool[Array, "b n"]:
        low, high = (jnp.round((middle + half) * size)[:, None] for half in (-0.25, 0.25))
        pixels = jnp.arange(size)[None]
        return (pixels >= low) & (pixels < high)

    x, y = draws.values["cutout"]
    h, w = images.shape[1:3]
    hole = inside(y, h)[:, :, None] & inside(x, w)[:, None]
    return jnp.where(hole[..., None], 0, images)


_STAGES = (
    (PIXELS, _move),
    (COLORS, _recolor),
    (BANDS, _filter),
    (("noise",), _noise),
    (("cutout",), _cutout),
)
