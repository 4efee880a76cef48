"""What the GAN step does to pictures on their way to the critic, and what it reports of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxgan import prng
from jaxgan.augment import diffaugment
from jaxgan.steps import gan, losses, schedules
from jaxgan.steps.state import GANState, new_net
from jaxgan.types import standardise, to_float

SIZE, COLOUR = 8, 0.5


class Colour(nn.Module):
    """Draws pictures of one colour, its only weight."""

    @nn.compact
    def __call__(self, z, train):
        colour = self.param("colour", nn.initializers.constant(COLOUR), ())
        return jnp.full((len(z), SIZE, SIZE, 3), colour)


class Power(nn.Module):
    """Scores by the mean of the pictures' powers, and keeps the average of the mean picture."""

    power: int = 1

    @nn.compact
    def __call__(self, images, train):
        weight = self.param("weight", nn.initializers.ones, ())
        kept = self.variable("batch_stats", "mean", lambda: jnp.float32(0))
        if train and not self.is_initializing():
            kept.value = 0.9 * kept.value + 0.1 * images.mean()
        return weight * (images**self.power).mean((1, 2, 3))


def once(critic: Power, real, step: int = 0, rate: float = 0.0, trains: bool = True, **options):
    """One step from `step` on: the state before and after, and the metrics."""
    generator, tx = Colour(), optax.sgd(rate)
    images = jnp.zeros((2, SIZE, SIZE, 3))
    net = new_net(generator.init(jax.random.key(0), jnp.zeros((2, 1)), False), tx)
    against = new_net(critic.init(jax.random.key(0), images, False), tx)
    state = GANState(jnp.int32(step), net, against, net.variables)
    options = {"loss": losses.WASSERSTEIN, "penalty": None, "n_critic": 1} | options
    run = gan.make_step(
        generator,
        critic,
        tx if trains else None,
        tx,
        same_batch=True,
        latent_dim=1,
        ema_decay=0.9,
        **options,
    )
    after, metrics = jax.jit(run)(state, {"image": real}, jax.random.key(1))
    return state, after, jax.device_get(metrics)


def grays(*values: int) -> np.ndarray:
    return np.broadcast_to(np.uint8(values)[:, None, None, None], (len(values), SIZE, SIZE, 3))


@pytest.mark.parametrize(("step", "std"), [(0, 0.8), (5, 0.4), (10, 0.0)])
def test_instance_noise_follows_the_step(step: int, std: float) -> None:
    """Of real and generated pictures alike: noise adds its variance to their squares."""
    falling = schedules.linear(0.8, 0.0, 10.0)
    real = grays(*[51] * 8)  # -0.6 of [-1, 1].
    _, _, metrics = once(Power(2), real, step, instance_noise=falling)
    assert metrics["real_score"] == pytest.approx(0.36 + std**2, rel=0.1)
    assert metrics["fake_score"] == pytest.approx(COLOUR**2 + std**2, rel=0.1)
    # Noise has no weights: what reaches the generator is the slope of its own square.
    assert metrics["generator_grad_norm"] == pytest.approx(2 * COLOUR, rel=0.1)


@pytest.mark.parametrize("name", ["augment", "standardise"])
def test_real_and_generated_pictures_are_treated_alike(name: str) -> None:
    """And the generator's gradient goes through it."""
    real = grays(0, 255, 255, 255)  # 0.5 in the mean.
    change = {
        "augment": lambda images, p, key: 3 * images + p,
        "standardise": lambda images: 3 * images + 1,
    }[name]
    _, _, metrics = once(Power(), real, **{name: change})
    assert metrics["real_score"] == pytest.approx(3 * 0.5 + 1)
    assert metrics["fake_score"] == pytest.approx(3 * COLOUR + 1)
    assert metrics["generator_grad_norm"] == pytest.approx(3)


def test_standardised_pictures_have_mean_0_and_deviation_1() -> None:
    images = np.random.default_rng(0).integers(0, 200, (16, 8, 8, 3)).astype(np.uint8)
    images[..., 1] //= 4
    shares = images / 255
    mean, std = (tuple(map(float, f((0, 1, 2)))) for f in (shares.mean, shares.std))
    out = standardise(to_float(jnp.asarray(images)), mean, std)
    np.testing.assert_allclose(out.mean((0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(out.std((0, 1, 2)), 1, rtol=1e-5)
    # The range [-1, 1] is mean and deviation 1/2.
    kept = standardise(to_float(jnp.asarray(images)), (0.5,) * 3, (0.5,) * 3)
    np.testing.assert_allclose(kept, to_float(jnp.asarray(images)), atol=1e-6)


def test_augmentations_and_noise_draw_apart() -> None:
    """A picture's noise says nothing of how it was augmented, by a `chain`'s second, say."""

    def second(images, p, key):
        return images - 0.5 * prng.normal(prng.fold_in(key, 1), images.shape)

    plugs = {"augment": second, "instance_noise": optax.constant_schedule(0.5)}
    _, _, metrics = once(Power(2), grays(*[51] * 8), **plugs)
    assert metrics["real_score"] == pytest.approx(0.36 + 2 * 0.25, rel=0.1)


def test_microbatches_change_nothing() -> None:
    """Every draw is an example's own: labels, augmentations, noise."""
    plugs = {
        "loss": losses.non_saturating((0.7, 1.0), 0.3),
        "augment": diffaugment.cutout(),
        "instance_noise": optax.constant_schedule(0.1),
    }
    real = grays(0, 60, 153, 255)
    _, *whole = once(Power(2), real, rate=0.1, **plugs)
    _, *parts = once(Power(2), real, rate=0.1, microbatch=2, **plugs)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), whole, parts)


def test_the_critics_turns_alone_leave_the_generator_and_the_step() -> None:
    before, after, metrics = once(Power(), grays(0, 255), step=3, rate=0.1, trains=False)
    for name in ("step", "generator", "ema"):
        jax.tree.map(np.testing.assert_array_equal, getattr(after, name), getattr(before, name))
    assert after.critic.params["weight"] != before.critic.params["weight"]
    assert not [name for name in metrics if name.startswith("generator")]


def test_the_generators_turn_moves_the_critics_statistics_too() -> None:
    _, after, _ = once(Power(), grays(0, 255, 255, 255))
    expected = 0.0
    for mean in (0.5, COLOUR, COLOUR):  # Real and generated in one turn, generated in the other.
        expected = 0.9 * expected + 0.1 * mean
    assert after.critic.stats["mean"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "real_accuracy", "fake_accuracy"),
    [
        # Logits are -1, -.2, .2 and 1 of real pictures, and .5 of generated ones.
        (losses.NON_SATURATING, 2 / 4, 0),  # Above 0 is real.
        (losses.least_squares(0.0, 1.2, 1.0), 1 / 4, 1),  # Above .6.
        (losses.WASSERSTEIN, 1 / 4, 1 / 4),  # In pairs.
    ],
    ids=["non_saturating", "least_squares", "wasserstein"],
)
def test_accuracies_and_the_gap(loss, real_accuracy: float, fake_accuracy: float) -> None:
    _, _, metrics = once(Power(), grays(0, 102, 153, 255), loss=loss)
    assert metrics["real_accuracy"] == real_accuracy
    assert metrics["fake_accuracy"] == fake_accuracy
    assert metrics["logit_gap"] == pytest.approx(0 - COLOUR, abs=1e-6)
