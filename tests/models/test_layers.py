import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import PartitionSpec as P

from jaxgan.engine import sharding
from jaxgan.models import wgan
from jaxgan.models.layers import convolution
from jaxgan.models.layers.conv_layer import Conv, ConvTranspose, remat
from jaxgan.models.layers.dropout import Dropout
from jaxgan.models.layers.normalisation import InstanceNorm

# Sizes, windows, strides and paddings of the nets, and odd ones that leave a remainder.
CASES = [
    ((8, 8), (4, 4), 2, 1),
    ((9, 7), (4, 4), 2, 1),
    ((7, 6), (3, 3), 1, 1),
    ((8, 7), (3, 3), 2, 0),
    ((9, 8), (5, 5), 3, 2),
    ((13, 12), (7, 7), 2, 3),
    ((5, 6), (1, 1), 1, 0),
    ((5, 6), (1, 1), 2, 0),
    ((4, 4), (4, 4), 1, 0),
    ((2, 2), (3, 3), 1, 1),
    ((3, 2), (5, 5), 2, 2),
    ((7, 9), (3, 5), (2, 3), (1, 0)),
]


def operands(size, window, ci=3, co=5):
    keys = jax.random.split(jax.random.key(0), 2)
    return (
        jax.random.normal(keys[0], (2, *size, ci)),
        jax.random.normal(keys[1], (*window, ci, co)),
    )


def pads(padding):
    return [(p, p) for p in np.broadcast_to(padding, 2)]


def lax_conv(x, k, stride, padding):
    strides = tuple(np.broadcast_to(stride, 2))
    return lax.conv_general_dilated(
        x, k, strides, pads(padding), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def lax_conv_transpose(x, k, stride, padding):
    # lax pads the dilated input, and its kernel is mirrored.
    strides = tuple(np.broadcast_to(stride, 2))
    padding = [(w - 1 - p, w - 1 - p) for w, (p, _) in zip(k.shape, pads(padding), strict=False)]
    return lax.conv_transpose(
        x, k[::-1, ::-1], strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def assert_close(got, want, tolerance=1e-5):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        assert a.shape == b.shape
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


def compare(ours, reference, size, window, stride, padding):
    """Values, gradients, and gradients of a penalty on the gradients."""
    x, k = operands(size, window)

    def derivatives(f):
        def loss(x, k):
            y = f(x, k, stride, padding)
            return (y**3).sum(), y

        def penalty(x, k):
            (gx, gk), y = jax.grad(loss, (0, 1), has_aux=True)(x, k)
            return (gx**2).sum() + (gk**2).sum(), (y, gx, gk)

        return jax.grad(penalty, (0, 1), has_aux=True)(x, k)

    assert_close(*jax.jit(lambda: (derivatives(ours), derivatives(reference)))())


@pytest.mark.parametrize(("size", "window", "stride", "padding"), CASES)
def test_conv_is_lax_in_every_order(size, window, stride, padding):
    compare(convolution.conv, lax_conv, size, window, stride, padding)


@pytest.mark.parametrize(
    ("size", "window", "stride", "padding"),
    [
        ((4, 4), (4, 4), 2, 1),
        ((5, 3), (3, 3), 2, 1),
        ((1, 1), (4, 4), 1, 0),
        ((1, 1), (4, 4), 2, 0),
        ((3, 4), (5, 5), 3, 2),
        ((3, 2), (3, 5), (2, 3), (1, 0)),
    ],
)
def test_conv_transpose_is_lax_in_every_order(size, window, stride, padding):
    compare(convolution.conv_transpose, lax_conv_transpose, size, window, stride, padding)


@pytest.mark.parametrize(("size", "window", "stride", "padding"), CASES)
def test_three_faces_of_one_form(size, window, stride, padding):
    x, k = operands(size, window)
    pair = convolution.pair
    geometry = convolution.Geometry(size, window, pair(stride), pair(padding))
    y = convolution.forward(x, k, geometry)
    g = jax.random.normal(jax.random.key(1), y.shape)
    form = (y * g).sum()
    by_x = (x * convolution.input_gradient(g, k, geometry)).sum()
    by_k = (k * convolution.kernel_gradient(x, g, geometry)).sum()
    scale = jnp.linalg.norm(y) * jnp.linalg.norm(g)
    assert abs(by_x - form) < 1e-6 * scale
    assert abs(by_k - form) < 1e-6 * scale


@pytest.mark.parametrize("features", [3, 40])  # Summed products of taps, and convolutions.
@pytest.mark.parametrize(
    ("size", "window", "stride", "padding"),
    [
        ((8, 8), (4, 4), (2, 2), (1, 1)),
        ((6, 8), (5, 5), (2, 2), (2, 2)),
        ((6, 6), (3, 3), (3, 3), (0, 0)),
        ((8, 12), (7, 7), (2, 2), (3, 3)),
        ((6, 8), (3, 5), (2, 4), (1, 0)),
        ((8, 6), (4, 4), (2, 2), (0, 3)),
    ],
)
def test_phases_make_up_the_transposed_convolution(features, size, window, stride, padding) -> None:
    geometry = convolution.Geometry(size, window, stride, padding)
    assert convolution._interleaves(geometry)
    x, k = operands(size, window, ci=features)
    g = jax.random.normal(jax.random.key(1), convolution._lax_conv(x, k, geometry).shape)
    assert_close(convolution._by_phases(g, k, geometry), convolution._lax_transpose(g, k, geometry))


def test_phases_are_for_cpus_only() -> None:
    geometry = convolution.Geometry((8, 8), (4, 4), (2, 2), (1, 1))
    x, k = operands((8, 8), (4, 4), ci=40)
    g = convolution._lax_conv(x, k, geometry)
    step = jax.jit(lambda g, k: convolution.input_gradient(g, k, geometry))
    count = {
        platform: jax.export.export(step, platforms=[platform])(g, k)
        .mlir_module()
        .count("stablehlo.convolution")
        for platform in ("cpu", "cuda", "tpu")
    }
    assert count == {"cpu": 4, "cuda": 1, "tpu": 1}


def test_dropout_belongs_to_the_example() -> None:
    drop, x, key = Dropout(0.3), jnp.ones((8, 500)), jax.random.key(5)
    whole = drop.apply({}, x, True, rngs={"dropout": key})
    assert abs((whole == 0).mean() - 0.3) < 0.03
    np.testing.assert_allclose(np.unique(whole), [0, 1 / 0.7], rtol=1e-6)
    assert not np.array_equal(whole[0], whole[1])
    split = Dropout(0.3, sharding.AXIS)
    parts = jax.pmap(
        lambda x: split.apply({}, x, True, rngs={"dropout": key}), axis_name=sharding.AXIS
    )(x.reshape(2, 4, 500))
    np.testing.assert_array_equal(parts.reshape(8, 500), whole)
    np.testing.assert_array_equal(drop.apply({}, x, False), x)


@pytest.mark.slow
def test_remat_keeps_less_and_changes_no_gradient() -> None:
    """What is kept for the gradients, besides weights: less than half."""
    images = jax.random.normal(jax.random.key(0), (8, 32, 32, 3))
    plain, frugal = (module(32, 32) for module in (wgan.Critic, remat(wgan.Critic)))
    variables = plain.init(jax.random.key(1), images, True)
    weights = sum(x.nbytes for x in jax.tree.leaves(variables))
    kept, grads = [], []
    for critic in (plain, frugal):
        _, vjp = jax.vjp(lambda v, critic=critic: critic.apply(v, images, True), variables)
        kept.append(sum(x.nbytes for x in jax.tree.leaves(vjp)) - weights)
        grads.append(vjp(jnp.ones(8))[0])
    assert kept[1] < kept[0] / 2
    assert_close(*grads)


@pytest.mark.parametrize("layer", [convolution.conv, convolution.conv_transpose])
def test_convolutions_under_vmap(layer):
    x, k = operands((6, 6), (4, 4))
    xs, ks = jnp.stack([x, 2 * x + 1]), jnp.stack([k, k - 1])

    def gradients(x, k):
        return jax.grad(lambda x, k: jnp.sin(layer(x, k, 2, 1)).sum(), (0, 1))(x, k)

    want = [gradients(x, k) for x, k in zip(xs, ks, strict=True)]
    assert_close(jax.vmap(gradients)(xs, ks), jax.tree.map(lambda *a: jnp.stack(a), *want))


def test_convolutions_inside_shard_map_give_the_sum_of_the_shards():
    x, k = operands((6, 6), (4, 4))
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))

    def gradient(k, x):
        return jax.grad(lambda k: jnp.sin(convolution.conv(x, k, 2, 1)).sum())(k)

    def shard(k, x):
        return lax.psum(gradient(k, x), "data")

    sharded = jax.shard_map(
        shard, mesh=mesh, in_specs=(P(), P("data")), out_specs=P(), check_vma=False
    )
    assert_close(jax.jit(sharded)(k, x), gradient(k, x))


def test_modules_compute_in_bfloat16_with_float32_weights():
    x = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    for layer in (
        Conv(4, 3, 2, 1, use_bias=True, dtype=jnp.bfloat16),
        ConvTranspose(4, 4, 2, 1, dtype=jnp.bfloat16),
    ):
        y, variables = layer.init_with_output(jax.random.key(1), x)
        assert y.dtype == jnp.bfloat16
        assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(variables))
        exact = layer.clone(dtype=jnp.float32).apply(variables, x)
        assert 0 < np.linalg.norm(y.astype(jnp.float32) - exact) < 0.01 * np.linalg.norm(exact)


def test_weights_start_within_pytorchs_bounds():
    x = jnp.zeros((1, 8, 8, 16))
    conv = Conv(32, 4, use_bias=True).init(jax.random.key(0), x)["params"]
    transposed = ConvTranspose(32, 4).init(jax.random.key(0), x)["params"]
    for values, fan_in in (
        (conv["kernel"], 16 * 16),
        (conv["bias"], 16 * 16),
        (transposed["kernel"], 32 * 16),
    ):
        bound = fan_in**-0.5
        assert 0.9 * bound < abs(values).max() <= bound
    assert abs(conv["kernel"].std() * 3**0.5 - 1 / 16) < 1e-3


def test_instance_norm_sees_one_picture_and_forgets_its_scale():
    x = jax.random.normal(jax.random.key(0), (3, 8, 8, 4))
    layer = InstanceNorm()
    y, variables = layer.init_with_output(jax.random.key(1), x)
    assert_close(y.mean((1, 2)) + 1, jnp.ones((3, 4)))
    assert_close(y.var((1, 2)), jnp.ones((3, 4)), 1e-4)
    np.testing.assert_allclose(layer.apply(variables, 100 * x[:1] + 7), y[:1], atol=1e-4)

    def exact(x):
        x = np.asarray(x, np.float64)
        variance = x.var((1, 2), keepdims=True)
        return (x - x.mean((1, 2), keepdims=True)) / np.sqrt(variance + 1e-5)

    far = 300 + 0.1 * x  # A mean of squares would have no digit of the variance left.
    np.testing.assert_allclose(layer.apply(variables, far), exact(far), atol=1e-4)
    far = (30 + x).astype(jnp.bfloat16)
    np.testing.assert_allclose(layer.apply(variables, far), exact(far), atol=1e-3)


def test_instance_norm_of_even_images_is_its_shift() -> None:
    even = jnp.full((2, 4, 4, 3), 7.0)
    layer = InstanceNorm()
    variables = layer.init(jax.random.key(0), even)
    slopes = jax.grad(lambda x: (layer.apply(variables, x) ** 2).sum())(even)
    np.testing.assert_array_equal(layer.apply(variables, even), 0)
    np.testing.assert_array_equal(slopes, 0)
