"""The commands in Python, for notebooks and programs.

    import jaxgan

    answer = jaxgan.experiment("pets", budget="10m")
    answer.verdict, answer.interval, answer.report
    images = jaxgan.load("runs/wgan128").sample(16, seed=0)
    jaxgan.load("runs/resnet").predict("new_images")

Mistakes raise `jaxgan.InputError`, a ValueError with one sentence.
"""

import shlex
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxgan.api.arguments import arguments, in_python, named
from jaxgan.api.inputs import as_folder
from jaxgan.api.models import Classifier, Generator, Images, Predictions
from jaxgan.api.results import Comparison, Experiment
from jaxgan.config import loading as configs
from jaxgan.engine import provenance
from jaxgan.errors import InputError
from jaxgan.evaluation import folders
from jaxgan.experiment import budget as budgets
from jaxgan.experiment import pipeline, ray_cluster
from jaxgan.experiment.design import choose_gan
from jaxgan.experiment.design.plan import prepare
from jaxgan.training import run

__all__ = [
    "Classifier",
    "Comparison",
    "Experiment",
    "Generator",
    "Predictions",
    "compare",
    "experiment",
    "load",
    "load_config",
    "train",
]

Settings = Mapping[str, Any]
STAGES = ("", "gan.", "classifier.")
LENGTHS = "_lengths"  # Beside the values of a config that `load_config` returned.


@named()
def experiment(
    images: str | Path,
    *,
    budget: str | None = None,
    config: str | ConfigDict = "quickstart",
    gan: str | None = None,
    workdir: str | Path | None = None,
    settings: Settings | None = None,
    on: str | None = None,
    job_cpus: int | None = None,
    job_devices: int | None = None,
) -> Experiment:
    """Answer: would generated images help a classifier of these?

    Args:
        images: a folder of class folders, or any layout that `scripts/experiment.py` takes.
        budget: time to spend, like "10m".
        config: of an experiment: a name, a file, or itself.
        gan: another GAN's config, or "auto": one that suits the resolution and the device.
        workdir: for all that is made; runs/<config>_<images> by default. There it goes on.
        settings: values of the config, like {"classifier.train.steps": 500}.
        on: "ray", "ray://HOST:PORT" or "HOST:PORT": who does the jobs, while this process leaves
            GPUs and TPUs alone; None: this process.
        job_cpus: of each job on Ray.
        job_devices: GPUs or TPU chips of each job on Ray.

    Raises:
        InputError: bad input, before anything is trained; or the verdict's arms failed.
        KeyboardInterrupt: Ctrl-C; what is done is saved, and the same call goes on.
    """
    begin = time.perf_counter()
    where = ray_cluster.parse(on, job_cpus, job_devices)
    if where is None and (job_cpus, job_devices) != (None, None):
        raise InputError(
            "job_cpus and job_devices must come with on, without which they do nothing"
        )
    if where and budget is not None:
        raise InputError(f"budget is for this process alone: without on={on!r}")
    made = _config(config, {"data.path": str(images)} | dict(settings or {}))
    place = _place(workdir, config if isinstance(config, str) else None, images)
    lines = []
    if gan is not None and configs.is_experiment(made):  # Others are refused below.
        side, retrain = made.classifier.data.resolution, made.gan.retrain
        made.gan, line = choose_gan.load(gan, side, retrain)
        lines.append(line)
    flags = {"config": config, "gan": gan, "budget": budget, "workdir": place, "on": on}
    with _begun(_command("experiment", [images], flags, settings)):
        if budget is None:
            pipeline.run(made, place, on=where, told_first=tuple(lines))
        else:
            budgets.spend(
                prepare(made),
                place,
                budgets.parse(str(budget)),
                begin,
                tuple(lines),
            )
    return Experiment(place)


@named()
def train(
    config: str | ConfigDict,
    images: str | Path | None = None,
    *,
    workdir: str | Path | None = None,
    settings: Settings | None = None,
) -> Generator | Classifier:
    """Train a GAN or a classifier as `scripts/train.py` does, and return it.

    Args:
        config: a name, a file, or itself.
        images: a folder; the config's own `data.path` where None.
        workdir: the run's folder; runs/<config> by default. There it goes on.
        settings: values of the config, like {"train.steps": 500}.

    Raises:
        InputError: bad input, before anything is trained.
        KeyboardInterrupt: Ctrl-C; there is a checkpoint, and the same call goes on.
    """
    given = {} if images is None else {"data.path": str(images)}
    made = _config(config, given | dict(settings or {}))
    place = _place(workdir, config if isinstance(config, str) else None)
    with _begun(_command("train", [config], {"data": images, "workdir": place}, settings)):
        run.run(made, str(place))
    found = load(place)
    assert not isinstance(found, Experiment)
    return found


@named()
def load(workdir: str | Path) -> Experiment | Generator | Classifier:
    """Return what a run's folder holds: an `Experiment`, a `Generator` or a `Classifier`."""
    config = configs.read_claim(workdir)
    if configs.is_experiment(config):
        return Experiment(workdir)
    return (Generator if config.model.name in configs.GENERATORS else Classifier)(workdir)


@named(folders.evaluate)
def compare(
    real: str | Path | Images,
    fake: str | Path | Images,
    train: str | Path | Images | None = None,
    **options: Any,
) -> Comparison:
    """Compare generated images with real ones, as `scripts/evaluate.py --real --fake` does.

    Args:
        real: a folder or an array of real images, best of such as no GAN saw.
        fake: of generated ones.
        train: of those that the GAN trained on; None: `real` is.
        options: features, metrics, resolution, seed and others of
            `jaxgan.evaluation.folders.evaluate`.
    """
    with tempfile.TemporaryDirectory() as place:
        given = {"real": real, "fake": fake, "train": train}
        paths = {
            name: None if images is None else as_folder(images, Path(place) / name)
            for name, images in given.items()
        }
        result, pairs = folders.evaluate(**paths, **options)
    known = arguments(folders.evaluate)
    result["warnings"] = [in_python(words, known) for words in result["warnings"]]
    return Comparison(result, pairs)


@named(config="name")
def load_config(name: str, settings: Settings | None = None) -> ConfigDict:
    """Return a config to be changed in Python, as `train` and `experiment` take it.

    Setting a length, like `config.train.steps = 500`, takes the place of the one that was set.

    Args:
        name: of a config, or a file.
        settings: values, like {"train.batch_size": 16}.
    """
    made = _config(name, settings or {})
    known = {prefix: _lengths(train) for prefix, train in _trainings(configs.flat(made))}
    object.__setattr__(made, LENGTHS, known)
    return made


@contextmanager
def _begun(command: str | None) -> Iterator[None]:
    """Record the command of what is begun; a Ctrl-C that ends it is one for the caller, too."""
    try:
        with provenance.as_command(command):
            yield
    except SystemExit as end:
        if end.code == 128 + signal.SIGINT:
            raise KeyboardInterrupt from None
        raise


def _command(
    verb: str, words: list[Any], flags: Mapping[str, Any], settings: Settings | None
) -> str | None:
    """Return the command that does the same; None of a config that is no file."""
    given = {**flags, **{f"config.{name}": value for name, value in (settings or {}).items()}}
    if any(isinstance(value, ConfigDict) for value in (*words, *given.values())):
        return None
    said = [f"--{name}={value}" for name, value in given.items() if value is not None]
    return shlex.join(["jaxgan", verb, *map(str, words), *said])


def _config(config: str | ConfigDict, settings: Settings) -> ConfigDict:
    """A config with its settings, lengths settled as on the command line."""
    if isinstance(config, str):
        made = configs.load(config)
    else:
        before = config.__dict__.get(LENGTHS, {})
        made = config.copy_and_resolve_references()
        for prefix, train in _trainings(configs.flat(made)):
            _settle(train, before.get(prefix, {}), prefix, settings)
    names = list(settings)
    configs.check_names(configs.flat(made), names)
    if configs.is_experiment(made):
        configs.check_inherited(names)
    for name, value in settings.items():
        try:
            made.update_from_flattened_dict({name: value})
        except (TypeError, ValueError) as error:
            raise InputError(f"config.{name} cannot be {value!r}: {error}") from None
    for prefix, train in _trainings(configs.flat(made)):
        configs.settle_length(train, names, f"{prefix}train.")
    return made


def _trainings(values: Mapping[str, Any]) -> list[tuple[str, ConfigDict]]:
    """The `train` sections of a config, or of an experiment's stages, by their prefixes."""
    return [(stage, values[f"{stage}train"]) for stage in STAGES if f"{stage}train" in values]


def _lengths(train: ConfigDict) -> dict[str, Any]:
    """The lengths that a section sets."""
    return {n: train[n] for n in configs.LENGTHS if train.get(n) is not None}


def _settle(train: ConfigDict, before: dict[str, Any], prefix: str, settings: Settings) -> None:
    """Leave the length that was set last, where it can be known by those of before."""
    now = _lengths(train)
    names = [f"{prefix}train.{name}" for name in now]
    if len(now) < 2 or any(name in settings for name in names):
        return
    changed = [name for name, value in now.items() if before.get(name) != value]
    if len(changed) != 1 or not before:
        raise InputError(f"set one of {', '.join(names)}, and the others to None")
    for name in now:
        if name != changed[0]:
            train[name] = None


def _place(workdir: str | Path | None, config: str | None, images: Any = None) -> Path:
    if workdir is None:
        if config is None:
            raise InputError("a config that is no file needs a workdir")
        parts = [Path(config.partition(":")[0]).stem, config.partition(":")[2]]
        parts += [Path(images).name] if images is not None else []
        workdir = Path("runs") / "_".join(part for part in parts if part)
    configs.check_free(workdir)
    return Path(workdir)
