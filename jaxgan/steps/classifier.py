"""One step of a classifier, and its judgement of pictures."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float, UInt8

from jaxgan import noise
from jaxgan.losses import cross_entropy
from jaxgan.state import ClassifierState
from jaxgan.steps.loops import accumulate, parts
from jaxgan.types import Augment, Batch, Keys, Metrics, PRNGKey, Step, to_float

AUX_WEIGHT = 0.3
"""Weight of an auxiliary head (Szegedy et al., Going Deeper with Convolutions, 2015, section 5)."""


def make_step(
    model: nn.Module,
    tx: optax.GradientTransformation,
    *,
    label_smoothing: float = 0.0,
    augment: Augment | None = None,
    microbatch: int | None = None,
    axis_name: str | None = None,
) -> Step:
    """Cross-entropy on the head and, at `AUX_WEIGHT`, on auxiliary heads where the model has them.

    Args:
        model: images [b, h, w, c] -> logits [b, k], or (logits, auxiliary logits, ...) in training.
        tx: the optimiser.
        label_smoothing: the share of a label's mass spread over all classes, in [0, 1).
        augment: applied to every picture, with p = 1.
        microbatch: pictures at a time, on all devices together, for less memory; all where None.
            Equal numbers but for batch normalisation (see `accumulate`) and dropout.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.
    """
    mean = partial(jax.lax.pmean, axis_name=axis_name) if axis_name else lambda tree: tree

    def step(state: ClassifierState, batch: Batch, key: PRNGKey) -> tuple[ClassifierState, Metrics]:
        augment_key, dropout_key = jax.random.split(key)
        count = len(batch["label"])
        keys = noise.example_keys(augment_key, count, axis_name)

        def gradient(part: tuple[Array, Array, Keys], i: Array) -> Any:
            images, labels, keys = part
            images = to_float(images)
            if augment is not None:
                images = augment(images, jnp.float32(1), keys)

            def objective(params: dict) -> tuple[Array, tuple[Any, Metrics]]:
                out, updates = model.apply(
                    {"params": params, "batch_stats": state.net.stats},
                    images,
                    True,
                    rngs={"dropout": jax.random.fold_in(dropout_key, i)},
                    mutable=["batch_stats"],
                )
                logits, *auxiliary = out if isinstance(out, tuple) else (out,)
                loss = cross_entropy(logits, labels, label_smoothing)
                total = loss + AUX_WEIGHT * sum(
                    cross_entropy(head, labels, label_smoothing) for head in auxiliary
                )
                metrics = {"loss": loss, "accuracy": (logits.argmax(-1) == labels).mean()}
                return total, (updates.get("batch_stats", {}), metrics)

            return jax.grad(objective, has_aux=True)(state.net.params)

        examples = (batch["image"], batch["label"], keys)
        found = accumulate(gradient, examples, parts(count, microbatch, axis_name))
        grads, (stats, metrics) = mean(found)
        net = state.net.replace(stats=stats).descend(grads, tx)
        return ClassifierState(state.step + 1, net), metrics

    return step


Predict = Callable[[Any, UInt8[Array, "b h w c"]], Float[Array, "b k"]]


@lru_cache  # Compiled once for all seeds and arms.
def make_predict(model: nn.Module) -> Predict:
    """(variables, uint8 images) -> log-probabilities of the classes."""

    @jax.jit
    def predict(variables: dict, images: UInt8[Array, "b h w c"]) -> Float[Array, "b k"]:
        logits = model.apply(variables, to_float(images), False)
        return jax.nn.log_softmax(cast(Array, logits))

    return predict
