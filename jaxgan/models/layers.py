"""Convolutions that are fast on CPU, GPU and TPU alike, and normalisation.

Every kernel is HWIO: (height, width, features in, features out) of its own layer, transposed
convolutions included, and is not mirrored: PyTorch's weights need only their axes reordered.
"""

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxgan import noise
from jaxgan.types import PRNGKey

Kernel = Float[Array, "kh kw i o"]
Pair = tuple[int, int]
LAYOUT = ("NHWC", "HWIO", "NHWC")
CONVOLVED = "convolved"  # What `remat` keeps.


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
    """The convolution of x [b, h, w, i] with k [kh, kw, i, o]."""
    return _lax_conv(x, k, geometry)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def input_gradient(g: Array, k: Array, geometry: Geometry) -> Array:
    """The gradient of <forward(x, k), g> by x, which is the transposed convolution of g."""
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
    """Whether each phase of the stride has taps of the kernel and equally many positions."""
    size, kernel, stride, _ = geometry
    return all(n % s == 0 and k >= s for n, k, s in zip(size, kernel, stride, strict=True))


def _by_phases(g: Array, k: Array, geometry: Geometry) -> Array:
    """The transposed convolution, apart for each phase of the stride.

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
    """The gradient of <forward(x, k), g> by k."""
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
    """What each window sees, [b, h2, w2, kh * kw * i]: a convolution of it is one dot."""
    vertical, horizontal = ((p, p) for p in geometry.padding)
    x = jnp.pad(x, ((0, 0), vertical, horizontal, (0, 0)))
    (kh, kw), (sh, sw) = geometry.kernel, geometry.stride
    height, width = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    shifts = [x[:, i : i + height : sh, j : j + width : sw] for i in range(kh) for j in range(kw)]
    return jnp.concatenate(shifts, axis=3)


def _pair(n: int | Pair) -> Pair:
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
    stride, padding = _pair(stride), _pair(padding)
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
    """The transposed convolution, as ConvTranspose2d: to stride (size - 1) + kernel - 2 padding.

    Can be differentiated in reverse any number of times, but not forward (jvp).

    Args:
        x: of the dtype of `kernel`.
        kernel: HWIO, (kh, kw, features of x, features of the output).
        stride: of both axes or (vertical, horizontal).
        padding: cut off from each side, of both axes or (vertical, horizontal).
    """
    size, window = (x.shape[1], x.shape[2]), (kernel.shape[0], kernel.shape[1])
    stride, padding = _pair(stride), _pair(padding)
    if size == (1, 1) and padding == (0, 0):
        return jnp.einsum("bi,hwio->bhwo", x[:, 0, 0], kernel)
    height, width = (
        s * (n - 1) + k - 2 * p for n, k, s, p in zip(size, window, stride, padding, strict=True)
    )
    return input_gradient(
        x, kernel.swapaxes(2, 3), Geometry((height, width), window, stride, padding)
    )


def uniform(fan_in: int) -> nn.initializers.Initializer:
    """PyTorch's default for weights and biases: U(-1, 1) / sqrt(fan_in)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in)
    )


def around_one(key: PRNGKey, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """DCGAN's scales of normalisations: N(1, .02)."""
    return 1 + nn.initializers.normal(0.02)(key, shape, dtype)


class Conv(nn.Module):
    """A convolution with its weights in float32, computed in `dtype`.

    Attributes:
        spectral_norm: divide the kernel by its largest singular value; training mode moves the
            estimate of it, `u` in `batch_stats`, by one power iteration.
    """

    features: int
    window: int | Pair
    stride: int | Pair = 1
    padding: int | Pair = 0
    use_bias: bool = False
    kernel_init: nn.initializers.Initializer | None = None
    dtype: Any = jnp.float32
    spectral_norm: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w i"], train: bool = False
    ) -> Float[Array, "b h2 w2 o"]:
        """x [b, h, w, i] to [b, h2, w2, features] in `dtype`."""
        shape = (*_pair(self.window), x.shape[3], self.features)
        default = uniform(math.prod(shape[:3]))
        kernel = self.param("kernel", self.kernel_init or default, shape)
        if self.spectral_norm:
            first = lambda: power_iteration(kernel, self.make_rng("params"))  # noqa: E731
            u = self.variable("batch_stats", "u", first)
            moved, sigma = largest_singular_value(kernel, u.value)
            if train and not self.is_initializing():
                u.value = moved
            kernel = kernel / sigma
        x = conv(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.padding)
        if self.use_bias:
            bias = self.param("bias", default, (self.features,))
            x += bias.astype(self.dtype)[None, None, None]
        return checkpoint_name(x, CONVOLVED)


class ConvTranspose(nn.Module):
    """A transposed convolution with its weights in float32, computed in `dtype`."""

    features: int
    window: int | Pair
    stride: int | Pair = 1
    padding: int | Pair = 0
    dtype: Any = jnp.float32
    kernel_init: nn.initializers.Initializer | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
        """x [b, h, w, i] to [b, h2, w2, features] in `dtype`."""
        shape = (*_pair(self.window), x.shape[3], self.features)
        # PyTorch takes the fan in of the convolution that this one transposes.
        default = uniform(math.prod(shape[:2]) * self.features)
        kernel = self.param("kernel", self.kernel_init or default, shape)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        return checkpoint_name(conv_transpose(x, kernel, self.stride, self.padding), CONVOLVED)


def largest_singular_value(
    kernel: Kernel, u: Float[Array, " o"]
) -> tuple[Float[Array, " o"], Float[Array, ""]]:
    """One power iteration: the next u, and sigma of the kernel as a matrix [kh * kw * i, o].

    Only sigma has a gradient, by the kernel alone.

    References:
        Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018,
        algorithm 1 (its u and v change places: our matrix is the transposed one).
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    fixed = jax.lax.stop_gradient(matrix)
    v = _unit(fixed @ u)
    u = _unit(v @ fixed)
    return u, v @ matrix @ u


def power_iteration(kernel: Kernel, key: PRNGKey, turns: int = 15) -> Float[Array, " o"]:
    """Where spectral normalisation begins: u after some turns, as in PyTorch."""
    u = _unit(jax.random.normal(key, kernel.shape[-1:]))
    turn = lambda i, u: largest_singular_value(kernel, u)[0]  # noqa: E731
    return jax.lax.fori_loop(0, turns, turn, u)


def _unit(x: Float[Array, " n"]) -> Float[Array, " n"]:
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)


@lru_cache  # One class, so that equal modules are equal.
def remat(module: type[nn.Module]) -> type[nn.Module]:
    """The module (images or latents, train), which keeps only what its convolutions put out.

    What lies between them (normalisation, activations), more than half of it all, is computed
    again for the gradients.
    """
    policy = jax.checkpoint_policies.save_only_these_names(CONVOLVED)
    return nn.remat(module, policy=policy, static_argnums=(2,))


class Dropout(nn.Module):
    """Each example's mask comes from its own key (rng "dropout"), on whichever device it is.

    Attributes:
        rate: the share of zeros.
        axis_name: the `pmap` axis over which the batch is split, if any.
        channels: drop whole channels (Tompson et al., Efficient Object Localization Using
            Convolutional Networks, 2015), PyTorch's Dropout2d, rather than single values.
    """

    rate: float
    axis_name: str | None = None
    channels: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b ..."], train: bool) -> Float[Array, "b ..."]:
        """x, or in training x / (1 - rate) with probability 1 - rate and else 0."""
        if not train or self.rate == 0:
            return x
        shape = (len(x), *(1,) * (x.ndim - 2), x.shape[-1]) if self.channels else x.shape
        u = noise.uniform(self.make_rng("dropout"), shape, self.axis_name)
        return jnp.where(u < self.rate, 0, x / (1 - self.rate))


# PyTorch's momentum of 0.1 is our 0.9. The running variance is the biased one, as always in flax.
BatchNorm = partial(nn.BatchNorm, epsilon=1e-5, momentum=0.9)
InstanceNorm = partial(nn.InstanceNorm, epsilon=1e-5, use_fast_variance=False)
