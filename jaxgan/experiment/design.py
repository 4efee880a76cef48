"""Arms and draws: which pictures, real and generated, each classifier learns from."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from ml_collections import ConfigDict

from jaxgan import arms, frozen
from jaxgan.data.folder import Source
from jaxgan.data.loader import Concat, Subset
from jaxgan.types import InputError

MIXUP = 0.2  # Alpha of +mixup where the config has none.


class Arm(NamedTuple):
    """One way to train the classifier.

    Attributes:
        name: see `jaxgan.arms`.
        pictures: class -> {"real": n, "generated": n, "copies": n}.
        augment: whether pictures are changed at random.
        selected: whether the generated ones are the best of a surplus.
        size: real pictures a class that it is given; None: all of a draw.
        policy: how pictures are changed: names of augmentations.
        mixup: alpha of `steps.classifier.mix`; 0: none.
    """

    name: str
    pictures: dict[str, dict[str, int]]
    augment: bool = False
    selected: bool = False
    size: int | None = None
    policy: tuple[str, ...] = ()
    mixup: float = 0.0

    @property
    def way(self) -> tuple:
        """How it is trained: arms that have this in common share one program."""
        return self.policy, self.mixup

    @property
    def does(self) -> tuple:
        """What arms that train the same have in common."""
        pictures = tuple((name, *n.values()) for name, n in self.pictures.items())
        return pictures, self.way, self.selected and self.generated > 0

    @property
    def description(self) -> str:
        parts = []
        for name, n in self.pictures.items():
            kinds = [f"{count:,} {kind}" for kind, count in n.items() if count]
            parts.append(f"{name}: {' + '.join(kinds)}")
        how = "; changed at random" * self.augment + "; generated ones selected" * self.selected
        return "; ".join(parts) + how

    @property
    def generated(self) -> int:
        """Generated pictures, of all classes."""
        return sum(n["generated"] for n in self.pictures.values())


def plan(config: ConfigDict, counts: Mapping[str, int]) -> list[Arm]:
    """The arms of an experiment.

    Args:
        config: the experiment's; `arms`, `data.subset`, `replace` and `add` matter here.
        counts: real training pictures of each class.

    Raises:
        InputError: a class to be replaced that is not there, too few pictures, or nothing to
            compare.
    """
    replaced = config.replace.classes or tuple(counts)
    for name in replaced:
        if name not in counts:
            raise InputError(f"config.replace.classes must be of {', '.join(counts)}, got {name!r}")

    def arm(text: str) -> Arm:
        name = arms.parse(text)
        short = [f"{n:,} of {c}" for c, n in counts.items() if n < (name.size or 0)]
        if short:
            raise InputError(
                f"arm {text!r} needs {name.size:,} real pictures a class to train with, and there "
                f"are {', '.join(short)}"
            )
        shared = [f"{n:,} of {c}" for c, n in counts.items()
                  if name.size and name.size > counted(n, config.data.subset)]  # fmt: skip
        if shared and len(config.seeds) > 1:
            raise InputError(
                f"arm {text!r} needs {math.ceil(name.size / config.data.subset):,} real pictures a "
                f"class, for each seed to draw {config.data.subset:.0%} of them, and there are "
                f"{', '.join(shared)}"
            )
        mine = {c: name.size or counted(n, config.data.subset) for c, n in counts.items()}
        ratio = name.ratio
        if ratio is None:
            ratio = config.replace.share if name.kind == "replace" else config.add.ratio

        def numbers(c: str, n: int) -> dict[str, int]:
            amount = round(n * ratio) if name.number is None else name.number
            if name.kind == "replace" and not name.everywhere and c not in replaced:
                amount = 0
            if name.kind == "replace" and amount > n:
                raise InputError(
                    f"arm {text!r} needs {amount:,} real pictures of {c} to replace, and there are "
                    f"{n:,}"
                )
            found = arms.KINDS[name.kind](n, max(mine.values()), amount)
            return dict(zip(("real", "generated", "copies"), found, strict=True))

        pictures = {c: numbers(c, n) for c, n in mine.items()}
        train, variants = config.classifier.train, name.variants
        policy = tuple(train.augment) if "augmentation" in variants else ()
        if "randaugment" in variants and "randaugment" not in policy:
            policy += ("randaugment",)
        if frozen.applies(config.classifier) and policy not in ((), tuple(train.augment)):
            raise InputError(
                f"arm {text!r} needs a trunk that learns (config.classifier.optim.trunk above 0): "
                f"a frozen one sees pictures changed as config.classifier.train.augment says"
            )
        mixup = train.mixup if {"augmentation", "mixup"} & set(variants) else 0.0
        if "mixup" in variants:
            mixup = mixup or MIXUP
            if (train.microbatch or train.batch_size) % 2:
                raise InputError(
                    f"config.classifier.train.batch_size and microbatch must be even with arm "
                    f"{text!r}, got {train.microbatch or train.batch_size}"
                )
        changed = bool(policy or mixup)
        return Arm(text, pictures, changed, name.selection, name.size, policy, mixup)

    planned = [arm(text) for text in config.arms]
    first: dict[tuple, str] = {}
    for one in planned:
        if (other := first.setdefault(one.does, one.name)) != one.name:
            raise InputError(
                f"config.arms must train differently, and {one.name} would train the same as "
                f"{other} (config.classifier.train.augment is "
                f"{tuple(config.classifier.train.augment)})"
            )
    return planned


def about(planned: Sequence[Arm]) -> dict[str, dict]:
    """What results.json says of each arm: see `judge.judge`."""

    def of(arm: Arm) -> dict:
        real = sum(n["real"] for n in arm.pictures.values())
        found = {"description": arm.description, "pictures": arm.pictures, "augment": arm.augment}
        if arms.parse(arm.name).kind in ("real", "add") and not arm.augment:  # Of a sweep.
            found |= {"size": real, "ratio": arm.generated / real}
        size = "" if arm.size is None else f"@{arm.size}"
        how = "".join(f"+{v}" for v in arms.parse(arm.name).variants if v != "selection")
        bases = (f"real{size}{how}", f"real{size}", "real")
        base = next((b for b in bases if b in names and b != arm.name), None)
        return found | ({"base": base} if base else {})

    names = {arm.name for arm in planned}
    return {arm.name: of(arm) for arm in planned}


class Draw(NamedTuple):
    """The real pictures of some seeds, and of the GANs whose pictures they get.

    Attributes:
        gan: which of the retrained GANs; 0 where there is one a class.
        learned: positions of what that GAN learns from, by class, among the training pictures.
        given: of what the classifier gets, likewise: each order is random, and the first n are the
            pictures of an arm with n a class.
    """

    gan: int
    learned: dict[str, Int[np.ndarray, " n"]]
    given: dict[str, Int[np.ndarray, " n"]]


def draw(
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    seeds: Sequence[int],
    *,
    share: float,
    retrain: int,
    seed: int,
    size: int | None = None,
) -> list[Draw]:
    """What each seed draws of the training pictures, without replacement; equal for all arms.

    With one GAN a class it learns from all, and each seed's classifiers get a `share` of these:
    the GAN has seen pictures that a classifier is not given. With several, GAN d and the seeds at
    d, d + retrain ... have one draw of a `share` in common, and neither sees another picture.

    Args:
        labels: of the training pictures.
        classes: their names.
        seeds: the classifiers'.
        share: of each class.
        retrain: GANs a class.
        seed: of the draws.
        size: pictures a class that a classifier gets, in place of the share of all.
    """

    def of(gan: int, number: int) -> Draw:
        learned, given = {}, {}
        for label, name in enumerate(classes):
            mine = np.flatnonzero(labels == label)
            wanted = counted(len(mine), share) if size is None else size
            order = np.random.default_rng([seed, label, gan]).permutation(mine)
            if retrain > 1:
                learned[name] = given[name] = order[:wanted]
                continue
            pool = order if size is None else order[: round(wanted / share)]
            own = np.random.default_rng([seed, label, 0, number]).permutation(mine)
            learned[name], given[name] = np.sort(pool), own[np.isin(own, pool)][:wanted]
        return Draw(gan, learned, given)

    return [of(position % retrain, number) for position, number in enumerate(seeds)]


def counted(n: int, share: float) -> int:
    """How many of n a share is: at least one."""
    return max(1, round(n * share))


def needed(planned: Iterable[Arm]) -> dict[tuple[int | None, bool], dict[str, int]]:
    """Generated pictures that a seed needs, by (real pictures a class, selected) and class."""
    most: dict[tuple[int | None, bool], dict[str, int]] = {}
    for arm in planned:
        if not arm.generated:
            continue
        mine = most.setdefault((arm.size, arm.selected), {})
        for name, n in arm.pictures.items():
            if n["generated"]:
                mine[name] = max(mine.get(name, 0), n["generated"])
    return most


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


def assemble(
    arm: Arm,
    real: Source,
    given: Mapping[str, Int[np.ndarray, " n"]],
    generated: Mapping[str, Source],
    seed: int,
) -> Source:
    """The pictures of an arm and a seed.

    Args:
        arm: how many of each kind.
        real: the training pictures.
        given: positions among them by class, at least as many as the arm needs; see `Draw`.
        generated: by class, those of the seed, at least as many as the arm needs.
        seed: of the copies: which pictures stand once more than others.
    """
    parts: list[Source] = []
    for label, (name, n) in enumerate(arm.pictures.items()):
        chosen = given[name][: n["real"]]
        again = np.random.default_rng([seed, label]).permutation(chosen)
        parts.append(Subset(real, np.sort(chosen)))
        if n["copies"]:
            parts.append(Subset(real, np.resize(again, n["copies"])))
        if n["generated"]:
            fresh = Subset(generated[name], np.arange(n["generated"]))
            parts.append(Labelled(fresh, tuple(arm.pictures), name))
    return Concat([part for part in parts if len(part)])
