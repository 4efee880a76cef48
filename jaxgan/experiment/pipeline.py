"""The experiment: folds, a GAN per class, samples, classifiers, verdict.

Every finished stage leaves its result in the workdir and is skipped when the command is run again.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property

from etils import epath
from ml_collections import ConfigDict

from jaxgan.config import loading as configs
from jaxgan.config.typed import Experiment
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.engine import log
from jaxgan.experiment.conclude import conclude
from jaxgan.experiment.design import arms
from jaxgan.experiment.design.plan import Plan, prepare
from jaxgan.experiment.on_ray import Cluster
from jaxgan.experiment.ray_cluster import On, joined
from jaxgan.experiment.remaining_time import RemainingTime
from jaxgan.experiment.results import Record
from jaxgan.experiment.runs_by_arm import RunsByArm
from jaxgan.experiment.schema import Results
from jaxgan.experiment.stages.classify import Classifiers
from jaxgan.experiment.stages.fold_context import FoldContext
from jaxgan.experiment.stages.gans import as_gans_see
from jaxgan.experiment.stages.generate import generate
from jaxgan.experiment.validity import gate
from jaxgan.system import lock
from jaxgan.system.terminal import few
from jaxgan.training import run as training
from jaxgan.types import InputError, Recipe

MANY = 4  # Folds that tell of chance with one seed each.


def run(
    config: ConfigDict | Experiment,
    workdir: epath.PathLike,
    *,
    on: On | None = None,
    until: float | None = None,
    ends: float | None = None,
    begin_folds: int | None = None,
    before: Plan | None = None,
    told_first: tuple[str, ...] = (),
    claimed: Callable[[], None] = lambda: None,
) -> Results:
    """Run the experiment of `config` in `workdir`; return what `results.json` holds there.

    Args:
        config: the experiment's.
        workdir: its folder.
        on: the Ray cluster that does the jobs; None: this process does.
        until: `time.perf_counter()` from which on no further fold or seed is begun; the first seed
            of the first fold always is.
        ends: when the whole should be over, for the terminal.
        begin_folds: begin no more folds than the first so many; None: as there is time for.
        before: a plan for the same images, which are not read again.
        told_first: lines to begin the log with.
        claimed: called once the workdir is this experiment's.

    Raises:
        InputError: a config, folder or workdir that will not do, or that another process works
            in, before any training; or no seed could be finished for both arms of the verdict,
            after all else is written.
        FileError: something in the workdir is damaged.
    """
    begin = time.perf_counter()
    folder = epath.Path(workdir)
    if "://" in os.fspath(workdir):  # Samples are read as any folder of images is.
        raise InputError(
            f"an experiment's workdir must lie on a disk, which for several machines is a shared "
            f"one (gcsfuse and s3fs mount buckets), got {os.fspath(workdir)}"
        )
    with ExitStack() as held:
        platforms = held.enter_context(joined(on)) if on else None
        plan = prepare(config, before)
        configs.check_free(folder)
        held.enter_context(lock.held(folder))
        configs.claim(folder, plan.config, training.describe_data(plan.real))
        claimed()
        outlook = RemainingTime(plan.jobs, folder, ends)
        one = _Experiment(plan, folder, begin, until, begin_folds, outlook)
        if on:
            one.cluster = Cluster(on, one.plan, folder, outlook, platforms)
        return one.run(told_first)


class _Experiment:
    """One run of an experiment: what its stages share, and what has come of them so far."""

    def __init__(
        self,
        plan: Plan,
        folder: epath.Path,
        begin: float,
        until: float | None,
        begin_folds: int | None,
        outlook: RemainingTime,
    ):
        # Its `config.json` does without the classes.
        self.config = plan.config.changed({"classifier.data.classes": plan.real.classes})
        self.plan, self.folder = replace(plan, config=self.config), folder
        self.begin, self.until = begin, until
        self.begin_folds = len(plan.folds) if begin_folds is None else begin_folds
        self.outlook = outlook
        self.told: log.Log
        self.cluster: Cluster | None = None
        self.trained: dict[int, Classifiers] = {}
        self.drawn: dict[int, int] = {}  # Of each fold, for how many seeds there are samples.
        self.record = Record()

    def run(self, told_first: tuple[str, ...]) -> Results:
        real = self.plan.real
        about = training.describe_data(real)
        configs.claim_data(self.folder, about["fingerprint"], data=about)
        if self.plan.outside:
            prints = [
                loader.fingerprint(source)
                for sides in self.plan.outside.values()
                for source in sides.values()
            ]
            configs.claim_data(self.folder, "-".join(prints), "generated.json")
        self.environment = training.environment()
        with log.Log(self.folder) as self.told:
            return self._run(about, told_first)

    def _run(self, about: dict, told_first: tuple[str, ...]) -> Results:
        real, parts = self.plan.real, self.plan.folds
        for line in told_first:
            self.told.line(line)
        self.told.line(self.plan.duplicates)
        one = parts[0].sides
        self.told.line(
            f"{len(real):,} images of {few(real.classes)}: "
            + (f"{len(parts)} folds, in the first " if len(parts) > 1 else "")
            + f"{len(one.train):,} to train, {len(one.validation):,} to validate, "
            f"{len(one.test):,} to test" + " (each once in all)" * (len(parts) > 1)
        )
        for line in self.plan.account:
            self.told.line(line)
        for arm in parts[0].arms:
            self.told.line(f"arm {arm.name}: {arm.description}")
        done, count = self.outlook.finished()
        if done == count:
            self.told.line("already finished: nothing is trained, the report is written again")
        elif done:
            self.told.line(f"going on: {done} of {count} jobs are finished")
        self.record.seconds["data"] = time.perf_counter() - self.begin

        for positions in self._blocks():
            if self.cluster:
                self._ask(self.cluster, positions)
            going = all(
                self._train(k, positions) for k in range(len(parts)) if self._open(k, positions)
            )
            if not going or self._decided(positions.stop):
                break
        if self.record.failed and not self.record.runs:
            raise InputError(f"no classifier could be trained: {self.record.failed[0]['error']}")
        if self.record.ended:
            self.told.line(self.record.ended)
        return self._finish(about)

    def _ask(self, cluster: Cluster, positions: range) -> None:
        """Let a cluster do the jobs of some seeds, after the gate where it may end it all."""
        gates = [] if positions.start else [cluster.alone(arm) for arm in self._gates()]
        if gates and self.config.stop_below is not None:
            cluster.do([*cluster.parts((0,), range(1), samples_only=True), *gates], self.told)
            self._open(0, positions)
        folds = range(len(self.plan.folds))
        cluster.do([*cluster.parts(folds, positions), *gates], self.told)

    def _gates(self) -> list[arms.Arm]:
        """Return the arms of the classifiers that train on generated images alone."""
        found, planned = [], self.plan.folds[0].arms
        if self.config.stop_below is not None and self.plan.pick("samples", fold=0):
            found.append(gate.gan_train_arm(self._primary()))
        return [*found, *(gate.rivals(planned, self.config.verdict.primary) or ())]

    def _blocks(self) -> Iterator[range]:
        """Positions of seeds that are trained before the next question whether to go on."""
        config, count = self.config, len(self.config.seeds)
        step = count
        if self.until is not None or config.verdict.width is not None:
            step = config.vmap_seeds
        ends = sorted({*config.verdict.looks, *range(step, count, step), count})
        for first, end in zip([0, *ends], ends, strict=False):
            yield range(first, end)

    def _in_time(self, seconds: float) -> bool:
        return self.until is None or time.perf_counter() + seconds < self.until

    def _seed_takes(self) -> float:
        """Return seconds of all arms of a seed, in the fold and seed that took longest."""
        took: dict[tuple[int, int], float] = {}
        for run in [*self.record.runs, *self.record.failed]:
            key = run["fold"], run["seed"]
            took[key] = took.get(key, 0.0) + run["seconds"]
        return max(took.values(), default=0.0)

    def _fold_takes(self, k: int) -> float:
        """Return seconds of fold k's GANs and a seed, and of what must follow for an interval: a
        second seed of each fold, or a first one of as many as do without.
        """
        gans = max((sum(g["seconds"] for g in self._of(j)) for j in self.trained), default=0.0)
        seed, folds = self._seed_takes(), min(self.begin_folds, len(self.plan.folds))
        rest = (k + 1) * seed
        if folds >= MANY:
            rest = min(rest, (MANY - 1 - k) * (gans + seed))
        return gans + seed + max(rest, 0.0)

    def _open(self, k: int, positions: range) -> bool:
        """Return whether fold k is begun: now, unless there is no time for its GANs and a seed."""
        if k in self.trained:
            return True
        known = (self.folder / self.plan.folds[k].place / "classifiers").exists()
        if k >= self.begin_folds and not known:
            return False
        if k and not known and (positions.start or not self._in_time(self._fold_takes(k))):
            self.record.ended = (
                f"the time is over after {len(self.trained)} of {len(self.plan.folds)} folds"
            )
            return False
        self.trained[k] = self._begin(k)
        return True

    def _train(self, k: int, positions: range) -> bool:
        """Some seeds of a fold; False where the time is over."""
        known = all(self.trained[k].finished(i) for i in positions)
        in_time = not self.record.runs or self._in_time(self._seed_takes() * len(positions))
        if known or in_time:
            self._generate(k, positions)
            found, failed = self.trained[k].train(positions)
            self.record.runs += [run | {"fold": k} for run in found]
            self.record.failed += [run | {"fold": k} for run in failed]
            return True
        done = len({run["seed"] for run in self.record.runs})
        self.record.ended = f"the time is over after {done} seed{'s' * (done > 1)}"
        return False

    def _context(self, k: int) -> FoldContext:
        fold = self.plan.folds[k]
        failed = self.cluster.failed if self.cluster else {}
        return FoldContext(self.plan, fold, self.folder, self.told, self.outlook, failed)

    def _of(self, k: int) -> list[dict]:
        return [
            g for g in [*self.record.generators, *self.record.failed_generators] if g["fold"] == k
        ]

    def _begin(self, k: int) -> Classifiers:
        """Return the GANs of a fold, and its classifiers, not trained yet."""
        config = self.config
        self.record.samples[k] = {}
        self._generate(k, range(1))
        begun = Classifiers(self._context(k), self.record.samples[k], self.trained.get(0))
        if k == 0 and config.stop_below is not None and self.plan.pick("samples", fold=0):
            reached = gate.gan_train(begun.learn_from, self._primary(), self.told)
            if reached is not None and reached < config.stop_below:
                raise InputError(
                    f"not worth it: a classifier that learns from generated images reaches "
                    f"{reached:.1%} of validation images, and config.stop_below asks for "
                    f"{config.stop_below:.1%}; without it the same command goes on"
                )
        if k == 0:
            pair = gate.rivals(self.plan.folds[0].arms, config.verdict.primary)
            self.record.reached = pair and gate.learn_alone(begun.learn_from, pair, self.told)
        return begun

    def _primary(self) -> arms.Arm:
        name = self.config.verdict.primary[0]
        return next(arm for arm in self.plan.folds[0].arms if arm.name == name)

    def _generate(self, k: int, positions: range) -> None:
        """Generated images of further seeds, from GANs that are trained where they are not yet."""
        seeds = range(self.drawn.get(k, 0), positions.stop)
        self.drawn[k] = max(seeds.start, positions.stop)
        jobs = self.plan.pick("samples", fold=k, seeds=seeds)
        if not jobs:
            return
        gone = [gan["name"] for gan in self.record.failed_generators if gan["fold"] == k]
        made = generate(self._context(k), jobs, lambda: self._gans, gone)
        self.record.samples[k] |= made.samples
        told = {(g["fold"], g.get("name"), g.get("generated")) for g in self._of(k)}
        for kept, found in (
            (self.record.generators, made.about),
            (self.record.failed_generators, made.failed),
        ):
            new = [g for g in found if (k, g.get("name"), g.get("generated")) not in told]
            kept += new
            self.record.seconds["gan"] += sum(g["seconds"] for g in new)
        self.record.seconds["generate"] += made.seconds

    @cached_property
    def _gans(self) -> tuple[Source, Recipe]:
        return as_gans_see(self.plan)

    def _decided(self, seeds: int) -> bool:
        """Return whether so many seeds are enough: by a look at the verdict, or by the width asked
        for.
        """
        config = self.config
        if seeds >= len(config.seeds):
            return False
        answers = RunsByArm(
            self.record.runs, self.plan.labels, config.verdict.outcome, self.plan.groups
        )
        if answers.interval(*config.verdict.primary) is None:
            return False
        look = seeds in config.verdict.looks
        if look and answers.decided(
            *config.verdict.primary,
            config.verdict.looks,
            len(config.seeds),
            config.verdict.level,
            config.verdict.margin,
        ):
            self.record.ended = f"the verdict is clear after {seeds} of {len(config.seeds)} seeds"
            return True
        width = config.verdict.width
        if width is not None and seeds >= 2:
            found = answers.interval(*config.verdict.primary, level=config.verdict.level)
            if found and found.half is not None and found.half <= width:
                self.record.ended = f"the interval is as narrow as asked for after {seeds} seeds"
                return True
        return False

    def _finish(self, about: dict) -> Results:
        contexts = {k: self._context(k) for k in self.record.folds}
        if self.cluster and self.cluster.devices:
            self.environment["devices"] = self.cluster.devices
        opened = {k: self.trained[k].opened() for k in contexts}
        return conclude(
            contexts, self.record, opened, about, self.environment, self.begin, self.until is None
        )
