"""One step of a classifier, and its predictions."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jaxtyping import Array, Float, Shaped, UInt8

from jaxgan import prng
from jaxgan.steps.accumulation import accumulate, mean_of_devices, parts
from jaxgan.steps.losses import cross_entropy
from jaxgan.steps.optimizers import average
from jaxgan.steps.state import ClassifierState
from jaxgan.types import Augment, Batch, Images, Keys, Metrics, PRNGKey, Step, to_float

AUX_WEIGHT = 0.3
"""Weight of an auxiliary head (Szegedy et al., Going Deeper with Convolutions, 2015, section 5)."""


def make_step(
    model: nn.Module,
    tx: optax.GradientTransformation,
    *,
    augment: Augment | None = None,
    frozen: bool = False,
    **more: Any,
) -> Step:
    """Return the step of a classifier of images; of a linear probe see `linear_probe`.

    Args:
        model: images [b, h, w, c] -> logits [b, k], or (logits, auxiliary logits, ...) in training.
        tx: the optimiser.
        augment: applied to every image, with p = 1.
        frozen: the trunk stays as it is, with its running statistics, and has no gradient.
        more: see `supervised`.
    """

    def prepare(images: UInt8[Array, "b h w c"], keys: Keys) -> Images:
        images = to_float(images)
        return images if augment is None else augment(images, jnp.float32(1), keys)

    def look(variables: Any, images: Images) -> Float[Array, "b f"]:
        return cast(Array, model.apply(variables, images, method="trunk"))

    if frozen:
        return supervised(model, tx, prepare, look, method="head", **more)
    return supervised(model, tx, prepare, **more)


def supervised(
    model: nn.Module,
    tx: optax.GradientTransformation,
    prepare: Callable[[Array, Keys], Array],
    look: Callable[[Any, Array], Array] = lambda variables, x: x,
    *,
    method: str | None = None,
    label_smoothing: float = 0.0,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    feature_noise: float = 0.0,
    ema_decay: float = 0.0,
    microbatch: int | None = None,
    axis_name: str | None = None,
    all_reduce: str = "float32",
) -> Step:
    """Cross-entropy on the head and, at `AUX_WEIGHT`, on auxiliary heads where the model has them.

    A batch may have "weight" [b], of each image in the loss: it is then the weighted mean.

    Args:
        model: whose `method` learns; (x, train) -> logits [b, k], or a tuple of them.
        tx: the optimiser.
        prepare: (the batch's "image", keys) -> what is mixed.
        look: (variables, what was mixed) -> x, without a gradient.
        method: None is the whole model.
        label_smoothing: the share of a label's mass spread over all classes, in [0, 1).
        mixup: alpha of `mix`; 0 leaves images alone. A device's batches must be even.
        cutmix: alpha of `cut_mix`, likewise; with both, each pair has one of them at random.
        feature_noise: the deviation of Gaussian noise on a frozen trunk's features, in units of
            each feature's own over the batch.
        ema_decay: of the state's averages, where it has any.
        microbatch: images at a time, on all devices together, for less memory; all where None.
            Equal numbers but for batch normalisation (see `accumulate`) and dropout.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.
        all_reduce: see `mean_of_devices`.
    """
    mean = partial(jax.lax.pmean, axis_name=axis_name) if axis_name else lambda tree: tree

    def step(state: ClassifierState, batch: Batch, key: PRNGKey) -> tuple[ClassifierState, Metrics]:
        augment_key, dropout_key = jax.random.split(key)
        count = len(batch["label"])
        keys = prng.example_keys(augment_key, count, axis_name)

        weights = batch.get("weight")
        if weights is not None:  # Their mean is 1 over all devices and microbatches together.
            weights = weights / jnp.maximum(mean(weights.mean()), 1e-12)

        def gradient(part: tuple[Array, Array, Keys, Array | None], i: Array) -> Any:
            images, labels, keys, weights = part
            images = prepare(images, keys)
            others, share = (labels, weights), jnp.ones(len(labels))
            if mixup or cutmix:
                images, share = _mix(images, mixup, cutmix, keys)
                others = jax.tree.map(swap, others)
            images = look(state.net.variables, images)
            if feature_noise:
                images = add_noise(images, feature_noise, keys, axis_name)

            def objective(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
                out, updates = model.apply(
                    {"params": params, "batch_stats": state.net.stats},
                    images,
                    True,
                    rngs={"dropout": jax.random.fold_in(dropout_key, i)},
                    mutable=["batch_stats"],
                    method=method,
                )
                logits, *auxiliary = out if isinstance(out, tuple) else (out,)

                own, theirs = (jax.nn.one_hot(x, logits.shape[-1]) for x in (labels, others[0]))
                targets, heavy = weigh(share, own, theirs, weights, others[1])
                loss, *more = (
                    cross_entropy(x, targets, label_smoothing, heavy) for x in (logits, *auxiliary)
                )
                total = loss + AUX_WEIGHT * sum(more)
                metrics = {"loss": loss, "accuracy": (logits.argmax(-1) == labels).mean()}
                return total, (state.net.stats | updates.get("batch_stats", {}), metrics)

            return jax.grad(objective, has_aux=True)(state.net.params)

        examples = (batch["image"], batch["label"], keys, weights)
        grads, aux = accumulate(gradient, examples, parts(count, microbatch, axis_name))
        grads, (stats, metrics) = mean_of_devices(grads, aux, axis_name, all_reduce)
        net = state.net.replace(stats=stats).descend(grads, tx, step=state.step)
        after = state.replace(step=state.step + 1, net=net)
        return after.averaged(lambda new, old: average(new, old, state.step, ema_decay)), metrics

    return step


def swap(x: Shaped[Array, "b ..."]) -> Shaped[Array, "b ..."]:
    """Return each image's neighbour: 1, 0, 3, 2, ...

    Neighbours in a shuffled batch are a random pair, and both lie on the same device.
    """
    return x.reshape(-1, 2, *x.shape[1:])[:, ::-1].reshape(x.shape)


def mix(
    images: Float[Array, "b ..."], alpha: float, keys: Keys
) -> tuple[Float[Array, "b ..."], Float[Array, " b"]]:
    """Mix each image, or its features, with its neighbour's (`swap`).

    Returns:
        The mixed images, and the shares of their own in them, drawn from Beta(alpha, alpha).

    References:
        Zhang et al., mixup: Beyond Empirical Risk Minimization, 2018, eq. 1.
    """
    share = _beta(prng.fold_in(prng.example_keys(keys, len(images)), 1), alpha)
    wide = share.reshape(-1, *(1,) * (images.ndim - 1))
    return wide * images + (1 - wide) * swap(images), share


def cut_mix(
    images: Images, alpha: float, keys: Keys
) -> tuple[Float[Array, "b h w c"], Float[Array, " b"]]:
    """Put a rectangle of its neighbour (`swap`) into each image, at the same place.

    Its middle is anywhere and its area 1 - Beta(alpha, alpha) of the image's, less what lies
    outside.

    Returns:
        The images, and the shares of them that are their own.

    References:
        Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
        Features, 2019, eq. 1 and 2.
    """
    b, h, w, _ = images.shape
    pairs = prng.fold_in(prng.example_keys(keys, b), 2)
    side = jnp.sqrt(1 - _beta(pairs, alpha))
    middle = prng.uniform(prng.fold_in(pairs, 1), (b, 2))
    rows, columns = (
        jnp.abs(jnp.arange(n)[None] + 0.5 - n * middle[:, i, None]) < n * side[:, None] / 2
        for i, n in enumerate((h, w))
    )
    inside = rows[:, :, None] & columns[:, None]
    mixed = jnp.where(inside[..., None], swap(images), images)
    return mixed, 1 - inside.astype(jnp.float32).mean((1, 2))


def _beta(keys: Keys, alpha: float) -> Float[Array, " b"]:
    return jax.vmap(lambda key: jax.random.beta(key, alpha, alpha))(keys)


def _mix(images: Array, mixup: float, cutmix: float, keys: Keys) -> tuple[Array, Array]:
    ways = [(mix, mixup), (cut_mix, cutmix)]
    found = [way(images, alpha, keys) for way, alpha in ways if alpha]
    if not found[1:]:
        return found[0]
    first = prng.uniform(prng.fold_in(prng.example_keys(keys, len(images)), 3), found[0][1].shape)
    return jax.tree.map(
        lambda a, b: jnp.where((first < 0.5).reshape(-1, *(1,) * (a.ndim - 1)), a, b), *found
    )


def add_noise(
    features: Float[Array, "b f"], std: float, keys: Keys, axis_name: str | None = None
) -> Float[Array, "b f"]:
    """Add N(0, std) in units of each feature's deviation over the batch.

    References:
        DeVries & Taylor, Dataset Augmentation in Feature Space, 2017, section 3.2.
    """
    mean = partial(jax.lax.pmean, axis_name=axis_name) if axis_name else lambda x: x
    middle = mean(features.mean(0))
    deviation = jnp.sqrt(mean(((features - middle[None]) ** 2).mean(0)))
    drawn = prng.normal(prng.fold_in(keys, 4), features.shape)
    return features + std * deviation[None] * drawn


def weigh(
    share: Float[Array, " b"],
    own: Float[Array, "b k"],
    theirs: Float[Array, "b k"],
    weights: Float[Array, " b"] | None = None,
    other_weights: Float[Array, " b"] | None = None,
) -> tuple[Float[Array, "b k"], Float[Array, " b"] | None]:
    """Return the classes' shares in mixed images, and the mixed images' weights.

    An image counts by its weight in the mixture, too.
    """
    if weights is None or other_weights is None:
        return share[:, None] * own + (1 - share[:, None]) * theirs, None
    mine, others = share * weights, (1 - share) * other_weights
    total = mine + others
    part = jnp.where(total > 0, mine / jnp.where(total > 0, total, 1), share)[:, None]
    return part * own + (1 - part) * theirs, total


Shown = UInt8[Array | np.ndarray, "b h w c"] | Float[Array | np.ndarray, "b v f"]
Predict = Callable[[Any, Shown], Float[Array, "b k"]]


@lru_cache  # Compiled once for all seeds and arms.
def make_predict(model: nn.Module) -> Predict:
    """(variables, uint8 images or the trunk's features of them) -> log-probabilities of classes.

    Of several views of an image the first counts: the image as it is.
    """

    @jax.jit
    def predict(
        variables: Any, images: UInt8[Array, "b h w c"] | Float[Array, "b v f"]
    ) -> Float[Array, "b k"]:
        if images.dtype == jnp.uint8:
            logits = model.apply(variables, to_float(images), False)
        else:
            logits = model.apply(variables, images[:, 0], False, method="head")
        return jax.nn.log_softmax(cast(Array, logits))

    return predict
