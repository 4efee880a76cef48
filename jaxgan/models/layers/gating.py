"""Gated linear units."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


def gated(x: Float[Array, "b h w c2"]) -> Float[Array, "b h w c"]:
    """Return half of the channels, weighed by the sigmoid of the other half.

    References:
        Dauphin et al., Language Modeling with Gated Convolutional Networks, 2017, eq. 1.
    """
    value, gate = jnp.split(x, 2, axis=3)
    return value * nn.sigmoid(gate)
