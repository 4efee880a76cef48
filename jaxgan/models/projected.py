"""A critic on the features of a frozen network: random projections of them, and small heads.

References:
    Sauer et al., Projected GANs Converge Faster, 2021.
    Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgan.models.backbones import Backbone, Level, fixed_conv
from jaxgan.models.layers.conv_layer import Conv
from jaxgan.types import Images

SMALLEST = 5  # The side of a level up to which a head has no strided convolution.

Views = Callable[[Images, Float[Array, " n"]], list[Level]]


class Projection(NamedTuple):
    """A frozen network and fixed random mixing of its levels (section 3.2 of the paper).

    Attributes:
        backbone: images in [-1, 1] of `size` -> levels, finest first.
        size: side in px of what it sees; images of another size are resized.
        channels: of each level, a 1 x 1 kernel: across channels.
        rise: of each level but the coarsest, a 1 x 1 kernel from the next coarser one to it, and
            a 3 x 3 kernel of its own: across scales.
    """

    backbone: Backbone
    size: int
    channels: list[np.ndarray]
    rise: list[tuple[np.ndarray, np.ndarray]]


def make_projection(backbone: Backbone, size: int, width: int = 32, seed: int = 0) -> Projection:
    """Return the projection of a seed: He's weights, which are never trained.

    Args:
        backbone: from `backbones.make`.
        size: side in px of what it sees.
        width: mixed channels of the finest level; those of the next ones are twice as many, at
            most four times.
        seed: of the weights.
    """
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    inputs = [x.shape[3] for x in jax.eval_shape(backbone, image)]
    mixed = [width << min(i, 2) for i in range(len(inputs))]
    rng = np.random.RandomState(seed)  # Its stream is the same in every version of numpy.

    def kernel(window: int, i: int, o: int) -> np.ndarray:
        std = math.sqrt(2 / (window**2 * i))
        return (std * rng.randn(window, window, i, o)).astype(np.float32)

    return Projection(
        backbone,
        size,
        [kernel(1, *pair) for pair in zip(inputs, mixed, strict=True)],
        [(kernel(1, coarse, fine), kernel(3, fine, fine)) for fine, coarse in pairwise(mixed)],
    )


def project(
    projection: Projection, images: Images, scale: Callable[[int, Level], Level]
) -> list[Level]:
    """Return the mixed levels, finest first.

    Args:
        projection: the frozen network and its mixing.
        images: in [-1, 1].
        scale: (number, x) -> x times the number's factor, twice for each level.
    """
    side = projection.size
    if images.shape[1:3] != (side, side):
        shape = (len(images), side, side, 3)
        images = jax.image.resize(images, shape, "linear", antialias=True)
    levels = [
        scale(i, fixed_conv(x, kernel))
        for i, (x, kernel) in enumerate(
            zip(projection.backbone(images), projection.channels, strict=True)
        )
    ]
    last = len(levels) - 1
    x = levels[last]
    mixed = [scale(2 * last + 1, x)]
    for i in reversed(range(last)):
        across, own = projection.rise[i]
        x = fixed_conv(x, across)
        if x.shape[1:3] != levels[i].shape[1:3]:
            x = jax.image.resize(x, (*levels[i].shape[:3], x.shape[3]), "linear")
        x = (x + levels[i]) / math.sqrt(2)
        x = (x + fixed_conv(jax.nn.relu(x), own, padding=1)) / math.sqrt(2)
        mixed.append(scale(last + 1 + i, x))
    return mixed[::-1]


def calibrate(projection: Projection, images: Images) -> Float[Array, " n"]:
    """Return the factors at which every mixed level has unit variance on `images`."""
    found: dict[int, Array] = {}

    def scale(number: int, x: Level) -> Level:
        found[number] = 1 / jnp.maximum(jnp.std(x), 1e-8)
        return found[number] * x

    project(projection, images, scale)
    return jnp.stack([found[i] for i in range(2 * len(projection.channels))])


def make_views(projection: Projection | None, whole: bool = True) -> Views:
    """Return what the heads judge: (images, factors [n]) -> the images and the mixed levels.

    Nothing in here is trained.

    Args:
        projection: the frozen network; None: the images are all.
        whole: whether the images are among the views, for a patch critic.
    """

    def views(images: Images, factors: Float[Array, " n"]) -> list[Level]:
        found = [images] if whole else []
        if projection is None:
            return found
        return found + project(projection, images, lambda i, x: factors[i] * x)

    return views


def factors(projection: Projection | None) -> int:
    """Return the number of factors that `calibrate` finds."""
    return 2 * len(projection.channels) if projection else 0


class Heads(nn.Module):
    """The trained part: a patch critic on the images, and a head on each mixed level.

    A frozen network that sees a smaller copy is blind for what the copy loses, a checkerboard for
    one: hence the patch critic.

    Attributes:
        patch: channels of the patch critic's strided convolutions; (): no view is the images.
        width: features of a head's first strided convolution, half those of the others.
        dtype: of the computation; weights and logits stay float32.
    """

    patch: tuple[int, ...] = (32, 64)
    width: int = 64
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, views: list[Level], train: bool) -> list[Float[Array, "b _"]]:
        """Judge.

        Args:
            views: of `make_views`: first the images, where there is a patch critic.
            train: move the estimates of the kernels' largest singular values.

        Returns:
            Each head's logits, one a position: higher is more real, float32.
        """

        def conv(x: Array, features: int, window: int, stride: int, padding: int, name: str):
            return Conv(
                *(features, window, stride, padding),
                use_bias=True,
                bias_init=nn.initializers.zeros,
                kernel_init=nn.initializers.orthogonal(),
                dtype=self.dtype,
                spectral_norm=True,
                name=name,
            )(x, train)

        found = []
        for i, x in enumerate(views):
            name = "patch" if self.patch and not i else f"head{i - bool(self.patch)}"
            if self.patch and not i:
                strided = self.patch
            else:
                halvings = max(0, math.ceil(math.log2(x.shape[1] / SMALLEST)))
                strided = [self.width << min(j, 1) for j in range(halvings)]
            for j, features in enumerate(strided):
                x = nn.leaky_relu(conv(x, features, 4, 2, 1, f"{name}_{j}"), 0.2)
            if name == "patch":
                x = conv(x, 1, 3, 1, 1, f"{name}_out")
            else:
                x = nn.leaky_relu(conv(x, 2 * self.width, 3, 1, 1, f"{name}_last"), 0.2)
                x = conv(x, 1, min(3, x.shape[1]), 1, 0, f"{name}_out")
            found.append(x.reshape(len(x), -1).astype(jnp.promote_types(x.dtype, jnp.float32)))
        return found
