"""Dropout that does not depend on the number of devices."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan import prng


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
