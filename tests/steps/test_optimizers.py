import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.steps import optimizers


def test_average_warms_up() -> None:
    # At turn 0 a tenth of the old is kept, far along the whole decay is.
    assert optimizers.average(1.0, 0.0, jnp.int32(0), 0.999) == pytest.approx(0.9)
    assert optimizers.average(1.0, 0.0, jnp.int32(10**6), 0.999) == pytest.approx(0.001, rel=1e-3)


def test_average_of_a_constant_is_the_constant() -> None:
    value = 5.0
    for step in range(20):
        value = optimizers.average(5.0, value, jnp.int32(step), 0.99)
    assert value == pytest.approx(5.0)


def test_average_follows_the_definition() -> None:
    values, decay, average = [3.0, -1.0, 4.0, 1.0], 0.15, 0.0
    got = 0.0
    for n, value in enumerate(values):
        d = min(decay, (1 + n) / (10 + n))
        average = d * average + (1 - d) * value
        got = optimizers.average(value, got, jnp.int32(n), decay)
    assert got == pytest.approx(average, rel=1e-6)


def test_adam_moves_by_the_learning_rate_at_first() -> None:
    tx = optimizers.adam(0.1, 0.5, 0.9)
    update, _ = tx.update(jnp.array([3.0, -200.0]), tx.init(jnp.zeros(2)), jnp.zeros(2))
    assert update == pytest.approx([-0.1, 0.1], rel=1e-4)


def test_sgd_follows_pytorchs_formula() -> None:
    gradients = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    rate, momentum, velocity, param = 0.1, 0.9, np.zeros(3), np.zeros(3)
    tx, got = optimizers.sgd(rate, momentum), jnp.zeros(3)
    state = tx.init(got)
    for g in gradients:
        velocity = momentum * velocity + g
        param -= rate * velocity
        updates, state = tx.update(jnp.asarray(g), state, got)
        got = optax.apply_updates(got, updates)
    np.testing.assert_allclose(got, param, rtol=1e-5)


def test_some_layers_move_slower_or_not_at_all() -> None:
    params = {"conv1": {"kernel": jnp.ones(2)}, "fc": {"kernel": jnp.ones(2)}, "b": jnp.ones(1)}
    factors = {"conv1/kernel": 0.0, "fc/kernel": 1.0, "b": 0.5}
    plain, tx = optimizers.adam(0.1), optimizers.scaled(optimizers.adam(0.1), factors.get)
    grads = jax.tree.map(lambda x: 3 * x, params)
    want, _ = plain.update(grads, plain.init(params), params)
    got, _ = tx.update(grads, tx.init(params), params)
    assert (got["conv1"]["kernel"] == 0).all()
    np.testing.assert_array_equal(got["fc"]["kernel"], want["fc"]["kernel"])
    np.testing.assert_allclose(got["b"], want["b"] / 2)


def test_rmsprop_follows_pytorchs_formula() -> None:
    gradients = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    gradients[:, 2] *= 1e-8  # Where it matters whether 1e-8 is added to the root or under it.
    rate, decay, mean, param = 0.1, 0.9, np.zeros(3), np.zeros(3)
    tx, got = optimizers.rmsprop(rate, decay), jnp.zeros(3)
    state = tx.init(got)
    for g in gradients:
        mean = decay * mean + (1 - decay) * g.astype(float) ** 2
        param -= rate * g / (np.sqrt(mean) + 1e-8)
        updates, state = tx.update(jnp.asarray(g), state, got)
        got = optax.apply_updates(got, updates)
    np.testing.assert_allclose(got, param, rtol=1e-5)


def test_clipped_weights_stay_within_the_bound() -> None:
    tx = optax.chain(optax.sgd(1.0), optimizers.clip_weights(0.01))
    params = jax.random.normal(jax.random.key(0), (1000,))
    state = tx.init(params)
    for seed in range(2):
        gradient = jax.random.normal(jax.random.key(seed), (1000,)) / 50
        expected = jnp.clip(params - gradient, -0.01, 0.01)
        updates, state = tx.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        # p + (q - p) is q up to half an ulp of p, which may be large at first.
        np.testing.assert_allclose(params, expected, atol=3e-7)
    assert abs(params).max() <= np.nextafter(np.float32(0.01), np.float32(1))


@pytest.mark.parametrize("make", [optimizers.adam, optimizers.rmsprop])
def test_learning_rates_follow_the_step_that_is_told(make) -> None:
    """And not the number of updates: the critic has more of these than the generator."""
    schedule, gradient, params = (lambda step: 0.5 / (1 + step)), jnp.ones(2), jnp.zeros(2)
    tx = make(schedule)
    state = tx.init(params)
    for step in (0, 0, 7):
        got, after = tx.update(gradient, state, params, step=jnp.int32(step))
        fixed, state = make(schedule(step)).update(gradient, state, params)
        np.testing.assert_allclose(got, fixed, rtol=1e-6)
        jax.tree.map(np.testing.assert_array_equal, after, state)


def test_decay_is_decoupled_and_spares_biases_and_scales():
    """A step of AdamW is Adam's, less rate * decay of the kernel, at the rate of that step."""
    params = {"fc": {"kernel": jnp.full((2, 2), 3.0), "bias": jnp.ones(2)}, "bn": {"scale": 2.0}}
    params = jax.tree.map(jnp.asarray, params)
    grads = jax.tree.map(lambda x: 0.1 * jnp.ones_like(x), params)
    rate = lambda step: 0.1 / (1 + step)  # noqa: E731
    plain = optimizers.adam(rate)
    decayed = optimizers.scaled(
        optimizers.decayed(optimizers.adam(rate), rate, 0.5), lambda name: 1.0
    )
    found, want = (
        optax.with_extra_args_support(tx).update(grads, tx.init(params), params, step=1)[0]
        for tx in (decayed, plain)
    )
    want["fc"]["kernel"] -= 0.05 * 0.5 * params["fc"]["kernel"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, want)
