"""Configs: loaded, checked, printed, compared. Every error about a config is raised here."""

import difflib
import importlib.util
import inspect
import json
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from jaxgan import paths
from jaxgan.errors import InputError

STAGES = ("gan", "classifier")  # Of an experiment.
GANS = ("wgan", "dcgan", "stylegan2")
CLASSIFIERS = ("googlenet", "resnet", "vgg16")
MOST_STEPS = 10**9  # Of a training: JAX counts them in 32 bits.
LENGTHS = ("steps", "epochs", "kimg")
# What may change when a run goes on in its folder.
FREE = ("log_every", "sample_every", "checkpoint_every", "microbatch", "remat", "profile")
FREE += ("min_diversity", "on_collapse", "rollbacks")
RESUMABLE = {
    "parallel",
    "evaluate",  # Which older runs do not have.
    *(f"evaluate.{name}" for name in ("every", "share")),
    "gan.evaluate",
    *(f"gan.evaluate.{name}" for name in ("every", "share")),
    "seeds",
    "arms",
    "stop_below",
    "vmap_seeds",
    "verdict.primary",
    "verdict.level",
    "verdict.margin",
    "verdict.outcome",
    "verdict.width",
    *(f"train.{name}" for name in (*LENGTHS, *FREE)),
    *(f"{stage}.parallel" for stage in STAGES),
    *(f"{stage}.train.{name}" for stage in STAGES for name in FREE),
}


def load(spec: str, test: bool = False) -> ConfigDict:
    """The config of a file, `configs/wgan512.py` or, with an argument, `configs/wgan512.py:dog`.

    Args:
        spec: the file, with an argument where it takes one.
        test: whether to take its small twin for tests, `get_test_config`.

    Raises:
        InputError: no such file, no `get_config` in it, or an argument that it refuses.
    """
    file, _, argument = spec.partition(":")
    if not Path(file).is_file():
        known = sorted(str(p) for p in Path(file).parent.glob("*.py"))
        near = difflib.get_close_matches(file, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"--config must be a file, got {file}{hint}")
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
def _named(file: str) -> Iterator[None]:
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


def keys(config: ConfigDict, prefix: str = "") -> Iterator[str]:
    """All dotted names of values and sections."""
    for name, value in config.items():
        yield prefix + name
        if isinstance(value, ConfigDict):
            yield from keys(value, f"{prefix}{name}.")


def check_names(config: ConfigDict, names: Sequence[str]) -> None:
    """Raises InputError for the first dotted name that the config does not have."""
    known = list(keys(config))
    for name in names:
        if name in known:
            continue
        # The last part is what people remember: look for it in any section, too.
        parts = {k: k.rsplit(".", 1)[-1] for k in known}
        near = difflib.get_close_matches(name, known, 1) or [
            k for k, last in parts.items() if last == name.rsplit(".", 1)[-1]
        ]
        hint = f"; did you mean config.{near[0]}?" if near else ""
        raise InputError(f"config.{name} is no key of this config{hint}")


# What an experiment's stages take from it.
INHERITED = ("path", "classes", "limit", "crop", "on_error", "split", "given_sides")


def check_inherited(config: ConfigDict, overridden: Sequence[str]) -> None:
    """Refuse settings of a stage that the experiment would overwrite.

    Raises:
        InputError: names the one to set.
    """
    if not is_experiment(config):
        return
    own = {f"{stage}.data.{name}": f"data.{name}" for stage in STAGES for name in INHERITED}
    own |= {f"{s}.{name}": name for s in STAGES for name in ("parallel", "deterministic")}
    for name in overridden:
        if name in own:
            raise InputError(f"config.{name} follows config.{own[name]} here: set that one")


def settle_length(train: ConfigDict, overridden: Sequence[str], prefix: str) -> None:
    """Leaves one of steps, epochs and kimg set: the one given on the command line, if any."""
    given = [name for name in LENGTHS if f"{prefix}{name}" in overridden]
    if len(given) > 1:
        raise InputError(f"set one of {', '.join(f'{prefix}{n}' for n in given)}, not {len(given)}")
    for name in LENGTHS:
        if given and name != given[0]:
            train[name] = None


def total_steps(
    train: ConfigDict,
    pictures: int,
    pictures_a_step: int,
    prelude: Callable[[int], int] = lambda step: 0,
) -> int:
    """Steps of a training, whichever way its length is given.

    Args:
        train: the section, with one of steps, epochs and kimg (thousands of pictures) set.
        pictures: how many there are in an epoch.
        pictures_a_step: how many real ones are in a batch.
        prelude: batches besides its own that a step takes, by the steps before it.

    Raises:
        InputError: it is longer than can be counted.
    """
    if train.steps is not None:
        return train.steps
    shown = train.epochs * pictures if train.epochs is not None else train.kimg * 1000
    batches, steps = round(shown / pictures_a_step), 0
    if batches > MOST_STEPS:
        length = "epochs" if train.epochs is not None else "kimg"
        raise InputError(
            f"a training must have at most {MOST_STEPS:,} steps, and {train[length]:,} {length} of "
            f"{pictures:,} pictures are {batches:,}"
        )
    while batches > 0:
        batches -= 1 + prelude(steps)
        steps += 1
    return max(1, steps)


def profile_steps(profile: str | None, name: str = "config") -> range:
    """The steps to trace, from FIRST:COUNT; none where it is None.

    Raises:
        InputError: it is not two whole numbers above 0 with a colon between them.
    """
    if profile is None:
        return range(0)
    first, _, count = profile.partition(":")
    short = max(len(first), len(count)) < 10  # Python reads 4,300 digits at most.
    if not (short and first.isdecimal() and count.isdecimal() and int(first) and int(count)):
        raise InputError(
            f"{name}.train.profile must be FIRST:COUNT, two whole numbers above 0, got "
            f"{profile[:100]!r}"
        )
    return range(int(first), int(first) + int(count))


def is_experiment(config: ConfigDict) -> bool:
    return "arms" in config


def to_dict(config: ConfigDict) -> dict:
    """As JSON holds it: tuples become lists."""
    return json.loads(config.to_json())


def from_dict(values: dict) -> ConfigDict:
    """The inverse of `to_dict`: lists become tuples."""

    def convert(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: convert(v) for k, v in value.items()}
        return tuple(convert(v) for v in value) if isinstance(value, list) else value

    return ConfigDict(convert(values))


def differences(there: dict, here: dict, prefix: str = "") -> list[str]:
    """One line per value in which two configs (as `to_dict` gives them) differ."""
    lines = []
    for name in sorted({*there, *here}):
        a, b, dotted = there.get(name), here.get(name), prefix + name
        if isinstance(a, dict) and isinstance(b, dict):
            lines += differences(a, b, f"{dotted}.")
        elif a != b and dotted not in RESUMABLE:
            lines.append(f"{dotted} is {a!r} there and {b!r} here")
    return lines


def claim(workdir: epath.PathLike, config: ConfigDict) -> None:
    """Makes `workdir` this config's run folder: writes `config.json` there.

    Raises:
        InputError: it already holds a run with another config.
    """
    folder = epath.Path(workdir)
    file, ours = folder / "config.json", to_dict(config)
    if file.exists():
        lines = differences(json.loads(paths.check_plain(file).read_text()), ours)
        if lines:
            more = f" (and {len(lines) - 3} more)" if len(lines) > 3 else ""
            raise InputError(
                f"--workdir must be new or hold a run of the same config; in {folder} "
                f"{'; '.join(lines[:3])}{more}"
            )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--workdir must be a folder, got the file {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    write(file, json.dumps(ours, indent=2) + "\n")


def write(file: epath.Path, text: str) -> None:
    """Replaces a file as a whole: a kill or a full disk leaves the old one."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    part.write_text(text)
    part.replace(file)


def claim_data(workdir: epath.PathLike, fingerprint: str, name: str = "data.json") -> None:
    """Ties `workdir` to one set of pictures: a split of others could mix up what was learned from.

    Raises:
        InputError: the run in it began with other pictures.
    """
    file = epath.Path(workdir) / name
    if not file.exists():
        write(file, json.dumps({"fingerprint": fingerprint}) + "\n")
    elif json.loads(paths.check_plain(file).read_text())["fingerprint"] != fingerprint:
        raise InputError(
            f"a run must go on with the pictures that it began with, and those of {workdir} have "
            f"changed since: choose a new --workdir"
        )


def read_claim(workdir: epath.PathLike) -> ConfigDict:
    """The config of the run in `workdir`."""
    file = epath.Path(workdir) / "config.json"
    if not file.exists():
        raise InputError(
            f"--workdir must be the folder of a run, with a config.json, got {workdir}"
        )
    return from_dict(json.loads(paths.check_plain(file).read_text()))
