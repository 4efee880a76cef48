"""Random changes of pictures on the device: functions of (images, p, key).

Each is applied to a picture with probability `p`; p = 0 is the identity exactly.
"""

import jax
import jax.numpy as jnp

from jaxgan import noise
from jaxgan.types import Augment, Images, Keys, Scalar


def flip() -> Augment:
    """Mirrors left and right every second picture that is drawn."""

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        u = noise.uniform(key, (images.shape[0], 1, 1, 1))
        return jnp.where(u < p / 2, images[:, :, ::-1], images)

    return augment


def crop(padding: float = 0.125) -> Augment:
    """Shifts by up to `padding` of the side, the border mirrored: pad, then crop at random.

    References:
        He et al., Deep Residual Learning for Image Recognition, 2016, section 4.2.
    """

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        b, h, w, c = images.shape
        pad_h, pad_w = max(1, round(h * padding)), max(1, round(w * padding))
        padded = jnp.pad(images, ((0, 0), (pad_h, pad_h), (pad_w, pad_w), (0, 0)), mode="reflect")
        u = noise.uniform(key, (b, 3))
        top = jnp.floor(u[:, 0] * (2 * pad_h + 1)).astype(jnp.int32)
        left = jnp.floor(u[:, 1] * (2 * pad_w + 1)).astype(jnp.int32)
        moved = u[:, 2] < p
        top, left = jnp.where(moved, top, pad_h), jnp.where(moved, left, pad_w)
        cut = lambda x, i, j: jax.lax.dynamic_slice(x, (i, j, 0 * i), (h, w, c))  # noqa: E731
        return jax.vmap(cut)(padded, top, left)

    return augment


def chain(*augments: Augment) -> Augment:
    """One after the other, each with the same `p` and a key of its own."""

    def augment(images: Images, p: Scalar, key: Keys) -> Images:
        for i, each in enumerate(augments):
            images = each(images, p, noise.fold_in(key, i))
        return images

    return augment
