"""The classifiers of an experiment: every arm with every seed, equal in all but their pictures."""

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan import config as configs
from jaxgan import frozen, log, parallel, recipes, training
from jaxgan.checkpoint import Checkpoints
from jaxgan.data import loader, splits
from jaxgan.data.folder import Source
from jaxgan.evaluate import predict
from jaxgan.experiment import design, sequential
from jaxgan.experiment.generated import Fresh
from jaxgan.experiment.shares import Share
from jaxgan.memory import OutOfMemoryError
from jaxgan.steps.classifier import make_predict
from jaxgan.types import InputError, Recipe

OPENED = "test_opened.jsonl"
# Trains what is left of a group: what went wrong, by position, and seconds each.
Together = Callable[[], tuple[dict[int, Exception | None], float]]


def train(
    config: ConfigDict,
    arms: Sequence[design.Arm],
    real: Source,
    parts: splits.Split,
    draws: Mapping[int | None, Sequence[design.Draw]],
    fresh: Fresh,
    folder: epath.Path,
    told: log.Log,
    share: Share = Share(),
) -> tuple[list[dict], list[dict], list[dict]]:
    """Every arm with every seed: equal steps, the same validation and test pictures.

    Seed by seed, or `vmap_seeds` of an arm at once, so that the experiment can stop after one of
    `verdict.looks`. An arm that fails does not keep the others from being trained. Of several
    processes each trains its `share`.

    Returns:
        The runs, those that failed, and the log of when the test pictures were opened.
    """
    section = config.classifier
    with section.unlocked():
        section.data.classes = tuple(real.classes)
    pictures = _Pictures(section, arms, real, parts, fresh)
    predictor = make_predict(recipes.build_classifier(section))
    built: dict[tuple[bool, int], tuple[ConfigDict, Recipe]] = {}

    def place(position: int, arm: design.Arm) -> epath.Path:
        return folder / "classifiers" / arm.name / str(config.seeds[position])

    def begin(position: int, arm: design.Arm) -> tuple[ConfigDict, Source, epath.Path]:
        own, _ = _built(config, arm, arms, built)
        mine = own.copy_and_resolve_references()
        mine.seed = seed = config.seeds[position]
        source = pictures.of(arm, draws[arm.size][position], position, seed)
        configs.claim(place(position, arm), mine)
        return mine, source, place(position, arm)

    def job(number: int, position: int, arm: design.Arm, together: Together | None) -> dict:
        own, recipe = _built(config, arm, arms, built)
        seed, draw = config.seeds[position], draws[arm.size][position]
        workdir = place(position, arm)
        run = {"arm": arm.name, "seed": seed}

        def work() -> dict:
            if together is None:
                seconds = None
                mine, source, _ = begin(position, arm)
                label = f"{arm.name} seed {seed}"
                training.train_classifier(
                    mine, source, pictures.validation, workdir, label=label, recipe=recipe
                )
            else:
                wrong, seconds = together()
                if error := wrong[position]:
                    raise error
            clock = time.perf_counter()
            about = run | {"gan": draw.gan}
            result = about | _test(own, recipe, predictor, workdir, pictures.test, folder, about)
            if seconds is not None:
                result["seconds"] = round(seconds + time.perf_counter() - clock, 1)
            return result

        try:
            return share.once(number, workdir / "result.json", work)
        except Exception as error:
            told.line(f"{arm.name} seed {seed} failed, the others go on: {error}")
            return run | {"error": str(error), "seconds": share.spent(workdir / "result.json")}

    def group(number: int, positions: Sequence[int], arm: design.Arm) -> list[dict]:
        """Seeds of an arm: one by itself, or several in one step."""

        @cache  # By the first of them that has no result.
        def together() -> tuple[dict[int, Exception | None], float]:
            clock = time.perf_counter()
            left = [i for i in positions if not (place(i, arm) / "result.json").exists()]
            label = f"{arm.name} seeds {', '.join(str(config.seeds[i]) for i in left)}"
            try:
                mine, sources, workdirs = zip(*(begin(i, arm) for i in left), strict=True)
                recipe = _built(config, arm, arms, built)[1]
                found = training.train_classifiers(
                    mine, sources, pictures.validation, workdirs, label=label, recipe=recipe
                )
            except OutOfMemoryError as error:
                text = f"out of memory with {len(left)} seeds at once: set a lower vmap_seeds"
                found = [InputError(f"{text} ({error})")] * len(left)
            except Exception as error:
                found = [error] * len(left)
            seconds = (time.perf_counter() - clock) / len(left)
            return dict(zip(left, found, strict=True)), seconds

        several = together if len(positions) > 1 else None
        return [job(number, position, arm, several) for position in positions]

    if config.stop_below is not None and fresh:
        reached = _gan_train(config, arms, built, pictures, draws, folder, told, share)
        if reached is not None and reached < config.stop_below:
            raise InputError(
                f"not worth it: a classifier that learns from generated pictures reaches "
                f"{reached:.1%} of validation pictures, and config.stop_below asks for "
                f"{config.stop_below:.1%}; without it the same command goes on"
            )

    runs, failed = [], []
    ends = (*config.verdict.looks, len(config.seeds))
    for first, end in itertools.pairwise((0, *ends)):
        count = config.vmap_seeds
        jobs = [
            (range(i, min(i + count, end)), arm) for i in range(first, end, count) for arm in arms
        ]
        found = {i: group(i, *each) for i, each in share.order(jobs)}
        results = itertools.chain(*(found[i] for i in sorted(found)))
        for result in sorted(results, key=lambda run: config.seeds.index(run["seed"])):
            (failed if "error" in result else runs).append(result)
        if _decided(config, runs, real.labels[parts.test], end):
            told.line(f"the verdict is clear after {end} of {len(config.seeds)} seeds")
            break
    if failed and not runs:
        raise InputError(f"no classifier could be trained: {failed[0]['error']}")
    return runs, failed, log.read_rows(folder / OPENED)


class _Pictures:
    """All pictures of an experiment, read once; as features where the trunk is frozen."""

    def __init__(
        self,
        section: ConfigDict,
        arms: Sequence[design.Arm],
        real: Source,
        parts: splits.Split,
        fresh: Fresh,
    ):
        self._look = frozen.applies(section)
        self._section, self._fresh = section, fresh
        self._views = section.train.views if any(arm.augment for arm in arms) else 1
        self._training, self.validation, self.test = (
            self._seen(loader.in_memory(loader.Subset(real, i)), views)
            for i, views in zip(parts, (self._views, 1, 1), strict=True)
        )
        self._kept: dict[tuple, Source] = {}

    def _seen(self, source: Source, views: int) -> Source:
        return frozen.look(self._section, source, views) if self._look else source

    def of(self, arm: design.Arm, draw: design.Draw, position: int, seed: int) -> Source:
        """What the classifier of an arm and a seed learns from."""

        def own(source: Source) -> Source:  # The first view is the picture as it is.
            if isinstance(source, frozen.Views) and not arm.augment:
                return frozen.Views(source, source.images[:, :1])
            return source

        sides = {}
        if arm.generated:
            fresh = self._fresh[arm.size, arm.selected][position]
            for name, n in arm.pictures.items():
                if not n["generated"]:
                    continue
                if name not in fresh:
                    raise InputError(f"it needs generated pictures of {name}, whose GAN failed")
                source = fresh[name]
                count = arm.pictures[name]["generated"] if arm.augment else len(source)
                key = (arm.size, arm.selected, position, name, count, arm.augment)
                if key not in self._kept:
                    kept = loader.in_memory(loader.Subset(source, np.arange(count)))
                    self._kept[key] = self._seen(kept, self._views if arm.augment else 1)
                sides[name] = self._kept[key]
        real = own(self._training)
        return loader.in_memory(design.assemble(arm, real, draw.given, sides, seed))


def _gan_train(
    config: ConfigDict,
    arms: Sequence[design.Arm],
    built: dict[tuple[bool, int], tuple[ConfigDict, Recipe]],
    pictures: _Pictures,
    draws: Mapping[int | None, Sequence[design.Draw]],
    folder: epath.Path,
    told: log.Log,
    share: Share,
) -> float | None:
    """GAN-train on the validation pictures, of the primary arm's generated pictures and first seed.

    A class without generated pictures keeps its real ones. None where it fails.

    References:
        Shmelkov et al., How good is my GAN?, 2018, section 3.
    """
    arm = next(arm for arm in arms if arm.name == config.verdict.primary[0])
    kinds = {
        name: n | {"copies": 0} | ({"real": 0} if n["generated"] else {})
        for name, n in arm.pictures.items()
    }
    arm = arm._replace(name=f"gan-train of {arm.name}", pictures=kinds, augment=False)
    own, recipe = _built(config, arm, arms, built)
    mine = own.copy_and_resolve_references()
    mine.seed = seed = config.seeds[0]
    workdir = folder / "classifiers" / arm.name / str(seed)

    def work() -> dict:
        source = pictures.of(arm, draws[arm.size][0], 0, seed)
        configs.claim(workdir, mine)
        training.train_classifier(
            mine, source, pictures.validation, workdir, label=arm.name, recipe=recipe
        )
        rows = log.read_metrics(workdir)
        reached = max(r["validation_accuracy"] for r in rows if "validation_accuracy" in r)
        return {"validation_accuracy": reached}

    try:
        reached = share.once(0, workdir / "result.json", work)["validation_accuracy"]
    except Exception as error:
        told.line(f"{arm.name} failed, so that config.stop_below decides nothing: {error}")
        return None
    told.line(f"learning from generated pictures reaches {reached:.1%} of validation pictures")
    return reached


def _built(
    config: ConfigDict,
    arm: design.Arm,
    arms: Sequence[design.Arm],
    built: dict[tuple[bool, int], tuple[ConfigDict, Recipe]],
) -> tuple[ConfigDict, Recipe]:
    """The config and recipe of an arm: as many as there are different steps to compile."""
    section = config.classifier
    base = next((a for a in arms if a.name == "real"), arms[0])
    epochs_of = arm if config.epochs == "arm" else base
    count = sum(sum(n.values()) for n in epochs_of.pictures.values())
    steps = configs.total_steps(section.train, count, section.train.batch_size)
    if (arm.augment, steps) not in built:
        own = section.copy_and_resolve_references()
        with own.unlocked():
            own.train.steps, own.train.epochs, own.train.kimg = steps, None, None
        own.train.augment = section.train.augment if arm.augment else ()
        own.train.mixup = section.train.mixup if arm.augment else 0.0
        recipe = recipes.build(own, parallel.axis_name(own.parallel))
        first = next(iter(built.values()), (own, recipe))[1]
        same = next((r for (how, _), (_, r) in built.items() if how == arm.augment), recipe)
        built[arm.augment, steps] = own, same._replace(init=first.init)  # Compiled once.
    return built[arm.augment, steps]


def _decided(config: ConfigDict, runs: list[dict], labels: np.ndarray, seeds: int) -> bool:
    """Whether a look at the primary contrast after so many seeds ends the experiment."""
    looks = tuple(config.verdict.looks)
    if seeds not in looks or seeds == len(config.seeds):
        return False
    first, second = (
        np.array([np.argmax(r["probabilities"], 1) == labels for r in runs if r["arm"] == arm])
        for arm in config.verdict.primary
    )
    if min(len(first), len(second)) < seeds:
        return False
    gans = None if config.gan.retrain == 1 else [i % config.gan.retrain for i in range(seeds)]
    return sequential.decided(
        first,
        second,
        looks,
        len(config.seeds),
        config.verdict.level,
        margin=config.verdict.margin,
        overlap=config.data.subset % 1,
        gans=gans,
    )


def _test(
    config: ConfigDict,
    recipe: Recipe,
    predictor: Any,
    workdir: epath.Path,
    test: Source,
    folder: epath.Path,
    run: dict,
) -> dict:
    """The best checkpoint's predictions: the one time that this run sees the test pictures."""
    with Checkpoints(workdir, training.BEST) as checkpoints:
        best = checkpoints.best
        restored = checkpoints.restore(jax.eval_shape(recipe.init, jax.random.key(0)), best)
    assert restored is not None
    with (folder / OPENED).open("a") as file:
        opened = run | {"step": restored.step}
        file.write(json.dumps(opened | {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}) + "\n")
    log_p = predict(predictor, restored.state.variables, test)
    probabilities = np.exp(log_p.astype(np.float64)).round(6)
    rows = log.read_metrics(workdir)
    curve = {
        "train": [
            {"step": r["step"], "loss": r["loss"], "accuracy": r["accuracy"]}
            for r in rows
            if "loss" in r
        ],
        "validation": [
            {
                "step": r["step"],
                "loss": r["validation_loss"],
                "accuracy": r["validation_accuracy"],
            }
            for r in rows
            if "validation_loss" in r
        ],
    }
    judged = {r["step"]: r["accuracy"] for r in curve["validation"]}
    return {
        "steps": config.train.steps,
        "best_step": restored.step,
        "validation_accuracy": judged[restored.step],
        "test_accuracy": float((probabilities.argmax(1) == test.labels).mean()),
        "probabilities": probabilities.tolist(),
        "curve": curve,
    }
