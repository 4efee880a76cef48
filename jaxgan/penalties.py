"""Terms that shape the critic: functions of (critic, real, fake, key).

They hold for each picture alone: a critic with batch normalisation mixes pictures up.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan import noise
from jaxgan.types import Critic, Images, Keys, Penalty, Scalar


def _squared_slopes(critic: Critic, images: Images) -> Float[Array, " b"]:
    slopes = jax.grad(lambda x: critic(x).sum())(images)
    return (slopes**2).sum(axis=(1, 2, 3))


def gradient_penalty(weight: float = 10.0) -> Penalty:
    """Pulls the critic's gradient norm to 1 between real and fake (WGAN-GP, eq. 3).

    Args:
        weight: `lambda` in the paper.

    References:
        Gulrajani et al., Improved Training of Wasserstein GANs, 2017.
    """

    def penalty(critic: Critic, real: Images, fake: Images, key: Keys) -> Scalar:
        t = noise.uniform(key, (real.shape[0], 1, 1, 1))
        squares = _squared_slopes(critic, t * real + (1 - t) * fake)
        norms = jnp.sqrt(squares + 1e-12)  # The root's slope at 0 is infinite.
        return weight * ((norms - 1) ** 2).mean()

    return penalty


def r1(gamma: float) -> Penalty:
    """gamma / 2 times the mean squared gradient norm at real pictures.

    References:
        Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018, eq. 9.
    """

    def penalty(critic: Critic, real: Images, fake: Images, key: Keys) -> Scalar:
        return gamma / 2 * _squared_slopes(critic, real).mean()

    return penalty


def r2(gamma: float) -> Penalty:
    """gamma / 2 times the mean squared gradient norm at generated pictures (`r1`'s eq. 10)."""

    def penalty(critic: Critic, real: Images, fake: Images, key: Keys) -> Scalar:
        return gamma / 2 * _squared_slopes(critic, fake).mean()

    return penalty


def total(*penalties: Penalty) -> Penalty:
    """The sum, each with a key of its own."""

    def penalty(critic: Critic, real: Images, fake: Images, key: Keys) -> Scalar:
        terms = [
            each(critic, real, fake, noise.fold_in(key, i)) for i, each in enumerate(penalties)
        ]
        return jnp.stack(terms).sum()

    return penalty
