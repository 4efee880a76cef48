"""How near generated images are to real ones, while a GAN trains: curves, and the best step.

Always the same latents beside the same real images of those that the GAN learns from, without
augmentation. Nothing in here changes the training.
"""

import time
from collections.abc import Callable, Collection, Iterable
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, UInt8

from jaxgan.config.settings import Evaluate
from jaxgan.data.folder import Source
from jaxgan.data.outliers import descriptor
from jaxgan.errors import InputError
from jaxgan.metrics import features as nets
from jaxgan.metrics import judges, networks
from jaxgan.metrics.intervals import compare
from jaxgan.metrics.kid import LEAST
from jaxgan.sampling import sample

SEEDS = 2**31  # The first latent's: far from those that people draw, and pick the best from.
PREFIX = "evaluate/"  # Of the curves.

Look = Callable[[Iterable[UInt8[np.ndarray, "h w 3"]]], Float[np.ndarray, "n d"]]
Monitor = Callable[[Any, int], dict[str, float]]


def settle(evaluate: Evaluate, critics: Collection[str]) -> dict[str, str]:
    """Return the features in place of `evaluate.features=auto`, where there is a use: new values.

    They are none that the critic is trained on: see `judges`.
    So a run that goes on elsewhere cannot mix two kinds of features unnoticed.
    """
    if evaluate.every and evaluate.features == "auto":
        return {"evaluate.features": judges.unseen(critics)}
    return {}


def check(evaluate: Evaluate, critics: Collection[str], resolution: int, count: int) -> None:
    """Refuse, before any training, what could not be measured.

    Args:
        evaluate: the section, settled.
        critics: the networks that the critics are trained on.
        resolution: of the images.
        count: how many images it learns from.

    Raises:
        InputError: weights that are not installed or not the right ones; too few images;
            features that the critic is trained on.
    """
    if not evaluate.every:
        return
    least = min(count, evaluate.pictures)
    if least < LEAST:
        raise InputError(
            f"evaluate.every must be 0 with fewer than {LEAST} images a side, got {least}"
        )
    if not evaluate.allow_seen:
        judges.check(evaluate.features, critics, "evaluate.features", "evaluate.allow_seen=True")
    _look(evaluate.features, resolution)


def make_monitor(
    evaluate: Evaluate, seed: int, source: Source, draw: sample.Draw, tell: Callable[[str], None]
) -> Monitor:
    """Return what measures an averaged generator, and keeps to its share of the time.

    Args:
        evaluate: the section, settled and checked.
        seed: of the choice of images, and of intervals.
        source: what it learns from.
        draw: its sampler.
        tell: is told what is not measured, and why.

    Returns:
        From the averaged weights and batch statistics and the step to the metrics of
        `evaluate`: `evaluate/kid`, `evaluate/kid/low`, `evaluate/kid/high` and so on, 95 %
        intervals; to none where evaluations would take more than their share of the time, which
        the first one alone may do, or weights are not finite.
    """
    look = _look(evaluate.features, source.resolution)
    count = min(evaluate.pictures, len(source))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(source))[:count])
    seeds = range(SEEDS, SEEDS + count)
    began, spent, latest = time.perf_counter(), 0.0, 0.0

    @cache
    def real() -> Float[np.ndarray, "n d"]:
        return look(source[int(i)]["image"] for i in chosen)

    def measure(variables: Any, step: int) -> dict[str, float]:
        nonlocal spent, latest
        now = time.perf_counter()
        # What the next one takes is known from the latest one, but for the first.
        share = (spent + latest) / (now - began + latest)
        if share > evaluate.share:
            tell(
                f"not evaluated at step {step:,}: evaluations would take {share:.0%} of the time, "
                f"and evaluate.share is {evaluate.share:.0%}"
            )
            return {}
        if not all(np.isfinite(x).all() for x in jax.tree.leaves(jax.device_get(variables))):
            tell(f"not evaluated at step {step:,}: the averaged generator is not finite")
            return {}
        ours, theirs = real(), look(sample.drawn(draw, variables, seeds))
        if evaluate.features == "light":  # Of several units.
            mean, std = ours.mean(axis=0), np.maximum(ours.std(axis=0), 1e-6)
            ours, theirs = (ours - mean) / std, (theirs - mean) / std
        found = {}
        for name, about in compare(ours, theirs, seed, evaluate.metrics).items():
            found[PREFIX + name] = about["value"]
            found |= {f"{PREFIX}{name}/{end}": about[end] for end in ("low", "high")}
        latest = time.perf_counter() - now
        spent += latest
        return found

    return measure


def _look(features: str, resolution: int) -> Look:
    if features == "light":
        return lambda pictures: np.stack([descriptor(image) for image in pictures])
    net = networks.by_name(features, resolution)
    return partial(nets.extract, net)
