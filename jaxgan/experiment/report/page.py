"""report.html: the verdict and what stands behind it, in one file that needs nothing else."""

import json
import math
from pathlib import Path
from typing import Any

from etils import epath

from jaxgan.experiment import ladder, next_steps, verdict
from jaxgan.experiment.outcomes import OUTCOMES
from jaxgan.experiment.report import formatting, sections, tables
from jaxgan.experiment.report.formatting import (
    count,
    duration,
    percent,
    picture,
    prose,
    signed,
    text,
)
from jaxgan.reporting import plots
from jaxgan.system import sealed
from jaxgan.types import InputError

Results = dict[str, Any]


def write_report(results: Results, workdir: epath.PathLike) -> epath.Path:
    """Writes `workdir`/report.html, and beside it runs.csv and contrasts.csv; returns its path.

    Pictures are inlined, figures are SVG, and there is no script: the page asks for nothing from
    outside. Parts that the results lack (one seed has no interval, no arm needed a generator, a
    grid is missing) are left out or said in words.

    Args:
        results: the contents of results.json; its paths are relative to `workdir`.
        workdir: the folder of the experiment.
    """
    workdir = epath.Path(workdir)
    broken = any(row.get("passed") is False for row in results.get("guards") or ())
    checked = _folded(sections.guards(results), broken)
    parts = (
        _verdict(results),
        checked * broken,
        _folded(_arms(results)),
        _folded(sections.failures(results), True),
        checked * (not broken),
        _folded(_pictures(results, workdir)),
        _folded(sections.turned(results, workdir)),
        _folded(sections.sweep(results)),
        _folded(sections.measures(results)),
        _folded(_learning(results)),
        _folded(sections.cost(results)),
        _folded(_method(results)),
        _folded(_run(results)),
        _next(results) and f"<section>{_next(results)}</section>",
    )
    path = workdir / "report.html"
    title = f"{results['verdict']['word'].capitalize()} – jaxgan"
    sealed.write(workdir / "runs.csv", tables.runs_csv(results))
    sealed.write(workdir / "contrasts.csv", tables.contrasts_csv(results))
    sealed.write(path, formatting.whole(title, "".join(parts)))
    return path


def _folded(section: str, shown: bool = False) -> str:
    """A section behind its heading, which opens it."""
    tag = f"<details{' open' * shown}><summary><h2>"
    return (
        section.replace("<h2>", tag, 1)
        .replace("</h2>", "</h2></summary>", 1)
        .replace("</section>", "</details></section>")
    )


def _next(results: Results) -> str:
    """What to do next, each step with the command that does it."""
    items = "".join(
        f"<li>{text(one['sentence'])}"
        + (f"<pre>{text(one['command'])}</pre>" if one.get("command") else "")
        + "</li>"
        for one in results.get("next") or ()
    )
    return f"<h3>What next</h3><ol>{items}</ol>" if items else ""


def _small(results: Results) -> str:
    """What the verdict holds for, elsewhere, and what the second outcome says."""
    verdict = results["verdict"]
    rows = [verdict.get("elsewhere"), verdict.get("beside")]
    said = [row["sentence"] for row in rows if row]
    if results.get("ended"):
        said.append(f"{results['ended'].capitalize()}.")
    return "".join(f"<p class='note'>{prose(one)}</p>" for one in said)


def _verdict(results: Results) -> str:
    verdict = results["verdict"]
    return f"""
<header>
<p class="question">Would generated images help this classifier?</p>
<h1>{text(verdict["word"].capitalize())}</h1>
<p class="lead">{prose(verdict["sentence"])}</p>
<p>{prose(verdict.get("conditions") or "")}</p>
{_small(results)}
{"" if verdict["difference"] is None else _primary(results)}
<p>{text((results.get("ladder") or {}).get("sentence", ""))}</p>
<p>{text((results.get("gate") or {}).get("sentence", ""))}</p>
{sections.power(results)}
{_next(results)}
</header>"""


def _primary(results: Results) -> str:
    verdict = results["verdict"]
    a, b = verdict["primary"]
    named = verdict.get("outcome", "accuracy")
    if not OUTCOMES[named].share:  # No points to draw: the sentence has its figures.
        return ""
    row = plots.Row(
        "difference",  # The caption says of what: at 390 px there is no room.
        _difference(verdict),
        100 * verdict["difference"],
        _times100(verdict.get("low")),
        _times100(verdict.get("high")),
        [100 * d for d in _seed_differences(results, a, b)] if named == "accuracy" else [],
        _style(results, a),
    )
    outcome = OUTCOMES[verdict.get("outcome", "accuracy")]
    chance = (
        f"{text(outcome.title.capitalize())} of {text(a)} minus that of {text(b)}, with its "
        f"{_level(results)} interval for other seeds and other test images"
        + ("; rings are single seeds." if row.seeds else ".")
        if row.low is not None
        else "With one seed there is no interval: run more seeds to learn how much is chance."
    )
    unit = f"points of {outcome.title}"
    figure = plots.dots_and_whiskers([row], "Primary contrast", unit, zero=True)
    return f"<figure>{figure}<figcaption>{chance}</figcaption></figure>"


def _arms(results: Results) -> str:
    rows, lines = [], []
    cheapest = (results.get("ladder") or {}).get("cheapest")
    for name in sorted(results["arms"], key=_rung):
        arm = results["arms"][name]
        style = _style(results, name)
        low, high = arm.get("low"), arm.get("high")
        figure = percent(arm["accuracy"])
        between = "no interval" if low is None else f"{100 * low:.1f} to {100 * high:.1f}"
        if low is not None and high - low > sections.SENSIBLE:
            between = "too noisy to tell"
        seeds = [100 * run["test_accuracy"] for run in results["runs"] if run["arm"] == name]
        limits = (_times100(low), _times100(high))
        rows.append(plots.Row(name, figure, 100 * arm["accuracy"], *limits, seeds, style))
        key = (
            f'<svg class="key arm{style % len(plots.MARKERS)}" viewBox="-8 -8 16 16">'
            f'<path class="dot" d="{plots.MARKERS[style % len(plots.MARKERS)]}"/></svg>'
        )
        lines.append(
            f"<tr><th scope='row'>{key}{text(name)}"
            f"<small>{text(arm.get('description', ''))}"
            f"{'; the cheapest as good as the best' * (name == cheapest)}</small></th>"
            f"<td>{figure}<small>{between}</small></td>"
            f"<td>{_to_real(results, name)}</td>"
            f"<td>{'–' if arm.get('ensemble') is None else percent(arm['ensemble'])}</td>"
            f"<td>{_loss(arm)}</td></tr>"
        )
    figure = plots.dots_and_whiskers(rows, "Test accuracy of every arm", "test accuracy, %")
    chance = (
        f"Means over seeds with their {_level(results)} intervals; rings are single seeds."
        if any(row.low is not None for row in rows)
        else "One seed, so no intervals."
    )
    others = "".join(
        f"<li>{text(c['a'])} minus {text(c['b'])}: {text(_difference(c))}</li>"
        for c in results.get("contrasts", [])
        if c["b"] != results["arms"].get(c["a"], {}).get("base", "real")
    )
    return f"""
<section>
<h2>Every arm on the same test images</h2>
<figure>{figure}<figcaption>{chance}</figcaption></figure>
<table>
<thead><tr><th>Arm</th><th>Test accuracy</th><th>Minus its base, points</th>
<th>Ensemble of seeds</th><th>Log loss</th></tr></thead>
<tbody>{"".join(lines)}</tbody>
</table>
{f"<p>Further differences, in points:</p><ul>{others}</ul>" if others else ""}
<p class="note">Differences are paired, by seed and test image: overlapping intervals of two arms
say nothing about them. Only the primary contrast decides the verdict; the intervals of the other
differences cover together (Bonferroni), and p is adjusted for their number (Holm).</p>
</section>"""


def _loss(arm: Results) -> str:
    loss = (arm.get("outcomes") or {}).get("log_loss")
    return "–" if loss is None else f"{loss:.3f}"


def _learning(results: Results) -> str:
    last = max((run["steps"] for run in results["runs"]), default=0)
    every = [point for run in results["runs"] for half in _halves(run) for point in half]
    losses = [p["loss"] for p in every if _finite(p.get("loss"))]
    accuracies = [100 * p["accuracy"] for p in every if _finite(p.get("accuracy"))]
    if not losses or not accuracies:
        return ""
    ranges = {"accuracy": (min(accuracies), 100.0), "loss": (0.0, max(losses))}
    blocks = ""
    for name in results["arms"]:
        runs = [run for run in results["runs"] if run["arm"] == name]
        drawings = "".join(
            plots.learning_curves(
                _panels(runs, measure), f"{name}: {measure}", _style(results, name), last, *limits
            )
            for measure, limits in ranges.items()
        )
        blocks += f"<figure><h3>{text(name)}</h3>{drawings}</figure>"
    return f"""
<section class="wide">
<h2>Learning curves</h2>
{_late(results)}
<p>Training on the left, validation on the right, over optimiser steps; all arms on the same axes.
Thin lines are seeds, the thick line is their mean; dots mark the checkpoints that validation
chose.</p>
<div class="panels">{blocks}</div>
</section>"""


def _late(results: Results) -> str:
    late = next_steps.unfinished(results)
    if not late:
        return "<p>Validation had levelled off in every arm when training ended.</p>"
    return f"<p>Still getting better at the end: {text(', '.join(late))}. More steps may help.</p>"


def _panels(runs: list[Results], measure: str) -> list[plots.Curves]:
    """The panels of training and validation; accuracies in %."""
    factor, unit = (100, ", %") if measure == "accuracy" else (1, "")
    panels = []
    for half in ("train", "validation"):
        seeds = [
            [
                (p["step"], factor * p[measure])
                for p in run["curve"][half]
                if _finite(p.get(measure))
            ]
            for run in runs
        ]
        chosen = [
            point
            for run, seed in zip(runs, seeds, strict=True)
            for point in seed
            if half == "validation" and point[0] == run.get("best_step")
        ]
        title = {"train": "training", "validation": "validation"}[half]
        panels.append(plots.Curves(f"{title} {measure}{unit}", seeds, chosen))
    return panels


def _pictures(results: Results, workdir: epath.Path) -> str:
    kinds = results.get("figures", {})
    # The grids are of the first fold, as the samples are.
    first = [g for g in results.get("generators", []) if not g.get("fold")]
    generators = {g["class"]: g for g in first}
    folds = len({run.get("fold", 0) for run in results["runs"]})
    blocks = "<p class='note'>Of the first fold.</p>" if folds > 1 else ""
    for name in results["classes"]:
        pair = "".join(
            picture(workdir, kinds.get(kind, {}).get(name), f"{kind} {name}")
            for kind in ("real", "generated")
        )
        grids = generators.get(name, {}).get("grids", [])
        # Four at most, evenly over time, the first and the last among them.
        chosen = [grids[round(i * (len(grids) - 1) / 3)] for i in range(4)] if grids else []
        over_time = "".join(
            picture(workdir, grid, f"step {int(stem):,}" if stem.isdigit() else stem, most=480)
            for grid in dict.fromkeys(chosen)
            for stem in [Path(grid).stem]
        )
        if over_time:
            steps = f"{generators[name]['steps']:,}"
            over_time = (
                f"<p>The same latents while the GAN trained, {steps} steps in all.</p>"
                f'<div class="grids">{over_time}</div>'
            )
        if pair or over_time:
            blocks += f'<h3>{text(name)}</h3><div class="pair">{pair}</div>{over_time}'
    if not generators and not results.get("failed_generators"):
        blocks = f"<p>No arm needed generated images, so no GAN was trained.</p>{blocks}"
    return f"""
<section class="wide">
<h2>Real and generated images</h2>
{blocks}
</section>"""


def _method(results: Results) -> str:
    seeds = len({run["seed"] for run in results["runs"]})
    pictures = len(results.get("test", {}).get("labels", []))
    outcome = OUTCOMES[results["verdict"].get("outcome", "accuracy")]
    folds = len({run.get("fold", 0) for run in results["runs"]})
    where = f" in {folds} folds, each image in one of them" if folds > 1 else ""
    half = verdict.widest(outcome, results["verdict"].get("width"))
    noisy = "the width asked for" if half is None else f"{verdict.points(half)} points"
    return f"""
<section>
<h2>How to read this</h2>
<p>Every arm trained the same classifier for the same number of optimiser steps with
{count(seeds, "seed")}, validated on the same real images, and answered the same
{count(pictures, "real test image")}{where}. Validation alone chose each run's checkpoint; the test
images were read once, at the end. The GANs saw training images only.</p>
<p>The verdict follows from one difference, in {text(outcome.title)}, and from its interval alone:
<em>helps</em> where it lies above 0, <em>hurts</em> below. Where it holds 0 it is <em>too noisy to
tell</em> if half of it is above {noisy}, else <em>no evidence</em>, which is not evidence of no
effect.{_margin(results)}</p>
<p>The interval counts classifier seeds and test images as drawn at random: two-way crossed variance
components, those of folds pooled, with a Satterthwaite <i>t</i>. How much seeds scatter is learned
from all arms. The training images and the GANs are taken as they are; the line "for other training
images and other GANs" takes each fold as one draw of these instead. Arms' own intervals have two
right and two wrong images added (Agresti and Coull), so that a perfect score is not certain.</p>
</section>"""


def _margin(results: Results) -> str:
    margin = results["verdict"].get("margin")
    if margin is None:
        return ""
    return (
        f" Differences below {signed(margin).lstrip('+')} points do not matter here: where the "
        "whole interval lies closer to 0 than that, it is <em>no relevant difference</em>."
    )


def _run(results: Results) -> str:
    environment, data = results.get("environment", {}), results.get("data", {})
    seconds = results.get("seconds", {})
    stages = ", ".join(f"{k} {duration(v)}" for k, v in seconds.items() if k != "total")
    unreadable = data.get("unreadable", [])
    versions = ", ".join(f"{k} {v}" for k, v in environment.get("versions", {}).items())
    facts = {
        "Command": environment.get("command"),
        "Started": environment.get("started"),
        "Took": f"{duration(seconds['total'])} ({stages})" if "total" in seconds else stages,
        "Devices": ", ".join(environment.get("devices", [])),
        "jaxgan": " ".join(filter(None, (results.get("jaxgan"), environment.get("git")))),
        "Versions": versions,
        "Python": environment.get("python"),
        "Platform": environment.get("platform"),
        "Samples": (results.get("gate") or {}).get("judged", "").capitalize(),
        "Data": data.get("path"),
        "Fingerprint": data.get("fingerprint"),
        "Duplicates": data.get("duplicates"),
        "Left out": f"{count(len(unreadable), 'unreadable file')}" if unreadable else "no file",
    }
    rows = "".join(f"<dt>{k}</dt><dd>{text(v)}</dd>" for k, v in facts.items() if v)
    files = "".join(f"<li>{text(name)}: {text(why)}</li>" for name, why in unreadable)
    left_out = f"<details><summary>Files left out</summary><ul>{files}</ul></details>"
    config = text(json.dumps(results.get("config", {}), indent=2))
    return f"""
<section>
<h2>What was run</h2>
<dl>{rows}</dl>
{_counts(results)}
{left_out if files else ""}
<details><summary>The whole configuration</summary><pre>{config}</pre></details>
</section>"""


def _counts(results: Results) -> str:
    """How many pictures each split has, and each arm trains on."""
    classes = results["classes"]
    names = {"train": "training", "validation": "validation", "test": "test"}
    counts = results.get("data", {}).get("counts", {})
    rows = [(names.get(k, k), [f"{v.get(c, 0):,}" for c in classes]) for k, v in counts.items()]
    for name, arm in results["arms"].items():
        mix = [arm.get("pictures", {}).get(c, {}) for c in classes]
        cells = [
            f"{m.get('real', 0):,}" + (f" + {m['generated']:,}" if m.get("generated") else "")
            for m in mix
        ]
        if any(mix):
            rows.append((f"arm {name}", cells))
    head = "".join(f"<th>{text(c)}</th>" for c in classes)
    body = "".join(
        f"<tr><th scope='row'>{text(k)}</th>{''.join(f'<td>{c}</td>' for c in cells)}</tr>"
        for k, cells in rows
    )
    return f"""<p class="note">Images: the splits (all real), then what each arm trains on (real
+ generated).</p>
<div class="scroll"><table>
<thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"""


def _to_real(results: Results, name: str) -> str:
    for contrast in results.get("contrasts", []):
        base = results["arms"][name].get("base", "real")
        if (contrast["a"], contrast["b"]) == (name, base):
            p = contrast.get("holm", contrast.get("p"))
            size = "" if p is None else "p &lt; 0.0001" if p < 1e-4 else f"p = {p:.2g}"
            told = f"<small>{size}{', primary' * contrast.get('primary', False)}</small>"
            told *= bool(size)
            return f"{signed(contrast['difference'])}<small>{_between(contrast)}</small>{told}"
    return "–"


def _difference(contrast: Results) -> str:
    return f"{signed(contrast['difference'])} ({_between(contrast)})"


def _between(contrast: Results) -> str:
    low, high = contrast.get("low"), contrast.get("high")
    if low is None or high is None:
        return "no interval"
    if high - low > sections.SENSIBLE:
        return "too noisy to tell"
    return f"{signed(low)} to {signed(high)}"


def _seed_differences(results: Results, a: str, b: str) -> list[float]:
    scores = {
        (run["arm"], (run.get("fold", 0), run["seed"])): run["test_accuracy"]
        for run in results["runs"]
    }
    seeds = [seed for arm, seed in scores if arm == a and (b, seed) in scores]
    return [scores[a, seed] - scores[b, seed] for seed in seeds]


def _halves(run: Results) -> list[list[Results]]:
    return [run["curve"]["train"], run["curve"]["validation"]]


def _rung(name: str) -> int:
    try:
        return ladder.rung(name)
    except (InputError, ValueError):
        return len(ladder.RUNGS)


def _style(results: Results, arm: str) -> int:
    return list(results["arms"]).index(arm)


def _finite(x: float | None) -> bool:
    return x is not None and math.isfinite(x)


def _times100(x: float | None) -> float | None:
    return None if x is None else 100 * x


def _level(results: Results) -> str:
    return f"{100 * results['verdict'].get('level', 0.95):.3g} %"
