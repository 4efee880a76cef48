"""Pages that need nothing else: jinja2 templates that escape, tables, and inlined images."""

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup, escape
from PIL import Image

GAP = 2  # Pixels between two images of a sheet.
LIGHT = ("#0072b2", "#c84e00", "#00835f", "#a8508a", "#8a6d00", "#3b3b3b")  # Of arms.
DARK = ("#56b4e9", "#ff8c42", "#2fc49a", "#df94c1", "#e6b800", "#c9c9c9")


class Cell(NamedTuple):
    """A cell of a table: its text, smaller lines below, and the style of an arm's mark, if any."""

    text: object
    small: Sequence[str] = ()
    strong: bool = False
    style: Any = None


class Table(NamedTuple):
    """A table: names of its columns, and rows of texts, integers or `Cell`s, a name first."""

    head: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""
    kind: str = ""


class Inlined(NamedTuple):
    """An image as a data URI; source "" where it cannot be shown, as the caption says."""

    source: str
    caption: str
    width: int = 0
    height: int = 0


def render(template: str, **view: object) -> str:
    """Return a template of `templates/` filled with a view."""
    return TEMPLATES.get_template(template).render(view)


def inlined(image: Image.Image, caption: str, most: int = 1024) -> Inlined:
    """Return an image as PNG in a data URI, at most `most` pixels wide."""
    image.thumbnail((most, 4 * most))
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    source = base64.b64encode(encoded.getvalue()).decode()
    return Inlined(f"data:image/png;base64,{source}", caption, *image.size)


def tiles(image: Image.Image, side: int) -> list[Image.Image]:
    """Return the images of a grid with white gaps (`engine.log.grid`); [] of any other image."""
    step = side + GAP
    if not side or (image.width + GAP) % step or (image.height + GAP) % step:
        return []
    corners = [(x, y) for y in range(0, image.height, step) for x in range(0, image.width, step)]
    found = [image.crop((x, y, x + side, y + side)) for x, y in corners]
    while found and found[-1].getextrema() == ((255, 255),) * 3:  # The last row is not full.
        found.pop()
    return found


def sheet(images: Sequence[Image.Image], columns: int) -> Image.Image:
    """Return images of one size side by side, the gaps transparent for dark pages."""
    w, h = images[0].size
    rows = -(-len(images) // columns)
    size = (min(columns, len(images)) * (w + GAP) - GAP, rows * (h + GAP) - GAP)
    whole = Image.new("RGBA", size)
    for i, image in enumerate(images):
        whole.paste(image, (i % columns * (w + GAP), i // columns * (h + GAP)))
    return whole


def count(n: int, noun: str) -> str:
    """Return "1 image", "1,200 images"."""
    return f"{n:,} {noun}{'s' * (n != 1)}"


def plain(cell: object) -> str:
    """Return a cell in one line of text."""
    if isinstance(cell, Cell):
        small = ", ".join(cell.small)
        return plain(cell.text) + (f" ({small})" if small else "")
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def markdown(table: Table) -> str:
    """Return a table in Markdown, as issues and chats show it; names without smaller lines."""
    rows: list[Sequence[object]] = [table.head, ["---", *["---:"] * (len(table.head) - 1)]]
    rows += [[getattr(row[0], "text", row[0]), *row[1:]] for row in table.rows]
    return "\n".join(f"| {' | '.join(safe(plain(cell)) for cell in row)} |" for row in rows)


def columns(table: Table) -> list[str]:
    """Return a table as lines for a terminal."""
    rows = [[plain(cell) for cell in row] for row in (table.head, *table.rows)]
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, wide)).rstrip() for row in rows]


def safe(text: object) -> str:
    """Return a text without what Markdown or HTML in it would make of it, in one line."""
    return re.sub(r"([\\`*<|\[])", r"\\\1", " ".join(str(text).split()))


def linked(text: object, terms: Iterable[str]) -> Markup:
    """Return a text, escaped, whose first mention of each term leads to the page's glossary."""
    left = {term.lower(): term for term in terms}
    pattern = "|".join(sorted(map(re.escape, left), key=len, reverse=True))

    def link(found: re.Match) -> str:
        term = left.pop((found[1] or "").lower(), None)
        return found[0] if term is None else f'<a href="#{anchor(term)}">{found[0]}</a>'

    whole = rf"<[^>]*>|\b({pattern})s?\b"  # Tags, of a text that is Markup, stay as they are.
    return Markup(re.sub(whole, link, str(escape(text)), flags=re.IGNORECASE))


def code(text: str) -> Markup:
    """Return a text, escaped, with its flags as code, which is not broken after its hyphens."""
    parts = re.split(r"(--[^ ;]*[^ ;,.])", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(p) if p.startswith("--") else p for p in parts
    )


def anchor(term: str) -> str:
    """Return the id of a term's entry in the glossary."""
    return "term-" + re.sub(r"\W+", "-", term.lower())


def entries(terms: Iterable[str]) -> Mapping[str, str]:
    """Return the meaning of some terms, by name in order."""
    lines = dict(line.split(": ", 1) for line in render("glossary.txt").splitlines())
    return {term: lines[term] for term in sorted(terms, key=str.lower)}


TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("jaxgan.reporting"),
    autoescape=jinja2.select_autoescape(["html", "svg"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals |= {"light": LIGHT, "dark": DARK}
TEMPLATES.filters |= {
    "linked": linked,
    "anchor": anchor,
    "code": code,
    "entries": entries,
    "markdown": markdown,
    "safe": safe,
    "plain": plain,
}
