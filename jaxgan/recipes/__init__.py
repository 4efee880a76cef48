"""From a config to a recipe: the one place that knows all the models."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array
from ml_collections import ConfigDict

from jaxgan.config.settings import has_second_critic
from jaxgan.config.typed import GAN, PCA, Config, Drifting, Network, Projected, StyleGAN2, parse
from jaxgan.models.projected import Projection
from jaxgan.recipes import classifier, drifting, gan, projected, second_critic, stylegan2
from jaxgan.recipes.augmentation import build_augment as build_augment
from jaxgan.recipes.classifier import build_classifier as build_classifier
from jaxgan.recipes.classifier import classifier_layers as classifier_layers
from jaxgan.recipes.classifier import follows_length as follows_length
from jaxgan.recipes.durations import ImageStats as ImageStats
from jaxgan.recipes.durations import extra_batches as extra_batches
from jaxgan.recipes.generators import build_generator as build_generator
from jaxgan.steps.state import GANState, Net
from jaxgan.types import PRNGKey, Recipe


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


def needs_images(config: GAN) -> bool:
    """Return whether the step of a GAN's config depends on its images."""
    durations = [config.vision.start if config.vision else None]
    if isinstance(config, Drifting):
        durations += [config.optim.generator.t_max, config.optim.generator.warmup]
    elif not isinstance(config, StyleGAN2):
        players = config.optim.generator, config.optim.critic
        durations += [config.augment.noise_until, *(player.t_max for player in players)]
        durations += [player.warmup for player in players]
    return config.data.normalise == "statistics" or any("epoch" in (d or "") for d in durations)


def build_projection(config: Network | PCA) -> Projection | None:
    """Return the frozen network of a GAN's critic, the first or the second; None without one.

    Raises:
        InputError: its weights are not installed.
    """
    if isinstance(config, Projected):
        return projected.build_projection(config.model)
    vision = config.vision if isinstance(config, GAN) else None
    return second_critic.build_projection(vision) if has_second_critic(vision) else None


def calibrated(state: GANState, scale: Array) -> GANState:
    """Return the state in which the views of a frozen network have these factors."""
    name = "second" if hasattr(state, "second") else "critic"
    net = getattr(state, name)
    return state.replace(**{name: net.replace(stats=net.stats | {"scale": scale})})


def abstract_ema(config: GAN | PCA) -> Any:
    """Shapes and types of the averaged generator's variables."""
    if isinstance(config, GAN):  # Sampling does without the critics' weights.
        config = dataclasses.replace(config, vision=None)
    if isinstance(config, Projected | Drifting):
        make = partial(projected.first_average, build_generator(config), config.model.latent_dim)
        return jax.eval_shape(make, jax.random.key(0))
    return jax.eval_shape(build(config).init, jax.random.key(0)).ema


def _pca(config: PCA, axis_name: str | None, stats: ImageStats) -> Recipe:
    """Return the shapes alone: what trains nothing has no step."""
    generator = build_generator(config)

    def init(key: PRNGKey) -> GANState:
        latents = jax.ShapeDtypeStruct((2, config.model.latent_dim), jnp.float32)
        variables = generator.lazy_init(key, latents, False)
        nothing = Net({}, {}, ())
        return GANState(jnp.int32(1), nothing, nothing, variables)

    return Recipe(init, lambda state, batch, key: (state, {}))


_RECIPES = {
    "wgan": gan.recipe,
    "dcgan": gan.recipe,
    "fastgan": gan.recipe,
    "pca": _pca,
    "projected": projected.recipe,
    "drifting": drifting.recipe,
    "stylegan2": stylegan2.recipe,
    "googlenet": classifier.recipe,
    "resnet": classifier.recipe,
    "vgg16": classifier.recipe,
}
