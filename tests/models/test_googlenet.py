import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models.googlenet import AuxiliaryHead, BasicConv, GoogLeNet
from jaxgan.types import InputError

KEY = jax.random.key(0)


def count(params):
    return sum(math.prod(p.shape) for p in jax.tree.leaves(params))


def shapes(module, *size, train=True, **options):
    x = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    return jax.eval_shape(lambda key, x: module.init_with_output(key, x, train, **options), KEY, x)


@pytest.mark.parametrize(("aux_heads", "parameters"), [(True, 13_004_888), (False, 6_624_904)])
def test_counts_for_1000_classes(aux_heads, parameters):
    logits, variables = shapes(GoogLeNet(1000, aux_heads), 32, 32)
    assert len(jax.tree.leaves(logits)) == (3 if aux_heads else 1)
    assert count(variables["params"]) == parameters


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (224, 250)])
def test_any_size_and_class_count(size):
    module = GoogLeNet(7)
    trained, variables = shapes(module, *size)
    assert [logits.shape for logits in trained] == [(2, 7)] * 3
    evaluated, same = shapes(module, *size, train=False)
    assert evaluated.shape == (2, 7)
    assert same == variables  # Initialising without training leaves out no head.


def test_too_small():
    with pytest.raises(InputError, match="input must be at least 32 px, got 32 x 31"):
        shapes(GoogLeNet(2), 32, 31)


def test_width_scales_every_layer():
    half = shapes(GoogLeNet(2, False, width=0.5), 32, 32)[1]["params"]
    assert half["conv1"]["conv"]["kernel"].shape == (7, 7, 3, 32)
    assert half["fc"]["kernel"].shape == (512, 2)
    assert shapes(GoogLeNet(2, False, width=0.5), 32, 32, method="features")[0].shape == (2, 512)
    whole = shapes(GoogLeNet(2, False), 32, 32)[1]["params"]
    assert 0.25 < count(half) / count(whole) < 0.26
    assert shapes(GoogLeNet(2, width=0.01), 32, 32)[0][0].shape == (2, 2)


def test_bfloat16_keeps_float32_outside():
    trained, variables = shapes(GoogLeNet(2, dtype=jnp.bfloat16), 32, 32)
    assert {x.dtype for x in jax.tree.leaves((trained, variables))} == {jnp.dtype(jnp.float32)}
    half, _ = shapes(BasicConv(4, 3, dtype=jnp.bfloat16), 8, 8)
    assert half.dtype == jnp.bfloat16


def test_first_weights():
    x = jnp.ones((1, 1, 1, 64))
    params = AuxiliaryHead(5, 64, 64, 0.7, BasicConv).init(KEY, x, False)["params"]
    for kernel in (params["conv"]["conv"]["kernel"], params["fc1"]["kernel"]):
        assert abs(kernel.std() - 0.01) < 0.001
    assert abs(params["fc1"]["bias"]).max() <= 1024**-0.5
    assert (params["conv"]["norm"]["scale"] == 1).all()


@pytest.fixture(scope="module")
def small():
    """A narrow net with weights that keep the variance, and pictures."""
    module = GoogLeNet(3, width=1 / 16)
    rng = np.random.default_rng(0)

    def draw(path, x):
        if path[-1].key != "kernel":
            return jnp.full(x.shape, path[-1].key in ("scale", "var"), x.dtype)
        fan_in = math.prod(x.shape[:-1])
        return jnp.asarray(rng.normal(0, (2 / fan_in) ** 0.5, x.shape), x.dtype)

    variables = jax.tree_util.tree_map_with_path(draw, shapes(module, 33, 33)[1])
    images = jnp.asarray(rng.uniform(-1, 1, (4, 33, 33, 3)), jnp.float32)
    return module, variables, images


def test_training_moves_every_statistic_and_drops_out(small):
    module, variables, images = small

    @jax.jit
    def train(key):
        rngs = {"dropout": key}
        return module.apply(variables, images, True, mutable="batch_stats", rngs=rngs)

    (logits, moved), (again, _), (other, _) = map(train, (KEY, KEY, jax.random.key(1)))
    stats = variables["batch_stats"]
    assert jax.tree.all(jax.tree.map(lambda a, b: (a != b).any(), moved["batch_stats"], stats))
    for head in range(3):
        np.testing.assert_array_equal(logits[head], again[head])
        assert (logits[head] != other[head]).any()


def test_evaluation_sees_one_picture_at_a_time_and_drops_nothing(small):
    module, variables, images = small

    @jax.jit
    def evaluate(images):
        return module.apply(variables, images, False)

    logits = evaluate(images)
    np.testing.assert_allclose(evaluate(images.at[1:].set(0))[0], logits[0], rtol=1e-5, atol=1e-6)
    assert abs(logits[0] - logits[1]).max() > 1e-3
