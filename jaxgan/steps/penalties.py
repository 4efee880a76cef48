"""Terms that shape the critic, functions of (critic, real, fake, key), and one of a generator's.

They hold for each image alone: a critic with batch normalisation mixes images up.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan import prng
from jaxgan.types import Critic, Images, Keys, Penalty, Scalar

Ws = Float[Array, "b layers d"]


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
        t = prng.uniform(key, (real.shape[0], 1, 1, 1))
        squares = _squared_slopes(critic, t * real + (1 - t) * fake)
        norms = jnp.sqrt(squares + 1e-12)  # The root's slope at 0 is infinite.
        return weight * ((norms - 1) ** 2).mean()

    return penalty


def r1(gamma: float) -> Penalty:
    """gamma / 2 times the mean squared gradient norm at real images.

    References:
        Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018, eq. 9.
    """

    def penalty(critic: Critic, real: Images, fake: Images, key: Keys) -> Scalar:
        return gamma / 2 * _squared_slopes(critic, real).mean()

    return penalty


def r2(gamma: float) -> Penalty:
    """gamma / 2 times the mean squared gradient norm at generated images (`r1`'s eq. 10)."""

    def penalty(critic: Critic, real: Images, fake: Images, key: Keys) -> Scalar:
        return gamma / 2 * _squared_slopes(critic, fake).mean()

    return penalty


def path_lengths(synthesise: Callable[[Ws], Images], ws: Ws, key: Keys) -> Float[Array, " b"]:
    """Return how far an image moves with its w: the norm of J^T y, y ~ N(0, I), over a layer's
    share.

    Args:
        synthesise: from one w a layer to images, each from its own alone.
        ws: where.
        key: the batch's, or the examples' own.

    Returns:
        Root mean square over layers; y is divided by the root of the number of pixels.

    References:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020, section 3.2.
    """

    def product(ws: Ws) -> Scalar:
        images = synthesise(ws)
        y = prng.normal(key, images.shape) / math.sqrt(images.shape[1] * images.shape[2])
        return (images * y).sum()

    squares = (jax.grad(product)(ws) ** 2).sum(2).mean(1)
    return jnp.sqrt(squares + 1e-12)  # The root's slope at 0 is infinite.


def path_length(
    lengths: Float[Array, " b"],
    mean: Scalar,
    weight: float = 2.0,
    decay: float = 0.01,
    axis_name: str | None = None,
) -> tuple[Scalar, Scalar]:
    """Pulls path lengths to their moving average (Karras et al., 2020, eq. 4).

    Args:
        lengths: from `path_lengths`.
        mean: the average so far.
        weight: of the penalty.
        decay: the share of these lengths in the new average.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.

    Returns:
        The penalty, and the new average, from which distances are taken; as in the published code
        gradients go through it.
    """
    now = lengths.mean()
    if axis_name:
        now = jax.lax.pmean(now, axis_name)
    mean = mean + decay * (now - mean)
    return weight * ((lengths - mean) ** 2).mean(), mean


def total(*penalties: Penalty) -> Penalty:
    """Return the sum, each with a key of its own."""

    def penalty(critic: Critic, real: Images, fake: Images, key: Keys) -> Scalar:
        terms = [each(critic, real, fake, prng.fold_in(key, i)) for i, each in enumerate(penalties)]
        return jnp.stack(terms).sum()

    return penalty
