"""From a config to the recipe of a WGAN, DCGAN or FastGAN."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax

from jaxgan.config.model_settings import DCGANModel, FastGANModel, GANModel, WGANModel
from jaxgan.config.settings import Loss, NoisyAugment
from jaxgan.config.typed import Adversarial
from jaxgan.models import dcgan, fastgan, wgan
from jaxgan.recipes import augmentation, durations, networks, second_critic
from jaxgan.recipes.durations import ImageStats
from jaxgan.recipes.generators import Kind, build_generator
from jaxgan.recipes.optimiser import optimiser
from jaxgan.steps import gan, losses, penalties, schedules
from jaxgan.steps.losses import AdversarialLoss
from jaxgan.steps.state import AidedGANState, GANState, new_net
from jaxgan.types import Images, Penalty, Prelude, PRNGKey, Recipe, standardise


def recipe(config: Adversarial, axis_name: str | None, stats: ImageStats) -> Recipe:
    generator = build_generator(config, axis_name)
    model, train, resolution = config.model, config.train, config.data.resolution
    kind, own = _kind(model, axis_name)
    make_critic = partial(
        networks.module(train.remat, kind),
        resolution=resolution,
        dtype=networks.dtype(config.precision),
        **own,
    )
    critic, real_critic = make_critic(), None
    if isinstance(model, FastGANModel) and model.rebuild:
        real_critic = make_critic(rebuild=True)
    whole_critic = real_critic or critic  # With the weights of a task of its own.
    count = partial(durations.steps, train, stats)
    generator_tx = optimiser(config.optim.generator, count)
    critic_tx = optimiser(config.optim.critic, count)
    latent_dim = model.latent_dim
    augment = augmentation.fixed(config.augment.policy, config.augment.p)
    second = second_critic.build(
        config.vision, augment, count, resolution=resolution, precision=config.precision
    )

    def init(key: PRNGKey) -> GANState:
        generator_key, critic_key = jax.random.split(key)
        latents = jax.ShapeDtypeStruct((2, latent_dim), jnp.float32)
        net = new_net(generator.lazy_init(generator_key, latents, False), generator_tx)
        state = GANState(
            step=jnp.int32(0),
            generator=net,
            critic=new_net(
                whole_critic.lazy_init(critic_key, networks.images(resolution), False), critic_tx
            ),
            ema=jax.tree.map(jnp.copy, net.variables),  # Donated buffers must not be shared.
        )
        if second is None:
            return state
        return AidedGANState(**vars(state), second=second.init(key))

    make_step = partial(
        gan.make_step,
        generator,
        critic,
        critic_tx=critic_tx,
        loss=_loss(config.loss, axis_name),
        penalty=_penalty(config.loss),
        augment=augment,
        instance_noise=_instance_noise(config.augment, count),
        standardise=_standardise(config.data.normalise, stats),
        n_critic=train.n_critic,
        same_batch=train.same_batch,
        latent_dim=latent_dim,
        ema_decay=train.ema_decay,
        microbatch=train.microbatch,
        axis_name=axis_name,
        all_reduce=train.all_reduce,
        real_critic=real_critic,
    )
    turns, extra = None, durations.extra_batches(train)
    prelude = Prelude(make_step(None), extra) if extra else None
    if second is None:
        return Recipe(init, make_step(generator_tx), prelude)
    step = make_step(generator_tx, second=second.critic)
    if second.start:
        start, alone = second.start, make_step(generator_tx)
        turns = lambda done: [alone if done < start else step]  # noqa: E731
    return Recipe(init, step, prelude, turns)


def _loss(loss: Loss, axis_name: str | None) -> AdversarialLoss:
    return {
        "wasserstein": lambda: losses.WASSERSTEIN,
        "non_saturating": lambda: losses.non_saturating(loss.real_labels, loss.flipped),
        "least_squares": lambda: losses.least_squares(*loss.targets),
        "hinge": lambda: losses.hinge(loss.margin),
        "relativistic_pairing": losses.relativistic_pairing,
        "relativistic_average": lambda: losses.relativistic_average(axis_name),
    }[loss.name]()


def _penalty(loss: Loss) -> Penalty | None:
    kinds = {
        "gradient_penalty": penalties.gradient_penalty,
        "r1": penalties.r1,
        "r2": penalties.r2,
    }
    used = [make(weight) for name, make in kinds.items() if (weight := getattr(loss, name))]
    return (penalties.total(*used) if used[1:] else used[0]) if used else None


def _instance_noise(augment: NoisyAugment, count: Callable[[str], float]) -> optax.Schedule | None:
    std, until = augment.noise, augment.noise_until
    if not std:
        return None
    if not until:
        return optax.constant_schedule(std)
    return schedules.linear(std, 0.0, count(until))


def _standardise(normalise: str, stats: ImageStats) -> Callable[[Images], Images]:
    if normalise == "range":
        return lambda images: images
    return partial(standardise, mean=stats.mean, std=stats.std)


def _kind(model: GANModel, axis_name: str | None) -> Kind:
    """Return the critic's class, and what it alone takes."""
    if isinstance(model, WGANModel):
        return wgan.Critic, {"channels": model.channels, "normal_init": model.init == "normal"}
    if isinstance(model, FastGANModel):
        own = {"channels": model.critic_channels, "rebuild": False, "axis_name": axis_name}
        return fastgan.Critic, own
    assert isinstance(model, DCGANModel)
    return dcgan.Discriminator, {
        "channels": model.channels,
        "selu": model.selu,
        "norm": model.norm,
        "spectral_norm": model.spectral_norm,
        "dropout": model.dropout,
        "axis_name": axis_name,
    }
