"""Convolutions that are fast on CPU, GPU and TPU alike, in every derivative.

Every kernel is HWIO: (height, width, features in, features out) of its own layer, transposed
convolutions included, and is not mirrored: PyTorch's weights need only their axes reordered.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Kernel = Float[Array, "kh kw i o"]
Pair = tuple[int, int]
LAYOUT = ("NHWC", "HWIO", "NHWC")


class Geometry(NamedTuple):
    """What a convolution needs to know besides its operands: (vertical, horizontal) each."""

    size: Pair  # Of the input: a stride forgets it.
    kernel: Pair
    stride: Pair
    padding: Pair  # On both sides alike.


# A convolution and its two gradients are the faces of one trilinear form, <conv(x, k), g>. Each
# face's rule names the other two, so every order of differentiation runs these three and no other:
# what XLA derives itself for the filter of a transposed convolution, or of a second derivative,
# is 20 to 60 times slower on a CPU.


def _lax_conv(x: Array, k: Array, geometry: Geometry) -> Array:
    padding = [(p, p) for p in geometry.padding]
    return lax.conv_general_dilated(x, k, geometry.stride, padding, dimension_numbers=LAYOUT)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def forward(x: Array, k: Array, geometry: Geometry) -> Array:
    """Return the convolution of x [b, h, w, i] with k [kh, kw, i, o]."""
    return _lax_conv(x, k, geometry)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def input_gradient(g: Array, k: Array, geometry: Geometry) -> Array:
    """Return the gradient of <forward(x, k), g> by x, which is the transposed convolution of g."""
    if geometry.stride == (1, 1) or not _interleaves(geometry):
        return _lax_transpose(g, k, geometry)
    return lax.platform_dependent(
        g,
        k,
        cpu=lambda g, k: _by_phases(g, k, geometry),
        default=lambda g, k: _lax_transpose(g, k, geometry),
    )


def _lax_transpose(g: Array, k: Array, geometry: Geometry) -> Array:
    x = jax.ShapeDtypeStruct((g.shape[0], *geometry.size, k.shape[2]), g.dtype)
    return jax.linear_transpose(lambda x: _lax_conv(x, k, geometry), x)(g)[0]


def _interleaves(geometry: Geometry) -> bool:
    """Return whether each phase of the stride has taps of the kernel and equally many positions."""
    size, kernel, stride, _ = geometry
    return all(n % s == 0 and k >= s for n, k, s in zip(size, kernel, stride, strict=True))


def _by_phases(g: Array, k: Array, geometry: Geometry) -> Array:
    """Return the transposed convolution, apart for each phase of the stride.

    Position i of x meets tap t of the kernel at i + padding = stride * o + t, so each phase
    (i + padding) % stride has taps of its own. XLA's way, zeros between the positions of g and the
    whole kernel, takes stride^2 times the multiplications, and twice the time on a CPU.
    """
    (sh, sw), (height, width) = geometry.stride, geometry.size
    # The first tap of each phase, and the position of g that it meets first.
    rows, columns = (
        [((i + p) % stride, (i + p) // stride) for i in range(stride)]
        for stride, p in zip(geometry.stride, geometry.padding, strict=True)
    )
    few = k.shape[2] <= 32
    # With few features a convolution is all overhead: one product with all taps, then sums of it.
    products: Any = jnp.einsum("bhwo,xyio->bhwxyi", g, k) if few else None

    def summed(v: int, low_v: int, h: int, low_h: int) -> Array:
        total = jnp.zeros((g.shape[0], height // sh, width // sw, k.shape[2]), g.dtype)
        for a, x in enumerate(range(v, k.shape[0], sh)):
            for c, y in enumerate(range(h, k.shape[1], sw)):
                top, left = a - low_v, c - low_h
                edges = (
                    (top, total.shape[1] - top - g.shape[1], 0),
                    (left, total.shape[2] - left - g.shape[2], 0),
                )
                zero = jnp.zeros((), g.dtype)
                total += lax.pad(products[:, :, :, x, y], zero, ((0, 0, 0), *edges, (0, 0, 0)))
        return total

    def convolved(v: int, low_v: int, h: int, low_h: int) -> Array:
        taps = k[v::sh, h::sw][::-1, ::-1].swapaxes(2, 3)
        edges = [
            (n - 1 - low, size - 1 + low - (outputs - 1))
            for n, low, size, outputs in (
                (taps.shape[0], low_v, height // sh, g.shape[1]),
                (taps.shape[1], low_h, width // sw, g.shape[2]),
            )
        ]
        return lax.conv_general_dilated(g, taps, (1, 1), edges, dimension_numbers=LAYOUT)

    phase = summed if few else convolved
    x = jnp.stack([jnp.stack([phase(*r, *c) for c in columns], axis=3) for r in rows], axis=2)
    return x.reshape(g.shape[0], height, width, k.shape[2])


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def kernel_gradient(x: Array, g: Array, geometry: Geometry) -> Array:
    """Return the gradient of <forward(x, k), g> by k."""
    k = jax.ShapeDtypeStruct((*geometry.kernel, x.shape[3], g.shape[3]), g.dtype)
    return jax.linear_transpose(lambda k: _lax_conv(x, k, geometry), k)(g)[0]


forward.defvjp(
    lambda x, k, geometry: (forward(x, k, geometry), (x, k)),
    lambda geometry, xk, g: (
        input_gradient(g, xk[1], geometry),
        kernel_gradient(xk[0], g, geometry),
    ),
)
input_gradient.defvjp(
    lambda g, k, geometry: (input_gradient(g, k, geometry), (g, k)),
    lambda geometry, gk, x: (forward(x, gk[1], geometry), kernel_gradient(x, gk[0], geometry)),
)
kernel_gradient.defvjp(
    lambda x, g, geometry: (kernel_gradient(x, g, geometry), (x, g)),
    lambda geometry, xg, k: (input_gradient(xg[1], k, geometry), forward(xg[0], k, geometry)),
)


def _patches(x: Array, geometry: Geometry) -> Array:
    """Return what each window sees, [b, h2, w2, kh * kw * i]: a convolution of it is one dot."""
    vertical, horizontal = ((p, p) for p in geometry.padding)
    x = jnp.pad(x, ((0, 0), vertical, horizontal, (0, 0)))
    (kh, kw), (sh, sw) = geometry.kernel, geometry.stride
    height, width = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    shifts = [x[:, i : i + height : sh, j : j + width : sw] for i in range(kh) for j in range(kw)]
    return jnp.concatenate(shifts, axis=3)


def pair(n: int | Pair) -> Pair:
    return (n, n) if isinstance(n, int) else n


def conv(
    x: Float[Array, "b h w i"], kernel: Kernel, stride: int | Pair = 1, padding: int | Pair = 0
) -> Float[Array, "b h2 w2 o"]:
    """Convolves (in the sense of the field: correlates), like PyTorch's Conv2d.

    Can be differentiated in reverse any number of times, but not forward (jvp).

    Args:
        x: of the dtype of `kernel`.
        kernel: HWIO.
        stride: of both axes or (vertical, horizontal).
        padding: zeros on each side, of both axes or (vertical, horizontal).
    """
    size, window = (x.shape[1], x.shape[2]), (kernel.shape[0], kernel.shape[1])
    stride, padding = pair(stride), pair(padding)
    if window == (1, 1) and stride == (1, 1) and padding == (0, 0):
        return x @ kernel[0, 0]
    if window == size and padding == (0, 0):
        x = x.reshape(x.shape[0], 1, 1, -1)
        return x @ kernel.reshape(-1, kernel.shape[3])
    geometry = Geometry(size, window, stride, padding)
    if min(size) < max(window):
        # XLA swaps an input with a larger kernel, off its fast path on a CPU: 10 times slower.
        return _patches(x, geometry) @ kernel.reshape(-1, kernel.shape[3])
    return forward(x, kernel, geometry)


def conv_transpose(
    x: Float[Array, "b h w i"], kernel: Kernel, stride: int | Pair = 1, padding: int | Pair = 0
) -> Float[Array, "b h2 w2 o"]:
    """Return the transposed convolution, as ConvTranspose2d: to stride (size - 1) + kernel - 2
    padding.

    Can be differentiated in reverse any number of times, but not forward (jvp).

    Args:
        x: of the dtype of `kernel`.
        kernel: HWIO, (kh, kw, features of x, features of the output).
        stride: of both axes or (vertical, horizontal).
        padding: cut off from each side, of both axes or (vertical, horizontal).
    """
    size, window = (x.shape[1], x.shape[2]), (kernel.shape[0], kernel.shape[1])
    stride, padding = pair(stride), pair(padding)
    if size == (1, 1) and padding == (0, 0):
        return jnp.einsum("bi,hwio->bhwo", x[:, 0, 0], kernel)
    height, width = (
        s * (n - 1) + k - 2 * p for n, k, s, p in zip(size, window, stride, padding, strict=True)
    )
    return input_gradient(
        x, kernel.swapaxes(2, 3), Geometry((height, width), window, stride, padding)
    )
