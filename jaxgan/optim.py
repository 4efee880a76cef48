"""Optimisers, and the average of the weights that pictures are drawn from.

Learning rates follow the generator's steps, for both players: however many turns the critic has,
`update` is given `step`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int


def adam(
    learning_rate: float | optax.Schedule, b1: float = 0.9, b2: float = 0.999
) -> optax.GradientTransformation:
    """Adam (Kingma & Ba, Adam: A Method for Stochastic Optimization, 2015, algorithm 1)."""
    return optax.chain(optax.scale_by_adam(b1, b2), descend(learning_rate))


def sgd(
    learning_rate: float | optax.Schedule, momentum: float = 0.9
) -> optax.GradientTransformation:
    """Gradient descent with momentum, as in PyTorch: v = momentum v + g, then -rate v.

    References:
        Sutskever et al., On the Importance of Initialization and Momentum in Deep Learning, 2013.
    """
    return optax.chain(optax.trace(momentum), descend(learning_rate))


def scaled(
    tx: optax.GradientTransformation, factor: Callable[[str], float]
) -> optax.GradientTransformation:
    """`tx` with each array's steps times a factor; with 0 it stays as it is.

    Args:
        tx: an optimiser.
        factor: of an array's name, "inception3a/branch1/conv/kernel".
    """

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        def scale(path: tuple, u: Array) -> Array:
            return factor("/".join(str(entry.key) for entry in path)) * u

        return jax.tree_util.tree_map_with_path(scale, updates), state

    return optax.chain(tx, optax.GradientTransformation(optax.init_empty_state, update))


def rmsprop(
    learning_rate: float | optax.Schedule, decay: float = 0.99
) -> optax.GradientTransformation:
    """RMSprop (Tieleman & Hinton, Lecture 6.5 of Neural Networks for Machine Learning, 2012).

    As in PyTorch: 1e-8 is added to the root, not under it.
    """
    return optax.chain(
        optax.scale_by_rms(decay, eps=1e-8, eps_in_sqrt=False), descend(learning_rate)
    )


def descend(learning_rate: float | optax.Schedule) -> optax.GradientTransformationExtraArgs:
    """Turns gradients into steps; a schedule is one of `update`'s `step`."""

    def update(updates: Any, state: Any, params: Any = None, *, step: Any = 0, **_: Any) -> Any:
        rate: Any = learning_rate(step) if callable(learning_rate) else learning_rate
        return jax.tree.map(lambda u: -rate * u, updates), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def clip_weights(bound: float) -> optax.GradientTransformation:
    """Keeps every weight within [-bound, bound]; the last of a chain.

    References:
        Arjovsky et al., Wasserstein GAN, 2017, algorithm 1, line 7.
    """

    def update(updates: Any, state: Any, params: Any) -> Any:
        clipped = lambda u, p: jnp.clip(p + u, -bound, bound) - p  # noqa: E731
        return jax.tree.map(clipped, updates, params), state

    return optax.GradientTransformation(optax.init_empty_state, update)


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
