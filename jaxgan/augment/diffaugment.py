"""Random changes of images on the device: functions of (images, p, key).

Each is applied to an image with probability `p`; p = 0 is the identity exactly.
"""

import jax
import jax.numpy as jnp

from jaxgan import prng
from jaxgan.types import Augment, Images, Keys, Scalar


def flip() -> Augment:
    """Mirror left and right every second image that is drawn."""

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        u = prng.uniform(key, (images.shape[0], 1, 1, 1))
        return jnp.where(u < p / 2, images[:, :, ::-1], images)

    return augment


def crop(padding: float = 0.125) -> Augment:
    """Shift by up to `padding` of the side, the border mirrored: pad, then crop at random.

    References:
        He et al., Deep Residual Learning for Image Recognition, 2016, section 4.2.
    """

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        return _shift(images, padding, "reflect", p, key)

    return augment


def _shift(images: Images, share: float, border: str, p: Scalar, key: Keys) -> Images:
    b, h, w, c = images.shape
    reach = [max(1, round(size * share)) for size in (h, w)]
    padded = jnp.pad(images, [(0, 0), *((n, n) for n in reach), (0, 0)], mode=border)
    u = prng.uniform(key, (b, 3))
    middle = jnp.array(reach)[None]
    start = jnp.floor(u[:, :2] * (2 * middle + 1)).astype(jnp.int32)
    start = jnp.where(u[:, 2:] < p, start, middle)
    cut = lambda x, s: jax.lax.dynamic_slice(x, (s[0], s[1], 0 * s[0]), (h, w, c))  # noqa: E731
    return jax.vmap(cut)(padded, start)


def color() -> Augment:
    """Brightness by up to .5, then saturation by 0 to 2, then contrast by .5 to 1.5.

    With `translation` and `cutout` it is DiffAugment, of real and generated images alike.

    References:
        Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training, 2020.
    """

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        u = prng.uniform(key, (images.shape[0], 4))[:, :, None, None, None]
        x = images + u[:, 0] - 0.5
        gray = x.mean(3, keepdims=True)
        x = gray + (x - gray) * 2 * u[:, 1]
        middle = x.mean((1, 2, 3), keepdims=True)
        x = middle + (x - middle) * (u[:, 2] + 0.5)
        return jnp.where(u[:, 3] < p, x, images)

    return augment


def translation(share: float = 0.125) -> Augment:
    """Shift by up to `share` of the side; what comes in is 0, gray (reference: see `color`)."""

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        return _shift(images, share, "constant", p, key)

    return augment


def cutout(share: float = 0.5) -> Augment:
    """Set a square to 0, `share` of the side wide, anywhere (reference: see `color`)."""

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        b, h, w, _ = images.shape
        u = prng.uniform(key, (b, 3))
        inside = [
            jnp.abs(jnp.arange(size)[None] + 0.5 - jnp.floor(u[:, i : i + 1] * (size + 1)))
            < size * share / 2
            for i, size in enumerate((h, w))
        ]
        hole = inside[0][:, :, None] & inside[1][:, None] & (u[:, 2] < p)[:, None, None]
        return jnp.where(hole[..., None], 0.0, images)

    return augment


def gaussian_noise(images: Images, std: Scalar, key: Keys) -> Images:
    """Add N(0, std): "instance noise", which keeps real and generated images from parting.

    References:
        Sønderby et al., Amortised MAP Inference for Image Super-resolution, 2017, section 3.3.
        Arjovsky & Bottou, Towards Principled Methods for Training GANs, 2017, section 3.
    """
    return images + std * prng.normal(key, images.shape)


def chain(*augments: Augment) -> Augment:
    """Return one after the other, each with the same `p` and a key of its own."""

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        for i, each in enumerate(augments):
            images = each(images, p, prng.fold_in(key, i))
        return images

    return augment
