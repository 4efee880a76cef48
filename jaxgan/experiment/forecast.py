"""What an experiment will cost on this machine, from a few steps on its own pictures."""

from collections.abc import Sequence
from typing import NamedTuple

from ml_collections import ConfigDict

from jaxgan.config import loading as configs
from jaxgan.engine import log
from jaxgan.experiment import timing
from jaxgan.experiment.design import arms
from jaxgan.experiment.design import plan as plans
from jaxgan.experiment.stages import classify, generate
from jaxgan.experiment.timing import SECONDS, Prices, _apart, _batches
from jaxgan.metrics import classification


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


def gan_seconds(config: ConfigDict, plan: plans.Plan, known: Prices, k: int, steps: int) -> float:
    """Of all GANs of fold k, for so many steps each, without what compiling takes once."""
    found = known.gan
    if found is None:
        return 0.0
    names = len(gan_lengths(config, plan.folds[k]))
    turns = sum(map(found.preludes, range(steps)))
    return names * (found.init + steps * found.step + turns * found.prelude)


def seed_seconds(config: ConfigDict, plan: plans.Plan, known: Prices, k: int) -> float:
    """Of one seed of fold k: drawing its generated images, and a classifier of every arm."""
    section, fold = config.classifier, plan.folds[k]
    took = known.features[1] + known.choosing
    if known.gan is not None:
        took += known.gan.look * sum(
            n * (config.select.surplus if key[1] else 1)
            for key, counts in arms.of_gans(fold.needed).items()
            for n in counts.values()
        )
    validation = _batches(len(fold.sides.validation), classification.BATCH)
    for arm in [one for planned in fold.arms for one in planned.trained]:
        found = known.classifiers[arm.way]
        steps = classify.steps_of(config, arm, fold.arms)
        looks = _batches(steps, section.train.sample_every) * validation
        looks += _batches(len(fold.sides.test), classification.BATCH)
        took += found.init + steps * found.step + looks * found.look
    return took


def compile_seconds(known: Prices) -> float:
    """What is compiled once, and a frozen trunk's first looks."""
    gan = known.gan.compile if known.gan else 0.0
    return gan + sum(found.compile for found in known.classifiers.values())


def predict(config: ConfigDict, seconds: float = SECONDS) -> list[Stage]:
    """The cost of an experiment's stages; trains nothing and writes nothing.

    Counted are steps, the images that GANs draw, the features by which the best are chosen and
    those of a frozen trunk, the classifiers' looks at validation and test images, and what each
    program takes to compile, once. The rest is not: how each run begins, checkpoints, the GANs'
    looks at samples and what they measure on the way, `stop_below`, the guards and the report. So
    it comes out low, less so the longer the runs are. `vmap_seeds` take as much time as one by one.

    Args:
        config: the experiment's.
        seconds: for which steps of each kind are timed.

    Raises:
        InputError: what `pipeline.run` would refuse.
        OutOfMemoryError: a step does not fit; names what to lower.
    """
    plan = plans.prepare(config)
    known = timing.prices(config, plan, seconds)
    stages, folds, seeds = [], range(len(plan.folds)), len(config.seeds)
    if known.gan is not None:
        steps = [gan_steps(config, known, n) for n in gan_lengths(config, plan.folds[0])]
        took = known.gan.compile + sum(
            gan_seconds(config, plan, known, k, max(steps)) for k in folds
        )
        every = config.gan.evaluate.every
        kept = sum(_kept(config.gan.train, n, every) for n in steps) * len(plan.folds) + 1
        disk = kept * known.gan.checkpoint
        stages.append(Stage("GANs", len(steps) * len(folds), took, known.gan.memory, disk))
        made = sum(
            n * seeds * (config.select.surplus if key[1] else 1)
            for k in folds
            for key, counts in arms.of_gans(plan.folds[k].needed).items()
            for n in counts.values()
        )
        pixels = made * 3 * config.gan.data.resolution**2  # More than their PNGs have bytes.
        stages.append(Stage("drawing", made, 0.0, 0, pixels))
    took = sum(found.compile for found in known.classifiers.values())
    took += len(folds) * known.features[0]
    took += sum(seeds * seed_seconds(config, plan, known, k) for k in folds)
    at_once = min(config.vmap_seeds, seeds)
    need = max(at_once * found.memory for found in known.classifiers.values())
    train = config.classifier.train
    disk = max(found.checkpoint for found in known.classifiers.values())  # That is being written.
    trained = [one for arm in plan.folds[0].arms for one in arm.trained]
    for arm in trained:
        kept = _kept(train, classify.steps_of(config, arm, plan.folds[0].arms), train.sample_every)
        disk += len(folds) * seeds * kept * known.classifiers[arm.way].checkpoint
    count = len(trained) * seeds * len(folds)
    return [*stages, Stage("classifiers", count, took, need, disk)]


def gan_steps(config: ConfigDict, known: Prices, images: int) -> int:
    """Steps of a GAN's training on so many images."""
    assert known.gan is not None
    train = config.gan.train
    several = train.n_critic if _apart(config.gan) else 1
    return configs.total_steps(train, images, train.batch_size * several, known.gan.preludes)


def gan_lengths(config: ConfigDict, fold: plans.Fold) -> list[int]:
    """Return how many images each GAN of a fold trains on."""
    found = []
    needed = arms.of_gans(fold.needed)
    for size in {key.size for key in needed}:
        names = {n for key, counts in needed.items() if key.size == size for n in counts}
        ones = {draw.gan: draw.learned for draw in fold.draws[size]}
        if generate.conditional(config):
            found += [sum(map(len, learned.values())) for learned in ones.values()]
        else:
            found += [len(learned[name]) for learned in ones.values() for name in names]
    return found


def _kept(train: ConfigDict, steps: int, ranked: int) -> int:
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
