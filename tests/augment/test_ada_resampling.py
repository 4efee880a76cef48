"""Resampling and filters: against numpy, scipy and their mathematics."""

from collections.abc import Callable
from itertools import chain, product
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import ndimage

from jaxgan.augment import ada, ada_resampling
from jaxgan.augment.ada_resampling import SYM2, SYM6, amplify, warp

KEY = jax.random.key(0)
move = jax.jit(warp)


def orthogonal_filters(moments: int) -> list[np.ndarray]:
    """Those of 2 * `moments` taps with as many vanishing moments: each is a choice of roots.

    Daubechies, Ten Lectures on Wavelets, 1992, chapter 6.
    """
    pairs = []
    for y in np.roots([comb(moments - 1 + k, k) for k in range(moments)][::-1]):
        if y.imag > -1e-9:  # A complex root comes with its conjugate.
            middle = 1 - 2 * y  # z + 1 / z is twice that.
            z = middle + np.sqrt(middle**2 - 1 + 0j)
            pairs.append([[x, x.conj()] if y.imag > 1e-9 else [x] for x in (z, 1 / z)])
    filters = [np.poly([-1] * moments + [*chain(*choice)]).real for choice in product(*pairs)]
    return [taps * np.sqrt(2) / taps.sum() for taps in filters]


def asymmetry(taps: np.ndarray) -> float:
    """How far its phase is from a straight line, over the frequencies that it passes."""
    w = np.linspace(0, np.pi, 200)
    response = np.exp(-1j * np.outer(w, np.arange(len(taps)))) @ taps
    weight = abs(response) ** 2
    phase = np.unwrap(np.angle(response * np.exp(1j * w * (len(taps) - 1) / 2)))
    slope = (w * phase * weight).sum() / (w**2 * weight).sum()
    return ((phase - slope * w) ** 2 * weight).sum()


def test_the_filters_are_daubechies() -> None:
    for moments, taps in ((2, SYM2), (6, SYM6)):
        least = min(orthogonal_filters(moments), key=asymmetry)
        assert min(abs(np.array(taps) - x).max() for x in (least, least[::-1])) < 1e-9


def by_the_book(image: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Lines 33 to 47 of the pseudocode in float64: padding that is enough, convolutions, loops."""
    h, w, _ = image.shape
    m = 3 * max(h, w)
    padded = np.pad(image, ((m, m), (m, m), (0, 0)), mode="reflect")
    for axis in (0, 1):
        zeros = np.zeros_like(padded)
        padded = np.stack([padded, zeros], axis + 1).reshape(
            [n * (1 + (i == axis)) for i, n in enumerate(padded.shape)]
        )
        padded = ndimage.convolve1d(padded, SYM6, axis, mode="constant", origin=-1)
    out = np.zeros((2 * h + 20, 2 * w + 20, image.shape[2]))
    for row, column in np.ndindex(*out.shape[:2]):
        place = np.array([(column - 10) / 2 - (w - 1) / 2, (row - 10) / 2 - (h - 1) / 2, 1])
        x, y, _ = 2 * (source @ place + [(w - 1) / 2 + m, (h - 1) / 2 + m, 0])
        i, j = int(np.floor(y)), int(np.floor(x))
        a, b = y - i, x - j
        out[row, column] = (1 - a) * ((1 - b) * padded[i, j] + b * padded[i, j + 1]) + a * (
            (1 - b) * padded[i + 1, j] + b * padded[i + 1, j + 1]
        )
    for axis in (0, 1):
        out = ndimage.correlate1d(out, SYM6, axis, mode="constant", origin=-1)
    return out[10:-10:2, 10:-10:2]


def sources(count: int, size: int) -> np.ndarray:
    """Inverse maps of any kind, the last one far out."""
    rng = np.random.default_rng(0)
    maps = np.tile(np.eye(3), (count, 1, 1))
    angle, (sx, sy) = rng.uniform(-3, 3, count), 2 ** rng.normal(0, 0.3, (2, count))
    maps[:, 0, 0], maps[:, 0, 1] = sx * np.cos(angle), -sy * np.sin(angle)
    maps[:, 1, 0], maps[:, 1, 1] = sx * np.sin(angle), sy * np.cos(angle)
    maps[:, :2, 2] = rng.normal(0, size / 8, (count, 2))
    maps[-1, :2, 2] = -size, 0.9 * size
    return maps


def test_warp_is_the_papers() -> None:
    images = np.random.default_rng(1).normal(size=(4, 14, 20, 3))
    maps = sources(4, 14)
    out = move(jnp.asarray(images, jnp.float32), jnp.asarray(maps, jnp.float32))
    expected = [by_the_book(*pair) for pair in zip(images, maps, strict=True)]
    np.testing.assert_allclose(out, expected, atol=5e-5)


def test_products_are_the_look_up() -> None:
    """What a TPU gets: the same numbers, and the same transpose, for maps of any kind."""
    maps = sources(8, 16)
    maps[0], maps[1, :2, :2], maps[2, :2, :2] = np.eye(3), [[0, -1], [1, 0]], [[-1, 0], [0, 1]]
    maps[3, :2, :2] *= 4 / np.linalg.norm(maps[3, 1, :2])  # Four samples a row: six planes.
    maps[4, :2, :2] /= 4
    maps = jnp.asarray(maps, jnp.float32)
    forms = ada_resampling._by_look_up, ada_resampling._by_products
    for h, w in ((16, 16), (14, 20)):
        planes = jax.random.normal(KEY, (8, 3, h, w))
        slopes = jax.random.normal(KEY, (8, 3, 2 * h + 10, 2 * w + 10))

        def both(form: Callable) -> tuple[jax.Array, jax.Array]:
            moved, pull = jax.vjp(lambda x: form(x, maps), planes)  # noqa: B023
            return moved, pull(slopes)[0]  # noqa: B023

        (moved, back), (again, back_again) = (jax.jit(both, static_argnums=0)(f) for f in forms)
        np.testing.assert_allclose(again, moved, atol=5e-5)
        np.testing.assert_allclose(back_again, back, atol=1e-4)


def test_rounded_products_err_by_less_than_a_gray_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a TPU takes one pass of bfloat16, which a CPU does not: the operands are rounded."""
    exact = jnp.einsum

    def rounded(form: str, *operands: jax.Array, precision: str | None = None) -> jax.Array:
        if precision is None:
            operands = tuple(jax.lax.reduce_precision(x, 8, 7) for x in operands)
        return exact(form, *operands, precision="highest")

    size = 32
    rng = np.random.default_rng(0)
    maps = jnp.asarray(sources(8, size), jnp.float32)
    planes = jnp.asarray(rng.uniform(-1, 1, (8, 3, size, size)), jnp.float32)  # All detail.
    moved = ada_resampling._by_look_up(planes, maps)
    monkeypatch.setattr(jnp, "einsum", rounded)
    error = 127.5 * np.abs(ada_resampling._by_products(planes, maps) - moved)
    assert 0.01 < np.sqrt((error**2).mean()) < 0.3 and error.max() < 3


def test_a_tpu_looks_nothing_up() -> None:
    """Nor adds sample by sample in the gradients, up to R1's."""

    def penalty(x: jax.Array, maps: jax.Array) -> jax.Array:
        return (jax.grad(lambda x: (warp(x, maps) ** 3).sum())(x) ** 2).sum()

    shapes = (jax.ShapeDtypeStruct(s, np.float32) for s in ((2, 16, 16, 3), (2, 3, 3)))
    exported = jax.export.export(jax.jit(jax.grad(penalty)), platforms=["tpu"])(*shapes)
    text = exported.mlir_module()
    assert "dot_general" in text and "gather" not in text and "stablehlo.scatter" not in text


def waves(count: int, size: int) -> np.ndarray:
    """Pictures without detail: bilinear look-up at twice the resolution hardly errs."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    frequencies, phases = (
        rng.uniform(-4, 4, (2, count, 1, 1, 3)),
        rng.uniform(0, 6, (count, 1, 1, 3)),
    )
    return np.cos(frequencies[0] * y[..., None] + frequencies[1] * x[..., None] + phases)


def paper(values: dict[str, jax.Array], i: int, size: int) -> np.ndarray:
    """The pseudocode's G of picture i, about its middle, with all of lines 5 to 32 applied."""
    v = {name: np.asarray(x[:, i], np.float64) for name, x in values.items()}

    def rotate(angle: float) -> np.ndarray:
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])

    def translate(x: float, y: float) -> np.ndarray:
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])

    zoom, stretch = (2 ** (0.2 * v[name][0]) for name in ("scale", "stretch"))
    steps = [
        np.diag([1 - 2 * np.floor(2 * v["flip"][0]), 1, 1]),
        rotate(-np.pi / 2 * np.floor(4 * v["turn"][0])),
        translate(*np.round((v["shift"] - 0.5) / 4 * size)),
        np.diag([zoom, zoom, 1]),
        rotate(-np.pi * (2 * v["rotate"][0] - 1)),
        np.diag([stretch, 1 / stretch, 1]),
        rotate(-np.pi * (2 * v["rotate_again"][0] - 1)),
        translate(*(0.125 * size * v["move"])),
    ]
    return np.linalg.multi_dot(steps[::-1])


def test_geometry_is_scipys_in_the_papers_order() -> None:
    """On smooth pictures, with all transformations at once."""
    count, size = 8, 32
    images = waves(count, size)
    draws = ada.draw(images.shape, KEY)
    augment = jax.jit(lambda x: ada.apply(ada.GROUPS["bg"], x, jnp.float32(1), draws))
    out = np.asarray(augment(jnp.asarray(images, jnp.float32)))
    # By the paper's line 37 a picture's middle is .05 pixels off: half of what the filter lags.
    lag = (np.arange(12) @ SYM6) / sum(SYM6) - 5
    middle = (size - 1) / 2 - lag / 2
    for i in range(count):
        inverse = np.linalg.inv(paper(draws.values, i, size))[[1, 0]][:, [1, 0, 2]]  # (y, x).
        offset = middle + inverse[:, 2] - inverse[:, :2] @ [middle, middle]
        for c in range(3):
            expected = ndimage.affine_transform(
                images[i, ..., c], inverse[:, :2], offset, order=3, mode="mirror"
            )
            np.testing.assert_allclose(out[i, ..., c], expected, atol=0.02)
            assert abs(out[i, ..., c] - expected).mean() < 2e-3


def test_whole_steps_turns_and_mirrors() -> None:
    """Steps of whole pixels are exact; the filter's slight asymmetry shows in the others."""
    rng = np.random.default_rng(0)
    rough = jnp.asarray(rng.uniform(-1, 1, (1, 16, 16, 1)), jnp.float32)
    steps = jnp.asarray([[[1.0, 0, -2], [0, 1, 3], [0, 0, 1]]])  # 2 to the right, 3 up.
    expected = np.pad(rough[0, ..., 0], 3, mode="reflect")[6:22, 1:17]
    np.testing.assert_allclose(move(rough, steps)[0, ..., 0], expected, atol=1e-5)
    turn = jnp.asarray([[[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]])
    mirror = jnp.asarray([[[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]]])
    smooth = jnp.asarray(waves(1, 16)[..., :1], jnp.float32)
    for picture, tolerance in ((smooth, 0.04), (rough, 1.0)):
        out = move(picture, turn)[0, ..., 0]
        np.testing.assert_allclose(out, np.rot90(picture[0, ..., 0], 1), atol=tolerance)
        out = move(picture, mirror)[0, ..., 0]
        np.testing.assert_allclose(out, picture[0, :, ::-1, 0], atol=tolerance)
    # Rows and columns are treated alike: what is done to a picture's transpose is transposed.
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    maps = jnp.asarray(sources(4, 16), jnp.float32)
    images = jnp.asarray(rng.uniform(-1, 1, (4, 16, 16, 1)), jnp.float32)
    np.testing.assert_allclose(
        move(images.swapaxes(1, 2), swap @ maps @ swap),
        move(images, maps).swapaxes(1, 2),
        atol=2e-5,
    )


def test_bands_add_up_and_keep_their_own() -> None:
    size = 256
    columns = np.cos(np.pi * np.outer([1 / 16, 3 / 16, 3 / 8, 3 / 4], np.arange(size)))
    images = jnp.asarray(columns[:, None, :, None].repeat(size, 1), jnp.float32)
    np.testing.assert_allclose(amplify(images, jnp.ones((4, 4))), images, atol=1e-5)
    # Rows are constant, of the lowest band. What of each column's frequency a band lets through:
    kept = []
    for band in range(4):
        gains = jnp.ones((4, 4)).at[:, band].set(2)
        out = amplify(images, gains) / jnp.where(band == 0, 2, 1)
        kept.append(
            np.asarray((out - images)[:, 128, 64:-64, 0] * images[:, 128, 64:-64, 0]).sum(1)
        )
    shares = np.stack(kept, 1) / np.asarray(images[:, 128, 64:-64, 0] ** 2).sum(1)[:, None]
    np.testing.assert_allclose(shares.sum(1), 1, atol=0.02)
    assert (shares.argmax(1) == np.arange(4)).all(), shares


def test_filters_go_on_mirrored() -> None:
    rng = np.random.default_rng(0)
    images, gains = rng.normal(size=(2, 16, 40, 3)), rng.uniform(0.5, 2, (2, 4))
    low = np.convolve(SYM2, SYM2[::-1]) / 2  # Half-band, without delay; what it leaves is high.
    high = -low
    high[3] += 1

    def spread(taps: np.ndarray, by: int) -> np.ndarray:
        out = np.zeros((len(taps) - 1) * by + 1)
        out[::by] = taps
        return out

    def filtered(x: np.ndarray, axis: int, gains: np.ndarray) -> np.ndarray:
        out, rest = 0, x
        for octave in range(3):
            taps = [spread(t, 2**octave) for t in (high, low)]
            out = out + gains[3 - octave] * ndimage.convolve1d(rest, taps[0], axis, mode="mirror")
            rest = ndimage.convolve1d(rest, taps[1], axis, mode="mirror")
        return out + gains[0] * rest

    expected = [filtered(filtered(x, 0, g), 1, g) for x, g in zip(images, gains, strict=True)]
    out = amplify(jnp.asarray(images, jnp.float32), jnp.asarray(gains, jnp.float32))
    np.testing.assert_allclose(out, expected, atol=2e-5)


def test_derivatives_of_first_and_second_order() -> None:
    with jax.enable_x64():
        images = jax.random.normal(KEY, (2, 6, 6, 3), jnp.float64)
        draws = ada.draw(images.shape, KEY)
        loss = lambda x: (ada.apply(ada.ALL, x, jnp.float32(1), draws) ** 3).sum()  # noqa: E731
        check_grads(jax.jit(loss), (images,), order=2, modes=["rev"], rtol=1e-5, eps=1e-4)
