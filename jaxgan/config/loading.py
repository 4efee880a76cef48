"""Configs: loaded, checked, printed, compared. Every error about a config is raised here."""

import difflib
import importlib.util
import inspect
import os
import traceback
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

import jaxgan
from jaxgan.config.names import CLASSIFIERS as CLASSIFIERS
from jaxgan.config.names import GANS as GANS
from jaxgan.config.names import GENERATORS as GENERATORS
from jaxgan.config.names import STAGES
from jaxgan.config.run_config import check_free as check_free
from jaxgan.config.run_config import claim as claim
from jaxgan.config.run_config import claim_data as claim_data
from jaxgan.config.run_config import differences as differences
from jaxgan.config.run_config import holds as holds
from jaxgan.config.run_config import read_claim as read_claim
from jaxgan.config.run_config import read_run as read_run
from jaxgan.config.training_length import LENGTHS as LENGTHS
from jaxgan.config.training_length import settle_length as settle_length
from jaxgan.config.training_length import total_steps as total_steps
from jaxgan.config.values import is_experiment as is_experiment
from jaxgan.errors import InputError


def folder(name: str) -> Path:
    """Return the folder `configs` or `scripts`: in the package where installed, else beside it."""
    package = Path(jaxgan.__file__).resolve().parent
    return package / name if (package / name).is_dir() else package.parent / name


def known() -> list[str]:
    """Return the names of the configs that come with the package."""
    return sorted(path.stem for path in folder("configs").glob("[!_]*.py"))


def find(spec: str, flag: str = "--config") -> str:
    """Return the file of a config, with its argument: a file's own path, or one of the package's.

    `wgan512` and `configs/wgan512.py` are the package's where there is no such file here.

    Raises:
        InputError: there is neither; names one that is near, else how to list all.
    """
    file, colon, argument = spec.partition(":")
    path = Path(file)
    if path.is_file():
        return spec
    ours = folder("configs") / f"{path.stem}.py"
    if str(path.parent) in (".", "configs") and path.suffix in ("", ".py") and ours.is_file():
        return f"{ours}{colon}{argument}"
    beside = {p.stem: str(p) for p in path.parent.glob("[!_]*.py")} if path.suffix else {}
    # Names alone: a folder that is the same makes any two paths alike.
    names = {name: name for name in known()} | beside
    near = difflib.get_close_matches(path.stem, sorted(names), 1)
    hint = f"; did you mean {names[near[0]]}?" if near else ": jaxgan configs lists them"
    raise InputError(f"{flag} must be a file or the name of a config, got {file}{hint}")


def load(spec: str, test: bool = False) -> ConfigDict:
    """The config of a file, `configs/wgan512.py` or, with an argument, `configs/wgan512.py:dog`.

    Args:
        spec: the file, with an argument where it takes one.
        test: whether to take its small twin for tests, `get_test_config`.

    Raises:
        InputError: no such file, no `get_config` in it, or an argument that it refuses.
    """
    file, _, argument = find(spec).partition(":")
    if Path(file).suffix != ".py":
        raise InputError(f"--config must be a Python file, like configs/quickstart.py, got {file}")
    module_spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    with _named(file):
        module_spec.loader.exec_module(module)
    name = "get_test_config" if test else "get_config"
    if not hasattr(module, name):
        raise InputError(f"a config file must define {name}(), and {file} does not")
    get = getattr(module, name)
    if argument and not inspect.signature(get).parameters:
        raise InputError(f"{file} takes no argument, got {argument!r}")
    with _named(file):
        config = get(argument) if argument else get()
    if not isinstance(config, ConfigDict):
        raise InputError(
            f"{name}() of {file} must return a ConfigDict, got {type(config).__name__}"
        )
    return config


@contextmanager
def _named(file: str) -> Generator[None]:
    """Raise what a config file raises as an InputError with its name and line."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [f.lineno for f in frames if f.filename == os.path.abspath(file)]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        at = file if line is None else f"{file}, line {line}"
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        if type(error) is not ValueError:  # With which a config refuses its argument.
            reason = f"{type(error).__name__}: {reason}"
            raise InputError(
                f"a config must be Python that runs, and {at} is not: {reason}"
            ) from error
        raise InputError(f"{file}: {reason}") from error


def flat(config: ConfigDict, prefix: str = "") -> dict[str, Any]:
    """Return all values and sections by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        found[prefix + name] = value
        if isinstance(value, ConfigDict):
            found |= flat(value, f"{prefix}{name}.")
    return found


def check_names(known: Collection[str], names: Sequence[str]) -> None:
    """Raise InputError for the first dotted name that a config does not have: see `flat`."""
    for name in names:
        if name in known:
            continue
        # The last part is what people remember: look for it in any section, too.
        values = [k for k in known if not any(other.startswith(f"{k}.") for other in known)]
        parts = {k: k.rsplit(".", 1)[-1] for k in values}
        near = difflib.get_close_matches(name, values, 1) or [
            k for k, last in parts.items() if last == name.rsplit(".", 1)[-1]
        ]
        hint = f"; did you mean config.{near[0]}?" if near else ""
        raise InputError(f"config.{name} is no key of this config{hint}")


# What an experiment's stages take from it.
INHERITED = (
    *("path", "classes", "limit", "crop", "on_error", "split", "given_sides"),
    *("layout", "groups", "duplicates"),
)


def check_inherited(overridden: Sequence[str]) -> None:
    """Refuse settings of an experiment's stage that the experiment would overwrite.

    Raises:
        InputError: names the one to set.
    """
    own = {f"{stage}.data.{name}": f"data.{name}" for stage in STAGES for name in INHERITED}
    own |= {f"{s}.{name}": name for s in STAGES for name in ("parallel", "deterministic")}
    for name in overridden:
        if name in own:
            raise InputError(f"config.{name} follows config.{own[name]} here: set that one")


def inherited(data: Mapping[str, Any], parallel: str, deterministic: bool) -> dict[str, Any]:
    """Return what the stages of an experiment take from it: its images and devices."""
    own = {f"data.{name}": data[name] for name in INHERITED if name in data}
    own |= {"parallel": parallel, "deterministic": deterministic}
    return {f"{stage}.{name}": value for stage in STAGES for name, value in own.items()}
