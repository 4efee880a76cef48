"""The classifiers of an experiment: every arm with every seed, equal in all but their images."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from etils import epath

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config import typed
from jaxgan.data.folder import Source
from jaxgan.engine import sharding
from jaxgan.engine.memory import OutOfMemoryError
from jaxgan.experiment.design.arms import Arm
from jaxgan.experiment.design.jobs import Job
from jaxgan.experiment.report import tables
from jaxgan.experiment.stages.classifier_images import ClassifierImages
from jaxgan.experiment.stages.final_test import OPENED, test, validated
from jaxgan.experiment.stages.fold_context import FoldContext
from jaxgan.steps.classifier import make_predict
from jaxgan.system import checked_files
from jaxgan.training import run as training
from jaxgan.types import InputError, Recipe

APART = 1000  # Between the seeds of two folds' weights.
Built = dict[tuple, tuple[typed.Classifier, Recipe]]  # By what differs between arms.
# Trains what is left of a group of jobs, or of their choices by number: what went wrong, by seed's
# position, and seconds each.
Together = Callable[[int], tuple[dict[int | None, Exception | None], float]]


class Classifiers:
    """The classifiers of one fold, or of all of an experiment where there is only one.

    Every arm with every seed: equal steps, the same validation and test images. An arm that fails
    does not keep the others from being trained.

    Args:
        context: where their jobs are done.
        samples: the generated images, by their job's output.
        first: those of the first fold, whose programs are these ones', too.
    """

    def __init__(
        self,
        context: FoldContext,
        samples: Mapping[str, Source],
        first: "Classifiers | None" = None,
    ):
        self.config, self.context = context.config, context
        self.fold, self.arms = context.fold.number, context.fold.arms
        self._images = ClassifierImages(context, samples)
        self._predictor = make_predict(recipes.build_classifier(self.config.classifier))
        self._built: Built = first._built if first else {}

    def train(self, positions: range) -> tuple[list[dict], list[dict]]:
        """Return all arms with the seeds at some positions of `config.seeds`; finished ones come
        back.

        Args:
            positions: of the seeds, `vmap_seeds` of which are trained at once.

        Returns:
            The runs, and those that failed.
        """
        count, jobs = self.config.vmap_seeds, self._jobs(positions)
        results = [result for group in groups(jobs, count) for result in self.group(group)]
        runs, failed = [], []
        for result in sorted(results, key=lambda r: self.config.seeds.index(r["seed"])):
            (failed if "error" in result else runs).append(result)
        return runs, failed

    def _jobs(self, positions: range) -> list[Job]:
        return self.context.plan.pick("classifier", "choice", fold=self.fold, seeds=positions)

    def learn_from(self, arm: Arm) -> float:
        """Train one more classifier, with the first seed; its share of the validation images.

        It is no arm of the verdict, and sees no test image.
        """
        job = self.context.plan.alone(arm)

        def work() -> dict:
            self._train(job, arm.name)
            return {"validation_accuracy": validated(self.context.folder / job.folder)}

        return self.context.once(job, work)["validation_accuracy"]

    def finished(self, position: int) -> bool:
        """Return whether all arms have a result of the seed at this position."""
        jobs = self._jobs(range(position, position + 1))
        return all((self.context.folder / job.output).exists() for job in jobs)

    def opened(self) -> list[dict]:
        """When the test images were opened, and by whom."""
        jobs = self.context.plan.pick("classifier", "choice", fold=self.fold)
        places = dict.fromkeys([self.context.fold.place, *(job.folder for job in jobs)])
        return [row for p in places for row in checked_files.rows(self.context.folder / p / OPENED)]

    def _begin(self, job: Job) -> tuple[typed.Classifier, Source, epath.Path]:
        """Config, images and folder of a classifier, claimed."""
        assert job.seed is not None
        seed = (self.config.seeds[job.seed] + APART * self.fold) % 2**32
        mine, workdir = self._built_for(job)[0].changed({"seed": seed}), self._workdir(job)
        source = self._images.of(job)
        configs.claim(workdir, mine)
        return mine, source, workdir

    def _workdir(self, job: Job) -> epath.Path:
        return self.context.folder / job.folder

    def _built_for(self, job: Job) -> tuple[typed.Classifier, Recipe]:
        """Return its config and recipe: as many as there are different steps to compile."""
        arm, steps, built = job.arm, job.steps, self._built
        assert arm is not None
        if (arm.way, steps) not in built:
            length = {"train.steps": steps, "train.epochs": None, "train.kimg": None}
            own = self.config.classifier.changed(way(arm) | length)
            recipe = recipes.build(own, sharding.axis_name(own.parallel))
            first = next(iter(built.values()), (own, recipe))[1]
            if own.optim.schedule == "constant":  # Else the length is a part of the program.
                recipe = next((r for (by, _), (_, r) in built.items() if by == arm.way), recipe)
            built[arm.way, steps] = own, recipe._replace(init=first.init)  # Compiled once.
        return built[arm.way, steps]

    def _train(self, job: Job, label: str) -> None:
        mine, source, workdir = self._begin(job)
        recipe = self._built_for(job)[1]
        with self.context.outlook.doing(job, label):
            training.train_classifier(
                mine, source, self._images.validation, workdir, label=label, recipe=recipe
            )

    def _job(self, job: Job, together: Together | None) -> dict:
        """Do a job, with the training before it; return its result."""
        assert job.arm is not None and job.seed is not None
        arm, seed = job.arm, self.config.seeds[job.seed]
        gan = self.context.fold.draws[arm.size][job.seed].gan
        run = {"arm": arm.name, "seed": seed}

        def work() -> dict:
            best, seconds, more = job, None, {}
            if job.kind == "choice":
                best, seconds, more = self._choose(job, together)
            else:
                seconds = self._learn(job, 0, together)
            clock = time.perf_counter()
            about = run | {"gan": gan}
            recipe = self._built_for(best)[1]
            tested = (self._predictor, self._workdir(best), self._images.test)
            folder = self._workdir(job)
            result = about | test(best.steps, recipe, *tested, folder, about | more) | more
            if seconds is not None:
                result["seconds"] = round(seconds + time.perf_counter() - clock, 1)
            return result

        try:
            result = self.context.once(job, work)
        except Exception as error:
            if checked_files.ends_all(error):
                raise
            name = f"{self.context.label}{arm.name} seed {seed}"
            self.context.log.line(f"{name} failed, the others go on: {error}")
            return run | {"error": str(error), "seconds": self.context.spent(job)}
        kept = self.context.folder / job.output
        tables.check_accuracy(result, self._images.test.labels, kept)
        return result

    def _learn(self, job: Job, choice: int, together: Together | None) -> float | None:
        """Train one classifier; its seconds, where it is one of several at once."""
        assert job.arm is not None and job.seed is not None
        if together is not None:
            wrong, seconds = together(choice)
            if error := wrong[job.seed]:
                raise error
            return seconds
        label = f"{self.context.label}{job.arm.name} seed {self.config.seeds[job.seed]}"
        self._train(job, label)
        return None

    def _choose(self, job: Job, together: Together | None) -> tuple[Job, float | None, dict]:
        """Return the choice that validates best, the first of equals, and what its run says of
        that.

        All of them are trained, and none sees a test image.
        """
        tried: list[dict] = []
        for i, one in enumerate(job.inputs):

            def work(i: int = i, one: Job = one) -> dict:
                seconds = self._learn(one, i, together)
                reached = validated(self._workdir(one))
                timed = {} if seconds is None else {"seconds": round(seconds, 1)}
                return {"validation_accuracy": reached} | timed

            tried.append(self.context.once(one, work))
        reached = [one["validation_accuracy"] for one in tried]
        names = [one.arm.name.rpartition("/")[2] for one in job.inputs if one.arm]
        first = int(np.argmax(reached))
        seconds = sum(one["seconds"] for one in tried) if together is not None else None
        more = {"chosen": names[first], "tried": dict(zip(names, reached, strict=True))}
        return job.inputs[first], seconds, more

    def group(self, jobs: Sequence[Job]) -> list[dict]:
        """Train seeds of an arm: one by itself, or several in one step; return their results."""

        @cache  # By the first of them that has no result.
        def together(choice: int) -> tuple[dict[int | None, Exception | None], float]:
            clock = time.perf_counter()
            each = [job.inputs[choice] if job.kind == "choice" else job for job in jobs]
            left = [job for job in each if not (self.context.folder / job.output).exists()]
            seeds = ", ".join(str(self.config.seeds[job.seed or 0]) for job in left)
            assert each[0].arm is not None
            label = f"{self.context.label}{each[0].arm.name} seeds {seeds}"
            try:
                mine, sources, workdirs = zip(*map(self._begin, left), strict=True)
                with self.context.outlook.doing(left[0], label):
                    found = training.train_classifiers(
                        mine, sources, self._images.validation, workdirs, label=label,
                        recipe=self._built_for(each[0])[1],
                    )  # fmt: skip
            except OutOfMemoryError as error:
                text = f"out of memory with {len(left)} seeds at once: set a lower vmap_seeds"
                found = [InputError(f"{text} ({error})")] * len(left)
            except Exception as error:
                found = [error] * len(left)
            seconds = (time.perf_counter() - clock) / len(left)
            return dict(zip((job.seed for job in left), found, strict=True)), seconds

        several = together if len(jobs) > 1 else None
        return [self._job(job, several) for job in jobs]


def groups(jobs: Sequence[Job], count: int) -> list[list[Job]]:
    """Return jobs of classifiers as they are trained: `count` seeds of an arm at once.

    Those of several amounts are part of their choice.
    """
    amounts = {one.output for job in jobs for one in job.inputs}
    first = min((job.seed or 0 for job in jobs), default=0)
    found: dict[tuple, list[Job]] = {}
    for job in jobs:
        assert job.arm is not None and job.seed is not None
        if job.output not in amounts:
            found.setdefault((job.fold, (job.seed - first) // count, job.arm.name), []).append(job)
    return [*found.values()]


def way(arm: Arm) -> dict[str, Any]:
    """Return a classifier's settings in the way that an arm trains it."""
    names = ("augment", "mixup", "cutmix", "feature_noise")
    return dict(zip((f"train.{n}" for n in names), arm.way, strict=True))
