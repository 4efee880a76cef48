"""Normalisation of batches and of single images, with PyTorch's constants."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.types import PRNGKey

EPSILON = 1e-5
# PyTorch's momentum of 0.1 is our 0.9. The running variance is the biased one, as always in flax.
BatchNorm = partial(nn.BatchNorm, epsilon=EPSILON, momentum=0.9)


class InstanceNorm(nn.Module):
    """Normalise each image's channels over its pixels, as PyTorch's affine InstanceNorm2d.

    Mean and variance come from one pass, which reads a block of activations once instead of twice.
    So that a mean far from 0 costs no digits it is of what differs from the first pixel, but for
    bfloat16, which has not so many digits to lose.

    Attributes:
        dtype: of the result; the statistics are float32 or finer.
        scale_init: of the channels' scales; their shifts begin at 0.
    """

    dtype: Any = jnp.float32
    scale_init: nn.initializers.Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        channels = x.shape[3:]
        scale = self.param("scale", self.scale_init, channels)[None, None, None]
        bias = self.param("bias", nn.initializers.zeros, channels)[None, None, None]
        given, x = x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if x.dtype == given:
            x -= lax.stop_gradient(x[:, :1, :1])  # The result does not depend on it.
        mean, square = (v.mean((1, 2), keepdims=True) for v in (x, x * x))
        variance = jnp.maximum(square - mean**2, 0)
        return ((x - mean) * (lax.rsqrt(variance + EPSILON) * scale) + bias).astype(self.dtype)


def around_one(key: PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """DCGAN's scales of normalisations: N(1, .02)."""
    return 1 + nn.initializers.normal(0.02)(key, shape, dtype)


def batch_norm(train: bool, dtype: Any, axis_name: str | None, name: str) -> nn.Module:
    """Return DCGAN's batch normalisation."""
    return BatchNorm(
        use_running_average=not train,
        axis_name=axis_name,
        dtype=dtype,
        scale_init=around_one,
        name=name,
    )
