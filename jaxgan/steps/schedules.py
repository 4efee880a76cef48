"""Schedules: functions of the generator's steps done so far.

What optax has in the same roundings is taken from there (`optax.constant_schedule`).
"""

import re

import jax.numpy as jnp
import optax

from jaxgan.types import InputError

UNITS = ("steps", "epochs", "kimg")


def steps(duration: str, images: int, images_a_step: int, name: str = "a duration") -> float:
    """Return how many steps a duration is: "10 epochs", "500 kimg" (thousands of images), "100
    steps".

    Args:
        duration: a number and a unit.
        images: in an epoch.
        images_a_step: real ones that a step draws.
        name: of the config's value, for the error.

    Raises:
        InputError: no such duration, or a negative one.
    """
    found = re.fullmatch(
        r"\s*(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})\s*(\w+?)s?\s*", duration, re.ASCII
    )
    unit = found and next((u for u in UNITS if u.removesuffix("s") == found[2]), None)
    if not found or not unit:
        raise InputError(
            f"{name} must be a number of {', '.join(UNITS)}, like '10 epochs', got "
            f"{duration[:100]!r}"
        )
    size = {"steps": 1, "epochs": images / images_a_step, "kimg": 1000 / images_a_step}
    return float(found[1]) * size[unit]


def cosine(start: float, end: float, half_period: float) -> optax.Schedule:
    """From `start` down to `end` in `half_period` steps, then up again, and so on.

    PyTorch's CosineAnnealingLR beyond its T_max, but at every step, not once an epoch.
    """
    return lambda step: end + (start - end) * (1 + jnp.cos(jnp.pi * step / half_period)) / 2


def restarts(start: float, end: float, period: float) -> optax.Schedule:
    """Half a cosine from `start` to `end`, begun anew every `period` steps.

    References:
        Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, eq. 5.
    """
    falling = cosine(start, end, period)
    return lambda step: falling(jnp.mod(step, period))


def linear(start: float, end: float, period: float) -> optax.Schedule:
    """Straight from `start` to `end` in `period` steps, then `end`."""
    return lambda step: start + (end - start) * jnp.minimum(step / period, 1.0)


def warmed_up(schedule: optax.Schedule, period: float) -> optax.Schedule:
    """Rises from 1 / period of the schedule to all of it in the first `period` steps.

    Adam's second moments are of few gradients then, and its steps too long.
    """
    return lambda step: schedule(step) * jnp.minimum((step + 1) / jnp.maximum(period, 1.0), 1.0)
