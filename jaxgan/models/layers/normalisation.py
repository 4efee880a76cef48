"""Normalisation of batches and of single images, with PyTorch's constants."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array

from jaxgan.types import PRNGKey

# PyTorch's momentum of 0.1 is our 0.9. The running variance is the biased one, as always in flax.
BatchNorm = partial(nn.BatchNorm, epsilon=1e-5, momentum=0.9)
InstanceNorm = partial(nn.InstanceNorm, epsilon=1e-5, use_fast_variance=False)


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
