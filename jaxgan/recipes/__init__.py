"""From a config to a recipe: the one place that knows all the models."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array
from ml_collections import ConfigDict

from jaxgan.models.projected import Projection
from jaxgan.recipes import classifier, drifting, gan, projected, second_critic, stylegan2
from jaxgan.recipes.classifier import build_classifier as build_classifier
from jaxgan.recipes.classifier import classifier_layers as classifier_layers
from jaxgan.recipes.classifier import follows_length as follows_length
from jaxgan.recipes.common import Pictures as Pictures
from jaxgan.recipes.common import build_augment as build_augment
from jaxgan.recipes.common import extra_batches as extra_batches
from jaxgan.recipes.generators import build_generator as build_generator
from jaxgan.steps.state import GANState, Net
from jaxgan.types import PRNGKey, Recipe


def build(
    config: ConfigDict, axis_name: str | None = None, pictures: Pictures = Pictures()
) -> Recipe:
    """The recipe of a checked training config.

    Args:
        config: of a GAN or a classifier; a classifier's has `model.num_classes` set.
        axis_name: the `pmap` axis, if the step is to be mapped.
        pictures: those to learn from, where schedules count epochs or `data.normalise` is
            statistics; shapes do not depend on it.
    """
    return _RECIPES[config.model.name](config, axis_name, pictures)


def needs_pictures(config: ConfigDict) -> bool:
    """Whether the step of a GAN's config depends on its pictures."""
    sections = (config.get("augment", {}), *config.optim.values())
    durations = [s.get(key) for s in sections for key in ("noise_until", "t_max", "warmup")]
    durations.append(config.get("vision", {}).get("start"))
    statistics = config.data.get("normalise") == "statistics"
    return statistics or any("epoch" in (d or "") for d in durations)


def build_projection(config: ConfigDict) -> Projection | None:
    """Return the frozen network of a GAN's critic, the first or the second; None without one.

    Raises:
        InputError: its weights are not installed.
    """
    if config.model.name == "projected":
        return projected.build_projection(config)
    return second_critic.build_projection(config.vision) if second_critic.applies(config) else None


def calibrated(state: GANState, scale: Array) -> GANState:
    """Return the state in which the views of a frozen network have these factors."""
    name = "second" if hasattr(state, "second") else "critic"
    net = getattr(state, name)
    return state.replace(**{name: net.replace(stats=net.stats | {"scale": scale})})


def abstract_ema(config: ConfigDict) -> Any:
    """Shapes and types of the averaged generator's variables."""
    config = second_critic.without(config)  # Sampling does without the critics' weights.
    if config.model.name in ("projected", "drifting"):
        make = partial(projected.first_average, build_generator(config), config.model.latent_dim)
        return jax.eval_shape(make, jax.random.key(0))
    return jax.eval_shape(build(config).init, jax.random.key(0)).ema


def _pca(config: ConfigDict, axis_name: str | None, pictures: Pictures) -> Recipe:
    """The shapes alone: what trains nothing has no step."""
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
