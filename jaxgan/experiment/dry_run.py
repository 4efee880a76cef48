"""What an experiment will cost on this machine, from a few steps on its own pictures."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan import config as configs
from jaxgan import frozen, log, loop, memory, parallel, recipes, sample, training
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.experiment import run
from jaxgan.types import Step

SECONDS = 3.0  # For which steps are timed, at least.
KEPT = 4  # Checkpoints of a run: the latest two, the best one, one that is being written.


class Trial(NamedTuple):
    """What a few steps of a training took.

    Attributes:
        compile: seconds before the first step was done.
        step: seconds a step, the loading of its pictures included.
        prelude: of a turn that comes before some steps; 0 where there are none.
        preludes: how many of these, by the steps done before.
        memory: bytes of a device.
        checkpoint: bytes of the state.
        draw: seconds a generated picture, of a GAN.
    """

    compile: float
    step: float
    prelude: float
    preludes: Callable[[int], int]
    memory: int
    checkpoint: int
    draw: float = 0.0


def trial(config: ConfigDict, source: Source, seconds: float = SECONDS) -> Trial:
    """A few steps of a training with random weights; nothing of it is kept.

    Args:
        config: of a GAN or a classifier.
        source: what it would learn from.
        seconds: how long to time steps: at least two are, after two that are not.
    """
    is_gan = config.model.name in configs.GANS
    pictures = (training.look_at(config, source),) if is_gan else ()
    recipe = recipes.build(config, parallel.axis_name(config.parallel), *pictures)
    turns = config.train.n_critic if _apart(config) else None
    batches = loader.make_batches(
        source, batch_size=config.train.batch_size, seed=config.seed, turns=turns
    )
    devices = parallel.spread(config.parallel)
    init_key, key = jax.random.split(jax.random.key(config.seed))
    begin = time.perf_counter()
    state = devices.place(jax.jit(recipe.init, compiler_options=loop.QUICK)(init_key))
    size = sum(x.nbytes for x in jax.tree.leaves(state))
    programs: dict[Step, Any] = {}

    def turn(steps: Sequence[Step]) -> None:
        nonlocal state
        batch = devices.shard(next(batches), 0 if turns is None else 1)
        for step in steps:
            if step not in programs:
                programs[step] = devices.compile(step).lower(state, batch, key).compile()
            state, _ = programs[step](state, batch, key)
        jax.block_until_ready(state)

    done = 0

    def step() -> None:
        nonlocal done
        turn(recipe.turns(done) if recipe.turns else [recipe.step])
        done += 1

    step()  # With all parts that are due together at the first one.
    compiling = time.perf_counter() - begin
    step()
    begin, first = time.perf_counter(), done
    while done < first + 2 or time.perf_counter() - begin < seconds:
        step()
    each, before = (time.perf_counter() - begin) / (done - first), 0.0
    if recipe.prelude:
        turn([recipe.prelude.step])
        begin = time.perf_counter()
        for _ in range(2):
            turn([recipe.prelude.step])
        before = (time.perf_counter() - begin) / 2
    needs = [sum(found) for p in programs.values() if (found := memory.needs(p)) is not None]
    return Trial(
        compiling,
        each,
        before,
        recipe.prelude.count if recipe.prelude else lambda step: 0,
        max(needs, default=0),
        size,
        _draw(config, state) if is_gan else 0.0,
    )


def _apart(config: ConfigDict) -> bool:
    """Whether each turn of a step has a batch of its own, as `training.train_gan` has it."""
    return config.model.name in configs.GANS and not config.train.get("same_batch", True)


def _draw(config: ConfigDict, state: Any) -> float:
    """Seconds a generated picture."""
    draw, seeds = sample.draw_with(config), np.arange(16, dtype=np.uint32)
    np.asarray(draw(state.ema, seeds))
    begin = time.perf_counter()
    np.asarray(draw(state.ema, seeds))
    return (time.perf_counter() - begin) / len(seeds)


class Stage(NamedTuple):
    """A row of the prediction.

    Attributes:
        name: of the stage.
        count: trainings, or pictures.
        seconds: of all.
        memory: bytes of a device.
        disk: bytes in the workdir.
    """

    name: str
    count: int
    seconds: float
    memory: int
    disk: int


def predict(config: ConfigDict, seconds: float = SECONDS) -> list[Stage]:
    """The cost of an experiment's stages; trains nothing and writes nothing.

    Steps, the pictures that GANs draw and, of a frozen trunk, its features are counted. The looks
    at samples and at validation pictures, checkpoints and guards are not: it comes out low. Of a
    frozen trunk it comes out high: all pictures count with `train.views` views, each with a part
    of the time that its program took to compile.

    Args:
        config: the experiment's.
        seconds: for which steps of each kind are timed.

    Raises:
        InputError: what `run.run` would refuse.
    """
    plan = run.prepare(config)
    stages = []
    if plan.needed and plan.outside is None:
        stages += _generative(config, plan, seconds)
    return [*stages, _classifiers(config, plan, seconds)]


def _generative(config: ConfigDict, plan: run.Plan, seconds: float) -> list[Stage]:
    gan, lengths = config.gan.copy_and_resolve_references(), []
    for size in {size for size, _ in plan.needed}:
        names = {n for key, counts in plan.needed.items() if key[0] == size for n in counts}
        ones = {draw.gan: draw.learned for draw in plan.draws[size]}
        lengths += [len(learned[name]) for learned in ones.values() for name in names]
    (size, _), counts = next(iter(plan.needed.items()))
    name = next(iter(counts))
    with gan.unlocked():
        gan.data.classes = (name,)
    pictures = training.open_source(run.at(config, gan), config.seed)
    learned = plan.parts.train[plan.draws[size][0].learned[name]]
    found = trial(gan, loader.Subset(pictures, learned), seconds)
    several = gan.train.n_critic if _apart(gan) else 1
    took = found.compile
    for n in lengths:
        steps = configs.total_steps(gan.train, n, gan.train.batch_size * several, found.preludes)
        took += steps * found.step + sum(map(found.preludes, range(steps))) * found.prelude
    made = len(config.seeds) * sum(
        n * (config.select.surplus if selected else 1)
        for (_, selected), counts in plan.needed.items()
        for n in counts.values()
    )
    pixels = made * 3 * gan.data.resolution**2  # More than their PNGs have bytes.
    disk = len(lengths) * KEPT * found.checkpoint
    return [
        Stage("GANs", len(lengths), took, found.memory, disk),
        Stage("drawing", made, made * found.draw, 0, pixels),
    ]


def _classifiers(config: ConfigDict, plan: run.Plan, seconds: float) -> Stage:
    section, train = config.classifier, loader.Subset(plan.real, plan.parts.train)
    with section.unlocked():
        section.data.classes = tuple(plan.real.classes)
    took, source = 0.0, loader.in_memory(train)
    if frozen.applies(section):
        begin = time.perf_counter()
        some = loader.Subset(source, np.arange(min(len(train), 2 * section.train.batch_size)))
        source = frozen.look(section, some, section.train.views)
        made = len(config.seeds) * sum(sum(c.values()) for c in plan.needed.values())
        took += (time.perf_counter() - begin) / len(some) * (len(train) + made)
    base = next((arm for arm in plan.arms if arm.name == "real"), plan.arms[0])
    need = disk = 0
    for changed in sorted({arm.augment for arm in plan.arms}):
        own = section.copy_and_resolve_references()
        own.train.augment = section.train.augment if changed else ()
        own.train.mixup = section.train.mixup if changed else 0.0
        found = trial(own, source, seconds)
        took, need = took + found.compile, max(need, found.memory)
        for arm in plan.arms:
            if arm.augment == changed:
                shown = arm if config.epochs == "arm" else base
                n = sum(sum(kinds.values()) for kinds in shown.pictures.values())
                steps = configs.total_steps(section.train, n, section.train.batch_size)
                took += steps * found.step * len(config.seeds)
                disk += KEPT * found.checkpoint * len(config.seeds)
    return Stage("classifiers", len(plan.arms) * len(config.seeds), took, need, disk)


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
