"""The end of an experiment: judge the arms, check that the verdict holds, write the report."""

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.config import loading as configs
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.errors import InputError
from jaxgan.experiment import figures, next_steps, results, summary
from jaxgan.experiment.analysis import judge
from jaxgan.experiment.design import arms
from jaxgan.experiment.report import flipped_images
from jaxgan.experiment.report.cost import cost
from jaxgan.experiment.report.page import write_report
from jaxgan.experiment.results import Record
from jaxgan.experiment.stages.site import Site
from jaxgan.experiment.validity import audit, checks, gate
from jaxgan.experiment.validity.likeness import samples_shared
from jaxgan.system import sealed

TOLD = "verdicts.jsonl"


def conclude(
    sites: Mapping[int, Site],
    record: Record,
    opened: Mapping[int, list[dict]],
    data: dict[str, Any],
    environment: dict[str, Any],
    begin: float,
    seeds_planned: bool,
) -> dict[str, Any]:
    """Judge, check, and write all that there is to read; return what `results.json` holds.

    Args:
        sites: of the folds with runs.
        record: what came of the jobs.
        opened: of each fold, when its test images were opened, and by whom.
        data: what is said of the images.
        environment: versions and devices.
        begin: `time.perf_counter()` when it began.
        seeds_planned: whether the number of seeds is a plan, and not what there was time for.

    Raises:
        InputError: an arm of the verdict has no runs; after all is written.
    """
    site = next(iter(sites.values()))
    config, plan, folder = site.config, site.plan, site.folder
    seconds = record.seconds
    seconds["classify"] = sum(run["seconds"] for run in [*record.runs, *record.failed])
    # Stages that were finished before count, too.
    seconds["total"] = max(time.perf_counter() - begin, sum(seconds.values()))
    asked = {"seeds": list(config.seeds)} | configs.to_dict(config.verdict)
    if not seeds_planned or config.verdict.width is not None:
        del asked["seeds"]
    told = sealed.rows(folder / TOLD)
    made = samples_by_seed(site, record)
    found = results.build(
        config,
        plan,
        record,
        judged=_judged(site, record, made),
        guards=[*_checks(sites, record, opened), checks.as_planned(asked, told)],
        gate=gate.of_first_fold(site, record.samples[site.fold.number], record.reached),
        data=data,
        figures=figures.save(folder, plan.real, site.fold.sides.train, made),
        environment=environment,
    ).to_dict()
    tested = np.concatenate([plan.folds[k].sides.test for k in sites])
    real = loader.Subset(plan.real, tested)
    found["figures"]["test"] = flipped_images.save(found, real, folder)
    found["cost"] = cost(found)
    found["next"] = next_steps.what_next(found)
    now = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    sealed.write(folder / TOLD, map(sealed.row, [*told, asked | now]))
    found = sealed.seal(found)
    sealed.write(folder / "results.json", json.dumps(found, indent=1) + "\n")
    for line in summary.lines(found, write_report(found, folder)):
        site.log.line(line)
    if found["verdict"]["difference"] is None:
        raise InputError(
            f"the verdict needs both its arms, and the same command tries again what failed: "
            f"{found['verdict']['sentence']}"
        )
    return found


def samples_by_seed(site: Site, record: Record) -> list[dict[str, Source]]:
    """Return a fold's samples, by class, of each kind and seed."""
    samples, sides = record.samples[site.fold.number], {}
    for job in site.plan.pick("samples", fold=site.fold.number):
        side = sides.setdefault((job.key, job.seed), {})
        if job.output in samples:
            side[job.name] = samples[job.output]
    return [*sides.values()]


def _judged(site: Site, record: Record, made: list[dict[str, Source]]) -> dict[str, Any]:
    verdict = site.config.verdict
    return judge(
        record.runs,
        site.plan.labels,
        site.plan.real.classes,
        primary=tuple(verdict.primary),
        about=arms.about(site.fold.arms),
        seeds=len(site.config.seeds),
        outcome=verdict.outcome,
        level=verdict.level,
        margin=verdict.margin,
        width=verdict.width,
        looks=tuple(verdict.looks),
        failed=record.failed,
        groups=site.plan.groups,
        same_samples=samples_shared(made) if made else None,
    )


def _checks(
    sites: Mapping[int, Site], record: Record, opened: Mapping[int, list[dict]]
) -> list[dict]:
    def of(rows: list[dict], k: int) -> list[dict]:
        return [row for row in rows if row["fold"] == k]

    return audit.worst(
        {
            k: audit.checks(
                site,
                record.samples[k],
                of(record.runs, k),
                opened[k],
                of(record.failed_generators, k),
            )
            for k, site in sites.items()
        }
    )
