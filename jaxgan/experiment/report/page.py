"""report.html, a file that needs nothing else, and beside it the figure and tables for papers."""

from typing import Any

from etils import epath

from jaxgan.experiment.report import details, tables, view
from jaxgan.experiment.schema import Results
from jaxgan.reporting import html, plots
from jaxgan.system import checked_files


def write_report(results: Results, workdir: epath.PathLike) -> epath.Path:
    """Write report.html, runs.csv, arms.csv, contrasts.csv, figure.svg and figure.png.

    Images are inlined, figures are SVG, and there is no script: the page asks for nothing from
    outside. Parts that the results lack (one seed has no interval, no arm needed a generator, a
    grid is missing) are left out or said in words.

    Args:
        results: the contents of results.json; its paths are relative to `workdir`.
        workdir: the folder of the experiment.

    Returns:
        The path of report.html.
    """
    workdir = epath.Path(workdir)
    checked_files.write(workdir / "runs.csv", tables.runs_csv(results))
    checked_files.write(workdir / "arms.csv", tables.arms_csv(results))
    checked_files.write(workdir / "contrasts.csv", tables.contrasts_csv(results))
    for form, drawn in (("svg", plots.svg), ("png", plots.png)):
        file = workdir / f"figure.{form}"
        file.unlink(missing_ok=True)  # Of an earlier verdict, where this one has no difference.
        if found := view.figure(results):
            checked_files.write(file, drawn(found[0]))
    path = workdir / "report.html"
    checked_files.write(path, html.render("experiment.html", **page(results, workdir)))
    return path


def page(results: Results, workdir: epath.Path) -> dict[str, Any]:
    """Return what the page shows, by the names of `templates/experiment.html`."""
    head = view.headline(results)
    return {
        "title": f"{head.word} – jaxgan",
        "head": head,
        "figure": view.figure(results),
        "next": results.get("next") or [],
        "samples": view.samples(results, workdir),
        "large": view.LARGE,
        "folds": len({run.get("fold", 0) for run in results["runs"]}),
        "trained": bool(results.get("generators") or results.get("failed_generators")),
        "arms": view.arms(results),
        "failures": details.failures(results),
        "checks": details.checks(results),
        "flipped": view.flipped(results, workdir),
        "sweep": details.sweep(results),
        "classes": details.classes(results),
        "mcnemar": details.mcnemar(results),
        "learning": details.learning(results),
        "late": details.late(results),
        "cost": details.cost(results),
        "method": details.method(results),
        "run": details.run(results),
    }
