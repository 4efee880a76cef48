"""StyleGAN2's discriminator: see the package."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxgan.models.layers.conv_layer import CONVOLVED
from jaxgan.models.layers.convolution import conv
from jaxgan.models.layers.resampling import Features, Other, conv_down, downsample
from jaxgan.models.layers.shapes import check_images
from jaxgan.models.stylegan2.layers import (
    Dense,
    Labels,
    Mapping,
    activate,
    check_labels,
    clamped,
    normal,
    precision,
    widths,
)
from jaxgan.types import Images, Logits


def minibatch_deviation(x: Features, group_size: int = 4, axis_name: str | None = None) -> Other:
    """x with one more feature: how much its group of images differs, on average.

    The deviation of each value within a group, and its mean over all values. Image i of b is in
    group i % (b / group_size), within the batch of all devices.

    Args:
        x: [b, h, w, c].
        group_size: images in a group; where it does not divide the batch, the next smaller
            number that does.
        axis_name: the `pmap` axis over which the batch is split, if any.

    References:
        Karras et al., Progressive Growing of GANs for Improved Quality, Stability, and Variation,
        2018, section 3.
    """
    whole = x.astype(jnp.float32)
    if axis_name is not None:
        whole = lax.all_gather(whole, axis_name, tiled=True)
    group = max(n for n in range(1, group_size + 1) if len(whole) % n == 0)
    groups = whole.reshape(group, len(whole) // group, -1)
    deviations = jnp.sqrt(groups.var(axis=0) + 1e-8).mean(axis=1)  # [groups]
    each = jnp.tile(deviations, group)
    if axis_name is not None:
        each = lax.dynamic_slice_in_dim(each, lax.axis_index(axis_name) * len(x), len(x))
    each = jnp.broadcast_to(each[:, None, None, None], (*x.shape[:3], 1))
    return jnp.concatenate([x, each.astype(x.dtype)], axis=3)


class Conv(nn.Module):
    """A convolution with equalised learning rate, bias and activation.

    Attributes:
        features: that come out.
        window: 1 or 3.
        down: to half the size, with the filter before.
        active: whether there are a bias and `activate`.
        gain: a further one.
        clamp: the largest absolute value before that gain, if any.
    """

    features: int
    window: int
    down: bool = False
    active: bool = True
    gain: float = 1.0
    clamp: float | None = None

    @nn.compact
    def __call__(self, x: Features) -> Other:
        """x [b, h, w, i] to [b, h2, w2, features], in its dtype."""
        shape = (self.window, self.window, x.shape[3], self.features)
        weight = self.param("weight", normal(1.0), shape) / math.sqrt(math.prod(shape[:3]))
        if not self.active:
            weight = weight * self.gain
        kernel = weight.astype(x.dtype)
        if not self.down:
            x = conv(x, kernel, 1, self.window // 2)
        else:
            x = conv_down(x, kernel) if self.window == 3 else conv(downsample(x), kernel)
        x = checkpoint_name(x, CONVOLVED)
        if not self.active:
            return clamped(x, self.gain, self.clamp)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return activate(x, bias, self.gain, self.clamp)


class DiscriminatorBlock(nn.Module):
    """Two convolutions to half the size, beside one of 1 x 1 ("resnet": 2020a, fig. 7).

    Attributes:
        inputs: features of the first convolution.
        features: that come out.
        first: the block starts from images.
        dtype: of the computation.
        clamp: of each convolution.
    """

    inputs: int
    features: int
    first: bool
    dtype: Any
    clamp: float | None

    @nn.compact
    def __call__(self, x: Features) -> Other:
        """x [b, h, w, i] to [b, h / 2, w / 2, features] in `dtype`."""
        x = x.astype(self.dtype)
        if self.first:
            x = Conv(self.inputs, 1, clamp=self.clamp, name="fromrgb")(x)
        half = math.sqrt(0.5)  # Keeps the variance of the sum.
        y = Conv(self.features, 1, True, False, half, self.clamp, name="skip")(x)
        x = Conv(self.inputs, 3, clamp=self.clamp, name="conv0")(x)
        x = Conv(self.features, 3, True, gain=half, clamp=self.clamp, name="conv1")(x)
        return x + y


class DiscriminatorEnd(nn.Module):
    """From features at 4 x 4 to one logit, or to as many numbers as there are features.

    Attributes:
        outputs: 1, or those numbers.
        clamp: of the convolution.
        group_size: of `minibatch_deviation`.
        axis_name: likewise.
    """

    outputs: int
    clamp: float | None
    group_size: int
    axis_name: str | None

    @nn.compact
    def __call__(self, x: Features) -> Float[Array, "b o"]:
        features = x.shape[3]
        x = minibatch_deviation(x.astype(jnp.float32), self.group_size, self.axis_name)
        x = Conv(features, 3, clamp=self.clamp, name="conv")(x)
        x = Dense(features, active=True, name="fc")(x.reshape(len(x), -1))
        return Dense(self.outputs, name="out")(x)


class Discriminator(nn.Module):
    """Images to logits; with classes, those of an image and its class.

    Attributes:
        resolution: of the images, a power of two from 8 to 1024.
        num_classes: 0 for a discriminator without.
        channel_base: features times size, where there are fewer than `channel_max`.
        channel_max: the most features.
        mapping_layers: from a class to what features are projected on (the published ones have 8,
            whatever their generator's).
        clamp: the largest absolute value that a convolution puts out, if any.
        bf16_blocks: sizes, counted from the highest, that compute in bfloat16; 4 x 4 never does.
        group_size: of `minibatch_deviation`.
        axis_name: the `pmap` axis over which the batch is split, if any.

    References:
        Miyato and Koyama, cGANs with Projection Discriminator, 2018.
    """

    resolution: int
    num_classes: int = 0
    channel_base: int = 16384
    channel_max: int = 512
    mapping_layers: int = 8
    clamp: float | None = 256.0
    bf16_blocks: int = 0
    group_size: int = 4
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: Images, train: bool, labels: Labels | None = None) -> Logits:
        """Judge.

        Args:
            images: [b, resolution, resolution, 3], about in [-1, 1].
            train: changes nothing.
            labels: [b], for a discriminator with classes.

        Returns:
            Logits [b], float32: higher is more real.

        Raises:
            InputError: a resolution that is not offered or not the images', or labels without
                classes or the reverse.
        """
        sizes = list(widths(self.resolution, self.channel_base, self.channel_max).items())
        check_images(images, self.resolution)
        x = images
        for (_, features), (size, inputs) in zip(sizes[-2::-1], sizes[:0:-1], strict=True):
            dtype = precision(size, self.resolution, self.bf16_blocks)
            first = size == self.resolution
            block = DiscriminatorBlock(inputs, features, first, dtype, self.clamp, name=f"b{size}")
            x = block(x)
        features = sizes[0][1]
        outputs = features if self.num_classes else 1
        end = DiscriminatorEnd(outputs, self.clamp, self.group_size, self.axis_name, name="b4")
        x = end(x)
        mapping = Mapping(features, self.mapping_layers, self.num_classes, name="mapping")
        if not self.num_classes:
            check_labels(labels, 0)
            return x[:, 0]
        direction = mapping(None, labels)
        return (x * direction).sum(axis=1) / math.sqrt(features)
