"""Grids of real and of generated images of each class, side by side in the report."""

from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath

from jaxgan.data.folder import Source
from jaxgan.engine import log
from jaxgan.system import sealed


def save(
    folder: epath.Path, real: Source, train: np.ndarray, sides: Sequence[Mapping[str, Source]]
) -> dict[str, dict[str, str]]:
    """Write the grids of an experiment's first fold; return their files, by kind and class.

    Args:
        folder: the experiment's.
        real: all real images.
        train: positions of those to train with.
        sides: generated images, by class, of each seed and kind.
    """
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figures: dict[str, dict[str, str]] = {"real": {}, "generated": {}}

    def show(kind: str, name: str, images: list[np.ndarray]) -> None:
        file = f"figures/{kind}_{name}.png"
        sealed.write(folder / file, log.png(log.grid(np.stack(images))))
        figures[kind][name] = file

    for label, name in enumerate(real.classes):
        mine = train[real.labels[train] == label][:36]
        show("real", name, [real[i]["image"] for i in mine])
    for side in sides:
        for name, source in side.items():
            if name not in figures["generated"]:
                show("generated", name, [source[i]["image"] for i in range(min(36, len(source)))])
    return figures
