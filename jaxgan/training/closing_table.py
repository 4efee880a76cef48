"""What a training says at its end: a small table from the files of its run."""

from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jaxgan.engine.log import read_metrics
from jaxgan.engine.progress import in_words


def table(workdir: epath.PathLike) -> str:
    """Return a line for each thing worth knowing of a run."""
    folder = epath.Path(workdir)
    rows = read_metrics(folder)
    varied = [row for row in rows if "diversity" in row][-1:]
    found = {
        "steps": f"{max((row['step'] for row in rows), default=0):,}{_speed(rows)}",
        "at the end": in_words({0: _last(rows)}),
        "validation": _best(rows, "validation_accuracy", "of the images are recognised", 100, max),
        "diversity": _best(varied, "diversity", "of the real images'", 100, max),
        "distance": _best(rows, "evaluate/frechet", "from the real images", 1, min),
    }
    if grids := sorted((folder / "samples").glob("*.png")):
        found["samples"] = str(grids[-1])
    return "\n".join(f"{name:<12}{text}" for name, text in found.items() if text)


def _last(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the last row's losses, wherever they stand."""
    return next((dict(row) for row in reversed(rows) if {"loss", "critic_loss"} & {*row}), {})


def _speed(rows: Sequence[Mapping[str, Any]]) -> str:
    rates = [row["images_per_second"] for row in rows if "images_per_second" in row]
    return f", {sorted(rates)[len(rates) // 2]:,.0f} images/s" if rates else ""


def _best(rows: Sequence[Mapping[str, Any]], name: str, of: str, scale: int, better: Any) -> str:
    found = [(row[name], row["step"]) for row in rows if name in row]
    if not found:
        return ""
    value, step = better(found)
    shown = f"{scale * value:.1f} %" if scale == 100 else f"{value:.4g}"
    return f"{shown} {of}, after step {step:,}"
