"""Configs: loaded, checked, printed, compared. Every error about a config is raised here."""

import difflib
import importlib.util
import inspect
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from etils import epath
from ml_collections import ConfigDict

from jaxgan.types import InputError

GANS = ("wgan",)
CLASSIFIERS = ("googlenet",)
LENGTHS = ("steps", "epochs", "kimg")
# What may change when a run goes on in its folder.
FREE = ("log_every", "sample_every", "checkpoint_every", "microbatch", "remat", "profile")
RESUMABLE = {
    "parallel",
    "seeds",
    "arms",
    "verdict.primary",
    "verdict.level",
    *(f"train.{name}" for name in (*LENGTHS, *FREE)),
    *(f"{stage}.parallel" for stage in ("gan", "classifier")),
    *(f"{stage}.train.{name}" for stage in ("gan", "classifier") for name in FREE),
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
    module_spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    name = "get_test_config" if test else "get_config"
    if not hasattr(module, name):
        raise InputError(f"a config file must define {name}(), and {file} does not")
    get = getattr(module, name)
    if argument and not inspect.signature(get).parameters:
        raise InputError(f"{file} takes no argument, got {argument!r}")
    try:
        return get(argument) if argument else get()
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error


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


def settle_length(train: ConfigDict, overridden: Sequence[str], prefix: str) -> None:
    """Leaves one of steps, epochs and kimg set: the one given on the command line, if any."""
    given = [name for name in LENGTHS if f"{prefix}{name}" in overridden]
    if len(given) > 1:
        raise InputError(f"set one of {', '.join(f'{prefix}{n}' for n in given)}, not {len(given)}")
    for name in LENGTHS:
        if given and name != given[0]:
            train[name] = None


def total_steps(train: ConfigDict, pictures: int, pictures_a_step: int) -> int:
    """Steps of a training, whichever way its length is given.

    Args:
        train: the section, with one of steps, epochs and kimg (thousands of pictures) set.
        pictures: how many there are in an epoch.
        pictures_a_step: how many real ones are drawn in a step.
    """
    if train.steps is not None:
        return train.steps
    shown = train.epochs * pictures if train.epochs is not None else train.kimg * 1000
    return max(1, round(shown / pictures_a_step))


def profile_steps(profile: str | None, name: str = "config") -> range:
    """The steps to trace, from FIRST:COUNT; none where it is None.

    Raises:
        InputError: it is not two whole numbers above 0 with a colon between them.
    """
    if profile is None:
        return range(0)
    first, _, count = profile.partition(":")
    if not (first.isdecimal() and count.isdecimal() and int(first) and int(count)):
        raise InputError(
            f"{name}.train.profile must be FIRST:COUNT, two whole numbers above 0, got {profile!r}"
        )
    return range(int(first), int(first) + int(count))


def is_experiment(config: ConfigDict) -> bool:
    return "arms" in config


def check_training(config: ConfigDict, name: str = "config") -> None:
    """Raises InputError for a value of a GAN's or classifier's config that makes no sense."""
    _one_of(f"{name}.parallel", config.parallel, ("auto", "jit", "pmap"))
    _one_of(f"{name}.precision", config.precision, ("float32", "bf16"))
    _check_data(config.data, name)
    _one_of(f"{name}.model.name", config.model.name, GANS + CLASSIFIERS)
    if not 0 <= config.seed < 2**32:
        raise InputError(f"{name}.seed must be within [0, 2**32), got {config.seed}")
    train = config.train
    lengths = [n for n in LENGTHS if train[n] is not None]
    if len(lengths) != 1:
        raise InputError(
            f"one of {name}.train.steps, epochs and kimg must be set, got {len(lengths)}"
        )
    for key in ("batch_size", lengths[0], "log_every", "sample_every", "checkpoint_every"):
        _positive(f"{name}.train.{key}", train[key])
    if train.microbatch is not None:
        _positive(f"{name}.train.microbatch", train.microbatch)
        if train.batch_size % train.microbatch:
            raise InputError(
                f"{name}.train.microbatch must divide {name}.train.batch_size "
                f"({train.batch_size}), got {train.microbatch}"
            )
    profile_steps(train.profile, name)
    check = _check_gan if config.model.name in GANS else _check_classifier
    check(config, name)


def _check_gan(config: ConfigDict, name: str) -> None:
    resolution = config.data.resolution
    if not 16 <= resolution <= 1024 or resolution & (resolution - 1):
        raise InputError(
            f"{name}.data.resolution must be a power of two from 16 to 1024, got {resolution}"
        )
    _positive(f"{name}.model.latent_dim", config.model.latent_dim)
    _positive(f"{name}.model.channels", config.model.channels)
    _one_of(f"{name}.loss.name", config.loss.name, ("wasserstein",))
    _not_negative(f"{name}.loss.gradient_penalty", config.loss.gradient_penalty)
    _positive(f"{name}.train.n_critic", config.train.n_critic)
    _share(f"{name}.train.ema_decay", config.train.ema_decay)
    for player in ("generator", "critic"):
        _check_adam(f"{name}.optim.{player}", config.optim[player])


def _check_classifier(config: ConfigDict, name: str) -> None:
    if config.data.resolution < 32:
        raise InputError(
            f"{name}.data.resolution must be at least 32, got {config.data.resolution}"
        )
    check_fractions(f"{name}.data.split", config.data.split)
    if min(config.data.split[:2]) <= 0:
        raise InputError(
            f"{name}.data.split must leave a share to train and one to validate, "
            f"got {tuple(config.data.split)}"
        )
    _positive(f"{name}.model.width", config.model.width)
    _share(f"{name}.train.label_smoothing", config.train.label_smoothing)
    _check_adam(f"{name}.optim", config.optim)


def check_experiment(config: ConfigDict) -> None:
    """Raises InputError for a value of an experiment's config that makes no sense."""
    check_fractions("config.data.split", config.data.split)
    whole = all(isinstance(seed, int) and 0 <= seed < 2**32 for seed in config.seeds)
    if not config.seeds or len(set(config.seeds)) != len(config.seeds) or not whole:
        raise InputError(
            f"config.seeds must be one or more different whole numbers >= 0, got {config.seeds}"
        )
    if len(set(config.arms)) != len(config.arms):
        raise InputError(f"config.arms must differ from each other, got {config.arms}")
    for arm in config.arms:
        _one_of("each of config.arms", arm, ARMS)
    primary = tuple(config.verdict.primary)
    if len(primary) != 2 or primary[0] == primary[1] or not set(primary) <= set(config.arms):
        raise InputError(
            f"config.verdict.primary must be two different arms of {tuple(config.arms)}, "
            f"got {primary}"
        )
    if not 0 < config.verdict.level < 1:
        raise InputError(f"config.verdict.level must be within (0, 1), got {config.verdict.level}")
    if not (primary[0] in GENERATING and primary[1] not in GENERATING):
        raise InputError(
            f"config.verdict.primary must have an arm with generated pictures against one without "
            f"(replace or add against real or real+augmentation), got {primary}"
        )
    if not 0 < config.replace.share <= 1:
        raise InputError(f"config.replace.share must be within (0, 1], got {config.replace.share}")
    _positive("config.add.ratio", config.add.ratio)
    _one_of("config.gan.model.name", config.gan.model.name, GANS)
    _one_of("config.classifier.model.name", config.classifier.model.name, CLASSIFIERS)
    check_training(config.gan, "config.gan")
    check_training(config.classifier, "config.classifier")


ARMS = ("real", "real+augmentation", "replace", "add")
GENERATING = ("replace", "add")


def check_fractions(name: str, fractions: Sequence[float]) -> None:
    """Three shares (train, validation, test) of a whole."""
    numbers = all(isinstance(share, int | float) for share in fractions)
    if not numbers or len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(
            f"{name} must be three shares (train, validation, test) that add up to 1, "
            f"got {tuple(fractions)}"
        )


def _check_data(data: ConfigDict, name: str) -> None:
    _positive(f"{name}.data.resolution", data.resolution)
    _one_of(f"{name}.data.crop", data.crop, ("center", "stretch"))
    _one_of(f"{name}.data.on_error", data.on_error, ("skip", "raise"))
    if data.limit is not None:
        _positive(f"{name}.data.limit", data.limit)


def _check_adam(name: str, optim: ConfigDict) -> None:
    _positive(f"{name}.learning_rate", optim.learning_rate)
    _share(f"{name}.b1", optim.b1)
    _share(f"{name}.b2", optim.b2)


def _one_of(name: str, value: Any, valid: Sequence[str]) -> None:
    if value not in valid:
        raise InputError(f"{name} must be one of {', '.join(valid)}, got {value!r}")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise InputError(f"{name} must be above 0, got {value}")


def _not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise InputError(f"{name} must not be negative, got {value}")


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise InputError(f"{name} must be within [0, 1), got {value}")


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
        lines = differences(json.loads(file.read_text()), ours)
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
    part = file.with_name(file.name + ".part")
    part.write_text(text)
    part.replace(file)


def claim_data(workdir: epath.PathLike, fingerprint: str) -> None:
    """Ties `workdir` to one set of pictures: a split of others could mix up what was learned from.

    Raises:
        InputError: the run in it began with other pictures.
    """
    file = epath.Path(workdir) / "data.json"
    if not file.exists():
        write(file, json.dumps({"fingerprint": fingerprint}) + "\n")
    elif json.loads(file.read_text())["fingerprint"] != fingerprint:
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
    return from_dict(json.loads(file.read_text()))
