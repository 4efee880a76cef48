"""Configs after the door: a user's ConfigDict becomes one of these, which nothing writes to."""

import copy
import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Self, TypeAlias

from ml_collections import ConfigDict

from jaxgan.config import experiment_settings, model_settings, settings, values
from jaxgan.config.fields import (
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
from jaxgan.errors import InputError


@section
class Whole:
    """A whole config.

    Attributes:
        given: what it was made of, as JSON holds it: what `config.json` has.
    """

    given: dict[str, Any] = dataclasses.field(
        default_factory=dict[str, Any], repr=False, compare=False
    )

    def changed(self, new: Mapping[str, Any]) -> Self:
        """Return a config with other values, which are given by dotted names."""
        whole = copy.deepcopy(self.given)
        for dotted, value in new.items():
            *path, last = dotted.split(".")
            place = whole
            for part in path:
                place = place.setdefault(part, {})
            place[last] = json.loads(json.dumps(value))  # Tuples are lists there.
        return read_given(whole)


@section
class Network(Whole):
    """Of what is trained alone: a GAN or a classifier."""

    data: settings.TrainingData = settings.TrainingData()
    seed: int = SEED
    parallel: str = text("auto", "jit", "pmap", "zero", "fsdp")
    precision: str = text("float32", "bf16")
    deterministic: bool = TRUTH
    init_from: str | None = maybe(text(path="remote"))
    model: model_settings.Model = model_settings.Model()
    train: settings.Train = settings.Train()


@section
class GAN(Network):
    data: settings.GANData = settings.GANData()
    model: model_settings.GANModel = model_settings.GANModel()
    train: settings.GANTrain = settings.GANTrain()
    evaluate: settings.Evaluate = settings.Evaluate()
    vision: settings.Vision | None = None
    sample: settings.Sample | None = None
    retrain: int = optional(whole(1, 1000), 1)  # Of an experiment's.
    loss: Any = None
    augment: Any = None
    optim: Any = None

    @property
    def backbones(self) -> tuple[str, ...]:
        """Return the networks through which the critics look."""
        return tuple(values.backbones(self.given))

    @property
    def num_classes(self) -> int:
        """Return how many classes the networks are told; 0 without conditioning."""
        return len(self.data.classes or ()) if self.model.conditional else 0

    @property
    def needs_images(self) -> bool:
        """Whether its step depends on the images: on how many are an epoch, or their statistics."""
        durations = repr((self.vision, self.optim, self.augment))
        return self.data.normalise == "statistics" or "epoch" in durations

    @property
    def numpy_latents(self) -> bool:
        """Whether seeds become latents as the published tool makes them."""
        return self.sample is not None and self.sample.latents == "numpy"


@section
class Adversarial(GAN):
    data: settings.AdversarialData = settings.AdversarialData()
    train: settings.AdversarialTrain = settings.AdversarialTrain()
    loss: settings.Loss = settings.Loss()
    augment: settings.NoisyAugment = settings.NoisyAugment()
    optim: settings.Players = settings.Players()


@section
class WGAN(Adversarial):
    model: model_settings.WGANModel = model_settings.WGANModel()


@section
class DCGAN(Adversarial):
    model: model_settings.DCGANModel = model_settings.DCGANModel()


@section
class FastGAN(Adversarial):
    model: model_settings.FastGANModel = model_settings.FastGANModel()


@section
class Projected(GAN):
    data: settings.ProjectedData = settings.ProjectedData()
    model: model_settings.ProjectedModel = model_settings.ProjectedModel()
    train: settings.ProjectedTrain = settings.ProjectedTrain()
    loss: settings.ProjectedLoss = settings.ProjectedLoss()
    augment: settings.Augment = settings.Augment()
    optim: settings.ProjectedPlayers = settings.ProjectedPlayers()


@section
class Drifting(GAN):
    model: model_settings.DriftingModel = model_settings.DriftingModel()
    train: settings.DriftingTrain = settings.DriftingTrain()
    loss: settings.DriftingLoss = settings.DriftingLoss()
    optim: settings.Alone = settings.Alone()


@section
class StyleGAN2(GAN):
    model: model_settings.StyleGAN2Model = model_settings.StyleGAN2Model()
    train: settings.AveragedTrain = settings.AveragedTrain()
    loss: settings.LazyLoss = settings.LazyLoss()
    augment: settings.AdaptiveAugment = settings.AdaptiveAugment()
    optim: settings.LazyPlayers = settings.LazyPlayers()


@section
class Classifier(Network):
    data: settings.ClassifierData = settings.ClassifierData()
    model: model_settings.ClassifierModel = model_settings.ClassifierModel()
    train: settings.ClassifierTrain = settings.ClassifierTrain()
    optim: settings.ClassifierOptim = settings.ClassifierOptim()

    @property
    def trunk_stays(self) -> bool:
        """Whether the trunk is published and stays as it is: its features are computed once."""
        return self.optim.trunk == 0 and self.model.pretrained is not None


@section
class GoogLeNet(Classifier):
    model: model_settings.GoogLeNetModel = model_settings.GoogLeNetModel()


@section
class ResNet(Classifier):
    model: model_settings.ResNetModel = model_settings.ResNetModel()


@section
class VGG16(Classifier):
    model: model_settings.VGG16Model = model_settings.VGG16Model()


@section
class PCA(Whole):
    """Of principal components, which train nothing."""

    data: settings.PCAData = settings.PCAData()
    seed: int = SEED
    parallel: str = text("auto", "jit", "pmap", "zero", "fsdp")
    precision: str = text("float32", "bf16")
    init_from: str | None = maybe(text())
    model: model_settings.PCAModel = model_settings.PCAModel()
    evaluate: Any = None
    backbones: tuple[str, ...] = ()
    num_classes: int = 0
    numpy_latents: bool = False


@section
class Experiment(Whole):
    data: experiment_settings.ExperimentData = experiment_settings.ExperimentData()
    seed: int = SEED
    seeds: tuple[int, ...] = several(SEED)
    parallel: str = text("auto", "jit", "pmap", "zero", "fsdp")
    deterministic: bool = TRUTH
    arms: tuple[str, ...] = several(text(), 1)
    generated: str | None = maybe(text(path="mapping"))
    epochs: str = text("real", "arm")
    stop_below: float | None = maybe(BETWEEN)
    vmap_seeds: int = whole(1, 1000)
    replace: experiment_settings.Replace = experiment_settings.Replace()
    add: experiment_settings.Add = experiment_settings.Add()
    select: experiment_settings.Select = experiment_settings.Select()
    verdict: experiment_settings.Verdict = experiment_settings.Verdict()
    gan: Any = None
    classifier: Any = None


Config: TypeAlias = Network | PCA | Experiment
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
    return read_given(json.loads(config.to_json())) if isinstance(config, ConfigDict) else config


def read_given(given: dict[str, Any]) -> Any:
    """Return the config of what a run's `config.json` holds."""
    if "arms" in given:
        stages = {name: read_given(given[name]) for name in ("gan", "classifier") if name in given}
        return dataclasses.replace(read(Experiment, given), given=given, **stages)
    name = given.get("model", {}).get("name")
    if name not in KINDS:
        raise InputError(f"config.model.name must be one of {', '.join(KINDS)}, got {name!r}")
    return dataclasses.replace(read(KINDS[name], given), given=given)
