import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models.vgg import VGG16
from jaxgan.types import InputError

KEY = jax.random.key(0)


def shapes(module, size, **options):
    x = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    return jax.eval_shape(lambda key, x: module.init_with_output(key, x, False, **options), KEY, x)


def count(params):
    return sum(math.prod(p.shape) for p in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({}, 138_357_544),
        ({"hidden": (), "grid": 1}, 14_714_688 + 513_000),
    ],
)
def test_counts_for_1000_classes(options, parameters):
    assert count(shapes(VGG16(1000, **options), 32)[1]["params"]) == parameters


def test_any_size():
    for size in (32, 45, 224):
        assert shapes(VGG16(7), size)[0].shape == (2, 7)
        assert shapes(VGG16(7), size, method="trunk")[0].shape == (2, 7 * 7 * 512)
        assert shapes(VGG16(7, grid=1), size, method="trunk")[0].shape == (2, 512)
        assert shapes(VGG16(7), size, method="features")[0].shape == (2, 512)
    with pytest.raises(InputError, match="input must be at least 32 px, got 31 x 31"):
        shapes(VGG16(2), 31)


@pytest.fixture(scope="module")
def small():
    module = VGG16(3, width=1 / 32, dtype=jnp.float32)
    images = jax.random.uniform(KEY, (4, 32, 32, 3), minval=-1)
    variables = jax.jit(lambda key: module.init(key, images, False))(KEY)
    return module, variables, images


def test_first_weights_keep_the_variance(small):
    """He's initialisation: no layer's features fade or grow."""
    _, variables, _ = small
    for name, layer in variables["params"].items():
        assert (layer["bias"] == 0).all()
        kernel = layer["kernel"]
        want = (2 / (9 * kernel.shape[3])) ** 0.5 if name.startswith("conv") else 0.01
        error = 4 / (2 * kernel.size) ** 0.5  # Four standard errors.
        assert float(kernel.std()) == pytest.approx(want, rel=error), name


def test_trunk_and_head_are_the_whole(small):
    module, variables, images = small
    trunk = module.apply(variables, images, method="trunk")
    parts = module.apply(variables, trunk, False, method="head")
    np.testing.assert_array_equal(module.apply(variables, images, False), parts)
    # Any grid of means has the mean of the picture where it divides it.
    features = module.apply(variables, images, method="features")
    means = trunk.reshape(4, 49, -1).mean(1)
    np.testing.assert_allclose(means, features, rtol=1e-5)


def test_training_drops_out(small):
    module, variables, images = small
    apply = jax.jit(lambda key: module.apply(variables, images, True, rngs={"dropout": key}))
    one, again, other = apply(KEY), apply(KEY), apply(jax.random.key(1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
