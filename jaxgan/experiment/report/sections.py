"""Parts of the report that stand between the arms and the method."""

from typing import Any

from etils import epath

from jaxgan.experiment.report import flipped_images
from jaxgan.experiment.report.formatting import count, duration, percent, picture, signed, text
from jaxgan.reporting import plots

Results = dict[str, Any]
SENSIBLE = 0.5  # A smallest effect above it says nothing.


def power(results: Results) -> str:
    """What the design could have seen, and what the arm is worth in real images."""
    verdict, worth = results["verdict"], results.get("worth")
    told = verdict.get("power") or {}
    said = []
    seen = told.get("seen")
    if seen is not None and seen < SENSIBLE and told.get("planned") is not None:
        said.append(
            f"This design finds a true difference of {signed(seen).lstrip('+')} points "
            f"or more in {told['probability'] * 5:.0f} of 5 tries; smaller ones it may miss."
        )
    if worth:
        said.append(f"{text(worth['arm'])} is {text(worth['sentence'])}.")
    if verdict.get("seeds") in verdict.get("looks", ()) and not results.get("failed"):
        said.append(
            f"It stopped after {verdict['seeds']} of {verdict['planned_seeds']} seeds, at a look "
            "that was planned; the interval is wide enough to allow for the looks."
        )
    return f"<p>{' '.join(said)}</p>" if said else ""


def failures(results: Results) -> str:
    """The GANs and the classifiers that failed, each with the reason."""
    lines = [
        f"The GAN of {gan['name']}: {gan['error']}" for gan in results.get("failed_generators", [])
    ]
    seeds: dict[tuple[str, str], list[str]] = {}
    for run in results.get("failed", []):
        seeds.setdefault((run["arm"], run["error"]), []).append(str(run["seed"]))
    for (arm, error), of in seeds.items():
        lines.append(f"Arm {arm}, seed{'s' * (len(of) > 1)} {', '.join(of)}: {error}")
    if not lines:
        return ""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    return f"""
<section>
<h2>What failed</h2>
<p>All else went on without it. The same command tries it again, and keeps what is finished.</p>
<ul>{items}</ul>
</section>"""


def measures(results: Results) -> str:
    """Recall of each class, calibration and ROC of every arm."""
    arms = {name: arm for name, arm in results["arms"].items() if arm.get("per_class")}
    if not arms:
        return ""
    head = "".join(f"<th>{text(c)}</th>" for c in results["classes"])
    body = ""
    for name, arm in arms.items():
        worst = (arm.get("worst_class") or {}).get("class")
        cells = ""
        for c in results["classes"]:
            one = arm["per_class"].get(c)
            between = (
                ""
                if one is None or one["low"] is None
                else f"<small>{100 * one['low']:.1f} to {100 * one['high']:.1f}</small>"
            )
            figure = "–" if one is None else percent(one["recall"])
            cells += f"<td>{f'<b>{figure}</b>' if c == worst else figure}{between}</td>"
        area = arm.get("auroc")
        body += (
            f"<tr><th scope='row'>{text(name)}</th>{cells}"
            f"<td>{percent(arm['calibration_error'])}</td>"
            f"<td>{'–' if area is None else f'{area:.3f}'}</td></tr>"
        )
    return f"""
<section>
<h2>Class by class</h2>
<p class="note">Recall of each class (each arm's worst in bold), expected calibration error in 15
bins, and the area under the ROC curve, one class against the rest; means over seeds.</p>
<div class="scroll"><table>
<thead><tr><th>Arm</th>{head}<th>Calibration<br>error</th><th>AUROC</th></tr></thead>
<tbody>{body}</tbody></table></div>
{_by_class(results)}
{_mcnemar(results)}
</section>"""


def _by_class(results: Results) -> str:
    """The primary contrast's rise of each class's recall, beside how many images there were."""
    verdict = results["verdict"]
    found, counts = verdict.get("per_class"), results.get("data", {}).get("counts", {})
    if not found:
        return ""
    labels = results.get("test", {}).get("labels", [])
    rows = ""
    for i, c in enumerate(results["classes"]):
        one = found.get(c)
        if one is None:
            continue
        between = "–"
        if one["low"] is not None:
            between = f"{signed(one['low'])} to {signed(one['high'])}"
        train = counts.get("train", {}).get(c)
        rows += (
            f"<tr><th scope='row'>{text(c)}</th><td>{'–' if train is None else f'{train:,}'}</td>"
            f"<td>{labels.count(i):,}</td><td>{signed(one['difference'])}</td>"
            f"<td>{between}</td></tr>"
        )
    a, b = verdict["primary"]
    folds = " of the first fold" if results.get("data", {}).get("folds", 1) > 1 else ""
    return f"""<table>
<caption>How many points the recall of each class rises from {text(b)} to {text(a)}; all intervals
cover together.</caption>
<thead><tr><th>Class</th><th>To train with{folds}</th><th>Test images</th><th>Rise</th>
<th>Interval</th></tr></thead>
<tbody>{rows}</tbody></table>"""


def _mcnemar(results: Results) -> str:
    tables = results["verdict"].get("mcnemar")
    if not tables:
        return ""
    a, b = results["verdict"]["primary"]
    also = ""
    if results["verdict"].get("groups"):
        also = " It takes images as drawn one by one, which those of a group are not."
    rows = "".join(
        f"<tr><th scope='row'>{text(t.get('fold', 0))}</th>"
        f"<td>{text(t['seed'])}</td><td>{t['only_a']:,}</td>"
        f"<td>{t['only_b']:,}</td><td>{t['p']:.2g}</td></tr>"
        for t in tables
    )
    return f"""<details><summary>Fold by fold and seed by seed (McNemar's exact test)</summary>
<table>
<caption>Test images that one of the two classifiers alone gets right. Each p-value speaks of
two trained classifiers, not of the arms.{also}</caption>
<thead><tr><th>Fold</th><th>Seed</th>
<th>Only {text(a)}</th><th>Only {text(b)}</th><th>p</th></tr></thead>
<tbody>{rows}</tbody></table></details>"""


def sweep(results: Results) -> str:
    """The heat map of ratio x real images, where the arms make one up."""
    of = {c["a"]: c for c in results.get("contrasts", [])}
    cells: dict[tuple[float, int], plots.Cell] = {}
    for name, arm in results["arms"].items():
        if arm.get("ratio") and arm.get("size") and name in of:
            c = of[name]
            sure = c.get("low") is not None and (c["low"] > 0 or c["high"] < 0)
            text_ = signed(c["difference"]) + "*" * sure
            cells[arm["ratio"], arm["size"]] = plots.Cell(100 * c["difference"], text_)
    ratios, sizes = sorted({ratio for ratio, _ in cells}), sorted({size for _, size in cells})
    if len(ratios) < 2 or len(sizes) < 2:
        return ""
    rows = [[cells.get((ratio, size)) for size in sizes] for ratio in ratios]
    drawing = plots.heat_map(
        rows,
        [f"{ratio:g} x" for ratio in ratios],
        [f"{size:,}" for size in sizes],
        "Change of accuracy by ratio and real images",
    )
    return f"""
<section>
<h2>How many real, how many generated</h2>
<figure>{drawing}<figcaption>Change of test accuracy, in points, against the real images alone.
Across: real training images; down: generated images for each of them. A star marks an interval
without 0, all intervals covering together; falls are underlined.</figcaption></figure>
</section>"""


def turned(results: Results, workdir: epath.Path) -> str:
    """Test pictures that the primary contrast helped and hurt."""
    if "names" not in results.get("test", {}) or results["verdict"]["difference"] is None:
        return ""
    a, b = results["verdict"]["primary"]
    files = results.get("figures", {}).get("test", {})
    blocks = ""
    for kind, rows in flipped_images.turned(results).items():
        shown = "".join(
            picture(
                workdir,
                files.get(row["name"]),
                f"{row['name']}: {row['label']}, {row['seeds']} of {row['of']}",
                most=128,
            )
            for row in rows
        )
        names = ", ".join(f"{row['name']} ({row['seeds']} of {row['of']})" for row in rows)
        better, other = (a, b) if kind == "helped" else (b, a)
        title = f"Right with {text(better)}, wrong with {text(other)}"
        listed = f'<div class="thumbs">{shown}</div>' if shown else f"<p>{text(names)}</p>"
        blocks += f"<h3>{title}</h3>{listed if rows else '<p>No test image.</p>'}"
    return f"""
<section class="wide">
<h2>Where they helped, and where they hurt</h2>
<p>The test images whose answer turned with most seeds on balance, with their true class. They
are the extremes of many: look for what they share, and do not count them.</p>
{blocks}
</section>"""


def guards(results: Results) -> str:
    """What was checked: passed, failed or not checked, each with its sentence."""
    rows = results.get("guards")
    if not rows:
        return ""
    marks = {True: ("✓", "passed"), False: ("✗", "failed"), None: ("–", "not checked")}
    items = ""
    for row in sorted(rows, key=lambda row: row.get("passed") is not False):
        mark, said = marks[row.get("passed")]
        items += (
            f'<li class="{said.split()[0]}"><b>{mark} {text(row["name"])}: {said}.</b> '
            f"{text(row.get('sentence', ''))}</li>"
        )
    failed = sum(row.get("passed") is False for row in rows)
    lead = (
        f"{count(failed, 'check')} failed: read this before you believe the verdict."
        if failed
        else "No check failed."
    )
    return f"""
<section>
<h2>Can you believe it?</h2>
<p>{lead}</p>
<ul class="guards">{items}</ul>
</section>"""


def cost(results: Results) -> str:
    """Hours and pictures seen by each arm, and what the same hours would have bought."""
    told, runs = results.get("cost") or {}, results["runs"]
    rows = told.get("rows")
    if not rows:
        mine = {name: [r for r in runs if r["arm"] == name] for name in results["arms"]}
        rows = [
            {"arm": name, "seconds": sum(r.get("seconds", 0) for r in of), "runs": len(of)}
            for name, of in mine.items()
            if any("seconds" in r for r in of)
        ]
    if not rows:
        return ""
    columns = list(dict.fromkeys(key for row in rows for key in row if key != "arm"))
    head = "".join(f"<th>{text(c.replace('_', ' ').capitalize())}</th>" for c in columns)
    body = "".join(
        f"<tr><th scope='row'>{text(row['arm'])}</th>"
        + "".join(f"<td>{_figure(c, row.get(c))}</td>" for c in columns)
        + "</tr>"
        for row in rows
    )
    said = "".join(f"<p>{text(sentence)}</p>" for sentence in told.get("sentences", []))
    return f"""
<section>
<h2>What it cost</h2>
<div class="scroll"><table>
<thead><tr><th>Arm</th>{head.replace("Seconds", "Time")}</tr></thead><tbody>{body}</tbody>
</table></div>{said}
</section>"""


def _figure(column: str, value: Any) -> str:
    if value is None:
        return "–"
    if column == "seconds":
        return duration(value)
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else text(value)
