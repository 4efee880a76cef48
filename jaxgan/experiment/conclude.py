"""The end of an experiment: judge the arms, check that the verdict holds, write the report."""

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from jaxgan import __version__
from jaxgan.data import dataset, loader
from jaxgan.data.folder import Source
from jaxgan.engine import log
from jaxgan.errors import InputError
from jaxgan.experiment import ensemble, next_steps, stored
from jaxgan.experiment.analysis import judge
from jaxgan.experiment.design import arms
from jaxgan.experiment.design.plan import counts
from jaxgan.experiment.report import flipped_images
from jaxgan.experiment.report.cost import cost
from jaxgan.experiment.report.formatting import SENSIBLE
from jaxgan.experiment.report.page import write_report
from jaxgan.experiment.results import Record, held_out
from jaxgan.experiment.schema import ArmResult, Judged, Results
from jaxgan.experiment.stages.fold_context import FoldContext
from jaxgan.experiment.validity import audit, checks, gate
from jaxgan.experiment.validity.likeness import samples_shared
from jaxgan.system import checked_files, screen

TOLD = "verdicts.jsonl"


def conclude(
    contexts: Mapping[int, FoldContext],
    record: Record,
    opened: Mapping[int, list[dict]],
    data: dict[str, Any],
    environment: dict[str, Any],
    begin: float,
    seeds_planned: bool,
) -> Results:
    """Judge, check, and write all that there is to read; return what `results.json` holds.

    Args:
        contexts: of the folds with runs.
        record: what came of the jobs.
        opened: of each fold, when its test images were opened, and by whom.
        data: what is said of the images.
        environment: versions and devices.
        begin: `time.perf_counter()` when it began.
        seeds_planned: whether the number of seeds is a plan, and not what there was time for.

    Raises:
        InputError: an arm of the verdict has no runs; after all is written.
    """
    context = next(iter(contexts.values()))
    config, plan, folder = context.config, context.plan, context.folder
    seconds = record.seconds
    seconds["classify"] = sum(run["seconds"] for run in [*record.runs, *record.failed])
    asked = {"seeds": list(config.seeds)} | config.given["verdict"]
    if not seeds_planned or config.verdict.width is not None:
        del asked["seeds"]
    told = checked_files.rows(folder / TOLD)
    with screen.stage("checking that the verdict holds"):
        guards = [*_checks(contexts, record, opened), checks.as_planned(asked, told)]
    # Stages that were finished before count, too.
    seconds["total"] = max(time.perf_counter() - begin, sum(seconds.values()))
    made = _samples(context, record)
    first = context.fold.sides
    counted = {part: counts(plan.real, getattr(first, part)) for part in first._fields}
    found: Any = {
        "format": stored.FORMAT,
        "jaxgan": __version__,
        "config": config.given,
        "classes": list(plan.real.classes),
        **_judged(context, record, made),
        "guards": guards,
        "gate": gate.of_first_fold(context, record.samples[context.fold.number], record.reached),
        "data": {
            "path": config.data.path,
            **data,
            "duplicates": plan.duplicates,
            "folds": len(plan.folds),
            "own_sides": dataset.of(plan.real).given is not None,
            "counts": counted,
        },
        "test": held_out(plan, record.folds),
        "runs": record.runs,
        "failed": record.failed,
        "generators": record.generators,
        "failed_generators": record.failed_generators,
        "figures": _figures(context, made),
        "environment": environment,
        "seconds": {name: round(s, 1) for name, s in seconds.items()},
        "ended": record.ended,
    }
    tested = np.concatenate([plan.folds[k].sides.test for k in contexts])
    real = loader.Subset(plan.real, tested)
    found["figures"]["test"] = flipped_images.save(found, real, folder)
    found["best"] = ensemble.best(found)
    found["cost"] = cost(found)
    found["next"] = next_steps.what_next(found)
    now = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    checked_files.write(folder / TOLD, map(checked_files.row, [*told, asked | now]))
    found = checked_files.seal(found)
    checked_files.write(folder / "results.json", json.dumps(found, indent=1) + "\n")
    with screen.stage("writing the report"):
        report = write_report(found, folder)
    for guard in found["guards"]:
        words = {True: "passed", False: "FAILED", None: "not made"}[guard["passed"]]
        kind = "detail" if guard["passed"] else "result"
        context.log.line(f"check {guard['name']}: {words}: {guard['sentence']}", kind)
    for line in _lines(found, report):
        context.log.line(line, "result")
    if found["verdict"]["difference"] is None:
        raise InputError(
            f"the verdict needs both its arms, and the same command tries again what failed: "
            f"{found['verdict']['sentence']}"
        )
    return found


def _samples(context: FoldContext, record: Record) -> list[dict[str, Source]]:
    """Return a fold's samples, by class, of each kind and seed."""
    samples, sides = record.samples[context.fold.number], {}
    for job in context.plan.pick("samples", fold=context.fold.number):
        side = sides.setdefault((job.key, job.seed), {})
        if job.output in samples:
            side[job.name] = samples[job.output]
    return [*sides.values()]


def _judged(context: FoldContext, record: Record, made: list[dict[str, Source]]) -> Judged:
    verdict = context.config.verdict
    return judge(
        record.runs,
        context.plan.labels,
        context.plan.real.classes,
        primary=verdict.primary,
        about=arms.about(context.fold.arms),
        seeds=len(context.config.seeds),
        outcome=verdict.outcome,
        level=verdict.level,
        margin=verdict.margin,
        width=verdict.width,
        looks=verdict.looks,
        failed=record.failed,
        groups=context.plan.groups,
        same_samples=samples_shared(made) if made else None,
    )


def _checks(
    contexts: Mapping[int, FoldContext], record: Record, opened: Mapping[int, list[dict]]
) -> list[dict]:
    found = {}
    for k, context in contexts.items():
        runs, failed = (
            [row for row in rows if row["fold"] == k]
            for rows in (record.runs, record.failed_generators)
        )
        found[k] = audit.checks(context, record.samples[k], runs, opened[k], failed)
    return audit.worst(found)


def _figures(context: FoldContext, made: list[dict[str, Source]]) -> dict[str, dict[str, str]]:
    """Write grids of real and of generated images of each class; return their files."""
    real, train, folder = context.plan.real, context.fold.sides.train, context.folder
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figures: dict[str, dict[str, str]] = {"real": {}, "generated": {}}

    def show(kind: str, name: str, images: list[np.ndarray]) -> None:
        file = f"figures/{kind}_{name}.png"
        checked_files.write(folder / file, log.png(log.grid(np.stack(images))))
        figures[kind][name] = file

    for label, name in enumerate(real.classes):
        mine = train[real.labels[train] == label][:36]
        show("real", name, [real[i]["image"] for i in mine])
    for side in made:
        for name, source in side.items():
            if name not in figures["generated"]:
                show("generated", name, [source[i]["image"] for i in range(min(36, len(source)))])
    return figures


def _lines(results: Results, report: epath.Path) -> list[str]:
    """Return what an experiment says at its end."""
    verdict, guards = results["verdict"], results["guards"]
    passed = sum(guard["passed"] is True for guard in guards)
    steps = [step["sentence"] for step in results["next"]]
    said = [results["ladder"], results["gate"]]
    said = [one for one in said if one and not any(one["sentence"] in step for step in steps)]
    beside = [verdict["beside"], verdict["elsewhere"]] if verdict["difference"] is not None else []
    return [
        *_table(results),
        results["best"]["sentence"],
        f"{passed} of {len(guards)} checks passed",
        *(
            f"the GAN of {failure['name']} failed: {failure['error']}"
            for failure in results["failed_generators"]
        ),
        *(
            f"arm {failure['arm']} seed {failure['seed']} failed: {failure['error']}"
            for failure in results["failed"]
        ),
        f"cost: {' '.join(results['cost']['sentences'])}",
        *(one["sentence"] for one in said),
        f"report: {report}",
        f"{verdict['word']}: {verdict['sentence']}",
        *([verdict["conditions"]] if verdict["difference"] is not None else []),
        *(one["sentence"] for one in beside if one),
        *(
            "next: "
            + step["sentence"]
            + (f"\n    {command}" if (command := step.get("command")) else "")
            for step in results["next"]
        ),
    ]


def _table(results: Results) -> list[str]:
    """Return a line per arm: its test accuracy, and its difference to the arm it is made from."""
    scale = 1 if results["verdict"]["outcome"] in ("log_loss", "brier") else 100
    to_base = {(c["a"], c["b"]): c for c in results["contrasts"]}
    rows = [("arm", "test accuracy", "", "difference")]
    for name, arm in results["arms"].items():
        found, said = to_base.get((name, arm.get("base", "real"))), ""
        if found:
            said = f"{scale * found['difference']:+.3g}"
            if found["low"] is not None and found["high"] - found["low"] <= SENSIBLE:
                said += f" ({scale * found['low']:+.3g} to {scale * found['high']:+.3g})"
            said += f" to {arm.get('base', 'real')}"
        rows.append((name, f"{arm['accuracy']:.1%}", _interval(arm).strip(), said))
    wide = [max(len(row[i]) for row in rows) for i in range(4)]
    return ["  ".join(map(str.ljust, row, wide)).rstrip() for row in rows]


def _interval(arm: ArmResult) -> str:
    """Return an arm's interval in brackets, as the report has it; "" where there is none."""
    if arm["low"] is None:
        return ""
    if arm["high"] - arm["low"] > SENSIBLE:
        return "  [too noisy to tell]"
    return f"  [{arm['low']:.1%}, {arm['high']:.1%}]"
