"""Arms: which pictures, real and generated, a classifier learns from."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgan.data.folder import Source
from jaxgan.data.loader import Concat, Subset
from jaxgan.types import InputError


class Arm(NamedTuple):
    """One way to train the classifier.

    Attributes:
        name: one of `config.ARMS`.
        pictures: class -> {"real": n, "generated": n}.
        augment: whether pictures are flipped and cropped at random.
    """

    name: str
    pictures: dict[str, dict[str, int]]
    augment: bool = False

    @property
    def description(self) -> str:
        parts = []
        for name, n in self.pictures.items():
            kinds = [f"{n[kind]:,} {kind}" for kind in ("real", "generated") if n[kind]]
            parts.append(f"{name}: {' + '.join(kinds)}")
        return "; ".join(parts) + ("; flipped and cropped at random" if self.augment else "")


def plan(config: ConfigDict, counts: Mapping[str, int]) -> list[Arm]:
    """The arms of an experiment.

    Args:
        config: the experiment's; `arms`, `replace` and `add` matter here.
        counts: real training pictures of each class.

    Raises:
        InputError: a class to be replaced that is not there, or too few pictures.
    """
    replaced = config.replace.classes or tuple(counts)
    for name in replaced:
        if name not in counts:
            raise InputError(f"config.replace.classes must be of {', '.join(counts)}, got {name!r}")
    swap = {c: round(n * config.replace.share) * (c in replaced) for c, n in counts.items()}
    extra = {c: round(n * config.add.ratio) for c, n in counts.items()}
    zero = dict.fromkeys(counts, 0)
    of = {  # name: (real pictures left out, generated ones put in)
        "real": (zero, zero),
        "real+augmentation": (zero, zero),
        "replace": (swap, swap),
        "add": (zero, extra),
    }
    return [
        Arm(
            name,
            {
                c: {"real": n - of[name][0][c], "generated": of[name][1][c]}
                for c, n in counts.items()
            },
            augment=name == "real+augmentation",
        )
        for name in config.arms
    ]


def needed(arms: list[Arm]) -> dict[str, int]:
    """How many generated pictures the arms need, for each class that needs any."""
    most: dict[str, int] = {}
    for arm in arms:
        for name, n in arm.pictures.items():
            most[name] = max(most.get(name, 0), n["generated"])
    return {name: n for name, n in most.items() if n}


class Labelled:
    """A source of one class as one of several classes."""

    def __init__(self, source: Source, classes: tuple[str, ...], name: str):
        self._source, self.classes, self.resolution = source, classes, source.resolution
        self.names = source.names
        self.labels = np.full(len(source), classes.index(name), np.int32)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict:
        return {"image": self._source[index]["image"], "label": self.labels[index]}


def assemble(arm: Arm, real: Source, generated: Mapping[str, Source], seed: int) -> Source:
    """The pictures of an arm.

    Args:
        arm: how many of each kind.
        real: the training pictures.
        generated: by class, at least as many as the arm needs.
        seed: chooses the real pictures that stay where some are replaced.
    """
    parts: list[Source] = []
    for label, (name, n) in enumerate(arm.pictures.items()):
        mine = np.flatnonzero(real.labels == label)
        chosen = np.random.default_rng([seed, label]).permutation(mine)[: n["real"]]
        parts.append(Subset(real, np.sort(chosen)))
        if n["generated"]:
            fresh = Subset(generated[name], np.arange(n["generated"]))
            parts.append(Labelled(fresh, tuple(arm.pictures), name))
    return Concat([part for part in parts if len(part)])
