"""One list of all jobs of an experiment: `pipeline` executes it, `forecast` prices it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.settings import ClassifierTrain, GANTrain
from jaxgan.data import splits
from jaxgan.data.folder import Source
from jaxgan.experiment.design.arms import Arm, Key, Needed, needed, of_gans
from jaxgan.experiment.design.draws import Draw
from jaxgan.metrics import classification
from jaxgan.training import frozen_features

Kind = Literal["gan", "samples", "features", "classifier", "choice"]
PLAIN = Key(None, False)
Samples = dict[str, Source]  # Generated images, by their job's output.


@dataclass(frozen=True)
class Fold:
    """What the jobs of a fold are about; there is one fold where `data.folds` is 1.

    Attributes:
        number: from 0 on.
        place: its folder in the workdir, with a slash, or "".
        sides: positions of the images to train, to validate and to test with.
        arms: what each classifier trains on.
        draws: of each seed, by real images a class.
        base: the arm whose epochs are the steps of all arms, in all folds alike.
    """

    number: int
    place: str
    sides: splits.Split
    arms: list[Arm]
    draws: Mapping[int | None, Sequence[Draw]]
    base: Arm

    @cached_property
    def needed(self) -> Needed:
        """Generated images that a seed needs."""
        return needed(self.arms)


@dataclass(frozen=True)
class Job:
    """One piece of an experiment.

    Attributes:
        kind: "gan": train a generator; "samples": generate a class's images for a seed;
            "features": what a frozen trunk makes of images; "classifier": train one, and test it
            unless it is one of several amounts; "choice": test the amount that validates best.
        fold: its number.
        output: the file in the workdir that holds its result; of what stays in memory a name.
        folder: of its checkpoints or images, in the workdir.
        inputs: the jobs whose outputs it needs.
        seed: position in `config.seeds`; None: it serves all seeds.
        arm: of a classifier.
        key: of generated images, and of the GANs behind them.
        name: the class; "" of all.
        gan: which of the retrained GANs.
        images: how many it trains on, generates or extracts features of.
        batch: images a step.
        steps: updates of a training; batches of features, of all views.
        views: of each image, of features.
        looks: batches that a classifier judges; images compared to select samples.
    """

    kind: Kind
    fold: int
    output: str
    folder: str = ""
    inputs: tuple["Job", ...] = ()
    seed: int | None = None
    arm: Arm | None = None
    key: Key = PLAIN
    name: str = ""
    gan: int = 0
    images: int = 0
    batch: int = 0
    steps: int = 0
    views: int = 1
    looks: int = 0


class Sizes(NamedTuple):
    """What the jobs of an experiment depend on, besides its arms.

    Attributes:
        seeds: of the classifiers.
        epochs: whose epochs are the steps of all arms.
        retrained: whether each class has several GANs.
        conditional: whether one GAN generates all classes.
        surplus: how many images are generated for each that is selected.
        gan: the GANs' section.
        classifier: the classifiers'.
        trunk_stays: whether theirs does.
    """

    seeds: tuple[int, ...]
    epochs: str
    retrained: bool
    conditional: bool
    surplus: int
    gan: GANTrain
    classifier: ClassifierTrain
    trunk_stays: bool


def jobs(sizes: Sizes, folds: Sequence[Fold]) -> list[Job]:
    """Return all jobs; none comes before one that it needs."""
    found = [job for fold in folds for job in _of_fold(sizes, fold)]
    return [*{job.output: job for job in found}.values()]


def _of_fold(sizes: Sizes, fold: Fold) -> Iterator[Job]:
    yield from _gans(sizes, fold)
    seeds = range(len(sizes.seeds))
    for key, counts in fold.needed.items():
        for seed in seeds:
            for name in _classes(fold.needed, key):
                if name in counts:
                    yield _samples(sizes, fold, key, name, seed)
    if sizes.trunk_stays:
        yield from _real_features(sizes, fold)
    for seed in seeds:
        for arm in fold.arms:
            each = [[*classifier(sizes, fold, one, seed)] for one in arm.trained]
            for found in each:
                yield from found
            if arm.choices:
                folder, output = _result(sizes, fold, arm, seed)
                choices = tuple(found[-1] for found in each)
                looks = batches(len(fold.sides.test), classification.BATCH)
                yield Job("choice", fold.number, output, folder, choices, seed, arm, looks=looks)


def _classes(needed: Needed, key: Key) -> list[str]:
    """Return the classes that are generated, in the order of their GANs."""
    alike = [counts for k, counts in needed.items() if (k.size, k.source) == (key.size, key.source)]
    return list(dict.fromkeys(name for counts in alike for name in counts))


def _gans(sizes: Sizes, fold: Fold) -> Iterator[Job]:
    for size in dict.fromkeys(key.size for key in of_gans(fold.needed)):
        key = Key(size, False)
        names = [""] if sizes.conditional else _classes(fold.needed, key)
        for gan in sorted({draw.gan for draw in fold.draws[size]}):
            for name in names:
                yield _gan(sizes, fold, key, name, gan)


def _gan(sizes: Sizes, fold: Fold, key: Key, name: str, gan: int) -> Job:
    called = (name or "conditional") + _suffix(key, gan, sizes.retrained)
    train, images = sizes.gan, len(learned(fold, key, name, gan))
    batch = train.batch_size * (turns(train) or 1)
    steps = configs.total_steps(train, images, batch, recipes.extra_batches(train))
    folder = f"{fold.place}gan/{called}"
    return Job(
        "gan", fold.number, f"{folder}.json", folder, key=key, name=name, gan=gan, images=images,
        batch=batch, steps=steps,
    )  # fmt: skip


def _samples(sizes: Sizes, fold: Fold, key: Key, name: str, seed: int) -> Job:
    """Return the job that generates a class's images for a seed."""
    gan, count = fold.draws[key.size][seed].gan, fold.needed[key][name]
    images, inputs = count * (sizes.surplus if key.selected else 1), ()
    if key.source == "pca":
        several = len({draw.gan for draw in fold.draws[key.size]}) > 1
        folder = f"{fold.place}pca/{name}{_suffix(key, gan, several)}"
        output = f"{folder}_{images}_{seed}.json"
    elif key.source is None:
        folder = f"{fold.place}generated/{name}{_suffix(key, gan, sizes.retrained)}"
        folder += "-selected" * key.selected
        output = f"{folder}_{count}_{seed}.json"
        whose = "" if sizes.conditional else name
        inputs = (_gan(sizes, fold, Key(key.size, False), whose, gan),)
    else:
        folder = ""
        output = f"{fold.place}{key.source}/{name}{_suffix(key, gan, True)}"
        output += "-selected" * key.selected + f"_{count}_{seed}"
    compared = len(learned(fold, key, name, gan)) if key.selected else 0
    return Job(
        "samples", fold.number, output, folder, inputs, seed, key=key, name=name, gan=gan,
        images=images, looks=compared + images * key.selected,
    )  # fmt: skip


def _suffix(key: Key, gan: int, retrained: bool) -> str:
    """Return what tells the folder of a class's GAN, or of its images, from others."""
    return "" if key.size is None and not retrained else f"-{key.size or 'all'}-{gan}"


def learned(fold: Fold, key: Key, name: str, gan: int) -> Int[np.ndarray, " n"]:
    """Return positions, among the training images, of what a class is generated from.

    Args:
        fold: of the images.
        key: of the generated ones.
        name: the class; "": all.
        gan: which of the retrained GANs.
    """
    found = next(draw.learned for draw in fold.draws[key.size] if draw.gan == gan)
    return found[name] if name else np.concatenate([*found.values()])


def _features(fold: Fold, called: str, images: int, views: int) -> Job:
    """Return the job that extracts a frozen trunk's features of some images."""
    size = frozen_features.BATCH
    steps = views * batches(images, size)
    output = f"{fold.place}features/{called}_{images}x{views}"
    return Job("features", fold.number, output, images=images, batch=size, steps=steps, views=views)


def _real_features(sizes: Sizes, fold: Fold) -> Iterator[Job]:
    """Return those of the images to train, to validate and to test with."""
    views = sizes.classifier.views if any(arm.policy for arm in fold.arms) else 1
    for part, seen in zip(fold.sides._fields, (views, 1, 1), strict=True):
        yield _features(fold, part, len(getattr(fold.sides, part)), seen)


def classifier(sizes: Sizes, fold: Fold, arm: Arm, seed: int) -> Iterator[Job]:
    """Return the job of one classifier, after the jobs of features that it needs."""
    train, inputs = sizes.classifier, []
    for name, n in arm.pictures.items():
        if not n["generated"]:
            continue
        given = _samples(sizes, fold, arm.key, name, seed)
        if sizes.trunk_stays:
            # As they are, all arms share those of the largest.
            count = n["generated"] if arm.policy else fold.needed[arm.key][name]
            found = _features(fold, given.output, count, train.views if arm.policy else 1)
            given = replace(found, inputs=(given,), seed=seed, key=given.key, name=name)
            yield given
        inputs.append(given)
    base = arm if sizes.epochs == "arm" else fold.base
    images = sum(sum(n.values()) for n in base.pictures.values())
    steps = configs.total_steps(train, images, train.batch_size)
    looks = batches(len(fold.sides.validation), classification.BATCH)
    looks *= batches(steps, train.sample_every)
    if not any(arm in one.choices for one in fold.arms):
        looks += batches(len(fold.sides.test), classification.BATCH)
    folder, output = _result(sizes, fold, arm, seed)
    own = sum(sum(n.values()) for n in arm.pictures.values())
    yield Job(
        "classifier", fold.number, output, folder, tuple(inputs), seed, arm, images=own,
        batch=train.batch_size, steps=steps, looks=looks,
    )  # fmt: skip


def _result(sizes: Sizes, fold: Fold, arm: Arm, seed: int) -> tuple[str, str]:
    """Return the folder of an arm's classifier, and its result's file."""
    called = arm.name.translate(str.maketrans("[]", "()"))  # Checkpoints take [] for patterns.
    folder = f"{fold.place}classifiers/{called}/{sizes.seeds[seed]}"
    return folder, f"{folder}/result.json"


def turns(train: GANTrain) -> int | None:
    """Return how many batches a GAN's step takes, one a critic update; None: all share one."""
    return None if train.same_batch else train.n_critic


def batches(n: int, size: int) -> int:
    """Return how many batches n images are."""
    return -(-n // size)
