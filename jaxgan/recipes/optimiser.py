"""From a section of a config to the optimiser of a generator or a critic."""

from collections.abc import Callable

import optax

from jaxgan.config.settings import Player
from jaxgan.steps import optimizers, schedules


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
