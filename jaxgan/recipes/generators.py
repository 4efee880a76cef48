"""From a config to its generator: of every model that can be drawn from."""

from functools import partial
from typing import Any

from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan.models import dcgan, fastgan, pca, refiner, wgan
from jaxgan.recipes import common, stylegan2


def build_generator(config: ConfigDict, axis_name: str | None = None) -> nn.Module:
    """The generator module of a GAN's config: `(latents [b, z], train)`."""
    if config.model.name == "stylegan2":
        return stylegan2.make_generator(config, axis_name)
    if config.model.name == "pca":
        model = config.model
        return pca.Generator(config.data.resolution, model.latent_dim, model.shrink)
    name = config.model.get("generator", config.model.name)
    return _GENERATORS[name](config)(
        resolution=config.data.resolution,
        latent_dim=config.model.latent_dim,
        channels=config.model.channels,
        dtype=common.dtype(config),
        axis_name=axis_name,
    )


def _wgan_generator(config: ConfigDict) -> Any:
    return partial(common.module(config, wgan.Generator), normal_init=config.model.init == "normal")


def _dcgan_generator(config: ConfigDict) -> Any:
    model = config.model
    return partial(
        common.module(config, dcgan.Generator),
        selu=model.selu,
        slope=model.slope,
        dropout=model.generator_dropout,
    )


def _refiner(config: ConfigDict) -> Any:
    return common.module(config, refiner.Generator)


def _fastgan_generator(config: ConfigDict) -> Any:
    return partial(common.module(config, fastgan.Generator), lite=config.model.lite)


_GENERATORS = {
    "wgan": _wgan_generator,
    "dcgan": _dcgan_generator,
    "fastgan": _fastgan_generator,
    "refiner": _refiner,
}
