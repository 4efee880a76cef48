"""Tables beside results.json, a summary for issues, and several experiments in one table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from jaxgan.errors import FileError
from jaxgan.experiment import stored
from jaxgan.experiment.report import view
from jaxgan.experiment.schema import Results
from jaxgan.experiment.verdict import points
from jaxgan.reporting import html
from jaxgan.system import spreadsheet

COLUMNS = (
    "arm",
    "fold",
    "seed",
    "test_accuracy",
    "validation_accuracy",
    "best_step",
    "steps",
    "seconds",
)


AGAIN = "delete it and run the experiment's command again"


def runs_csv(results: Results) -> str:
    """Return a line per arm and seed, accuracies in [0, 1]; empty where a run does not say."""
    return spreadsheet.table(COLUMNS, results["runs"])


def arms_csv(results: Results) -> str:
    """Return a line per arm, for papers: its outcomes, and its difference to its base."""
    own = ("accuracy", "low", "high", "seeds", "ensemble")
    outcomes = ("balanced_accuracy", "macro_f1", "log_loss", "brier")
    others = ("calibration_error", "auroc")
    to_base = ("difference", "low", "high", "p", "holm")
    of = {(c["a"], c["b"]): c for c in results.get("contrasts", [])}
    rows = []
    for name, arm in results["arms"].items():
        base, means = arm.get("base", "real"), arm.get("outcomes") or {}
        c = of.get((name, base), {})
        row = [name, *map(arm.get, own), *map(means.get, outcomes), *map(arm.get, others)]
        rows.append([*row, base if c else None, *map(c.get, to_base)])
    columns = ("arm", *own, *outcomes, *others, "base", *(f"{name}_to_base" for name in to_base))
    return spreadsheet.table(columns, rows)


def contrasts_csv(results: Results) -> str:
    """Return a line per contrast, differences in accuracies; empty where there is no interval."""
    columns = ("a", "b", "primary", "difference", "low", "high", "level", "se", "df", "p", "holm")
    return spreadsheet.table(columns, results.get("contrasts", []))


def load(workdir: epath.PathLike) -> Results:
    """Return the results of the experiment in `workdir`.

    Raises:
        InputError: there are none, or they are no experiment's.
    """
    results = stored.read(workdir, "--compare")
    with stored.understood(workdir):
        test = results.get("test", {})
        labels, folds = (np.array(test.get(key, [])) for key in ("labels", "fold"))
        for run in results["runs"]:
            mine = labels[folds == run.get("fold", 0)] if len(folds) else labels
            if "probabilities" in run:
                check_accuracy(run, mine, epath.Path(workdir) / "results.json")
    return results


def check_accuracy(run: Mapping[str, Any], labels: np.ndarray, file: epath.PathLike) -> None:
    """Raise FileError where a run's test accuracy is not that of its probabilities."""
    found = np.asarray(run["probabilities"], np.float64)
    fits = found.ndim == 2 and len(found) == len(labels)
    if not fits or abs((found.argmax(1) == labels).mean() - run["test_accuracy"]) > 1e-9:
        raise FileError(
            f"{file} must hold the accuracy of its probabilities, and that of {run['arm']}, seed "
            f"{run['seed']}, is another: {AGAIN}"
        )


def summary(results: Results) -> str:
    """Return the verdict, the arms and what next in Markdown, for issues and chats."""
    return html.render(
        "experiment.md",
        head=view.headline(results),
        arms=view.arms(results)[1],
        next=results.get("next") or [],
    )


def _row(results: Results) -> tuple[str, ...]:
    """Return the cells of an experiment after its name."""
    verdict = results["verdict"]
    a, b = verdict["primary"]
    low, high = verdict.get("low"), verdict.get("high")
    between = "none" if low is None else f"{points(low)} to {points(high)}"
    if low is not None and round(verdict.get("level", 0.95), 4) != 0.95:
        between += f" ({100 * verdict['level']:.3g} %)"
    seeds = verdict.get("seeds") or len({r["seed"] for r in results["runs"] if r["arm"] == a})
    images = len(results.get("test", {}).get("labels", []))
    seconds = results.get("seconds", {}).get("total")
    return (
        f"{a} - {b}",
        verdict["word"],
        "none" if verdict["difference"] is None else points(verdict["difference"]),
        between,
        f"{verdict.get('folds', 1)} x {seeds} x {images}",
        "" if seconds is None else f"{seconds / 3600:.2f}",
    )


def compare(workdirs: Sequence[epath.PathLike], form: str = "text") -> str:
    """Return experiments one a line: what was judged, the verdict, its interval, and the cost.

    Args:
        workdirs: their folders.
        form: "text" or "md", Markdown.

    Raises:
        InputError: a folder without results.
    """
    head = ["run", "contrast", "verdict", "points", "interval", "folds x seeds x images", "hours"]
    rows, prints, notes = [], set(), []
    for workdir in workdirs:
        results = load(workdir)
        with stored.understood(workdir):
            prints.add(results.get("data", {}).get("fingerprint"))
            rows.append((epath.Path(workdir).name, *_row(results)))
    if len(prints) > 1:
        notes.append("These runs saw different images: compare their figures with care.")
    if len(rows) > 1:
        notes.append("Each interval stands for itself: none is corrected for the number of runs.")
    table = html.Table(head, rows)
    if form == "md":
        return "\n\n".join([html.markdown(table), *notes])
    return "\n".join([*html.columns(table), *notes])
