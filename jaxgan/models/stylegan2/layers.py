"""What both of StyleGAN2's nets are made of: see the package."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float, Int

from jaxgan.models.layers.conv_layer import CONVOLVED
from jaxgan.models.layers.convolution import conv
from jaxgan.models.layers.resampling import Features, Other, conv_up
from jaxgan.types import InputError, Latents

Styles = Float[Array, "b n"]
Ws = Float[Array, "b layers n"]
Labels = Int[Array, " b"]
ROOT2 = math.sqrt(2)
normal = nn.initializers.normal


def widths(resolution: int, channel_base: int, channel_max: int) -> dict[int, int]:
    """Return features at each size from 4 to the resolution: min(channel_base / size, channel_max).

    Raises:
        InputError: the resolution is no power of two from 8 to 1024.
    """
    if resolution not in (8 << i for i in range(8)):
        raise InputError(f"resolution must be a power of two from 8 to 1024, got {resolution}")
    sizes = (4 << i for i in range(resolution.bit_length() - 2))
    return {size: max(min(channel_base // size, channel_max), 1) for size in sizes}


def precision(size: int, resolution: int, bf16_blocks: int) -> Any:
    """bfloat16 for the `bf16_blocks` highest sizes, of which 4 is none."""
    return jnp.bfloat16 if size > max(resolution >> bf16_blocks, 4) else jnp.float32


def activate(
    x: Float[Array, "b ..."],
    bias: Float[Array, " c"],
    gain: float = 1.0,
    clamp: float | None = None,
) -> Float[Array, "b ..."]:
    """LeakyReLU of slope .2 with its gain sqrt(2), which keeps the variance, and the bias before.

    Args:
        x: channels last.
        bias: of each channel.
        gain: a further one.
        clamp: the largest absolute value, before the further gain.
    """
    x += bias.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))
    return clamped(nn.leaky_relu(x, 0.2) * (ROOT2 * gain), gain, clamp)


def clamped(x: Float[Array, "b ..."], gain: float, clamp: float | None) -> Float[Array, "b ..."]:
    if clamp is None:
        return x
    bound = jnp.asarray(clamp * gain, x.dtype)
    return lax.clamp(-bound, x, bound)


class Dense(nn.Module):
    """A matrix with equalised learning rate, and a bias.

    Attributes:
        features: that come out.
        rate: times the learning rate of other layers.
        bias: where it begins.
        active: whether `activate` follows.
    """

    features: int
    rate: float = 1.0
    bias: float = 0.0
    active: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b i"]) -> Float[Array, "b o"]:
        """x [b, i] to [b, features]."""
        inputs = x.shape[1]
        weight = self.param("weight", normal(1 / self.rate), (inputs, self.features))
        bias = self.param("bias", nn.initializers.constant(self.bias), (self.features,))
        x = x @ (weight * (self.rate / math.sqrt(inputs)))
        bias = bias * self.rate
        return activate(x, bias) if self.active else x + bias[None]


def normalised(x: Float[Array, "b n"]) -> Float[Array, "b n"]:
    """To a mean square of 1 in each row."""
    return x * lax.rsqrt((x**2).mean(axis=1, keepdims=True) + 1e-8)


def check_labels(labels: Labels | None, num_classes: int) -> None:
    """Raise InputError for labels without classes, and the reverse."""
    if (labels is None) != (num_classes == 0):
        have = "none" if labels is None else "some"
        raise InputError(
            f"labels must be given to a network with classes and to no other, got {have} for one "
            f"of {num_classes} classes"
        )


class Mapping(nn.Module):
    """Latents and classes to styles w: layers that learn a hundred times slower than others.

    A class is a vector that is learnt, and stands beside the latent. The discriminator has such a
    network for classes alone.

    Attributes:
        features: of w.
        layers: how many.
        num_classes: 0 for none.
        average: keep the average of w, "w_avg" in `batch_stats`.
        axis_name: the `pmap` axis over which the batch is split, if any.
    """

    features: int
    layers: int
    num_classes: int = 0
    average: bool = False
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, z: Latents | None, labels: Labels | None, beta: float | None = None
    ) -> Styles:
        """z [b, z], or None for classes alone, and labels [b] to w [b, features].

        `beta` is how much of the old average is kept; where it is None the average stays.
        """
        check_labels(labels, self.num_classes)
        parts = [] if z is None else [normalised(z)]
        if labels is not None:
            one_hot = jax.nn.one_hot(labels, self.num_classes)
            parts.append(normalised(Dense(self.features, name="embed")(one_hot)))
        w = jnp.concatenate(parts, axis=1)
        for i in range(self.layers):
            w = Dense(self.features, rate=0.01, active=True, name=f"fc{i}")(w)
        if self.average:
            average = self.variable("batch_stats", "w_avg", jnp.zeros, self.features)
            if beta is not None:
                mean = lax.stop_gradient(w.mean(axis=0))
                if self.axis_name is not None:
                    mean = lax.pmean(mean, self.axis_name)
                average.value = mean + beta * (average.value - mean)
        return w


def modulated_conv(
    x: Features,
    weight: Float[Array, "kh kw c o"],
    styles: Float[Array, "b c"],
    demodulate: bool = True,
    up: bool = False,
) -> Other:
    """Return a convolution whose weights each image's style scales (2020a, eq. 1 to 3).

    It scales what goes in, and what comes out in place of demodulating the weights: the same by
    linearity, and one convolution for the batch.

    Args:
        x: [b, h, w, i], in the precision to compute in.
        weight: HWIO, float32.
        styles: of each input feature, float32.
        demodulate: divide by the deviation that white noise of unit variance would come out with.
        up: to twice the size, see `resampling.conv_up`.
    """
    if demodulate and x.dtype != jnp.float32:
        # Demodulation undoes any factor of either: with 1 as the largest nothing grows.
        weight = weight / jnp.abs(weight).max(axis=(0, 1, 2), keepdims=True)
        weight = weight / math.sqrt(math.prod(weight.shape[:3]))
        styles = styles / jnp.abs(styles).max(axis=1, keepdims=True)
    kernel = weight.astype(x.dtype)
    x = x * styles.astype(x.dtype)[:, None, None]
    x = conv_up(x, kernel) if up else conv(x, kernel, 1, weight.shape[0] // 2)
    x = checkpoint_name(x, CONVOLVED)
    if demodulate:
        scales = lax.rsqrt(styles**2 @ (weight**2).sum(axis=(0, 1)) + 1e-8)
        x = x * scales.astype(x.dtype)[:, None, None]
    return x
