"""Terms that shape the critic: functions of (critic, real, fake, key)."""

import jax
import jax.numpy as jnp

from jaxgan import noise
from jaxgan.types import Critic, Images, Keys, Penalty, Scalar


def gradient_penalty(weight: float = 10.0) -> Penalty:
    """Pulls the critic's gradient norm to 1 between real and fake (WGAN-GP, eq. 3).

    Args:
        weight: `lambda` in the paper.

    References:
        Gulrajani et al., Improved Training of Wasserstein GANs, 2017.
    """

    def penalty(critic: Critic, real: Images, fake: Images, key: Keys) -> Scalar:
        t = noise.uniform(key, (real.shape[0], 1, 1, 1))
        grads = jax.grad(lambda x: critic(x).sum())(t * real + (1 - t) * fake)
        norms = jnp.sqrt(
            (grads**2).sum(axis=(1, 2, 3)) + 1e-12
        )  # The root's slope at 0 is infinite.
        return weight * ((norms - 1) ** 2).mean()

    return penalty
