"""The result of `folders.evaluate` for a person: a table on the screen, and a page."""

from typing import Any

import numpy as np
from PIL import Image

from jaxgan.evaluation.folders import Pair
from jaxgan.metrics.intervals import AT_SIZES, BESIDE, TRUE
from jaxgan.reporting import html as page

MEANING = {
    "frechet": "how far apart the two sets lie, as two normal clouds of features; at its "
    "floor they are alike",
    "kid": "how far apart they lie, in a way that does not depend on their number; 0 is together",
    "precision": "the share of generated pictures that lie among real ones: good pictures",
    "recall": "the share of real pictures that lie among generated ones: no kind is missing",
    "density": "how thickly real ones lie around generated ones; 1 is as around themselves",
    "coverage": "the share of real pictures that have a generated one near by",
    "copies": "the share nearer to one training picture than any held-out real picture is",
    "entropy": "clear pictures of many of ImageNet's classes, 1 to 1,008",
}


def title(name: str, found: dict[str, Any]) -> str:
    return {
        "frechet": found.get("name", name),
        "kid": "kernel distance × 1000",
        "entropy": "Inception score",
    }.get(name, name)


def figures(name: str, found: dict[str, Any]) -> dict[str, str]:
    """`value`, `low`, `high` and others of a metric as text, in the unit of its title."""
    factor = 1000 if name == "kid" else 1
    digits = 2 if name in ("kid", "entropy") else 3
    if name == "frechet" and found["value"] >= 10:
        digits = 1
    keys = ("value", "low", "high", "floor", "at_infinity")
    return {key: f"{factor * found[key]:.{digits}f}" for key in keys if key in found}


def subject(result: dict[str, Any]) -> str:
    """What was compared, and who looked."""
    counts = ", ".join(f"{about['pictures']:,} {name}" for name, about in result["sets"].items())
    net = result["features"]
    return (
        f"{counts} pictures at {result['resolution']} px; {net['name']} sees {net['size']} px "
        f"(resized where they differ: {net['resize']}); {result['judge']['sentence']}"
    )


def remarks(result: dict[str, Any]) -> list[str]:
    """What the figures say together, and what must be known of them."""
    found, metrics = [], result["metrics"]
    if "copies" in metrics:
        p = metrics["copies"]["p"]
        says = "more" if p < 0.05 else "no more"
        found.append(f"{says} copies than among real pictures (p = {p:.2g})")
    return found + result["warnings"]


def intervals(result: dict[str, Any]) -> list[str]:
    """What the intervals and the floor are of, in sentences."""
    metrics, sets = result["metrics"], result["sets"]
    n, m = sets["real"]["pictures"], sets["fake"]["pictures"]
    found = []
    kinds = {
        AT_SIZES: f"the mean of sets of {n:,} real and {m:,} generated pictures drawn likewise; "
        "sets of other sizes have another mean",
        TRUE: "the distance itself, whatever the number of pictures",
        BESIDE: "the share of all pictures that could be generated, beside these real ones",
    }
    for kind, words in kinds.items():
        names = [title(k, v) for k, v in metrics.items() if v.get("interval") == kind]
        if names:
            found.append(f"interval of {_listed(names)}: {words}")
    if "frechet" in metrics:
        found.append(
            f"floor of {title('frechet', metrics['frechet'])}: what {n:,} real pictures have from "
            f"{m:,} other real ones, in the mean; generated ones can hardly be nearer"
        )
    return found


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def table(result: dict[str, Any]) -> str:
    """The result as a person reads it."""
    lines = [subject(result), f"{'':32}{'value':>10}   95 % interval"]
    for name, found in result["metrics"].items():
        x = figures(name, found)
        more = f"  floor {x['floor']}" if "floor" in x else ""
        more += f"  of infinitely many {x['at_infinity']}" if "at_infinity" in x else ""
        lines.append(f"{title(name, found):<32}{x['value']:>10}   [{x['low']}, {x['high']}]{more}")
        if name == "copies":
            lines.append(f"{'authenticity':<32}{found['authenticity']:>10.3f}")
    return "\n".join([*lines, *intervals(result), *remarks(result)])


def html(result: dict[str, Any], pairs: list[Pair]) -> str:
    """The same as a page, with the most copy-like pairs and with how it was computed."""
    rows, floors = [], any("floor" in found for found in result["metrics"].values())
    for name, found in result["metrics"].items():
        x = figures(name, found)
        floor = f"<td>{x.get('floor', '')}</td>" if floors else ""
        rows.append(
            f"<tr><th scope='row'>{page.text(title(name, found))}"
            f"<small>{page.text(MEANING[name])}</small></th><td>{x['value']}</td>"
            f"<td>{x['low']} to {x['high']}</td>{floor}</tr>"
        )
    notes = result["warnings"] + intervals(result)
    body = (
        "<header><p class='question'>How near are the generated pictures to the real ones?</p>"
        f"<h1>{page.text(_headline(result))}</h1>"
        f"<p class='lead'>{page.text(_lead(result))}</p></header>"
        "<section class='wide'><div class='scroll'><table><caption>Intervals of 95 %.</caption>"
        "<thead><tr><th>Measure</th><th>Value</th><th>Interval</th>"
        f"{'<th>Floor</th>' if floors else ''}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f"{''.join(f'<p class=note>{page.text(_sentence(x))}</p>' for x in notes)}"
        "</section>"
    )
    if "copies" in result["metrics"]:
        body += _copies(result["metrics"]["copies"], pairs)
    return page.whole("Generated and real pictures", body + _how(result))


def _headline(result: dict[str, Any]) -> str:
    name, found = next(iter(result["metrics"].items()))
    x = figures(name, found)
    return f"{title(name, found)} {x['value']}".strip()


def _lead(result: dict[str, Any]) -> str:
    name, found = next(iter(result["metrics"].items()))
    x, sets = figures(name, found), result["sets"]
    floor = f" As many real pictures would have {x['floor']} (floor)." if name == "frechet" else ""
    return (
        f"{sets['fake']['pictures']:,} generated pictures against {sets['real']['pictures']:,} "
        f"real ones. The 95 % interval goes from {x['low']} to {x['high']}.{floor}"
    )


def _copies(copies: dict[str, Any], pairs: list[Pair]) -> str:
    says = (
        "More of them look like copies than of real pictures that are held out"
        if copies["p"] < 0.05
        else "No more of them look like copies than real pictures do that are held out"
    )
    grid = []
    for pair in pairs:
        images = np.concatenate([pair.image, pair.match], axis=1)
        caption = f"{pair.ratio:.2f}: {pair.fake} and {pair.train}"
        grid.append(page.inlined(Image.fromarray(images), caption))
    return (
        "<section class='wide'><h2>Are there copies?</h2>"
        f"<p>{says} (p = {copies['p']:.2g}). Here are the {len(pairs)} generated pictures that are "
        "most like a copy, each on the left of its training picture, which may be mirrored. The "
        "number is their distance as a share of that to the training pictures around: near 0 is a "
        f"copy, near 1 is none.</p><div class='pairs'>{''.join(grid)}</div></section>"
    )


def _how(result: dict[str, Any]) -> str:
    net, metrics = result["features"], result["metrics"]
    lines = {
        "Features": f"{net['name']}, {net['dimension']:,} numbers a picture, seen at "
        f"{net['size']} px",
        "Resized": f"{net['resize']}; pictures of {net['size']} px are taken as they are",
        "Weights": f"SHA-256 {net['checksum']}" if net["checksum"] else "none",
        "Pictures": f"{result['resolution']} px; seed {result['seed']}",
    }
    for name, about in result["sets"].items():
        lines[name.capitalize()] = (
            f"{about['path']}: {page.count(about['pictures'], 'picture')}, fingerprint "
            f"{about['fingerprint']}"
        )
    if "frechet" in metrics:
        x = figures("frechet", metrics["frechet"])
        lines["Fréchet"] = (
            f"{x['at_infinity']} without the bias of few pictures: extrapolated to infinitely many "
            "on both sides, by partings at random; may be below 0 where both are alike"
        )
    if "copies" in metrics:
        copies = metrics["copies"]
        lines["Copies"] = (
            f"authenticity {copies['authenticity']:.3f}; {copies['held_out']:,} real pictures to "
            f"compare with, {copies['left_out']:,} left out as copies of training pictures"
        )
    if "versions" in result:
        lines["Versions"] = ", ".join(f"{k} {v}" for k, v in result["versions"].items())
    rows = "".join(f"<dt>{page.text(k)}</dt><dd>{page.text(v)}</dd>" for k, v in lines.items())
    return f"<section class='wide'><h2>How it was computed</h2><dl>{rows}</dl></section>"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
