"""Resampling and modulated convolutions against plain numpy in float64, and plain lax's slopes."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.models.layers import resampling
from jaxgan.models.stylegan2 import modulated_conv

RNG = np.random.default_rng(0)
TAPS = np.outer((1, 3, 3, 1), (1, 3, 3, 1)) / 64


def zeros_between(x: np.ndarray) -> np.ndarray:
    b, h, w, c = x.shape
    out = np.zeros((b, 2 * h, 2 * w, c))
    out[:, ::2, ::2] = x
    return out


def filtered(x: np.ndarray, low: int, high: int, gain: float = 1.0) -> np.ndarray:
    x = np.pad(np.float64(x), ((0, 0), (low, high), (low, high), (0, 0)))
    h, w = x.shape[1] - 3, x.shape[2] - 3
    return gain * sum(TAPS[i, j] * x[:, i : i + h, j : j + w] for i in range(4) for j in range(4))


def correlated(x: np.ndarray, k: np.ndarray, stride: int = 1, pad: int = 0) -> np.ndarray:
    x = np.pad(np.float64(x), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    h, w = x.shape[1] - len(k) + 1, x.shape[2] - len(k) + 1
    taps = [(i, j) for i in range(len(k)) for j in range(len(k))]
    return sum(x[:, i : i + h : stride, j : j + w : stride] @ np.float64(k[i, j]) for i, j in taps)


def transposed(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Each value is put at every second place, times the kernel."""
    b, h, w, _ = x.shape
    out = np.zeros((b, 2 * h + 1, 2 * w + 1, k.shape[3]))
    for i in range(3):
        for j in range(3):
            out[:, i : i + 2 * h : 2, j : j + 2 * w : 2] += np.float64(x) @ np.float64(k[i, j])
    return out


def plain(x, k, up: bool = False, down: bool = False):
    """The same with lax alone, which finds its own derivatives."""

    def smooth(x, low, high, gain):
        c = x.shape[3]
        taps = jnp.broadcast_to(jnp.float32(gain * TAPS)[:, :, None, None], (4, 4, 1, c))
        return lax.conv_general_dilated(
            x, taps, (1, 1), [(low, high)] * 2,
            dimension_numbers=filters_layout, feature_group_count=c,
        )  # fmt: skip

    filters_layout = ("NHWC", "HWIO", "NHWC")
    conv = partial(lax.conv_general_dilated, dimension_numbers=filters_layout)
    if up:
        y = conv(x, k[::-1, ::-1], (1, 1), [(2, 2)] * 2, lhs_dilation=(2, 2))
        return smooth(y, 1, 1, 4.0)
    if down:
        return conv(smooth(x, 2, 2, 1.0), k, (2, 2), "VALID")
    return conv(x, k, (1, 1), "SAME")


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


X, G = numbers(2, 6, 8, 3), numbers(2, 6, 8, 3)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (resampling.upsample, lambda x: filtered(zeros_between(x), 2, 1, 4)),
        (resampling.downsample, lambda x: filtered(x, 1, 1)[:, ::2, ::2]),
        (lambda x: resampling.smooth(x, 2, 3, 2.0), lambda x: filtered(x, 2, 3, 2)),
        (lambda x: resampling.smooth(x, -1, 4), lambda x: filtered(x[:, 1:, 1:], 0, 4)),
    ],
    ids=["up", "down", "smooth", "cut"],
)
def test_filters(ours, theirs) -> None:
    y, back = jax.vjp(ours, jnp.asarray(X))
    np.testing.assert_allclose(y, theirs(X), atol=1e-6)
    # The transpose, and that of the transpose.
    g = numbers(*y.shape)
    (slope,), further = jax.vjp(back, jnp.asarray(g))
    assert np.vdot(slope, G) == pytest.approx(np.vdot(g, theirs(G)), rel=1e-5)
    np.testing.assert_allclose(further((jnp.asarray(G),))[0], theirs(G), atol=1e-6)


def test_a_constant_stays_what_it_is() -> None:
    x = jnp.ones((1, 8, 8, 1))
    np.testing.assert_allclose(resampling.upsample(x)[:, 1:-1, 1:-1], 1, rtol=1e-6)
    np.testing.assert_allclose(resampling.downsample(x)[:, 1:-1, 1:-1], 1, rtol=1e-6)


WAYS = {
    "same": (resampling.conv, {}, lambda x, k: correlated(x, k, pad=1)),
    "up": (resampling.conv_up, {"up": True}, lambda x, k: filtered(transposed(x, k), 1, 1, 4)),
    "down": (
        resampling.conv_down,
        {"down": True},
        lambda x, k: correlated(filtered(x, 2, 2), k, 2),
    ),
}


@pytest.mark.parametrize(("size", "inputs", "outputs"), [(4, 3, 5), (8, 3, 5), (32, 32, 40)])
@pytest.mark.parametrize("way", WAYS)
def test_convolutions(way: str, size: int, inputs: int, outputs: int) -> None:
    """Values by numpy; slopes, and slopes of the slope's square, by lax."""
    ours, options, by_numpy = WAYS[way]
    ours = partial(ours, padding=1) if way == "same" else ours
    x, k = numbers(2, size, size, inputs), numbers(3, 3, inputs, outputs) / np.sqrt(inputs)
    np.testing.assert_allclose(jax.jit(ours)(x, k), by_numpy(x, k), atol=1e-4)

    def slopes(f):
        def squared(x, k):
            inner = jax.grad(lambda x, k: jnp.tanh(f(x, k)).sum(), (0, 1))(x, k)
            return sum((s**2).sum() for s in inner)

        first = jax.grad(lambda x, k: jnp.tanh(f(x, k)).sum(), (0, 1))
        return jax.jit(lambda x, k: (first(x, k), jax.grad(squared, (0, 1))(x, k)))(x, k)

    found, wanted = (
        jax.tree.leaves(slopes(ours)),
        jax.tree.leaves(slopes(partial(plain, **options))),
    )
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4 * np.abs(b).max())


@pytest.mark.parametrize("up", [False, True], ids=["same", "up"])
@pytest.mark.parametrize("demodulate", [False, True], ids=["plain", "demodulated"])
def test_modulation(up: bool, demodulate: bool) -> None:
    """Each picture has weights of its own, of norm 1 for each output where demodulated."""
    x, k, styles = numbers(3, 5, 5, 4), numbers(3, 3, 4, 6), numbers(3, 4)
    found = jax.jit(modulated_conv, static_argnums=(3, 4))(x, k, styles, demodulate, up)
    for i, style in enumerate(np.float64(styles)):
        own = k * style[:, None]
        if demodulate:
            own = own / np.sqrt((own**2).sum(axis=(0, 1, 2)) + 1e-8)
        one = x[i : i + 1]
        want = filtered(transposed(one, own), 1, 1, 4) if up else correlated(one, own, pad=1)
        np.testing.assert_allclose(found[i : i + 1], want, atol=1e-5)


def test_low_precision_is_not_afraid_of_large_weights() -> None:
    x, k, styles = numbers(2, 4, 4, 8), numbers(3, 3, 8, 8), numbers(2, 8)
    x, k, styles = map(jnp.asarray, (x, k, styles))
    want = modulated_conv(x, k, styles)
    for scale in (1.0, 1e19):
        got = modulated_conv(x.astype(jnp.bfloat16), scale * k, scale * styles)
        error = np.asarray(got, np.float32) - want
        assert got.dtype == jnp.bfloat16
        assert np.abs(error).max() < 0.03 * np.abs(want).max()
