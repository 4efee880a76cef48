"""What the networks of all recipes are built with."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgan.config.model_settings import StyleGAN2Model
from jaxgan.models.layers.conv_layer import remat


def dtype(precision: str) -> Any:
    """Return the type of the computation; weights are float32."""
    return {"float32": jnp.float32, "bf16": jnp.bfloat16}[precision]


def bf16_blocks(model: StyleGAN2Model, precision: str) -> int:
    """Return how many blocks of a StyleGAN2, those at the largest sizes, compute in bfloat16."""
    return model.bf16_blocks if precision == "bf16" else 0


def module(recompute: bool, kind: type[nn.Module]) -> Any:
    """Return the module, which recomputes what it can where `train.remat` is set."""
    return remat(kind) if recompute else kind


def images(resolution: int) -> jax.ShapeDtypeStruct:
    """Return what a network's weights are made by: two images."""
    return jax.ShapeDtypeStruct((2, resolution, resolution, 3), jnp.float32)
