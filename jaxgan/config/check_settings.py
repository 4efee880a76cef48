"""Each setting of a config checked for itself, by its declaration in `settings`."""

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxgan.config import typed
from jaxgan.config.fields import Setting, check_value, declared, is_plain, shown, text, whole
from jaxgan.config.loading import flat
from jaxgan.config.names import CLASSIFIERS, GANS, GENERATORS, STAGES
from jaxgan.config.settings import Vision
from jaxgan.config.values import is_experiment
from jaxgan.errors import InputError

TRAINING = declared(typed.Network)
VISION = declared(Vision, "vision.")
EXPERIMENT = declared(typed.Experiment) | {"gan.retrain": whole(1, 1000)}
OF_MODEL = {name: declared(kind) for name, kind in typed.KINDS.items()}
PCA = OF_MODEL["pca"]
# A projected one may have what its generator's own critics have, which it does not use.
_OTHERS = {n: dataclasses.replace(s, required=False) for n, s in OF_MODEL["dcgan"].items()}
OF_MODEL["projected"] = _OTHERS | OF_MODEL["projected"]
_GENERATOR = {n: s for n, s in _OTHERS.items() if n.startswith("model.")}
OF_MODEL["drifting"] = _GENERATOR | OF_MODEL["drifting"]


def check(config: ConfigDict, name: str = "config") -> None:
    """Check each setting for itself.

    Args:
        config: of a training, or of an experiment with its two stages.
        name: what errors call it.

    Raises:
        InputError: a setting is missing, or is not what it may be.
    """
    stages = {"": (config, GENERATORS + CLASSIFIERS)}
    if is_experiment(config):
        values = flat(config)
        _check_all(values, EXPERIMENT, name)
        _check_known(values, EXPERIMENT, name)
        for stage in STAGES:
            _check_section(values, stage, name)
        stages = {"gan": (config.gan, GANS), "classifier": (config.classifier, CLASSIFIERS)}
    for stage, (section, models) in stages.items():
        at, of = f"{name}.{stage}" if stage else name, flat(section)
        _check_all(of, {"model.name": text(*models)}, at)
        known = OF_MODEL[of["model.name"]]
        _check_all(of, known, at)
        _check_sections(of, known, at)
        _check_known(of, known | VISION, at)
        if "vision" in of:
            _check_all(of, VISION, at)


def _check_all(values: Mapping[str, Any], settings: Mapping[str, Setting], name: str) -> None:
    for dotted, setting in settings.items():
        path = dotted.split(".")[:-1]
        for depth in range(len(path)):
            _check_section(values, ".".join(path[: depth + 1]), name)
        if dotted in values:
            check_value(f"{name}.{dotted}", values[dotted], setting)
        elif setting.required:
            raise InputError(f"{name}.{dotted} must be set, and this config does not have it")
    for dotted, value in values.items():
        if not isinstance(value, ConfigDict) and not is_plain(value):
            raise InputError(
                f"{name}.{dotted} must be text, a number, True, False, None or a tuple of these, "
                f"got {shown(value)}"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{name}.{dotted} must be a finite number, got {value}")


def _check_sections(values: Mapping[str, Any], known: Mapping[str, Setting], name: str) -> None:
    """Raise InputError for a section that nothing reads: it would be ignored in silence."""
    read = {dotted.partition(".")[0] for dotted in known}
    model = values["model.name"]
    if model in GANS or values.get("vision.backbone") == "none":
        read.add("vision")  # `combinations` says which GANs it goes with.
    there = [n for n, found in values.items() if isinstance(found, ConfigDict) and "." not in n]
    for part in there:
        if part not in read:
            raise InputError(
                f"{name}.{part} must not be set: model.name={model} has no such section, but "
                f"{', '.join(sorted(read.intersection(there)))}"
            )


def _check_known(names: Iterable[str], known: Mapping[str, Setting], name: str) -> None:
    """Raise InputError for a setting that nothing reads, like a mistyped one."""
    for dotted in names:
        read = any(setting == dotted or setting.startswith(f"{dotted}.") for setting in known)
        if not read and dotted.partition(".")[0] not in STAGES:  # Those are checked apart.
            near = difflib.get_close_matches(dotted, known, 1)
            hint = f"; did you mean {name}.{near[0]}?" if near else ""
            raise InputError(f"{name}.{dotted} is no setting of this config{hint}")


def _check_section(values: Mapping[str, Any], part: str, name: str) -> None:
    if not isinstance(values.get(part), ConfigDict):
        got = shown(values[part]) if part in values else "nothing"
        raise InputError(f"{name}.{part} must be a section with settings, got {got}")
