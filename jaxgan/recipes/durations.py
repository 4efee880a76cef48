"""How many steps a duration is, and how many batches a step takes."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from jaxgan.config.settings import Boost, GANTrain, Train
from jaxgan.config.training_length import total_steps
from jaxgan.steps import schedules


class ImageStats(NamedTuple):
    """What some recipes depend on.

    Attributes:
        count: in an epoch.
        mean: of each channel, of values in [0, 1].
        std: of each channel, likewise; with mean 1/2 it changes nothing, since that is [-1, 1].
    """

    count: int = 10_000
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)


def steps(train: GANTrain, stats: ImageStats, duration: str) -> float:
    """Return the generator's steps of a duration such as "10 epochs"."""
    drawn = train.batch_size * (1 if train.same_batch else train.n_critic)
    steps = schedules.steps(duration, stats.count, drawn)
    extra = extra_batches(train)
    if "step" in duration or extra is None:
        return steps
    return total_steps(Train(kimg=steps * drawn / 1000), stats.count, drawn, extra)


def extra_batches(train: GANTrain) -> Callable[[int], int] | None:
    """Return a GAN's `Prelude.count` without building it; None where it has no prelude."""
    boost = train.boost
    if boost is None or not (boost.first or boost.every):
        return None
    return partial(more, boost, train.n_critic)


def more(boost: Boost, n_critic: int, step: int) -> int:
    """Return the batches that the critic sees before a step, besides the step's own."""
    boosted = step < boost.first or (boost.every and step % boost.every == 0)
    return boost.n_critic // n_critic - 1 if boosted else 0
