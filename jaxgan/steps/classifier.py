"""One step of a classifier, and its judgement of pictures."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float, Int, UInt8

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
    mixup: float = 0.0,
    frozen: bool = False,
    microbatch: int | None = None,
    axis_name: str | None = None,
) -> Step:
    """Cross-entropy on the head and, at `AUX_WEIGHT`, on auxiliary heads where the model has them.

    Args:
        model: images [b, h, w, c] -> logits [b, k], or (logits, auxiliary logits, ...) in training.
        tx: the optimiser.
        label_smoothing: the share of a label's mass spread over all classes, in [0, 1).
        augment: applied to every picture, with p = 1.
        mixup: alpha of `mix`; 0 leaves pictures alone. A device's batches must be even.
        frozen: the trunk stays as it is, with its running statistics, and has no gradient. Batches
            may then hold what `trunk` makes of some views of each picture, float [b, v, f], in
            place of pictures: a step takes one view of each at random.
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
            if images.dtype == jnp.uint8:
                images = to_float(images)
                if augment is not None:
                    images = augment(images, jnp.float32(1), keys)
            else:
                images = pick_view(images, keys)
            others, share = labels, jnp.ones(len(labels))
            if mixup:
                images, others, share = mix(images, labels, mixup, keys)
            if frozen and images.ndim == 4:
                images = cast(Array, model.apply(state.net.variables, images, method="trunk"))

            def objective(params: dict) -> tuple[Array, tuple[Any, Metrics]]:
                out, updates = model.apply(
                    {"params": params, "batch_stats": state.net.stats},
                    images,
                    True,
                    rngs={"dropout": jax.random.fold_in(dropout_key, i)},
                    mutable=["batch_stats"],
                    method="head" if frozen else None,
                )
                logits, *auxiliary = out if isinstance(out, tuple) else (out,)

                own, theirs = (jax.nn.one_hot(x, logits.shape[-1]) for x in (labels, others))
                targets = share[:, None] * own + (1 - share[:, None]) * theirs
                loss = cross_entropy(logits, targets, label_smoothing)
                total = loss + AUX_WEIGHT * sum(
                    cross_entropy(head, targets, label_smoothing) for head in auxiliary
                )
                metrics = {"loss": loss, "accuracy": (logits.argmax(-1) == labels).mean()}
                return total, (state.net.stats | updates.get("batch_stats", {}), metrics)

            return jax.grad(objective, has_aux=True)(state.net.params)

        examples = (batch["image"], batch["label"], keys)
        found = accumulate(gradient, examples, parts(count, microbatch, axis_name))
        grads, (stats, metrics) = mean(found)
        net = state.net.replace(stats=stats).descend(grads, tx)
        return ClassifierState(state.step + 1, net), metrics

    return step


def pick_view(views: Float[Array, "b v f"], keys: Keys) -> Float[Array, "b f"]:
    """One view of each picture, at random."""
    u = noise.uniform(noise.fold_in(keys, 0), (len(views),))
    chosen = (u * views.shape[1]).astype(jnp.int32)
    return jnp.take_along_axis(views, chosen[:, None, None], 1)[:, 0]


def mix(
    images: Float[Array, "b ..."], labels: Int[Array, " b"], alpha: float, keys: Keys
) -> tuple[Float[Array, "b ..."], Int[Array, " b"], Float[Array, " b"]]:
    """Mixes each picture with its neighbour's: `share` of its own, the rest the other's.

    Neighbours in a shuffled batch are a random pair, and both lie on the same device.

    Returns:
        The mixed pictures, the neighbours' labels, and the pictures' own shares in [0, 1], drawn
        from Beta(alpha, alpha).

    References:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, eq. 1.
    """
    pairs = noise.fold_in(noise.example_keys(keys, len(images)), 1)
    share = jax.vmap(lambda key: jax.random.beta(key, alpha, alpha))(pairs)
    wide = share.reshape(-1, *(1,) * (images.ndim - 1))
    swapped = images.reshape(-1, 2, *images.shape[1:])[:, ::-1].reshape(images.shape)
    return wide * images + (1 - wide) * swapped, labels.reshape(-1, 2)[:, ::-1].reshape(-1), share


Predict = Callable[[Any, UInt8[Array, "b h w c"] | Float[Array, "b v f"]], Float[Array, "b k"]]


@lru_cache  # Compiled once for all seeds and arms.
def make_predict(model: nn.Module) -> Predict:
    """(variables, uint8 images or the trunk's features of them) -> log-probabilities of classes.

    Of several views of a picture the first counts: the picture as it is.
    """

    @jax.jit
    def predict(
        variables: dict, images: UInt8[Array, "b h w c"] | Float[Array, "b v f"]
    ) -> Float[Array, "b k"]:
        if images.dtype == jnp.uint8:
            logits = model.apply(variables, to_float(images), False)
        else:
            logits = model.apply(variables, images[:, 0], False, method="head")
        return jax.nn.log_softmax(cast(Array, logits))

    return predict
