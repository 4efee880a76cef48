"""The GAN iteration: n critic turns, then one generator turn, as one pure function."""

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
from jaxgan.types import Augment, Batch, Images, Latents, Metrics, Penalty, PRNGKey, Step, to_float


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
    axis_name: str | None = None,
) -> Step:
    """Algorithm 1 of WGAN-GP, for any loss and penalty.

    Args:
        generator: latents [b, z] -> images [b, h, w, c] in [-1, 1]; `(z, train)`.
        critic: images [b, h, w, c] -> logits [b]; `(images, train)`.
        generator_tx: the generator's optimiser.
        critic_tx: the critic's.
        loss: what both minimise.
        penalty: added to the critic's loss.
        augment: applied to real and generated pictures alike before the critic, with p = 1.
        n_critic: critic turns per generator turn.
        same_batch: whether all critic turns see one real batch ("image" is [b, h, w, c]), or each
            its own ([n_critic, b, h, w, c]).
        latent_dim: the size of z.
        ema_decay: of the averaged generator.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.

    Returns:
        step(state, batch, key) -> (state, metrics), with `batch["image"]` uint8.

    References:
        Gulrajani et al., Improved Training of Wasserstein GANs, 2017.
    """
    mean = partial(jax.lax.pmean, axis_name=axis_name) if axis_name else lambda tree: tree
    augmented = augment or (lambda images, p, key: images)
    always = jnp.float32(1)

    def generate(net: Net, params: dict, key: PRNGKey, count: int) -> tuple[Images, Any]:
        z: Latents = noise.normal(key, (count, latent_dim), axis_name)
        variables = {"params": params, "batch_stats": net.stats}
        images, updates = generator.apply(variables, z, train=True, mutable=["batch_stats"])
        return images, updates.get("batch_stats", {})

    def score(net: Net, params: dict, images: Images, key: PRNGKey) -> tuple[Array, Any]:
        keys = {"dropout": key}
        variables = {"params": params, "batch_stats": net.stats}
        out, updates = critic.apply(
            variables, images, train=True, rngs=keys, mutable=["batch_stats"]
        )
        return out, updates.get("batch_stats", {})

    def critic_turn(state: GANState, real: Images, key: PRNGKey) -> tuple[GANState, Metrics]:
        z_key, real_key, fake_key, loss_key, penalty_key, dropout_key = jax.random.split(key, 6)
        fake, _ = generate(state.generator, state.generator.params, z_key, real.shape[0])
        real = augmented(real, always, real_key)
        fake = augmented(jax.lax.stop_gradient(fake), always, fake_key)

        def objective(params: dict) -> tuple[Array, tuple[dict, Metrics]]:
            net = state.critic
            real_logits, stats = score(net, params, real, dropout_key)
            fake_logits, stats = score(net.replace(stats=stats), params, fake, dropout_key)
            adversarial = loss.critic(real_logits, fake_logits, loss_key)
            metrics = {
                "critic_loss": adversarial,
                "real_score": real_logits.mean(),
                "fake_score": fake_logits.mean(),
            }
            if penalty is None:
                return adversarial, (stats, metrics)
            term = penalty(lambda x: score(net, params, x, dropout_key)[0], real, fake, penalty_key)
            return adversarial + term, (stats, metrics | {"penalty": term})

        grads, (stats, metrics) = mean(jax.grad(objective, has_aux=True)(state.critic.params))
        metrics["critic_grad_norm"] = optax.tree.norm(grads)
        net = state.critic.replace(stats=stats).descend(grads, critic_tx)
        return state.replace(critic=net), metrics

    def generator_turn(state: GANState, real: Images, key: PRNGKey) -> tuple[GANState, Metrics]:
        z_key, real_key, fake_key, loss_key, dropout_key = jax.random.split(key, 5)

        def objective(params: dict) -> tuple[Array, dict]:
            fake, stats = generate(state.generator, params, z_key, real.shape[0])
            fake = augmented(fake, always, fake_key)
            net = state.critic
            fake_logits, _ = score(net, net.params, fake, dropout_key)
            # Unused by most losses, and then removed by the compiler.
            real_logits, _ = score(net, net.params, augmented(real, always, real_key), dropout_key)
            return loss.generator(real_logits, fake_logits, loss_key), stats

        value, grads = jax.value_and_grad(objective, has_aux=True)(state.generator.params)
        (value, stats), grads = mean((value, grads))
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

        if jax.default_backend() == "cpu":  # XLA's convolutions are 16 times slower in a loop.
            turns = []
            for i in range(n_critic):
                state, metrics = turn(state, jnp.int32(i))
                turns.append(metrics)
            turns = jax.tree.map(lambda *values: jnp.stack(values), *turns)
        else:
            state, turns = jax.lax.scan(turn, state, jnp.arange(n_critic))
        last = to_float(images if same_batch else images[-1])
        state, metrics = generator_turn(state, last, generator_key)
        return state, metrics | jax.tree.map(lambda x: x.mean(0), turns)

    return step
