"""Bilinear look-up at the places of an affine map, by products of matrices alone.

A look-up of single samples is what a TPU does worst and a product of matrices what it does best.
The numbers are those of the look-up, on a TPU to less than one gray level.

Output row i and column j look at y = a i + b j + c, x = d i + e j + f. With |b| <= |a| (else rows
and columns change places) column j is first moved by a whole number q of rows, the nearest to
j b / a: i' = i + q. Then y and x are sums of a term of the row i' and a term of the column j, and
the column's term of y spans no more than |a| samples, so few rows of samples serve a whole row i'.
Each of these is a sum of waves, of which a shift is a rotation: by the row's whole samples before
the product with the column's waves, by the column's q after it.
"""

from collections.abc import Callable
from functools import cache, partial, reduce
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Matrix = Callable[[], Float[np.ndarray, "samples pixels"]]  # Hashable, as a matrix is not.
Waves = Float[Array, "... f"]  # By frequency: first what belongs to cosines, then to sines.
Turns = tuple[Float[Array, "... half_f"], Float[Array, "... half_f"]]  # Their cosines and sines.


class Places(NamedTuple):
    """Where to look: y = rows_y + columns_y, x = rows_x + columns_x.

    Attributes:
        rows_y, rows_x: by i'.
        columns_y, columns_x: by j; the least of columns_y is 0.
        shifts: i' - i, by j.
        swapped: whether i is the column of the output, and j its row.
    """

    rows_y: Float[Array, "b m"]
    rows_x: Float[Array, "b m"]
    columns_y: Float[Array, "b n"]
    columns_x: Float[Array, "b n"]
    shifts: Float[Array, "b n"]
    swapped: Bool[Array, " b"]


def affine(y: Float[Array, "b 3"], x: Float[Array, "b 3"], n: int) -> Places:
    """Return n x n places, n even.

    Args:
        y: (a, b, c) of each image, as above, but with i and j from the middle of the places.
        x: (d, e, f) likewise.
        n: of rows and of columns.
    """
    (a, b, c), (d, e, f) = (m.T[:, :, None] for m in (y, x))
    swapped = jnp.abs(b) > jnp.abs(a)
    a, b, d, e = (jnp.where(swapped, *pair) for pair in ((b, a), (a, b), (e, d), (d, e)))
    columns = jnp.arange(n)[None] - (n - 1) / 2
    steps = jnp.round(columns * (b / a))
    rows = jnp.arange(2 * n)[None] - (n - 1) / 2 - n // 2  # Of which each column uses n.
    columns_y = b * columns - a * steps
    least = columns_y.min(1, keepdims=True)
    return Places(
        rows_y=a * rows + c + least,
        rows_x=d * rows + f,
        columns_y=columns_y - least,
        columns_x=e * columns - d * steps,
        shifts=steps + n // 2,
        swapped=swapped[:, 0],
    )


def _frequencies(size: int) -> int:
    """Return how many frequencies are computed with: to a TPU's 128 lanes, so that halves part."""
    return -(-(size // 2 + 1) // 128) * 128


@cache
def analysis(size: int) -> Float[np.ndarray, "size f"]:
    """Return the matrix from periodic samples, an even number, to what multiplies their `waves`."""
    angles = 2 * np.pi * np.outer(np.arange(size), np.arange(_frequencies(size))) / size
    share = np.where(np.arange(_frequencies(size)) < size / 2, 2 / size, 0)
    share[[0, size // 2]] = 1 / size
    return np.concatenate([np.cos(angles) * share, np.sin(angles) * share], 1)


def turns(at: Float[Array, "..."], size: int) -> Turns:
    """Return the cosines and sines of all frequencies of `size` samples, at whole numbers."""
    frequencies = jnp.arange(_frequencies(size), dtype=at.dtype)[(None,) * at.ndim]
    whole = _remainder(at, size)[..., None] * frequencies
    angles = _remainder(whole, size) * (2 * np.pi / size)
    return jnp.cos(angles), jnp.sin(angles)


def waves(at: Float[Array, "..."], size: int) -> Waves:
    """Return the same as one array."""
    return jnp.concatenate(turns(at, size), -1)


def shifted(x: Waves, by: Turns) -> Waves:
    """Return what is x for samples k, for samples k + s; `by` are the `turns` at s."""
    (c, s), (cos, sin) = jnp.split(x, 2, -1), by
    return jnp.concatenate([c * cos + s * sin, s * cos - c * sin], -1)


def _remainder(x: Array, size: int) -> Array:
    return x - size * jnp.floor(x / size)  # Exact for whole numbers below 2^24.


def _hat(x: Array) -> Array:
    return jnp.maximum(1 - jnp.abs(x), 0)


# Three passes of bfloat16 on a TPU: an error of about 1e-5.
_dot = partial(jnp.einsum, precision="high")


class _Tables(NamedTuple):
    """What all rows of samples have in common, see `Places`."""

    rows: Float[Array, "b m"]  # The first row of samples.
    y: Float[Array, "b m n"]  # From there.
    x: Float[Array, "b m n"]  # From the whole sample.
    by_row: Turns  # At the whole samples of x.
    by_column: tuple[Waves, ...]  # Likewise, and how those one and two samples on differ from it.


def _tables(at: Places, size: int) -> _Tables:
    first, whole_row, whole_column = map(jnp.floor, (at.rows_y, at.rows_x, at.columns_x))
    sums = lambda rows, columns: rows[..., None] + columns[..., None, :]  # noqa: E731
    here = waves(whole_column, size)
    on = (shifted(here, turns(jnp.full((1, 1), -m, here.dtype), size)) for m in (1, 2))
    tables = _Tables(
        first,
        sums(at.rows_y - first, at.columns_y),
        sums(at.rows_x - whole_row, at.columns_x - whole_column),
        turns(whole_row, size),
        (here, *(there - here for there in on)),
    )
    return jax.lax.optimization_barrier(tables)  # Or they are computed again in each turn.


def _one_row(
    p: int | Int[Array, ""],
    spectra: Waves,
    at: _Tables,
    up: Array,
    size: int,
    together: bool,
) -> Float[Array, "b c m n"]:
    """Return what the p-th of the rows of samples that serve a row of places adds to each.

    A place has the first of its neighbours, since their weights add up to 1, and of the others what
    they differ by: so little that one pass of bfloat16, a TPU's default, does for it.

    Args:
        p: 0 is the first, as a number that is known when this is traced.
        spectra: of each row of pixels, at the samples' resolution, [b c h f].
        at: the places.
        up: from rows of pixels to rows of samples.
        size: the samples of a row.
        together: in one product, whose transpose is faster, in place of three that are.
    """

    def one(p: int | Int[Array, ""]) -> Float[Array, "b m s"]:
        row = _remainder(at.rows + p, len(up))[..., None] == jnp.arange(len(up))[None, None]
        return row.astype(up.dtype)

    first = isinstance(p, int) and p == 0
    precision, weights = ("high", jnp.ones_like(at.y)) if first else (None, _hat(at.y - p))
    taps = _dot("bms,sh->bmh", one(0) if first else one(p) - one(0), up)
    found = jnp.einsum("bmh,bchf->bcmf", taps, spectra, precision=precision)
    found = shifted(found, (at.by_row[0][:, None], at.by_row[1][:, None]))
    if together:
        m = jnp.arange(3, dtype=up.dtype)[None, None, :, None]
        weights = weights[:, :, None] * jnp.where(m > 0, _hat(at.x[:, :, None] - m), 1)
        by = jnp.stack(at.by_column, 1)
        each = jnp.einsum("bcmf,bknf->bcmkn", found, by, precision=precision)
        return (each * weights[:, None]).sum(3)
    total = jnp.einsum("bcmf,bnf->bcmn", found, at.by_column[0], precision=precision)
    for m, by in enumerate(at.by_column[1:], 1):
        more = jnp.einsum("bcmf,bnf->bcmn", found, by)
        total += more * _hat(at.x - m)[:, None]
    return total * weights[:, None]


def _sum(term: Callable[[Any], Array], at: Places, apart: int) -> Array:
    """Return the sum over as many rows of samples as serve a row of places.

    So many of them stand before the loop, for speed: one too many would add nothing.
    """
    count = jnp.ceil(at.columns_y.max()).astype(jnp.int32) + 2
    total = reduce(jnp.add, map(term, range(apart)))
    return jax.lax.fori_loop(apart, count, lambda p, total: total + term(p), total)


# Linear in the spectra: it and its transpose name each other as their derivatives, since a loop
# of no fixed length has none.


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _found(spectra: Waves, at: Places, up: Matrix, size: int) -> Float[Array, "b c m n"]:
    """Return the samples at places (i', j)."""
    tables, matrix = _tables(at, size), jnp.asarray(up(), at.rows_y.dtype)
    return _sum(lambda p: _one_row(p, spectra, tables, matrix, size, False), at, 1)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _spread(values: Float[Array, "b c m n"], at: Places, up: Matrix, size: int) -> Waves:
    """Return the transpose of `_found`."""
    tables, matrix = _tables(at, size), jnp.asarray(up(), at.rows_y.dtype)
    shape = (*values.shape[:2], matrix.shape[1], 2 * _frequencies(size))
    like = jax.ShapeDtypeStruct(shape, values.dtype)

    def back(p: Any) -> Waves:
        forth = lambda spectra: _one_row(p, spectra, tables, matrix, size, True)  # noqa: E731
        return jax.linear_transpose(forth, like)(values)[0]

    return _sum(back, at, 3)


_found.defvjp(
    lambda spectra, at, up, size: (_found(spectra, at, up, size), at),
    lambda up, size, at, slopes: (_spread(slopes, at, up, size), None),
)
_spread.defvjp(
    lambda values, at, up, size: (_spread(values, at, up, size), at),
    lambda up, size, at, slopes: (_found(slopes, at, up, size), None),
)


def look_up(
    planes: Float[Array, "b c h w"], up: tuple[Matrix, Matrix], at: Places
) -> Float[Array, "b c n n"]:
    """Return samples, each the weighted sum of a place's four neighbours.

    Args:
        planes: pixels.
        up: give the matrices from the pixels of a column, and of a row, to a period of samples, an
            even number.
        at: the places.
    """
    rows, columns = up
    size, dtype = len(columns()), planes.dtype
    at = at._replace(**{k: v.astype(dtype) for k, v in at._asdict().items() if k != "swapped"})
    to_waves = jnp.asarray(columns().T @ analysis(size), dtype)
    found = cast(Array, _found(_dot("bchw,wf->bchf", planes, to_waves), at, rows, size))
    m, n = found.shape[2:]
    found = _dot("bcmn,mf->bcnf", found, jnp.asarray(analysis(m), dtype))
    found = shifted(found, turns(at.shifts[:, None], m))
    found = _dot("bcnf,if->bcin", found, waves(jnp.arange(n, dtype=dtype), m))
    return jnp.where(at.swapped[:, None, None, None], found.swapaxes(2, 3), found)
