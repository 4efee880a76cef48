"""FastGAN's nets: their published sizes, what a quarter is, what the critic's own task teaches."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import recipes
from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.models import fastgan
from jaxgan.models.layers.gating import gated
from jaxgan.models.layers.upsampling import enlarged
from jaxgan.steps import losses
from jaxgan.types import InputError

CONFIG = str(Path(__file__).parents[2] / "configs" / "fastgan256.py")


def parameters(module, *shape):
    given = jax.ShapeDtypeStruct(shape, jnp.float32)
    tree = jax.eval_shape(lambda key: module.lazy_init(key, given, False), jax.random.key(0))
    return sum(x.size for x in jax.tree.leaves(tree["params"]))


def published(resolution, ngf, lite):
    """Parameters by the published table of widths.

    Source: github.com/autonomousvision/projected-gan, pg_modules/networks_fastgan.py and blocks.py
    at commits 4924c667 (FastGAN's own blocks) and 8480bdd9 (`lite`): widths as multiples of ngf,
    4 x 4 to `resolution`; 3x3 convolutions to twice the width, each with a batch normalisation and,
    in blocks of two, a number for the noise; excitations of 4x4 and 1x1; the last with a bias.
    """
    multiples = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5, 512: 0.25}
    width = {size: int(ngf * by) for size, by in multiples.items()}
    norm = lambda features: 2 * 2 * features  # noqa: E731
    total = 256 * 16 * 2 * width[4] + norm(width[4])
    for size, double in ((8, True), (16, False), (32, True), (64, False), (128, True), (256, False),
                         (512, True)):  # fmt: skip
        if size > resolution:
            break
        total += 9 * width[size // 2] * 2 * width[size] + norm(width[size])
        if double and not lite:
            total += 9 * width[size] * 2 * width[size] + norm(width[size]) + 2
        if small := {64: 4, 128: 8, 256: 16, 512: 32}.get(size):
            total += 16 * width[small] * width[size] + width[size] ** 2
    return total + 27 * width[resolution] + 3


@pytest.mark.parametrize(
    ("resolution", "lite", "ngf"),  # 64 is FastGAN's default, 128 Projected GAN's.
    [(64, False, 64), (128, True, 64), (256, True, 128), (512, False, 64)],
)
def test_parameters_are_those_of_the_published_generator(resolution, lite, ngf) -> None:
    module = fastgan.Generator(resolution, channels=16 * ngf, lite=lite)
    assert parameters(module, 2, 256) == published(resolution, ngf, lite)


def test_parameters_at_256_px() -> None:
    module = fastgan.Generator(256)
    assert parameters(module, 2, 256) == 29_127_657
    assert parameters(fastgan.Generator(256, lite=True), 2, 256) == 24_037_603
    assert parameters(fastgan.Critic(256, rebuild=True), 2, 256, 256, 3) == 8_542_384


@pytest.mark.parametrize("resolution", [16, 32, 48, 1024])
def test_a_resolution_without_a_published_generator_is_refused(resolution) -> None:
    with pytest.raises(InputError, match=rf"one of 64, 128, 256, 512, got {resolution}$"):
        fastgan.widths(resolution, 64)
    config = configs.load(CONFIG)
    config.data.resolution = resolution
    with pytest.raises(InputError, match=rf"resolution must be one of 64, 128, .*got {resolution}"):
        combinations.check_training(config)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("loss.margin", (0.0, 1.0), r"loss.margin must be a range .*above 0"),
        ("loss.r1", 1.0, "loss.r1 must be 0 where the discriminator has batch normalisation"),
        ("data.normalise", "statistics", "data.normalise must be range"),
        ("model.critic_channels", 0, "model.critic_channels must be above 0"),
    ],
)
def test_bad_values_are_named(name, value, words) -> None:
    config = configs.load(CONFIG)
    config.update_from_flattened_dict({name: value})
    with pytest.raises(InputError, match=words):
        combinations.check_training(config)


def test_quarters_squares_and_gates() -> None:
    x = jnp.arange(2 * 4 * 4, dtype=jnp.float32).reshape(2, 4, 4, 1)
    for part, rows, columns in ((0, 0, 0), (1, 0, 2), (2, 2, 0), (3, 2, 2)):
        found = fastgan.quarter(x, jnp.array([part, 3 - part]))
        np.testing.assert_array_equal(found[0], x[0, rows : rows + 2, columns : columns + 2])
        np.testing.assert_array_equal(found[1], fastgan.quarter(x, jnp.array([0, 3 - part]))[1])
    np.testing.assert_array_equal(fastgan.shrunk(enlarged(x), 4), x)
    np.testing.assert_array_equal(fastgan.shrunk(x, 8), x)
    np.testing.assert_allclose(gated(jnp.full((1, 1, 1, 4), 2.0)), 2 / (1 + np.exp(-2)))


def test_a_latent_has_one_image_and_training_adds_noise() -> None:
    module = fastgan.Generator(64, 8, 32)
    z = jax.random.normal(jax.random.key(1), (3, 8))
    variables = jax.jit(lambda k: module.init(k, z, False))(jax.random.key(0))
    variables["params"] = jax.tree.map(lambda x: x + (x.ndim == 0), variables["params"])
    draw = jax.jit(lambda v, z: module.apply(v, z, False))
    images = draw(variables, z)
    assert images.shape == (3, 64, 64, 3) and np.abs(images).max() <= 1
    np.testing.assert_allclose(draw(variables, z[1:2]), images[1:2], atol=1e-5)
    train = jax.jit(
        lambda key: module.apply(
            variables, z, True, rngs={"dropout": key}, mutable=["batch_stats"]
        )[0]
    )
    one, other = train(jax.random.key(2)), train(jax.random.key(3))
    assert np.abs(one - other).max() > 1e-3


def test_the_margin_of_the_hinge() -> None:
    real, fake = jnp.array([[2.0, 0.5]]), jnp.array([[-2.0, 0.5]])
    key = jax.random.key(0)
    loss = losses.hinge()
    assert float(loss.critic(real, fake, key)) == pytest.approx((0.5 + 1.5) / 2)
    assert float(loss.generator(real, fake, key)) == pytest.approx(0.75)
    smooth = losses.hinge((0.8, 1.0))
    zeros = jnp.zeros((4000, 1))
    assert float(smooth.critic(zeros, zeros, key)) == pytest.approx(1.8, abs=0.01)
    keys = jax.random.split(key, 4000)  # Each example's own.
    assert float(smooth.critic(zeros, zeros, keys)) == pytest.approx(1.8, abs=0.01)
    assert float(smooth.critic(1 + 0 * zeros, -1 + 0 * zeros, key)) == 0


@pytest.mark.slow
def test_only_real_images_are_rebuilt_and_that_teaches_the_critic() -> None:
    config = configs.load(CONFIG, test=True)
    config.optim.critic.learning_rate = 2e-3
    recipe = recipes.build(config)
    state = jax.jit(recipe.init)(jax.random.key(0))
    assert {"whole", "part"} <= set(state.critic.params)
    batch = {"image": np.full((4, 64, 64, 3), 220, np.uint8)}
    step = jax.jit(recipe.step)
    lost = []
    for i in range(12):
        state, metrics = step(state, batch, jax.random.key(i))
        lost.append(float(metrics["own_loss"]))
    assert lost[-1] < 0.8 * lost[0]
    config.model.rebuild = False
    plain = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    assert not {"whole", "part"} & set(plain.critic.params)
