"""Configs as the code sees them: frozen sections, whose attributes declare what each may be.

The type, bounds, names and length of a setting are declared once, here; `check_settings` checks by
that, `read` makes a section of a user's values, and the page of all settings is written from it. A
value in `optional` is what a config has that was made before the setting. `combinations` asks for
the rest: what settings mean together.
"""

import dataclasses
from typing import Literal, TypeGuard

from jaxgan.augment import ada
from jaxgan.config.fields import (
    ANY,
    LARGEST,
    PART,
    SHARE,
    SOME,
    TRUTH,
    maybe,
    number,
    optional,
    part,
    positive,
    section,
    several,
    text,
    whole,
)
from jaxgan.config.names import (
    CLASSIFIER_AUGMENTS,
    LOSSES,
    METRICS,
    SCHEDULES,
)
from jaxgan.data import layout
from jaxgan.models import backbones

# DiffAugment's color and cutout keep their names; the rest are ADA's groups.
_OWN = ("flip", "color", "translation", "cutout")
AUGMENTS = (*_OWN, *(name for name in ada.GROUPS if name not in _OWN))
SPLIT = several(number(), 0, 1000)  # `combinations.check_fractions` says what else.


@section
class Data:
    """Which images."""

    path: str = text(path="local")
    classes: tuple[str, ...] = several(text(), 0, 100_000)
    limit: int | None = maybe(whole())
    crop: Literal["center", "stretch"] = text("center", "stretch")
    on_error: Literal["skip", "raise"] = text("skip", "raise")
    given_sides: Literal["use", "merge"] = optional(text("use", "merge"), "use")
    layout: str = optional(text(*layout.READINGS), "auto")
    groups: str | None = optional(maybe(text()))
    duplicates: str | float | None = optional(ANY)  # `duplicates.parse` says which; None: auto.

    @property
    def rule(self) -> str | float:
        """Return the rule by which images are the same; older configs have none."""
        return "auto" if self.duplicates is None else self.duplicates

    def at(self, resolution: int) -> "TrainingData":
        """Return the same images at a resolution."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(Data)}
        return TrainingData(**own, resolution=resolution)


@section
class TrainingData(Data):
    resolution: int = whole(1, 4096)
    split: tuple[float, float, float] | None = optional(SPLIT)


@section
class PCAData(Data):
    resolution: int = whole(8, 4096)
    split: tuple[float, ...] | None = None


@section
class GANData(TrainingData):
    flip: bool = TRUTH
    normalise: str = "range"


@section
class AdversarialData(GANData):
    normalise: str = text("range", "statistics")


@section
class ProjectedData(GANData):
    normalise: str = optional(text("range", "statistics"), "range")


@section
class ClassifierData(TrainingData):
    split: tuple[float, float, float] = SPLIT
    flip: bool = optional(TRUTH, False)


@section
class Train:
    """How long, on how many images at once, and what is kept."""

    steps: int | None = maybe(whole())
    epochs: float | None = maybe(positive(1e6))
    kimg: float | None = maybe(positive())
    batch_size: int = whole(1, 2**20)
    microbatch: int | None = maybe(whole(1, 2**20))
    remat: bool = TRUTH
    profile: str | None = maybe(text())
    log_every: int = whole()
    sample_every: int = whole()
    checkpoint_every: int = whole()
    checkpoint_minutes: float | None = optional(maybe(positive(1e6)))
    steps_per_call: int = optional(whole(1, 1000), 1)
    all_reduce: str = optional(text("float32", "bf16"), "float32")


@section
class Boost:
    """More critic updates: at the start, and every so many steps."""

    n_critic: int = whole(1, 10**6)
    first: int = whole(0)
    every: int = whole(0)


@section
class GANTrain(Train):
    min_diversity: float = PART
    on_collapse: str = text("warn", "stop", "rollback")
    rollbacks: int = whole(0)
    n_critic: int = 1
    same_batch: bool = True
    boost: Boost | None = None


@section
class AdversarialTrain(GANTrain):
    n_critic: int = whole(1, 10**6)
    same_batch: bool = TRUTH
    boost: Boost = Boost()
    ema_decay: float = PART


@section
class AveragedTrain(GANTrain):
    ema_kimg: float = positive()
    ema_ramp: float | None = maybe(positive())


@section
class ProjectedTrain(AveragedTrain):
    n_critic: int = optional(whole(1, 10**6), 1)
    same_batch: bool = optional(TRUTH, True)


@section
class DriftingTrain(AveragedTrain):
    positives: int = whole(2, 2**16)


@section
class ClassifierTrain(Train):
    label_smoothing: float = PART
    augment: tuple[str, ...] = several(text(*CLASSIFIER_AUGMENTS))
    mixup: float = number(0.0, 1e3, default=0.0)
    cutmix: float = number(0.0, 1e3, default=0.0)
    feature_noise: float = number(0.0, 1e3, default=0.0)
    ema_decay: float = part(default=0.0)
    views: int = whole(1, 1000)


@section
class Adam:
    learning_rate: float = positive(1e3)
    b1: float = PART
    b2: float = PART


@section
class Player(Adam):
    """The optimiser of the generator or the critic."""

    name: str = text("adam", "rmsprop")
    schedule: str = text(*SCHEDULES)
    final: float = number(0.0, 1e3)
    t_max: str | None = maybe(text())
    warmup: str | None = maybe(text())
    clip: float | None = None


@section
class Critic(Player):
    clip: float | None = maybe(positive())


@section
class Alone:
    """Of a generator without a critic."""

    generator: Player = Player()


@section
class Players(Alone):
    critic: Critic = Critic()


@section
class ProjectedPlayers(Alone):
    critic: Player = Player()


@section
class LazyCritic(Adam):
    frozen: int = whole(0)


@section
class LazyPlayers:
    generator: Adam = Adam()
    critic: LazyCritic = LazyCritic()


@section
class ClassifierOptim(Adam):
    name: str = text("adam", "adamw", "sgd")
    momentum: float = PART
    weight_decay: float = number(0.0, 1e3, default=0.0)
    schedule: str = text("constant", "cosine", default="constant")
    final: float = number(0.0, 1e3)
    warmup: float = part(default=0.0)
    trunk: float = number(0.0, 1e3)
    frozen: tuple[str, ...] = several(text())


@section
class Evaluate:
    """What is measured beside training."""

    every: int = whole(0, default=0)
    pictures: int = whole(1, 10**7)
    metrics: tuple[str, ...] = several(text(*METRICS), 1)
    best: str = text(*METRICS, default="")
    features: str = text("auto", "vgg16", "alexnet", "light")
    share: float = SOME
    allow_seen: bool = optional(TRUTH, False)


@section
class Loss:
    name: str = text(*LOSSES)
    real_labels: tuple[float, float] = several(number(-LARGEST), 2, 2)
    flipped: float = SHARE
    targets: tuple[float, float, float] = several(number(-LARGEST), 3, 3)
    margin: tuple[float, float] = several(number(-LARGEST), 2, 2, default=(1.0, 1.0))
    gradient_penalty: float = number()
    r1: float = number()
    r2: float = number()


@section
class ProjectedLoss:
    name: str = text("hinge")


@section
class DriftingLoss:
    name: str = text("drifting")
    temperatures: tuple[float, ...] = several(positive(1e3), 1, 100)


@section
class LazyLoss:
    name: str = "non_saturating"
    r1: float = number()
    r1_every: int = whole()
    path_length: float = number()
    path_every: int = whole()
    path_decay: float = SHARE
    style_mixing: float = SHARE


@section
class Augment:
    policy: tuple[str, ...] = several(text(*AUGMENTS))
    p: float = SHARE
    noise: float = 0.0
    noise_until: str | None = None


@section
class NoisyAugment(Augment):
    noise: float = number(0.0, 1e3)
    noise_until: str | None = maybe(text())


@section
class AdaptiveAugment:
    policy: tuple[str, ...] = several(text(*ada.GROUPS))
    p: float | None = maybe(SHARE)
    target: float = part(-1.0, above=True)
    speed_kimg: float = positive()


@section
class Vision(Adam):
    """A second critic, beside a first one; not every config has it."""

    backbone: str = text(*backbones.NAMES)
    backbone_size: int = whole(1, 4096)
    weight: float = number()
    start: str | None = maybe(text())
    mixed: int = whole(1, 2**12)
    head_width: int = whole(1, 2**12)


def has_second_critic(vision: Vision | None) -> TypeGuard[Vision]:
    """Return whether a GAN's config has a second critic."""
    return vision is not None and vision.backbone != "none" and vision.weight > 0


@section
class Sample:
    """How seeds become latents; "numpy" as the published tool does."""

    latents: str = optional(text(), "")
