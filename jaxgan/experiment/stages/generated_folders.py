"""Generated images from elsewhere: the folders of config.generated."""

from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.experiment.design.arms import Key, Needed, folders
from jaxgan.sampling import best_of_n
from jaxgan.types import InputError


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


def from_folders(
    config: ConfigDict,
    found: Mapping[str, Mapping[str, Source]],
    needed: Needed,
    real: Source,
    train: np.ndarray,
) -> dict[Key, list[dict[str, Source]]]:
    """Return each seed's own sample of the folders' images, without replacement.

    Args:
        config: the experiment's.
        found: see `open_folders`.
        needed: see `Needed`.
        real: all real images.
        train: positions of those to train with, by whose features images are selected.
    """
    kept = {
        (source, name): loader.in_memory(pictures)
        for source, sides in found.items()
        for name, pictures in sides.items()
    }

    def chosen(key: Key, counts: Mapping[str, int], number: int) -> dict[str, Source]:
        images = {}
        for i, (name, count) in enumerate(sorted(counts.items())):
            pool = kept[key.source, name]
            order = np.random.default_rng([config.seed, number, i]).permutation(len(pool))
            images[name] = loader.Subset(pool, order[: count * surplus(config, key)])
            if key.selected:
                mine = train[real.labels[train] == real.classes.index(name)]
                by = config.select.by
                images[name] = best_of_n.best_of(images[name], count, by, loader.Subset(real, mine))
        return images

    return {
        key: [chosen(key, counts, n) for n in config.seeds]
        for key, counts in needed.items()
        if key.source in found
    }


def surplus(config: ConfigDict, key: Key) -> int:
    """Images that are drawn for each that is kept."""
    return config.select.surplus if key.selected else 1
