"""What an experiment will cost on this machine, from a few steps on its own pictures."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from jaxgan.config.settings import Train
from jaxgan.engine import log
from jaxgan.experiment import timing
from jaxgan.experiment.design.jobs import Job
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.timing import Prices


class Stage(NamedTuple):
    """A row of the prediction.

    Attributes:
        name: of the stage.
        count: trainings, or pictures.
        seconds: of all.
        memory: bytes of a device.
        disk: bytes in the workdir, at most.
    """

    name: str
    count: int
    seconds: float
    memory: int
    disk: int


def seconds(known: Prices, job: Job) -> float:
    """Return what a job takes, but for what is compiled once."""
    if job.kind == "features":
        return job.steps * known.features[0]
    if job.kind == "samples":
        drawn = known.gan.look * job.images if known.gan and job.key.source is None else 0.0
        return drawn + job.looks * known.selection[0]
    if job.kind == "gan":
        assert known.gan is not None
        extra = sum(map(known.gan.preludes, range(job.steps)))
        return known.gan.init + job.steps * known.gan.step + extra * known.gan.prelude
    assert job.arm is not None
    found = known.classifiers[job.arm.way]
    trained = found.init + job.steps * found.step if job.kind == "classifier" else 0.0
    return trained + job.looks * found.look


def once(known: Prices) -> float:
    """Return what is compiled once, and a frozen trunk's and a selection's first features."""
    return (known.gan.compile if known.gan else 0.0) + _once_classifying(known)


def _once_classifying(known: Prices) -> float:
    compiled = sum(found.compile for found in known.classifiers.values())
    return compiled + known.features[1] + known.selection[1]


def predict(plan: Plan, at_least: float = timing.SECONDS) -> list[Stage]:
    """The cost of an experiment's stages; trains nothing and writes nothing.

    Counted are steps, the images that GANs draw, the features by which the best are chosen and
    those of a frozen trunk, the classifiers' looks at validation and test images, and what each
    program takes to compile, once. The rest is not: how each run begins, checkpoints, the GANs'
    looks at samples and what they measure on the way, `stop_below`, the guards and the report. So
    it comes out low, less so the longer the runs are. `vmap_seeds` take as much time as one by one.

    Args:
        plan: of the experiment.
        at_least: seconds for which steps of each kind are timed.

    Raises:
        OutOfMemoryError: a step does not fit; names what to lower.
    """
    for line in (plan.duplicates, *plan.account):
        logging.getLogger("jaxgan").warning("%s", line)
    config, known = plan.config, timing.prices(plan, at_least)
    stages, gans = [], plan.pick("gan")
    if known.gan is not None:
        took = known.gan.compile + sum(seconds(known, job) for job in gans)
        every = config.gan.evaluate.every
        kept = sum(_kept(config.gan.train, job.steps, every) for job in gans) + 1
        disk = kept * known.gan.checkpoint
        stages.append(Stage("GANs", len(gans), took, known.gan.memory, disk))
        made = sum(job.images for job in plan.pick("samples") if job.key.source is None)
        pixels = made * 3 * config.gan.data.resolution**2  # More than their PNGs have bytes.
        stages.append(Stage("drawing", made, 0.0, 0, pixels))
    jobs = plan.pick("samples", "features", "classifier", "choice")
    took = _once_classifying(known) + sum(seconds(known, job) for job in jobs)
    at_once = min(config.vmap_seeds, len(config.seeds))
    need = max(at_once * found.memory for found in known.classifiers.values())
    train, classifiers = config.classifier.train, plan.pick("classifier")
    disk = max(found.checkpoint for found in known.classifiers.values())  # That is being written.
    for job in classifiers:
        assert job.arm is not None
        kept = _kept(train, job.steps, train.sample_every)
        disk += kept * known.classifiers[job.arm.way].checkpoint
    return [*stages, Stage("classifiers", len(classifiers), took, need, disk)]


def _kept(train: Train, steps: int, ranked: int) -> int:
    """Checkpoints that a finished run keeps, at most: the latest two and the best one.

    Args:
        train: the section.
        steps: of the run.
        ranked: steps from one that may be the best to the next; 0 where none is.
    """
    every = train.checkpoint_every
    rated = {*range(ranked, steps, ranked)} if ranked else set()
    latest = sorted({*range(every, steps, every), *rated, steps})[-2:]
    return len(latest) + bool(rated.difference(latest))


def table(stages: Sequence[Stage]) -> str:
    """The prediction in columns; its last row is the sum, of memory the largest."""
    whole = Stage(
        "all",
        sum(s.count for s in stages if s.name != "drawing"),
        sum(s.seconds for s in stages),
        max(s.memory for s in stages),
        sum(s.disk for s in stages),
    )
    rows = [f"{'':<12}{'count':>9}{'time':>12}{'memory':>12}{'disk':>12}"]
    for s in [*stages, whole]:
        sizes = "".join(f"{size / 2**30:>8.2f} GiB" for size in (s.memory, s.disk))
        rows.append(f"{s.name:<12}{s.count:>9,}{log.duration(s.seconds):>12}{sizes}")
    return "\n".join(rows)
