"""Values of a config that make no sense: each is one sentence, before anything is compiled."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import arm_names, check_settings, gan_combinations
from jaxgan.config.loading import inherited
from jaxgan.config.model_settings import ClassifierModel
from jaxgan.config.names import METRICS as METRICS
from jaxgan.config.settings import ClassifierData, ClassifierOptim, ClassifierTrain, Train
from jaxgan.config.training_length import LENGTHS, profile_steps
from jaxgan.config.typed import (
    GAN,
    Classifier,
    Config,
    Experiment,
    Network,
    parse,
)
from jaxgan.config.values import is_experiment
from jaxgan.data import duplicates, groups
from jaxgan.errors import InputError


def check_training(given: ConfigDict | Config, name: str = "config") -> Any:
    """Return the config of a GAN, a classifier or principal components as the code takes it.

    Raises:
        InputError: a value makes no sense.
    """
    if isinstance(given, ConfigDict):
        check_settings.check(given, name)
    config = parse(given)
    groups.check(config.data.groups, f"{name}.data.groups")
    duplicates.parse(config.data.rule, f"{name}.data.duplicates")
    if isinstance(config, Network):
        _check_train(config.train, config.parallel, name)
    if isinstance(config, GAN):
        gan_combinations.check(config, name)
    elif isinstance(config, Classifier):
        data, optim = config.data, config.optim
        _check_classifier(data, config.model, config.train, optim, name)
        if optim.frozen:
            # Whose number of classes may not be known yet.
            some = config.changed({"model.num_classes": config.model.num_classes or 2})
            layers = recipes.classifier_layers(recipes.build_classifier(some), data.resolution)
            _check_frozen(optim.frozen, layers, f"{name}.optim.frozen")
        if not optim.trunk and config.model.pretrained is None and config.init_from is None:
            raise InputError(
                f"{name}.optim.trunk must be above 0 with random weights: set "
                f"{name}.model.pretrained"
            )
    return config


def _check_train(train: Train, parallel: str, name: str) -> None:
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
    if train.all_reduce != "float32" and parallel != "pmap":
        raise InputError(
            f"{name}.train.all_reduce must be float32 but with config.parallel=pmap (elsewhere the "
            f"compiler decides what devices exchange), got {train.all_reduce}"
        )
    profile_steps(train.profile, name)


def _check_classifier(
    data: ClassifierData,
    model: ClassifierModel,
    train: ClassifierTrain,
    optim: ClassifierOptim,
    name: str,
) -> None:
    if data.resolution < 32:
        raise InputError(f"{name}.data.resolution must be at least 32, got {data.resolution}")
    check_fractions(f"{name}.data.split", data.split)
    if min(data.split[:2]) <= 0:
        raise InputError(
            f"{name}.data.split must leave a share to train and one to validate, "
            f"got {tuple(data.split)}"
        )
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


def _check_frozen(frozen: Sequence[str], layers: Sequence[str], name: str) -> None:
    for start in frozen:
        if not any(layer.startswith(start) or start.startswith(layer + "/") for layer in layers):
            raise InputError(
                f"each of {name} must be how the names of layers begin, of {', '.join(layers)}, "
                f"got {start!r}"
            )


def check_experiment(given: ConfigDict | Experiment) -> Experiment:
    """Return an experiment's config as the code takes it: its stages have its images.

    Raises:
        InputError: a value makes no sense, or it is no experiment's.
    """
    if not is_experiment(given):
        raise InputError("this config trains one network: jaxgan train takes it")
    if isinstance(given, ConfigDict):
        check_settings.check(given)
    config: Experiment = parse(given)
    own = inherited(config.given["data"], config.parallel, config.deterministic)
    config = config.changed(own)
    groups.check(config.data.groups, "config.data.groups")
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
