import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.config import loading as configs
from jaxgan.steps import schedules
from jaxgan.types import InputError

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("100 steps", 100),
        ("1 step", 1),
        ("10 epochs", 300),
        ("1 epoch", 30),
        (" .5epochs ", 15),
        ("500 kimg", 10_000),
        ("0 epochs", 0),
    ],
)
def test_durations_in_steps(duration: str, expected: float) -> None:
    got = schedules.steps(duration, images=1500, images_a_step=50)
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("duration", ["", "10", "epochs", "-1 epochs", "10 years", "1 e", "a kimg"])
def test_bad_durations_are_named(duration: str) -> None:
    with pytest.raises(InputError, match=r"t_max must be a number of steps, epochs, kimg") as error:
        schedules.steps(duration, 1500, 50, "t_max")
    assert str(error.value).endswith(repr(duration))


def values(schedule, *steps: float) -> list[float]:
    return [float(schedule(jnp.float32(step))) for step in steps]


def test_cosine_falls_and_rises_again() -> None:
    schedule = schedules.cosine(3.0, 1.0, 10.0)
    assert values(schedule, 0, 5, 10, 15, 20, 30) == pytest.approx([3, 2, 1, 2, 3, 1])
    assert values(schedule, 2.5) == pytest.approx([2 + math.cos(math.pi / 4)])


def test_restarts_begin_anew() -> None:
    schedule = schedules.restarts(3.0, 1.0, 10.0)
    assert values(schedule, 0, 5, 10, 15, 20) == pytest.approx([3, 2, 3, 2, 3])
    assert values(schedule, 9.999) == pytest.approx([1], abs=1e-4)


def test_linear_stays_at_its_end() -> None:
    assert values(schedules.linear(1.0, 0.5, 10.0), 0, 5, 10, 99) == pytest.approx(
        [1, 0.75, 0.5, 0.5]
    )


def test_warm_up_rises_to_the_schedule() -> None:
    schedule = schedules.linear(1.0, 0.0, 100.0)
    got = values(schedules.warmed_up(schedule, 10.0), 0, 4, 9, 50)
    assert got == pytest.approx([0.1, 0.96 * 0.5, 0.91, 0.5])
    assert values(schedules.warmed_up(schedule, 0.0), 0) == [1.0]


def test_schedules_follow_a_traced_step() -> None:
    make = (schedules.cosine, schedules.restarts, schedules.linear)
    for schedule in [m(3.0, 1.0, 10.0) for m in make]:
        whole = jax.jit(jax.vmap(schedule))(jnp.arange(40))
        np.testing.assert_allclose(whole, values(schedule, *range(40)), rtol=1e-5)


def test_meowgans_rate_has_a_period_of_20_epochs() -> None:
    config = configs.load(str(CONFIGS / "meowgan64.py"))
    critic, batch = config.optim.critic, config.train.batch_size
    half = schedules.steps(critic.t_max, images=10 * batch, images_a_step=batch)
    schedule = schedules.cosine(critic.learning_rate, critic.final, half)
    assert critic.schedule == "cosine"
    rates = values(schedule, 0, 100, 200, 300)  # 10 steps an epoch.
    assert rates == pytest.approx([3e-4, 1.8e-4, 3e-4, 1.8e-4], rel=1e-4)
