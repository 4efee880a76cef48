"""The config of a run's folder: claimed when a run begins or goes on, and read again."""

import difflib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from etils import epath
from ml_collections import ConfigDict

from jaxgan.config.names import CLASSIFIERS, STAGES
from jaxgan.config.training_length import LENGTHS
from jaxgan.config.values import is_dict
from jaxgan.errors import FileError, InputError
from jaxgan.system import checked_files, paths

if TYPE_CHECKING:
    from jaxgan.config.typed import Config

# What may change when a run goes on in its folder.
FREE = (
    *("log_every", "sample_every", "checkpoint_every", "microbatch", "remat", "profile"),
    *("min_diversity", "on_collapse", "rollbacks", "checkpoint_minutes", "steps_per_call"),
    "all_reduce",
)
RESUMABLE = {
    "parallel",
    "evaluate",  # Which older runs do not have.
    *(f"evaluate.{name}" for name in ("every", "share", "allow_seen")),
    "gan.evaluate",
    *(f"gan.evaluate.{name}" for name in ("every", "share", "allow_seen")),
    "seeds",
    "arms",
    "stop_below",
    "vmap_seeds",
    "verdict.primary",
    "verdict.level",
    "verdict.margin",
    "verdict.outcome",
    "verdict.width",
    "data.path",  # The fingerprint of the images says whether they are the same.
    *(f"{stage}.data.path" for stage in STAGES),
    *(f"train.{name}" for name in (*LENGTHS, *FREE)),
    *(f"{stage}.parallel" for stage in STAGES),
    *(f"{stage}.train.{name}" for stage in STAGES for name in FREE),
}


def differences(there: dict[str, Any], here: dict[str, Any], prefix: str = "") -> list[str]:
    """One line per value in which two configs (as JSON holds them) differ."""
    lines: list[str] = []
    for name in sorted({*there, *here}):
        a, b, dotted = there.get(name), here.get(name), prefix + name
        if is_dict(a) and is_dict(b):
            lines += differences(a, b, f"{dotted}.")
        elif a != b and dotted not in RESUMABLE and not (name == "vision" and _off(a, b)):
            lines.append(f"{dotted} is {a!r} there and {b!r} here")
    return lines


def _off(*sections: dict[str, Any] | None) -> bool:
    """Whether there is no second critic, as in older runs, which have no such section."""
    return all((section or {}).get("backbone", "none") == "none" for section in sections)


# What a run leaves in its folder after `config.json`.
STARTED = ("checkpoints", "run.json", "data.json", "metrics.jsonl", "gan", "classifiers", "fold0")


def _kind(config: dict[str, Any]) -> str:
    if "arms" in config:
        return "an experiment"
    return f"a run of {config.get('model', {}).get('name', 'another network')}"


def claim(
    workdir: epath.PathLike, config: "ConfigDict | Config", data: dict[str, Any] | None = None
) -> None:
    """Makes `workdir` this config's run folder: writes `config.json` there.

    Args:
        workdir: the folder.
        config: the run's.
        data: what `run.describe_data` says of its images, which may lie elsewhere now.

    Raises:
        InputError: it already holds a run with another config, or one that began with other images.
        FileError: it holds a run whose config is damaged or missing.
    """
    from jaxgan.config.typed import parse  # It imports JAX.

    folder = epath.Path(workdir)
    file, ours = folder / "config.json", parse(config).given
    if file.exists():
        there = checked_files.load(file, _anew(folder))
        if (kind := _kind(there)) != _kind(ours):
            raise InputError(
                f"--workdir must be new or hold a run of the same config, and {folder} holds "
                f"{kind}: choose another --workdir"
            )
        lines = differences(there, ours)
        if lines:
            more = f" (and {len(lines) - 3} more)" if len(lines) > 3 else ""
            raise InputError(
                f"--workdir must be new or hold a run of the same config; in {folder} "
                f"{'; '.join(lines[:3])}{more}"
            )
    if data is not None:
        _check_data(folder, data, start="init_from" in ours)
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    checked_files.save(file, ours, indent=2)


def check_free(workdir: epath.PathLike) -> None:
    """Check that a run may begin in a folder, or go on: before anything is written there.

    Raises:
        InputError: it is a file, or holds a set or images of others.
        FileError: it holds a run whose config is missing.
    """
    folder = epath.Path(workdir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--workdir must be a folder, got the file {folder}")
    if not (folder / "config.json").exists():
        _check_new(folder, folder / "config.json", STARTED)
        paths.check_folder(os.fspath(folder), "--workdir", of_run=True)
        paths.check_no_images(os.fspath(folder), "--workdir", deep=True)


def _anew(folder: epath.Path) -> str:
    return f"restore it, or delete {folder} and run the same command again"


def _check_new(folder: epath.Path, file: epath.Path, names: Sequence[str]) -> None:
    """Raises FileError where a run lost a file that it began with."""
    for name in names:
        if (folder / name).exists() and not file.exists():  # Another worker may write it now.
            raise FileError(
                f"{file} must be there where a run was begun ({folder / name} is), and is missing: "
                f"{_anew(folder)}"
            )


def claim_data(
    workdir: epath.PathLike,
    fingerprint: str,
    name: str = "data.json",
    *,
    data: dict[str, Any] | None = None,
) -> None:
    """Tie `workdir` to one set of images: a split of others could mix up what was learned from.

    Args:
        workdir: the run's folder.
        fingerprint: of the images.
        name: of the file that holds it.
        data: what else `run.describe_data` says of them.

    Raises:
        InputError: the run in it began with other images.
        FileError: what it began with is damaged or missing.
    """
    data = {"fingerprint": fingerprint} | (data or {})
    _check_data(workdir, data, name)
    folder = epath.Path(workdir)
    file = folder / name
    if file.exists():
        return
    if name == "data.json":
        _check_new(folder, file, STARTED[-4:])
    about = {key: data[key] for key in ("fingerprint", "content") if data.get(key)}
    if "counts" in data:
        about["images"] = sum(data["counts"].values())
    checked_files.save(file, about)


def _check_data(
    workdir: epath.PathLike, data: dict[str, Any], name: str = "data.json", start: bool = False
) -> None:
    """Raise InputError where the run in `workdir` began with other images, wherever they lay."""
    folder = epath.Path(workdir)
    file = folder / name
    if not file.exists():
        return
    there = checked_files.load(file, _anew(folder))
    if there.get("fingerprint") == data["fingerprint"]:
        return
    if data.get("content") and there.get("content") == data["content"]:
        return  # Of a single class, whose folder has another name now.
    counts = ""
    if "images" in there and "counts" in data:
        counts = f" ({there['images']:,} then, {sum(data['counts'].values()):,} now)"
    begin = f", with --config.init_from={workdir} to begin with its weights" if start else ""
    raise InputError(
        f"a run must go on with the images that it began with, and those of {workdir} have "
        f"changed since{counts}: choose a new --workdir{begin}"
    )


def read_claim(workdir: epath.PathLike) -> Any:
    """Return the config of the run in `workdir`, as the code takes it.

    Raises:
        InputError: there is none, or it is of no model that there is.
        FileError: it is damaged.
    """
    from jaxgan.config import stored  # It imports JAX.
    from jaxgan.config.typed import read_given

    file = epath.Path(workdir) / "config.json"
    if not file.exists():
        raise InputError(
            f"--workdir must be the folder of a run, with a config.json, got {workdir}"
            f"{_near_runs(epath.Path(workdir))}"
        )
    given = checked_files.load(file, _anew(epath.Path(workdir)))
    stored.check(given, os.fspath(file))
    return read_given(given)


def _near_runs(folder: epath.Path) -> str:
    """The runs inside a folder, or what lies beside where it should be by the nearest name."""
    if folder.is_dir():
        found = [str(file.parent) for file in sorted(folder.glob("*/config.json"))]
    else:
        beside = {
            file.parent.name: str(file.parent) for file in folder.parent.glob("*/config.json")
        }
        near = difflib.get_close_matches(folder.name, beside, 3)
        if not near:  # EXPERIMENT/gan/CLASS of an experiment with folds.
            beside = {run.name: str(run) for run in reversed(gans(folder.parent.parent))}
            near = difflib.get_close_matches(folder.name, beside, 1) or [*beside][:3]
        found = [beside[name] for name in near]
        if not found:
            return paths.near(folder)
    return f"; did you mean {' or '.join(found[:3])}?" if found else ""


def gans(folder: epath.Path) -> list[epath.Path]:
    """Return the runs of an experiment's GANs, of all folds."""
    places = ("gan/*/config.json", "fold*/gan/*/config.json")
    return [file.parent for place in places for file in sorted(folder.glob(place))]


def holds(workdir: epath.PathLike, model: str | None) -> str:
    """Say what a run's folder holds, and what it is for, where another kind was wanted.

    Args:
        workdir: the folder.
        model: the name of the run's; None: an experiment's.
    """
    if model is None:
        runs = [str(run) for run in gans(epath.Path(workdir))]
        of = f": its GANs are {', '.join(runs[:4])}" if runs else ""
        return f"{workdir} is an experiment's{of}; jaxgan predict {workdir} --arm best IMAGES"
    if model in CLASSIFIERS:
        return f"{workdir} holds a classifier ({model}): jaxgan predict {workdir} IMAGES"
    return f"{workdir} holds a generator ({model}): jaxgan sample {workdir} --out DIR"


def read_run(workdir: epath.PathLike) -> dict[str, Any]:
    """What `run.json` of a run says: versions, devices, images."""
    folder = epath.Path(workdir)
    return checked_files.load(folder / "run.json", _anew(folder), strict=False)
