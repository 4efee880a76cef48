"""Drawing by signed distances: shapes are arrays over the pixels, negative inside.

Antialiasing, outlines, soft shadows and relief all follow from one array, at every resolution,
after Inigo Quilez, "2D distance functions".
"""

from math import cos, hypot, sin
from typing import NamedTuple

import numpy as np

Rng = np.random.Generator
Point = tuple[float, float]


class Canvas(NamedTuple):
    """Pixels, painted in place, and a grid of coordinates over them, in any unit and pose."""

    x: np.ndarray  # [h, w], to the right
    y: np.ndarray  # [h, w], down
    rgb: np.ndarray  # [3, h, w], about [0, 1]
    pixel: float  # side of a pixel, in the unit of x and y
    fur: np.ndarray  # [3, h, w]: the colours of the coat, once there is one


def blank(size: int) -> Canvas:
    """Return the whole image: x and y in [-1, 1]."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1
    x, y = np.meshgrid(axis, axis)
    rgb, fur = np.zeros((2, 3, size, size), np.float32)
    return Canvas(x, y, rgb, 2 / size, fur)


def posed(canvas: Canvas, centre: Point, scale: float, tilt: float) -> Canvas:
    """Return the same pixels in the coordinates of a head: its centre 0, its radius 1, its chin
    down.
    """
    x, y = (canvas.x - centre[0]) / scale, (canvas.y - centre[1]) / scale
    c, s = cos(tilt), sin(tilt)
    return canvas._replace(x=c * x + s * y, y=c * y - s * x, pixel=canvas.pixel / scale)


def mirrored(canvas: Canvas, centre: Point) -> Canvas:
    """Return the same pixels seen from a point, left folded onto right: one shape is painted on
    both.
    """
    return canvas._replace(x=abs(canvas.x - centre[0]), y=canvas.y - centre[1])


def around(canvas: Canvas, centre: Point, radius: float) -> Canvas:
    """Return the part of a canvas within a radius, for small things: a view, painted through."""
    x, y = canvas.x - centre[0], canvas.y - centre[1]
    near = x * x + y * y < (radius + canvas.pixel) ** 2
    rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
    if not len(rows):  # Outside the image: any pixel will do.
        rows = columns = [0]
    part = ..., slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    x, y, rgb, pixel, fur = canvas
    return Canvas(x[part], y[part], rgb[part], pixel, fur[part])


def along(canvas: Canvas, start: Point, end: Point) -> tuple[np.ndarray, np.ndarray, float]:
    """Coordinates along a line from its middle and across it, and half its length."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = hypot(dx, dy)
    dx, dy = dx / length, dy / length
    x, y = canvas.x - (start[0] + end[0]) / 2, canvas.y - (start[1] + end[1]) / 2
    return x * dx + y * dy, y * dx - x * dy, length / 2


def ellipse(canvas: Canvas, centre: Point, rx: float, ry: float) -> np.ndarray:
    return (np.hypot((canvas.x - centre[0]) / rx, (canvas.y - centre[1]) / ry) - 1) * min(rx, ry)


def lens(canvas: Canvas, start: Point, end: Point, width: float) -> np.ndarray:
    """Pointed at both ends and `width` to either side of the middle: an ear, an almond eye."""
    s, t, half = along(canvas, start, end)
    radius = (half * half + width * width) / (2 * width)
    return np.hypot(s, abs(t) + (radius - width)) - radius


def drop(canvas: Canvas, start: Point, end: Point, r0: float, r1: float) -> np.ndarray:
    """Return a stroke with round ends, whose radius goes from r0 to r1."""
    s, t, half = along(canvas, start, end)
    h = unit((s / half + 1) / 2)
    return np.hypot(s - (2 * h - 1) * half, t) - (r0 + (r1 - r0) * h)


def arc(canvas: Canvas, start: Point, end: Point, bend: float, width: float) -> np.ndarray:
    """Return a line bent like a parabola, which leaves the straight one by `bend` in the middle."""
    s, t, half = along(canvas, start, end)
    t = t - bend * (1 - (s / half) ** 2)
    return np.hypot(np.maximum(abs(s) - half, 0), t) - width


def union(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Both shapes, melted together over a distance (Quilez's quadratic smooth minimum)."""
    h = np.maximum(blend - abs(a - b), 0)
    return np.minimum(a, b) - h * h / (4 * blend)


def paint(
    canvas: Canvas, shape: np.ndarray, ink: np.ndarray, opacity: float = 1, soft: float = 0
) -> None:
    """Lay a colour [3, 1, 1] or [3, h, w] over the inside of a shape, its edge `soft` wide."""
    cover = unit(0.5 - shape / (canvas.pixel + soft)) * opacity
    rgb = canvas.rgb
    rgb += cover * (ink - rgb)


def relief(canvas: Canvas, shape: np.ndarray, light: Point, depth: float) -> np.ndarray:
    """Brightness, about 1, of a cushion of that outline, rounded off within `depth` of its edge."""
    slope = np.zeros_like(shape)
    slope[:, 1:] = (shape[:, 1:] - shape[:, :-1]) * (light[0] / canvas.pixel)
    slope[1:] += (shape[1:] - shape[:-1]) * (light[1] / canvas.pixel)
    edge = unit(1 + shape / depth)
    return 1 + edge * edge * (0.3 * np.minimum(np.maximum(slope, -1), 1) - 0.1)


def noise(rng: Rng, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Smooth noise of unit cells in (u, v), in [-1, 1], repeating after 32."""
    table = rng.random((33, 33), np.float32) * 2 - 1
    table[-1], table[:, -1] = table[0], table[:, 0]
    i, j = np.floor(u), np.floor(v)
    a, b = ramp(u - i, 0, 1), ramp(v - j, 0, 1)
    corner = (i.astype(np.intp) & 31) * 33 + (j.astype(np.intp) & 31)
    here, right, below, diagonal = (table.take(corner + k) for k in (0, 1, 33, 34))
    return mix(mix(here, right, b), mix(below, diagonal, b), a)


def mix(a: np.ndarray, b: np.ndarray, amount: np.ndarray | float) -> np.ndarray:
    """a where the amount is 0, b where it is 1."""
    return a + amount * (b - a)


def ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below low, 1 above high, smooth between."""
    t = unit((value - low) / (high - low))
    return t * t * (3 - 2 * t)


def unit(value: np.ndarray) -> np.ndarray:
    """Limited to [0, 1]; half the time of np.clip on small arrays."""
    return np.minimum(np.maximum(value, 0), 1)


def colours(codes: str) -> np.ndarray:
    """[n, 3, 1, 1] in [0, 1], of n codes such as "ff8000"."""
    return np.frombuffer(bytes.fromhex(codes), np.uint8).reshape(-1, 3, 1, 1) / np.float32(255)


def pick(rng: Rng, palette: np.ndarray) -> np.ndarray:
    """Return one of the colours, a little brighter or darker and a very little off its hue: [3, 1,
    1].
    """
    brightness, hue = rng.normal(1, 0.12), rng.normal(1, 0.04, (3, 1, 1)).astype(np.float32)
    ink = palette[rng.integers(len(palette))] * hue * brightness
    return np.minimum(np.maximum(ink, 0.05), 1)


BLACK, WHITE = colours("1a1516 fffdf8")
