import jax.numpy as jnp
import pytest

from jaxgan import optim


def test_average_warms_up() -> None:
    # At turn 0 a tenth of the old is kept, far along the whole decay is.
    assert optim.average(1.0, 0.0, jnp.int32(0), 0.999) == pytest.approx(0.9)
    assert optim.average(1.0, 0.0, jnp.int32(10**6), 0.999) == pytest.approx(0.001, rel=1e-3)


def test_average_of_a_constant_is_the_constant() -> None:
    value = 5.0
    for step in range(20):
        value = optim.average(5.0, value, jnp.int32(step), 0.99)
    assert value == pytest.approx(5.0)


def test_average_follows_the_definition() -> None:
    values, decay, average = [3.0, -1.0, 4.0, 1.0], 0.15, 0.0
    got = 0.0
    for n, value in enumerate(values):
        d = min(decay, (1 + n) / (10 + n))
        average = d * average + (1 - d) * value
        got = optim.average(value, got, jnp.int32(n), decay)
    assert got == pytest.approx(average, rel=1e-6)


def test_adam_moves_by_the_learning_rate_at_first() -> None:
    tx = optim.adam(0.1, 0.5, 0.9)
    update, _ = tx.update(jnp.array([3.0, -200.0]), tx.init(jnp.zeros(2)), jnp.zeros(2))
    assert update == pytest.approx([-0.1, 0.1], rel=1e-4)
