"""All checks of a finished experiment, from the images themselves; `checks` has each of them."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from jaxgan.data import dataset, loader
from jaxgan.data.folder import Source
from jaxgan.experiment.design.arms import GIVEN
from jaxgan.experiment.design.jobs import Job, Samples
from jaxgan.experiment.design.sources import folders
from jaxgan.experiment.stages.fold_context import FoldContext
from jaxgan.experiment.validity import checks as guards
from jaxgan.experiment.validity import grouped
from jaxgan.experiment.validity.leakage import leakage
from jaxgan.experiment.validity.likeness import copied, fidelity, looks
from jaxgan.experiment.validity.shortcut import shortcut
from jaxgan.metrics import judges


def checks(
    context: FoldContext,
    samples: Samples,
    runs: Sequence[dict],
    opened: Sequence[dict],
    failed: Sequence[dict] = (),
) -> list[dict]:
    """Make every check of a fold that the report lists; samples of `failed` GANs are missing."""
    config, real, parts = context.config, context.plan.real, context.fold.sides
    rest = np.concatenate([parts.validation, parts.test])
    held_out = loader.Subset(real, rest)
    learned: dict[str, Source] = {"real": loader.Subset(real, parts.train)}
    planned = context.plan.pick("samples", fold=context.fold.number)
    jobs = [job for job in planned if job.output in samples]
    made = [_relabelled(samples, job, real) for job in jobs]
    if made:
        learned["generated"] = dataset.concat(made)
    found = [
        leakage(learned, held_out),
        *grouped.respected(real, parts),
        guards.equal_steps(runs),
        guards.opened_once(opened, runs),
    ]
    starts = {"gan": config.gan.init_from, "classifier": config.classifier.init_from}
    begun = (stage for stage, start in starts.items() if start)
    found += [guards.unknown_start(f"config.{stage}.init_from") for stage in begun]
    if not planned:
        return found
    train, others = guards.classes_of(real, parts.train), guards.classes_of(real, rest)
    # Of the last kind, the first seed that has any.
    first = {
        job.name: samples[job.output]
        for _, same in groupby(jobs, key=lambda job: job.key)
        for job in sorted(same, key=lambda job: -(job.seed or 0))
    }
    critics = judges.seen_by_critics(config.gan.backbones, config.gan.init_from)
    features = [
        {name: looks(source, critics) for name, source in side.items()} for side in (train, first)
    ]
    found += [shortcut(context.fold.arms, *features), fidelity(*features)]
    audits = list(generators(context, jobs))
    for called, job in audits:
        labelled = _relabelled(samples, job, real)
        own = _sources(context, job)
        found.append(copied(labelled, own, others[job.name], called, len(audits)))
    return found + [guards.not_made(f"copies of {gan['name']}") for gan in failed]


def _relabelled(samples: Samples, job: Job, real: Source) -> dataset.Dataset:
    """Return a job's samples, of one class, as ones of the experiment's classes."""
    return dataset.of(samples[job.output]).relabel(tuple(real.classes), job.name)


def generators(context: FoldContext, jobs: Sequence[Job]) -> list[tuple[str, Job]]:
    """Return some samples of each class and GAN, or of each folder, and what to call these."""
    elsewhere, found = folders(context.config.generated), {}
    for job in jobs:
        size, selected, made_by = job.key
        called = job.name + f"@{size}" * (size is not None) + " selected" * selected
        if made_by == "pca":
            called += " of principal components"
        elif made_by not in (None, GIVEN):
            called += f" of {made_by}"
        if context.config.gan.retrain > 1 and made_by not in elsewhere:
            called += f" of GAN {job.gan}"
        found.setdefault(called, job)
    return [*found.items()]


def _sources(context: FoldContext, job: Job) -> Source:
    """Return what samples come from; of images from elsewhere, all that train stand for that."""
    real, train = context.plan.real, context.fold.sides.train
    if job.key.source not in folders(context.config.generated):
        return context.learned(job, real)
    return loader.Subset(real, train[real.labels[train] == real.classes.index(job.name)])


def worst(each: Mapping[int, list[dict]]) -> list[dict]:
    """Return one check of each name: of several folds the worst, or the first one's if all passed.

    Args:
        each: every fold's.
    """
    if len(each) == 1:
        return next(iter(each.values()))
    found = []
    for name in dict.fromkeys(check["name"] for rows in each.values() for check in rows):
        same = [(k, c) for k, rows in each.items() for c in rows if c["name"] == name]
        rank = {False: 0, None: 1, True: 2}
        k, bad = min(same, key=lambda pair: rank[pair[1]["passed"]])
        where = f"fold {k}" if bad["passed"] is not True else f"in all {len(same)} folds"
        sentence = f"{where}: {bad['sentence']}"
        found.append(bad | {"sentence": sentence, "folds": [c["passed"] for _, c in same]})
    return found
