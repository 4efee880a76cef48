"""Seconds and bytes of a few steps on this machine, from which an experiment is priced."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.engine import loop, memory, sharding
from jaxgan.experiment.design import jobs
from jaxgan.experiment.design import plan as plans
from jaxgan.experiment.stages import classify
from jaxgan.metrics import classification, features
from jaxgan.sampling import sample
from jaxgan.sampling.selection import LOOK_AT_REAL
from jaxgan.steps.classifier import make_predict
from jaxgan.training import frozen_features, run
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
    settings = run.memory_settings(config, prefix)
    with memory.watch_memory(settings, lambda text: None) as compile_step:
        return _trial(config, source, seconds, compile_step)


def _trial(
    config: ConfigDict, source: Source, seconds: float, compile_step: Callable[..., Any]
) -> Trial:
    is_gan = config.model.name in configs.GANS
    pictures = (run.look_at(config, source),) if is_gan else ()
    recipe = recipes.build(config, sharding.axis_name(config.parallel), *pictures)
    turns = jobs.turns(config.train) if is_gan else None
    batches = loader.make_batches(
        source, batch_size=config.train.batch_size, seed=config.seed, turns=turns
    )
    devices = sharding.spread(config.parallel)
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


def _draw(config: ConfigDict, state: Any) -> tuple[float, float]:
    """Seconds a generated picture, and those before the first one."""
    draw, seeds = sample.draw_with(config), np.arange(16, dtype=np.uint32)
    each, more = _twice(lambda: np.asarray(draw(state.ema, seeds)))
    return each / len(seeds), more


def _judge(config: ConfigDict, state: Any, source: Source) -> tuple[float, float]:
    """Seconds a batch that is judged, and those before the first one."""
    predictor = make_predict(recipes.build_classifier(config))
    first = np.arange(min(len(source), classification.BATCH))
    some = loader.in_memory(loader.Subset(source, first))
    return _twice(lambda: classification.judge(predictor, state.variables, some))


class Prices(NamedTuple):
    """What a few steps of each kind took, from which any size of an experiment is priced.

    Attributes:
        gan: of a GAN's training; None where none is trained.
        classifiers: of a classifier's, by the way that an arm is trained.
        features: seconds a batch of a frozen trunk's, and more before the first one.
        selection: seconds an image by whose features samples are selected, likewise.
    """

    gan: Trial | None
    classifiers: dict[Any, Trial]
    features: tuple[float, float]
    selection: tuple[float, float]


def prices(config: ConfigDict, plan: plans.Plan, seconds: float = SECONDS) -> Prices:
    """Time a few steps of each kind on the experiment's own images; nothing is kept.

    Raises:
        OutOfMemoryError: a step does not fit; names what to lower.
    """
    fold, gan, selection = plan.folds[0], None, (0.0, 0.0)
    if gans := plan.pick("gan", fold=0):
        job, section, images = gans[0], config.gan.copy_and_resolve_references(), plan.real
        if job.name:
            with section.unlocked():
                section.data.classes = (job.name,)
        if section.data.resolution != images.resolution:
            images = run.open_source(plans.at(config, section), config.seed)
        positions = fold.sides.train[jobs.learned(fold, job.key, job.name, job.gan)]
        gan = trial(section, loader.Subset(images, positions), seconds)
        if any(job.looks for job in plan.pick("samples", fold=0)):
            selection = _selection(config, images)
    section = config.classifier
    with section.unlocked():
        section.data.classes = tuple(plan.real.classes)
    whole, batch = loader.Subset(plan.real, fold.sides.train), (0.0, 0.0)
    if frozen_features.applies(section):
        least = max(section.train.batch_size, frozen_features.BATCH)
        some = loader.in_memory(loader.Subset(whole, np.arange(min(len(whole), least))))
        each, more = _twice(lambda: frozen_features.look(section, some))
        batch = each / jobs.batches(len(some), frozen_features.BATCH), more
        whole = frozen_features.look(section, some, section.train.views)
    else:
        whole = loader.in_memory(whole)
    found = {}
    for arm in fold.arms:
        if arm.way not in found:
            source = whole
            if isinstance(whole, frozen_features.Views) and not arm.policy:
                source = frozen_features.Views(whole, whole.images[:, :1])
            found[arm.way] = trial(classify.as_arm(section, arm), source, seconds)
    return Prices(gan, found, batch, selection)


def _selection(config: ConfigDict, images: Source) -> tuple[float, float]:
    """Seconds an image of the features by which samples are selected, and before the first one."""
    if not (config.select.by in LOOK_AT_REAL or features.available()):
        return 0.0, 0.0
    net = features.vgg16(features.input_size(images.resolution))
    some = [images[i]["image"] for i in range(min(len(images), SOME))]
    each, more = _twice(lambda: features.extract(net, some))
    return each / len(some), more
