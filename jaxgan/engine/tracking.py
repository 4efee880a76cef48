"""A run's figures and samples in Weights & Biases or MLflow, beside the files that a run writes.

`JAXGAN_TRACK=wandb,mlflow` (the scripts' --track) names them; each has an extra of its name. Where
one cannot be reached the training goes on without it, and says so once.
"""

import importlib
import importlib.util
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from etils import epath
from jaxtyping import UInt8

from jaxgan.system import checked_files
from jaxgan.types import InputError

VARIABLE = "JAXGAN_TRACK"
PROJECT = "jaxgan"

Image = UInt8[np.ndarray, "h w c"]


class Tracker(NamedTuple):
    """Where figures and images go.

    Attributes:
        name: of the service.
        metrics: (step, values).
        image: (step, name, image).
        close: ends the run there.
    """

    name: str
    metrics: Callable[[int, Mapping[str, float]], None]
    image: Callable[[int, str, Image], None]
    close: Callable[[], None]


def wandb(folder: epath.Path, title: str, config: dict[str, Any]) -> Tracker:
    service = importlib.import_module("wandb")
    run = service.init(
        project=PROJECT, name=title, config=config, dir=str(folder), reinit="create_new"
    )

    def image(step: int, name: str, image: Image) -> None:
        run.log({name: service.Image(image)}, step=step)

    return Tracker(
        "wandb", lambda step, values: run.log(dict(values), step=step), image, run.finish
    )


def mlflow(folder: epath.Path, title: str, config: dict[str, Any]) -> Tracker:
    client = importlib.import_module("mlflow").MlflowClient()
    found = client.get_experiment_by_name(PROJECT)
    number = client.create_experiment(PROJECT) if found is None else found.experiment_id
    run = client.create_run(number, run_name=title).info.run_id
    for name, value in _flat(config).items():
        client.log_param(run, name, str(value)[:500])

    def metrics(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            client.log_metric(run, name, float(value), step=step)

    def image(step: int, name: str, image: Image) -> None:
        client.log_image(run, image, f"{name}/{step:07d}.png")

    return Tracker("mlflow", metrics, image, lambda: client.set_terminated(run))


SERVICES = {"wandb": wandb, "mlflow": mlflow}


def check(names: str) -> None:
    """Raise InputError for a service that is not known or not installed.

    Args:
        names: with commas between them.
    """
    for name in filter(None, names.split(",")):
        if name not in SERVICES:
            raise InputError(f"--track must be of {', '.join(SERVICES)}, got {name!r}")
        if importlib.util.find_spec(name) is None:
            raise InputError(f"--track={name} needs a package: pip install 'jaxgan[{name}]'")


def begin(folder: epath.PathLike) -> list[Tracker]:
    """Return the trackers that `JAXGAN_TRACK` names, for the run in `folder`."""
    folder = epath.Path(folder)
    names = [name for name in os.environ.get(VARIABLE, "").split(",") if name]
    if not names:
        return []
    file = folder / "config.json"
    config = checked_files.load(file, "begin anew", strict=False) if file.exists() else {}
    title = "/".join(Path(folder).absolute().parts[-3:])
    found = []
    for name in names:
        tracker = _safely(name, lambda name=name: SERVICES[name](folder, title, config))
        if tracker is not None:
            found.append(tracker)
    return found


def send(trackers: list[Tracker], what: str, *values: Any) -> None:
    """Call `metrics`, `image` or `close` of each; one that fails is left out from then on."""
    for tracker in list(trackers):
        done = _safely(tracker.name, lambda t=tracker: (getattr(t, what)(*values), True)[1])
        if done is None:
            trackers.remove(tracker)


def _safely(name: str, work: Callable[[], Any]) -> Any:
    """Return what `work` returns; None, with a warning, where it fails: a service must not end a
    run.
    """
    try:
        return work()
    except Exception as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:150]
        logging.getLogger("jaxgan").warning("%s is left out from here on: %s", name, why)
        return None


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
