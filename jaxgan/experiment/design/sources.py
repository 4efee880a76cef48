"""Generated images from elsewhere: the folders of `config.generated`, opened."""

import ast
import re
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.experiment.design.arms import GIVEN, Needed
from jaxgan.system import paths
from jaxgan.types import InputError


def folders(config: ConfigDict) -> dict[str, str]:
    """The folders of generated pictures from elsewhere, by source.

    `config.generated` is a folder, whose source is `GIVEN`, or a mapping of sources to folders,
    written as text: "{'diffusion': 'DIR'}".

    Raises:
        InputError: it begins as a mapping and is none, or a source cannot be an arm's.
    """
    text = config.generated
    if not text:
        return {}
    if not text.lstrip().startswith("{"):
        return {GIVEN: text}
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        found = None
    words = [*found, *found.values()] if isinstance(found, dict) else [None]
    if not all(isinstance(word, str) for word in words):
        raise InputError(
            f"config.generated must be a folder or like \"{{'diffusion': 'DIR'}}\", got {text!r}"
        )
    for name, path in found.items():
        paths.checked(path, "each of config.generated", remote=True)
        if name in ("pca", GIVEN) or not re.fullmatch(r"[\w.-]+", name):
            raise InputError(
                f"config.generated must have sources of letters, digits, '_', '-' and '.', and not "
                f"pca or {GIVEN}, got {name!r}"
            )
    return found


def open_folders(
    config: ConfigDict, classes: Sequence[str], needed: Needed
) -> dict[str, dict[str, Source]]:
    """Generated pictures from elsewhere, by source and class: the folders of `config.generated`.

    Raises:
        InputError: a class is missing there, or has too few pictures to take or to select from.
    """
    known = folders(config)
    mine = {
        key: {name: n + key.selected for name, n in counts.items()}
        for key, counts in needed.items()
        if key.source in known
    }
    return {
        source: _open_folder(config, path, classes, counts)
        for source, path in known.items()
        if (counts := [counts for key, counts in mine.items() if key.source == source])
    }


def _open_folder(
    config: ConfigDict, path: str, classes: Sequence[str], needed: Sequence[Mapping[str, int]]
) -> dict[str, Source]:
    """The classes of one folder, with enough pictures for each of `needed`."""
    if not epath.Path(path).expanduser().is_dir():
        raise InputError(f"config.generated must be a folder of class folders, and {path} is none")
    most = {
        name: max(counts.get(name, 0) for counts in needed)
        for name in {name for counts in needed for name in counts}
    }
    there = loader.open_source(path, config.classifier.data.resolution, crop=config.data.crop)
    found = {}
    for name in sorted(most):
        if name not in there.classes:
            raise InputError(
                f"config.generated must have the folders {', '.join(classes)}, and {path} has no "
                f"{name}"
            )
        mine = loader.Subset(there, np.flatnonzero(there.labels == there.classes.index(name)))
        if len(mine) < most[name]:
            raise InputError(
                f"config.generated must hold {most[name]:,} pictures of {name}, as the arms need, "
                f"and {path} has {len(mine):,}"
            )
        found[name] = mine
    return found
