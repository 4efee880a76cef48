"""Generated images from elsewhere: the folders of `config.generated`, opened."""

import ast
import re
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath

from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.data.images import Crop
from jaxgan.experiment.design.arms import GIVEN
from jaxgan.system import paths
from jaxgan.system.terminal import few
from jaxgan.types import InputError


def folders(text: str | None) -> dict[str, str]:
    """Return the folders of generated images from elsewhere, by source.

    Args:
        text: `config.generated`: a folder, whose source is `GIVEN`, or a mapping of sources to
            folders, written as text: "{'diffusion': 'DIR'}"; None: there are none.

    Raises:
        InputError: it begins as a mapping and is none, or a source cannot be an arm's.
    """
    if not text:
        return {}
    if not text.lstrip().startswith("{"):
        return {GIVEN: text}
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        found = None
    is_dict = isinstance(found, dict)
    if not is_dict or not all(isinstance(word, str) for word in [*found, *found.values()]):
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


def open_folder(
    path: str, resolution: int, crop: Crop, classes: Sequence[str], most: Mapping[str, int]
) -> dict[str, Source]:
    """Return the classes of a folder of generated images.

    Args:
        path: of the folder.
        resolution: of the classifiers.
        crop: to the square.
        classes: all of the experiment.
        most: images that the arms need, by class.

    Raises:
        InputError: a class is missing there, or has too few images to take or to select from.
    """
    if not epath.Path(path).expanduser().is_dir():
        raise InputError(f"config.generated must be a folder of class folders, and {path} is none")
    there = loader.open_source(path, resolution, crop=crop)
    found = {}
    for name in sorted(most):
        if name not in there.classes:
            raise InputError(
                f"config.generated must have the folders {few(classes)}, and {path} has no {name}"
            )
        mine = loader.Subset(there, np.flatnonzero(there.labels == there.classes.index(name)))
        if len(mine) < most[name]:
            raise InputError(
                f"config.generated must hold {most[name]:,} images of {name}, as the arms need, "
                f"and {path} has {len(mine):,}"
            )
        found[name] = mine
    return found
