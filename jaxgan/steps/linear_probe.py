"""One step of a head on features that a frozen trunk computed before."""

from typing import Any

import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from jaxgan import prng
from jaxgan.steps.classifier import supervised
from jaxgan.types import Keys, Step


def make_step(model: nn.Module, tx: optax.GradientTransformation, **more: Any) -> Step:
    """Return the step of a model's `head` on batches with "image" [b, v, f]: views of each image.

    Args:
        model: with a method `head`, features [b, f] -> logits [b, k].
        tx: the optimiser.
        more: see `classifier.supervised`.
    """
    return supervised(model, tx, pick_view, method="head", **more)


def pick_view(views: Float[Array, "b v f"], keys: Keys) -> Float[Array, "b f"]:
    """Return one view of each image, at random."""
    u = prng.uniform(prng.fold_in(keys, 0), (len(views),))
    chosen = (u * views.shape[1]).astype(jnp.int32)
    return jnp.take_along_axis(views, chosen[:, None, None], 1)[:, 0]
