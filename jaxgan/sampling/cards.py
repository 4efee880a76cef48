"""Model cards in Markdown, with the metadata that the Hugging Face hub reads from them."""

import json
import re
from collections.abc import Sequence
from typing import Any

from etils import epath

from jaxgan.config import loading as configs
from jaxgan.engine.log import read_metrics
from jaxgan.errors import FileError, InputError
from jaxgan.system import checked_files, paths
from jaxgan.system.terminal import few

# Files of a run folder that are no evaluation which somebody put there.
KNOWN = {"config.json", "run.json", "data.json", "generated.json", "result.json"}
MANY = 40  # Classes that are named; of more the first ones.
LICENCES = re.compile(r"[a-z0-9][a-z0-9.\-]{1,40}")  # The hub's identifiers, like cc0-1.0.
KINDS = {  # The hub's name of a task, and what else describes such a model.
    "gan": ("unconditional-image-generation", ["gan", "image-generation"]),
    "classifier": ("image-classification", ["image-classification"]),
}


def check_licence(licence: str | None) -> None:
    """Raise InputError for a licence that the hub could not read."""
    if licence is not None and not LICENCES.fullmatch(licence):
        raise InputError(
            f"--licence must be an identifier like apache-2.0 or cc0-1.0, got {licence!r}"
        )


def front_matter(
    kind: str,
    model: str,
    licence: str | None = None,
    metrics: dict[str, float] | None = None,
    name: str = "",
) -> str:
    """Return a card's metadata, YAML between two lines of dashes.

    Args:
        kind: of `KINDS`.
        model: its name.
        licence: of the weights, an identifier of the hub; None: not stated.
        metrics: measured on images that the model did not train on, for `model-index`.
        name: of the model there.
    """
    task, tags = KINDS[kind]
    about: dict[str, Any] = {
        "library_name": "jaxgan",
        "license": licence or "unknown",
        "pipeline_tag": task,
        "tags": ["jaxgan", "jax", *tags, model],
    }
    if metrics:
        results = {
            "task": {"type": task},
            "dataset": {"name": "held-out images", "type": "imagefolder"},
            "metrics": [{"type": k, "value": round(float(v), 6)} for k, v in metrics.items()],
        }
        about["model-index"] = [{"name": name, "results": [results]}]
    # JSON is YAML, and quotes whatever a name holds.
    return "---\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in about.items()) + "---"


def read_about(workdir: epath.PathLike) -> dict[str, Any]:
    """Return what `run.json` says, where it is there."""
    return configs.read_run(workdir) if (epath.Path(workdir) / "run.json").exists() else {}


def made(about: dict[str, Any], verb: str = "trained") -> list[tuple[str, str]]:
    """Return rows on when, where and by what something was made, from `run.json`."""
    versions = about.get("versions") or {}
    return [
        (verb, about.get("started", "not known")),
        ("on", ", ".join(sorted(set(about.get("devices", [])))) or "not known"),
        ("command", f"`{short(about['command'])}`" if about.get("command") else "not known"),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items()) or "not known"),
        ("commit", about.get("git") or "not known"),
    ]


def short(command: str) -> str:
    """Return a command line with the last part of each absolute path: cards are published."""
    return re.sub(r"(?<![\w.:/~-])(?:~\w*)?/(?:[^\s/='\"]+/)*(?=[^\s/='\"])", "", command)


def images(about: dict[str, Any], origin: str, licence: str | None, use: str) -> str:
    """Return a table on the training images, from `run.json`.

    Args:
        about: what it says.
        origin: where they came from.
        licence: of theirs, as the user states it.
        use: what not to do before it is known.
    """
    data = about.get("data", {})
    counts = few([f"{n:,} of {name}" for name, n in data.get("counts", {}).items() if n], MANY)
    rows = [
        ("from", origin),
        ("number", counts or "not known"),
        ("fingerprint", data.get("fingerprint", "not known")),
        ("licence", licence or f"not stated: ask before you {use}"),
    ]
    return table(("", ""), rows)


def curves(workdir: epath.PathLike, step: int) -> list[str]:
    """Return a table of the last values of a run's metrics up to `step`, if there are any."""
    values: dict[str, tuple[float, int]] = {}
    for row in read_metrics(workdir):
        if row["step"] <= step:
            values |= {k: (v, row["step"]) for k, v in row.items() if k != "step"}
    rows = [
        (name, f"{value:.5g}", f"{at:,}")
        for name, (value, at) in sorted(values.items())
        if not name.startswith(("time", "seconds", "images_per", "memory"))
    ]
    return [table(("metric", "value", "at step"), rows)] if rows else []


def evaluations(workdir: epath.PathLike) -> list[str]:
    """Return the JSON files that evaluations left in a run's folder."""
    files = sorted(epath.Path(workdir).glob("*.json"))
    return [f"`{f.name}`:\n\n```json\n{_read(f)}\n```" for f in files if f.name not in KNOWN]


def folder(path: str | None) -> str:
    """Return the name of the images' folder, without where it lay."""
    return f"`{epath.Path(path or '').name or 'not known'}`"


def published(given: dict[str, Any]) -> dict[str, Any]:
    """Return a config, as JSON has it, with the name of the images' folder alone."""
    data = given["data"]
    return given | {"data": data | {"path": folder(data.get("path")).strip("`")}}


def settings(given: dict[str, Any]) -> str:
    """Return a config, as JSON has it, as a card shows it: of many classes the first ones."""
    shown = published(given)
    if len(classes := shown["data"].get("classes") or ()) > MANY + 1:
        some = [*classes[:MANY], f"and {len(classes) - MANY:,} more"]
        shown = shown | {"data": shown["data"] | {"classes": some}}
    return "```json\n" + json.dumps(shown, indent=2) + "\n```"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in x) + " |" for x in lines
    )


def _read(file: epath.Path) -> str:
    """Return the JSON of an evaluation, as the user put it there."""
    try:
        values = json.loads(paths.check_plain(file).read_bytes())
        if isinstance(values, dict) and checked_files.CHECKSUM in values:
            values = checked_files.load(file, "restore or delete it")
        return json.dumps(values, indent=2)
    except FileError:
        raise
    except (ValueError, RecursionError) as error:
        why = str(error).splitlines()[0][:100]
        raise FileError(f"{file} must be JSON, and is not ({why}): restore or delete it") from None
