"""Arms and draws: which images, real and generated, each classifier learns from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxgan.config import arm_names

GIVEN = "folder"  # The source of what is generated where `config.generated` is a plain folder.


class Arm(NamedTuple):
    """One way to train the classifier.

    Attributes:
        name: see `jaxgan.experiment.design.arm_names`.
        pictures: class -> {"real": n, "generated": n, "copies": n}.
        augment: whether images are changed at random.
        selected: whether the generated ones are the best of a surplus.
        size: real images a class that it is given; None: all of a draw.
        policy: how images are changed: names of augmentations.
        mixup: alpha of `steps.classifier.mix`; 0: none.
        cutmix: alpha of `steps.classifier.cut_mix`; 0: none.
        feature_noise: see `steps.classifier.make_step`.
        source: of the generated ones: None are the experiment's GANs; see `arm_names.Name`.
        weights: of the loss, by class: of a real image and of a generated one; None: all weigh 1.
        pretrain: whether the generated ones are learned from first, for half of the steps.
        choices: the same arm with other amounts, rising; the one that validates best is taken.
    """

    name: str
    pictures: dict[str, dict[str, int]]
    augment: bool = False
    selected: bool = False
    size: int | None = None
    policy: tuple[str, ...] = ()
    mixup: float = 0.0
    cutmix: float = 0.0
    feature_noise: float = 0.0
    source: str | None = None
    weights: dict[str, tuple[float, float]] | None = None
    pretrain: bool = False
    choices: tuple["Arm", ...] = ()

    @property
    def way(self) -> tuple[tuple[str, ...], float, float, float]:
        """How it is trained: arms that have this in common share one program."""
        return self.policy, self.mixup, self.cutmix, self.feature_noise

    @property
    def key(self) -> "Key":
        """What its generated images are."""
        return Key(self.size, self.selected, self.source)

    @property
    def trained(self) -> tuple["Arm", ...]:
        """What is trained for it with each seed: itself, or all of its choices."""
        return self.choices or (self,)

    @property
    def does(self) -> tuple:
        """What arms that train the same have in common."""
        pictures = tuple((name, *n.values()) for name, n in self.pictures.items())
        generated = self.generated > 0
        weights = self.weights and tuple(self.weights.items())
        return (
            *(pictures, self.way, weights, tuple(arm.does for arm in self.choices)),
            *(self.selected and generated, self.pretrain and generated, generated and self.source),
        )

    @property
    def description(self) -> str:
        parts = []
        for name, n in self.pictures.items():
            kinds = [f"{count:,} {kind}" for kind, count in n.items() if count]
            parts.append(f"{name}: {' + '.join(kinds)}")
        if self.generated and self.source is not None:
            known = {"pca": "principal components", GIVEN: "a folder"}
            parts.append(f"generated ones from {known.get(self.source, self.source)}")
        if self.choices:
            of = f"{len(self.choices)} amounts, as validation images say"
            parts.append(f"at most so many generated ones: the best of {of}")
        if self.weights and self.generated:
            parts.append(f"generated ones weigh {min(w[1] for w in self.weights.values()):g}")
        elif self.weights:
            parts.append("every class weighs the same in the loss")
        how = (
            "; generated ones first, for half of the steps" * self.pretrain
            + "; changed at random" * self.augment
            + "; generated ones selected" * self.selected
        )
        return "; ".join(parts) + how

    @property
    def generated(self) -> int:
        """Generated images, of all classes."""
        return sum(n["generated"] for n in self.pictures.values())


def about(planned: Sequence[Arm]) -> dict[str, dict]:
    """Return what results.json says of each arm: see `analysis.judge`."""

    def of(arm: Arm) -> dict:
        real = sum(n["real"] for n in arm.pictures.values())
        found = {"description": arm.description, "pictures": arm.pictures, "augment": arm.augment}
        name = arm_names.parse(arm.name)
        plain = not arm.augment and not arm.choices and name.source is None
        if name.kind in ("real", "add") and plain:  # Of a sweep.
            found |= {"size": real, "ratio": arm.generated / real}
        size = "" if arm.size is None else f"@{arm.size}"
        how = "".join(f"+{v}" for v in name.variants if v != "selection")
        bases = (f"real{size}{how}", f"real{size}", "real")
        base = next((b for b in bases if b in names and b != arm.name), None)
        return found | ({"base": base} if base else {})

    names = {arm.name for arm in planned}
    return {arm.name: of(arm) for arm in planned}


class Key(NamedTuple):
    """What generated images are.

    Attributes:
        size: real images a class of the arms that get them; None: all of a draw.
        selected: whether they are the best of a surplus.
        source: see `Arm`; None are the experiment's own GANs.
    """

    size: int | None
    selected: bool
    source: str | None = None


Needed = Mapping[Key, Mapping[str, int]]  # Generated images that a seed needs, by class.


def needed(planned: Iterable[Arm]) -> dict[Key, dict[str, int]]:
    """Generated images that a seed needs."""
    most: dict[Key, dict[str, int]] = {}
    for arm in planned:
        if not arm.generated:
            continue
        mine = most.setdefault(arm.key, {})
        for name, n in arm.pictures.items():
            if n["generated"]:
                mine[name] = max(mine.get(name, 0), n["generated"])
    return most


def of_gans(needed: Needed) -> Needed:
    """Return those that are the experiment's own GANs'."""
    return {key: counts for key, counts in needed.items() if key.source is None}
