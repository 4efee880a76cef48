"""From a config to its generator: of every model that can be drawn from."""

from typing import Any, TypeAlias

from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan.config.model_settings import (
    DCGANModel,
    FastGANModel,
    GANModel,
    PCAModel,
    RefinerModel,
    StyleGAN2Model,
    WGANModel,
)
from jaxgan.config.typed import Config, parse
from jaxgan.models import dcgan, fastgan, pca, refiner, stylegan2, wgan
from jaxgan.recipes import networks

Kind: TypeAlias = tuple[type[nn.Module], dict[str, Any]]  # With what it alone takes.


def build_generator(config: ConfigDict | Config, axis_name: str | None = None) -> nn.Module:
    """Return the generator module of a GAN's config: `(latents [b, z], train)`."""
    made = parse(config)
    model, resolution = made.model, made.data.resolution
    if isinstance(model, StyleGAN2Model):
        return stylegan2.Generator(
            resolution=resolution,
            latent_dim=model.latent_dim,
            num_classes=made.num_classes,
            w_dim=model.w_dim,
            channel_base=model.channel_base,
            channel_max=model.channel_max,
            mapping_layers=model.mapping_layers,
            clamp=model.clamp,
            bf16_blocks=networks.bf16_blocks(model, made.precision),
            axis_name=axis_name,
        )
    if isinstance(model, PCAModel):
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
