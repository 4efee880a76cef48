import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from jaxgan import losses

KEY = jax.random.key(0)


def test_wasserstein_is_the_difference_of_means() -> None:
    real, fake = jnp.array([1.0, 3.0]), jnp.array([-1.0, 0.0])
    assert losses.WASSERSTEIN.critic(real, fake, KEY) == pytest.approx(-0.5 - 2.0)
    assert losses.WASSERSTEIN.generator(real, fake, KEY) == pytest.approx(0.5)


def test_wasserstein_ignores_a_common_shift() -> None:
    real, fake = jax.random.normal(KEY, (2, 8))
    shifted = losses.WASSERSTEIN.critic(real + 7, fake + 7, KEY)
    assert shifted == pytest.approx(float(losses.WASSERSTEIN.critic(real, fake, KEY)), abs=1e-5)


def test_cross_entropy_is_scipys() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    labels = np.array([0, 2, 1, 1, 0])
    expected = -log_softmax(logits, axis=1)[np.arange(5), labels].mean()
    got = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
    assert got == pytest.approx(expected, rel=1e-6)


def test_smoothing_mixes_with_the_even_distribution() -> None:
    logits = jax.random.normal(KEY, (4, 3))
    labels = jnp.array([0, 1, 2, 0])
    plain = losses.cross_entropy(logits, labels)
    even = -jax.nn.log_softmax(logits).mean()
    smoothed = losses.cross_entropy(logits, labels, smoothing=0.1)
    assert smoothed == pytest.approx(float(0.9 * plain + 0.1 * even), rel=1e-5)


def test_cross_entropy_is_finite_at_huge_logits() -> None:
    logits = jnp.array([[1e4, -1e4], [-1e4, 1e4]])
    value, grads = jax.value_and_grad(losses.cross_entropy)(logits, jnp.array([1, 1]))
    assert jnp.isfinite(value) and jnp.isfinite(grads).all()
