"""results.csv beside results.json, and several experiments in one table."""

import json
from collections.abc import Sequence
from typing import Any

from etils import epath

from jaxgan import paths, spreadsheet
from jaxgan.experiment.words import points
from jaxgan.types import InputError

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


def runs_csv(results: dict[str, Any]) -> str:
    """One line per arm and seed, accuracies in [0, 1]; empty where a run does not say."""
    return spreadsheet.table(COLUMNS, results["runs"])


def contrasts_csv(results: dict[str, Any]) -> str:
    """One line per contrast, differences in accuracies; empty where there is no interval."""
    columns = ("a", "b", "primary", "difference", "low", "high", "level", "se", "df", "p", "holm")
    return spreadsheet.table(columns, results.get("contrasts", []))


def load(workdir: epath.PathLike) -> dict[str, Any]:
    """The results of the experiment in `workdir`.

    Raises:
        InputError: there are none, or they are no experiment's.
    """
    file = epath.Path(workdir) / "results.json"
    if not file.exists():
        raise InputError(f"--compare needs folders of finished experiments, and {file} is missing")
    try:
        results = json.loads(paths.check_plain(file).read_text())
    except ValueError as error:
        raise InputError(f"{file} must be JSON, and is not: {error}") from None
    if not isinstance(results, dict) or not {"verdict", "arms", "runs"} <= set(results):
        raise InputError(f"{file} must hold an experiment's results, and has no verdict or arms")
    return results


def compare(workdirs: Sequence[epath.PathLike]) -> str:
    """Experiments one a line: what was judged, the verdict, its interval, and the cost.

    Raises:
        InputError: a folder without results.
    """
    rows = [("run", "contrast", "verdict", "points", "interval", "folds x seeds x images", "hours")]
    prints = set()
    for workdir in workdirs:
        results = load(workdir)
        verdict = results["verdict"]
        a, b = verdict["primary"]
        low, high = verdict.get("low"), verdict.get("high")
        between = "none" if low is None else f"{points(low)} to {points(high)}"
        if low is not None and round(verdict.get("level", 0.95), 4) != 0.95:
            between += f" ({100 * verdict['level']:.3g} %)"
        seeds = verdict.get("seeds") or len({r["seed"] for r in results["runs"] if r["arm"] == a})
        pictures = len(results.get("test", {}).get("labels", []))
        seconds = results.get("seconds", {}).get("total")
        prints.add(results.get("data", {}).get("fingerprint"))
        rows.append(
            (
                epath.Path(workdir).name,
                f"{a} - {b}",
                verdict["word"],
                "none" if verdict["difference"] is None else points(verdict["difference"]),
                between,
                f"{verdict.get('folds', 1)} x {seeds} x {pictures}",
                "" if seconds is None else f"{seconds / 3600:.2f}",
            )
        )
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows
    ]
    if len(prints) > 1:
        lines.append("These runs saw different images: compare their figures with care.")
    if len(rows) > 2:
        lines.append("Each interval stands for itself: none is corrected for the number of runs.")
    return "\n".join(lines)
