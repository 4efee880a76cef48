"""The config that a run's folder holds, which may be of others: checked before it is used."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxgan.config import typed
from jaxgan.config.fields import check_value, declared, shown
from jaxgan.config.names import STAGES
from jaxgan.config.values import is_dict
from jaxgan.errors import InputError


def check(given: Mapping[str, Any], file: str) -> None:
    """Check what a run's `config.json` holds: older ones lack settings, and folders of others may
    hold anything.

    Raises:
        InputError: a setting is not what it may be; names it and the file.
    """
    for part in ("data", "model", "train", *STAGES):
        if not is_dict(given.get(part, {})):
            raise InputError(f"{file} must have a section {part}, got {shown(given[part])}")
    if "arms" in given:
        for stage in STAGES:
            check(given.get(stage, {}), f"{file}: {stage}")
    name = given.get("model", {}).get("name")
    kind = typed.Experiment if "arms" in given else typed.KINDS.get(str(name))
    for dotted, setting in declared(kind).items() if kind else ():
        *path, last = dotted.split(".")
        section: Any = given
        for part in path:
            section = section.get(part) if is_dict(section) else None
        if is_dict(section) and last in section:
            # Paths are those of the machine that it was trained on.
            check_value(f"{file}: {dotted}", section[last], dataclasses.replace(setting, path=""))
