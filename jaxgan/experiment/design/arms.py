"""Arms and draws: which pictures, real and generated, each classifier learns from."""

import ast
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ml_collections import ConfigDict

from jaxgan.experiment.design import arm_names
from jaxgan.experiment.design.draws import counted, learned_from
from jaxgan.models import pca
from jaxgan.system import paths
from jaxgan.training import frozen_features
from jaxgan.types import InputError

MIXUP = 0.2  # Alpha of +mixup where the config has none.
CUTMIX = 1.0  # Likewise, of +cutmix.
FEATURE_NOISE = 0.1  # Likewise, of +features.
AMOUNTS = (0.5, 1.0, 2.0)  # Generated pictures per real one, of which `:best` is one.
GIVEN = "folder"  # The source of what is generated where `config.generated` is a plain folder.


class Arm(NamedTuple):
    """One way to train the classifier.

    Attributes:
        name: see `jaxgan.experiment.design.arm_names`.
        pictures: class -> {"real": n, "generated": n, "copies": n}.
        augment: whether pictures are changed at random.
        selected: whether the generated ones are the best of a surplus.
        size: real pictures a class that it is given; None: all of a draw.
        policy: how pictures are changed: names of augmentations.
        mixup: alpha of `steps.classifier.mix`; 0: none.
        cutmix: alpha of `steps.classifier.cut_mix`; 0: none.
        feature_noise: see `steps.classifier.make_step`.
        source: of the generated ones: None are the experiment's GANs; see `arm_names.Name`.
        weights: of the loss, by class: of a real picture and of a generated one; None: all weigh 1.
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
        """What its generated pictures are."""
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
        """Generated pictures, of all classes."""
        return sum(n["generated"] for n in self.pictures.values())


def plan_arms(config: ConfigDict, counts: Mapping[str, int]) -> list[Arm]:
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

    amounts = _amounts(config)
    known = folders(config)

    def arm(text: str, chosen: float | None = None) -> Arm:
        name = arm_names.parse(text)
        source = name.source
        if name.generates and source is None and GIVEN in known:
            source = GIVEN
        if name.generates and source not in (None, "pca") and source not in known:
            there = ", ".join(name for name in known if name != GIVEN)
            raise InputError(
                f"arm {text!r} must name a source of config.generated, and "
                f"{f'they are {there}' if there else 'it names none'}"
            )
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
        seen = {c: learned_from(n, name.size, config) for c, n in counts.items()}
        few = [f"{n:,} of {c}" for c, n in seen.items() if n < pca.LEAST]
        if source == "pca" and few:
            raise InputError(
                f"arm {text!r} needs {pca.LEAST} real pictures a class or more to find principal "
                f"components in, and there are {', '.join(few)}"
            )
        ratio = name.ratio if chosen is None else chosen
        if ratio is None and name.best:
            ratio = amounts[-1]
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
            found = arm_names.KINDS[name.kind](n, max(mine.values()), amount)
            return dict(zip(("real", "generated", "copies"), found, strict=True))

        pictures = {c: numbers(c, n) for c, n in mine.items()}
        train, variants = config.classifier.train, name.variants
        policy = tuple(train.augment) if "augmentation" in variants else ()
        policy += tuple(
            v for v in ("randaugment", "trivialaugment") if v in variants and v not in policy
        )
        frozen_trunk = frozen_features.applies(config.classifier)
        if frozen_trunk and policy not in ((), tuple(train.augment)):
            raise InputError(
                f"arm {text!r} needs a trunk that learns (config.classifier.optim.trunk above 0): "
                f"a frozen one sees pictures changed as config.classifier.train.augment says"
            )
        if frozen_trunk and "cutmix" in variants:
            raise InputError(
                f"arm {text!r} needs a trunk that learns (config.classifier.optim.trunk above 0): "
                f"a frozen one's features have no rectangles (take +mixup or +features)"
            )
        if "features" in variants and not frozen_trunk:
            raise InputError(
                f"arm {text!r} needs a pretrained trunk that stays as it is "
                f"(config.classifier.optim.trunk=0), as in configs/vgg16_frozen.py"
            )

        def strength(key: str, default: float, *own: str) -> float:
            """As configured with augmentation; of a variant of its own never 0."""
            set_to = train.get(key, 0.0)
            if set(own) & set(variants):
                return set_to or default
            return set_to if "augmentation" in variants else 0.0

        mixup = strength("mixup", MIXUP, "mixup", "features")
        cutmix = strength("cutmix", CUTMIX, "cutmix")
        noise = strength("feature_noise", FEATURE_NOISE, "features")
        if (mixup or cutmix) and (train.microbatch or train.batch_size) % 2:
            raise InputError(
                f"config.classifier.train.batch_size and microbatch must be even with arm "
                f"{text!r}, got {train.microbatch or train.batch_size}"
            )
        changed = bool(policy or mixup or cutmix or noise)
        return Arm(
            text if chosen is None else f"{text}/{chosen:g}x",
            pictures,
            changed,
            name.selection,
            name.size,
            policy,
            mixup,
            cutmix,
            noise,
            source,
            _weights(name, pictures),
            name.kind == "pretrain",
            tuple(arm(text, a) for a in amounts) if name.best and chosen is None else (),
        )

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


def _amounts(config: ConfigDict) -> tuple[float, ...]:
    """Those of `:best`, rising."""
    amounts = tuple(config.add.get("amounts", AMOUNTS))
    numbers = all(isinstance(a, int | float) and 0 < a < math.inf for a in amounts)
    if len(amounts) < 2 or not numbers or len(set(amounts)) != len(amounts):
        raise InputError(
            f"config.add.amounts must be two or more different numbers above 0, got {amounts}"
        )
    return tuple(sorted(map(float, amounts)))


def _weights(
    name: arm_names.Name, pictures: Mapping[str, Mapping[str, int]]
) -> dict[str, tuple[float, float]] | None:
    """Of a real and of a generated picture of each class; None where all weigh the same.

    Classes are weighed by the inverse of how many pictures they have.

    References:
        King and Zeng, Logistic Regression in Rare Events Data, 2001, section 4.
    """
    if name.weight is not None:
        return dict.fromkeys(pictures, (1.0, name.weight))
    real = {c: n["real"] for c, n in pictures.items()}
    if name.kind != "reweight" or len(set(real.values())) == 1:
        return None
    return {c: (sum(real.values()) / (len(real) * n),) * 2 for c, n in real.items()}


def about(planned: Sequence[Arm]) -> dict[str, dict]:
    """What results.json says of each arm: see `analysis.judge`."""

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
    """What generated pictures are.

    Attributes:
        size: real pictures a class of the arms that get them; None: all of a draw.
        selected: whether they are the best of a surplus.
        source: see `Arm`; None are the experiment's own GANs.
    """

    size: int | None
    selected: bool
    source: str | None = None


Needed = Mapping[Key, Mapping[str, int]]  # Generated pictures that a seed needs, by class.


def needed(planned: Iterable[Arm]) -> dict[Key, dict[str, int]]:
    """Generated pictures that a seed needs."""
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
    """Those that are the experiment's own GANs'."""
    return {key: counts for key, counts in needed.items() if key.source is None}
