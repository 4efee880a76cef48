"""Affine maps of pixels and of colours, as `ada` draws them: one matrix per image.

References:
    Karras et al., Training Generative Adversarial Networks with Limited Data, 2020, appendix B.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Row = Float[Array, " b"]
Values = Float[Array, "k b"]  # Draws from U[0, 1), called u, or from N(0, 1), called n.
Size = tuple[int, int]  # Height and width.
Matrices = Float[Array, "b n n"]

# Of pixels (x, y, 1), about the middle of the image, y downwards. All are *inverse*: from a pixel
# of the result to where it lies in the image.


def _affine(xx: Row, xy: Row, yx: Row, yy: Row, x: Row, y: Row) -> Matrices:
    zero, one = jnp.zeros_like(xx), jnp.ones_like(xx)
    return jnp.stack([xx, xy, x, yx, yy, y, zero, zero, one], 1).reshape(-1, 3, 3)


def _scale(x: Row, y: Row) -> Matrices:
    zero = jnp.zeros_like(x)
    return _affine(1 / x, zero, zero, 1 / y, zero, zero)


def _rotate(cos: Row, sin: Row) -> Matrices:
    zero = jnp.zeros_like(cos)
    return _affine(cos, -sin, sin, cos, zero, zero)


def _translate(x: Row, y: Row) -> Matrices:
    zero, one = jnp.zeros_like(x), jnp.ones_like(x)
    return _affine(one, zero, zero, one, -x, -y)


def _flip(u: Values, size: Size) -> Matrices:
    side = 1 - 2 * jnp.floor(2 * u[0])
    return _scale(side, jnp.ones_like(side))


def _turn(u: Values, size: Size) -> Matrices:
    angle = jnp.floor(4 * u[0]) * (np.pi / 2)
    return _rotate(jnp.round(jnp.cos(angle)), jnp.round(jnp.sin(angle)))


def _shift(u: Values, size: Size) -> Matrices:
    h, w = size
    x, y = (2 * u - 1) * 0.125
    return _translate(jnp.round(x * w), jnp.round(y * h))


def _zoom(n: Values, size: Size) -> Matrices:
    s = jnp.exp2(0.2 * n[0])  # Lognormal(0, (.2 ln 2)^2).
    return _scale(s, s)


def _rotation(u: Values, size: Size) -> Matrices:
    angle = (2 * u[0] - 1) * np.pi
    return _rotate(jnp.cos(angle), jnp.sin(angle))


def _stretch(n: Values, size: Size) -> Matrices:
    s = jnp.exp2(0.2 * n[0])
    return _scale(s, 1 / s)


def _move(n: Values, size: Size) -> Matrices:
    h, w = size
    return _translate(0.125 * w * n[0], 0.125 * h * n[1])


PIXELS: dict[str, Callable[[Values, Size], Matrices]] = {
    "flip": _flip,
    "turn": _turn,
    "shift": _shift,
    "scale": _zoom,
    "rotate": _rotation,
    "stretch": _stretch,
    "rotate_again": _rotation,
    "move": _move,
}

# Of colours (r, g, b, 1): sums of these. v = (1, 1, 1, 0) / sqrt(3) is the axis of brightness.
_RGB = np.diag([1.0, 1, 1, 0])
_LAST = np.diag([0.0, 0, 0, 1])
_OFFSET = np.array([[0.0, 0, 0, 1]] * 3 + [[0] * 4])
_GRAY = np.array([[1 / 3, 1 / 3, 1 / 3, 0]] * 3 + [[0] * 4])  # v v^T.
_CROSS = np.array([[0.0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0] * 4]) / np.sqrt(3)  # v x.


def _sum(constant: np.ndarray, *terms: tuple[Row, np.ndarray]) -> Matrices:
    """Return a matrix, and others times a number of each image's."""
    total = jnp.asarray(constant, jnp.float32)[None]
    for number, matrix in terms:
        total += number[:, None, None] * jnp.asarray(matrix, jnp.float32)[None]
    return total


def _brightness(n: Values) -> Matrices:
    return _sum(_RGB + _LAST, (0.2 * n[0], _OFFSET))


def _contrast(n: Values) -> Matrices:
    return _sum(_LAST, (jnp.exp2(0.5 * n[0]), _RGB))


def _luma_flip(u: Values) -> Matrices:
    return _sum(_RGB + _LAST, (-2 * jnp.floor(2 * u[0]), _GRAY))


def _hue(u: Values) -> Matrices:
    angle = (2 * u[0] - 1) * np.pi
    return _sum(_GRAY + _LAST, (jnp.cos(angle), _RGB - _GRAY), (jnp.sin(angle), _CROSS))


def _saturation(n: Values) -> Matrices:
    return _sum(_GRAY + _LAST, (jnp.exp2(n[0]), _RGB - _GRAY))


COLORS: dict[str, Callable[[Values], Matrices]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "luma_flip": _luma_flip,
    "hue": _hue,
    "saturation": _saturation,
}
