"""Who may judge: what a critic was trained on does not.

A generator learns to please the features that its critic has, and is near real images by those
whatever it makes. So distances are taken on features that no critic of the run used.
"""

import json
from collections.abc import Collection, Iterable
from typing import Any

from etils import epath

from jaxgan.config import values
from jaxgan.errors import FileError, InputError
from jaxgan.metrics import features
from jaxgan.system import checked_files, paths

NETWORKS = ("vgg16", "alexnet", "inception")  # That a critic may look through, too.
CHEAP = ("alexnet", "vgg16", "light")  # The judges, the cheapest network first.
USUAL = ("vgg16", "alexnet", "light")  # The judges, the usual one first.


def seen_by_critics(backbones: Iterable[str], *starts: str | None) -> tuple[str, ...]:
    """Return the networks that critics were trained on.

    Args:
        backbones: through which they look.
        starts: runs whose weights they began with, whose critics' networks count, too.
    """
    found = set(backbones)
    for start in filter(None, starts):
        file = epath.Path(start) / "config.json"
        if file.exists():
            remedy = f"restore it, or begin with another run than {start}"
            found |= set(values.backbones(checked_files.load(file, remedy, strict=False)))
    return tuple(name for name in NETWORKS if name in found)


def unseen(critics: Collection[str], order: Collection[str] = USUAL) -> str:
    """Return the first features of `order` that are installed and that no critic used.

    Args:
        critics: see `seen_by_critics`.
        order: of NETWORKS or "light", which is no network and ends it.
    """
    for name in order:
        if name == "light" or (name not in critics and features.available(name)):
            return name
    return "light"


def check(judge: str, critics: Collection[str], flag: str, ask: str) -> None:
    """Refuse a judge that a critic was trained on.

    Args:
        judge: the name of some features.
        critics: see `seen_by_critics`.
        flag: which names the judge.
        ask: how to have it nevertheless.

    Raises:
        InputError: they are equal.
    """
    if judge in critics:
        raise InputError(
            f"{flag} must be features that no critic of the run was trained on, such as "
            f"{unseen(critics)} ({ask} takes them nevertheless), got {judge}"
        )


def of_folder(folder: epath.PathLike) -> tuple[str, ...] | None:
    """Return the critics' networks of generated images, by the manifests beside them; None: not
    known.

    Args:
        folder: of images, or of class folders.
    """
    place = epath.Path(folder).expanduser()
    if not place.is_dir():
        return None
    files = [*place.glob("manifest*.jsonl"), *place.glob("*/manifest*.jsonl")]
    rows = [row for file in files for row in [_first_row(file)] if row is not None]
    if not any("critic" in row for row in rows):
        return None
    found = {name for row in rows for name in row.get("critic", ())}
    return tuple(name for name in NETWORKS if name in found)


def _first_row(file: epath.Path) -> dict[str, Any] | None:
    """Of a manifest; None where it is empty."""
    lines = paths.check_plain(file).read_bytes().splitlines()[:1]
    try:
        row = json.loads(lines[0]) if lines else None
        if not (row is None or (isinstance(row, dict) and isinstance(row.get("critic", []), list))):
            raise ValueError("its first row is none of a manifest")
    except (ValueError, RecursionError) as error:
        why = str(error).splitlines()[0][:100]
        raise FileError(
            f"{file} must be the manifest of generated images, and is damaged ({why}): restore or "
            f"delete it"
        ) from None
    return row


def sentence(judge: str, critics: Collection[str] | None) -> str:
    """Who judged, and what the critics were trained on, for a report."""
    if critics is None:
        return f"judged on {judge}; what the generator's critic was trained on is not known"
    if judge in critics:
        return f"judged on {judge}, which the generator's critic was trained on: no evidence"
    own = f"features of {' and '.join(critics)}" if critics else "images alone"
    return f"judged on {judge}; the generator's critic was trained on {own}"
