"""What the report folds: checks, failures, classes, a sweep, curves, cost, what was run."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data import class_counts
from jaxgan.experiment import next_steps, verdict
from jaxgan.experiment.report import view
from jaxgan.experiment.report.formatting import between, duration, percent, signed, style
from jaxgan.experiment.schema import Results, Run
from jaxgan.reporting import html, plots


class Check(NamedTuple):
    """One thing that was checked: a mark, its name, what came of it, and a sentence."""

    mark: str
    name: str
    said: str
    sentence: str


def checks(results: Results) -> list[Check]:
    """Return what was checked, what failed first."""
    marks = {True: ("✓", "passed"), False: ("✗", "failed"), None: ("–", "not checked")}
    rows = sorted(results.get("guards") or [], key=lambda row: row.get("passed") is not False)
    found = []
    for row in rows:
        mark, said = marks[row.get("passed")]
        found.append(Check(mark, row["name"], said, row.get("sentence", "")))
    return found


def failures(results: Results) -> list[str]:
    """Return the GANs and the classifiers that failed, each with the reason."""
    lines = [
        f"The GAN of {gan['name']}: {gan['error']}" for gan in results.get("failed_generators", [])
    ]
    seeds: dict[tuple[str, str], list[str]] = {}
    for run in results.get("failed", []):
        seeds.setdefault((run["arm"], run["error"]), []).append(str(run["seed"]))
    for (arm, error), of in seeds.items():
        lines.append(f"Arm {arm}, seed{'s' * (len(of) > 1)} {', '.join(of)}: {error}")
    return lines


def classes(results: Results) -> list[html.Table]:
    """Return recall by arm and class, and the primary contrast's rise of it."""
    arms = {name: arm for name, arm in results["arms"].items() if arm.get("per_class")}
    if not arms:
        return []
    rows = []
    for name, arm in arms.items():
        worst, area = (arm.get("worst_class") or {}).get("class"), arm.get("auroc")
        cells: list[object] = [name]
        for c in results["classes"]:
            one = arm["per_class"].get(c)
            if one is None:
                cells.append("–")
                continue
            small = (
                [] if one["low"] is None else [f"{100 * one['low']:.1f} to {100 * one['high']:.1f}"]
            )
            cells.append(html.Cell(percent(one["recall"]), small, strong=c == worst))
        cells += [percent(arm["calibration_error"]), "–" if area is None else f"{area:.3f}"]
        rows.append(cells)
    head = ["Arm", *results["classes"], "Calibration error", "AUROC"]
    caption = (
        "Recall of each class (each arm's worst in bold), expected calibration error in 15 bins, "
        "and the area under the ROC curve, one class against the rest; means over seeds."
    )
    found = [html.Table(head, rows, caption)]
    if rise := _rise(results):
        found.append(rise)
    return found


def _rise(results: Results) -> html.Table | None:
    """Return how much the recall of each class rises, beside how many images there were."""
    verdict = results["verdict"]
    found, counts = verdict.get("per_class"), results.get("data", {}).get("counts", {})
    if not found:
        return None
    labels = results.get("test", {}).get("labels", [])
    rows = []
    for i, c in enumerate(results["classes"]):
        if (one := found.get(c)) is not None:
            limits = "–" if one["low"] is None else between(one["low"], one["high"])
            train = counts.get("train", {}).get(c, "–")
            rows.append([c, train, labels.count(i), signed(one["difference"]), limits])
    a, b = verdict["primary"]
    folds = " (first fold)" if results.get("data", {}).get("folds", 1) > 1 else ""
    head = ["Class", f"To train with{folds}", "Test images", "Rise", "Interval"]
    caption = f"Rise of recall from {b} to {a}, in points; all intervals cover together."
    return html.Table(head, rows, " ".join([caption, *warnings(results)]))


def warnings(results: Results) -> list[str]:
    """Return what the log warned of: classes of unequal size, or too small for a GAN."""
    names, counts = results["classes"], results.get("data", {}).get("counts", {})
    of_all = [sum(side.get(c, 0) for side in counts.values()) for c in names]
    if not all(of_all):
        return []
    every = np.repeat(np.arange(len(names)), of_all)
    outcome = results["verdict"].get("outcome") or "accuracy"
    said = class_counts.lopsided(every, names, outcome, list(results["arms"]))
    if results.get("generators"):
        train = [counts.get("train", {}).get(c, 0) for c in names]
        said += class_counts.few(np.repeat(np.arange(len(names)), train), names, None)
    short = [line.removeprefix("warning: ") for line in said]
    return [f"{line[0].upper()}{line[1:]}." for line in short]


def mcnemar(results: Results) -> html.Table | None:
    """Return McNemar's test of each fold and seed."""
    found = results["verdict"].get("mcnemar")
    if not found:
        return None
    a, b = results["verdict"]["primary"]
    caption = (
        "Test images that one of the two classifiers alone gets right. Each p-value speaks of two "
        "trained classifiers, not of the arms."
    )
    if results["verdict"].get("groups"):
        caption += " It takes images as drawn one by one, which those of a group are not."
    rows = [[t.get("fold", 0), t["seed"], t["only_a"], t["only_b"], f"{t['p']:.2g}"] for t in found]
    return html.Table(["Fold", "Seed", f"Only {a}", f"Only {b}", "p"], rows, caption)


def sweep(results: Results) -> plots.Heat | None:
    """Return the heat map of generated images per real one and real images, if there is one."""
    of = {c["a"]: c for c in results.get("contrasts", [])}
    share = view.outcome(results).share
    cells: dict[tuple[float, int], tuple[float, str]] = {}
    for name, arm in results["arms"].items():
        if arm.get("ratio") and arm.get("size") and name in of:
            c = of[name]
            sure = c.get("low") is not None and (c["low"] > 0 or c["high"] < 0)
            text = signed(c["difference"], share) + "*" * sure
            cells[arm["ratio"], arm["size"]] = c["difference"], text
    ratios, sizes = sorted({ratio for ratio, _ in cells}), sorted({size for _, size in cells})
    if len(ratios) < 2 or len(sizes) < 2:
        return None
    return plots.heat_map(
        [[cells.get((ratio, size)) for size in sizes] for ratio in ratios],
        [f"{ratio:g} x" for ratio in ratios],
        [f"{size:,}" for size in sizes],
        "Change by ratio and real images",
    )


def learning(results: Results) -> list[tuple[str, list[plots.Curves]]]:
    """Return each arm's curves of accuracy and loss, all on the same axes."""
    last = max((run["steps"] for run in results["runs"]), default=0)
    curves = [run["curve"] for run in results["runs"]]
    every = [point for curve in curves for point in (*curve["train"], *curve["validation"])]
    losses = [p["loss"] for p in every if _finite(p.get("loss"))]
    accuracies = [100 * p["accuracy"] for p in every if _finite(p.get("accuracy"))]
    if not losses or not accuracies:
        return []
    ranges = {"accuracy": (min(accuracies), 100.0), "loss": (0.0, max(losses))}
    found = []
    for name in results["arms"]:
        runs = [run for run in results["runs"] if run["arm"] == name]
        curves = [
            plots.learning_curves(
                _panels(runs, measure), f"{name}: {measure}", style(name), last, *limits
            )
            for measure, limits in ranges.items()
        ]
        found.append((name, curves))
    return found


def late(results: Results) -> str:
    """Return whether classifiers were still getting better when training ended."""
    found = next_steps.unfinished(results)
    if not found:
        return "Validation had levelled off in every arm when training ended."
    return f"Still getting better at the end: {', '.join(found)}. More steps may help."


def _panels(
    runs: Sequence[Run], measure: str
) -> list[tuple[str, list[plots.Points], plots.Points]]:
    """Training and validation; accuracies in %."""
    factor, unit = (100, ", %") if measure == "accuracy" else (1, "")
    panels = []
    for half, title in (("train", "training"), ("validation", "validation")):
        seeds: list[plots.Points] = [
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
        panels.append((f"{title} {measure}{unit}", seeds, chosen))
    return panels


def _finite(x: float | None) -> bool:
    return x is not None and math.isfinite(x)


def cost(results: Results) -> tuple[html.Table, Sequence[str]] | None:
    """Return hours and images seen by each arm, and what the same hours would have bought."""
    found, runs = results.get("cost") or {}, results["runs"]
    rows = found.get("rows")
    if not rows:
        each = {name: [r for r in runs if r["arm"] == name] for name in results["arms"]}
        rows = [
            {"arm": name, "seconds": sum(r.get("seconds", 0) for r in of), "runs": len(of)}
            for name, of in each.items()
            if any("seconds" in r for r in of)
        ]
    if not rows:
        return None
    titles = {"seconds": "Time", "pictures_seen": "Images seen"}
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "arm"))
    head = ["Arm", *(titles.get(c, c.replace("_", " ").capitalize()) for c in columns)]
    lines = [[row["arm"], *(_amount(c, row.get(c)) for c in columns)] for row in rows]
    return html.Table(head, lines), found.get("sentences", [])


def _amount(column: str, value: Any) -> object:
    if value is None:
        return "–"
    if column == "seconds":
        return duration(value)
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return value


def method(results: Results) -> Mapping[str, Any]:
    """Return the figures that the explanation of the method names."""
    of, margin = view.outcome(results), results["verdict"].get("margin")
    half = verdict.widest(of, results["verdict"].get("width"))
    return {
        "seeds": html.count(len({run["seed"] for run in results["runs"]}), "seed"),
        "images": html.count(len(results.get("test", {}).get("labels", [])), "real test image"),
        "folds": len({run.get("fold", 0) for run in results["runs"]}),
        "outcome": of.title,
        "noisy": "the width asked for" if half is None else f"{verdict.points(half)} points",
        "margin": None
        if margin is None
        else signed(margin, of.share).lstrip("+") + " points" * of.share,
    }


def run(results: Results) -> Mapping[str, Any]:
    """Return what was run: facts by name, the files that were left out, and the config."""
    environment, data = results.get("environment", {}), results.get("data", {})
    seconds = results.get("seconds", {})
    stages = ", ".join(f"{k} {duration(v)}" for k, v in seconds.items() if k != "total")
    unreadable = data.get("unreadable", [])
    facts = {
        "Command": environment.get("command"),
        "Started": environment.get("started"),
        "Took": f"{duration(seconds['total'])} ({stages})" if "total" in seconds else stages,
        "Devices": ", ".join(environment.get("devices", [])),
        "jaxgan": " ".join(filter(None, (results.get("jaxgan"), environment.get("git")))),
        "Versions": ", ".join(f"{k} {v}" for k, v in environment.get("versions", {}).items()),
        "Python": environment.get("python"),
        "Platform": environment.get("platform"),
        "Samples": (results.get("gate") or {}).get("judged", "").capitalize(),
        "Data": data.get("path"),
        "Fingerprint": data.get("fingerprint"),
        "Duplicates": data.get("duplicates"),
        "Left out": html.count(len(unreadable), "unreadable file") if unreadable else "no file",
    }
    return {
        "facts": facts,
        "left_out": [f"{name}: {why}" for name, why in unreadable],
        "counts": _counts(results),
        "config": json.dumps(results.get("config", {}), indent=2),
    }


def _counts(results: Results) -> html.Table:
    """Return how many images each split has, and each arm trains on."""
    names = {"train": "training"}
    rows: list[list[object]] = [
        [names.get(part, part), *(counts.get(c, 0) for c in results["classes"])]
        for part, counts in results.get("data", {}).get("counts", {}).items()
    ]
    for name, arm in results["arms"].items():
        mix = [arm.get("pictures", {}).get(c, {}) for c in results["classes"]]
        if any(mix):
            cells = (
                f"{m.get('real', 0):,}" + (f" + {m['generated']:,}" if m.get("generated") else "")
                for m in mix
            )
            rows.append([f"arm {name}", *cells])
    caption = "Images: the splits (all real), then what each arm trains on (real + generated)."
    return html.Table(["Split or arm", *results["classes"]], rows, caption)
