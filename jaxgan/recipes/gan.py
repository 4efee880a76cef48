"""From a config to the recipe of a WGAN, DCGAN or FastGAN."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan.models import dcgan, fastgan, wgan
from jaxgan.recipes import common, second_critic
from jaxgan.recipes.common import Pictures
from jaxgan.recipes.generators import build_generator
from jaxgan.steps import gan, losses, penalties, schedules
from jaxgan.steps.losses import AdversarialLoss
from jaxgan.steps.state import AidedGANState, GANState, new_net
from jaxgan.types import Images, Penalty, Prelude, PRNGKey, Recipe, standardise


def recipe(config: ConfigDict, axis_name: str | None, pictures: Pictures) -> Recipe:
    generator = build_generator(config, axis_name)
    critic = _CRITICS[config.model.name](config, axis_name)
    real_critic = None
    if config.model.name == "fastgan" and config.model.rebuild:
        real_critic = _fastgan_critic(config, axis_name, rebuild=True)
    whole_critic = real_critic or critic  # With the weights of a task of its own.
    generator_tx, critic_tx = (
        common.optimiser(config, pictures, name) for name in ("generator", "critic")
    )
    latent_dim, train = config.model.latent_dim, config.train
    augment = common.always(common.build_augment(config.augment.policy), config.augment.p)
    second = second_critic.build(config, augment, partial(common.steps, config, pictures))

    def init(key: PRNGKey) -> GANState:
        generator_key, critic_key = jax.random.split(key)
        latents = jax.ShapeDtypeStruct((2, latent_dim), jnp.float32)
        net = new_net(generator.lazy_init(generator_key, latents, False), generator_tx)
        state = GANState(
            step=jnp.int32(0),
            generator=net,
            critic=new_net(
                whole_critic.lazy_init(critic_key, common.images(config), False), critic_tx
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
        instance_noise=_instance_noise(config, pictures),
        standardise=_standardise(config.data, pictures),
        n_critic=train.n_critic,
        same_batch=train.same_batch,
        latent_dim=latent_dim,
        ema_decay=train.ema_decay,
        microbatch=train.microbatch,
        axis_name=axis_name,
        real_critic=real_critic,
    )
    turns, count = None, common.extra_batches(config)
    prelude = Prelude(make_step(None), count) if count else None
    if second is None:
        return Recipe(init, make_step(generator_tx), prelude)
    step = make_step(generator_tx, second=second.critic)
    if second.start:
        start, alone = second.start, make_step(generator_tx)
        turns = lambda done: [alone if done < start else step]  # noqa: E731
    return Recipe(init, step, prelude, turns)


def _loss(loss: ConfigDict, axis_name: str | None) -> AdversarialLoss:
    return {
        "wasserstein": lambda: losses.WASSERSTEIN,
        "non_saturating": lambda: losses.non_saturating(tuple(loss.real_labels), loss.flipped),
        "least_squares": lambda: losses.least_squares(*loss.targets),
        "hinge": lambda: losses.hinge(tuple(loss.get("margin", (1.0, 1.0)))),
        "relativistic_pairing": losses.relativistic_pairing,
        "relativistic_average": lambda: losses.relativistic_average(axis_name),
    }[loss.name]()


def _penalty(loss: ConfigDict) -> Penalty | None:
    kinds = {
        "gradient_penalty": penalties.gradient_penalty,
        "r1": penalties.r1,
        "r2": penalties.r2,
    }
    used = [make(loss[name]) for name, make in kinds.items() if loss[name]]
    return (penalties.total(*used) if used[1:] else used[0]) if used else None


def _instance_noise(config: ConfigDict, pictures: Pictures) -> optax.Schedule | None:
    std, until = config.augment.noise, config.augment.noise_until
    if not std:
        return None
    if not until:
        return optax.constant_schedule(std)
    return schedules.linear(std, 0.0, common.steps(config, pictures, until))


def _standardise(data: ConfigDict, pictures: Pictures) -> Callable[[Images], Images]:
    if data.normalise == "range":
        return lambda images: images
    return partial(standardise, mean=pictures.mean, std=pictures.std)


def _wgan_critic(config: ConfigDict, axis_name: str | None) -> nn.Module:
    return common.module(config, wgan.Critic)(
        resolution=config.data.resolution,
        channels=config.model.channels,
        dtype=common.dtype(config),
        normal_init=config.model.init == "normal",
    )


def _discriminator(config: ConfigDict, axis_name: str | None) -> nn.Module:
    model = config.model
    return common.module(config, dcgan.Discriminator)(
        resolution=config.data.resolution,
        channels=model.channels,
        selu=model.selu,
        norm=model.norm,
        spectral_norm=model.spectral_norm,
        dropout=tuple(model.dropout),
        dtype=common.dtype(config),
        axis_name=axis_name,
    )


def _fastgan_critic(config: ConfigDict, axis_name: str | None, rebuild: bool = False) -> nn.Module:
    return common.module(config, fastgan.Critic)(
        resolution=config.data.resolution,
        channels=config.model.critic_channels,
        rebuild=rebuild,
        dtype=common.dtype(config),
        axis_name=axis_name,
    )


_CRITICS = {"wgan": _wgan_critic, "dcgan": _discriminator, "fastgan": _fastgan_critic}
