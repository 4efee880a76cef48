"""The iteration of a drifting model: generated images move towards real ones, and apart.

There is no critic: in the space of a frozen network's features each generated image is drawn to
the real ones that are near and repelled by the generated ones that are, and the generator learns
to put out what that makes of its images. Where both have one distribution, nothing drifts.

References:
    Deng et al., Generative Modeling via Drifting, 2026.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from jaxgan import prng
from jaxgan.models.feature_sets import Sets
from jaxgan.steps.accumulation import mean_of_devices
from jaxgan.steps.state import GANState
from jaxgan.types import Batch, Images, Metrics, PRNGKey, Step, to_float

FRESH = 4  # Of so many images of a batch one joins the real ones that attract.
SELF = 1e6  # A distance at which nothing repels.


def drift(
    generated: Float[Array, "n d"],
    real: Float[Array, "m d"],
    temperatures: Sequence[float],
    classes: tuple[Int[Array, " n"], Int[Array, " m"]] | None = None,
) -> tuple[Float[Array, "n d"], Float[Array, ""]]:
    """Return where generated vectors drift, and the factor that brings vectors to that scale.

    Distances are in units of the mean one between both kinds (eq. 20, 21); an affinity is the
    geometric mean of softmaxes over a row and a column (algorithm 2); the drifts of all
    temperatures have unit mean square and are added (eq. 24 to 26).

    Args:
        generated: vectors; each is repelled by the others.
        real: vectors that attract.
        temperatures: of the kernel, as shares of the mean distance.
        classes: of the generated vectors and of the real ones: those of two classes neither
            attract nor repel each other, and their distances do not count. None: all are one.
    """
    count, size = generated.shape
    distances = jnp.concatenate(
        [_distances(generated, real), _distances(generated, generated)], axis=1
    )
    far = jnp.concatenate([jnp.zeros((count, len(real))), SELF * jnp.eye(count)], axis=1)
    if classes is None:
        mean = jnp.maximum(distances[:, : len(real)].mean(), 1e-8)
    else:
        own, others = classes
        apart = own[:, None] != jnp.concatenate([others, own])[None]
        mean = jnp.maximum(_mean(distances[:, : len(real)], ~apart[:, : len(real)]), 1e-8)
        far = jnp.where(apart, SELF, far)
    scale = jnp.sqrt(size) / mean
    moved = jnp.zeros_like(generated)
    for temperature in temperatures:
        logits = -(distances / mean + far) / temperature
        affinity = jnp.sqrt(jax.nn.softmax(logits, axis=0) * jax.nn.softmax(logits, axis=1))
        attracts, repels = jnp.split(affinity, [len(real)], axis=1)
        field = (attracts * repels.sum(axis=1, keepdims=True)) @ (scale * real)
        field -= (repels * attracts.sum(axis=1, keepdims=True)) @ (scale * generated)
        moved += field / jnp.maximum(jnp.sqrt((field**2).mean()), 1e-8)
    return scale * generated + moved, scale


def drifting_loss(
    sets: Sets,
    real: Sets,
    temperatures: Sequence[float],
    axis_name: str | None = None,
    classes: tuple[Int[Array, " n"], Int[Array, " m"]] | None = None,
) -> Float[Array, ""]:
    """Return the mean square by which this device's generated vectors drift (eq. 26).

    Args:
        sets: of generated images [b, places, d]; of those of all devices, each is repelled.
        real: of the real images that attract [m, places, d].
        temperatures: see `drift`.
        axis_name: the `pmap` axis over which generated images are split, if any.
        classes: of generated images, on all devices, and of real ones: see `drift`.
    """
    count = len(sets[0])
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    drifts = partial(drift, temperatures=temperatures, classes=classes)
    place = jax.vmap(drifts, in_axes=1, out_axes=(1, 0))

    def of(own: Float[Array, "b places d"], others: Float[Array, "m places d"]) -> Array:
        everyone = jax.lax.stop_gradient(own)
        if axis_name:
            everyone = jax.lax.all_gather(everyone, axis_name, tiled=True)
        target, scale = jax.lax.stop_gradient(place(everyone, others))
        target = jax.lax.dynamic_slice_in_dim(target, first, count)
        return ((scale[None, :, None] * own - target) ** 2).mean()

    losses = [of(*pair) for pair in zip(sets, real, strict=True)]
    return reduce(add, losses) / len(losses)


def make_step(
    generator: nn.Module,
    feature_sets: Callable[[Images], Sets],
    tx: optax.GradientTransformation,
    *,
    temperatures: Sequence[float],
    latent_dim: int,
    average: Callable[[Any, Any, Array], Any],
    conditional: bool = False,
    axis_name: str | None = None,
    all_reduce: str = "float32",
) -> Step:
    """Return one update of a generator; `state.critic` has no weights, but the real sets that
    attract.

    A quarter of each batch takes the place of the oldest of them: frozen features do not age.
    A conditional generator is told classes, those of the batch; each class drifts by itself.

    Args:
        generator: latents [b, z] -> images [b, h, w, 3] in [-1, 1]; `(z, train)`, or
            `(z, train, labels)`.
        feature_sets: of images; see `make_feature_sets`.
        tx: the generator's optimiser.
        temperatures: see `drift`.
        latent_dim: the size of z.
        average: (new, old, step) -> the averaged generator's variables. What else is in
            `state.ema` is constant and serves the trained generator, too.
        conditional: whether the generator is told the class.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.
        all_reduce: see `mean_of_devices`.

    Returns:
        step(state, batch, key) -> (state, metrics), with `batch["image"]` uint8 [b, h, w, 3].
    """

    def gathered(x: Array) -> Array:
        return jax.lax.all_gather(x, axis_name, tiled=True) if axis_name else x

    def newest(images: Images) -> Sets:
        if len(images) % FRESH:  # Not the same number on each device.
            return feature_sets(gathered(images)[::FRESH])
        return [gathered(x) for x in feature_sets(images[::FRESH])]

    def step(state: GANState, batch: Batch, key: PRNGKey) -> tuple[GANState, Metrics]:
        players = {"params": state.generator.params, "batch_stats": state.generator.stats}
        constants = {name: x for name, x in state.ema.items() if name not in players}
        latent_key, dropout_key = jax.random.split(key)
        images = to_float(batch["image"])
        keys = prng.example_keys(latent_key, len(images), axis_name, images)
        z = prng.normal(keys, (len(images), latent_dim))
        attracts: dict[str, Any] = {
            "real": [
                jnp.concatenate([old[len(new) :], new])
                for old, new in zip(state.critic.stats["real"], newest(images), strict=True)
            ]
        }
        labels, classes = (), None
        if conditional:
            labels, everyone = (batch["label"],), gathered(batch["label"])
            known = jnp.concatenate([state.critic.stats["labels"], everyone[::FRESH]])
            attracts["labels"] = known[len(everyone[::FRESH]) :]
            classes = (everyone, attracts["labels"])

        def loss(params: Any) -> tuple[Array, Any]:
            variables = {**constants, **players, "params": params}
            generated, updates = generator.apply(
                variables, z, True, *labels, rngs={"dropout": dropout_key}, mutable=["batch_stats"]
            )
            sets, real = feature_sets(generated), attracts["real"]
            value = drifting_loss(sets, real, temperatures, axis_name, classes)
            return value, updates.get("batch_stats", {})

        (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(players["params"])
        grads, (value, stats) = mean_of_devices(grads, (value, stats), axis_name, all_reduce)
        net = state.generator.replace(stats=stats).descend(grads, tx, step=state.step)
        old = {name: state.ema[name] for name in players}
        return state.replace(
            step=state.step + 1,
            generator=net,
            critic=state.critic.replace(stats=attracts),
            ema={**constants, **average(net.variables, old, state.step)},
        ), {"generator_loss": value, "generator_grad_norm": optax.tree.norm(grads)}

    return step


def _mean(x: Float[Array, "n m"], where: Bool[Array, "n m"]) -> Float[Array, ""]:
    return jnp.where(where, x, 0).sum() / jnp.maximum(where.sum(), 1)


def _distances(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Float[Array, "n m"]:
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1)[None] - 2 * x @ y.T
    return jnp.sqrt(jnp.maximum(squares, 1e-8))
