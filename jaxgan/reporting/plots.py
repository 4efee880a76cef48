"""The charts of the reports: where everything stands. `templates/charts.svg` draws them.

A chart fits any width: positions along x are percentages, so that letters keep their size. An arm
keeps its colour (Okabe and Ito's, safe for the colour-blind) and its mark in every chart.
"""

import io
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from jaxgan.reporting import html

CIRCLE = [(5 * math.cos(t * math.pi / 16), 5 * math.sin(t * math.pi / 16)) for t in range(32)]
CROSS = "-6 -2 -2 -2 -2 -6 2 -6 2 -2 6 -2 6 2 2 2 2 6 -2 6 -2 2 -6 2"
MARKS = (  # Polygons about (0, 0).
    " ".join(f"{x:.1f} {y:.1f}" for x, y in CIRCLE),
    "-4.5 -4.5 4.5 -4.5 4.5 4.5 -4.5 4.5",
    "0 -6 6 5 -6 5",
    "0 -6.5 6 0 0 6.5 -6 0",
    "0 6 6 -5 -6 -5",
    CROSS,
)
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "5 2", "1 2")
TOP, LINE = 34, 52  # Pixels: the first row's dot, and from row to row.


class Style(NamedTuple):
    """How an arm is drawn: a colour's number, and that of a mark."""

    colour: int
    mark: int

    @property
    def path(self) -> str:
        """The mark as an SVG path."""
        return f"M{MARKS[self.mark]}z"

    @property
    def dash(self) -> str:
        """The dashes of the arm's lines."""
        return DASHES[self.mark]


class Row(NamedTuple):
    """One line of a dot-and-whisker chart; low and high are None where there is no interval."""

    label: str
    text: str
    value: float
    low: float | None
    high: float | None
    seeds: Sequence[float] = ()
    style: Style = Style(0, 0)
    strong: bool = False


class Tick(NamedTuple):
    """A number on an axis, its place, and how its line is drawn."""

    place: float
    text: str
    kind: str


class Dots(NamedTuple):
    """A dot-and-whisker chart: rows and ticks stand in percent of the width."""

    title: str
    unit: str
    rows: Sequence[Row]
    ticks: Sequence[Tick]
    ends: tuple[str, str] = ("", "")
    band: tuple[float, float] | None = None

    @property
    def bottom(self) -> int:
        """The height of the rows, in pixels."""
        return LINE * len(self.rows)

    @property
    def places(self) -> Sequence[int]:
        """The height of each row's dot."""
        return range(TOP, self.bottom, LINE)


def dots_and_whiskers(
    rows: Sequence[Row],
    title: str,
    unit: str,
    *,
    zero: bool = False,
    ends: tuple[str, str] = ("", ""),
    margin: float | None = None,
) -> Dots:
    """Return a chart with a row for each mean, its interval a whisker, each seed a small ring.

    Args:
        rows: all in `unit`.
        title: for those who cannot see it.
        unit: stands below the axis.
        zero: whether the line of no difference is drawn.
        ends: what lies to the left and to the right of it.
        margin: differences below it do not matter: a band about 0.
    """
    values = [x for r in rows for x in (r.value, r.low, r.high, *r.seeds) if x is not None]
    values += [-1, 1] * zero + ([-margin, margin] if margin else [])
    marks = ticks(min(values, default=0), max(values, default=1))
    place = _scale(marks[0], marks[-1], 4, 96)
    placed = [
        row._replace(
            value=place(row.value),
            low=None if row.low is None else place(row.low),
            high=None if row.high is None else place(row.high),
            seeds=[place(x) for x in row.seeds] if len(row.seeds) > 1 else [],
        )
        for row in rows
    ]
    band = None if not margin else (place(-margin), round(place(margin) - place(-margin), 2))
    lines = [Tick(place(m), _number(m), "zero" if zero and m == 0 else "rule") for m in marks]
    return Dots(title, unit, placed, lines, ends, band)


def svg(chart: Dots) -> str:
    """Return a chart as an SVG file that needs no page."""
    return html.render("figure.svg", chart=chart)


def png(chart: Dots, width: int = 760, scale: int = 2) -> bytes:
    """Return a chart as a PNG file."""
    fine = 2 * scale  # Drawn twice as large: shrinking smoothes it.
    image = Image.new("RGB", (width * fine, (chart.bottom + 48) * fine), "white")
    draw = ImageDraw.Draw(image)

    def at(percent: float) -> float:
        return percent / 100 * width * fine

    def line(x1: float, y1: float, x2: float, y2: float, fill: str, wide: float = 1) -> None:
        draw.line((at(x1), y1 * fine, at(x2), y2 * fine), fill, round(wide * fine))

    def text(x: float, y: float, words: str, anchor: str, size: int = 12, fill="#555") -> None:
        font = ImageFont.load_default(size * fine)
        plain = str.maketrans({"−": "-", "…": "..", "←": "<", "→": ">"})  # What the font has.
        draw.text((at(x), y * fine), words.translate(plain), fill, font, anchor)

    if chart.band:
        left, wide = chart.band
        draw.rectangle((at(left), 22 * fine, at(left + wide), chart.bottom * fine), "#eee")
    for tick in chart.ticks:
        line(tick.place, 22, tick.place, chart.bottom, "#222" if tick.kind == "zero" else "#ddd")
        text(tick.place, chart.bottom + 14, tick.text, "ms")
    for y, row in zip(chart.places, chart.rows, strict=True):
        colour = html.LIGHT[row.style.colour]
        text(4, y - 13, row.label, "ls", 14, "#222")
        text(96, y - 13, row.text, "rs", 14, "#222")
        if row.low is not None and row.high is not None:
            line(row.low, y, row.high, y, colour, 4 if row.strong else 2.5)
        for x in row.seeds:
            draw.circle((at(x), y * fine), 3 * fine, "white", colour, fine)
        points = [float(x) * fine for x in MARKS[row.style.mark].split()]
        corners = zip(points[::2], points[1::2], strict=True)
        draw.polygon([(at(row.value) + x, y * fine + dy) for x, dy in corners], colour)
    for x, words, anchor in (
        (4, chart.ends[0], "ls"),
        (50, chart.unit, "ms"),
        (96, chart.ends[1], "rs"),
    ):
        text(x, chart.bottom + 34, words, anchor)
    buffer = io.BytesIO()
    image.resize((width * scale, image.height // 2), Image.Resampling.BOX).save(buffer, "PNG")
    return buffer.getvalue()


class Square(NamedTuple):
    """One cell of a heat map; `deep` in [-1, 1], negative ones are underlined."""

    x: float
    y: int
    deep: float
    text: str


class Heat(NamedTuple):
    """A heat map, columns in percent of the width."""

    title: str
    rows: Sequence[tuple[int, str]]
    columns: Sequence[tuple[float, str]]
    squares: Sequence[Square]
    width: float
    height: int


def heat_map(
    rows: Sequence[Sequence[tuple[float, str] | None]],
    row_names: Sequence[str],
    column_names: Sequence[str],
    title: str,
) -> Heat:
    """Return cells about 0: blue rises, orange and underlined falls, as deep as they are large.

    Args:
        rows: of each cell its value and its text; None: an empty one.
        row_names: at the left.
        column_names: above.
        title: for those who cannot see it.
    """
    most = max((abs(cell[0]) for row in rows for cell in row if cell), default=0) or 1
    left, height = 14, 40
    width = (100 - left) / len(column_names)
    squares = [
        Square(round(left + j * width, 2), 20 + i * height, cell[0] / most, cell[1])
        for i, row in enumerate(rows)
        for j, cell in enumerate(row)
        if cell
    ]
    columns = [(round(left + (j + 0.5) * width, 2), name) for j, name in enumerate(column_names)]
    heads = [(20 + i * height + height // 2 + 4, name) for i, name in enumerate(row_names)]
    return Heat(title, heads, columns, squares, round(width, 2), 24 + height * len(rows))


Points = Sequence[tuple[float, float]]
WIDE, HIGH = 150, 96  # Pixels of a panel of curves.


class Panel(NamedTuple):
    """One panel of curves: each a class and its points, and the points that were chosen."""

    title: str
    lines: Sequence[tuple[str, str]]
    chosen: Points


class Curves(NamedTuple):
    """Panels side by side on the same axes."""

    title: str
    style: Style
    panels: Sequence[Panel]
    marks: Sequence[tuple[float, str]]
    last: str


def learning_curves(
    panels: Sequence[tuple[str, Sequence[Points], Points]],
    title: str,
    style: Style,
    last: float,
    bottom: float,
    top: float,
) -> Curves:
    """Return panels with a curve for each seed and their mean; x from 0 to `last`.

    Args:
        panels: of each its title, a curve for each seed, and the points that were chosen.
        title: for those who cannot see it.
        style: of the arm.
        last: the last step.
        bottom: of y.
        top: of y.
    """
    marks = ticks(bottom, top, most=4)
    across, up = _scale(0, last, 0, WIDE), _scale(marks[0], marks[-1], HIGH, 0)

    def path(points: Points) -> str:
        return " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)

    drawn = []
    for name, seeds, chosen in panels:
        lines = [("thin", path(seed)) for seed in seeds] if len(seeds) > 1 else []
        lines.append(("thick", path(mean(seeds))))
        points = [(across(x), up(y)) for x, y in chosen]
        drawn.append(Panel(name, [line for line in lines if line[1]], points))
    return Curves(title, style, drawn, [(up(m), _number(m)) for m in marks], _number(last))


def mean(seeds: Sequence[Points]) -> Points:
    """Return the mean curve, at the steps that every seed has."""
    tables = [dict(seed) for seed in seeds]
    shared = sorted(set.intersection(*map(set, tables))) if tables else []
    return [(x, sum(table[x] for table in tables) / len(tables)) for x in shared]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return at most `most` round numbers, from at or below `low` to at or above `high`."""
    span = max(high - low, 0.01 * max(abs(low), abs(high), 1))
    power = 10.0 ** math.floor(math.log10(span / most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20, 50)):
        # A hair of slack: 0.3 / 0.1 is 2.9999999999999996.
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Return the line through (low, start) and (high, end), held between start and end."""
    least, most = min(start, end), max(start, end)

    def place(x: float) -> float:
        at = start + (x - low) / ((high - low) or 1) * (end - start)
        return round(min(max(at, least), most), 2)

    return place


def _number(x: float) -> str:
    return f"{x:,.10g}".replace("-", "−")
