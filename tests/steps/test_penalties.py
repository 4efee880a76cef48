import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import prng
from jaxgan.steps import penalties

KEY = jax.random.key(0)


def linear(slope: float):
    """A critic whose gradient has norm `slope` everywhere."""
    direction = jax.random.normal(jax.random.key(1), (1, 4, 4, 3))
    direction *= slope / jnp.linalg.norm(direction)
    return lambda x: (x * direction).sum((1, 2, 3))


@pytest.mark.parametrize(("slope", "expected"), [(1.0, 0.0), (3.0, 40.0), (0.0, 10.0)])
def test_gradient_penalty_of_a_linear_critic(slope: float, expected: float) -> None:
    real, fake = jax.random.normal(KEY, (2, 8, 4, 4, 3))
    value = penalties.gradient_penalty(10.0)(linear(slope), real, fake, KEY)
    assert value == pytest.approx(expected, abs=1e-4)


def test_gradient_penalty_looks_between_real_and_fake() -> None:
    # Slope 1 everywhere on the segment from 0 to 1, and none elsewhere.
    critic = lambda x: jnp.clip(x, 0, 1).sum((1, 2, 3))  # noqa: E731
    real, fake = jnp.ones((64, 1, 1, 1)), jnp.zeros((64, 1, 1, 1))
    penalty = penalties.gradient_penalty()
    assert penalty(critic, real, fake, KEY) == pytest.approx(0, abs=1e-4)
    assert penalty(critic, real + 2, fake + 2, KEY) == pytest.approx(10, rel=1e-4)


def test_gradient_penalty_has_a_finite_slope_at_a_flat_critic() -> None:
    images = jnp.ones((2, 4, 4, 3))

    def value(scale):
        return penalties.gradient_penalty()(lambda x: scale * linear(1.0)(x), images, images, KEY)

    assert jnp.isfinite(jax.grad(value)(0.0))


def test_r1_and_r2_of_a_linear_critic() -> None:
    real, fake = jax.random.normal(KEY, (2, 8, 4, 4, 3))
    for penalty in (penalties.r1(5.0), penalties.r2(5.0)):
        assert penalty(linear(3.0), real, fake, KEY) == pytest.approx(5 / 2 * 9, rel=1e-5)


def test_r1_looks_at_real_and_r2_at_generated_pictures() -> None:
    critic = lambda x: (x**2).sum((1, 2, 3)) / 2  # noqa: E731 - Its slope at x is x.
    real, fake = jax.random.normal(KEY, (2, 8, 4, 4, 3))
    for penalty, seen in ((penalties.r1(2.0), real), (penalties.r2(2.0), fake)):
        expected = float((seen**2).sum((1, 2, 3)).mean())
        assert penalty(critic, real, fake, KEY) == pytest.approx(expected, rel=1e-5)


def test_total_is_the_sum() -> None:
    parts = penalties.r1(1.0), penalties.r2(2.0), penalties.gradient_penalty(3.0)
    real, fake = jax.random.normal(KEY, (2, 8, 4, 4, 3))
    # A linear critic's penalties are the same with any key.
    expected = sum(float(part(linear(2.0), real, fake, KEY)) for part in parts)
    got = penalties.total(*parts)(linear(2.0), real, fake, KEY)
    assert got == pytest.approx(expected, rel=1e-5)


def test_path_lengths_of_a_linear_map_are_those_of_its_rows() -> None:
    """Each layer's w is the picture's own numbers, times a factor: J^T y is y times it."""
    factors, shape = jnp.array([3.0, 4.0]), (5, 2, 2, 3)
    ws = jax.random.normal(KEY, (5, 2, 12))

    def synthesise(ws):
        return (ws * factors[None, :, None]).sum(1).reshape(shape)

    y = prng.normal(KEY, shape)
    expected = jnp.sqrt((3**2 + 4**2) / 2) * jnp.linalg.norm(y.reshape(5, -1), axis=1) / 2
    got = penalties.path_lengths(synthesise, ws, KEY)
    assert got == pytest.approx(np.asarray(expected), rel=1e-5)
    # A number of y is N(0, 1 / pixels): the square is the number of channels, on average.
    many = jnp.zeros((2000, 1, 12))
    lengths = penalties.path_lengths(lambda ws: ws.reshape(-1, 2, 2, 3), many, KEY)
    assert (lengths**2).mean() == pytest.approx(3, rel=0.05)


def test_path_lengths_are_pulled_to_their_average() -> None:
    penalty, mean = penalties.path_length(jnp.array([1.0, 3.0]), jnp.float32(1.0), 2.0, 0.25)
    assert mean == pytest.approx(1.25)
    assert penalty == pytest.approx(2 * (0.25**2 + 1.75**2) / 2)
    flat = lambda scale: penalties.path_lengths(  # noqa: E731
        lambda ws: scale * ws.reshape(-1, 1, 1, 3), jnp.zeros((2, 1, 3)), KEY
    ).sum()
    assert jnp.isfinite(jax.grad(flat)(0.0))
