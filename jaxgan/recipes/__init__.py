"""From a config to a recipe: the one place that knows all the models."""

import dataclasses
from functools import partial
from typing import Any

import jax
from jaxtyping import Array
from ml_collections import ConfigDict

from jaxgan.config.model_settings import GANModel, ProjectedModel
from jaxgan.config.settings import Vision, has_second_critic
from jaxgan.config.typed import GAN, PCA, Config, Drifting, Projected, parse
from jaxgan.models.projected import Projection
from jaxgan.recipes import classifier, drifting, gan, projected, second_critic, stylegan2
from jaxgan.recipes.augmentation import build_augment as build_augment
from jaxgan.recipes.classifier import build_classifier as build_classifier
from jaxgan.recipes.classifier import classifier_layers as classifier_layers
from jaxgan.recipes.classifier import follows_length as follows_length
from jaxgan.recipes.durations import ImageStats as ImageStats
from jaxgan.recipes.durations import extra_batches as extra_batches
from jaxgan.recipes.generators import build_generator as build_generator
from jaxgan.steps.state import GANState
from jaxgan.types import Recipe


def build(
    config: ConfigDict | Config, axis_name: str | None = None, stats: ImageStats = ImageStats()
) -> Recipe:
    """Return the recipe of a checked training config.

    Args:
        config: of a GAN or a classifier; a classifier's has `model.num_classes` set.
        axis_name: the `pmap` axis, if the step is to be mapped.
        stats: of the images to learn from, where schedules count epochs or `data.normalise` is
            statistics; shapes do not depend on it.
    """
    made = parse(config)
    return _RECIPES[made.model.name](made, axis_name, stats)


def build_projection(model: GANModel, vision: Vision | None) -> Projection | None:
    """Return the frozen network of a GAN's critic, the first or the second; None without one.

    Raises:
        InputError: its weights are not installed.
    """
    if isinstance(model, ProjectedModel):
        return projected.build_projection(model)
    return second_critic.build_projection(vision) if has_second_critic(vision) else None


def calibrated(state: GANState, scale: Array) -> GANState:
    """Return the state in which the views of a frozen network have these factors."""
    name = "second" if hasattr(state, "second") else "critic"
    net = getattr(state, name)
    return state.replace(**{name: net.replace(stats=net.stats | {"scale": scale})})


def abstract_ema(config: GAN | PCA) -> Any:
    """Return shapes and types of the averaged generator's variables."""
    if not isinstance(config, Projected | Drifting | PCA):
        alone = dataclasses.replace(config, vision=None)  # Without a second critic's weights.
        return build(alone).abstract.ema
    make = partial(projected.first_average, build_generator(config), config.model.latent_dim)
    found = jax.eval_shape(make, jax.random.key(0))
    return {"params": found["params"]} if isinstance(config, PCA) else found


_RECIPES = {
    "wgan": gan.recipe,
    "dcgan": gan.recipe,
    "fastgan": gan.recipe,
    "projected": projected.recipe,
    "drifting": drifting.recipe,
    "stylegan2": stylegan2.recipe,
    "googlenet": classifier.recipe,
    "resnet": classifier.recipe,
    "vgg16": classifier.recipe,
}
