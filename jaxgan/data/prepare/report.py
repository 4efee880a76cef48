"""The doctor's report: one page with contact sheets, for a human to look at and to overrule."""

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64
from PIL import Image

from jaxgan.data.prepare import doctor
from jaxgan.data.prepare.pipeline import Result
from jaxgan.reporting import html
from jaxgan.reporting.html import Inlined, Table, count

SHEET = 64  # Images on a contact sheet.
GROUPS, OF_GROUP = 32, 8
THUMBNAIL = 128  # Pixels.
LISTED = 200  # Rows of a table.
WHY = {
    "unreadable": "No image came of these files.",
    "unusable": "They could not be cropped as was asked, or tie sides of the split together.",
    "across classes": "The same image stands in two classes: one label is wrong. Both copies are "
    "dropped, unless decisions.csv keeps the one whose label is right.",
    "exact duplicate": "The same pixels as another image, which is kept.",
    "near duplicate": "The same image, encoded, resized or coloured anew; the largest is kept.",
    "blank": "There is nothing to see.",
    "tiny": "Less than half as large as the resolution.",
    "strange": "The strangest, as many as were asked for.",
    "enlarged": "Detail for less than half of their size: enlarged, or out of focus.",
    "blurred": "Hardly any fine detail.",
}


class Sheet(NamedTuple):
    """A part of the page: its title, what it shows, and images or groups or rows of them."""

    title: str
    note: str
    images: list[Inlined] = []  # noqa: RUF012  # Read only.
    groups: list[tuple[list[Inlined], int]] = []  # noqa: RUF012  # And how many are left out.
    table: Table | None = None


def page(result: Result) -> str:
    """Return the report as HTML; it needs no other file."""
    return html.render("prepare.html", **view(result))


def view(result: Result) -> dict[str, Any]:
    """Return what the page shows, by the names of `templates/prepare.html`."""
    diagnosis, dropped = result.diagnosis, result.dropped
    kept = diagnosis.good[~np.isin(diagnosis.good, list(dropped))]
    doubtful = sum(
        diagnosis.suggested(why) == "drop"
        for i, why in diagnosis.reasons.items()
        if i not in dropped
    )
    more = f"; {count(doubtful, 'doubtful one')} among the kept" if doubtful else ""
    sheets = [
        _problems(result, "unreadable"),
        _problems(result, "unusable"),
        *(_reason(result, reason) for reason in list(WHY)[2:]),
        _by_hand(result),
        _duplicates(result),
        _strangest(result),
    ]
    return {
        "title": "Images",
        "headline": f"{len(kept):,} of {len(diagnosis.rows):,}",
        "lead": f"{count(len(kept), 'image')} kept, {count(len(dropped), 'image')} left out{more}.",
        "advice": result.advice,
        "reasons": _reasons(result),
        "sizes": _sizes(result, kept),
        "sample": _images(result, _sample(kept)),
        "sheets": [sheet for sheet in sheets if sheet],
        "about": result.about,
    }


def _reasons(result: Result) -> Table:
    rows: list[tuple[str, int, object]] = []
    for reason in doctor.REASONS:
        found = [i for i, why in result.diagnosis.reasons.items() if why == reason]
        rows.append((reason, len(found), sum(i in result.dropped for i in found)))
    odd = sum(i not in result.diagnosis.reasons for i in result.dropped)
    rows += [("decided otherwise", odd, odd)] if odd else []
    rows += [(what, len(names), "") for what, names in sorted(result.findings["oddities"].items())]
    return Table(("Reason", "found", "left out"), rows)


def _sizes(result: Result, kept: Int64[np.ndarray, " n"]) -> list[Table]:
    """Return images by class, their sizes, and the colours' mean and deviation."""
    if not len(kept):
        return []
    table, findings = result.diagnosis.rows.table, result.findings
    width, height, side = (table[name][kept] for name in ("width", "height", "side"))
    shares = (0, 5, 50, 95, 100)
    measures = {"width": width, "height": height, "side of the square": side}
    if result.scanned.options.doctor:
        measures["side that its detail needs"] = np.round(table["effective"][kept])
    pixels = [
        (name, *(int(x) for x in np.percentile(values, shares)))
        for name, values in measures.items()
    ]
    aspects = ("width / height", *(f"{x:.2f}" for x in np.percentile(width / height, shares)))
    sets = findings["sets"]
    several = len(sets) > 1
    counts = [
        (name, n, *(of["counts"][name] for of in sets.values()))
        for name, n in findings["found"].items()
    ]
    moments = [
        (f"{colour} at {r} px" if several else colour, f"{mean:.4f}", f"{std:.4f}")
        for r, of in sets.items()
        for colour, mean, std in zip(("red", "green", "blue"), of["mean"], of["std"], strict=True)
    ]
    heads = (f"kept at {r} px" if several else "kept" for r in sets)
    return [
        Table(("class", "found", *heads), counts),
        Table(("pixels", "least", "5 %", "median", "95 %", "most"), [*pixels, aspects]),
        Table(("of values in [0, 1]", "mean", "deviation"), moments),
    ]


def _reason(result: Result, reason: str) -> Sheet | None:
    found = sorted(i for i, why in result.diagnosis.reasons.items() if why == reason)
    return _contacts(result, reason.capitalize(), WHY[reason], found)


def _by_hand(result: Result) -> Sheet | None:
    """Return what nobody but a human objects to; the rest of what they drop is on the
    sheets above.
    """
    found = sorted(set(result.dropped) - set(result.diagnosis.reasons))
    note = "Nothing was found, and decisions.csv drops them."
    return _contacts(result, "Decided by hand", note, found)


def _contacts(result: Result, title: str, note: str, found: list[int]) -> Sheet | None:
    if not found:
        return None
    some = f" The first {SHEET} of {len(found):,}." if len(found) > SHEET else ""
    return Sheet(f"{title}: {len(found):,}", note + some, _images(result, found[:SHEET]))


def _problems(result: Result, reason: str) -> Sheet | None:
    found = result.findings[reason]
    if not found:
        return None
    some = f" The first {LISTED} of {len(found):,}." if len(found) > LISTED else ""
    rows = list(itertools.islice(found.items(), LISTED))
    table = Table(("file", "why"), rows, kind="words")
    return Sheet(f"{reason.capitalize()}: {len(found):,}", WHY[reason] + some, table=table)


def _duplicates(result: Result) -> Sheet | None:
    rows = result.diagnosis.rows
    several = [
        (len(np.unique(rows.table["content"][group])) == 1, group)  # Near copies come first.
        for group in result.diagnosis.groups()
    ]
    if not several:
        return None
    groups = [
        (_images(result, group[:OF_GROUP].tolist()), max(0, len(group) - OF_GROUP))
        for _, group in sorted(several, key=lambda each: each[0])[:GROUPS]
    ]
    some = f" The first {GROUPS}." if len(several) > GROUPS else ""
    note = f"{count(len(several), 'group')} of equal images, by {result.rule}.{some}"
    return Sheet("Duplicates, side by side", note, groups=groups)


def _strangest(result: Result) -> Sheet | None:
    order = result.diagnosis.strangest()[:SHEET]
    if not len(order):
        return None
    note = f"Farthest from the others of their class, by {result.findings['features']} features."
    images = _images(result, result.diagnosis.good[order].tolist())
    return Sheet(f"The strangest {len(order)}", note, images)


def _sample(kept: Int64[np.ndarray, " n"]) -> list[int]:
    order = np.random.default_rng(0).permutation(len(kept))[:SHEET]
    return kept[np.sort(order)].tolist()


def _images(result: Result, positions: Iterable[int]) -> list[Inlined]:
    return [_image(result, i) for i in positions]


def _image(result: Result, i: int) -> Inlined:
    rows, row = result.diagnosis.rows, result.diagnosis.rows.table[i]
    if i in rows.problems:
        return Inlined("", f"{rows.name(i)}: {rows.problems[i]}")
    at = next((k for k, place in enumerate(row["records"]) if place >= 0), None)
    size = f"{row['width']}\u00a0×\u00a0{row['height']}"
    caption = f"{rows.name(i)} ({size}){_fate(result, i)}"
    if at is None:
        return Inlined("", f"{caption}: too small")
    image = Image.fromarray(np.asarray(result.scanned.picture(i, at)))
    return html.inlined(image, caption, THUMBNAIL)


def _fate(result: Result, i: int) -> str:
    if i in result.dropped:
        return ", left out"
    reason = result.diagnosis.reasons.get(i)
    suggested = reason is not None and result.diagnosis.suggested(reason) == "drop"
    return ", drop suggested" if suggested else ""
