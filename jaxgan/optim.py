"""Optimisers, and the average of the weights that pictures are drawn from."""

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, Int


def adam(learning_rate: float, b1: float = 0.9, b2: float = 0.999) -> optax.GradientTransformation:
    """Adam (Kingma & Ba, Adam: A Method for Stochastic Optimization, 2015, algorithm 1)."""
    return optax.adam(learning_rate, b1=b1, b2=b2)


def average(new: Any, old: Any, step: Int[Array, ""], decay: float) -> Any:
    """One turn of an exponential moving average, warmed up: min(decay, (1 + n) / (10 + n)).

    The warm-up lets the average forget the random start within tens of steps.

    Args:
        new: what is averaged; weights and batch statistics alike.
        old: the average so far.
        step: how many turns there have been.
        decay: what is kept each turn, in [0, 1).
    """
    n = step.astype(jnp.float32)
    return optax.incremental_update(new, old, 1 - jnp.minimum(decay, (1 + n) / (10 + n)))
