"""What an experiment will cost on this machine, from a few steps on its own pictures."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan import config as configs
from jaxgan import evaluate, frozen, log, loop, memory, parallel, recipes, sample, training
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.experiment import run
from jaxgan.metrics import features
from jaxgan.selection import LOOK_AT_REAL
from jaxgan.steps.classifier import make_predict
from jaxgan.types import Step

SECONDS = 3.0  # For which steps are timed, at least.
SOME = 64  # Pictures by which the choosing of the best is timed.


class Trial(NamedTuple):
    """What a few steps of a training took.

    Attributes:
        init: seconds before there were weights.
        compile: seconds more before the first step was done, and those of the first look.
        step: seconds a step, the loading of its pictures included.
        prelude: of a turn that comes before some steps; 0 where there are none.
        preludes: how many of these, by the steps done before.
        memory: bytes of a device.
        checkpoint: bytes of the state but for what is all zeros, which takes none in a file.
        look: seconds a generated picture of a GAN, or a batch that a classifier judges.
    """

    init: float
    compile: float
    step: float
    prelude: float
    preludes: Callable[[int], int]
    memory: int
    checkpoint: int
    look: float


def trial(config: ConfigDict, source: Source, seconds: float = SECONDS) -> Trial:
    """A few steps of a training with random weights; nothing of it is kept.

    Args:
        config: of a GAN or a classifier.
        source: what it would learn from.
        seconds: how long to time steps: at least two are, after two that are not.

    Raises:
        OutOfMemoryError: names what to lower.
    """
    prefix = "gan." if config.model.name in configs.GANS else "classifier."
    settings = training.memory_settings(config, prefix)
    with memory.watch_memory(settings, lambda text: None) as compile_step:
        return _trial(config, source, seconds, compile_step)


def _trial(
    config: ConfigDict, source: Source, seconds: float, compile_step: Callable[..., Any]
) -> Trial:
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
    jax.block_until_ready(state)
    init = time.perf_counter() - begin
    programs: dict[Step, Any] = {}

    def turn(steps: Sequence[Step]) -> None:
        nonlocal state
        batch = devices.shard(next(batches), 0 if turns is None else 1)
        for step in steps:
            if step not in programs:
                programs[step] = compile_step(devices.compile(step), state, batch, key)
            state, _ = programs[step](state, batch, key)
        jax.block_until_ready(state)

    done = 0

    def step() -> None:
        nonlocal done
        turn(recipe.turns(done) if recipe.turns else [recipe.step])
        done += 1

    begin = time.perf_counter()
    step()  # With all parts that are due together at the first one.
    compiling = time.perf_counter() - begin
    step()
    begin, first = time.perf_counter(), done
    while done < first + 2 or time.perf_counter() - begin < seconds:
        step()
    each, before = (time.perf_counter() - begin) / (done - first), 0.0
    if recipe.prelude:
        extra_turn = [recipe.prelude.step]
        before, extra = _twice(lambda: turn(extra_turn))
        compiling += extra
    needs = [sum(found) for p in programs.values() if (found := memory.needs(p)) is not None]
    whole = devices.fetch(state)
    look, more = _draw(config, whole) if is_gan else _judge(config, whole, source)
    return Trial(
        init,
        compiling + more,
        each,
        before,
        recipe.prelude.count if recipe.prelude else lambda step: 0,
        max(needs, default=0),
        sum(x.nbytes for x in jax.tree.leaves(whole) if np.any(x)),
        look,
    )


def _twice(call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of a call that finds its programs compiled, and how many more the first one took."""
    times = [time.perf_counter()]
    for _ in range(2):
        call()
        times.append(time.perf_counter())
    first, second = np.diff(times).tolist()
    return second, max(0.0, first - second)


def _apart(config: ConfigDict) -> bool:
    """Whether each turn of a step has a batch of its own, as `training.train_gan` has it."""
    return config.model.name in configs.GANS and not config.train.get("same_batch", True)


def _draw(config: ConfigDict, state: Any) -> tuple[float, float]:
    """Seconds a generated picture, and those before the first one."""
    draw, seeds = sample.draw_with(config), np.arange(16, dtype=np.uint32)
    each, more = _twice(lambda: np.asarray(draw(state.ema, seeds)))
    return each / len(seeds), more


def _judge(config: ConfigDict, state: Any, source: Source) -> tuple[float, float]:
    """Seconds a batch that is judged, and those before the first one."""
    predictor = make_predict(recipes.build_classifier(config))
    first = np.arange(min(len(source), evaluate.BATCH))
    some = loader.in_memory(loader.Subset(source, first))
    return _twice(lambda: evaluate.judge(predictor, state.variables, some))


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


def predict(config: ConfigDict, seconds: float = SECONDS) -> list[Stage]:
    """The cost of an experiment's stages; trains nothing and writes nothing.

    Counted are steps, the pictures that GANs draw, the features by which the best are chosen and
    those of a frozen trunk, the classifiers' looks at validation and test pictures, and what each
    program takes to compile, once. The rest is not: how each run begins, checkpoints, the GANs'
    looks at samples and what they measure on the way, `stop_below`, the guards and the report. So
    it comes out low, less so the longer the runs are. `vmap_seeds` take as much time as one by one.

    Args:
        config: the experiment's.
        seconds: for which steps of each kind are timed.

    Raises:
        InputError: what `run.run` would refuse.
        OutOfMemoryError: a step does not fit; names what to lower.
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
    programs = len(lengths) if recipes.needs_pictures(gan) else 1
    took, disk = programs * (found.init + found.compile), found.checkpoint  # One is being written.
    for n in lengths:
        steps = configs.total_steps(gan.train, n, gan.train.batch_size * several, found.preludes)
        took += steps * found.step + sum(map(found.preludes, range(steps))) * found.prelude
        disk += _kept(gan.train, steps, gan.evaluate.every) * found.checkpoint
    kept = made = 0
    for (_, selected), counts in plan.needed.items():
        n = len(config.seeds) * sum(counts.values())
        kept, made = kept + n, made + n * (config.select.surplus if selected else 1)
    drawing = made * found.look + _choosing(config, plan, pictures)
    pixels = kept * 3 * gan.data.resolution**2  # More than their PNGs have bytes.
    return [
        Stage("GANs", len(lengths), took, found.memory, disk),
        Stage("drawing", made, drawing, 0, pixels),
    ]


def _choosing(config: ConfigDict, plan: run.Plan, pictures: Source) -> float:
    """Seconds of the features by which the best of a surplus are chosen, or what that does told."""
    seen = sum(
        n * config.select.surplus + len(draw.learned[name])
        for (size, selected), counts in plan.needed.items()
        for name, n in counts.items()
        for draw in plan.draws[size]
        if selected
    )
    if not seen or not (config.select.by in LOOK_AT_REAL or features.available()):
        return 0.0
    net = features.vgg16(features.input_size(pictures.resolution))
    some = [pictures[i]["image"] for i in range(min(len(pictures), SOME))]
    each, more = _twice(lambda: features.extract(net, some))
    return more + each * seen / len(some)


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


def _classifiers(config: ConfigDict, plan: run.Plan, seconds: float) -> Stage:
    section, parts = config.classifier, plan.parts
    with section.unlocked():
        section.data.classes = tuple(plan.real.classes)
    took, whole = 0.0, loader.Subset(plan.real, parts.train)
    if frozen.applies(section):
        least = max(section.train.batch_size, frozen.BATCH)
        some = loader.in_memory(loader.Subset(whole, np.arange(min(len(whole), least))))
        each, more = _twice(lambda: frozen.look(section, some))
        took = more + each / _batches(len(some), frozen.BATCH) * _looks(config, plan)
        whole = frozen.look(section, some, section.train.views)
    else:
        whole = loader.in_memory(whole)
    base = next((arm for arm in plan.arms if arm.name == "real"), plan.arms[0])
    need = disk = 0
    validation = _batches(len(parts.validation), evaluate.BATCH)
    for changed in sorted({arm.augment for arm in plan.arms}):
        own, source = section.copy_and_resolve_references(), whole
        own.train.augment = section.train.augment if changed else ()
        own.train.mixup = section.train.mixup if changed else 0.0
        if isinstance(whole, frozen.Views) and not changed:
            source = frozen.Views(whole, whole.images[:, :1])
        found = trial(own, source, seconds)
        at_once = min(config.vmap_seeds, len(config.seeds))
        took, need = took + found.compile, max(need, at_once * found.memory)
        for arm in plan.arms:
            if arm.augment == changed:
                shown = arm if config.epochs == "arm" else base
                n = sum(sum(kinds.values()) for kinds in shown.pictures.values())
                steps = configs.total_steps(section.train, n, section.train.batch_size)
                judgings = _batches(steps, section.train.sample_every)
                seen = judgings * validation + _batches(len(parts.test), evaluate.BATCH)
                took += len(config.seeds) * (steps * found.step + seen * found.look)
                kept = _kept(section.train, steps, section.train.sample_every)
                disk += len(config.seeds) * kept * found.checkpoint
    # Weights are begun by one program, and one more checkpoint is being written.
    took, disk = took + found.init, disk + found.checkpoint
    return Stage("classifiers", len(plan.arms) * len(config.seeds), took, need, disk)


def _looks(config: ConfigDict, plan: run.Plan) -> int:
    """Batches of pictures that go through a frozen trunk: see `classifiers._Pictures`."""
    train = config.classifier.train
    augmented = any(arm.augment for arm in plan.arms) and train.augment
    views = train.views if augmented else 1

    def batches(n: int, views: int = 1) -> int:
        return views * _batches(n, frozen.BATCH)

    generated = {}
    for arm in plan.arms:
        for name, n in arm.pictures.items():
            if n["generated"]:
                most = plan.needed[arm.size, arm.selected][name]
                count = n["generated"] if arm.augment else most
                key = (arm.size, arm.selected, name, count, arm.augment)
                generated[key] = batches(count, views if arm.augment else 1)
    real = batches(len(plan.parts.train), views)
    real += batches(len(plan.parts.validation)) + batches(len(plan.parts.test))
    return real + len(config.seeds) * sum(generated.values())


def _batches(n: int, size: int) -> int:
    return -(-n // size)


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
