"""What an experiment is to do, on which images; checked before any training."""

from collections import defaultdict
from collections.abc import Container
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgan.config import checks, settings
from jaxgan.config import loading as configs
from jaxgan.data import dataset, folds, loader, splits
from jaxgan.data.duplicates import sentence
from jaxgan.data.folder import Source
from jaxgan.engine import distributed, sharding
from jaxgan.experiment import outcomes
from jaxgan.experiment.design.arms import of_gans
from jaxgan.experiment.design.draws import draw
from jaxgan.experiment.design.jobs import Fold, Job, Kind, jobs
from jaxgan.experiment.design.plan_arms import plan_arms
from jaxgan.experiment.design.sources import folders, open_folder
from jaxgan.experiment.validity.leakage import check_folder
from jaxgan.statistics import group_sequential
from jaxgan.training import monitor
from jaxgan.training import run as training
from jaxgan.types import InputError


class Plan(NamedTuple):
    """What an experiment is to do, on which images.

    Attributes:
        real: the images.
        copies: which of them stay together: copies, and those of a group; None: sides were given.
        folds: what to do in each.
        outside: generated images from elsewhere, by source and class.
        jobs: all that there is to do, in order.
    """

    real: Source
    copies: splits.Duplicates | None
    folds: list[Fold]
    outside: dict[str, dict[str, Source]]
    jobs: list[Job]

    @property
    def labels(self) -> dict[int, np.ndarray]:
        """Return those of each fold's test images."""
        return {fold.number: self.real.labels[fold.sides.test] for fold in self.folds}

    @property
    def groups(self) -> dict[int, np.ndarray] | None:
        """Return those of each fold's test images, where `data.groups` has any."""
        found = getattr(self.real, "groups", None)
        return None if found is None else {f.number: found[f.sides.test] for f in self.folds}

    @property
    def duplicates(self) -> str:
        """Return what was found of copies, in a sentence."""
        if self.copies is None:
            return "duplicates: as the given sides have them"
        return sentence(self.copies, self.real.names.__getitem__)

    def pick(
        self, *kinds: Kind, fold: int | None = None, seeds: Container[int | None] | None = None
    ) -> list[Job]:
        """Return the jobs of some kinds, of all folds or one, of all seeds or some."""
        return [
            job
            for job in self.jobs
            if job.kind in kinds
            and (fold is None or job.fold == fold)
            and (seeds is None or job.seed in seeds)
        ]


def prepare(config: ConfigDict, before: Plan | None = None) -> Plan:
    """Open and part the images, and check all that can be checked before any training.

    Args:
        config: the experiment's.
        before: a plan for the same images, which are not read again.

    Raises:
        InputError: a config or folder that will not do.
    """
    if not configs.is_experiment(config):
        raise InputError("this config trains one network: jaxgan train takes it")
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
    parts = _folds(config, real, _sides(config, real, copies))
    tested = np.concatenate([part.sides.test for part in parts])
    outcomes.check(config.verdict.outcome, real.labels[tested], real.classes)
    for name in ("gan", "classifier"):
        training.check_start(config[name], f"config.{name}")
    return Plan(real, copies, parts, _outside(config, real, parts), jobs(config, parts))


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


def _folds(config: ConfigDict, real: Source, sides: list[splits.Split]) -> list[Fold]:
    """Return each fold's arms and draws."""
    found: list[Fold] = []
    how = {"share": config.data.subset, "retrain": config.gan.retrain, "seed": config.seed}
    for number, own in enumerate(sides):
        arms = plan_arms(config, counts(real, own.train))
        labels, seeds = real.labels[own.train], tuple(config.seeds)
        draws = {
            size: draw(labels, real.classes, seeds, size=size, **how)
            for size in dict.fromkeys(arm.size for arm in arms)
        }
        first = found[0].arms if found else arms
        base = next((arm for arm in first if arm.name == "real"), first[0])
        place = f"fold{number}/" if len(sides) > 1 else ""
        found.append(Fold(number, place, own, arms, draws, base))
    return found


def _outside(config: ConfigDict, real: Source, parts: list[Fold]) -> dict[str, dict[str, Source]]:
    """Generated images from elsewhere, none of which is like one that is held out."""
    if of_gans(parts[0].needed):
        for drawn in next(iter(parts[0].draws.values())):
            for positions in drawn.learned.values():
                monitor.check(config.gan, len(positions))
    known, most = folders(config), defaultdict(lambda: defaultdict(int))
    for key, counts in [pair for part in parts for pair in part.needed.items()]:
        for name, n in counts.items():  # There must be something to select from.
            most[key.source][name] = max(most[key.source][name], n + key.selected)
    outside = {
        source: open_folder(config, path, real.classes, most[source])
        for source, path in known.items()
        if source in most
    }
    held_out = np.unique(
        np.concatenate([p for part in parts for p in (part.sides.validation, part.sides.test)])
    )
    for sides in outside.values():
        for name, source in sides.items():
            own = dataset.of(source).relabel(tuple(real.classes), name)
            check_folder(own, loader.Subset(real, held_out))
    return outside


def inherit(config: ConfigDict) -> None:
    """The stages' configs take the experiment's images and devices."""
    for section in (config.gan, config.classifier):
        with section.unlocked():
            for name in configs.INHERITED:
                section.data[name] = config.data[name]
            section.parallel, section.deterministic = config.parallel, config.deterministic


def at(config: ConfigDict, section: ConfigDict) -> ConfigDict:
    """The experiment's pictures at a stage's resolution."""
    data = ConfigDict(config.data.to_dict())
    data.resolution = section.data.resolution
    return data


def counts(source: Source, indices: np.ndarray) -> dict[str, int]:
    """Return how many of some images are of each class."""
    counts = np.bincount(source.labels[indices], minlength=len(source.classes)).tolist()
    return dict(zip(source.classes, counts, strict=True))


def _check_parts(source: Source, parts: splits.Split) -> None:
    for part in ("train", "validation", "test"):
        for name, n in counts(source, getattr(parts, part)).items():
            if not n:
                raise InputError(
                    f"data.split must leave each class an image in train, validation and test, "
                    f"and {part} has none of {name}: too few images, or too small a share"
                )
