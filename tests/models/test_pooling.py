from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.models.layers import pooling

assert_close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)


def naive_max_pool(x, window, stride, padding, ceil):
    """The definition, one window at a time, and where the gradient of its sum belongs."""
    _, height, width, _ = x.shape
    rounded = np.ceil if ceil else np.floor
    starts = []
    for size in (height, width):
        count = int(rounded((size + 2 * padding - window) / stride)) + 1
        starts.append([s for i in range(count) if (s := i * stride - padding) < size])
    y, gradient = [], np.zeros_like(x)
    for b, c in np.ndindex(x.shape[0], x.shape[3]):
        for top in starts[0]:
            for left in starts[1]:
                rows = range(max(top, 0), min(top + window, height))
                columns = range(max(left, 0), min(left + window, width))
                at = max(((i, j) for i in rows for j in columns), key=lambda ij: x[b, *ij, c])
                y.append(x[b, *at, c])
                gradient[b, *at, c] += 1
    shape = (x.shape[0], x.shape[3], len(starts[0]), len(starts[1]))
    return np.array(y).reshape(shape).transpose(0, 2, 3, 1), gradient


@pytest.mark.parametrize("on_tpu", [False, True])
@pytest.mark.parametrize(("window", "stride", "padding"), [(3, 2, 0), (3, 1, 1), (2, 2, 0)])
@pytest.mark.parametrize("ceil", [True, False])
@pytest.mark.parametrize("size", [(8, 8), (7, 6), (3, 5)])
def test_max_pool_and_its_ties(window, stride, padding, ceil, size, on_tpu, monkeypatch):
    if on_tpu:  # Its form, on what is here.
        monkeypatch.setattr(lax, "platform_dependent", lambda *x, tpu, default: tpu(*x))
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (2, *size, 2)).astype(np.float32)  # Three values: ties everywhere.
    y, gradient = naive_max_pool(x, window, stride, padding, ceil)

    @jax.jit
    def both(x):
        ours, pull = jax.vjp(lambda x: pooling.max_pool(x, window, stride, padding, ceil=ceil), x)
        return ours, pull(jnp.ones_like(ours))[0]

    for got, want in zip(both(x), (y, gradient), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_gradient_of_a_max_pools_gradient() -> None:
    x = jax.random.normal(jax.random.key(0), (2, 7, 6, 2))

    def naive(x):
        edges = [(0, 0), (1, 1), (1, 2), (0, 0)]  # The last row's windows end with the padding.
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), edges)

    def penalty(pool):
        return lambda x: (jax.grad(lambda x: (pool(x) ** 3).sum())(x) ** 2).sum()

    def pool(x):
        return pooling.max_pool(x, 3, 2, 1, ceil=True)

    np.testing.assert_array_equal(pool(x), naive(x))
    ours, reference = (jax.jit(jax.grad(penalty(f)))(x) for f in (pool, naive))
    assert_close(ours, reference)


def test_max_pool_in_bfloat16() -> None:
    x = jax.random.permutation(jax.random.key(0), jnp.arange(1.0, 82)).reshape(1, 9, 9, 1)
    y, pull = jax.vjp(lambda x: pooling.max_pool(x, 3, 3), x.astype(jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    (gradient,) = pull(y)
    assert (gradient != 0).sum() == y.size
    np.testing.assert_array_equal(gradient[gradient != 0], x.astype(jnp.bfloat16)[gradient != 0])


def test_max_pool_hides_no_nan():
    x = jnp.zeros((1, 6, 6, 1)).at[0, 2, 3].set(jnp.nan)
    assert jnp.isnan(pooling.max_pool(x, 3, 2)).sum() == 2


def test_adaptive_pooling_covers_any_size():
    x = jax.random.normal(jax.random.key(0), (2, 8, 12, 3))
    pooled = pooling.adaptive_avg_pool(x, 4)
    assert_close(pooled, x.reshape(2, 4, 2, 4, 3, 3).mean((2, 4)))
    assert_close(pooling.adaptive_avg_pool(x, 1)[:, 0, 0], x.mean((1, 2)))
    one = x[:, :1, :1]
    np.testing.assert_allclose(pooling.adaptive_avg_pool(one, 4), jnp.tile(one, (1, 4, 4, 1)))
    odd = pooling.adaptive_avg_pool(x[:, :5, :7], 4)  # Windows of rows 0:2, 1:3, 2:4, 3:5.
    assert_close(odd[:, 1, 0], x[:, 1:3, 0:2].mean((1, 2)))
    assert_close(odd[:, 3, 3], x[:, 3:5, 5:7].mean((1, 2)))
