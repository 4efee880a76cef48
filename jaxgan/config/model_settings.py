"""The `model` section of each model: see `settings`."""

from jaxgan.config.fields import (
    PART,
    SHARE,
    TRUTH,
    maybe,
    number,
    optional,
    positive,
    section,
    several,
    text,
    whole,
)
from jaxgan.config.names import CLASSIFIERS, GANS
from jaxgan.models import backbones, resnet


@section
class Model:
    name: str = text(*GANS, *CLASSIFIERS)


@section
class GANModel(Model):
    latent_dim: int = whole(1, 2**16)
    conditional: bool | None = False


@section
class WGANModel(GANModel):
    channels: int = whole(1, 2**15)
    init: str = text("uniform", "normal")


@section
class DCGANModel(GANModel):
    channels: int = whole(1, 2**15)
    slope: float = number(0.0, 1e3)
    dropout: tuple[float, ...] = several(PART, 0, 100)
    generator_dropout: float = PART
    norm: bool = TRUTH
    selu: bool = TRUTH
    spectral_norm: bool = TRUTH


@section
class FastGANModel(GANModel):
    channels: int = whole(1, 2**15)
    critic_channels: int = whole(1, 2**15)
    lite: bool = TRUTH
    rebuild: bool = TRUTH


@section
class RefinerModel(GANModel):
    """A refiner, or a DCGAN's generator, of a model that looks through a frozen network."""

    generator: str = text("refiner", "dcgan")
    channels: int = whole(1, 2**15)
    backbone: str = text(*backbones.NAMES)
    backbone_size: int = whole(1, 4096)
    selu: bool = optional(TRUTH)
    slope: float = optional(number(0.0, 1e3))
    generator_dropout: float = optional(PART)


@section
class DriftingModel(RefinerModel):
    conditional: bool | None = optional(maybe(TRUTH), False)
    backbone: str = text(*(name for name in backbones.NAMES if name != "none"))


@section
class ProjectedModel(RefinerModel):
    mixed: int = whole(1, 2**12)
    head_width: int = whole(1, 2**12)
    patch: tuple[int, ...] = several(whole(1, 2**12), 0, 10)


@section
class StyleGAN2Model(GANModel):
    conditional: bool = TRUTH
    w_dim: int = whole(1, 2**16)
    channel_base: int = whole(1, 2**24)
    channel_max: int = whole(1, 2**15)
    mapping_layers: int = whole(1, 1000)
    group_size: int = whole(1, 2**20)
    clamp: float | None = maybe(positive())
    bf16_blocks: int = whole(0)


@section
class PCAModel:
    name: str = text("pca")
    latent_dim: int = maybe(whole(1, 2**16))  # Found.
    components: float | None = maybe(positive(1e6))
    mirror: bool = TRUTH
    shrink: float = SHARE


@section
class ClassifierModel(Model):
    num_classes: int = maybe(whole(1, 10**6))  # Found.
    width: float = positive(64.0)
    hidden: tuple[int, ...] = several(whole(1, 2**16), 0, 100)
    pretrained: str | None = maybe(text(path="local"))


@section
class GoogLeNetModel(ClassifierModel):
    aux_heads: bool = TRUTH


@section
class ResNetModel(ClassifierModel):
    blocks: tuple[int, ...] = several(whole(1, 1000), 4, 4)
    stem: str | None = maybe(text(*resnet.STEMS))
    dropout: float = PART


@section
class VGG16Model(ClassifierModel):
    grid: int = whole(1, 1000)
    dropout: float = PART
