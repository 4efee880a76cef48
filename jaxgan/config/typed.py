"""Configs after the door: a user's ConfigDict becomes one of these, which nothing writes to."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

from ml_collections import ConfigDict

from jaxgan.config import models, questions, sections, values
from jaxgan.config.declarations import (
    BETWEEN,
    SEED,
    TRUTH,
    maybe,
    optional,
    read,
    section,
    several,
    text,
    whole,
)
from jaxgan.config.values import to_dict
from jaxgan.errors import InputError

# What it was made of, as JSON holds it: what `config.json` has.
GIVEN: Any = dataclasses.field(default_factory=dict[str, Any], repr=False, compare=False)


@section
class Network:
    """Of what is trained alone: a GAN or a classifier."""

    data: sections.TrainingData = sections.TrainingData()
    seed: int = SEED
    parallel: str = text("auto", "jit", "pmap", "zero", "fsdp")
    precision: str = text("float32", "bf16")
    deterministic: bool = TRUTH
    init_from: str | None = maybe(text(path="remote"))
    model: models.Model = models.Model()
    train: sections.Train = sections.Train()
    given: dict[str, Any] = GIVEN


@section
class GAN(Network):
    data: sections.GANData = sections.GANData()
    model: models.GANModel = models.GANModel()
    train: sections.GANTrain = sections.GANTrain()
    evaluate: sections.Evaluate = sections.Evaluate()
    vision: sections.Vision | None = None
    sample: sections.Sample | None = None
    retrain: int = optional(whole(1, 1000), 1)  # Of an experiment's.
    loss: Any = None
    augment: Any = None
    optim: Any = None

    @property
    def backbones(self) -> tuple[str, ...]:
        """Return the networks through which the critics look."""
        return tuple(values.backbones(self.given))

    @property
    def numpy_latents(self) -> bool:
        """Whether seeds become latents as the published tool makes them."""
        return self.sample is not None and self.sample.latents == "numpy"


@section
class Adversarial(GAN):
    data: sections.AdversarialData = sections.AdversarialData()
    train: sections.AdversarialTrain = sections.AdversarialTrain()
    loss: sections.Loss = sections.Loss()
    augment: sections.NoisyAugment = sections.NoisyAugment()
    optim: sections.Players = sections.Players()


@section
class WGAN(Adversarial):
    model: models.WGANModel = models.WGANModel()


@section
class DCGAN(Adversarial):
    model: models.DCGANModel = models.DCGANModel()


@section
class FastGAN(Adversarial):
    model: models.FastGANModel = models.FastGANModel()


@section
class Projected(GAN):
    data: sections.ProjectedData = sections.ProjectedData()
    model: models.ProjectedModel = models.ProjectedModel()
    train: sections.ProjectedTrain = sections.ProjectedTrain()
    loss: sections.ProjectedLoss = sections.ProjectedLoss()
    augment: sections.Augment = sections.Augment()
    optim: sections.ProjectedPlayers = sections.ProjectedPlayers()


@section
class Drifting(GAN):
    model: models.DriftingModel = models.DriftingModel()
    train: sections.DriftingTrain = sections.DriftingTrain()
    loss: sections.DriftingLoss = sections.DriftingLoss()
    optim: sections.Alone = sections.Alone()


@section
class StyleGAN2(GAN):
    model: models.StyleGAN2Model = models.StyleGAN2Model()
    train: sections.AveragedTrain = sections.AveragedTrain()
    loss: sections.LazyLoss = sections.LazyLoss()
    augment: sections.AdaptiveAugment = sections.AdaptiveAugment()
    optim: sections.LazyPlayers = sections.LazyPlayers()

    @property
    def num_classes(self) -> int:
        """Return how many classes the networks are told; 0 without conditioning."""
        return len(self.data.classes) if self.model.conditional else 0


@section
class Classifier(Network):
    data: sections.ClassifierData = sections.ClassifierData()
    model: models.ClassifierModel = models.ClassifierModel()
    train: sections.ClassifierTrain = sections.ClassifierTrain()
    optim: sections.ClassifierOptim = sections.ClassifierOptim()

    @property
    def trunk_stays(self) -> bool:
        """Whether the trunk is published and stays as it is: its features are computed once."""
        return self.optim.trunk == 0 and self.model.pretrained is not None


@section
class GoogLeNet(Classifier):
    model: models.GoogLeNetModel = models.GoogLeNetModel()


@section
class ResNet(Classifier):
    model: models.ResNetModel = models.ResNetModel()


@section
class VGG16(Classifier):
    model: models.VGG16Model = models.VGG16Model()


@section
class PCA:
    """Of principal components, which train nothing."""

    data: sections.PCAData = sections.PCAData()
    seed: int = SEED
    parallel: str = text("auto", "jit", "pmap", "zero", "fsdp")
    precision: str = text("float32", "bf16")
    init_from: str | None = maybe(text())
    model: models.PCAModel = models.PCAModel()
    evaluate: Any = None
    backbones: tuple[str, ...] = ()
    numpy_latents: bool = False
    given: dict[str, Any] = GIVEN


@section
class Experiment:
    data: questions.ExperimentData = questions.ExperimentData()
    seed: int = SEED
    seeds: tuple[int, ...] = several(SEED)
    parallel: str = text("auto", "jit", "pmap", "zero", "fsdp")
    deterministic: bool = TRUTH
    arms: tuple[str, ...] = several(text(), 1)
    generated: str | None = maybe(text(path="mapping"))
    epochs: str = text("real", "arm")
    stop_below: float | None = maybe(BETWEEN)
    vmap_seeds: int = whole(1, 1000)
    replace: questions.Replace = questions.Replace()
    add: questions.Add = questions.Add()
    select: questions.Select = questions.Select()
    verdict: questions.Verdict = questions.Verdict()
    gan: Any = None
    classifier: Any = None
    given: dict[str, Any] = GIVEN


Config: TypeAlias = Network | PCA | Experiment
Kind = TypeVar("Kind", bound=Config)
KINDS: dict[str, type[Network | PCA]] = {
    "wgan": WGAN,
    "dcgan": DCGAN,
    "fastgan": FastGAN,
    "projected": Projected,
    "drifting": Drifting,
    "stylegan2": StyleGAN2,
    "googlenet": GoogLeNet,
    "resnet": ResNet,
    "vgg16": VGG16,
    "pca": PCA,
}


def parse(config: ConfigDict | Config) -> Any:
    """Return a checked config as the code takes it; what is one already, as it is."""
    return read_given(to_dict(config)) if isinstance(config, ConfigDict) else config


def read_given(given: dict[str, Any]) -> Any:
    """Return the config of what a run's `config.json` holds."""
    if "arms" in given:
        stages = {name: read_given(given[name]) for name in ("gan", "classifier") if name in given}
        return dataclasses.replace(read(Experiment, given), given=given, **stages)
    name = given.get("model", {}).get("name")
    if name not in KINDS:
        raise InputError(f"config.model.name must be one of {', '.join(KINDS)}, got {name!r}")
    return dataclasses.replace(read(KINDS[name], given), given=given)


def changed(config: Kind, new: Mapping[str, Any]) -> Kind:
    """Return a config with other values, which are given by dotted names."""
    whole = to_dict(config)
    for dotted, value in new.items():
        *path, last = dotted.split(".")
        place = whole
        for part in path:
            place = place.setdefault(part, {})
        place[last] = json.loads(json.dumps(value))  # Tuples are lists there.
    return read_given(whole)
