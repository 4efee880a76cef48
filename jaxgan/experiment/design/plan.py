"""What an experiment is to do, on which images; checked before any training."""

from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgan.config import checks, settings
from jaxgan.config import loading as configs
from jaxgan.data import folds, loader, splits
from jaxgan.data.folder import Source
from jaxgan.engine import distributed, sharding
from jaxgan.experiment import outcomes
from jaxgan.experiment.design import arms, draws
from jaxgan.experiment.design.training_set import Labelled
from jaxgan.experiment.stages.generated_folders import open_folders
from jaxgan.experiment.validity.leakage import check_folder
from jaxgan.statistics import group_sequential
from jaxgan.training import monitor
from jaxgan.training import run as training
from jaxgan.types import InputError


class Fold(NamedTuple):
    """What is done in one fold; there is one where `data.folds` is 1.

    Attributes:
        sides: positions of the images to train, to validate and to test with.
        arms: what each classifier gets.
        draws: of each seed, by real images a class.
        needed: generated images that a seed needs.
    """

    sides: splits.Split
    arms: list[arms.Arm]
    draws: dict[int | None, list[draws.Draw]]
    needed: arms.Needed


class Plan(NamedTuple):
    """What an experiment is to do, on which images.

    Attributes:
        real: the images.
        copies: which of them stay together: copies, and those of a group; None: sides were given.
        folds: what to do in each.
        outside: generated images from elsewhere, by source and class.
    """

    real: Source
    copies: splits.Duplicates | None
    folds: list[Fold]
    outside: Any


def prepare(config: ConfigDict, before: Plan | None = None) -> Plan:
    """Open and part the images, and check all that can be checked before any training.

    Args:
        config: the experiment's.
        before: a plan for the same images, which are not read again.

    Raises:
        InputError: a config or folder that will not do.
    """
    if not configs.is_experiment(config):
        raise InputError("this config trains one network: run scripts/train.py with it")
    if found := distributed.cluster():
        raise InputError(
            f"an experiment must run as one process, and here are {found.get_process_count()}"
        )
    settings.check(config)
    inherit(config)
    checks.check_experiment(config)
    group_sequential.check_looks(tuple(config.verdict.looks), len(config.seeds))
    training.make_deterministic(config)
    monitor.settle(config.gan)
    for name in ("gan", "classifier"):
        training.check_batches(config[name], f"{name}.")
        training.check_precision(config[name].precision)
    sharding.check_alone(config.vmap_seeds, "config.vmap_seeds")

    real = (
        before.real if before else training.open_source(at(config, config.classifier), config.seed)
    )
    training.check_classes(real)
    with config.classifier.unlocked():
        config.classifier.model.num_classes = len(real.classes)
    training.settle_classes(config.gan, real)
    copies = before.copies if before else None
    if copies is None and (config.data.folds > 1 or getattr(real, "sides", None) is None):
        same = training.copies(real, config.data.get("duplicates", "auto"))
        copies = training.kept_together(real, same)
    parts = [_fold(config, real, sides) for sides in _sides(config, real, copies)]
    tested = np.concatenate([part.sides.test for part in parts])
    outcomes.check(config.verdict.outcome, real.labels[tested], real.classes)
    for name in ("gan", "classifier"):
        training.check_start(config[name], f"config.{name}")
    return Plan(real, copies, parts, _outside(config, real, parts))


def _sides(
    config: ConfigDict, real: Source, copies: splits.Duplicates | None
) -> list[splits.Split]:
    """The split, or each fold's."""
    count = config.data.folds
    if count == 1:
        rule = config.data.get("duplicates", "auto")
        parts = training.split(real, config.data.split, copies, rule)
        _check_parts(real, parts)
        return [parts]
    assert copies is not None
    train, validation, _ = config.data.split
    return folds.folds(real, count, validation / (train + validation), copies)


def _fold(config: ConfigDict, real: Source, sides: splits.Split) -> Fold:
    planned = arms.plan(config, counts(real, sides.train))
    drawn = _draws(config, real, sides.train, {arm.size for arm in planned})
    return Fold(sides, planned, drawn, arms.needed(planned))


def _outside(config: ConfigDict, real: Source, parts: list[Fold]) -> dict[str, dict[str, Source]]:
    """Generated images from elsewhere, none of which is like one that is held out."""
    if arms.of_gans(parts[0].needed):
        for draw in next(iter(parts[0].draws.values())):
            for learned in draw.learned.values():
                monitor.check(config.gan, len(learned))
    most: dict[arms.Key, dict[str, int]] = {}
    for part in parts:
        for key, counts in part.needed.items():
            of = most.setdefault(key, {})
            of |= {name: max(n, of.get(name, 0)) for name, n in counts.items()}
    outside = open_folders(config, real.classes, most)
    held_out = np.unique(
        np.concatenate([p for part in parts for p in (part.sides.validation, part.sides.test)])
    )
    for sides in outside.values():
        for source in sides.values():
            check_folder(_like(source, real), loader.Subset(real, held_out))
    return outside


def inherit(config: ConfigDict) -> None:
    """The stages' configs take the experiment's images and devices."""
    for section in (config.gan, config.classifier):
        with section.unlocked():
            for name in configs.INHERITED:
                section.data[name] = config.data[name]
            section.parallel, section.deterministic = config.parallel, config.deterministic


def _draws(
    config: ConfigDict, real: Source, train: np.ndarray, sizes: set[int | None]
) -> dict[int | None, list[draws.Draw]]:
    """Each seed's pictures, by how many a class an arm has."""
    how = {"share": config.data.subset, "retrain": config.gan.retrain, "seed": config.seed}
    return {
        size: draws.draw(real.labels[train], real.classes, tuple(config.seeds), size=size, **how)
        for size in sizes
    }


def _like(source: Source, real: Source) -> Source:
    """A class from elsewhere as one of the experiment's."""
    name = source.classes[int(source.labels[0])]
    return Labelled(source, tuple(real.classes), name)


def at(config: ConfigDict, section: ConfigDict) -> ConfigDict:
    """The experiment's pictures at a stage's resolution."""
    data = ConfigDict(config.data.to_dict())
    data.resolution = section.data.resolution
    return data


def counts(source: Source, indices: np.ndarray) -> dict[str, int]:
    counts = np.bincount(source.labels[indices], minlength=len(source.classes)).tolist()
    return dict(zip(source.classes, counts, strict=True))


def _check_parts(source: Source, parts: splits.Split) -> None:
    for part in ("train", "validation", "test"):
        for name, n in counts(source, getattr(parts, part)).items():
            if not n:
                raise InputError(
                    f"data.split must leave each class a picture in train, validation and test, "
                    f"and {part} has none of {name}: too few pictures, or too small a share"
                )
