"""Spectral normalisation: the largest singular value of a kernel, by power iteration."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.models.layers.convolution import Kernel
from jaxgan.types import PRNGKey


def largest_singular_value(
    kernel: Kernel, u: Float[Array, " o"]
) -> tuple[Float[Array, " o"], Float[Array, ""]]:
    """Return one power iteration: the next u, and sigma of the kernel as a matrix [kh * kw * i, o].

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
    """Return where spectral normalisation begins: u after some turns, as in PyTorch."""
    u = _unit(jax.random.normal(key, kernel.shape[-1:]))
    turn = lambda i, u: largest_singular_value(kernel, u)[0]  # noqa: E731
    return jax.lax.fori_loop(0, turns, turn, u)


def _unit(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)
