"""Resampling with the filter [1, 3, 3, 1]: StyleGAN2's ways between sizes.

Every function here is linear with a fixed filter, and its derivative names its transpose, which is
another of them: any order of differentiation is as fast as the first.

References:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020, appendix B.
    Zhang, Making Convolutional Networks Shift-Invariant Again, 2019.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.models.layers.convolution import Geometry, conv, input_gradient

Features = Float[Array, "b h w c"]
Other = Float[Array, "b h2 w2 o"]  # Features of another size or number.
TAPS = (0.125, 0.375, 0.375, 0.125)  # Of sum 1, in each direction.


def _padded(x: Features, axis: int, low: int, high: int) -> Other:
    edges = [(0, 0, 0)] * 4
    edges[axis] = (low, high, 0)
    return lax.pad(x, jnp.zeros((), x.dtype), edges)


def _smooth_axis(x: Features, axis: int, low: int, high: int, gain: float) -> Other:
    x = _padded(x, axis, low, high)
    size = x.shape[axis] - 3
    a, b, c, d = (lax.slice_in_dim(x, t, t + size, axis=axis) for t in range(4))
    return (a + d) * (gain * TAPS[0]) + (b + c) * (gain * TAPS[1])


@partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def smooth(x: Features, low: int, high: int, gain: float = 1.0) -> Other:
    """Return the filter at every pixel: [b, h + low + high - 3, w + low + high - 3, c].

    Args:
        x: images or features.
        low: zeros before the first row and column; negative ones cut off.
        high: zeros after the last row and column; negative ones cut off.
        gain: of the whole, its root in each direction.
    """
    for axis in (1, 2):
        x = _smooth_axis(x, axis, low, high, gain**0.5)
    return x


smooth.defvjp(
    lambda x, low, high, gain: (smooth(x, low, high, gain), None),
    lambda low, high, gain, _, g: (smooth(g, 3 - low, 3 - high, gain),),
)


def _up_axis(x: Features, axis: int, gain: float) -> Other:
    size = x.shape[axis]
    x = _padded(x, axis, 1, 1)
    before, here, after = (lax.slice_in_dim(x, t, t + size, axis=axis) for t in range(3))
    near = here * (gain * TAPS[1])
    phases = (before * (gain * TAPS[0]) + near, near + after * (gain * TAPS[3]))
    shape = list(here.shape)
    shape[axis] *= 2
    return jnp.stack(phases, axis=axis + 1).reshape(shape)


def _down_axis(x: Features, axis: int, gain: float) -> Other:
    size = x.shape[axis]
    x = _padded(x, axis, 1, 1)
    a, b, c, d = (lax.slice_in_dim(x, t, t + size - 1, stride=2, axis=axis) for t in range(4))
    return (a + d) * (gain * TAPS[0]) + (b + c) * (gain * TAPS[1])


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def upsample(x: Features, gain: float = 4.0) -> Other:
    """Twice the size: zeros between the pixels, then the filter.

    Args:
        x: images or features.
        gain: of the whole; 4 makes up for the zeros.
    """
    for axis in (1, 2):
        x = _up_axis(x, axis, gain**0.5)
    return x


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def downsample(x: Features, gain: float = 1.0) -> Other:
    """Half the size: the filter, then every other pixel. x has even sides."""
    for axis in (1, 2):
        x = _down_axis(x, axis, gain**0.5)
    return x


upsample.defvjp(
    lambda x, gain: (upsample(x, gain), None), lambda gain, _, g: (downsample(g, gain),)
)
downsample.defvjp(
    lambda x, gain: (downsample(x, gain), None), lambda gain, _, g: (upsample(g, gain),)
)


def conv_up(x: Features, kernel: Float[Array, "kh kw c o"]) -> Other:
    """Return a transposed 3 x 3 convolution of stride 2, then the filter: twice the size.

    Args:
        x: of the dtype of `kernel`.
        kernel: HWIO, as `convolution.conv_transpose` takes it.
    """
    # It puts out 2 h + 1 rows; with one of zeros after them the phases of the stride are equal.
    size = (2 * x.shape[1] + 2, 2 * x.shape[2] + 2)
    x = input_gradient(x, kernel.swapaxes(2, 3), Geometry(size, (3, 3), (2, 2), (0, 0)))
    return smooth(x, 1, 0, 4.0)


def conv_down(x: Features, kernel: Float[Array, "kh kw c o"]) -> Other:
    """Return the filter, then a 3 x 3 convolution of stride 2: half the size. x has even sides.

    Args:
        x: of the dtype of `kernel`.
        kernel: HWIO.
    """
    # One row and column more than it needs: the phases of the stride are equal.
    return conv(smooth(x, 2, 3), kernel, 2)
