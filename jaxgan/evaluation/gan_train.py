"""GAN-train and GAN-test: generated images judged by what classifiers learn from them.

GAN-base learns from real images, GAN-train from as many generated ones of the same classes, in as
many steps; both are tested on real images that neither the classifiers nor the generator saw.
GAN-train is as good as GAN-base only where the images are both true to their class and as varied
as real ones. GAN-test is GAN-base's accuracy on the generated images: it asks for truth alone,
and is above GAN-base's own where they are easier than real ones, or copies of training images.
The images to learn from have the classes' shares of the real training images, so that GAN-train
is the classification accuracy score (CAS), too.

References:
    Shmelkov, Schmid and Alahari, How good is my GAN?, 2018, section 3. Ravuri and Vinyals,
    Classification Accuracy Score for Conditional Generative Models, 2019, section 3.
"""

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.config.settings import ClassifierData
from jaxgan.config.typed import Classifier
from jaxgan.data import class_counts, dataset, loader, splits
from jaxgan.data.folder import Source
from jaxgan.engine import sharding
from jaxgan.errors import InputError, naming
from jaxgan.metrics import intervals
from jaxgan.metrics.classification import predict
from jaxgan.statistics import crossed
from jaxgan.steps.classifier import make_predict
from jaxgan.system import lock
from jaxgan.system.terminal import few
from jaxgan.training import run as training

# (images to learn from, seed, name) -> (images -> log-probabilities of the classes)
Fit = Callable[[Source, int, str], Callable[[Source], Float[np.ndarray, "n k"]]]


class Sides(NamedTuple):
    """Images of the same classes, in the same order, at one resolution."""

    train: Source  # Real ones, to learn from.
    test: Source  # Real ones, none of them like one of the other two sides.
    fake: Source  # Generated ones.
    left_out: int  # Test images that were.


def run(
    config: ConfigDict,
    real: str,
    fake: str,
    train: str | None = None,
    *,
    seeds: int = 3,
    workdir: str | None = None,
) -> dict[str, Any]:
    """Return what `measure` finds for folders, and how: config, fingerprints, versions.

    Args:
        config: a classifier's; its first seed, too.
        real: folder or prepared set to test with.
        fake: generated images.
        train: real images to learn from; see `open_sides`.
        seeds: how many classifiers learn from each side.
        workdir: for their runs; see `fit_with`.

    Raises:
        InputError: a config that is no classifier's, or makes no sense; or as `open_sides` and
            `equal_numbers`.
    """
    if configs.is_experiment(config) or config.model.name not in configs.CLASSIFIERS:
        raise InputError("--config must be a classifier's, like configs/googlenet.py")
    checked: Classifier = combinations.check_training(config)
    training.check_batches(checked.train, checked.model.name)
    training.check_precision(checked.precision)
    sides = open_sides(checked.data, real, fake, train, checked.seed)
    fit = fit_with(checked, workdir)
    result = measure(sides, fit, range(checked.seed, checked.seed + seeds))
    paths = {"train": train or real, "test": real, "fake": fake}
    result["sets"] = {
        side: {"path": path, "fingerprint": loader.fingerprint(getattr(sides, side))}
        for side, path in paths.items()
    }
    return result | {"config": checked.given} | training.environment()


def smallest(*paths: str | None) -> int | None:
    """Return that of the smallest images: enlarged ones are told from others by their
    blur alone.
    """
    return min((loader.usual_side(p) for p in paths if p not in (None, "toy")), default=None)


def open_sides(
    data: ClassifierData, real: str, fake: str, train: str | None = None, seed: int = 0
) -> Sides:
    """Return the images of folders or prepared sets.

    Args:
        data: a config's section: `resolution`, `crop`, `on_error`, and `split`.
        real: to test with; without `train`, parted by `split` into images to learn from and to
            test with.
        fake: generated images.
        train: real images to learn from, those of the generator.
        seed: of drawn images, where a path is "toy".

    Raises:
        InputError: classes differ, are fewer than two, or have too few images; or generated
            images are test images.
    """

    def opened(path: str, flag: str, classes: Sequence[str] | None = None) -> Source:
        if path != "toy" and not Path(path).expanduser().is_dir():
            raise InputError(f"{flag} must be a folder of class folders, and {path} is none")
        with naming(flag):
            source = loader.open_source(
                *(path, data.resolution),
                classes=classes,
                crop=data.crop,
                on_error=data.on_error,
                seed=seed,
            )
        print("\n".join([f"{flag}:", *class_counts.lines(source)]), flush=True)
        return source

    def alike(path: str, flag: str) -> Source:
        source = opened(path, flag)
        missing = [name for name in whole.classes if name not in source.classes]
        more = [name for name in source.classes if name not in whole.classes]
        if missing or more:
            has = f"has no {few(missing)}" if missing else f"has {few(more)}, too"
            raise InputError(
                f"{flag} must have the classes of --real, {few(whole.classes)}, and {path} {has}"
            )
        return source if source.classes == whole.classes else opened(path, flag, whole.classes)

    whole = opened(real, "--real")
    training.check_classes(whole)
    generated = alike(fake, "--fake")
    if train is not None:
        learned, test = alike(train, "--train"), whole
    else:
        parts = training.split(whole, data.split, rule=data.rule)
        learned, test = loader.Subset(whole, parts.train), loader.Subset(whole, parts.test)
    return separate(learned, test, generated)


def separate(train: Source, test: Source, fake: Source) -> Sides:
    """Return the three sides, less the test images that are near copies of one of another side.

    Raises:
        InputError: generated images are test images, or a class has no test image left.
    """
    found = splits.near_duplicates(dataset.concat([train, fake, test]))
    group, digests = found.group, found.digest
    first = len(train) + len(fake)
    common = set(digests[len(train) : first]) & set(digests[first:])
    if common:
        theirs = zip(fake.names, digests[len(train) : first], strict=True)
        name = next(name for name, digest in theirs if digest in common)
        raise InputError(
            f"generated images must not be those of the test, and {len(common):,} are, pixel by "
            f"pixel, like {name}"
        )
    new = ~np.isin(group[first:], group[:first])
    for label, name in enumerate(test.classes):
        if not (test.labels[new] == label).any():
            raise InputError(
                f"each class needs a real image to test with that is like no other, and {name} "
                f"has none"
            )
    left_out = int((~new).sum())
    if left_out:
        logging.getLogger("jaxgan").warning(
            "left out %d of %d test images: copies of real or generated ones to learn from",
            *(left_out, len(test)),
        )
    return Sides(train, loader.Subset(test, np.flatnonzero(new)), fake, left_out)


def equal_numbers(
    train: Int[np.ndarray, " n"], fake: Int[np.ndarray, " m"], classes: Sequence[str]
) -> list[int]:
    """Return how many images of each class both classifiers learn from.

    All of the real ones; where there are fewer generated ones of a class, a share of all classes.

    Args:
        train: labels of the real images to learn from.
        fake: labels of the generated ones.
        classes: their names.

    Raises:
        InputError: a class is missing on a side, or its share is no image.
    """
    real, generated = (np.bincount(side, minlength=len(classes)) for side in (train, fake))
    for name, *counts in zip(classes, real, generated, strict=True):
        if not min(counts):
            kind = "real" if not counts[0] else "generated"
            raise InputError(f"each class needs images to learn from, {name} has no {kind} one")
    share = min(1.0, (generated / real).min())
    numbers = np.floor(share * real + 1e-9).astype(int)
    if not numbers.min():
        raise InputError(
            f"each class needs images to learn from, and {share:.1%} of the {real.min()} real "
            f"ones of {classes[int(real.argmin())]}, as there are generated ones, are none"
        )
    return numbers.tolist()


def measure(
    sides: Sides, fit: Fit, seeds: Sequence[int] = (0, 1, 2), level: float = 0.95
) -> dict[str, Any]:
    """GAN-base, GAN-train and GAN-test, and by how much the second is below the first.

    Each seed trains two classifiers, on images that it draws anew where a side has more than are
    taken. Intervals speak of other seeds and other test images (`crossed.crossed_interval`);
    with one seed, of other images alone (Wilson's).

    Args:
        sides: see `open_sides`.
        fit: trains a classifier.
        seeds: of the classifiers.
        level: of the intervals.

    Returns:
        `metrics` with gan_base, gan_train, gan_test and cas, each with value, low, high, and all
        but the last with the same `per_class`; gan_train has its `difference` to gan_base. And
        `pictures`: how many each side has of each class, and how many were learned from.
    """
    classes = sides.test.classes
    numbers = equal_numbers(sides.train.labels, sides.fake.labels, classes)
    right: dict[str, list[np.ndarray]] = {"gan_base": [], "gan_train": [], "gan_test": []}

    def correct(ask: Callable[[Source], np.ndarray], source: Source) -> np.ndarray:
        return ask(source).argmax(axis=1) == source.labels

    for seed in seeds:
        base = fit(_some(sides.train, numbers, seed), seed, f"real seed {seed}")
        right["gan_base"].append(correct(base, sides.test))
        right["gan_test"].append(correct(base, sides.fake))
        ours = fit(_some(sides.fake, numbers, seed), seed, f"generated seed {seed}")
        right["gan_train"].append(correct(ours, sides.test))
    metrics: dict[str, Any] = {}
    for name, outcomes in right.items():
        answers = np.array(outcomes)
        labels = (sides.fake if name == "gan_test" else sides.test).labels
        metrics[name] = _share(answers, level) | {
            "per_class": {
                one: _share(answers[:, labels == i], level) for i, one in enumerate(classes)
            }
        }
    metrics["cas"] = {key: metrics["gan_train"][key] for key in ("value", "low", "high")}
    gap = crossed.paired_difference(
        np.array(right["gan_train"]), np.array(right["gan_base"]), level
    )
    metrics["gan_train"]["difference"] = {"value": gap.value, "low": gap.low, "high": gap.high}
    return {
        "metrics": metrics,
        "level": level,
        "seeds": list(seeds),
        "pictures": {
            "learned from": dict(zip(classes, numbers, strict=True)),
            **{side: _counts(getattr(sides, side)) for side in ("train", "test", "fake")},
            "left_out": sides.left_out,
        },
    }


def fit_with(config: Classifier, workdir: str | None = None) -> Fit:
    """Train the classifier of a config, and take its last weights: nothing chooses among them.

    Args:
        config: a classifier's.
        workdir: for the runs, where they go on if they were stopped; None keeps nothing.
    """
    built: list = []

    def fit(source: Source, seed: int, name: str) -> Callable[[Source], np.ndarray]:
        train, count = config.train, len(source)  # As many on both sides: as many steps.
        length = {
            "train.steps": configs.total_steps(train, count, train.batch_size),
            "train.epochs": None,
            "train.kimg": None,
        }
        classes = {"model.num_classes": len(source.classes), "data.classes": source.classes}
        mine = config.changed({"seed": seed} | length | classes)
        if not built:  # Compiled once.
            built.append(recipes.build(mine, sharding.axis_name(mine.parallel)))
            built.append(make_predict(recipes.build_classifier(mine)))
        recipe, predictor = built
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(workdir or temporary) / name.replace(" ", "_")
            with lock.held(folder):
                configs.claim(folder, mine)
                configs.claim_data(folder, loader.fingerprint(source))
                state = training.train_classifier(
                    mine, loader.in_memory(source), None, folder, label=name, recipe=recipe
                )
        return lambda asked: predict(predictor, state.variables, asked)

    return fit


def _some(source: Source, numbers: Sequence[int], seed: int) -> Source:
    """So many images of each class, chosen by the seed."""
    chosen = [
        np.random.default_rng([seed, label]).permutation(np.flatnonzero(source.labels == label))[:n]
        for label, n in enumerate(numbers)
    ]
    return loader.Subset(source, np.sort(np.concatenate(chosen)))


def _share(right: np.ndarray, level: float) -> dict[str, float | None]:
    if len(right) == 1:
        return dict(intervals.proportion(int(right.sum()), right.size, level))
    found = crossed.crossed_interval(right, level)
    return {"value": found.value, "low": found.low, "high": found.high}


def _counts(source: Source) -> dict[str, int]:
    counts = np.bincount(source.labels, minlength=len(source.classes)).tolist()
    return dict(zip(source.classes, counts, strict=True))
