import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_softmax

from jaxgan.steps import losses

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


ALL = {
    "wasserstein": losses.WASSERSTEIN,
    "non_saturating": losses.NON_SATURATING,
    "noisy labels": losses.non_saturating((0.7, 0.9), 0.3),
    "least_squares": losses.LEAST_SQUARES,
    "relativistic_pairing": losses.relativistic_pairing(),
    "relativistic_average": losses.relativistic_average(),
}
PLAYERS = ("critic", "generator")


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("name", ALL)
def test_finite_at_huge_logits(name: str, player: str, dtype: type) -> None:
    huge = jnp.array([1e4, -1e4, 1e4, -1e4, 0], dtype), jnp.array([1e4, 1e4, -1e4, -1e4, 0], dtype)
    value = lambda real, fake: getattr(ALL[name], player)(real, fake, KEY)  # noqa: E731
    for x in jax.tree.leaves(jax.value_and_grad(value, (0, 1))(*huge)):
        assert jnp.isfinite(x).all()


@pytest.mark.parametrize("player", PLAYERS)
@pytest.mark.parametrize("name", [n for n in ALL if n.startswith("relativistic")])
def test_relativistic_losses_ignore_a_common_shift(name: str, player: str) -> None:
    real, fake = jax.random.normal(KEY, (2, 8))
    value = lambda shift: getattr(ALL[name], player)(real + shift, fake + shift, KEY)  # noqa: E731
    assert value(7.0) == pytest.approx(float(value(0.0)), rel=1e-5)
    assert ALL[name].boundary is None


@pytest.mark.parametrize("name", [n for n in ALL if n.startswith("relativistic")])
def test_relativistic_players_change_places(name: str) -> None:
    real, fake = jax.random.normal(KEY, (2, 8))
    other = ALL[name].generator(fake, real, KEY)
    assert ALL[name].critic(real, fake, KEY) == pytest.approx(float(other), rel=1e-6)


def test_relativistic_losses_follow_their_formulas() -> None:
    real, fake = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    pairing = -np.log(expit(real - fake)).mean()
    average = (
        -np.log(expit(real - fake.mean())).mean() - np.log(1 - expit(fake - real.mean())).mean()
    )
    pair = jnp.asarray(real), jnp.asarray(fake)
    assert ALL["relativistic_pairing"].critic(*pair, KEY) == pytest.approx(pairing, rel=1e-5)
    assert ALL["relativistic_average"].critic(*pair, KEY) == pytest.approx(average, rel=1e-5)


@pytest.mark.parametrize("player", PLAYERS)
def test_relativistic_average_over_devices_is_the_global_one(player: str) -> None:
    real, fake = jax.random.normal(KEY, (2, 8))

    def value(loss: losses.AdversarialLoss, weight, real, fake):
        return getattr(loss, player)(weight * real + real**2, weight * fake + fake**2, KEY)

    def device(real, fake):
        spread = losses.relativistic_average("data")
        got = jax.value_and_grad(lambda w: value(spread, w, real, fake))(2.0)
        return jax.lax.pmean(got, "data")

    got = jax.pmap(device, axis_name="data")(real.reshape(2, 4), fake.reshape(2, 4))
    whole = jax.value_and_grad(lambda w: value(ALL["relativistic_average"], w, real, fake))(2.0)
    np.testing.assert_allclose([x[0] for x in got], whole, rtol=1e-5)


def labels(loss: losses.AdversarialLoss, count: int) -> tuple[np.ndarray, np.ndarray]:
    """What real and generated pictures were said to be: at logits of 0 the slope is 1/2 - label."""
    zeros = jnp.zeros(count)
    slopes = jax.grad(lambda *logits: loss.critic(*logits, KEY), (0, 1))(zeros, zeros)
    real, fake = (0.5 - count * np.asarray(slope) for slope in slopes)
    return real, fake


def test_smoothing_is_the_expected_cross_entropy() -> None:
    real, fake = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    expected = 0.9 * -np.log(expit(real)) + 0.1 * -np.log(expit(-real)) - np.log(expit(-fake))
    smooth = losses.non_saturating((0.9, 0.9))
    got = smooth.critic(jnp.asarray(real), jnp.asarray(fake), KEY)
    assert got == pytest.approx(expected.mean(), rel=1e-5)


def test_labels_are_drawn_from_the_range_on_one_side() -> None:
    real, fake = labels(losses.non_saturating((0.7, 0.9)), 1000)
    assert 0.7 - 1e-4 <= real.min() < 0.71 and 0.89 < real.max() <= 0.9 + 1e-4
    assert real.mean() == pytest.approx(0.8, abs=4 * 0.2 / 12**0.5 / 1000**0.5)
    np.testing.assert_allclose(fake, 0, atol=1e-4)


def test_a_share_of_labels_is_flipped() -> None:
    real, fake = labels(losses.non_saturating((0.9, 0.9), 0.25), 2000)
    for got, flipped in ((real < 0.45, 0.0), (fake > 0.45, 0.9)):
        assert got.mean() == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 2000) ** 0.5)
        kind = real if flipped == 0 else fake
        np.testing.assert_allclose(kind[got], flipped, atol=1e-3)
    assert not np.array_equal(real < 0.45, fake > 0.45)


def test_flipping_all_labels_exchanges_the_kinds() -> None:
    real, fake = jax.random.normal(KEY, (2, 8))
    flipped = losses.non_saturating(flipped=1.0).critic(real, fake, KEY)
    assert flipped == pytest.approx(float(losses.NON_SATURATING.critic(fake, real, KEY)), rel=1e-6)


def test_the_non_saturating_generator_is_a_softplus() -> None:
    real, fake = jax.random.normal(KEY, (2, 8))
    for loss in (losses.NON_SATURATING, ALL["noisy labels"]):  # The labels are the critic's.
        expected = float(jax.nn.softplus(-fake).mean())
        assert loss.generator(real, fake, KEY) == pytest.approx(expected, rel=1e-6)


def test_least_squares_is_least_at_its_targets() -> None:
    loss = losses.least_squares(-1.0, 2.0, 0.5)
    real, fake = jnp.full(4, 2.0), jnp.full(4, -1.0)
    assert loss.critic(real, fake, KEY) == 0
    assert loss.critic(real + 1, fake, KEY) == loss.critic(real, fake - 1, KEY) == 0.5
    assert loss.generator(real, jnp.full(4, 0.5), KEY) == 0
    # A picture that may as well be either is on the boundary.
    slope = jax.grad(lambda x: loss.critic(x[None], x[None], KEY))(jnp.float32(0.5))
    assert slope == 0 and loss.boundary == 0.5
