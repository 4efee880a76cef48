"""The GAN iteration: n critic turns, then one generator turn, as one pure function."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float, UInt8

from jaxgan import noise
from jaxgan.losses import AdversarialLoss
from jaxgan.optim import average
from jaxgan.state import GANState, Net
from jaxgan.steps.loops import accumulate, parts, repeat
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
    generator_tx: optax.GradientTransformation,
    critic_tx: optax.GradientTransformation,
    *,
    loss: AdversarialLoss,
    penalty: Penalty | None,
    augment: Augment | None = None,
    n_critic: int,
    same_batch: bool,
    latent_dim: int,
    ema_decay: float,
    microbatch: int | None = None,
    axis_name: str | None = None,
) -> Step:
    """Algorithm 1 of WGAN-GP, for any loss and penalty.

    Args:
        generator: latents [b, z] -> images [b, h, w, c] in [-1, 1]; `(z, train)`.
        critic: images [b, h, w, c] -> logits [b]; `(images, train)`.
        generator_tx: the generator's optimiser.
        critic_tx: the critic's.
        loss: what both minimise; the keys that it gets are the examples'.
        penalty: added to the critic's loss.
        augment: applied to real and generated pictures alike before the critic, with p = 1.
        n_critic: critic turns per generator turn.
        same_batch: whether all critic turns see one real batch ("image" is [b, h, w, c]), or each
            its own ([n_critic, b, h, w, c]).
        latent_dim: the size of z.
        ema_decay: of the averaged generator.
        microbatch: pictures at a time in each turn, on all devices together, for less memory; all
            where None. Equal numbers but for batch normalisation (see `accumulate`) and dropout.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.

    Returns:
        step(state, batch, key) -> (state, metrics), with `batch["image"]` uint8.

    References:
        Gulrajani et al., Improved Training of Wasserstein GANs, 2017.
    """
    mean = partial(jax.lax.pmean, axis_name=axis_name) if axis_name else lambda tree: tree
    augmented = augment or (lambda images, p, key: images)
    always = jnp.float32(1)

    def generate(net: Net, params: dict, keys: Keys) -> tuple[Images, Any]:
        z: Latents = noise.normal(keys, (len(keys), latent_dim))
        variables = {"params": params, "batch_stats": net.stats}
        images, updates = generator.apply(variables, z, True, mutable=["batch_stats"])
        return images, updates.get("batch_stats", {})

    def score(net: Net, params: dict, images: Images, key: PRNGKey) -> tuple[Array, Any]:
        keys = {"dropout": key}
        variables = {"params": params, "batch_stats": net.stats}
        out, updates = critic.apply(variables, images, True, rngs=keys, mutable=["batch_stats"])
        return out, updates.get("batch_stats", {})

    def averaged(gradient: Callable, real: Images, key: PRNGKey, kinds: int) -> Any:
        """The mean of gradient(real, keys [kinds, b], key) over microbatches and devices."""
        *keys, rest = jax.random.split(key, kinds + 1)
        keys = [noise.example_keys(k, len(real), axis_name) for k in keys]
        count = parts(len(real), microbatch, axis_name)
        each = lambda part, i: gradient(*part, jax.random.fold_in(rest, i))  # noqa: E731
        return mean(accumulate(each, (real, keys), count))

    def critic_turn(state: GANState, real: Images, key: PRNGKey) -> tuple[GANState, Metrics]:
        def gradient(real: Images, keys: list[Keys], dropout_key: PRNGKey) -> Any:
            z_keys, real_keys, fake_keys, loss_keys, penalty_keys = keys
            fake, _ = generate(state.generator, state.generator.params, z_keys)
            real = augmented(real, always, real_keys)
            fake = augmented(jax.lax.stop_gradient(fake), always, fake_keys)

            def objective(params: dict) -> tuple[Array, tuple[dict, Metrics]]:
                net = state.critic
                real_logits, stats = score(net, params, real, dropout_key)
                fake_logits, stats = score(net.replace(stats=stats), params, fake, dropout_key)
                adversarial = loss.critic(real_logits, fake_logits, loss_keys)
                metrics = {
                    "critic_loss": adversarial,
                    "real_score": real_logits.mean(),
                    "fake_score": fake_logits.mean(),
                }
                if penalty is None:
                    return adversarial, (stats, metrics)
                closed = lambda x: score(net, params, x, dropout_key)[0]  # noqa: E731
                term = penalty(closed, real, fake, penalty_keys)
                return adversarial + term, (stats, metrics | {"penalty": term})

            return jax.grad(objective, has_aux=True)(state.critic.params)

        grads, (stats, metrics) = averaged(gradient, real, key, 5)
        metrics["critic_grad_norm"] = optax.tree.norm(grads)
        net = state.critic.replace(stats=stats).descend(grads, critic_tx)
        return state.replace(critic=net), metrics

    def generator_turn(state: GANState, real: Images, key: PRNGKey) -> tuple[GANState, Metrics]:
        def gradient(real: Images, keys: list[Keys], dropout_key: PRNGKey) -> Any:
            z_keys, real_keys, fake_keys, loss_keys = keys

            def objective(params: dict) -> tuple[Array, Any]:
                fake, stats = generate(state.generator, params, z_keys)
                fake = augmented(fake, always, fake_keys)
                net = state.critic
                fake_logits, _ = score(net, net.params, fake, dropout_key)
                # Unused by most losses, and then removed by the compiler.
                seen = augmented(real, always, real_keys)
                real_logits, _ = score(net, net.params, seen, dropout_key)
                return loss.generator(real_logits, fake_logits, loss_keys), stats

            return jax.value_and_grad(objective, has_aux=True)(state.generator.params)

        (value, stats), grads = averaged(gradient, real, key, 4)
        net = state.generator.replace(stats=stats).descend(grads, generator_tx)
        ema = average(net.variables, state.ema, state.step, ema_decay)
        metrics = {"generator_loss": value, "generator_grad_norm": optax.tree.norm(grads)}
        return state.replace(step=state.step + 1, generator=net, ema=ema), metrics

    def step(state: GANState, batch: Batch, key: PRNGKey) -> tuple[GANState, Metrics]:
        images: UInt8[Array, "*b h w c"] = batch["image"]
        critic_key, generator_key = jax.random.split(key)

        def turn(state: GANState, i: Array) -> tuple[GANState, Metrics]:
            real: Float[Array, "b h w c"] = to_float(images if same_batch else images[i])
            return critic_turn(state, real, jax.random.fold_in(critic_key, i))

        state, turns = repeat(turn, state, jnp.arange(n_critic))
        last = to_float(images if same_batch else images[-1])
        state, metrics = generator_turn(state, last, generator_key)
        return state, metrics | jax.tree.map(lambda x: x.mean(0), turns)

    return step
