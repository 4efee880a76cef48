"""Time as the user's unit: from a budget to GAN steps, folds and seeds."""

import json
import re
import time
from collections.abc import Sequence
from typing import NamedTuple

from etils import epath
from ml_collections import ConfigDict

from jaxgan import config as configs
from jaxgan import log
from jaxgan.errors import InputError
from jaxgan.experiment import dry_run, power, run
from jaxgan.experiment.words import points

FILE = "budget.json"
FOLDS = (1, 4, 5)  # That are weighed; the images that are tested are those of the folds begun.
MOST_SEEDS = 20
GANS = 0.4  # Share of the time that the GANs get, where they are not done sooner.
LEAST_STEPS = 0.1  # Of the configured ones, that a GAN gets; with less, fewer folds are begun.
START, END = 25.0, 0.12  # Seconds before anything is trained; share for guards and the report.
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
        gan_steps: of each GAN; None where none is trained.
        half: half of the interval that is expected, in shares.
        finds: the difference that is found with 80 %.
        seconds: that it takes.
        images: test images.
    """

    folds: int
    begun: int
    seeds: int
    gan_steps: int | None
    half: float
    finds: float
    seconds: float
    images: int


def choose(
    config: ConfigDict,
    budget: float,
    folds: Sequence[int] | None = None,
    gan_steps: int | None = None,
) -> tuple[Choice, float]:
    """Folds, seeds and GAN steps whose interval is expected to be the narrowest.

    A few steps of each kind are timed. The GANs get 40 % of the time, or what their configured
    steps take; the rest is the classifiers'. Which variances to expect is `power.assumed`.

    Args:
        config: the experiment's.
        budget: seconds in all.
        folds: the numbers of folds to choose from.
        gan_steps: of each GAN, where that was chosen before.

    Returns:
        The choice, and the seconds that choosing took.

    Raises:
        InputError: there is no time for two classifiers of each arm; says how much there must be.
    """
    begin = time.perf_counter()
    wanted = folds or ((config.data.folds,) if config.data.folds > 1 else FOLDS)
    found: list[Choice] = []
    least, known = float("inf"), None
    for count in wanted:
        mine = config.copy_and_resolve_references()
        mine.data.folds = count
        try:
            plan = run.prepare(mine)
        except InputError:
            if count == wanted[0]:
                raise
            continue
        if known is None:  # The images of one split serve to time the steps of all.
            known = dry_run.prices(mine, plan)
        spent = time.perf_counter() - begin
        each = SLOWER * dry_run.seed_seconds(mine, plan, known, 0)
        once = START + spent + dry_run.compile_seconds(known)
        left = budget * (1 - END) - once
        for begun in range(1, count + 1):
            images = sum(len(fold.sides.test) for fold in plan.folds[:begun])
            steps, gans = _gans(mine, plan, known, begun, left, gan_steps)
            seeds = min(MOST_SEEDS, int((left - gans) / (begun * each)))
            least = min(least, _least(mine, plan, known, begun, each, once, gan_steps))
            if steps is not None and seeds * begun >= 2:
                design = power.Design(seeds, images, config.verdict.level, begun, len(config.arms))
                variances = power.assumed()
                half = power.expected_half(variances, design)
                seconds = once + gans + seeds * begun * each
                found.append(Choice(count, begun, seeds, steps, half or 1.0, 0, seconds, images))
    if not found:
        raise InputError(
            f"--budget={_short(budget)} is too little for two classifiers of each arm and their "
            f"GANs: the least that works here is about {_short(60 * -(-least // 60))}"
        )
    best = min(found, key=lambda choice: choice.half)
    design = power.Design(
        best.seeds, best.images, config.verdict.level, best.begun, len(config.arms)
    )
    finds = power.smallest_effect(power.assumed(), design) or 1.0
    return best._replace(finds=finds), time.perf_counter() - begin


def _gans(
    config: ConfigDict,
    plan: run.Plan,
    known: dry_run.Prices,
    folds: int,
    left: float,
    fixed: int | None,
) -> tuple[int | None, float]:
    """Steps of each GAN, None where there is too little time, and seconds of all of them."""
    if known.gan is None:
        return 0, 0.0

    def takes(steps: int) -> float:
        return SLOWER * sum(
            dry_run.gan_seconds(config, plan, known, k, steps) for k in range(folds)
        )

    most = dry_run.gan_steps(config, known, max(dry_run.gan_lengths(plan.folds[0])))
    if fixed is not None:
        return fixed, takes(fixed)
    begin, one = takes(0), (takes(100) - takes(0)) / 100
    steps = min(most, int((GANS * left - begin) / one))
    if steps < LEAST_STEPS * most:
        return None, 0.0
    return steps, takes(steps)


def _least(
    config: ConfigDict,
    plan: run.Plan,
    known: dry_run.Prices,
    folds: int,
    each: float,
    once: float,
    fixed: int | None,
) -> float:
    """Seconds of the smallest experiment with so many folds."""
    gans = 0.0
    if known.gan is not None:
        most = dry_run.gan_steps(config, known, max(dry_run.gan_lengths(plan.folds[0])))
        steps = fixed or int(LEAST_STEPS * most) + 1
        gans = SLOWER * sum(
            dry_run.gan_seconds(config, plan, known, k, steps) for k in range(folds)
        )
        gans = gans if fixed else gans / GANS
    return (once + max(gans, gans + 2 * each)) / (1 - END)


def apply(config: ConfigDict, choice: Choice) -> None:
    """Put a choice into the experiment's config: folds, GAN steps, and as many seeds as may be."""
    config.data.folds = choice.folds
    if choice.gan_steps:
        train = config.gan.train
        with config.gan.unlocked():
            train.steps, train.epochs, train.kimg = choice.gan_steps, None, None
    more = [n for n in range(MOST_SEEDS + len(config.seeds)) if n not in config.seeds]
    config.seeds = (*config.seeds, *more)[: max(MOST_SEEDS, len(config.seeds))]


def say(choice: Choice, budget: float) -> str:
    """What is to be expected, in a sentence."""
    parts = f"{choice.begun} of {choice.folds} folds" if choice.folds > 1 else "one split"
    gans = f", {choice.gan_steps:,} steps of each GAN" if choice.gan_steps else ""
    return (
        f"in {_short(budget)} this design ({parts}, {choice.seeds} seeds, {choice.images:,} test "
        f"images{gans}) is expected to give an interval of +-{points(choice.half)} points, and "
        f"finds differences of {points(choice.finds)} points or more with 80 %"
    )


def spend(config: ConfigDict, workdir: epath.PathLike, budget: float, begin: float) -> dict:
    """Run an experiment within a budget; with a larger one than before it goes on.

    Args:
        config: the experiment's; its folds, seeds and GAN steps are chosen.
        workdir: its folder.
        budget: seconds, counted from `begin`.
        begin: `time.perf_counter()` when the program started.

    Raises:
        InputError: as `choose` and `run.run`.
    """
    file = epath.Path(workdir) / FILE
    before = json.loads(file.read_text()) if file.exists() else None
    if before is None and (epath.Path(workdir) / "config.json").exists():
        raise InputError(
            f"{workdir} holds an experiment that was begun without --budget: go on without it, or "
            "choose a new --workdir"
        )
    lines = []
    if before is None:
        chosen, took = choose(config, budget - (time.perf_counter() - begin))
        kept = chosen._asdict() | {"budget": budget}
        lines = [say(chosen, budget), f"timing the steps took {log.duration(took)}"]
    else:
        chosen = Choice(*(before[name] for name in Choice._fields))
        kept = before | {"budget": before["budget"] + budget}
        lines = [f"{_short(budget)} more: further seeds and folds are added, nothing is redone"]
    apply(config, chosen)
    until = begin + budget * (1 - END)
    folder = epath.Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    found = run.run(
        config,
        workdir,
        until=until,
        told_first=tuple(lines),
        claimed=lambda: configs.write(file, json.dumps(kept) + "\n"),
    )
    return found


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
