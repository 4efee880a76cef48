"""The classifiers of an experiment: every arm with every seed, equal in all but their pictures."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.data import splits
from jaxgan.data.folder import Source
from jaxgan.engine import log, sharding
from jaxgan.engine.memory import OutOfMemoryError
from jaxgan.experiment.design.arms import Arm
from jaxgan.experiment.design.draws import Draw
from jaxgan.experiment.report import tables
from jaxgan.experiment.stages.classifier_images import ClassifierImages
from jaxgan.experiment.stages.final_test import OPENED, test, validated
from jaxgan.experiment.stages.generate import Fresh
from jaxgan.experiment.stages.workers import Share
from jaxgan.steps.classifier import make_predict
from jaxgan.system import sealed
from jaxgan.training import run as training
from jaxgan.types import InputError, Recipe

APART = 1000  # Between the seeds of two folds' weights.
Built = dict[tuple, tuple[ConfigDict, Recipe]]  # By what differs between arms.
# Trains what is left of a group, with one of the arm's choices: what went wrong, by position, and
# seconds each.
Together = Callable[[int], tuple[dict[int, Exception | None], float]]


class Fold:
    """The classifiers of one fold, or of all of an experiment where there is only one.

    Every arm with every seed: equal steps, the same validation and test pictures. An arm that fails
    does not keep the others from being trained. Of several processes each trains its `share`.

    Args:
        config: the experiment's.
        arms: of it.
        real: all real pictures.
        parts: positions of those to train, to validate and to test with in this fold.
        draws: of each seed, by real pictures a class.
        fresh: the generated pictures.
        folder: holds `classifiers/`.
        told: the experiment's log.
        share: of the classifiers that are this process's.
        label: stands before each of its lines, where there are several folds.
        fold: its number; other folds have other weights and orders.
        first: the first fold, whose programs and numbers of steps are this one's.
    """

    def __init__(
        self,
        config: ConfigDict,
        arms: Sequence[Arm],
        real: Source,
        parts: splits.Split,
        draws: Mapping[int | None, Sequence[Draw]],
        fresh: Fresh,
        folder: epath.Path,
        told: log.Log,
        share: Share = Share(),
        label: str = "",
        fold: int = 0,
        first: "Fold | None" = None,
    ):
        self.config, self.arms, self.draws, self.fresh = config, arms, draws, fresh
        self.folder, self.told, self.share, self.fold = folder, told, share, fold
        self._prefix = f"{label} " if label else ""
        section = config.classifier
        with section.unlocked():
            section.data.classes = tuple(real.classes)
        self._pictures = ClassifierImages(section, arms, real, parts, fresh)
        self._predictor = make_predict(recipes.build_classifier(section))
        self._sizes: Sequence[Arm] = first._sizes if first else arms
        self._built: Built = first._built if first else {}

    def train(self, positions: range) -> tuple[list[dict], list[dict]]:
        """All arms with the seeds at some positions of `config.seeds`; finished ones come back.

        Args:
            positions: of the seeds, `vmap_seeds` of which are trained at once.

        Returns:
            The runs, and those that failed.
        """
        count = self.config.vmap_seeds
        jobs = [
            (range(i, min(i + count, positions.stop)), arm)
            for i in range(positions.start, positions.stop, count)
            for arm in self.arms
        ]
        found = {
            number: self._group(number, some, arm) for number, (some, arm) in self.share.order(jobs)
        }
        results = [result for number in sorted(found) for result in found[number]]
        runs, failed = [], []
        for result in sorted(results, key=lambda r: self.config.seeds.index(r["seed"])):
            (failed if "error" in result else runs).append(result)
        return runs, failed

    def gan_train(self) -> float | None:
        """What `config.stop_below` asks: see `_gan_train`; None where it cannot be told."""
        return _gan_train(self)

    def learn_from(self, arm: Arm, number: int = 0) -> float:
        """Train one more classifier, with the first seed; its share of the validation images.

        It is no arm of the verdict, and sees no test image.
        """

        def work() -> dict:
            mine, source, workdir = self.begin(0, arm)
            training.train_classifier(
                mine, source, self.validation, workdir, label=arm.name, recipe=self.built(arm)[1]
            )
            return {"validation_accuracy": validated(workdir)}

        return self.share.once(number, self._result(0, arm), work)["validation_accuracy"]

    def finished(self, position: int) -> bool:
        """Whether all arms have a result of the seed at this position."""
        return all(self._result(position, arm).exists() for arm in self.arms)

    def opened(self) -> list[dict]:
        """When the test pictures were opened, and by whom."""
        return sealed.rows(self.folder / OPENED)

    def workdir(self, position: int, arm: Arm) -> epath.Path:
        called = arm.name.translate(str.maketrans("[]", "()"))  # Checkpoints take [] for patterns.
        return self.folder / "classifiers" / called / str(self.config.seeds[position])

    def _result(self, position: int, arm: Arm) -> epath.Path:
        return self.workdir(position, arm) / "result.json"

    def begin(self, position: int, arm: Arm) -> tuple[ConfigDict, Source, epath.Path]:
        """Config, pictures and folder of a classifier, claimed."""
        mine = self.built(arm)[0].copy_and_resolve_references()
        seed = self.config.seeds[position]
        mine.seed = (seed + APART * self.fold) % 2**32
        draw = self.draws[arm.size][position]
        source = self._pictures.of(arm, draw, position, seed, mine.train.steps)
        configs.claim(self.workdir(position, arm), mine)
        return mine, source, self.workdir(position, arm)

    def built(self, arm: Arm) -> tuple[ConfigDict, Recipe]:
        return _build(self.config, arm, self._sizes, self._built)

    @property
    def validation(self) -> Source:
        return self._pictures.validation

    def _job(self, number: int, position: int, arm: Arm, together: Together | None) -> dict:
        seed, draw = self.config.seeds[position], self.draws[arm.size][position]
        kept = self._result(position, arm)
        run = {"arm": arm.name, "seed": seed}

        def work() -> dict:
            best, seconds, more = arm, None, {}
            if arm.choices:
                best, seconds, more = self._choose(number, position, arm, together)
            else:
                seconds = self._learn(position, arm, 0, together)
            clock = time.perf_counter()
            about = run | {"gan": draw.gan}
            own, recipe = self.built(best)
            tested = (self._predictor, self.workdir(position, best), self._pictures.test)
            result = about | test(own, recipe, *tested, self.folder, about | more) | more
            if seconds is not None:
                result["seconds"] = round(seconds + time.perf_counter() - clock, 1)
            return result

        try:
            result = self.share.once(number, kept, work)
        except Exception as error:
            if sealed.ends_all(error):
                raise
            name = f"{self._prefix}{arm.name} seed {seed}"
            self.told.line(f"{name} failed, the others go on: {error}")
            return run | {"error": str(error), "seconds": self.share.spent(kept)}
        tables.check_accuracy(result, self._pictures.test.labels, kept)
        return result

    def _learn(
        self, position: int, arm: Arm, choice: int, together: Together | None
    ) -> float | None:
        """Train one classifier; its seconds, where it is one of several at once."""
        if together is not None:
            wrong, seconds = together(choice)
            if error := wrong[position]:
                raise error
            return seconds
        mine, source, workdir = self.begin(position, arm)
        label = f"{self._prefix}{arm.name} seed {self.config.seeds[position]}"
        recipe = self.built(arm)[1]
        training.train_classifier(
            mine, source, self.validation, workdir, label=label, recipe=recipe
        )
        return None

    def _choose(
        self, number: int, position: int, arm: Arm, together: Together | None
    ) -> tuple[Arm, float | None, dict]:
        """The choice that validates best, the first of equals, and what its run says of that.

        All of them are trained, and none sees a test picture.
        """
        tried: list[dict] = []
        for i, one in enumerate(arm.choices):

            def work(i: int = i, one: Arm = one) -> dict:
                seconds = self._learn(position, one, i, together)
                reached = validated(self.workdir(position, one))
                timed = {} if seconds is None else {"seconds": round(seconds, 1)}
                return {"validation_accuracy": reached} | timed

            tried.append(self.share.once(number, self._result(position, one), work))
        reached = [one["validation_accuracy"] for one in tried]
        names = [one.name.rpartition("/")[2] for one in arm.choices]
        first = int(np.argmax(reached))
        seconds = sum(one["seconds"] for one in tried) if together is not None else None
        more = {"chosen": names[first], "tried": dict(zip(names, reached, strict=True))}
        return arm.choices[first], seconds, more

    def _group(self, number: int, positions: Sequence[int], arm: Arm) -> list[dict]:
        """Seeds of an arm: one by itself, or several in one step."""

        @cache  # By the first of them that has no result.
        def together(choice: int) -> tuple[dict[int, Exception | None], float]:
            clock, one = time.perf_counter(), arm.trained[choice]
            left = [i for i in positions if not self._result(i, one).exists()]
            seeds = ", ".join(str(self.config.seeds[i]) for i in left)
            label = f"{self._prefix}{one.name} seeds {seeds}"
            try:
                mine, sources, workdirs = zip(*(self.begin(i, one) for i in left), strict=True)
                found = training.train_classifiers(
                    mine, sources, self.validation, workdirs, label=label,
                    recipe=self.built(one)[1],
                )  # fmt: skip
            except OutOfMemoryError as error:
                text = f"out of memory with {len(left)} seeds at once: set a lower vmap_seeds"
                found = [InputError(f"{text} ({error})")] * len(left)
            except Exception as error:
                found = [error] * len(left)
            seconds = (time.perf_counter() - clock) / len(left)
            return dict(zip(left, found, strict=True)), seconds

        several = together if len(positions) > 1 else None
        return [self._job(number, position, arm, several) for position in positions]


def _gan_train(fold: Fold) -> float | None:
    """GAN-train on the validation pictures, of the primary arm's generated pictures and first seed.

    A class without generated pictures keeps its real ones. None where it fails.

    References:
        Shmelkov et al., How good is my GAN?, 2018, section 3.
    """
    arm = next(arm for arm in fold.arms if arm.name == fold.config.verdict.primary[0])
    kinds = {
        name: n | {"copies": 0} | ({"real": 0} if n["generated"] else {})
        for name, n in arm.pictures.items()
    }
    arm = arm._replace(
        name=f"gan-train of {arm.name}", pictures=kinds, augment=False, policy=(), mixup=0.0,
        cutmix=0.0, feature_noise=0.0, weights=None, pretrain=False, choices=(),
    )  # fmt: skip
    try:
        reached = fold.learn_from(arm)
    except Exception as error:
        if sealed.ends_all(error):
            raise
        fold.told.line(f"{arm.name} failed, so that config.stop_below decides nothing: {error}")
        return None
    fold.told.line(f"learning from generated pictures reaches {reached:.1%} of validation pictures")
    return reached


def steps_of(config: ConfigDict, arm: Arm, arms: Sequence[Arm]) -> int:
    """Steps of an arm's classifiers: those of the epochs of `real`, or of its own."""
    train = config.classifier.train
    base = next((a for a in arms if a.name == "real"), arms[0])
    shown = arm if config.epochs == "arm" else base
    count = sum(sum(n.values()) for n in shown.pictures.values())
    return configs.total_steps(train, count, train.batch_size)


def as_arm(section: ConfigDict, arm: Arm) -> ConfigDict:
    """A classifier's config, trained the way of an arm."""
    own = section.copy_and_resolve_references()
    train = own.train
    with own.unlocked():
        train.augment, train.mixup, train.cutmix, train.feature_noise = arm.way
    return own


def _build(
    config: ConfigDict, arm: Arm, arms: Sequence[Arm], built: Built
) -> tuple[ConfigDict, Recipe]:
    """The config and recipe of an arm: as many as there are different steps to compile."""
    steps = steps_of(config, arm, arms)
    if (arm.way, steps) not in built:
        own = as_arm(config.classifier, arm)
        with own.unlocked():
            own.train.steps, own.train.epochs, own.train.kimg = steps, None, None
        recipe = recipes.build(own, sharding.axis_name(own.parallel))
        first = next(iter(built.values()), (own, recipe))[1]
        if own.optim.schedule == "constant":  # Else the length is a part of the program.
            recipe = next((r for (way, _), (_, r) in built.items() if way == arm.way), recipe)
        built[arm.way, steps] = own, recipe._replace(init=first.init)  # Compiled once.
    return built[arm.way, steps]
