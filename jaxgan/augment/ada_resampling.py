"""Images moved by affine maps, and filtered by bands: what `ada` executes.

Both are linear in the images and made of matrix products, look-ups and their transposes: any
order of differentiation is as fast as the first. Beyond its border an image goes on mirrored, for
ever: its pixels and theirs make one period of a periodic signal, so that nothing needs padding.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxgan.augment.ada_products import affine, look_up
from jaxgan.types import Images

# Daubechies' least asymmetric orthogonal lowpass filters with 6 and 2 vanishing moments:
# Ten Lectures on Wavelets, 1992, tables 6.3 and 6.1.
SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
SYM2 = (-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025)
# How many samples before its own a pixel of twice the resolution reaches: the filter's middle.
_LEAD = 5


def _mirrored(positions: np.ndarray, size: int) -> np.ndarray:
    """Return the pixels that lie at `positions` of a line of `size` that goes on mirrored."""
    positions = np.abs(positions) % (2 * size - 2)
    return np.minimum(positions, 2 * size - 2 - positions)


@cache
def _upsampling(size: int) -> Float[np.ndarray, "samples size"]:
    """Pixels of a line to a period, 4 size - 4 samples, at twice the resolution."""
    matrix = np.zeros((4 * size - 4, size), np.float32)
    for tap, value in enumerate(SYM6):
        pixels = np.arange(2 * size - 2)
        samples = (2 * pixels + tap - _LEAD) % len(matrix)
        np.add.at(matrix, (samples, _mirrored(pixels, size)), value)
    return matrix


@cache
def _downsampling(size: int) -> Float[np.ndarray, "size samples"]:
    """Sample from -5 to 2 size + 4 at twice the resolution to the pixels of a line."""
    matrix = np.zeros((size, 2 * size + len(SYM6) - 2), np.float32)
    for tap, value in enumerate(SYM6):
        matrix[np.arange(size), 2 * np.arange(size) + tap] = value
    return matrix


def _both_axes(rows: Array, columns: Array, planes: Float[Array, "b c h w"]) -> Array:
    """rows [y, h] @ plane @ columns [x, w]^T, these the same for all images or one for each."""
    rows, columns = (m.reshape(-1, 1, *m.shape[-2:]) for m in (rows, columns))
    half = jnp.matmul(rows, planes, precision="highest")
    return jnp.matmul(half, columns.swapaxes(2, 3), precision="highest")


class _Places(NamedTuple):
    """Where to look: four neighbours of each place among flattened samples, and their weights."""

    neighbours: Int[Array, "b 4 n"]
    weights: Float[Array, "b 4 n"]


def _places(y: Float[Array, "b n"], x: Float[Array, "b n"], h: int, w: int) -> _Places:
    """For bilinear look-up in a period of h by w samples."""

    def wrapped(whole: Float[Array, "b n"], period: int) -> Int[Array, "b n"]:
        # A remainder is fast in floating point; exact for whole numbers below 2^24.
        return (whole - period * jnp.floor(whole / period)).astype(jnp.int32)

    top, left = jnp.floor(y), jnp.floor(x)
    rows = [(wrapped(top, h), 1 - (y - top)), (wrapped(top + 1, h), y - top)]
    columns = [(wrapped(left, w), 1 - (x - left)), (wrapped(left + 1, w), x - left)]
    pairs = [(i * w + j, a * b) for i, a in rows for j, b in columns]
    neighbours, weights = (jnp.stack(parts, 1) for parts in zip(*pairs, strict=True))
    return _Places(neighbours, weights)


# A look-up is linear: it and its transpose name each other as their derivatives.


@jax.custom_vjp
def _look_up(samples: Float[Array, "b c m"], places: _Places) -> Float[Array, "b c n"]:
    """Return the weighted sum of each place's neighbours."""
    fetch = jax.vmap(lambda picture, at: picture.at[:, at].get(mode="promise_in_bounds"))
    at, weights = places
    terms = [fetch(samples, at[:, i]) * weights[:, None, i] for i in range(4)]
    return (terms[0] + terms[1]) + (terms[2] + terms[3])


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _spread(values: Float[Array, "b c n"], places: _Places, m: int) -> Float[Array, "b c m"]:
    """Return the transpose of `_look_up` in `m` samples."""

    def one(part: tuple[Float[Array, "c n"], _Places]) -> Float[Array, "c m"]:
        values, (at, weights) = part
        total = jnp.zeros((len(values), m), values.dtype)
        for i in range(4):
            total = total.at[:, at[i]].add(values * weights[None, i], mode="promise_in_bounds")
        return total

    # On a CPU, a whole batch at once takes four times as long as one image after the other.
    return jax.lax.platform_dependent(
        (values, places), cpu=partial(jax.lax.map, one), default=jax.vmap(one)
    )


_look_up.defvjp(
    lambda samples, places: (_look_up(samples, places), (places, samples.shape[2])),
    lambda kept, slopes: (_spread(slopes, *kept), None),
)
_spread.defvjp(
    lambda values, places, m: (_spread(values, places, m), places),
    lambda m, places, slopes: (_look_up(slopes, places), None),
)


def _by_look_up(
    planes: Float[Array, "b c h w"], source: Float[Array, "b 3 3"]
) -> Float[Array, "b c h2 w2"]:
    """Return an image's samples where those of the result come from, one by one."""
    b, c, h, w = planes.shape
    samples = _both_axes(jnp.asarray(_upsampling(h)), jnp.asarray(_upsampling(w)), planes)
    # Sample 2 i is pixel i, and size - 1 the middle.
    ys, xs = (jnp.arange(2 * n + len(SYM6) - 2.0) - _LEAD - (n - 1) for n in (h, w))

    def line(row: Float[Array, "b 3"], size: int) -> Float[Array, "b n"]:
        by_x, by_y, shift = (row[:, i, None, None] for i in range(3))
        place = by_x * xs[None, None] + by_y * ys[None, :, None] + 2 * shift
        return (place + size - 1).reshape(b, -1)

    places = _places(line(source[:, 1], h), line(source[:, 0], w), *samples.shape[2:])
    return _look_up(samples.reshape(b, c, -1), places).reshape(b, c, len(ys), len(xs))


def _by_products(
    planes: Float[Array, "b c h w"], source: Float[Array, "b 3 3"]
) -> Float[Array, "b c h2 w2"]:
    """Return the same by `ada_products`, in place of some ten million look-ups a batch."""
    sizes = planes.shape[2:]
    wanted = [2 * size + len(SYM6) - 2 for size in sizes]
    side = max(wanted)
    # From the middle of the image to that of the places, of which the last are in excess.
    y, x = (jnp.float32((side - 1) / 2 - _LEAD - (size - 1)) for size in sizes)

    def line(row: Float[Array, "b 3"], size: int) -> Float[Array, "b 3"]:
        by_x, by_y, shift = row.T
        return jnp.stack([by_y, by_x, by_x * x + by_y * y + 2 * shift + size - 1], 1)

    up = (partial(_upsampling, sizes[0]), partial(_upsampling, sizes[1]))
    at = affine(line(source[:, 1], sizes[0]), line(source[:, 0], sizes[1]), side)
    return look_up(planes, up, at)[:, :, : wanted[0], : wanted[1]]


# What a TPU does worst is a look-up of single samples; elsewhere products take longer.


@jax.custom_vjp
def _moved(
    planes: Float[Array, "b c h w"], source: Float[Array, "b 3 3"]
) -> Float[Array, "b c h2 w2"]:
    return jax.lax.platform_dependent(planes, source, tpu=_by_products, default=_by_look_up)


@jax.custom_vjp
def _moved_back(
    samples: Float[Array, "b c h2 w2"], source: Float[Array, "b 3 3"]
) -> Float[Array, "b c h w"]:
    """Return the transpose of `_moved`."""
    size = [(n - len(SYM6) + 2) // 2 for n in samples.shape[2:]]
    zeros = jnp.zeros((*samples.shape[:2], *size), samples.dtype)

    def transposed(forth: Callable) -> Callable:
        return lambda samples, source: jax.vjp(lambda x: forth(x, source), zeros)[1](samples)[0]

    forms = {"tpu": transposed(_by_products), "default": transposed(_by_look_up)}
    return jax.lax.platform_dependent(samples, source, **forms)


_moved.defvjp(
    lambda planes, source: (_moved(planes, source), source),
    lambda source, slopes: (_moved_back(slopes, source), None),
)
_moved_back.defvjp(
    lambda samples, source: (_moved_back(samples, source), source),
    lambda source, slopes: (_moved(slopes, source), None),
)


def warp(images: Images, source: Float[Array, "b 3 3"]) -> Images:
    """Move images: twice the resolution, bilinear look-up, and back.

    The wavelet filter is orthogonal: whole steps come out exactly. It isn't quite symmetric, so a
    mirrored image differs a little from its pixels in reverse order.

    Args:
        images: at least 2 pixels wide and high.
        source: where a pixel (x, y, 1) of the result comes from, in pixels from the middle.

    References:
        Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, appendix B:
        lines 33 to 47 of the pseudocode, with padding that is never too little.
    """
    h, w = images.shape[1:3]
    moved = _moved(images.transpose(0, 3, 1, 2), source)
    planes = _both_axes(jnp.asarray(_downsampling(h)), jnp.asarray(_downsampling(w)), moved)
    return planes.transpose(0, 2, 3, 1)


@cache
def _bands() -> Float[np.ndarray, "4 43"]:
    """Filters that keep the bands 0 to 1/8, 1/8 to 1/4, 1/4 to 1/2 and 1/2 to 1 of all frequencies.

    They are symmetric, without delay, and add up to the identity.
    """
    low = np.convolve(SYM2, SYM2[::-1]) / 2
    high = low * (-1.0) ** np.arange(-3, 4)
    bands, rest = [], np.ones(1)  # What passed the lowpass filters so far.
    for octave in range(3):
        spread = np.zeros((2, 6 * 2**octave + 1))
        spread[:, :: 2**octave] = high, low
        bands.insert(0, np.convolve(rest, spread[0]))
        rest = np.convolve(rest, spread[1])
    return np.stack([np.pad(x, (len(rest) - len(x)) // 2) for x in (rest, *bands)])


@cache
def _band_matrices(size: int) -> Float[np.ndarray, "4 size size"]:
    """Return each band's filter of a line that goes on mirrored, as a matrix."""
    bands = _bands()
    matrices = np.zeros((len(bands), size, size), np.float32)
    pixels, reach = np.arange(size), bands.shape[1] // 2
    for tap in range(-reach, reach + 1):
        source = _mirrored(pixels + tap, size)
        matrices[:, pixels, source] += bands[:, tap + reach, None]
    return matrices


def amplify(images: Images, gains: Float[Array, "b 4"]) -> Images:
    """Multiply four bands of frequencies, from the lowest to the highest octave, on either axis.

    References:
        Karras et al., 2020 (see `warp`), appendix B: lines 80 to 88.
    """
    rows, columns = (
        jnp.einsum("bg,gyx->byx", gains, jnp.asarray(_band_matrices(n)), precision="highest")
        for n in images.shape[1:3]
    )
    return _both_axes(rows, columns, images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
