"""The GAN iteration: n critic turns, then one generator turn, as one pure function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float, UInt8

from jaxgan import prng
from jaxgan.augment import diffaugment as augments
from jaxgan.steps.accumulation import Gradient, accumulate, mean_of_devices, parts, repeat
from jaxgan.steps.losses import AdversarialLoss
from jaxgan.steps.optimizers import average
from jaxgan.steps.second_critic import SecondCritic
from jaxgan.steps.state import GANState, Net
from jaxgan.types import (
    Augment,
    Batch,
    Images,
    Keys,
    Latents,
    Metrics,
    Penalty,
    PRNGKey,
    Step,
    to_float,
)


def make_step(
    generator: nn.Module,
    critic: nn.Module,
    generator_tx: optax.GradientTransformation | None,
    critic_tx: optax.GradientTransformation,
    *,
    loss: AdversarialLoss,
    penalty: Penalty | None,
    augment: Augment | None = None,
    instance_noise: optax.Schedule | None = None,
    standardise: Callable[[Images], Images] = lambda images: images,
    n_critic: int,
    same_batch: bool,
    latent_dim: int,
    ema_decay: float,
    microbatch: int | None = None,
    axis_name: str | None = None,
    all_reduce: str = "float32",
    real_critic: nn.Module | None = None,
    second: SecondCritic | None = None,
) -> Step:
    """Algorithm 1 of WGAN-GP, for any loss and penalty.

    Args:
        generator: latents [b, z] -> images [b, h, w, c] in [-1, 1]; `(z, train)`.
        critic: images [b, h, w, c] -> logits [b]; `(images, train)`.
        generator_tx: the generator's optimiser; None leaves the generator alone: a step is the
            critic's turns.
        critic_tx: the critic's.
        loss: what both minimise; the keys that it gets are the examples'.
        penalty: added to the critic's loss.
        augment: applied to real and generated images alike before the critic, with p = 1.
        instance_noise: the standard deviation, by step, of noise added to all that the critic sees.
        standardise: images in [-1, 1] to what the critic, and all before it, sees.
        n_critic: critic turns per generator turn.
        same_batch: whether all critic turns see one real batch ("image" is [b, h, w, c]), or each
            its own ([n_critic, b, h, w, c]).
        latent_dim: the size of z.
        ema_decay: of the averaged generator.
        microbatch: images at a time in each turn, on all devices together, for less memory; all
            where None. Equal numbers but for batch normalisation (see `accumulate`) and dropout.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.
        all_reduce: see `mean_of_devices`.
        real_critic: what sees the real images in the critic's updates, with the critic's weights:
            images -> (logits, loss), a task of the critic's own that is added to its loss.
        second: another critic, whose term is added to the generator's loss; of images in [-1, 1].

    Returns:
        step(state, batch, key) -> (state, metrics), with `batch["image"]` uint8.

    References:
        Gulrajani et al., Improved Training of Wasserstein GANs, 2017.
    """
    augmented = augment or (lambda images, p, key: images)

    def seen(images: Images, step: Array, keys: Keys) -> Images:
        """Return what the critic gets of images in [-1, 1]."""
        # Keys apart from the noise's: a chain of augmentations folds 0, 1, ... into its own.
        images = augmented(standardise(images), jnp.float32(1), prng.fold_in(keys, 0))
        if instance_noise is None:
            return images
        std = jnp.float32(instance_noise(step))
        return augments.gaussian_noise(images, std, prng.fold_in(keys, 1))

    def forward(module: nn.Module, variables: Any, x: Array, key: PRNGKey) -> tuple[Any, Any]:
        keys = {"dropout": key}
        out, updates = module.apply(variables, x, True, rngs=keys, mutable=["batch_stats"])
        return out, updates.get("batch_stats", {})

    def generate(net: Net, params: Any, keys: Keys, key: PRNGKey) -> tuple[Images, Any]:
        z: Latents = prng.normal(keys, (len(keys), latent_dim))
        return forward(generator, {"params": params, "batch_stats": net.stats}, z, key)

    def score(net: Net, params: Any, images: Images, key: PRNGKey) -> tuple[Array, Any]:
        return forward(critic, {"params": params, "batch_stats": net.stats}, images, key)

    def score_real(net: Net, params: Any, images: Images, key: PRNGKey) -> tuple[Array, Any, Any]:
        """Return the logits, the statistics, and the loss of the critic's own task."""
        if real_critic is None:
            return *score(net, params, images, key), None
        variables = {"params": params, "batch_stats": net.stats}
        (logits, own), stats = forward(real_critic, variables, images, key)
        return logits, stats, own

    def middle(others: Array) -> Array | float:
        """Return what a logit is above where the critic takes its image for real."""
        return others if loss.boundary is None else loss.boundary

    def averaged(gradient: Gradient, real: Images, key: PRNGKey, kinds: int) -> Any:
        """Return the mean of gradient(real, keys [kinds, b], key), which is (gradients, what came
        with them), over microbatches and devices.
        """
        *keys, rest = jax.random.split(key, kinds + 1)
        keys = [prng.example_keys(k, len(real), axis_name, real) for k in keys]
        count = parts(len(real), microbatch, axis_name)
        each = lambda part, i: gradient(*part, jax.random.fold_in(rest, i))  # noqa: E731
        grads, aux = accumulate(each, (real, keys), count)
        return mean_of_devices(grads, aux, axis_name, all_reduce)

    def critic_turn(state: GANState, real: Images, key: PRNGKey) -> tuple[GANState, Metrics]:
        def gradient(real: Images, keys: list[Keys], dropout_key: PRNGKey) -> Any:
            z_keys, real_keys, fake_keys, loss_keys, penalty_keys = keys
            net = state.generator
            real_drop, fake_drop, penalty_drop, generator_drop = jax.random.split(dropout_key, 4)
            fake, _ = generate(net, net.params, z_keys, generator_drop)
            real = seen(real, state.step, real_keys)
            fake = seen(jax.lax.stop_gradient(fake), state.step, fake_keys)

            def objective(params: Any) -> tuple[Array, tuple[Any, Metrics]]:
                net = state.critic
                real_logits, stats, own = score_real(net, params, real, real_drop)
                fake_logits, stats = score(net.replace(stats=stats), params, fake, fake_drop)
                adversarial = loss.critic(real_logits, fake_logits, loss_keys)
                metrics = {
                    "critic_loss": adversarial,
                    "real_score": real_logits.mean(),
                    "fake_score": fake_logits.mean(),
                    "logit_gap": (real_logits - fake_logits).mean(),
                    "real_accuracy": (real_logits > middle(fake_logits)).mean(),
                    "fake_accuracy": (fake_logits < middle(real_logits)).mean(),
                }
                if own is not None:
                    adversarial, metrics = adversarial + own, metrics | {"own_loss": own}
                if penalty is None:
                    return adversarial, (stats, metrics)
                closed = lambda x: score(net, params, x, penalty_drop)[0]  # noqa: E731
                term = penalty(closed, real, fake, penalty_keys)
                return adversarial + term, (stats, metrics | {"penalty": term})

            return jax.grad(objective, has_aux=True)(state.critic.params)

        grads, (stats, metrics) = averaged(gradient, real, key, 5)
        metrics["critic_grad_norm"] = optax.tree.norm(grads)
        net = state.critic.replace(stats=stats).descend(grads, critic_tx, step=state.step)
        return state.replace(critic=net), metrics

    def generator_turn(state: GANState, real: Images, key: PRNGKey) -> tuple[GANState, Metrics]:
        heads: Any = getattr(state, "second", None)

        def gradient(real: Images, keys: list[Keys], dropout_key: PRNGKey) -> Any:
            z_keys, real_keys, fake_keys, loss_keys = keys
            real_drop, fake_drop, generator_drop = jax.random.split(dropout_key, 3)

            def objective(params: Any) -> tuple[Array, Any]:
                fake, stats = generate(state.generator, params, z_keys, generator_drop)
                net = state.critic
                # Unused by most losses, and then removed by the compiler.
                looked_at = seen(real, state.step, real_keys)
                real_logits, _ = score(net, net.params, looked_at, real_drop)
                # Looking moves the critic's statistics, in this turn as in its own.
                looked_at = seen(fake, state.step, fake_keys)
                fake_logits, critic_stats = score(net, net.params, looked_at, fake_drop)
                value = loss.generator(real_logits, fake_logits, loss_keys)
                if second is None:
                    return value, (stats, critic_stats, None)
                term, looks = second.judge(heads, fake, jnp.float32(1), fake_keys)
                return value + term, (stats, critic_stats, looks)

            (value, aux), grads = jax.value_and_grad(objective, has_aux=True)(
                state.generator.params
            )
            *aux, looks = aux
            if second is None:
                return (grads, None), (value, aux, None)
            learned, *more = second.learn(heads, real, looks, jnp.float32(1), real_keys)
            return (grads, learned), (value, aux, more)

        assert generator_tx is not None
        (grads, learned), (value, (stats, critic_stats), more) = averaged(gradient, real, key, 4)
        net = state.generator.replace(stats=stats).descend(grads, generator_tx, step=state.step)
        critic = state.critic.replace(stats=critic_stats)
        ema = average(net.variables, state.ema, state.step, ema_decay)
        metrics = {"generator_loss": value, "generator_grad_norm": optax.tree.norm(grads)}
        if second is not None:
            metrics |= more[1]
            state = state.replace(second=second.update(heads, learned, more[0], state.step))
        state = state.replace(step=state.step + 1, generator=net, critic=critic, ema=ema)
        return state, metrics

    def step(state: GANState, batch: Batch, key: PRNGKey) -> tuple[GANState, Metrics]:
        images: UInt8[Array, "*b h w c"] = batch["image"]
        critic_key, generator_key = jax.random.split(key)

        def turn(state: GANState, i: Array) -> tuple[GANState, Metrics]:
            real: Float[Array, "b h w c"] = to_float(images if same_batch else images[i])
            return critic_turn(state, real, jax.random.fold_in(critic_key, i))

        state, turns = repeat(turn, state, jnp.arange(n_critic))
        metrics = jax.tree.map(lambda x: x.mean(0), turns)
        if generator_tx is None:
            return state, metrics
        last = to_float(images if same_batch else images[-1])
        state, more = generator_turn(state, last, generator_key)
        return state, more | metrics

    return step
