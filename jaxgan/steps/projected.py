"""The iteration of a GAN whose critic looks through a frozen network: both players at once."""

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jaxtyping import Array, Float

from jaxgan import prng
from jaxgan.models.projected import Views
from jaxgan.steps.accumulation import accumulate, mean_of_devices, parts
from jaxgan.steps.losses import AdversarialLoss
from jaxgan.steps.state import GANState
from jaxgan.types import Augment, Batch, Images, Keys, Metrics, PRNGKey, Step, to_float

Logits = list[Float[Array, "b _"]]  # Of each head.


def make_step(
    generator: nn.Module,
    heads: nn.Module,
    views: Views,
    generator_tx: optax.GradientTransformation,
    critic_tx: optax.GradientTransformation,
    *,
    loss: AdversarialLoss,
    augment: Augment | None,
    latent_dim: int,
    average: Callable[[Any, Any, Array], Any],
    microbatch: int | None = None,
    axis_name: str | None = None,
    all_reduce: str = "float32",
) -> Step:
    """Return one update of each player against the other as it was, summed over the critic's heads.

    Most of the time is the frozen network's. It sees the generated images once: the critic learns
    from these views, and the gradient of the generator goes back through them.

    Args:
        generator: latents [b, z] -> images [b, h, w, 3] in [-1, 1]; `(z, train)`.
        heads: views -> logits of each head; `(views, train)`.
        views: (images, factors) -> what the heads see; the factors are `scale` in the critic's
            statistics, where calibration puts them.
        generator_tx: the generator's optimiser.
        critic_tx: the critic's.
        loss: what both minimise, of each head.
        augment: of real and generated images alike, before the critic, with p = 1.
        latent_dim: the size of z.
        average: (new, old, step) -> the averaged generator's variables. What else is in
            `state.ema` is constant and serves the trained generator, too.
        microbatch: images at a time, on all devices together; all where None.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.
        all_reduce: see `mean_of_devices`.

    Returns:
        step(state, batch, key) -> (state, metrics), with `batch["image"]` uint8 [b, h, w, 3].

    References:
        Sauer et al., Projected GANs Converge Faster, 2021, eq. 3.
    """

    def seen(images: Images, keys: Keys) -> Images:
        return augment(images, jnp.float32(1), keys) if augment else images

    def step(state: GANState, batch: Batch, key: PRNGKey) -> tuple[GANState, Metrics]:
        players = {"params": state.generator.params, "batch_stats": state.generator.stats}
        constants = {name: x for name, x in state.ema.items() if name not in players}

        scale = state.critic.stats["scale"]

        def judge(params: Any, views: list[Array]) -> tuple[Logits, Any]:
            variables = {"params": params, "batch_stats": state.critic.stats}
            logits, updates = heads.apply(variables, views, True, mutable=["batch_stats"])
            return logits, updates["batch_stats"]

        def gradients(real: Images, keys: list[Keys], rest: PRNGKey) -> Any:
            z_keys, real_keys, fake_keys, loss_keys = keys
            z = prng.normal(z_keys, (len(z_keys), latent_dim))

            def generate(params: Any) -> tuple[list[Array], Any]:
                variables = {**constants, **players, "params": params}
                images, updates = generator.apply(
                    variables, z, True, rngs={"dropout": rest}, mutable=["batch_stats"]
                )
                return views(seen(images, fake_keys), scale), updates.get("batch_stats", {})

            fake, back, stats = jax.vjp(generate, players["params"], has_aux=True)
            true = views(seen(real, real_keys), scale)

            def critic_loss(params: Any) -> tuple[Array, Any]:
                real_logits, critic_stats = judge(params, true)
                fake_logits, _ = judge(params, fake)
                pairs = list(zip(real_logits, fake_logits, strict=True))
                value = reduce(add, (loss.critic(r, f, loss_keys) for r, f in pairs))
                return value, (critic_stats, _metrics(pairs) | {"critic_loss": value})

            def generator_loss(fake: list[Array]) -> Array:
                # Of the same weights and views as above: computed once.
                pairs = zip(judge(params, true)[0], judge(params, fake)[0], strict=True)
                return reduce(add, (loss.generator(r, f, loss_keys) for r, f in pairs))

            params = state.critic.params
            critic_grads, about = jax.grad(critic_loss, has_aux=True)(params)
            value, through = jax.value_and_grad(generator_loss)(fake)
            (generator_grads,) = back(through)
            return (critic_grads, generator_grads), (stats, about, value)

        real = to_float(batch["image"])
        *keys, rest = jax.random.split(key, 5)
        keys = [prng.example_keys(k, len(real), axis_name, real) for k in keys]
        count = parts(len(real), microbatch, axis_name)

        def each(part: tuple[Images, list[Keys]], i: Array) -> Any:
            return gradients(*part, jax.random.fold_in(rest, i))

        grads, aux = accumulate(each, (real, keys), count)
        grads, aux = mean_of_devices(grads, aux, axis_name, all_reduce)
        (critic_grads, generator_grads), (stats, (critic_stats, metrics), value) = grads, aux
        critic_net = state.critic.replace(stats={**critic_stats, "scale": scale})
        critic_net = critic_net.descend(critic_grads, critic_tx, step=state.step)
        net = state.generator.replace(stats=stats)
        net = net.descend(generator_grads, generator_tx, step=state.step)
        old = {name: state.ema[name] for name in players}
        metrics |= {
            "generator_loss": value,
            "critic_grad_norm": optax.tree.norm(critic_grads),
            "generator_grad_norm": optax.tree.norm(generator_grads),
        }
        return state.replace(
            step=state.step + 1,
            generator=net,
            critic=critic_net,
            ema={**constants, **average(net.variables, old, state.step)},
        ), metrics

    return step


def _metrics(pairs: list[tuple[Array, Array]]) -> Metrics:
    """Return means over the heads."""
    each = [
        {
            "real_score": real.mean(),
            "fake_score": fake.mean(),
            "logit_gap": (real - fake).mean(),
            "real_accuracy": (real > 0).mean(),
            "fake_accuracy": (fake < 0).mean(),
        }
        for real, fake in pairs
    ]
    return jax.tree.map(lambda *values: jnp.stack(values).mean(), *each)
