"""Convolutions with their weights, and what `remat` keeps of a network of them."""

import math
from functools import lru_cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxgan.models.layers.convolution import Pair, conv, conv_transpose, pair
from jaxgan.models.layers.spectral_norm import largest_singular_value, power_iteration

CONVOLVED = "convolved"  # What `remat` keeps.


def uniform(fan_in: int) -> nn.initializers.Initializer:
    """PyTorch's default for weights and biases: U(-1, 1) / sqrt(fan_in)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in)
    )


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


@lru_cache  # One class, so that equal modules are equal.
def remat(module: type[nn.Module]) -> type[nn.Module]:
    """Return the module (images or latents, train), which keeps only what its convolutions put out.

    What lies between them (normalisation, activations), more than half of it all, is computed
    again for the gradients.
    """
    policy = jax.checkpoint_policies.save_only_these_names(CONVOLVED)
    return nn.remat(module, policy=policy, static_argnums=(2,))
