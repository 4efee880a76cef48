"""The StyleGAN2-ADA iteration as pure functions: the players' turns, and those of lazy terms.

Each turn ends with a step of its player's optimiser, all on the same real images.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float, Int

from jaxgan import prng
from jaxgan.augment import ada
from jaxgan.models.layers.conv_layer import CONVOLVED
from jaxgan.steps.accumulation import Gradient, accumulate, mean_of_devices, parts
from jaxgan.steps.losses import NON_SATURATING
from jaxgan.steps.optimizers import average_by_images
from jaxgan.steps.penalties import path_length, path_lengths, r1
from jaxgan.steps.second_critic import SecondCritic
from jaxgan.steps.state import Net, StyleGAN2State
from jaxgan.types import Augment, Batch, Images, Keys, Logits, Metrics, PRNGKey, Step, to_float

W_BETA = 0.995  # Of the average w, which truncation starts from.
PATH_SHARE = 2  # Path lengths are of every second example only.
Ws = Float[Array, "b layers d"]
Labels = Int[Array, " b"] | None


class Lazy(NamedTuple):
    """A term of a player's loss that has its turn in some steps only, times their distance."""

    weight: float  # 0: never.
    every: int


class Adaptation(NamedTuple):
    """How the probability of augmentations follows the discriminator: see `ada.adjust`."""

    target: float = 0.6
    speed_kimg: float = 500.0


class Turns(NamedTuple):
    """What a step is made of, in this order; the critic's counts it. None where a weight is 0."""

    generator: Step
    path_length: Step | None
    critic: Step
    r1: Step | None


def make_turns(
    generator: nn.Module,
    critic: nn.Module,
    generator_tx: optax.GradientTransformation,
    critic_tx: optax.GradientTransformation,
    *,
    latent_dim: int,
    r1_gamma: Lazy,
    path: Lazy = Lazy(2.0, 4),
    path_decay: float = 0.01,
    style_mixing: float = 0.9,
    augment: Augment | None = None,
    adaptation: Adaptation | None = None,
    ema_kimg: float = 10.0,
    ema_ramp: float | None = None,
    conditional: bool = False,
    microbatch: int | None = None,
    remat: bool = False,
    axis_name: str | None = None,
    all_reduce: str = "float32",
    second: SecondCritic | None = None,
) -> Turns:
    """Return the turns of a StyleGAN2 with adaptive augmentation.

    Args:
        generator: see `jaxgan.models.stylegan2.Generator`.
        critic: images [b, h, w, c] and labels -> logits [b]; `(images, train, labels)`.
        generator_tx: the generator's optimiser; see `optimizers.lazy_adam`.
        critic_tx: the critic's.
        latent_dim: the size of z.
        r1_gamma: the weight of the critic's squared slope at real images, as before augmentation.
        path: the weight of the path length's penalty.
        path_decay: what the moving average of path lengths takes of each new one.
        style_mixing: the share of images with two latents' styles, parted at any layer.
        augment: applied to all that the critic sees, with the state's p.
        adaptation: of p; it stays as it is where None.
        ema_kimg: in so many thousand images the averaged generator forgets half,
        ema_ramp: or in this share of those seen, if that is less; None: always in `ema_kimg`.
        conditional: whether both players are told the class. Generated images have those of the
            real batch.
        microbatch: images at a time in each turn, on all devices together, for less memory; all
            where None. Equal numbers but for the path length's target, whose new share is that of
            the microbatch.
        remat: whether only what convolutions put out is kept for the gradients.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.
        all_reduce: see `mean_of_devices`.
        second: another critic, whose term is added to the generator's loss.

    Returns:
        Functions (state, batch, key) -> (state, metrics), with `batch["image"]` uint8 [b, h, w, c]
        and `batch["label"]` int32 [b]. All get the step's key.

    References:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020, appendix B.
        Karras et al., Training Generative Adversarial Networks with Limited Data, 2020.
    """
    change = augment or (lambda images, p, key: images)
    policy = jax.checkpoint_policies.save_only_these_names(CONVOLVED)
    kept: Any = partial(jax.checkpoint, policy=policy) if remat else lambda function: function
    layers: int = generator.num_ws  # type: ignore[attr-defined]

    def styles(net: Net, params: Any, labels: Labels, keys: Keys) -> tuple[Ws, Any]:
        """Return the ws of new latents, some of two mixed, and the statistics with the new average
        w.
        """
        apply: Any = partial(generator.apply, {"params": params, "batch_stats": net.stats})
        z, other = (prng.normal(prng.fold_in(keys, i), (len(keys), latent_dim)) for i in range(2))
        ws, updates = apply(z, labels, W_BETA, method="w_average", mutable=["batch_stats"])
        stats = net.stats | {"mapping": updates["batch_stats"]["mapping"]}
        u = prng.uniform(prng.fold_in(keys, 2), (len(keys), 2))
        cut = jnp.where(u[:, 0] < style_mixing, 1 + jnp.floor(u[:, 1] * (layers - 1)), layers)
        first = jnp.arange(layers)[None, :, None] < cut[:, None, None]
        return jnp.where(first, ws, apply(other, labels, method="to_ws")), stats

    @kept
    def synthesise(params: Any, net: Net, keys: Keys, ws: Ws) -> Images:
        variables = {"params": params, "batch_stats": net.stats}
        each = prng.fold_in(keys, 3)
        return generator.apply(variables, ws, "random", each, method="synthesise")  # type: ignore[return-value]

    @kept
    def score(params: Any, images: Images, labels: Labels, p: Array, keys: Keys) -> Logits:
        images = change(images, p, prng.fold_in(keys, 4))
        return critic.apply({"params": params}, images, True, labels)  # type: ignore[return-value]

    def averaged(gradient: Gradient, batch: Batch, key: PRNGKey, turn: int, every: int = 1) -> Any:
        """Return the mean of gradient(real, labels, real's keys, keys) over microbatches and
        devices.

        Of every so manieth example. Numbers that are not finite become 0 in the gradients.
        """
        real, labels = batch["image"][::every], batch["label"][::every] if conditional else None
        pair = jax.random.split(jax.random.fold_in(key, turn))
        keys = [prng.example_keys(k, len(real), axis_name, real) for k in pair]
        count = parts(len(batch["image"]), microbatch, axis_name)
        each = lambda part, i: gradient(to_float(part[0]), *part[1:])  # noqa: E731
        aux, grads = accumulate(each, (real, labels, *keys), count)
        grads, aux = mean_of_devices(grads, aux, axis_name, all_reduce)
        return aux, jax.tree.map(lambda g: jnp.where(jnp.isfinite(g), g, 0), grads)

    def generator_turn(
        state: StyleGAN2State, batch: Batch, key: PRNGKey
    ) -> tuple[StyleGAN2State, Metrics]:
        net = state.generator
        heads: Any = getattr(state, "second", None)

        def gradient(real: Images, labels: Labels, real_keys: Keys, keys: Keys) -> Any:
            def objective(params: Any) -> tuple[Array, Any]:
                ws, stats = styles(net, params, labels, keys)
                fake = synthesise(params, net, keys, ws)
                logits = score(state.critic.params, fake, labels, state.p, keys)
                value = NON_SATURATING.generator(logits, logits, keys)
                if second is None:
                    return value, (stats, None)
                term, looks = second.judge(heads, fake, state.p, keys)
                return value + term, (stats, looks)

            (value, (stats, looks)), grads = jax.value_and_grad(objective, has_aux=True)(net.params)
            if second is None:
                return (value, stats, None), (grads, None)
            learned, *more = second.learn(heads, real, looks, state.p, real_keys)
            return (value, stats, more), (grads, learned)

        (value, stats, more), (grads, learned) = averaged(gradient, batch, key, 0)
        net = net.replace(stats=stats).descend(grads, generator_tx, step=state.step)
        metrics = {"generator_loss": value, "generator_grad_norm": optax.tree.norm(grads)}
        if second is not None:
            metrics |= more[1]
            state = state.replace(second=second.update(heads, learned, more[0], state.step))
        return state.replace(generator=net), metrics

    def path_turn(
        state: StyleGAN2State, batch: Batch, key: PRNGKey
    ) -> tuple[StyleGAN2State, Metrics]:
        net = state.generator

        def gradient(real: Images, labels: Labels, _: Keys, keys: Keys) -> Any:
            def objective(params: Any) -> tuple[Array, tuple[Any, Array, Array]]:
                ws, stats = styles(net, params, labels, keys)
                drawn = partial(synthesise, params, net, keys)
                lengths = path_lengths(drawn, ws, prng.fold_in(keys, 5))
                term, target = path_length(
                    lengths, state.path_mean, path.weight, path_decay, axis_name
                )
                return path.every * term, (stats, target, lengths.mean())

            return jax.value_and_grad(objective, has_aux=True)(net.params)

        (value, (stats, path_mean, length)), grads = averaged(gradient, batch, key, 1, PATH_SHARE)
        net = net.replace(stats=stats).descend(grads, generator_tx, step=state.step)
        metrics = {"path_length": length, "path_penalty": value / path.every}
        return state.replace(generator=net, path_mean=path_mean), metrics

    def critic_turn(
        state: StyleGAN2State, batch: Batch, key: PRNGKey
    ) -> tuple[StyleGAN2State, Metrics]:
        net = state.generator

        def gradient(real: Images, labels: Labels, real_keys: Keys, keys: Keys) -> Any:
            ws, stats = styles(net, net.params, labels, keys)
            fake = jax.lax.stop_gradient(synthesise(net.params, net, keys, ws))

            def objective(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
                fake_logits = score(params, fake, labels, state.p, keys)
                real_logits = score(params, real, labels, state.p, real_keys)
                loss = NON_SATURATING.critic(real_logits, fake_logits, keys)
                return loss, (stats, _seen(real_logits, fake_logits) | {"critic_loss": loss})

            return jax.value_and_grad(objective, has_aux=True)(state.critic.params)

        (_, (stats, metrics)), grads = averaged(gradient, batch, key, 2)
        metrics |= {"critic_grad_norm": optax.tree.norm(grads), "augment_p": state.p}
        state = state.replace(
            generator=net.replace(stats=stats),
            critic=state.critic.descend(grads, critic_tx, step=state.step),
        )
        whole = len(batch["image"]) * (jax.lax.axis_size(axis_name) if axis_name else 1)
        return finished(state, whole, metrics["r_t"]), metrics

    def finished(state: StyleGAN2State, images: int, sign: Array) -> StyleGAN2State:
        """Return the state after so many more real images: averages, p, the count of steps."""
        half_life, net = 1000 * ema_kimg, state.generator
        params = average_by_images(
            net.params, state.ema["params"], state.step, images, half_life, ema_ramp
        )
        step, p, signs = state.step + 1, state.p, state.signs
        if adaptation is not None:
            signs += sign
            since = ada.INTERVAL * images
            moved = ada.adjust(p, signs / ada.INTERVAL, since, *adaptation)
            due = step % ada.INTERVAL == 0
            p, signs = jnp.where(due, moved, p), jnp.where(due, 0.0, signs)
        # A copy, since donated buffers must not be shared.
        ema = {"params": params, "batch_stats": jax.tree.map(jnp.copy, net.stats)}
        return state.replace(step=step, ema=ema, p=p, signs=signs)

    def r1_turn(
        state: StyleGAN2State, batch: Batch, key: PRNGKey
    ) -> tuple[StyleGAN2State, Metrics]:
        def gradient(real: Images, labels: Labels, real_keys: Keys, _: Keys) -> Any:
            def objective(params: Any) -> Array:
                closed = lambda x: score(params, x, labels, state.p, real_keys)  # noqa: E731
                return r1_gamma.every * r1(r1_gamma.weight)(closed, real, real, real_keys)

            return jax.value_and_grad(objective)(state.critic.params)

        value, grads = averaged(gradient, batch, key, 3)
        net = state.critic.descend(grads, critic_tx, step=state.step)
        return state.replace(critic=net), {"r1": value / r1_gamma.every}

    return Turns(
        generator_turn,
        path_turn if path.weight else None,
        critic_turn,
        r1_turn if r1_gamma.weight else None,
    )


def due(
    turns: Turns, r1_gamma: Lazy, path: Lazy, alone: Turns | None = None, start: float = 0
) -> Callable[[int], list[Step]]:
    """Of steps done so far to the turns of the next one.

    Args:
        turns: of the game.
        r1_gamma: of the critic.
        path: of the generator.
        alone: turns without the second critic,
        start: in so many steps at the beginning.
    """
    intervals = (1, path.every, 1, r1_gamma.every)

    def of(step: int) -> list[Step]:
        now = alone if alone is not None and step < start else turns
        pairs = zip(now, intervals, strict=True)
        return [turn for turn, every in pairs if turn is not None and step % every == 0]

    return of


def whole(turns: Turns) -> Step:
    """Return all turns as one step, lazy ones included."""

    def step(state: StyleGAN2State, batch: Batch, key: PRNGKey) -> tuple[StyleGAN2State, Metrics]:
        metrics: Metrics = {}
        for turn in turns:
            if turn is not None:
                state, more = turn(state, batch, key)
                metrics |= more
        return state, metrics

    return step


def _seen(real: Logits, fake: Logits) -> Metrics:
    return {
        "real_score": real.mean(),
        "fake_score": fake.mean(),
        "logit_gap": (real - fake).mean(),
        "real_accuracy": (real > 0).mean(),
        "fake_accuracy": (fake < 0).mean(),
        "r_t": jnp.sign(real).mean(),
    }
