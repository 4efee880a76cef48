"""From a config to the recipe of a GAN whose critic looks through a frozen network."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

from jaxgan.config.model_settings import ProjectedModel
from jaxgan.config.settings import AveragedTrain
from jaxgan.config.typed import Projected
from jaxgan.models import backbones, projected
from jaxgan.recipes import augmentation, durations, networks
from jaxgan.recipes.durations import ImageStats
from jaxgan.recipes.generators import build_generator
from jaxgan.recipes.optimiser import optimiser
from jaxgan.steps import losses, optimizers
from jaxgan.steps import projected as steps
from jaxgan.steps.state import GANState, new_net
from jaxgan.types import PRNGKey, Recipe


def recipe(config: Projected, axis_name: str | None, stats: ImageStats) -> Recipe:
    model, train = config.model, config.train
    projection = build_projection(model)
    views = projected.make_views(projection, bool(model.patch))
    heads = projected.Heads(tuple(model.patch), model.head_width, networks.dtype(config.precision))
    count = partial(durations.steps, train, stats)
    generator_tx = optimiser(config.optim.generator, count)
    critic_tx = optimiser(config.optim.critic, count)

    def init(key: PRNGKey) -> GANState:
        generator_key, critic_key = jax.random.split(key)
        generator = build_generator(config)  # In no `pmap`.
        variables = first_average(generator, model.latent_dim, generator_key)
        ones = jnp.ones(projected.factors(projection))
        shapes = jax.eval_shape(views, networks.images(config.data.resolution), ones)
        critic = new_net(heads.lazy_init(critic_key, shapes, False), critic_tx)
        return GANState(
            step=jnp.int32(0),
            generator=new_net(variables, generator_tx),
            critic=critic.replace(stats={**critic.stats, "scale": ones}),
            ema=jax.tree.map(jnp.copy, variables),  # Donated buffers must not be shared.
        )

    step = steps.make_step(
        build_generator(config, axis_name),
        heads,
        views,
        generator_tx,
        critic_tx,
        loss=losses.hinge(),
        augment=augmentation.fixed(config.augment.policy, config.augment.p),
        latent_dim=model.latent_dim,
        average=average(train, config.init_from),
        microbatch=train.microbatch,
        axis_name=axis_name,
        all_reduce=train.all_reduce,
    )
    return Recipe(init, step)


def build_projection(model: ProjectedModel) -> projected.Projection | None:
    """Return the frozen network of a projected critic, which is none with `backbone` "none".

    Raises:
        InputError: its weights are not installed.
    """
    if model.backbone == "none":
        return None
    return projected.make_projection(
        backbones.make(model.backbone), model.backbone_size, model.mixed
    )


def average(train: AveragedTrain, init_from: str | None) -> Callable[[Any, Any, Array], Any]:
    """Return how a generator's variables are averaged: (new, old, step) -> the average."""
    return partial(
        optimizers.average_by_images,
        batch=train.batch_size,
        half_life=1000 * train.ema_kimg,
        # From an average that is good already a ramp would begin with forgetting it.
        ramp=None if init_from else train.ema_ramp,
    )


def first_average(generator: nn.Module, latent_dim: int, key: PRNGKey) -> dict:
    latents = jax.ShapeDtypeStruct((2, latent_dim), jnp.float32)
    return {"batch_stats": {}} | dict(generator.lazy_init(key, latents, False))
