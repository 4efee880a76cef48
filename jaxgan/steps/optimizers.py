"""Optimisers, and the average of the weights that images are drawn from.

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


def lazy_adam(
    learning_rate: float, b1: float, b2: float, interval: int
) -> optax.GradientTransformation:
    """Adam for a loss with a term that has an update of its own in every `interval`-th step.

    There are (interval + 1) / interval updates a step, so that c = interval / (interval + 1) times
    the rate and the betas to the power of c come to the same in a step.

    References:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020, appendix B.
    """
    c = interval / (interval + 1)
    return adam(c * learning_rate, b1**c, b2**c)


def sgd(
    learning_rate: float | optax.Schedule, momentum: float = 0.9
) -> optax.GradientTransformation:
    """Gradient descent with momentum, as in PyTorch: v = momentum v + g, then -rate v.

    References:
        Sutskever et al., On the Importance of Initialization and Momentum in Deep Learning, 2013.
    """
    return optax.chain(optax.trace(momentum), descend(learning_rate))


def decayed(
    tx: optax.GradientTransformation,
    learning_rate: float | optax.Schedule,
    weight_decay: float,
) -> optax.GradientTransformation:
    """Besides the step of `tx`, kernels shrink by rate * weight_decay; biases and scales do not.

    The decay is decoupled: it goes into no moment, and follows the schedule. With `adam` it is
    AdamW, with `sgd` SGDW.

    References:
        Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019, algorithms 1 and 2.
    """

    def shrink(updates: Any, state: Any, params: Any, *, step: Any = 0, **_: Any) -> Any:
        rate: Any = learning_rate(step) if callable(learning_rate) else learning_rate

        def one(path: tuple[Any, ...], u: Array, p: Array) -> Array:
            return u - rate * weight_decay * p if path[-1].key == "kernel" else u

        return jax.tree_util.tree_map_with_path(one, updates, params), state

    last = optax.GradientTransformationExtraArgs(optax.init_empty_state, shrink)
    return optax.chain(tx, last)


def scaled(
    tx: optax.GradientTransformation, factor: Callable[[str], float]
) -> optax.GradientTransformation:
    """`tx` with each array's steps times a factor; with 0 it stays as it is, and costs nothing.

    Args:
        tx: an optimiser.
        factor: of an array's name, "inception3a/branch1/conv/kernel".
    """

    def by_name(function: Callable[[float, Array], Any], tree: Any) -> Any:
        def named(path: tuple[Any, ...], x: Array) -> Any:
            return function(factor("/".join(str(entry.key) for entry in path)), x)

        return jax.tree_util.tree_map_with_path(named, tree)

    def moves(tree: Any) -> Any:
        return by_name(lambda factor, _: factor != 0, tree)

    def scale(updates: Any, state: Any, params: Any = None) -> Any:
        return by_name(
            lambda factor, u: factor * u if factor else jnp.zeros_like(u), updates
        ), state

    # Else Adam would go through the moments of a frozen trunk in each step of a small head.
    moving = optax.masked(tx, moves)
    return optax.chain(moving, optax.GradientTransformation(optax.init_empty_state, scale))


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
    """Turn gradients into steps; a schedule is one of `update`'s `step`."""

    def update(updates: Any, state: Any, params: Any = None, *, step: Any = 0, **_: Any) -> Any:
        rate: Any = learning_rate(step) if callable(learning_rate) else learning_rate
        return jax.tree.map(lambda u: -rate * u, updates), state

    return optax.GradientTransformationExtraArgs(optax.init_empty_state, update)


def clip_weights(bound: float) -> optax.GradientTransformation:
    """Keep every weight within [-bound, bound]; the last of a chain.

    References:
        Arjovsky et al., Wasserstein GAN, 2017, algorithm 1, line 7.
    """

    def update(updates: Any, state: Any, params: Any) -> Any:
        clipped = lambda u, p: jnp.clip(p + u, -bound, bound) - p  # noqa: E731
        return jax.tree.map(clipped, updates, params), state

    return optax.GradientTransformation(optax.init_empty_state, update)


def average(new: Any, old: Any, step: Int[Array, ""], decay: float) -> Any:
    """Return one turn of an exponential moving average, warmed up: min(decay, (1 + n) / (10 + n)).

    The warm-up lets the average forget the random start within tens of steps.

    Args:
        new: what is averaged; weights and batch statistics alike.
        old: the average so far.
        step: how many turns there have been.
        decay: what is kept each turn, in [0, 1).
    """
    n = step.astype(jnp.float32)
    return optax.incremental_update(new, old, 1 - jnp.minimum(decay, (1 + n) / (10 + n)))


def average_by_images(
    new: Any, old: Any, step: Int[Array, ""], batch: int, half_life: float, ramp: float | None
) -> Any:
    """Return one turn of an exponential moving average that forgets half in `half_life` images.

    Args:
        new: what is averaged.
        old: the average so far.
        step: how many turns there have been.
        batch: images in a turn.
        half_life: images.
        ramp: the half-life is at most this share of the images before; None: always the same.

    References:
        Karras et al., Training Generative Adversarial Networks with Limited Data, 2020,
        appendix C: half-life in images, and its ramp.
    """
    life = jnp.float32(half_life)
    if ramp is not None:
        life = jnp.minimum(life, ramp * batch * step.astype(jnp.float32))
    return optax.incremental_update(new, old, 1 - 0.5 ** (batch / jnp.maximum(life, 1e-8)))
