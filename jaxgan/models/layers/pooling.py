"""Pooling: the greatest of each window, and means over any number of windows."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, UInt


class Windows(NamedTuple):
    """Square windows over images of one size."""

    size: tuple[int, int]  # Of the images.
    side: int
    stride: int
    padding: int
    ceil: bool

    def counts(self) -> list[int]:
        """Return how many there are, vertically and horizontally."""
        found = []
        for size in self.size:
            steps = size + 2 * self.padding - self.side
            count = (-(-steps // self.stride) if self.ceil else steps // self.stride) + 1
            # A window may not start in the padding.
            found.append(count - ((count - 1) * self.stride >= size + self.padding))
        return found

    def edges(self) -> list[tuple[int, int]]:
        """Return what to add before and after, vertically and horizontally; < 0 is to leave out."""
        return [
            (self.padding, (n - 1) * self.stride + self.side - size - self.padding)
            for n, size in zip(self.counts(), self.size, strict=True)
        ]


def max_pool(
    x: Float[Array, "b h w c"], window: int, stride: int, padding: int = 0, *, ceil: bool = False
) -> Float[Array, "b h2 w2 c"]:
    """Return the greatest of each window; its gradient goes to the first of equals, as in PyTorch.

    Can be differentiated in reverse any number of times, but not forward (jvp).

    Args:
        x: images or features.
        window: its side.
        stride: from one window to the next.
        padding: on each side, with -inf.
        ceil: also takes the last, incomplete window of each row and column, as `ceil_mode` does.
    """
    windows = Windows((x.shape[1], x.shape[2]), window, stride, padding, ceil)
    return _greatest(x, windows)


# The places of the greatest, a byte each, are all that the gradient needs: on a CPU XLA's own way,
# which compares again (select-and-scatter), and masks that are kept take 4 times and twice as long.
# On a TPU its own way is 3 to 20 times as fast as the places.


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _greatest(x: Float[Array, "b h w c"], windows: Windows) -> Float[Array, "b h2 w2 c"]:
    return _forward(x, windows)[0]


def _forward(x: Array, windows: Windows) -> tuple[Array, tuple[Array, Array]]:
    """Return the greatest of each window, and what the gradient needs: x and the places."""

    def without_places(x: Array) -> tuple[Array, Array]:
        y = _by_xla(x, windows)
        return y, jnp.zeros(y.shape, _place_type(windows))

    found = partial(_with_places, windows=windows)
    y, at = lax.platform_dependent(x, tpu=without_places, default=found)
    return y, (x, at)


def _backward(windows: Windows, kept: tuple[Array, Array], g: Array) -> tuple[Array]:
    def by_xla(x: Array, at: Array, g: Array) -> Array:
        return jax.vjp(lambda x: _by_xla(x, windows), x)[1](g)[0]

    def by_places(x: Array, at: Array, g: Array) -> Array:
        return _put_back(g, at, windows)

    return (lax.platform_dependent(*kept, g, tpu=by_xla, default=by_places),)


_greatest.defvjp(_forward, _backward)


def _by_xla(x: Float[Array, "b h w c"], windows: Windows) -> Float[Array, "b h2 w2 c"]:
    side, stride = windows.side, windows.stride
    edges = [(0, 0), *((before, max(after, 0)) for before, after in windows.edges()), (0, 0)]
    sides, strides = (1, side, side, 1), (1, stride, stride, 1)
    return lax.reduce_window(x, -np.inf, lax.max, sides, strides, edges)


def _place_type(windows: Windows) -> np.dtype:
    return np.min_scalar_type(windows.side**2 - 1)


def _with_places(
    x: Float[Array, "b h w c"], windows: Windows
) -> tuple[Float[Array, "b h2 w2 c"], UInt[Array, "b h2 w2 c"]]:
    """Return the greatest of each window, and which of its places, in reading order,
    has it first.
    """
    side, stride = windows.side, windows.stride
    lasts = [(n - 1) * stride for n in windows.counts()]
    edges = [(0, 0, 0), *((*edge, 0) for edge in windows.edges()), (0, 0, 0)]
    x = lax.pad(x, jnp.array(-jnp.inf, x.dtype), edges)

    def seen(place: int) -> Array:
        v, h = divmod(place, side)
        return x[:, v : v + lasts[0] + 1 : stride, h : h + lasts[1] + 1 : stride]

    best = seen(0)
    at = jnp.zeros(best.shape, _place_type(windows))
    for place in range(1, side**2):
        other = seen(place)
        better = (other > best) | jnp.isnan(other)
        best = jnp.where(better, other, best)
        at = jnp.where(better, jnp.array(place, at.dtype), at)
    return best, at


def _put_back(
    g: Float[Array, "b h2 w2 c"], at: UInt[Array, "b h2 w2 c"], windows: Windows
) -> Float[Array, "b h w c"]:
    """Return the sum of what each window gives to the place that had its greatest.

    By the phases of the stride: position i of the padded image is place t of window o where
    i = stride * o + t, so each phase i % stride has places of its own.
    """
    size, side, stride, padding, _ = windows
    before = (side - 1) // stride  # So many windows to the left still see a block.
    blocks = [-(-(n + padding) // stride) for n in size]
    edges = [(before, n - count, 0) for n, count in zip(blocks, g.shape[1:3], strict=True)]
    g, at = (lax.pad(a, jnp.zeros((), a.dtype), ((0, 0, 0), *edges, (0, 0, 0))) for a in (g, at))

    def phase(v: int, h: int) -> Array:
        total = jnp.zeros((g.shape[0], *blocks, g.shape[3]), g.dtype)
        for row in range(v, side, stride):
            for column in range(h, side, stride):
                top, left = before - row // stride, before - column // stride
                part = np.s_[:, top : top + blocks[0], left : left + blocks[1]]
                total += jnp.where(at[part] == row * side + column, g[part], 0)
        return total

    x = jnp.stack(
        [jnp.stack([phase(v, h) for h in range(stride)], axis=3) for v in range(stride)], axis=2
    )
    x = x.reshape(g.shape[0], blocks[0] * stride, blocks[1] * stride, g.shape[3])
    return x[:, padding : padding + size[0], padding : padding + size[1]]


def adaptive_avg_pool(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b n n c"]:
    """Means of size x size windows that cover any image, overlapping where they must (PyTorch's).

    Args:
        x: images or features, smaller than `size` x `size` too.
        size: of the output.
    """

    def matrix(n: int) -> Array:
        means = np.zeros((size, n), np.float32)
        for i in range(size):
            window = slice(i * n // size, -(-(i + 1) * n // size))
            means[i, window] = 1 / (window.stop - window.start)
        return jnp.asarray(means, x.dtype)

    if x.shape[1] != size:
        x = jnp.einsum("ih,bhwc->biwc", matrix(x.shape[1]), x)
    if x.shape[2] != size:  # Else XLA finds no tiles on a GPU for a product that changes nothing.
        x = jnp.einsum("jw,biwc->bijc", matrix(x.shape[2]), x)
    return x
