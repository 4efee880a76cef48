"""Seconds and bytes of a few steps on this machine, from which an experiment is priced."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from jaxgan import recipes
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.engine.timing import Timing, time_steps
from jaxgan.experiment.design import jobs
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.stages import classify
from jaxgan.metrics import classification, features
from jaxgan.sampling import sample
from jaxgan.sampling.selection import LOOK_AT_REAL
from jaxgan.steps.classifier import make_predict
from jaxgan.system import screen
from jaxgan.training import frozen_features, run
from jaxgan.training.options import assemble

SECONDS = 3.0  # For which steps are timed, at least.
SOME = 64  # Images by which the choosing of the best is timed.


def _twice(call: Callable[[], Any]) -> tuple[float, float]:
    """Return seconds of a call that finds its programs compiled, and how many more the first one
    took.
    """
    times = [time.perf_counter()]
    for _ in range(2):
        call()
        times.append(time.perf_counter())
    first, second = np.diff(times).tolist()
    return second, max(0.0, first - second)


def _draw(draw: sample.Draw, state: Any) -> tuple[float, float]:
    """Return seconds a generated image, and those before the first one."""
    seeds = np.arange(16, dtype=np.uint32)
    each, more = _twice(lambda: np.asarray(draw(state.ema, seeds)))
    return each / len(seeds), more


def _judge(model: nn.Module, source: Source, state: Any) -> tuple[float, float]:
    """Return seconds a batch that is judged, and those before the first one."""
    predictor = make_predict(model)
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

    gan: Timing | None
    classifiers: dict[Any, Timing]
    features: tuple[float, float]
    selection: tuple[float, float]


def prices(
    plan: Plan, seconds: float = SECONDS, check: Callable[[int], None] = lambda trials: None
) -> Prices:
    """Time a few steps of each kind on the experiment's own images; nothing is kept.

    Args:
        plan: of the experiment.
        seconds: for which steps of each kind are timed, at least.
        check: called before each trial with how many there are still to be; may raise.

    Raises:
        OutOfMemoryError: a step does not fit; names what to lower.
    """
    config, fold, timed, selection = plan.config, plan.folds[0], None, (0.0, 0.0)
    gans, ways = plan.pick("gan", fold=0), {arm.way: arm for arm in fold.arms}
    trials = bool(gans) + len(ways)
    check(trials)
    screen.say(f"timing trial steps, of {trials} kinds of training: each is compiled first")
    if gans:
        job, section, images = gans[0], config.gan, plan.real
        if job.name:
            section = section.changed({"data.classes": [job.name]})
        if section.data.resolution != images.resolution:
            images = run.open_source(config.data.at(section.data.resolution), config.seed)
        positions = fold.sides.train[jobs.learned(fold, job.key, job.name, job.gan)]
        parts = assemble(section, loader.Subset(images, positions), prefix="gan.")
        with screen.stage("timing steps of a GAN"):
            timed = time_steps(*parts, seconds, partial(_draw, sample.Sampler.of(section).draw))
        if any(job.looks for job in plan.pick("samples", fold=0)):
            selection = _selection(config.select.by, images)
    section = config.classifier.changed({"data.classes": plan.real.classes})
    whole, batch = loader.Subset(plan.real, fold.sides.train), (0.0, 0.0)
    if section.trunk_stays:
        least = max(section.train.batch_size, frozen_features.BATCH)
        some = loader.in_memory(loader.Subset(whole, np.arange(min(len(whole), least))))
        each, more = _twice(lambda: frozen_features.look(section, some))
        batch = each / jobs.batches(len(some), frozen_features.BATCH), more
        whole = frozen_features.look(section, some, section.train.views)
    else:
        whole = loader.in_memory(whole)
    found = {}
    for way, arm in ways.items():
        check(len(ways) - len(found))
        source = whole
        if isinstance(whole, frozen_features.Views) and not arm.policy:
            source = frozen_features.Views(whole, whole.images[:, :1])
        own = section.changed(classify.way(arm))
        look = partial(_judge, recipes.build_classifier(own), source)
        with screen.stage(f"timing steps of a classifier {len(found) + 1}/{len(ways)}"):
            parts = assemble(own, source, prefix="classifier.")
            found[way] = time_steps(*parts, seconds, look)
    return Prices(timed, found, batch, selection)


def _selection(by: str, images: Source) -> tuple[float, float]:
    """Return seconds an image of the features by which samples are selected, and before the first
    one.
    """
    if not (by in LOOK_AT_REAL or features.available()):
        return 0.0, 0.0
    net = features.vgg16(features.input_size(images.resolution))
    some = [images[i]["image"] for i in range(min(len(images), SOME))]
    each, more = _twice(lambda: features.extract(net, some))
    return each / len(some), more
