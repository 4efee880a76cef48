"""The doctor's report: one page with contact sheets, for a human to look at and to overrule."""

import itertools
import re
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Int64
from PIL import Image

from jaxgan.data.prepare import doctor
from jaxgan.data.prepare.pipeline import Result
from jaxgan.reporting.html import count, inlined, text, whole

SHEET = 64  # Pictures on a contact sheet.
GROUPS, OF_GROUP = 32, 8
THUMBNAIL = 128  # Pixels.
TOLD = 200  # Rows of a table.
WHY = {
    "unreadable": "No picture came of these files.",
    "unusable": "They could not be cropped as was asked, or tie sides of the split together.",
    "across classes": "The same picture stands in two classes: one label is wrong. Both copies are "
    "dropped, unless decisions.csv keeps the one whose label is right.",
    "exact duplicate": "The same pixels as another picture, which is kept.",
    "near duplicate": "The same picture, encoded, resized or coloured anew; the largest is kept.",
    "blank": "There is nothing to see.",
    "tiny": "Less than half as large as the resolution.",
    "strange": "The strangest, as many as were asked for.",
    "enlarged": "Detail for less than half of their size: enlarged, or out of focus.",
    "blurred": "Hardly any fine detail.",
}


def page(result: Result) -> str:
    """The report as HTML; it needs no other file."""
    diagnosis, dropped = result.diagnosis, result.dropped
    kept = diagnosis.good[~np.isin(diagnosis.good, list(dropped))]
    doubtful = sum(
        diagnosis.suggested(why) == "drop"
        for i, why in diagnosis.reasons.items()
        if i not in dropped
    )
    more = f"; {count(doubtful, 'doubtful one')} among the kept" if doubtful else ""
    body = [
        "<header><p class='question'>What is in this set of pictures?</p>",
        f"<h1>{len(kept):,} of {len(diagnosis.rows):,}</h1>",
        f"<p class='lead'>{count(len(kept), 'picture')} kept, {count(len(dropped), 'picture')} "
        f"left out{more}.</p></header>",
        _reasons(result),
        _section("What to do", "<ul>" + "".join(map(_item, result.advice)) + "</ul>"),
        _sizes(result, kept),
        _problems(result, "unreadable"),
        _problems(result, "unusable"),
        *(_sheet(result, reason) for reason in list(WHY)[2:]),
        _by_hand(result),
        _duplicates(result),
        _strangest(result),
        _wide("A sample of what is kept", "Drawn at random.", _thumbs(result, _sample(kept))),
        _about(result.about),
    ]
    return whole("Pictures", "\n".join(body))


def _item(advice: str) -> str:
    """Flags as code, which is not broken after its hyphens."""
    parts = re.split(r"(--[^ ;]*[^ ;,.])", advice)
    marked = (f"<code>{text(p)}</code>" if p.startswith("--") else text(p) for p in parts)
    return f"<li>{''.join(marked)}</li>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{text(title)}</h2>{body}</section>"


def _wide(title: str, note: str, body: str) -> str:
    return f"<section class='wide'><h2>{text(title)}</h2><p>{text(note)}</p>{body}</section>"


def _reasons(result: Result) -> str:
    rows = []
    for reason in doctor.REASONS:
        found = [i for i, why in result.diagnosis.reasons.items() if why == reason]
        left = sum(i in result.dropped for i in found)
        rows.append((reason, len(found), left))
    odd = sum(i not in result.diagnosis.reasons for i in result.dropped)
    rows += [("decided otherwise", odd, odd)] if odd else []
    rows += [(what, len(names), "") for what, names in sorted(result.findings["oddities"].items())]
    table = _table(("", "found", "left out"), rows)
    return _section(
        "What was found",
        "<p>Each picture counts once, by the first reason that holds. To overrule, change the "
        "column <i>decision</i> of <i>decisions.csv</i> to keep or drop, and run the same "
        f"again.</p>{table}",
    )


def _about(about: Mapping[str, str]) -> str:
    """What the set was made of, and how, so that the page can be told from others."""
    if not about:
        return ""
    lines = (f"<dt>{text(what)}</dt><dd>{text(said)}</dd>" for what, said in about.items())
    return _section("How it was made", f"<dl>{''.join(lines)}</dl>")


def _table(head: Iterable[str], rows: Iterable[Iterable[object]], kind: str = "") -> str:
    def cells(tag: str, row: Iterable[object]) -> str:
        first, *others = (f"{x:,}" if isinstance(x, int) else text(x) for x in row)
        return f"<tr><th>{first}</th>" + "".join(f"<{tag}>{x}</{tag}>" for x in others) + "</tr>"

    lines = "".join(cells("td", row) for row in rows)
    top = cells("th", head)
    table = f"<table class='{kind}'><thead>{top}</thead><tbody>{lines}</tbody></table>"
    return f"<div class='scroll'>{table}</div>"


def _sizes(result: Result, kept: Int64[np.ndarray, " n"]) -> str:
    if not len(kept):
        return ""
    table, findings = result.diagnosis.rows.table, result.findings
    width, height, side = (table[name][kept] for name in ("width", "height", "side"))
    shares = (0, 5, 50, 95, 100)
    measures = {"width": width, "height": height, "side of the square": side}
    if result.scanned.options.doctor:
        measures["side that its detail needs"] = np.round(table["effective"][kept])
    lines = _table(
        ("pixels", "least", "5 %", "median", "95 %", "most"),
        [
            *(
                (name, *(int(x) for x in np.percentile(values, shares)))
                for name, values in measures.items()
            ),
            ("width / height", *(f"{x:.2f}" for x in np.percentile(width / height, shares))),
        ],
    )
    sets = findings["sets"]
    several = len(sets) > 1
    counts = _table(
        ("class", "found", *(f"kept at {r} px" if several else "kept" for r in sets)),
        (
            (name, n, *(kept["counts"][name] for kept in sets.values()))
            for name, n in findings["found"].items()
        ),
    )
    moments = _table(
        ("of values in [0, 1]", "mean", "deviation"),
        (
            (f"{colour} at {r} px" if several else colour, f"{mean:.4f}", f"{std:.4f}")
            for r, kept in sets.items()
            for colour, mean, std in zip(
                ("red", "green", "blue"), kept["mean"], kept["std"], strict=True
            )
        ),
    )
    return _section("What is kept", counts + lines + moments)


def _sheet(result: Result, reason: str) -> str:
    found = sorted(i for i, why in result.diagnosis.reasons.items() if why == reason)
    return _contacts(result, reason.capitalize(), WHY[reason], found)


def _by_hand(result: Result) -> str:
    """What nobody but a human objects to; the rest of what they drop is on the sheets above."""
    found = sorted(set(result.dropped) - set(result.diagnosis.reasons))
    note = "Nothing was found, and decisions.csv drops them."
    return _contacts(result, "Decided by hand", note, found)


def _contacts(result: Result, title: str, note: str, found: list[int]) -> str:
    if not found:
        return ""
    some = f" The first {SHEET} of {len(found):,}." if len(found) > SHEET else ""
    return _wide(f"{title}: {len(found):,}", note + some, _thumbs(result, found[:SHEET]))


def _problems(result: Result, reason: str) -> str:
    found = result.findings[reason]
    if not found:
        return ""
    table = _table(("file", "why"), itertools.islice(found.items(), TOLD), "words")
    more = f"<p>The first {TOLD} of {len(found):,}.</p>" if len(found) > TOLD else ""
    title = f"{reason.capitalize()}: {len(found):,}"
    return _section(title, f"<p>{WHY[reason]}</p>{table}{more}")


def _duplicates(result: Result) -> str:
    rows = result.diagnosis.rows
    several = [
        (len(np.unique(rows.table["content"][group])) == 1, group)  # Near copies come first.
        for group in result.diagnosis.groups()
    ]
    if not several:
        return ""
    lines = []
    for _, group in sorted(several, key=lambda each: each[0])[:GROUPS]:
        figures = "".join(_thumb(result, i) for i in group[:OF_GROUP].tolist())
        more = f"<p class='note'>and {len(group) - OF_GROUP}</p>" if len(group) > OF_GROUP else ""
        lines.append(f"<div class='group'>{figures}{more}</div>")
    some = f" The first {GROUPS}." if len(several) > GROUPS else ""
    note = f"{count(len(several), 'group')} of equal pictures, by {result.rule}.{some}"
    return _wide("Duplicates, side by side", note, "".join(lines))


def _strangest(result: Result) -> str:
    order = result.diagnosis.strangest()[:SHEET]
    if not len(order):
        return ""
    note = f"Farthest from the others of their class, by {result.findings['features']} features."
    figures = _thumbs(result, result.diagnosis.good[order].tolist())
    return _wide(f"The strangest {len(order)}", note, figures)


def _sample(kept: Int64[np.ndarray, " n"]) -> list[int]:
    order = np.random.default_rng(0).permutation(len(kept))[:SHEET]
    return kept[np.sort(order)].tolist()


def _thumbs(result: Result, positions: Iterable[int]) -> str:
    return f"<div class='thumbs'>{''.join(_thumb(result, i) for i in positions)}</div>"


def _thumb(result: Result, i: int) -> str:
    rows, row = result.diagnosis.rows, result.diagnosis.rows.table[i]
    if i in rows.problems:
        told = f"{rows.name(i)}: {rows.problems[i]}"
        return f"<figure><figcaption>{text(told)}</figcaption></figure>"
    at = next((k for k, place in enumerate(row["records"]) if place >= 0), None)
    size = f"{row['width']}\u00a0×\u00a0{row['height']}"
    caption = f"{rows.name(i)} ({size}){_fate(result, i)}"
    if at is None:
        return f"<figure><figcaption>{text(caption)}: too small</figcaption></figure>"
    image = Image.fromarray(np.asarray(result.scanned.picture(i, at)))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return inlined(image, caption)


def _fate(result: Result, i: int) -> str:
    if i in result.dropped:
        return ", left out"
    reason = result.diagnosis.reasons.get(i)
    suggested = reason is not None and result.diagnosis.suggested(reason) == "drop"
    return ", drop suggested" if suggested else ""
