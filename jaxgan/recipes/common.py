"""What several recipes share: augmentations, durations, optimisers, types."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from jaxgan.augment import ada, diffaugment
from jaxgan.augment.randaugment import randaugment, trivialaugment
from jaxgan.config.lengths import total_steps
from jaxgan.config.sections import Boost, GANTrain, Player, Train
from jaxgan.models.layers.conv_layer import remat
from jaxgan.steps import optimizers, schedules
from jaxgan.types import Augment


class Pictures(NamedTuple):
    """What some recipes depend on.

    Attributes:
        count: in an epoch.
        mean: of each channel, of values in [0, 1].
        std: of each channel, likewise; with mean 1/2 it changes nothing, since that is [-1, 1].
    """

    count: int = 10_000
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)


def build_augment(policy: Sequence[str]) -> Augment | None:
    """Random changes of images, one after the other, then ADA's; None where there are none."""
    kinds = {
        "flip": diffaugment.flip,
        "crop": diffaugment.crop,
        "color": diffaugment.color,
        "translation": diffaugment.translation,
        "cutout": diffaugment.cutout,
        "randaugment": randaugment,
        "trivialaugment": trivialaugment,
    }
    changes = [kinds[name]() for name in policy if name in kinds]
    groups = [name for name in policy if name not in kinds]
    return diffaugment.chain(*changes, *([ada.make(groups)] if groups else [])) if policy else None


def always(change: Augment | None, p: float) -> Augment | None:
    """With a fixed probability, whatever that of the call is."""
    return change and (lambda images, _, key: change(images, jnp.float32(p), key))


def steps(train: GANTrain, pictures: Pictures, duration: str) -> float:
    """Return the generator's steps of a duration such as "10 epochs"."""
    drawn = train.batch_size * (1 if train.same_batch else train.n_critic)
    steps = schedules.steps(duration, pictures.count, drawn)
    extra = extra_batches(train)
    if "step" in duration or extra is None:
        return steps
    return total_steps(Train(kimg=steps * drawn / 1000), pictures.count, drawn, extra)


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


def optimiser(section: Player, count: Callable[[str], float]) -> optax.GradientTransformation:
    """Return the optimiser of the generator or the critic.

    Args:
        section: its own.
        count: returns the steps of a duration.
    """
    rate, final = section.learning_rate, section.final
    kinds = {
        "constant": lambda t_max: optax.constant_schedule(rate),
        "cosine": lambda t_max: schedules.cosine(rate, final, t_max),
        "restarts": lambda t_max: schedules.restarts(rate, final, t_max),
        "linear": lambda t_max: schedules.linear(rate, final, t_max),
    }
    schedule = kinds[section.schedule](count(section.t_max) if section.t_max else None)
    if section.warmup:
        schedule = schedules.warmed_up(schedule, count(section.warmup))
    if section.name == "rmsprop":
        tx = optimizers.rmsprop(schedule, section.b2)
    else:
        tx = optimizers.adam(schedule, section.b1, section.b2)
    return optax.chain(tx, optimizers.clip_weights(section.clip)) if section.clip else tx


def dtype(precision: str) -> Any:
    """Return the type of the computation; weights are float32."""
    return {"float32": jnp.float32, "bf16": jnp.bfloat16}[precision]


def module(recompute: bool, kind: type[nn.Module]) -> Any:
    """Return the module, which recomputes what it can where `train.remat` is set."""
    return remat(kind) if recompute else kind


def images(resolution: int) -> jax.ShapeDtypeStruct:
    """Return what a network's weights are made by: two images."""
    return jax.ShapeDtypeStruct((2, resolution, resolution, 3), jnp.float32)
