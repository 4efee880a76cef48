"""Time as the user's unit: from a budget to GAN steps, folds and seeds."""

import math
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from etils import epath

from jaxgan.data import class_counts
from jaxgan.errors import InputError
from jaxgan.experiment import forecast, pipeline, timing
from jaxgan.experiment.design.plan import Plan, prepare
from jaxgan.experiment.schema import Results
from jaxgan.experiment.verdict import points
from jaxgan.statistics import power
from jaxgan.system import checked_files, screen

FILE = "budget.json"
FOLDS = (1, 4, 5)  # That are weighed; the images that are tested are those of the folds begun.
MOST_SEEDS = 20
SECONDS = 2.0  # For which steps are timed.
SHARES = (0.3, 0.4, 0.5, 0.6)  # Of the time, that the GANs may get.
LEAST_STEPS = 0.1  # Of the configured ones, that a GAN gets at least.
ENOUGH = 0.04  # Half-width below which time is better spent on the GANs than on the interval.
START, END = 12.0, 0.15  # Seconds before anything is trained; share for guards and the report.
SLOWER = 1.15  # What logs, checkpoints and looks at samples add to the steps.
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse(text: str) -> float:
    """Seconds of a budget: "90s", "10m", "1.5h", "2d".

    Raises:
        InputError: it is none, or not above 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([smhd])", text.strip())
    if found is None or not float(found[1]):
        raise InputError(f"--budget must be a time like 90s, 10m or 1.5h, got {text!r}")
    return float(found[1]) * UNITS[found[2]]


class Choice(NamedTuple):
    """What the time is spent on.

    Attributes:
        folds: into which the images are parted.
        begun: how many of these there is time for.
        seeds: of each.
        gan_steps: of each GAN; 0 where none is trained.
        half: half of the interval that is expected, in shares.
        finds: the difference that is found with 80 %.
        seconds: that it takes.
        images: test images.
    """

    folds: int
    begun: int
    seeds: int
    gan_steps: int
    half: float
    finds: float
    seconds: float
    images: int


def choose(plan: Plan, budget: float, begin: float | None = None) -> tuple[Choice, Plan]:
    """Folds, seeds and GAN steps for the time that there is.

    A few steps of each kind are timed. Of the designs whose interval is expected to be narrow
    enough (`verdict.width`, else 4 points), the one whose GANs learn longest; where there is none,
    the one with the narrowest interval. Which variances to expect is `power.assumed`.

    A budget below what needs no timing is refused before it, and between its trials: the seconds
    so far, `SECONDS` of steps for each kind of training that is to be timed, `START` before
    anything is trained, and the share `END` for guards and the report. Compiling is not in this
    bound, as its programs may lie in a cache.

    Args:
        plan: of the experiment as its config has it; with one fold, others are weighed, too.
        budget: seconds in all.
        begin: `time.perf_counter()` from which they count; now by default.

    Returns:
        The choice, and a plan for the same images, already read.

    Raises:
        InputError: there is no time for two classifiers of each arm; says how much there must be.
    """
    begin, config = time.perf_counter() if begin is None else begin, plan.config
    found: list[Choice] = []
    for line in class_counts.table(plan.real.labels, plan.real.classes):
        screen.say(line)
    # The images of one split serve to time the steps of all.
    known = timing.prices(plan, SECONDS, partial(_check_floor, budget, begin))
    least, most = float("inf"), 0
    for count in (config.data.folds,) if config.data.folds > 1 else FOLDS:
        if count != config.data.folds:
            try:
                plan = prepare(config.changed({"data.folds": count}), plan)
            except InputError:
                continue
        kinds = "samples", "features", "classifier", "choice"
        seed = plan.pick(*kinds, fold=0, seeds=(0,))
        each = SLOWER * sum(forecast.seconds(known, job) for job in seed)
        once = time.perf_counter() - begin + START + forecast.once(known)
        most = max((job.steps for job in plan.pick("gan", fold=0)), default=0)
        for begun in range(1, count + 1):
            images = sum(len(fold.sides.test) for fold in plan.folds[:begun])

            takes = partial(_before_seeds, plan, known, begun)
            enough = 2 if begun < pipeline.MANY else 1
            fewest = math.ceil(LEAST_STEPS * most)
            smallest = takes(fewest) + enough * begun * each
            least = min(least, (once + smallest) / (1 - END))
            left = budget * (1 - END) - once
            a_step = (takes(100) - takes(0)) / 100
            shares = [int((share * left - takes(0)) / a_step) for share in SHARES if most]
            for steps in {fewest, *(min(most, steps) for steps in shares)}:
                seeds = min(MOST_SEEDS, int((left - takes(steps)) / (begun * each)))
                if steps < fewest or seeds < enough:
                    continue
                design = power.Design(seeds, images, config.verdict.level, begun, len(config.arms))
                half = power.expected_half(power.assumed(), design) or 1.0
                seconds = once + takes(steps) + seeds * begun * each
                found.append(Choice(count, begun, seeds, steps, half, 1.0, seconds, images))
    if not found:
        raise InputError(
            f"--budget={_short(budget)} is too little for two classifiers of each arm and their "
            f"GANs: the least that works here is about {_short(60 * math.ceil(least / 60))}"
        )
    wanted = config.verdict.width or ENOUGH
    fair = [choice for choice in found if choice.gan_steps > LEAST_STEPS * most + 1] or found
    narrow = [choice for choice in fair if choice.half <= wanted]
    best = min(narrow or fair, key=lambda c: (-c.gan_steps if narrow else 0, c.half))
    design = power.Design(
        best.seeds, best.images, config.verdict.level, best.begun, len(config.arms)
    )
    finds = power.smallest_effect(power.assumed(), design) or 1.0
    return best._replace(finds=finds), plan


def _check_floor(budget: float, begin: float, trials: int) -> None:
    """Raise InputError where a budget is over before anything is trained: see `choose`."""
    floor = (time.perf_counter() - begin + trials * SECONDS + START) / (1 - END)
    if budget < floor:
        raise InputError(
            f"--budget={_short(budget)} is too little: reading the images, timing trial steps and "
            f"starting leave nothing to train in, and the least that works here is above "
            f"{_short(math.ceil(floor))}"
        )


def _before_seeds(plan: Plan, known: timing.Prices, folds: int, steps: int) -> float:
    """Return the seconds of what serves all seeds of the first folds, with so many GAN steps."""
    jobs = [
        replace(job, steps=steps) if job.kind == "gan" else job
        for job in plan.pick("gan", "features")
        if job.seed is None and job.fold < folds
    ]
    return SLOWER * sum(forecast.seconds(known, job) for job in jobs)


def apply(seeds: Sequence[int], choice: Choice) -> dict[str, Any]:
    """Return a config's values of a choice: folds, GAN steps, and as many seeds as may be.

    Args:
        seeds: that it has; they come first.
        choice: of the design.
    """
    more = [n for n in range(MOST_SEEDS + len(seeds)) if n not in seeds]
    found = {"data.folds": choice.folds}
    if choice.gan_steps:
        found |= {"gan.train.steps": choice.gan_steps}
        found |= {"gan.train.epochs": None, "gan.train.kimg": None}
    return found | {"seeds": (*seeds, *more)[: max(MOST_SEEDS, len(seeds))]}


def say(choice: Choice, budget: float) -> str:
    """What is to be expected, in a sentence."""
    parts = f"{choice.begun} of {choice.folds} folds" if choice.folds > 1 else "one split"
    gans = f", {choice.gan_steps:,} steps of each GAN" if choice.gan_steps else ""
    return (
        f"in {_short(budget)} this design ({parts}, {choice.seeds} seeds, {choice.images:,} test "
        f"images{gans}) is expected to give an interval of +-{points(choice.half)} points, and "
        f"finds differences of {points(choice.finds)} points or more with 80 %"
    )


def spend(
    plan: Plan,
    workdir: epath.PathLike,
    budget: float,
    begin: float,
    told_first: tuple[str, ...] = (),
) -> Results:
    """Run an experiment within a budget; with a larger one than before it goes on.

    Args:
        plan: of the experiment as its config has it; folds, seeds and GAN steps are chosen.
        workdir: its folder.
        budget: seconds, counted from `begin`.
        begin: `time.perf_counter()` when the program started.
        told_first: lines to begin the log with.

    Raises:
        InputError: as `choose` and `pipeline.run`.
    """
    file = epath.Path(workdir) / FILE
    remedy = f"delete {workdir} and run the same command again"
    before = checked_files.load(file, remedy) if file.exists() else None
    if before is None and (epath.Path(workdir) / "config.json").exists():
        raise InputError(
            f"{workdir} holds an experiment that was begun without --budget: go on without it, or "
            "choose a new --workdir"
        )
    config = plan.config
    if before is None:
        chosen, plan = choose(plan, budget, begin)
        kept = chosen._asdict() | {"budget": budget}
        line = say(chosen, budget)
    else:
        chosen = Choice(*(before[name] for name in Choice._fields))
        kept = before | {"budget": before["budget"] + budget}
        line = f"{_short(budget)} more: further seeds and folds are added, nothing is redone"
    return pipeline.run(
        config.changed(apply(config.seeds, chosen)),
        workdir,
        until=begin + budget * (1 - END),
        ends=begin + budget,
        begin_folds=chosen.begun if before is None else None,
        before=plan,
        told_first=(*told_first, line),
        claimed=lambda: checked_files.save(file, kept),
    )


def _short(seconds: float) -> str:
    """ "10m", "1.5h": as a budget is written."""
    for unit in ("d", "h", "m"):
        if seconds >= 2 * UNITS[unit] or (seconds >= UNITS[unit] and not seconds % UNITS[unit]):
            return (
                f"{seconds / UNITS[unit]:g}{unit}"
                if seconds % UNITS[unit] == 0
                else (f"{seconds / UNITS[unit]:.1f}{unit}")
            )
    return f"{seconds:g}s"
