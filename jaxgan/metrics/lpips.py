"""How different two images look: LPIPS, a distance of VGG16's features that people agree with."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.metrics import features
from jaxgan.models.vgg import BLOCKS


class Lpips(NamedTuple):
    """The weights of the distance.

    Attributes:
        network: VGG16's, as `features.conv5_3` takes them.
        channels: how much each channel of each block's output counts, [c] each, not negative.
    """

    network: Any
    channels: list[Float[Array, " c"]]


def load() -> Lpips:
    """Return the published weights, version 0.1, of the extra `features`.

    Raises:
        InputError: they are not installed, or not those.
    """
    tree = features.published()
    channels = [
        jnp.asarray(tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"]).reshape(-1)
        for i in range(len(BLOCKS))
    ]
    return Lpips(features.vgg16(features.SIZES[0]).weights, channels)


def views(lpips: Lpips, images: Float[Array, "b h w 3"]) -> list[Float[Array, "b h2 w2 c"]]:
    """Return what the distance compares: each block's output, of length 1 at every position.

    Args:
        lpips: the weights.
        images: RGB in [0, 255], of at least 16 px.
    """
    # The published code adds 1e-10 to the root instead, whose derivative at 0 is infinite.
    return [
        x / jnp.sqrt((x**2).sum(axis=3, keepdims=True) + 1e-20)
        for x in features.blocks(lpips.network, images)
    ]


def distance(
    lpips: Lpips, a: list[Float[Array, "b h w c"]], b: list[Float[Array, "b h w c"]]
) -> Float[Array, " b"]:
    """Return the distances of images from their views: 0 for equal ones, about .7 for unlike ones.

    Args:
        lpips: the weights.
        a: from `views`.
        b: likewise, of images of the same size.

    References:
        Zhang et al., The Unreasonable Effectiveness of Deep Features as a Perceptual Metric, 2018,
        equation 1.
    """
    parts = [
        ((x - y) ** 2 @ weights).mean(axis=(1, 2))
        for x, y, weights in zip(a, b, lpips.channels, strict=True)
    ]
    return jnp.stack(parts).sum(axis=0)
