"""Values of a config that make no sense: each is one sentence, before anything is compiled."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import settings
from jaxgan.config.lengths import LENGTHS, profile_steps
from jaxgan.config.models import DCGANModel, FastGANModel, GANModel, RefinerModel
from jaxgan.config.names import GANS
from jaxgan.config.names import METRICS as METRICS
from jaxgan.config.sections import (
    AdversarialData,
    AdversarialTrain,
    ClassifierTrain,
    Evaluate,
    GANTrain,
    Loss,
    Player,
    Vision,
)
from jaxgan.config.typed import (
    GAN,
    PCA,
    Adversarial,
    Classifier,
    Config,
    Drifting,
    Experiment,
    FastGAN,
    Network,
    Projected,
    StyleGAN2,
    parse,
)
from jaxgan.config.values import is_experiment
from jaxgan.data import duplicates, groups
from jaxgan.errors import InputError
from jaxgan.experiment.design import arm_names
from jaxgan.models import backbones, fastgan
from jaxgan.steps import schedules

PENALTIES = ("gradient_penalty", "r1", "r2")


def check_training(given: ConfigDict | Config, name: str = "config") -> Any:
    """Return the config of a GAN, a classifier or principal components as the code takes it.

    Raises:
        InputError: a value makes no sense.
    """
    if isinstance(given, ConfigDict):
        settings.check(given, name)
    config = parse(given)
    groups.check(config.data.groups, f"{name}.data.groups")
    duplicates.parse(config.data.rule, f"{name}.data.duplicates")
    if not isinstance(config, PCA):
        _check_network(config, name)
    return config


def _check_network(config: Network, name: str) -> None:
    train = config.train
    lengths = [n for n in LENGTHS if getattr(train, n) is not None]
    if len(lengths) != 1:
        raise InputError(
            f"one of {name}.train.steps, epochs and kimg must be set, got {len(lengths)}"
        )
    if train.microbatch is not None and train.batch_size % train.microbatch:
        raise InputError(
            f"{name}.train.microbatch must divide {name}.train.batch_size "
            f"({train.batch_size}), got {train.microbatch}"
        )
    profile_steps(train.profile, name)
    if isinstance(config, GAN):
        _check_vision(config.vision, config.model.name, config.data.resolution, name)
        _check_evaluate(config.evaluate, f"{name}.evaluate")
    if isinstance(config, StyleGAN2):
        _check_stylegan2(config, name)
    elif isinstance(config, Projected):
        _check_projected(config, name)
    elif isinstance(config, Drifting):
        _check_drifting(config, name)
    elif isinstance(config, Adversarial):
        _check_gan(config, name)
    elif isinstance(config, Classifier):
        _check_classifier(config, name)


def _check_size(resolution: int, name: str) -> None:
    if not 16 <= resolution <= 1024 or resolution & (resolution - 1):
        raise InputError(
            f"{name}.data.resolution must be a power of two from 16 to 1024, got {resolution}"
        )


def _check_stylegan2(config: StyleGAN2, name: str) -> None:
    model, train = config.model, config.train
    _check_size(config.data.resolution, name)
    layers = 1 + 3 * (config.data.resolution.bit_length() - 3)
    if not 0 <= config.optim.critic.frozen <= layers:
        raise InputError(
            f"{name}.optim.critic.frozen must be within [0, {layers}], the discriminator's layers "
            f"above 4 x 4, got {config.optim.critic.frozen}"
        )
    at_once = "microbatch" if train.microbatch else "batch_size"
    count = train.microbatch or train.batch_size
    if count % min(model.group_size, count) or count % 2:
        raise InputError(
            f"{name}.train.{at_once} must be even and a multiple of {name}.model.group_size "
            f"({model.group_size}), got {count}"
        )
    _check_collapse(train, f"{name}.train")
    if train.steps_per_call > 1:
        raise InputError(
            f"{name}.train.steps_per_call must be 1 with stylegan2, whose updates are compiled "
            f"apart, got {train.steps_per_call}"
        )


def _check_fastgan(data: AdversarialData, name: str) -> None:
    if data.resolution not in fastgan.RESOLUTIONS:
        sizes = ", ".join(map(str, fastgan.RESOLUTIONS))
        raise InputError(f"{name}.data.resolution must be one of {sizes}, got {data.resolution}")
    if data.normalise != "range":
        raise InputError(f"{name}.data.normalise must be range, got {data.normalise!r}")


def _check_gan(config: Adversarial, name: str) -> None:
    if isinstance(config, FastGAN):
        _check_fastgan(config.data, name)
    _check_size(config.data.resolution, name)
    _check_loss(config.loss, config.model, name)
    _check_duration(f"{name}.augment.noise_until", config.augment.noise_until)
    _check_player(f"{name}.optim.generator", config.optim.generator)
    _check_player(f"{name}.optim.critic", config.optim.critic)
    _check_turns(config.train, f"{name}.train")


def _check_refiner(generator: str, side: int, name: str) -> None:
    _check_size(side, name)
    if generator == "refiner" and not 32 <= side <= 256:
        raise InputError(
            f"{name}.data.resolution must be from 32 to 256 for a refiner (take stylegan2 beyond), "
            f"got {side}"
        )


def _check_drifting(config: Drifting, name: str) -> None:
    train, side = config.train, config.data.resolution
    _check_refiner(config.model.generator, side, name)
    _check_backbone(config.model, side, f"{name}.model", f"{name}.data.resolution")
    _check_player(f"{name}.optim.generator", config.optim.generator)
    if train.microbatch is not None:
        raise InputError(
            f"{name}.train.microbatch must be None for a drifting model, whose images repel each "
            f"other, got {train.microbatch}"
        )
    if train.batch_size < 2:
        raise InputError(
            f"{name}.train.batch_size must be 2 or more for a drifting model, whose images repel "
            f"each other, got {train.batch_size}"
        )
    if train.positives < train.batch_size:
        raise InputError(
            f"{name}.train.positives must be {name}.train.batch_size ({train.batch_size}) or more, "
            f"got {train.positives}"
        )


def _check_projected(config: Projected, name: str) -> None:
    model, side = config.model, config.data.resolution
    _check_refiner(model.generator, side, name)
    if model.backbone == "none" and not model.patch:
        raise InputError(f"{name}.model.patch must not be () where {name}.model.backbone is none")
    if 2 ** len(model.patch) > side // 2:
        raise InputError(
            f"{name}.model.patch must leave 2 px or more of {side}, got {len(model.patch)} layers"
        )
    if model.backbone != "none":
        _check_backbone(model, side, f"{name}.model", f"{name}.data.resolution")
    _check_player(f"{name}.optim.generator", config.optim.generator)
    _check_player(f"{name}.optim.critic", config.optim.critic)


def _check_backbone(section: RefinerModel | Vision, side: int, name: str, resolution: str) -> None:
    least = backbones.smallest(section.backbone)
    if not least <= section.backbone_size <= side:
        raise InputError(
            f"{name}.backbone_size must be from {least} ({section.backbone}'s least) to "
            f"{resolution} ({side}), got {section.backbone_size}"
        )


def _check_vision(vision: Vision | None, model: str, side: int, name: str) -> None:
    aided = [one for one in GANS if one not in ("projected", "drifting")]
    if not recipes.second_critic.applies(vision):
        return
    if model not in aided:
        raise InputError(
            f"{name}.vision.backbone must be none where {name}.model.name is none of "
            f"{', '.join(aided)}, got {vision.backbone!r} for {model!r}"
        )
    _check_backbone(vision, side, f"{name}.vision", f"{name}.data.resolution")
    if vision.start is not None:
        schedules.steps(vision.start, 1, 1, f"{name}.vision.start")


def _check_evaluate(evaluate: Evaluate, name: str) -> None:
    if evaluate.best not in evaluate.metrics:
        raise InputError(
            f"{name}.best must be one of {', '.join(evaluate.metrics)}, got {evaluate.best!r}"
        )


def _check_loss(loss: Loss, model: GANModel, name: str) -> None:
    low, high = loss.real_labels
    if not 0 <= low <= high <= 1:
        raise InputError(
            f"{name}.loss.real_labels must be a range (low, high) within [0, 1], got {(low, high)}"
        )
    low, high = loss.margin
    if not 0 < low <= high:
        raise InputError(
            f"{name}.loss.margin must be a range (low, high) above 0, got {(low, high)}"
        )
    normal = isinstance(model, DCGANModel) and model.norm and not model.selu
    used = {key: value for key in PENALTIES if (value := getattr(loss, key))}
    if used and (normal or isinstance(model, FastGANModel)):
        first = next(iter(used))
        raise InputError(
            f"{name}.loss.{first} must be 0 where the discriminator has batch normalisation, "
            f"which mixes pictures up (set {name}.model.norm=False of a dcgan), "
            f"got {used[first]}"
        )


def _check_player(name: str, optim: Player) -> None:
    _check_duration(f"{name}.t_max", optim.t_max)
    _check_duration(f"{name}.warmup", optim.warmup)
    if optim.schedule != "constant" and optim.t_max is None:
        raise InputError(f"{name}.t_max must be set with schedule={optim.schedule}, got None")


def _check_turns(train: AdversarialTrain, name: str) -> None:
    boost = train.boost
    if (boost.first or boost.every) and boost.n_critic % train.n_critic:
        raise InputError(
            f"{name}.boost.n_critic must be a multiple of {name}.n_critic ({train.n_critic}), "
            f"got {boost.n_critic}"
        )
    _check_collapse(train, name)


def _check_collapse(train: GANTrain, name: str) -> None:
    if train.on_collapse == "rollback" and train.checkpoint_minutes is not None:
        raise InputError(
            f"{name}.checkpoint_minutes must be None with on_collapse=rollback, so that each "
            f"checkpoint is judged, got {train.checkpoint_minutes}"
        )
    if train.on_collapse == "rollback" and train.checkpoint_every % train.sample_every:
        raise InputError(
            f"{name}.checkpoint_every must be a multiple of {name}.sample_every "
            f"({train.sample_every}) with on_collapse=rollback, so that each one is judged, "
            f"got {train.checkpoint_every}"
        )


def _check_duration(name: str, duration: str | None) -> None:
    if duration is not None and not schedules.steps(duration, 1, 1, name) > 0:
        raise InputError(f"{name} must be above 0, got {duration!r}")


def _check_classifier(config: Classifier, name: str) -> None:
    if config.data.resolution < 32:
        raise InputError(
            f"{name}.data.resolution must be at least 32, got {config.data.resolution}"
        )
    check_fractions(f"{name}.data.split", config.data.split)
    if min(config.data.split[:2]) <= 0:
        raise InputError(
            f"{name}.data.split must leave a share to train and one to validate, "
            f"got {tuple(config.data.split)}"
        )
    model, train, optim = config.model, config.train, config.optim
    if model.pretrained == "features" and model.name != "vgg16":
        raise InputError(
            f"{name}.model.pretrained=features must come with {name}.model.name=vgg16, "
            f"got {model.name!r}"
        )
    for key in ("mixup", "cutmix"):
        if getattr(train, key) and (train.microbatch or train.batch_size) % 2:
            raise InputError(
                f"{name}.train.batch_size and microbatch must be even with {key}, "
                f"got {train.microbatch or train.batch_size}"
            )
    if train.feature_noise and optim.trunk:
        raise InputError(
            f"{name}.train.feature_noise must be 0 where the trunk learns ({name}.optim.trunk is "
            f"{optim.trunk}), got {train.feature_noise}"
        )
    if train.cutmix and not optim.trunk and model.pretrained is not None:
        raise InputError(
            f"{name}.train.cutmix must be 0 with a frozen trunk, whose features have no "
            f"rectangles (take mixup), got {train.cutmix}"
        )
    if optim.weight_decay and optim.name == "adam":
        raise InputError(
            f"{name}.optim.weight_decay must be 0 with adam (take adamw), got {optim.weight_decay}"
        )
    if optim.frozen:
        _check_frozen(optim.frozen, recipes.classifier_layers(config), f"{name}.optim.frozen")
    if not optim.trunk and model.pretrained is None and config.init_from is None:
        raise InputError(
            f"{name}.optim.trunk must be above 0 with random weights: set {name}.model.pretrained"
        )


def _check_frozen(frozen: Sequence[str], layers: Sequence[str], name: str) -> None:
    for start in frozen:
        if not any(layer.startswith(start) or start.startswith(layer + "/") for layer in layers):
            raise InputError(
                f"each of {name} must be how the names of layers begin, of {', '.join(layers)}, "
                f"got {start!r}"
            )


def parsed(given: ConfigDict | Experiment) -> Experiment:
    """Return an experiment's config, of which each setting is checked for itself alone."""
    if not is_experiment(given):
        raise InputError("this config trains one network: jaxgan train takes it")
    if isinstance(given, ConfigDict):
        settings.check(given)
    return parse(given)


def check_experiment(given: ConfigDict) -> Experiment:
    """Return an experiment's config as the code takes it; its stages have its data already.

    Raises:
        InputError: a value makes no sense.
    """
    settings.check(given)
    config: Experiment = parse(given)
    groups.check(config.data.groups)
    duplicates.parse(config.data.rule, "config.data.duplicates")
    check_fractions("config.data.split", config.data.split)
    if min(config.data.split[:2]) <= 0:
        raise InputError(
            "config.data.split must leave a share to train and one to validate, by which "
            f"checkpoints and add:best are chosen, got {tuple(config.data.split)}"
        )
    if not config.seeds or len(set(config.seeds)) != len(config.seeds):
        raise InputError(
            f"config.seeds must be one or more different whole numbers >= 0, got {config.seeds}"
        )
    if len(set(config.arms)) != len(config.arms):
        raise InputError(f"config.arms must differ from each other, got {config.arms}")
    named = {arm: arm_names.parse(arm) for arm in config.arms}
    primary = tuple(config.verdict.primary)
    if len(primary) != 2 or primary[0] == primary[1] or not set(primary) <= set(config.arms):
        raise InputError(
            f"config.verdict.primary must be two different arms of {tuple(config.arms)}, "
            f"got {primary}"
        )
    if config.data.folds == 1 == len(config.seeds):
        raise InputError(
            "config.seeds must be two or more where config.data.folds is 1: one classifier of each "
            f"arm says nothing of chance, got {config.seeds}"
        )
    if config.data.folds > 1 and config.gan.retrain > 1:
        raise InputError(
            "config.gan.retrain must be 1 with config.data.folds above 1: each fold has GANs of "
            f"its own, got {config.gan.retrain}"
        )
    _check_vmap(config.vmap_seeds, config.parallel, config.classifier.train)
    first, second = (named[arm] for arm in primary)
    if not first.generates or (second.generates and second.source != "pca"):
        raise InputError(
            f"config.verdict.primary must have an arm with generated images against one without, "
            f"or against pca (such as add against real), got {primary}"
        )
    if not 1 <= config.gan.retrain <= len(config.seeds):
        raise InputError(
            f"config.gan.retrain must be from 1 to the number of seeds ({len(config.seeds)}), "
            f"got {config.gan.retrain}"
        )
    check_training(config.gan, "config.gan")
    check_training(config.classifier, "config.classifier")
    return config


def _check_vmap(count: int, parallel: str, train: ClassifierTrain) -> None:
    alone = {
        "config.parallel=pmap": parallel == "pmap",
        "config.classifier.train.microbatch": train.microbatch is not None,
        "config.classifier.train.profile": train.profile is not None,
    }
    for name in (name for name, there in alone.items() if there and count > 1):
        raise InputError(f"config.vmap_seeds must be 1 with {name}, got {count}")


def check_fractions(name: str, fractions: Sequence[Any]) -> None:
    """Three shares (train, validation, test) of a whole."""
    numbers = all(isinstance(share, int | float) for share in fractions)
    if not numbers or len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(
            f"{name} must be three shares (train, validation, test) that add up to 1, "
            f"got {tuple(fractions)}"
        )
