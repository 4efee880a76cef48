"""From a config to its generator: of every model that can be drawn from."""

from typing import Any, TypeAlias

from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan.config.model_settings import (
    DCGANModel,
    FastGANModel,
    GANModel,
    RefinerModel,
    WGANModel,
)
from jaxgan.config.typed import Config, parse
from jaxgan.models import dcgan, fastgan, pca, refiner, wgan
from jaxgan.recipes import networks, stylegan2

Kind: TypeAlias = tuple[type[nn.Module], dict[str, Any]]  # With what it alone takes.


def build_generator(config: ConfigDict | Config, axis_name: str | None = None) -> nn.Module:
    """Return the generator module of a GAN's config: `(latents [b, z], train)`."""
    made = parse(config)
    model, resolution = made.model, made.data.resolution
    if model.name == "stylegan2":
        return stylegan2.make_generator(made, axis_name)
    if model.name == "pca":
        return pca.Generator(resolution, model.latent_dim, model.shrink)
    kind, own = _kind(model)
    if kind is refiner.Generator:
        own = {"num_classes": made.num_classes}
    return networks.module(made.train.remat, kind)(
        resolution=resolution,
        latent_dim=model.latent_dim,
        channels=model.channels,
        dtype=networks.dtype(made.precision),
        axis_name=axis_name,
        **own,
    )


def _kind(model: GANModel) -> Kind:
    if isinstance(model, WGANModel):
        return wgan.Generator, {"normal_init": model.init == "normal"}
    if isinstance(model, FastGANModel):
        return fastgan.Generator, {"lite": model.lite}
    if isinstance(model, RefinerModel) and model.generator == "refiner":
        return refiner.Generator, {}
    assert isinstance(model, DCGANModel | RefinerModel)
    own = {"selu": model.selu, "slope": model.slope, "dropout": model.generator_dropout}
    return dcgan.Generator, own
