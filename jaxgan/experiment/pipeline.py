"""The experiment: folds, a GAN per class, samples, classifiers, verdict.

Every finished stage leaves its result in the workdir and is skipped when the command is run again.
"""

import json
import time
from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.data import account, duplicates, loader
from jaxgan.data.folder import Source
from jaxgan.engine import log, sharding
from jaxgan.experiment import figures, next_steps, results, summary
from jaxgan.experiment.analysis import judge
from jaxgan.experiment.answers import Answers
from jaxgan.experiment.design import arms
from jaxgan.experiment.design.plan import Plan, at, prepare
from jaxgan.experiment.report import flipped_images
from jaxgan.experiment.report.cost import cost
from jaxgan.experiment.report.page import write_report
from jaxgan.experiment.stages.classify import Classifiers
from jaxgan.experiment.stages.generate import generate
from jaxgan.experiment.stages.site import Samples, Site
from jaxgan.experiment.stages.workers import Share
from jaxgan.experiment.validity import audit, checks, gate
from jaxgan.experiment.validity.likeness import samples_shared
from jaxgan.system import sealed
from jaxgan.training import run as training
from jaxgan.types import InputError, Recipe

TOLD = "verdicts.jsonl"


def run(
    config: ConfigDict,
    workdir: epath.PathLike,
    share: Share = Share(),
    *,
    until: float | None = None,
    begin_folds: int | None = None,
    before: Plan | None = None,
    told_first: tuple[str, ...] = (),
    claimed: Callable[[], None] = lambda: None,
) -> dict:
    """Run the experiment of `config` in `workdir`; return what `results.json` holds there.

    Several processes with one workdir each do their `share`; the first writes the report, and what
    the others return is empty.

    Args:
        config: the experiment's.
        workdir: its folder.
        share: of the work.
        until: `time.perf_counter()` from which on no further fold or seed is begun; the first seed
            of the first fold always is.
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
    plan = prepare(config, before)
    share = share._replace(workers=folder / "workers")
    with share.locked(folder), share.alive():
        configs.claim(folder, config, training.describe_data(plan.real))
        claimed()
        return _Experiment(config, plan, folder, share, begin, until, begin_folds).run(told_first)


class _Experiment:
    """One run of an experiment: what its stages share, and what has come of them so far."""

    def __init__(
        self,
        config: ConfigDict,
        plan: Plan,
        folder: epath.Path,
        share: Share,
        begin: float,
        until: float | None,
        begin_folds: int | None = None,
    ):
        self.config, self.plan, self.folder, self.share = config, plan, folder, share
        self.begin, self.until = begin, until
        self.begin_folds = len(plan.folds) if begin_folds is None else begin_folds
        self.told: log.Log
        self.trained: dict[int, Classifiers] = {}
        self.samples: dict[int, Samples] = {}  # Of each fold.
        self.drawn: dict[int, int] = {}  # For how many seeds these are, of each fold.
        self.runs: list[dict] = []
        self.failed: list[dict] = []
        self.generators: list[dict] = []
        self.failed_gans: list[dict] = []
        self.seconds = {"data": 0.0, "gan": 0.0, "generate": 0.0}
        self.ended = ""
        self.reached: gate.Pair | None = None  # By learning from generated images alone.

    def run(self, told_first: tuple[str, ...]) -> dict:
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

    def _run(self, about: dict, told_first: tuple[str, ...]) -> dict:
        real, parts = self.plan.real, self.plan.folds
        for line in told_first:
            self.told.line(line)
        self.told.line(self._duplicates())
        one = parts[0].sides
        self.told.line(
            f"{len(real):,} images of {', '.join(real.classes)}: "
            + (f"{len(parts)} folds, in the first " if len(parts) > 1 else "")
            + f"{len(one.train):,} to train, {len(one.validation):,} to validate, "
            f"{len(one.test):,} to test" + " (each once in all)" * (len(parts) > 1)
        )
        for line in account.lines(real, one, gan=bool(arms.of_gans(parts[0].needed))):
            self.told.line(line)
        for arm in parts[0].arms:
            self.told.line(f"arm {arm.name}: {arm.description}")
        self.seconds["data"] = time.perf_counter() - self.begin

        for positions in self._blocks():
            going = all(
                self._train(k, positions) for k in range(len(parts)) if self._open(k, positions)
            )
            if not going or self._decided(positions.stop):
                break
        if self.failed and not self.runs:
            raise InputError(f"no classifier could be trained: {self.failed[0]['error']}")
        if self.share.index:
            self.told.line("done; worker 0 writes the report")
            return {}
        if self.ended:
            self.told.line(self.ended)
        return self._finish(about)

    def _duplicates(self) -> str:
        if self.plan.copies is None:
            return "duplicates: as the given sides have them"
        return duplicates.sentence(self.plan.copies, self.plan.real.names.__getitem__)

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
        """Seconds of all arms of a seed, in the fold and seed that took longest."""
        took: dict[tuple[int, int], float] = {}
        for run in [*self.runs, *self.failed]:
            key = run["fold"], run["seed"]
            took[key] = took.get(key, 0.0) + run["seconds"]
        return max(took.values(), default=0.0)

    def _open(self, k: int, positions: range) -> bool:
        """Whether fold k is begun: now, unless there is no time for its GANs and a seed."""
        if k in self.trained:
            return True
        gans = max((sum(g["seconds"] for g in self._of(j)) for j in self.trained), default=0.0)
        known = (self.folder / self.plan.folds[k].place / "classifiers").exists()
        if k >= self.begin_folds and not known:
            return False
        if k and not known and (positions.start or not self._in_time(gans + self._seed_takes())):
            self.ended = (
                f"the time is over after {len(self.trained)} of {len(self.plan.folds)} folds"
            )
            return False
        self.trained[k] = self._begin(k)
        return True

    def _train(self, k: int, positions: range) -> bool:
        """Some seeds of a fold; False where the time is over."""
        known = all(self.trained[k].finished(i) for i in positions)
        in_time = not self.runs or self._in_time(self._seed_takes() * len(positions))
        if known or in_time:
            self._generate(k, positions)
            found, failed = self.trained[k].train(positions)
            self.runs += [run | {"fold": k} for run in found]
            self.failed += [run | {"fold": k} for run in failed]
            return True
        done = len({run["seed"] for run in self.runs})
        self.ended = f"the time is over after {done} seed{'s' * (done > 1)}"
        return False

    def _site(self, k: int) -> Site:
        return Site(self.config, self.plan, self.plan.folds[k], self.folder, self.told, self.share)

    def _of(self, k: int) -> list[dict]:
        return [g for g in [*self.generators, *self.failed_gans] if g["fold"] == k]

    def _begin(self, k: int) -> Classifiers:
        """The GANs of a fold, and its classifiers, not trained yet."""
        config = self.config
        self.samples[k] = {}
        self._generate(k, range(1))
        begun = Classifiers(self._site(k), self.samples[k], self.trained.get(0))
        if k == 0 and config.stop_below is not None and self.plan.pick("samples", fold=0):
            reached = gate.gan_train(begun.learn_from, self._primary(), self.told)
            if reached is not None and reached < config.stop_below:
                raise InputError(
                    f"not worth it: a classifier that learns from generated images reaches "
                    f"{reached:.1%} of validation images, and config.stop_below asks for "
                    f"{config.stop_below:.1%}; without it the same command goes on"
                )
        if k == 0 and not self.share.index:
            pair = gate.rivals(self.plan.folds[0].arms, config.verdict.primary)
            self.reached = pair and gate.learn_alone(begun.learn_from, pair, self.told)
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
        gone = [gan["name"] for gan in self.failed_gans if gan["fold"] == k]
        made = generate(self._site(k), jobs, lambda: self._gans, gone)
        self.samples[k] |= made.samples
        told = {(g["fold"], g.get("name"), g.get("generated")) for g in self._of(k)}
        for kept, found in ((self.generators, made.about), (self.failed_gans, made.failed)):
            new = [g for g in found if (k, g.get("name"), g.get("generated")) not in told]
            kept += new
            self.seconds["gan"] += sum(g["seconds"] for g in new)
        self.seconds["generate"] += made.seconds

    @cached_property
    def _gans(self) -> tuple[Source, Recipe]:
        """All real images at the GANs' resolution, and the GANs' recipe: compiled once."""
        config, images = self.config, self.plan.real
        if config.gan.data.resolution != images.resolution:
            images = training.open_source(at(config, config.gan), config.seed)
        if images.names != self.plan.real.names:  # The split speaks of positions.
            raise InputError(f"the images of {config.data.path} must not change during a run")
        return images, recipes.build(config.gan, sharding.axis_name(config.parallel))

    def _decided(self, seeds: int) -> bool:
        """Whether so many seeds are enough: by a look at the verdict, or by the width asked for."""
        config = self.config
        if seeds >= len(config.seeds):
            return False
        answers = Answers(self.runs, self._labels(), config.verdict.outcome, self._groups())
        if answers.interval(*config.verdict.primary) is None:
            return False
        look = seeds in tuple(config.verdict.looks)
        if look and answers.decided(
            *config.verdict.primary,
            tuple(config.verdict.looks),
            len(config.seeds),
            config.verdict.level,
            config.verdict.margin,
        ):
            self.ended = f"the verdict is clear after {seeds} of {len(config.seeds)} seeds"
            return True
        width = config.verdict.width
        if width is not None and seeds >= 2:
            found = answers.interval(*config.verdict.primary, level=config.verdict.level)
            if found.low is not None and (found.high - found.low) / 2 <= width:
                self.ended = f"the interval is as narrow as asked for after {seeds} seeds"
                return True
        return False

    def _labels(self) -> dict[int, np.ndarray]:
        """Of each fold's test images."""
        return {k: self.plan.real.labels[self.plan.folds[k].sides.test] for k in self.trained}

    def _groups(self) -> dict[int, np.ndarray] | None:
        """Of each fold's test images, where `data.groups` has any."""
        found = getattr(self.plan.real, "groups", None)
        if found is None:
            return None
        return {k: found[self.plan.folds[k].sides.test] for k in self.trained}

    def _finish(self, about: dict) -> dict:
        """Judge, check, and write all that there is to read."""
        config, folder = self.config, self.folder
        self.trained = {
            k: of for k, of in self.trained.items() if any(r["fold"] == k for r in self.runs)
        }
        self.seconds["classify"] = sum(r["seconds"] for r in [*self.runs, *self.failed])
        asked = {"seeds": list(config.seeds)} | configs.to_dict(config.verdict)
        if self.until is not None or config.verdict.width is not None:
            del asked["seeds"]  # Their number is no plan, but what there was time for.
        checked = self._checks()
        before = sealed.rows(folder / TOLD)
        checked.append(checks.as_planned(asked, before))
        # Stages that were finished before count, too.
        total = max(time.perf_counter() - self.begin, sum(self.seconds.values()))
        self.seconds["total"] = total
        first = self.plan.folds[min(self.trained)]
        found = results.build(
            config,
            self.plan,
            sorted(self.trained),
            self._judged(),
            checked,
            gate=gate.of_first_fold(self._site(0), self.samples.get(0, {}), self.reached),
            data=about | {"duplicates": self._duplicates()},
            runs=self.runs,
            failed=self.failed,
            generators=self.generators,
            failed_generators=self.failed_gans,
            figures=figures.save(folder, self.plan.real, first.sides.train, self._sides(0)),
            environment=self.environment,
            seconds={name: round(s, 1) for name, s in self.seconds.items()},
            ended=self.ended,
        )
        tested = np.concatenate([self.plan.folds[k].sides.test for k in sorted(self.trained)])
        found["figures"]["test"] = flipped_images.save(
            found, loader.Subset(self.plan.real, tested), folder
        )
        found["cost"] = cost(found)
        found["next"] = next_steps.what_next(found)
        now = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        sealed.write(folder / TOLD, map(sealed.row, [*before, asked | now]))
        found = sealed.seal(found)
        sealed.write(folder / "results.json", json.dumps(found, indent=1) + "\n")
        report = write_report(found, folder)
        for line in summary.lines(found, report):
            self.told.line(line)
        if found["verdict"]["difference"] is None:
            raise InputError(
                f"the verdict needs both its arms, and the same command tries again what failed: "
                f"{found['verdict']['sentence']}"
            )
        return found

    def _sides(self, k: int) -> list[dict[str, Source]]:
        """The samples of a fold so far, by class, of each seed and kind."""
        samples, sides = self.samples.get(k, {}), {}
        for job in self.plan.pick("samples", fold=k):
            side = sides.setdefault((job.key, job.seed), {})
            if job.output in samples:
                side[job.name] = samples[job.output]
        return [*sides.values()]

    def _judged(self) -> dict:
        """What the classifiers' answers say of the arms: see `judge`."""
        config, verdict = self.config, self.config.verdict
        sides = self._sides(0)
        return judge(
            self.runs,
            self._labels(),
            self.plan.real.classes,
            primary=tuple(verdict.primary),
            about=arms.about(self.plan.folds[min(self.trained)].arms),
            seeds=len(config.seeds),
            outcome=verdict.outcome,
            level=verdict.level,
            margin=verdict.margin,
            width=verdict.width,
            looks=tuple(verdict.looks),
            failed=self.failed,
            groups=self._groups(),
            same_samples=samples_shared(sides) if sides else None,
        )

    def _checks(self) -> list[dict]:
        """Every check, in each fold; of those that passed in all, the first fold's sentence."""
        return audit.worst(
            {
                k: audit.checks(
                    self._site(k),
                    self.samples[k],
                    [run for run in self.runs if run["fold"] == k],
                    self.trained[k].opened(),
                    [gan for gan in self.failed_gans if gan["fold"] == k],
                )
                for k in sorted(self.trained)
            }
        )
