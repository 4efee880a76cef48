"""Layers: convolutions with their weights, normalisation, dropout."""

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxgan import prng
from jaxgan.models.layers.convolution import Kernel, Pair, conv, conv_transpose, pair
from jaxgan.types import Images, InputError, Latents, PRNGKey

CONVOLVED = "convolved"  # What `remat` keeps.


def uniform(fan_in: int) -> nn.initializers.Initializer:
    """PyTorch's default for weights and biases: U(-1, 1) / sqrt(fan_in)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in)
    )


def around_one(key: PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """DCGAN's scales of normalisations: N(1, .02)."""
    return 1 + nn.initializers.normal(0.02)(key, shape, dtype)


class Conv(nn.Module):
    """A convolution with its weights in float32, computed in `dtype`.

    Attributes:
        spectral_norm: divide the kernel by its largest singular value; training mode moves the
            estimate of it, `u` in `batch_stats`, by one power iteration.
    """

    features: int
    window: int | Pair
    stride: int | Pair = 1
    padding: int | Pair = 0
    use_bias: bool = False
    kernel_init: nn.initializers.Initializer | None = None
    bias_init: nn.initializers.Initializer | None = None
    dtype: Any = jnp.float32
    spectral_norm: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w i"], train: bool = False
    ) -> Float[Array, "b h2 w2 o"]:
        """x [b, h, w, i] to [b, h2, w2, features] in `dtype`."""
        shape = (*pair(self.window), x.shape[3], self.features)
        default = uniform(math.prod(shape[:3]))
        kernel = self.param("kernel", self.kernel_init or default, shape)
        if self.spectral_norm:
            first = lambda: power_iteration(kernel, self.make_rng("params"))  # noqa: E731
            u = self.variable("batch_stats", "u", first)
            moved, sigma = largest_singular_value(kernel, u.value)
            if train and not self.is_initializing():
                u.value = moved
            kernel = kernel / sigma
        x = conv(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.padding)
        if self.use_bias:
            bias = self.param("bias", self.bias_init or default, (self.features,))
            x += bias.astype(self.dtype)[None, None, None]
        return checkpoint_name(x, CONVOLVED)


class ConvTranspose(nn.Module):
    """A transposed convolution with its weights in float32, computed in `dtype`."""

    features: int
    window: int | Pair
    stride: int | Pair = 1
    padding: int | Pair = 0
    dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
        """x [b, h, w, i] to [b, h2, w2, features] in `dtype`."""
        shape = (*pair(self.window), x.shape[3], self.features)
        # PyTorch takes the fan in of the convolution that this one transposes.
        default = uniform(math.prod(shape[:2]) * self.features)
        kernel = self.param("kernel", self.kernel_init or default, shape)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        return checkpoint_name(conv_transpose(x, kernel, self.stride, self.padding), CONVOLVED)


def largest_singular_value(
    kernel: Kernel, u: Float[Array, " o"]
) -> tuple[Float[Array, " o"], Float[Array, ""]]:
    """One power iteration: the next u, and sigma of the kernel as a matrix [kh * kw * i, o].

    Only sigma has a gradient, by the kernel alone.

    References:
        Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018,
        algorithm 1 (its u and v change places: our matrix is the transposed one).
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    fixed = jax.lax.stop_gradient(matrix)
    v = _unit(fixed @ u)
    u = _unit(v @ fixed)
    return u, v @ matrix @ u


def power_iteration(kernel: Kernel, key: PRNGKey, turns: int = 15) -> Float[Array, " o"]:
    """Where spectral normalisation begins: u after some turns, as in PyTorch."""
    u = _unit(jax.random.normal(key, kernel.shape[-1:]))
    turn = lambda i, u: largest_singular_value(kernel, u)[0]  # noqa: E731
    return jax.lax.fori_loop(0, turns, turn, u)


def _unit(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)


@lru_cache  # One class, so that equal modules are equal.
def remat(module: type[nn.Module]) -> type[nn.Module]:
    """The module (images or latents, train), which keeps only what its convolutions put out.

    What lies between them (normalisation, activations), more than half of it all, is computed
    again for the gradients.
    """
    policy = jax.checkpoint_policies.save_only_these_names(CONVOLVED)
    return nn.remat(module, policy=policy, static_argnums=(2,))


class Dropout(nn.Module):
    """Each example's mask comes from its own key (rng "dropout"), on whichever device it is.

    Attributes:
        rate: the share of zeros.
        axis_name: the `pmap` axis over which the batch is split, if any.
        channels: drop whole channels (Tompson et al., Efficient Object Localization Using
            Convolutional Networks, 2015), PyTorch's Dropout2d, rather than single values.
    """

    rate: float
    axis_name: str | None = None
    channels: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], train: bool) -> Float[Array, "b ..."]:
        """x, or in training x / (1 - rate) with probability 1 - rate and else 0."""
        if not train or self.rate == 0:
            return x
        shape = (len(x), *(1,) * (x.ndim - 2), x.shape[-1]) if self.channels else x.shape
        u = prng.uniform(self.make_rng("dropout"), shape, self.axis_name)
        return jnp.where(u < self.rate, 0, x / (1 - self.rate))


# PyTorch's momentum of 0.1 is our 0.9. The running variance is the biased one, as always in flax.
BatchNorm = partial(nn.BatchNorm, epsilon=1e-5, momentum=0.9)
InstanceNorm = partial(nn.InstanceNorm, epsilon=1e-5, use_fast_variance=False)


def batch_norm(train: bool, dtype: Any, axis_name: str | None, name: str) -> nn.Module:
    """Return DCGAN's batch normalisation."""
    return BatchNorm(
        use_running_average=not train,
        axis_name=axis_name,
        dtype=dtype,
        scale_init=around_one,
        name=name,
    )


def gated(x: Float[Array, "b h w c2"]) -> Float[Array, "b h w c"]:
    """Return half of the channels, weighed by the sigmoid of the other half.

    References:
        Dauphin et al., Language Modeling with Gated Convolutional Networks, 2017, eq. 1.
    """
    value, gate = jnp.split(x, 2, axis=3)
    return value * nn.sigmoid(gate)


def enlarged(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
    """Return twice the size: each value four times."""
    b, h, w, c = x.shape
    wide = jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c))
    return wide.reshape(b, 2 * h, 2 * w, c)


def check_latents(latents: Latents, latent_dim: int) -> None:
    """Raise InputError for latents of another size."""
    if latents.shape[1] != latent_dim:
        raise InputError(f"latents must be of {latent_dim}, got {latents.shape[1]}")


def check_images(images: Images, resolution: int) -> None:
    """Raise InputError for images of another size."""
    if images.shape[1:3] != (resolution, resolution):
        height, width = images.shape[1:3]
        raise InputError(f"images must be of {resolution} px, got {height} x {width}")
