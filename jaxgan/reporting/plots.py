"""The report's figures, as inline SVG: dots with whiskers, and learning curves.

An arm keeps its colour (Okabe and Ito's, safe for the colour-blind), its marker and its dashes in
every figure, so that any one of the three tells it apart. Colours and fonts are the page's CSS.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

MARKERS = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",  # Circle.
    "M-4.5-4.5h9v9h-9z",  # Square.
    "M0-6L6 5H-6z",  # Triangle.
    "M0-6.5L6 0L0 6.5L-6 0z",  # Diamond.
    "M0 6L6-5H-6z",  # Triangle on its tip.
    "M-6-2h4v-4h4v4h4v4h-4v4h-4v-4h-4z",  # Cross.
)
DASHES = ("none", "7 3", "2 3", "9 3 2 3", "5 2", "1 2")


class Row(NamedTuple):
    """One line of a dot-and-whisker figure; low and high are None where there is no interval."""

    label: str
    text: str
    value: float
    low: float | None
    high: float | None
    seeds: Sequence[float]
    style: int


def dots_and_whiskers(rows: Sequence[Row], title: str, unit: str, zero: bool = False) -> str:
    """A row a mean, its interval as a whisker and each seed as a small ring; all in `unit`.

    Positions along x are percentages, so that the figure fits any width and its letters keep
    their size. `zero` draws the line of no difference.
    """
    values = [x for r in rows for x in (r.value, r.low, r.high, *r.seeds) if x is not None]
    values += [-1, 1] * zero
    marks = ticks(min(values), max(values))
    height, place = 46 * len(rows), _scale(marks[0], marks[-1], 4, 96)
    parts = [
        f'<line class="{"zero" if zero and m == 0 else "rule"}" x1="{place(m)}%" x2="{place(m)}%"'
        f' y1="22" y2="{height}"/>'
        f'<text class="tick" x="{place(m)}%" y="{height + 16}" text-anchor="middle">'
        f"{_number(m)}</text>"
        for m in marks
    ]
    parts += [_row(row, 46 * i, place) for i, row in enumerate(rows)]
    return (
        f'<svg role="img" aria-label="{escape(title)}" width="100%" height="{height + 38}">'
        f"{''.join(parts)}"
        f'<text class="tick" x="50%" y="{height + 33}" text-anchor="middle">{escape(unit)}</text>'
        "</svg>"
    )


def _row(row: Row, top: int, place) -> str:
    y = top + 31
    whisker = seeds = ""
    if row.low is not None and row.high is not None:
        whisker = (
            f'<line class="whisker" x1="{place(row.low)}%" x2="{place(row.high)}%"'
            f' y1="{y}" y2="{y}"/>'
        )
    if len(row.seeds) > 1:
        seeds = "".join(
            f'<circle class="seed" cx="{place(s)}%" cy="{y}" r="3"/>' for s in row.seeds
        )
    label = row.label if len(row.label) <= 26 else f"{row.label[:25]}…"  # Leaves room for figures.
    return (
        f'<g class="arm{row.style % len(MARKERS)}">'
        f'<text class="label" x="0" y="{top + 17}">{escape(label)}</text>'
        f'<text class="figure" x="100%" y="{top + 17}" text-anchor="end">{escape(row.text)}</text>'
        f'{whisker}{seeds}<svg x="{place(row.value)}%" y="{y}" overflow="visible">'
        f'<path class="dot" d="{MARKERS[row.style % len(MARKERS)]}"/></svg></g>'
    )


class Cell(NamedTuple):
    """One cell of a heat map: what its colour stands for, and what is written in it."""

    value: float
    text: str


def heat_map(
    rows: Sequence[Sequence[Cell | None]],
    row_names: Sequence[str],
    column_names: Sequence[str],
    title: str,
) -> str:
    """Cells about 0: blue rises, orange and underlined falls, as deep as they are large."""
    most = max((abs(cell.value) for row in rows for cell in row if cell), default=0) or 1
    left, height = 14, 40
    width = (100 - left) / len(column_names)
    parts = [
        f'<text class="tick" x="{left + (j + 0.5) * width:.2f}%" y="13" text-anchor="middle">'
        f"{escape(name)}</text>"
        for j, name in enumerate(column_names)
    ]
    for i, (name, row) in enumerate(zip(row_names, rows, strict=True)):
        y = 20 + i * height
        parts.append(f'<text class="tick" x="0" y="{y + height / 2 + 4}">{escape(name)}</text>')
        for j, cell in enumerate(row):
            if cell is None:
                continue
            x, deep = left + j * width, abs(cell.value) / most
            kind = "up" if cell.value >= 0 else "down"
            if kind == "down":
                parts.append(
                    f'<line class="fall" x1="{x + 1:.2f}%" x2="{x + width - 1:.2f}%"'
                    f' y1="{y + height - 6}" y2="{y + height - 6}"/>'
                )
            parts.append(
                f'<rect class="{kind}" x="{x:.2f}%" y="{y}" width="{width:.2f}%"'
                f' height="{height - 2}" fill-opacity="{0.08 + 0.6 * deep:.2f}"/>'
                f'<text x="{x + width / 2:.2f}%" y="{y + height / 2 + 4}" text-anchor="middle">'
                f"{escape(cell.text)}</text>"
            )
    total = 24 + height * len(rows)
    return (
        f'<svg role="img" aria-label="{escape(title)}" width="100%" height="{total}">'
        f"{''.join(parts)}</svg>"
    )


Points = Sequence[tuple[float, float]]


class Curves(NamedTuple):
    """One panel: a curve a seed and, where checkpoints were chosen by it, the chosen points."""

    title: str
    seeds: Sequence[Points]
    chosen: Points


def learning_curves(
    panels: Sequence[Curves], name: str, style: int, last: float, bottom: float, top: float
) -> str:
    """Panels side by side on the same axes: x from step 0 to `last`, y from `bottom` to `top`."""
    marks = ticks(bottom, top, most=4)
    wide, high, left, above = 150, 96, 34, 18
    across, up = _scale(0, last, 0, wide), _scale(marks[0], marks[-1], high, 0)
    labels = "".join(
        f'<text class="tick" x="{left - 5}" y="{above + up(m) + 4:.1f}" text-anchor="end">'
        f"{_number(m)}</text>"
        for m in marks
    )
    body = ""
    for i, panel in enumerate(panels):
        lines = "".join(
            f'<line class="rule" x1="0" x2="{wide}" y1="{up(m):.1f}" y2="{up(m):.1f}"/>'
            for m in marks
        )
        if len(panel.seeds) > 1:
            lines += "".join(_polyline(seed, across, up, "thin") for seed in panel.seeds)
        lines += _polyline(mean(panel.seeds), across, up, "thick", DASHES[style % len(DASHES)])
        lines += "".join(
            f'<circle class="dot" cx="{across(x):.1f}" cy="{up(y):.1f}" r="2.6"/>'
            for x, y in panel.chosen
        )
        body += (
            f'<g transform="translate({left + i * (wide + 16)} {above})">'
            f'<text class="tick" x="0" y="-7">{escape(panel.title)}</text>{lines}'
            f'<text class="tick" x="0" y="{high + 15}">0</text>'
            f'<text class="tick" x="{wide}" y="{high + 15}" text-anchor="end">'
            f"{_number(last)}</text></g>"
        )
    width = left + len(panels) * (wide + 16) - 12
    return (
        f'<svg role="img" aria-label="{escape(name)}" class="curves arm{style % len(MARKERS)}"'
        f' viewBox="0 0 {width} {above + high + 20}">{labels}{body}</svg>'
    )


def mean(seeds: Sequence[Points]) -> Points:
    """The mean curve, at the steps that every seed has."""
    tables = [dict(seed) for seed in seeds]
    shared = sorted(set.intersection(*map(set, tables))) if tables else []
    return [(x, sum(table[x] for table in tables) / len(tables)) for x in shared]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """At most `most` round numbers, the first at or below `low`, the last at or above `high`."""
    span = max(high - low, 0.01 * max(abs(low), abs(high), 1))
    power = 10.0 ** math.floor(math.log10(span / most))
    for step in (power * factor for factor in (1, 2, 5, 10, 20, 50)):
        # A hair of slack: 0.3 / 0.1 is 2.9999999999999996.
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def _polyline(points: Points, across, up, kind: str, dash: str = "none") -> str:
    path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{path}" stroke-dasharray="{dash}"/>' if path else ""


def _scale(low: float, high: float, start: float, end: float):
    """The line through (low, start) and (high, end), held between start and end."""
    least, most = min(start, end), max(start, end)

    def place(x: float) -> float:
        at = start + (x - low) / ((high - low) or 1) * (end - start)
        return round(min(max(at, least), most), 2)

    return place


def _number(x: float) -> str:
    return f"{x:,.10g}".replace("-", "−")
