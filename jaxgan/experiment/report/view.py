"""What the report shows first: the verdict, one figure, the arms, samples beside real images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from etils import epath
from PIL import Image

from jaxgan.experiment.outcomes import OUTCOMES, Outcome
from jaxgan.experiment.report import flipped_images
from jaxgan.experiment.report.formatting import (
    SENSIBLE,
    between,
    image,
    opened,
    percent,
    prose,
    rung,
    signed,
    style,
)
from jaxgan.experiment.schema import Contrast, Limits, Results
from jaxgan.reporting import html, plots

MOST_ROWS = 8  # Of the main figure.
LARGE = 4  # Classes whose samples stand first; further ones are folded.
COLUMNS, FIRST, MANY = 5, 10, 7  # Images in a row and on a sheet, and in a row of the folded rest.
OVER_TIME, GROWING = 4, 16  # Sheets of a GAN while it trained, and images on each.


class Headline(NamedTuple):
    """The verdict.

    Attributes:
        word: of it.
        sentence: with its figures.
        conditions: what it holds for.
        notes: what else the experiment says, a sentence each.
        failed: names of the checks that failed.
    """

    word: str
    sentence: str
    conditions: str
    notes: Sequence[str]
    failed: Sequence[str]


class Samples(NamedTuple):
    """Images of a class.

    Attributes:
        name: of the class.
        first: real ones and generated ones, large.
        rest: further ones.
        growing: the same latents while the GAN trained.
        steps: of it.
    """

    name: str
    first: Sequence[html.Inlined]
    rest: Sequence[html.Inlined]
    growing: Sequence[html.Inlined]
    steps: int


def headline(results: Results) -> Headline:
    """Return the verdict in words."""
    verdict = results["verdict"]
    others = [verdict.get("elsewhere"), verdict.get("beside")]
    notes = [row["sentence"] for row in others if row] + _power(results)
    if worth := results.get("worth"):
        notes.append(f"{worth['arm']} is {worth['sentence']}.")
    if ladder := results.get("ladder"):
        notes.append(ladder["sentence"])
    if best := results.get("best"):
        notes.append(best["sentence"])
    if (gate := results.get("gate")) and gate["passed"]:  # Else it is among what to do next.
        notes.append(gate["sentence"])
    if results.get("ended"):
        notes.append(f"{results['ended'].capitalize()}.")
    failed = [row["name"] for row in results.get("guards") or () if row.get("passed") is False]
    return Headline(
        verdict["word"].capitalize(),
        prose(verdict["sentence"]),
        prose(verdict.get("conditions")),
        [prose(note) for note in notes],
        failed,
    )


def _power(results: Results) -> list[str]:
    """Return what the design could have found, and whether it stopped early."""
    verdict, said = results["verdict"], []
    power = verdict.get("power") or {}
    seen = power.get("seen")
    if seen is not None and seen < SENSIBLE and power.get("planned") is not None:
        said.append(
            f"This design finds a true difference of {signed(seen).lstrip('+')} points "
            f"or more in {power['probability'] * 5:.0f} of 5 tries; smaller ones it may miss."
        )
    if verdict.get("seeds") in verdict.get("looks", ()) and not results.get("failed"):
        said.append(
            f"It stopped after {verdict['seeds']} of {verdict['planned_seeds']} seeds, at a look "
            "that was planned; the interval is wide enough to allow for the looks."
        )
    return said


def outcome(results: Results) -> Outcome:
    """Return what the verdict is about."""
    return OUTCOMES[results["verdict"].get("outcome", "accuracy")]


def level(results: Results) -> str:
    """Return how sure intervals are, "95 %"."""
    return f"{100 * results['verdict'].get('level', 0.95):.3g} %"


def contrasts(results: Results) -> list[Contrast]:
    """Return each arm's difference to its base: the primary one first, then the cheapest arms."""
    verdict = results["verdict"]
    if verdict["difference"] is None:
        return []
    a, b = verdict["primary"]
    first: Any = {k: verdict.get(k) for k in ("difference", "low", "high")} | {"a": a, "b": b}
    others = [c for c in results.get("contrasts") or () if (c["a"], c["b"]) != (a, b)]
    return [first, *sorted((c for c in others if _to_base(results, c)), key=lambda c: rung(c["a"]))]


def figure(results: Results) -> tuple[plots.Dots, str] | None:
    """Return the main figure, the differences and their intervals, and its caption."""
    found = contrasts(results)
    if not found:
        return None
    of, (a, b) = outcome(results), results["verdict"]["primary"]
    factor = 100 if of.share else 1
    seeds = _seed_differences(results, a, b) if of is OUTCOMES["accuracy"] else []
    rows = []
    for c in found[:MOST_ROWS]:
        first = c is found[0]  # Its interval is shown however wide it is, as the headline does.
        row = plots.Row(
            _short(c["a"] if c["b"] == b else f"{c['a']} − {c['b']}"),
            difference(c, of.share, 2 if first else SENSIBLE),
            factor * c["difference"],
            *_limits(c, factor, of.share and not first),
            [factor * d for d in seeds] if first else [],
            style(c["a"]),
            strong=first and len(found) > 1,
        )
        rows.append(row)
    what = of.title.capitalize()
    unit = f"points of {of.title}" if of.share else f"{of.title}, less to the right"
    ends = ("← hurts", "helps →")
    margin = results["verdict"].get("margin")
    chart = plots.dots_and_whiskers(
        rows,
        f"{what}: difference of {a} and {b}, {rows[0].text}",
        unit,
        zero=True,
        ends=ends,
        margin=margin and factor * margin,
    )
    return chart, _caption(results, rows, len(found), f"{what} of {a} minus that of {b}")


def _caption(results: Results, rows: Sequence[plots.Row], count: int, what: str) -> str:
    said = f"{what}, with its {level(results)} interval for other seeds and other test images."
    if rows[0].low is None:
        return (
            f"{what}. With one seed there is no interval: run more seeds to learn how much is "
            "chance."
        )
    if rows[0].seeds:
        said += " Rings are single seeds."
    if len(rows) > 1:
        more = f" (the first {len(rows) - 1} of {count - 1})" if count > len(rows) else ""
        said += f" Below, the other arms against their own base{more}: they do not decide."
    if results["verdict"].get("margin"):
        said += " The band holds differences that do not matter here."
    return said


def arms(results: Results) -> tuple[plots.Dots, html.Table, str, list[str]]:
    """Return every arm's accuracy as a figure and as a table, a caption, further differences."""
    of, cheapest = outcome(results), (results.get("ladder") or {}).get("cheapest")
    rows, lines = [], []
    for name in sorted(results["arms"], key=rung):
        arm = results["arms"][name]
        low, high = arm.get("low"), arm.get("high")
        seeds = [100 * run["test_accuracy"] for run in results["runs"] if run["arm"] == name]
        shown, said = percent(arm["accuracy"]), "no interval"
        if low is not None:
            wide = high - low > SENSIBLE
            said = "too noisy to tell" if wide else f"{100 * low:.1f} to {100 * high:.1f}"
        limits = _limits(arm, 100, True)
        rows.append(
            plots.Row(_short(name), shown, 100 * arm["accuracy"], *limits, seeds, style(name))
        )
        about = arm.get("description", "") + "; the cheapest as good as the best" * (
            name == cheapest
        )
        loss = (arm.get("outcomes") or {}).get("log_loss")
        lines.append(
            [
                html.Cell(name, [about], style=style(name)),
                html.Cell(shown, [said]),
                _from_base(results, name, of.share),
                percent(arm.get("ensemble")),
                "–" if loss is None else f"{loss:.3f}",
            ]
        )
    unit = "points" if of is OUTCOMES["accuracy"] else "points of " * of.share + of.title
    head = ["Arm", "Test accuracy", f"Minus its base, {unit}", "Ensemble of seeds", "Log loss"]
    chart = plots.dots_and_whiskers(rows, "Test accuracy of every arm", "test accuracy, %")
    caption = f"Means over seeds with their {level(results)} intervals; rings are single seeds."
    if all(row.low is None for row in chart.rows):
        caption = "One seed, so no intervals."
    others = [c for c in results.get("contrasts", []) if not _to_base(results, c)]
    further = [f"{c['a']} minus {c['b']}: {difference(c, of.share)}" for c in others]
    return chart, html.Table(head, lines), caption, further


def difference(contrast: Contrast, share: bool, widest: float = SENSIBLE) -> str:
    """Return a contrast as "−2.8 (−4.7 to −0.8)"."""
    limits = between(contrast.get("low"), contrast.get("high"), share, widest)
    return f"{signed(contrast['difference'], share)} ({limits})"


def _to_base(results: Results, contrast: Contrast) -> bool:
    return contrast["b"] == results["arms"].get(contrast["a"], {}).get("base", "real")


def _from_base(results: Results, name: str, share: bool) -> html.Cell | str:
    for c in results.get("contrasts", []):
        if c["a"] == name and _to_base(results, c):
            p = c.get("holm", c.get("p"))
            small = [between(c.get("low"), c.get("high"), share)]
            if p is not None:
                size = "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
                small.append(size + ", primary" * c.get("primary", False))
            return html.Cell(signed(c["difference"], share), small)
    return "–"


def _limits(of: Limits, factor: float, share: bool) -> tuple[float | None, float | None]:
    """Return an interval for a figure; none where it is too wide to say anything."""
    low, high = of.get("low"), of.get("high")
    if low is None or high is None or (share and high - low > SENSIBLE):
        return None, None
    return factor * low, factor * high


def _seed_differences(results: Results, a: str, b: str) -> list[float]:
    scores = {
        (run["arm"], (run.get("fold", 0), run["seed"])): run["test_accuracy"]
        for run in results["runs"]
    }
    seeds = [seed for arm, seed in scores if arm == a and (b, seed) in scores]
    return [scores[a, seed] - scores[b, seed] for seed in seeds]


def _short(name: str) -> str:
    return name if len(name) <= 30 else f"{name[:29]}…"  # Leaves room for figures at 390 px.


def samples(results: Results, workdir: epath.Path) -> list[Samples]:
    """Return each class's real and generated images, and how a GAN's samples grew."""
    kinds = results.get("figures", {})
    # The grids are of the first fold, as the samples are.
    generators = {g["class"]: g for g in results.get("generators", []) if not g.get("fold")}
    section = results.get("config", {}).get("classifier") or {}
    side = (section.get("data") or {}).get("resolution") or 0
    found = []
    for name in results["classes"]:
        first, rest = [], []
        for kind in ("real", "generated"):
            whole = opened(workdir, kinds.get(kind, {}).get(name))
            if whole is None:
                continue
            if isinstance(whole, str):
                first.append(html.Inlined("", whole))
                continue
            each = html.tiles(whole, side)
            if each:
                more = each[FIRST:]
                whole = html.sheet(each[:FIRST], COLUMNS)
                if more:
                    rest.append(html.inlined(html.sheet(more, MANY), f"more {kind} {name}"))
            first.append(html.inlined(whole, f"{kind} {name}"))
        generator = generators.get(name, {})
        growing = _growing(workdir, generator.get("grids", []), side)
        if first or growing:
            found.append(Samples(name, first, rest, growing, generator.get("steps", 0)))
    return found


def _growing(workdir: epath.Path, grids: Sequence[str], side: int) -> list[html.Inlined]:
    """Some sheets evenly over time, the first and the last among them."""
    last = OVER_TIME - 1
    chosen = [grids[round(i * (len(grids) - 1) / last)] for i in range(OVER_TIME)] if grids else []

    def cut(whole: Image.Image) -> Image.Image:
        each = html.tiles(whole, side)
        return html.sheet(each[:GROWING], 4) if each else whole

    found = []
    for grid in dict.fromkeys(chosen):
        stem = Path(grid).stem
        caption = f"step {int(stem):,}" if stem.isdigit() else stem
        found.append(image(workdir, grid, caption, 480, cut))
    return [one for one in found if one]


def flipped(results: Results, workdir: epath.Path) -> list[tuple[str, list[html.Inlined]]]:
    """Return test images that the primary contrast helped and hurt, each kind with its title."""
    if "names" not in results.get("test", {}) or results["verdict"]["difference"] is None:
        return []
    a, b = results["verdict"]["primary"]
    files, found = results.get("figures", {}).get("test", {}), []
    for kind, rows in flipped_images.turned(results).items():
        better, other = (a, b) if kind == "helped" else (b, a)
        shown = []
        for row in rows:
            caption = f"{row['name']}: {row['label']}, {row['seeds']} of {row['of']}"
            one = image(workdir, files.get(row["name"]), caption, 128)
            shown.append(one or html.Inlined("", caption))
        found.append((f"Right with {better}, wrong with {other}", shown))
    return found
