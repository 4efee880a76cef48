"""From a config to a recipe: the one place that knows all the models."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan import augment, losses, penalties
from jaxgan.models import googlenet, wgan
from jaxgan.models.layers import remat
from jaxgan.optim import adam
from jaxgan.state import ClassifierState, GANState, new_net
from jaxgan.steps import classifier, gan
from jaxgan.types import PRNGKey, Recipe


def build(config: ConfigDict, axis_name: str | None = None) -> Recipe:
    """The recipe of a checked training config.

    Args:
        config: of a GAN or a classifier; a classifier's has `model.num_classes` set.
        axis_name: the `pmap` axis, if the step is to be mapped.
    """
    return _RECIPES[config.model.name](config, axis_name)


def build_generator(config: ConfigDict, axis_name: str | None = None) -> nn.Module:
    """The generator module of a GAN's config: `(latents [b, z], train)`."""
    return _module(config, wgan.Generator)(
        resolution=config.data.resolution,
        latent_dim=config.model.latent_dim,
        channels=config.model.channels,
        dtype=_dtype(config),
        axis_name=axis_name,
    )


def build_classifier(config: ConfigDict, axis_name: str | None = None) -> nn.Module:
    """The module of a classifier's config: `(images [b, h, w, c], train)`."""
    return _module(config, googlenet.GoogLeNet)(
        num_classes=config.model.num_classes,
        aux_heads=config.model.aux_heads,
        width=config.model.width,
        dtype=_dtype(config),
        axis_name=axis_name,
    )


def abstract_ema(config: ConfigDict) -> Any:
    """Shapes and types of the averaged generator's variables."""
    return jax.eval_shape(build(config).init, jax.random.key(0)).ema


def _dtype(config: ConfigDict) -> Any:
    return {"float32": jnp.float32, "bf16": jnp.bfloat16}[config.precision]


def _module(config: ConfigDict, module: type[nn.Module]) -> Any:
    return remat(module) if config.train.remat else module


def _images(config: ConfigDict) -> jax.ShapeDtypeStruct:
    resolution = config.data.resolution
    return jax.ShapeDtypeStruct((2, resolution, resolution, 3), jnp.float32)


def _wgan(config: ConfigDict, axis_name: str | None) -> Recipe:
    generator = build_generator(config, axis_name)
    critic = _module(config, wgan.Critic)(
        config.data.resolution, config.model.channels, _dtype(config)
    )
    g, c = config.optim.generator, config.optim.critic
    generator_tx, critic_tx = adam(g.learning_rate, g.b1, g.b2), adam(c.learning_rate, c.b1, c.b2)
    latent_dim = config.model.latent_dim

    def init(key: PRNGKey) -> GANState:
        generator_key, critic_key = jax.random.split(key)
        latents = jax.ShapeDtypeStruct((2, latent_dim), jnp.float32)
        net = new_net(generator.lazy_init(generator_key, latents, False), generator_tx)
        return GANState(
            step=jnp.int32(0),
            generator=net,
            critic=new_net(critic.lazy_init(critic_key, _images(config), False), critic_tx),
            ema=jax.tree.map(jnp.copy, net.variables),  # Donated buffers must not be shared.
        )

    step = gan.make_step(
        generator,
        critic,
        generator_tx,
        critic_tx,
        loss=losses.WASSERSTEIN,
        penalty=penalties.gradient_penalty(config.loss.gradient_penalty),
        n_critic=config.train.n_critic,
        same_batch=config.train.same_batch,
        latent_dim=latent_dim,
        ema_decay=config.train.ema_decay,
        microbatch=config.train.microbatch,
        axis_name=axis_name,
    )
    return Recipe(init, step)


def _classifier(config: ConfigDict, axis_name: str | None) -> Recipe:
    model = build_classifier(config, axis_name)
    tx = adam(config.optim.learning_rate, config.optim.b1, config.optim.b2)

    def init(key: PRNGKey) -> ClassifierState:
        variables = model.lazy_init(key, _images(config), False)
        return ClassifierState(jnp.int32(0), new_net(variables, tx))

    flip_and_crop = augment.chain(augment.flip(), augment.crop())
    step = classifier.make_step(
        model,
        tx,
        label_smoothing=config.train.label_smoothing,
        augment=flip_and_crop if config.train.augment else None,
        microbatch=config.train.microbatch,
        axis_name=axis_name,
    )
    return Recipe(init, step)


_RECIPES = {"wgan": _wgan, "googlenet": _classifier}
