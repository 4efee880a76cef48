import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models.wgan import Critic, Generator
from jaxgan.types import InputError

KEY = jax.random.key(0)


def count(params):
    return sum(math.prod(p.shape) for p in jax.tree.leaves(params))


def shapes(module, x):
    x = jax.ShapeDtypeStruct(x, jnp.float32)
    return jax.eval_shape(lambda key, x: module.init_with_output(key, x, True), KEY, x)


def small(**options):
    generator = Generator(16, 8, channels=16, **options)
    latents = jax.random.normal(KEY, (6, 8))
    return generator, generator.init(KEY, latents, True), latents


def test_counts_at_512_pixels():
    assert count(shapes(Generator(512), (2, 200))[1]["params"]) == 14_463_712
    assert count(shapes(Critic(512), (2, 512, 512, 3))[1]["params"]) == 11_203_296


@pytest.mark.parametrize("resolution", [16, 32, 64, 128, 256, 512, 1024])
def test_shapes_at_every_resolution(resolution):
    images, variables = shapes(Generator(resolution, 100), (3, 100))
    assert images.shape == (3, resolution, resolution, 3)
    assert variables["params"]["conv4"]["kernel"].shape == (4, 4, 100, 1024)
    last = variables["params"][f"conv{resolution}"]["kernel"]
    assert last.shape == (4, 4, 4096 // (resolution // 2), 3)
    logits, _ = shapes(Critic(resolution), images.shape)
    assert logits.shape == (3,)


def test_pictures_are_of_any_channels_and_width():
    images, _ = shapes(Generator(1024, channels=8, image_channels=1), (2, 200))
    assert images.shape == (2, 1024, 1024, 1)
    assert shapes(Critic(1024, channels=8), images.shape)[0].shape == (2,)


@pytest.mark.parametrize("resolution", [8, 48, 2048])
@pytest.mark.parametrize("model", [Generator, Critic])
def test_bad_resolution(model, resolution):
    x = (1, 200) if model is Generator else (1, resolution, resolution, 3)
    sentence = f"resolution must be a power of two from 16 to 1024, got {resolution}\\b"
    with pytest.raises(InputError, match=sentence):
        shapes(model(resolution), x)


def test_input_of_another_size():
    with pytest.raises(InputError, match="latents must be of 200, got 100"):
        shapes(Generator(16), (1, 100))
    with pytest.raises(InputError, match="images must be of 16 px, got 16 x 32"):
        shapes(Critic(16), (1, 16, 32, 3))


def test_pictures_lie_within_the_range():
    generator, variables, latents = small()
    loud = jax.tree.map(lambda p: 50 * p, variables["params"])
    images, _ = generator.apply({**variables, "params": loud}, latents, True, mutable="batch_stats")
    assert images.dtype == jnp.float32
    assert abs(images).max() <= 1
    assert (abs(images) > 0.999).any()


def test_trained_generator_sees_one_latent_at_a_time():
    generator, variables, latents = small()
    _, stats = generator.apply(variables, latents, True, mutable="batch_stats")
    draw = partial(generator.apply, {**variables, **stats}, train=False)
    np.testing.assert_allclose(draw(latents)[:2], draw(latents[:2]), atol=1e-6)
    training = generator.apply(variables, latents, True, mutable="batch_stats")[0]
    alone = generator.apply(variables, latents[:2], True, mutable="batch_stats")[0]
    assert abs(training[:2] - alone).max() > 1e-3


def test_batch_statistics_move_by_a_tenth():
    generator, variables, latents = small()
    _, new = generator.apply(variables, latents, True, mutable="batch_stats")
    # 0.9 of the initial variance of 1 is left; what the batch adds is positive.
    assert new["batch_stats"]["norm4"]["var"].min() > 0.9
    x = jnp.einsum("bz,hwzo->bhwo", latents, variables["params"]["conv4"]["kernel"])
    np.testing.assert_allclose(
        new["batch_stats"]["norm4"]["mean"], 0.1 * x.mean((0, 1, 2)), atol=1e-6
    )


def test_batch_statistics_over_devices_are_the_global_batchs():
    generator, variables, latents = small()
    images, stats = generator.apply(variables, latents, True, mutable="batch_stats")
    spread = generator.clone(axis_name="data")

    @partial(jax.pmap, axis_name="data", in_axes=(None, 0))
    def draw(variables, latents):
        return spread.apply(variables, latents, True, mutable="batch_stats")

    halves, moved = draw(variables, latents.reshape(2, 3, -1))
    np.testing.assert_allclose(halves.reshape(images.shape), images, atol=1e-5)
    for device in range(2):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a[device], b, atol=1e-6),  # noqa: B023
            moved,
            stats,
        )


def test_critic_scores_each_picture_alone():
    critic = Critic(16, channels=16)
    images = jax.random.uniform(KEY, (4, 16, 16, 3), minval=-1)
    variables = critic.init(KEY, images, True)
    score = jax.jit(partial(critic.apply, variables, train=True))
    scores = score(images)
    alone = jnp.concatenate([score(images[i : i + 1]) for i in range(4)])
    np.testing.assert_allclose(scores, alone, atol=1e-5)
    assert scores.std() > 1e-3
    slopes = jax.jit(jax.grad(lambda x: score(x)[0]))(images)
    assert abs(slopes[0]).max() > 0
    assert (slopes[1:] == 0).all()


@pytest.mark.parametrize("model", [Generator(16, 8, 16), Critic(16, 16)])
def test_bfloat16_keeps_float32_outside(model):
    shape = (4, 8) if isinstance(model, Generator) else (4, 16, 16, 3)
    x = jax.random.uniform(KEY, shape, minval=-1)
    half = model.clone(dtype=jnp.bfloat16)
    variables = half.init(KEY, x, True)
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(variables))
    y, stats = half.apply(variables, x, True, mutable="batch_stats")
    exact, _ = model.apply(variables, x, True, mutable="batch_stats")
    assert all(s.dtype == jnp.float32 for s in jax.tree.leaves(stats))
    assert y.dtype == jnp.float32
    assert 0 < np.linalg.norm(y - exact) < 0.05 * np.linalg.norm(exact)
