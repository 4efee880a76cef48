"""The experiment: folds, a GAN per class, samples, classifiers, verdict.

Every finished stage leaves its result in the workdir and is skipped when the command is run again.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan import __version__, recipes
from jaxgan.config import loading as configs
from jaxgan.data import account, duplicates, loader
from jaxgan.data.folder import Source
from jaxgan.engine import log, sharding
from jaxgan.experiment import next_steps
from jaxgan.experiment.analysis import Answers, judge
from jaxgan.experiment.design import arms
from jaxgan.experiment.design.plan import Plan, at, counts, prepare
from jaxgan.experiment.report import flipped_images
from jaxgan.experiment.report.cost import cost
from jaxgan.experiment.report.page import write_report
from jaxgan.experiment.stages import classify, generate
from jaxgan.experiment.stages.generate import Fresh
from jaxgan.experiment.stages.generated_folders import from_folders
from jaxgan.experiment.stages.workers import Share
from jaxgan.experiment.validity import audit, gate
from jaxgan.experiment.validity import checks as guards
from jaxgan.experiment.validity.likeness import samples_shared
from jaxgan.system import sealed
from jaxgan.training import run as training
from jaxgan.types import InputError

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
        self.trained: dict[int, classify.Fold] = {}
        self.fresh: dict[int, Fresh] = {}
        self.runs: list[dict] = []
        self.failed: list[dict] = []
        self.generators: list[dict] = []
        self.failed_gans: list[dict] = []
        self.seconds = {"data": 0.0, "gan": 0.0, "generate": 0.0}
        self.ended = ""
        self.reached: gate.Pair | None = None  # By learning from generated images alone.
        self.images: Source | None = None  # At the GANs' resolution.
        self.recipe: Any = None  # Of the GANs: compiled once.

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
        known = (self._place(k) / "classifiers").exists()
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

    def _place(self, k: int) -> epath.Path:
        return self.folder / f"fold{k}" if len(self.plan.folds) > 1 else self.folder

    def _placed(self, about: dict, k: int) -> dict:
        """What is said of a GAN, its files named from the experiment's folder."""
        if len(self.plan.folds) > 1:
            for name in ("workdir", "generated"):
                about = about | ({name: f"fold{k}/{about[name]}"} if name in about else {})
            if "grids" in about:
                about = about | {"grids": [f"fold{k}/{grid}" for grid in about["grids"]]}
        return about | {"fold": k}

    def _of(self, k: int) -> list[dict]:
        return [g for g in [*self.generators, *self.failed_gans] if g["fold"] == k]

    def _begin(self, k: int) -> classify.Fold:
        """The GANs of a fold, and its classifiers, not trained yet."""
        config, fold = self.config, self.plan.folds[k]
        self.fresh[k] = {key: [] for key in fold.needed}
        self._generate(k, range(1))
        begun = classify.Fold(
            config,
            fold.arms,
            self.plan.real,
            fold.sides,
            fold.draws,
            self.fresh[k],
            self._place(k),
            self.told,
            self.share,
            label=f"fold {k}" if len(self.plan.folds) > 1 else "",
            fold=k,
            first=self.trained.get(0),
        )
        if k == 0 and config.stop_below is not None and self.fresh[k]:
            reached = begun.gan_train()
            if reached is not None and reached < config.stop_below:
                raise InputError(
                    f"not worth it: a classifier that learns from generated images reaches "
                    f"{reached:.1%} of validation images, and config.stop_below asks for "
                    f"{config.stop_below:.1%}; without it the same command goes on"
                )
        if k == 0 and not self.share.index:
            self.reached = self._learn_alone(begun)
        return begun

    def _learn_alone(self, begun: classify.Fold) -> gate.Pair | None:
        """What classifiers reach that learn from samples of GANs, or of components, alone."""
        pair = gate.rivals(self.plan.folds[0].arms, self.config.verdict.primary)
        if pair is None:
            return None
        try:
            ours, theirs = (begun.learn_from(arm) for arm in pair)
        except Exception as error:
            self.told.line(f"{pair[0].name} against principal components failed: {error}")
            return None
        return ours, theirs

    def _gate(self) -> dict | None:
        """Whether the first fold's GANs beat principal components."""
        fold, real = self.plan.folds[0], self.plan.real
        keys = [key for key in self.fresh.get(0, {}) if key.source is None and not key.selected]
        sides = self.fresh[0][keys[0]] if keys else []
        if not sides or not (made := sides[0]):
            return None
        size = keys[0].size
        draw = fold.draws[size][0]
        plain = size is None and self.config.gan.retrain == 1
        learned = {name: loader.Subset(real, fold.sides.train[draw.learned[name]]) for name in made}

        def workdir(name: str) -> epath.Path:
            called = name if plain else f"{name}-{size or 'all'}-{draw.gan}"
            return self._place(0) / "pca" / called

        held_out = guards.classes_of(real, fold.sides.validation)
        found = gate.distances(self.config.gan, held_out, learned, made, workdir)
        return gate.about(self.config.gan, self.reached, len(fold.sides.validation), found)

    def _generate(self, k: int, positions: range) -> None:
        """Generated images of further seeds, from GANs that are trained where they are not yet."""
        fresh = self.fresh[k]
        done = min(map(len, fresh.values()), default=positions.stop)
        positions = range(done, positions.stop)
        if not positions:
            return
        made = self._made(k, positions)
        for key, sides in made.fresh.items():
            fresh[key] += sides[done : positions.stop]
        told = {(g["fold"], g.get("name"), g.get("generated")) for g in self._of(k)}
        for kept, found in ((self.generators, made.about), (self.failed_gans, made.failed)):
            new = [self._placed(about, k) for about in found]
            new = [g for g in new if (k, g.get("name"), g.get("generated")) not in told]
            kept += new
            self.seconds["gan"] += sum(g["seconds"] for g in new)
        self.seconds["generate"] += made.seconds.get("generate", 0.0)

    def _made(self, k: int, positions: range) -> generate.Made:
        config, real, fold = self.config, self.plan.real, self.plan.folds[k]
        place = self._place(k)
        fresh = from_folders(config, self.plan.outside, fold.needed, real, fold.sides.train)
        made = generate.from_principal(
            *(config, real, fold.sides.train, fold.draws, fold.needed, place),
            *(self.told, self.share),
            fold=k,
            positions=positions,
        )
        made = made._replace(fresh=fresh | made.fresh)
        if not arms.of_gans(fold.needed):
            return made
        if self.images is None:
            same = config.gan.data.resolution == real.resolution
            self.images = (
                real if same else training.open_source(at(config, config.gan), config.seed)
            )
            if self.images.names != real.names:  # The split speaks of positions.
                raise InputError(f"the images of {config.data.path} must not change during a run")
            self.recipe = recipes.build(config.gan, sharding.axis_name(config.parallel))
        found = generate.from_gans(
            config,
            self.recipe,
            self.images,
            fold.sides.train,
            fold.draws,
            fold.needed,
            self._place(k),
            self.told,
            self.share,
            fold=k,
            positions=positions,
            gone=[gan["name"] for gan in self.failed_gans if gan["fold"] == k],
        )
        return generate.Made(
            made.fresh | found.fresh,
            found.about,
            made.failed + found.failed,
            found.seconds | {"generate": made.seconds["generate"] + found.seconds["generate"]},
        )

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
        config, real, folder = self.config, self.plan.real, self.folder
        self.trained = {
            k: fold for k, fold in self.trained.items() if any(r["fold"] == k for r in self.runs)
        }
        done = sorted(self.trained)
        parts = [self.plan.folds[k] for k in done]
        self.seconds["classify"] = sum(r["seconds"] for r in [*self.runs, *self.failed])
        asked = {"seeds": list(config.seeds)} | configs.to_dict(config.verdict)
        if self.until is not None or config.verdict.width is not None:
            del asked["seeds"]  # Their number is no plan, but what there was time for.
        checked = self._checks()
        before = sealed.rows(folder / TOLD)
        checked.append(guards.as_planned(asked, before))
        # Stages that were finished before count, too.
        total = max(time.perf_counter() - self.begin, sum(self.seconds.values()))
        self.seconds["total"] = total
        tested = np.concatenate([part.sides.test for part in parts])
        grouped = getattr(real, "groups", None)
        results = {
            "format": 3,
            "jaxgan": __version__,
            "config": configs.to_dict(config),
            "classes": list(real.classes),
            **judge(
                self.runs,
                self._labels(),
                real.classes,
                primary=tuple(config.verdict.primary),
                about=arms.about(parts[0].arms),
                seeds=len(config.seeds),
                outcome=config.verdict.outcome,
                level=config.verdict.level,
                margin=config.verdict.margin,
                width=config.verdict.width,
                looks=tuple(config.verdict.looks),
                failed=self.failed,
                groups=self._groups(),
                same_samples=samples_shared(
                    [side for fresh in self.fresh[0].values() for side in fresh]
                )
                if self.fresh.get(0)
                else None,
            ),
            "guards": checked,
            "gate": self._gate(),
            "data": {
                "path": config.data.path,
                **about,
                "duplicates": self._duplicates(),
                "folds": len(self.plan.folds),
                "counts": {
                    part: counts(real, getattr(parts[0].sides, part))
                    for part in ("train", "validation", "test")
                },
            },
            "test": {
                "names": [real.names[i] for i in tested],
                "labels": real.labels[tested].tolist(),
                "fold": np.repeat(done, [len(part.sides.test) for part in parts]).tolist(),
                "group": None if grouped is None else grouped[tested].tolist(),
            },
            "runs": self.runs,
            "failed": self.failed,
            "generators": self.generators,
            "failed_generators": self.failed_gans,
            "figures": _figures(folder, real, parts[0].sides.train, self.fresh.get(0, {})),
            "environment": self.environment,
            "seconds": {name: round(s, 1) for name, s in self.seconds.items()},
            "ended": self.ended,
        }
        results["figures"]["test"] = flipped_images.save(
            results, loader.Subset(real, tested), folder
        )
        results["cost"] = cost(results)
        results["next"] = next_steps.what_next(results)
        now = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        sealed.write(folder / TOLD, map(sealed.row, [*before, asked | now]))
        results = sealed.seal(results)
        sealed.write(folder / "results.json", json.dumps(results, indent=1) + "\n")
        report = write_report(results, folder)
        self._tell(results, report)
        if results["verdict"]["difference"] is None:
            raise InputError(
                f"the verdict needs both its arms, and the same command tries again what failed: "
                f"{results['verdict']['sentence']}"
            )
        return results

    def _checks(self) -> list[dict]:
        """Every guard, in each fold; of those that passed in all, the first fold's sentence."""
        each = [
            audit.checks(
                self.config,
                self.plan.folds[k].arms,
                [run for run in self.runs if run["fold"] == k],
                self.trained[k].opened(),
                self.plan.real,
                self.plan.folds[k].sides,
                self.plan.folds[k].draws,
                self.fresh[k],
                [gan for gan in self.failed_gans if gan["fold"] == k],
            )
            for k in sorted(self.trained)
        ]
        if len(each) == 1:
            return each[0]
        found = []
        for name in dict.fromkeys(check["name"] for rows in each for check in rows):
            same = [(k, c) for k, rows in enumerate(each) for c in rows if c["name"] == name]
            rank = {False: 0, None: 1, True: 2}
            k, worst = min(same, key=lambda pair: rank[pair[1]["passed"]])
            where = f"fold {k}" if worst["passed"] is not True else f"in all {len(same)} folds"
            more = f"{where}: {worst['sentence']}"
            found.append(worst | {"sentence": more, "folds": [c["passed"] for _, c in same]})
        return found

    def _tell(self, results: dict, report: epath.Path) -> None:
        told = self.told
        for name, arm in results["arms"].items():
            told.line(f"{name:<24} {arm['accuracy']:7.1%} test accuracy{_interval(arm)}")
        for guard in results["guards"]:
            word = {True: "passed", False: "FAILED", None: "not made"}[guard["passed"]]
            told.line(f"guard {guard['name']}: {word}: {guard['sentence']}")
        for failure in self.failed_gans:
            told.line(f"the GAN of {failure['name']} failed: {failure['error']}")
        for failure in self.failed:
            told.line(f"arm {failure['arm']} seed {failure['seed']} failed: {failure['error']}")
        told.line(f"cost: {' '.join(results['cost']['sentences'])}")
        if results["ladder"]:
            told.line(results["ladder"]["sentence"])
        if results["gate"]:
            told.line(results["gate"]["sentence"])
        told.line(f"report: {report}")
        verdict = results["verdict"]
        told.line(f"{verdict['word']}: {verdict['sentence']}")
        if verdict["difference"] is not None:
            told.line(verdict["conditions"])
            for line in (verdict["beside"], verdict["elsewhere"]):
                if line:
                    told.line(line["sentence"])
        for step in results["next"]:
            told.line(
                "next: "
                + step["sentence"]
                + (f"\n    {step['command']}" if step.get("command") else "")
            )


def _interval(arm: dict) -> str:
    return "" if arm["low"] is None else f"  [{arm['low']:.1%}, {arm['high']:.1%}]"


def _figures(folder: epath.Path, real: Source, train: np.ndarray, fresh: Fresh) -> dict:
    """Grids of real and of generated pictures of each class, side by side in the report."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figures: dict[str, dict[str, str]] = {"real": {}, "generated": {}}

    def show(kind: str, name: str, images: list[np.ndarray]) -> None:
        file = f"figures/{kind}_{name}.png"
        sealed.write(folder / file, log.png(log.grid(np.stack(images))))
        figures[kind][name] = file

    for label, name in enumerate(real.classes):
        mine = train[real.labels[train] == label][:36]
        show("real", name, [real[i]["image"] for i in mine])
    for sides in fresh.values():
        for name, source in ((name, s) for side in sides for name, s in side.items()):
            if name not in figures["generated"]:
                show("generated", name, [source[i]["image"] for i in range(min(36, len(source)))])
    return figures
