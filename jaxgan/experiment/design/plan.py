"""What an experiment is to do, on which images; checked before any training."""

from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import combinations
from jaxgan.config.experiment_settings import ExperimentData
from jaxgan.config.typed import Experiment
from jaxgan.data import class_counts, dataset, folds, loader, splits
from jaxgan.data.duplicates import sentence
from jaxgan.data.folder import Source
from jaxgan.data.images import Crop
from jaxgan.engine import distributed, sharding
from jaxgan.experiment import outcomes
from jaxgan.experiment.design.arms import Arm, of_gans
from jaxgan.experiment.design.draws import draw
from jaxgan.experiment.design.jobs import Fold, Job, Kind, Sizes, classifier, jobs
from jaxgan.experiment.design.plan_arms import plan_arms
from jaxgan.experiment.design.sources import folders, open_folder
from jaxgan.experiment.validity.leakage import check_folder
from jaxgan.metrics import judges
from jaxgan.statistics import group_sequential
from jaxgan.training import monitor
from jaxgan.training import run as training
from jaxgan.types import InputError

ONE_GAN = "one GAN, which is told the class, for all (gan.model.conditional=False: one of each)"


@dataclass(frozen=True)
class Plan:
    """What an experiment is to do, on which images.

    Attributes:
        real: the images.
        copies: which of them stay together: copies, and those of a group; None: sides were given.
        folds: what to do in each.
        outside: generated images from elsewhere, by source and class.
        config: the experiment's, with what followed from the images.
    """

    real: Source
    copies: splits.Duplicates | None
    folds: list[Fold]
    outside: dict[str, dict[str, Source]]
    config: Experiment

    @property
    def sizes(self) -> Sizes:
        """Return what jobs depend on, besides arms."""
        config, gan, classifier = self.config, self.config.gan, self.config.classifier
        return Sizes(
            config.seeds,
            config.epochs,
            gan.retrain > 1,
            gan.num_classes > 0,
            config.select.surplus,
            gan.train,
            classifier.train,
            classifier.trunk_stays,
        )

    @cached_property
    def jobs(self) -> list[Job]:
        """Return all that there is to do, in order."""
        return jobs(self.sizes, self.folds)

    def alone(self, arm: Arm) -> Job:
        """Return the job of one more classifier, of the first fold and seed and of no arm of the
        verdict.
        """
        return [*classifier(self.sizes, self.folds[0], arm, 0)][-1]

    @property
    def labels(self) -> dict[int, np.ndarray]:
        """Return those of each fold's test images."""
        return {fold.number: self.real.labels[fold.sides.test] for fold in self.folds}

    @property
    def groups(self) -> dict[int, np.ndarray] | None:
        """Return those of each fold's test images, where `data.groups` has any."""
        found = dataset.of(self.real).groups
        return None if found is None else {f.number: found[f.sides.test] for f in self.folds}

    @property
    def duplicates(self) -> str:
        """Return what was found of copies, in a sentence."""
        if self.copies is None:
            return "duplicates: as the given sides have them"
        return sentence(self.copies, self.real.names.__getitem__)

    @property
    def account(self) -> list[str]:
        """Return what there is to say of the images and their sides, in lines."""
        first, verdict = self.folds[0], self.config.verdict
        gan = bool(of_gans(first.needed))
        names = [arm.name for arm in first.arms]
        uneven = class_counts.lopsided(self.real.labels, self.real.classes, verdict.outcome, names)
        one = [ONE_GAN] if gan and self.config.gan.num_classes else []
        return class_counts.lines(self.real, first.sides, gan=gan) + uneven + one

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


def prepare(given: ConfigDict | Experiment, before: Plan | None = None) -> Plan:
    """Open and part the images, and check all that can be checked before any training.

    Args:
        given: the experiment's config.
        before: a plan for the same images, which are not read again.

    Raises:
        InputError: a config or folder that will not do.
    """
    if found := distributed.cluster():
        raise InputError(
            f"an experiment must run as one process, and here are {found.get_process_count()}"
        )
    config = combinations.check_experiment(given)
    group_sequential.check_looks(config.verdict.looks, len(config.seeds))
    training.make_deterministic(config.deterministic)
    for name, stage in (("gan", config.gan), ("classifier", config.classifier)):
        training.check_batches(stage.train, stage.model.name, f"{name}.")
        training.check_precision(stage.precision)
    sharding.check_alone(config.vmap_seeds, "config.vmap_seeds")

    real = (
        before.real
        if before
        else training.open_source(config.data.at(config.classifier.data.resolution), config.seed)
    )
    training.check_classes(real)
    critics = judges.seen_by_critics(config.gan.backbones, config.gan.init_from)
    settled = monitor.settle(config.gan.evaluate, critics)
    settled |= training.settle_classes(config.gan.model, config.gan.train, real)
    new = {f"gan.{name}": value for name, value in settled.items()}
    config = config.changed(new | {"classifier.model.num_classes": len(real.classes)})
    copies = before.copies if before else None
    if copies is None and (config.data.folds > 1 or dataset.of(real).sides is None):
        same = training.copies(real, config.data.rule)
        copies = training.kept_together(real, same)
    how = {"share": config.data.subset, "retrain": config.gan.retrain, "seed": config.seed}
    sides = _sides(config.data, real, copies)
    parts = _folds(partial(plan_arms, config), config.seeds, how, real, sides)
    tested = np.concatenate([part.sides.test for part in parts])
    outcomes.check(config.verdict.outcome, real.labels[tested], real.classes)
    gan, net, trains = config.gan, config.classifier, of_gans(parts[0].needed)
    if trains or gan.init_from is not None:  # Else nobody needs its weights.
        training.check_start(recipes.build(gan), gan.model, gan.init_from, "config.gan")
    training.check_start(recipes.build(net), net.model, net.init_from, "config.classifier")
    if trains:
        for drawn in next(iter(parts[0].draws.values())):
            for positions in drawn.learned.values():
                monitor.check(gan.evaluate, critics, gan.data.resolution, len(positions))
    outside = _outside(config.generated, net.data.resolution, config.data.crop, real, parts)
    return Plan(real, copies, parts, outside, config)


def _sides(
    data: ExperimentData, real: Source, copies: splits.Duplicates | None
) -> list[splits.Split]:
    """The split, or each fold's."""
    count = data.folds
    if count == 1:
        parts = training.split(real, data.split, copies, data.rule)
        _check_parts(real, parts)
        return [parts]
    if dataset.of(real).given is not None:
        raise InputError(
            f"config.data.folds={count} tests every image once, and these come with sides of their "
            f"own: set folds=1 to use them, or config.data.given_sides=merge to give them up"
        )
    assert copies is not None
    train, validation, _ = data.split
    return folds.folds(real, count, validation / (train + validation), copies)


def _folds(
    arms_of: Callable[[Mapping[str, int]], list[Arm]],
    seeds: Sequence[int],
    how: Mapping[str, Any],
    real: Source,
    sides: list[splits.Split],
) -> list[Fold]:
    """Return each fold's arms and draws.

    Args:
        arms_of: the arms, by how many images of each class there are to train on.
        seeds: of the classifiers.
        how: they draw; see `draw`.
        real: the images.
        sides: of each fold.
    """
    found: list[Fold] = []
    for number, own in enumerate(sides):
        arms, labels = arms_of(counts(real, own.train)), real.labels[own.train]
        draws = {
            size: draw(labels, real.classes, seeds, size=size, **how)
            for size in dict.fromkeys(arm.size for arm in arms)
        }
        first = found[0].arms if found else arms
        base = next((arm for arm in first if arm.name == "real"), first[0])
        place = f"fold{number}/" if len(sides) > 1 else ""
        found.append(Fold(number, place, own, arms, draws, base))
    return found


def _outside(
    generated: str | None, resolution: int, crop: Crop, real: Source, parts: list[Fold]
) -> dict[str, dict[str, Source]]:
    """Generated images from elsewhere, none of which is like one that is held out."""
    known, most = folders(generated), defaultdict(lambda: defaultdict(int))
    for key, counts in [pair for part in parts for pair in part.needed.items()]:
        for name, n in counts.items():  # There must be something to select from.
            most[key.source][name] = max(most[key.source][name], n + key.selected)
    outside = {
        source: open_folder(path, resolution, crop, real.classes, most[source])
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
