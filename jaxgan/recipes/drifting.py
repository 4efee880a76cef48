"""From a config to the recipe of a drifting model: a generator, a frozen network, no critic."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from jaxgan.config.model_settings import DriftingModel
from jaxgan.config.typed import Drifting
from jaxgan.models import backbones
from jaxgan.models.feature_sets import Sets, make_feature_sets
from jaxgan.recipes import durations, networks
from jaxgan.recipes.durations import ImageStats
from jaxgan.recipes.generators import build_generator
from jaxgan.recipes.optimiser import optimiser
from jaxgan.recipes.projected import average, first_average
from jaxgan.steps import drifting as steps
from jaxgan.steps.state import GANState, Net, new_net
from jaxgan.types import Images, PRNGKey, Recipe


def recipe(config: Drifting, axis_name: str | None, stats: ImageStats) -> Recipe:
    model, train = config.model, config.train
    feature_sets = build_feature_sets(model)
    tx = optimiser(config.optim.generator, partial(durations.steps, train, stats))

    def init(key: PRNGKey) -> GANState:
        generator_key, _ = jax.random.split(key)
        variables = first_average(build_generator(config), model.latent_dim, generator_key)
        images = networks.images(config.data.resolution)
        several = jax.ShapeDtypeStruct((train.positives, *images.shape[1:]), images.dtype)
        attracts: dict = {
            "real": [jnp.zeros(x.shape) for x in jax.eval_shape(feature_sets, several)]
        }
        if config.num_classes:
            attracts["labels"] = jnp.zeros(train.positives, jnp.int32)
        return GANState(
            step=jnp.int32(0),
            generator=new_net(variables, tx),
            critic=Net({}, attracts, ()),
            ema=jax.tree.map(jnp.copy, variables),  # Donated buffers must not be shared.
        )

    step = steps.make_step(
        build_generator(config, axis_name),
        feature_sets,
        tx,
        temperatures=config.loss.temperatures,
        latent_dim=model.latent_dim,
        average=average(train, config.init_from),
        conditional=config.num_classes > 0,
        axis_name=axis_name,
        all_reduce=train.all_reduce,
    )
    return Recipe(init, step)


def build_feature_sets(model: DriftingModel) -> Callable[[Images], Sets]:
    """Return what images look like to a drifting model.

    Raises:
        InputError: the frozen network's weights are not installed.
    """
    return make_feature_sets(backbones.make(model.backbone), model.backbone_size)
