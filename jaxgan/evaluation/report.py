"""The result of `folders.evaluate` for a person: a table on the screen, Markdown, and a page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from jaxgan.evaluation.folders import Pair
from jaxgan.metrics.intervals import AT_SIZES, BESIDE, TRUE
from jaxgan.reporting import html, plots

MEANING = {
    "frechet": "how far apart the two sets lie, as two normal clouds of features; at its "
    "floor they are alike",
    "kid": "how far apart they lie, in a way that does not depend on their number; 0 is together",
    "precision": "the share of generated images that lie among real ones: good images",
    "recall": "the share of real images that lie among generated ones: no kind is missing",
    "density": "how thickly real ones lie around generated ones; 1 is as around themselves",
    "coverage": "the share of real images that have a generated one near by",
    "copies": "the share nearer to one training image than any held-out real image is",
    "entropy": "clear images of many of ImageNet's classes, 1 to 1,008",
}


def title(name: str, found: dict[str, Any]) -> str:
    return {
        "frechet": found.get("name", name),
        "kid": "kernel distance × 1000",
        "entropy": "Inception score",
    }.get(name, name)


def figures(name: str, found: dict[str, Any]) -> dict[str, str]:
    """Return `value`, `low`, `high` and others of a metric as text, in the unit of its title."""
    factor = 1000 if name == "kid" else 1
    digits = 2 if name in ("kid", "entropy") else 3
    if name == "frechet" and found["value"] >= 10:
        digits = 1
    keys = ("value", "low", "high", "floor", "at_infinity")
    return {key: f"{factor * found[key]:.{digits}f}" for key in keys if key in found}


def subject(result: dict[str, Any]) -> str:
    """Return what was compared, and by which features."""
    counts = ", ".join(f"{about['pictures']:,} {name}" for name, about in result["sets"].items())
    net = result["features"]
    return (
        f"{counts} images at {result['resolution']} px; {net['name']} sees {net['size']} px "
        f"(resized where they differ: {net['resize']}); {result['judge']['sentence']}"
    )


def remarks(result: dict[str, Any]) -> list[str]:
    """Return what the figures say together, and what must be known of them."""
    found, metrics = [], result["metrics"]
    if "copies" in metrics:
        p = metrics["copies"]["p"]
        says = "more" if p < 0.05 else "no more"
        found.append(f"{says} copies than among real images (p = {p:.2g})")
    return found + result["warnings"]


def intervals(result: dict[str, Any]) -> list[str]:
    """Return what the intervals and the floor are of, in sentences."""
    metrics, sets = result["metrics"], result["sets"]
    n, m = sets["real"]["pictures"], sets["fake"]["pictures"]
    found = []
    kinds = {
        AT_SIZES: f"the mean of sets of {n:,} real and {m:,} generated images drawn likewise; "
        "sets of other sizes have another mean",
        TRUE: "the distance itself, whatever the number of images",
        BESIDE: "the share of all images that could be generated, beside these real ones",
    }
    for kind, words in kinds.items():
        names = [title(k, v) for k, v in metrics.items() if v.get("interval") == kind]
        if names:
            found.append(f"interval of {_listed(names)}: {words}")
    if "frechet" in metrics:
        found.append(
            f"floor of {title('frechet', metrics['frechet'])}: what {n:,} real images have from "
            f"{m:,} other real ones, in the mean; generated ones can hardly be nearer"
        )
    return found


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def table(result: dict[str, Any]) -> str:
    """Return the result as lines for a terminal."""
    lines = [subject(result), f"{'':32}{'value':>10}   95 % interval"]
    for name, found in result["metrics"].items():
        x = figures(name, found)
        more = f"  floor {x['floor']}" if "floor" in x else ""
        more += f"  of infinitely many {x['at_infinity']}" if "at_infinity" in x else ""
        lines.append(f"{title(name, found):<32}{x['value']:>10}   [{x['low']}, {x['high']}]{more}")
        if name == "copies":
            lines.append(f"{'authenticity':<32}{found['authenticity']:>10.3f}")
    return "\n".join([*lines, *intervals(result), *remarks(result)])


def markdown(result: dict[str, Any]) -> str:
    """Return the result in Markdown, for issues and chats."""
    notes = [*remarks(result), *intervals(result)]
    return "\n".join(
        [
            f"**{html.safe(_headline(result))}.** {html.safe(_lead(result))}\n",
            html.markdown(measures(result)),
            f"\n{html.safe(_sentence(subject(result)))}\n",
            *(f"- {html.safe(_sentence(note))}" for note in notes),
        ]
    )


def measures(result: dict[str, Any]) -> html.Table:
    """Return every metric with its interval, and floors where there are any."""
    floors = ["Floor"] * any("floor" in found for found in result["metrics"].values())
    rows = []
    for name, found in result["metrics"].items():
        x = figures(name, found)
        cell, between = html.Cell(title(name, found), [MEANING[name]]), f"{x['low']} to {x['high']}"
        rows.append([cell, x["value"], between, *(x.get("floor", "") for _ in floors)])
    return html.Table(["Measure", "Value", "Interval", *floors], rows, "Intervals of 95 %.")


def shares(result: dict[str, Any]) -> plots.Dots | None:
    """Return a figure of the metrics that are shares, all on one axis."""
    rows = [
        plots.Row(
            name.capitalize(),
            f"{100 * found['value']:.1f} %",
            *(100 * found[key] for key in ("value", "low", "high")),
            style=plots.Style(0, 0),
        )
        for name, found in result["metrics"].items()
        if name in ("precision", "recall", "coverage", "copies")
    ]
    return plots.dots_and_whiskers(rows, "Shares of images", "% of the images") if rows else None


def page(result: dict[str, Any], pairs: Sequence[Pair]) -> str:
    """Return the same as a page, with the most copy-like pairs and with how it was computed."""
    return html.render("evaluation.html", **view(result, pairs))


def view(result: dict[str, Any], pairs: Sequence[Pair]) -> dict[str, Any]:
    """Return what the page shows, by the names of `templates/evaluation.html`."""
    shown = []
    for pair in pairs:
        image = Image.fromarray(np.concatenate([pair.image, pair.match], axis=1))
        shown.append(html.inlined(image, f"{pair.ratio:.2f}: {pair.fake} and {pair.train}"))
    return {
        "title": "Generated and real images",
        "headline": _headline(result),
        "lead": _lead(result),
        "figure": shares(result),
        "measures": measures(result),
        "warnings": [_sentence(words) for words in result["warnings"]],
        "notes": [_sentence(words) for words in intervals(result)],
        "copies": result["metrics"].get("copies"),
        "pairs": shown,
        "how": _how(result),
    }


def _headline(result: dict[str, Any]) -> str:
    name, found = next(iter(result["metrics"].items()))
    return f"{title(name, found)} {figures(name, found)['value']}".strip()


def _lead(result: dict[str, Any]) -> str:
    name, found = next(iter(result["metrics"].items()))
    x, sets = figures(name, found), result["sets"]
    floor = f" As many real images would have {x['floor']} (floor)." if name == "frechet" else ""
    return (
        f"{sets['fake']['pictures']:,} generated images against {sets['real']['pictures']:,} "
        f"real ones. The 95 % interval goes from {x['low']} to {x['high']}.{floor}"
    )


def _how(result: dict[str, Any]) -> dict[str, str]:
    net, metrics = result["features"], result["metrics"]
    lines = {
        "Features": f"{net['name']}, {net['dimension']:,} numbers an image, seen at "
        f"{net['size']} px",
        "Resized": f"{net['resize']}; images of {net['size']} px are taken as they are",
        "Weights": f"SHA-256 {net['checksum']}" if net["checksum"] else "none",
        "Images": f"{result['resolution']} px; seed {result['seed']}",
    }
    for name, about in result["sets"].items():
        lines[name.capitalize()] = (
            f"{about['path']}: {html.count(about['pictures'], 'image')}, fingerprint "
            f"{about['fingerprint']}"
        )
    if "frechet" in metrics:
        x = figures("frechet", metrics["frechet"])
        lines["Fréchet"] = (
            f"{x['at_infinity']} without the bias of few images: extrapolated to infinitely many "
            "on both sides, by random splits; may be below 0 where both are alike"
        )
    if "copies" in metrics:
        copies = metrics["copies"]
        lines["Copies"] = (
            f"authenticity {copies['authenticity']:.3f}; {copies['held_out']:,} real images to "
            f"compare with, {copies['left_out']:,} left out as copies of training images"
        )
    if "versions" in result:
        lines["Versions"] = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    return lines


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
