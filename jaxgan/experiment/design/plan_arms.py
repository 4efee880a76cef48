"""From the names of config.arms to how many images of which kind each classifier trains on."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from jaxgan.config import arm_names
from jaxgan.config.experiment_settings import Add, Replace
from jaxgan.config.settings import ClassifierTrain
from jaxgan.config.typed import Experiment
from jaxgan.experiment.design.arms import GIVEN, Arm
from jaxgan.experiment.design.draws import counted, learned_from
from jaxgan.experiment.design.sources import folders
from jaxgan.models import pca
from jaxgan.types import InputError

MIXUP = 0.2  # Alpha of +mixup where the config has none.
CUTMIX = 1.0  # Likewise, of +cutmix.
FEATURE_NOISE = 0.1  # Likewise, of +features.
AMOUNTS = (0.5, 1.0, 2.0)  # Generated pictures per real one, of which `:best` is one.


class _Asked(NamedTuple):
    """What the names of arms speak of.

    Attributes:
        replace: the section.
        add: the section.
        train: the classifier's.
        trunk_stays: whether its trunk does.
        folders: of images from elsewhere, by source.
        subset: share of the training images that each seed draws.
        retrain: GANs a class.
        seeds: how many there are.
    """

    replace: Replace
    add: Add
    train: ClassifierTrain
    trunk_stays: bool
    folders: Mapping[str, str]
    subset: float
    retrain: int
    seeds: int


def plan_arms(config: Experiment, counts: Mapping[str, int]) -> list[Arm]:
    """The arms of an experiment.

    Args:
        config: the experiment's.
        counts: real training pictures of each class.

    Raises:
        InputError: a class to be replaced that is not there, too few pictures, or nothing to
            compare.
    """
    for name in config.replace.classes:
        if name not in counts:
            raise InputError(f"config.replace.classes must be of {', '.join(counts)}, got {name!r}")

    asked = _Asked(
        config.replace,
        config.add,
        config.classifier.train,
        config.classifier.trunk_stays,
        folders(config.generated),
        config.data.subset,
        config.gan.retrain,
        len(config.seeds),
    )
    planned = [_arm(asked, counts, text) for text in config.arms]
    first: dict[tuple, str] = {}
    for one in planned:
        if (other := first.setdefault(one.does, one.name)) != one.name:
            raise InputError(
                f"config.arms must train differently, and {one.name} would train the same as "
                f"{other} (config.classifier.train.augment is "
                f"{asked.train.augment})"
            )
    return planned


def _arm(asked: _Asked, counts: Mapping[str, int], text: str, ratio: float | None = None) -> Arm:
    """Return an arm by its name, or one of its choices, with `ratio` generated images per real."""
    name = arm_names.parse(text)
    source = _source(asked.folders, name, text)
    _check_counts(asked, counts, name, text, source == "pca")
    amounts = _amounts(asked.add.amounts)
    given = ratio, name.ratio, amounts[-1] if name.best else None
    default = asked.replace.share if name.kind == "replace" else asked.add.ratio
    most = next((r for r in given if r is not None), default)
    pictures = _pictures(asked, counts, name, text, most)
    policy, mixup, cutmix, noise = _way(asked.train, asked.trunk_stays, name, text)
    several = name.best and ratio is None
    return Arm(
        text if ratio is None else f"{text}/{ratio:g}x",
        pictures,
        augment=bool(policy or mixup or cutmix or noise),
        selected=name.selection,
        size=name.size,
        policy=policy,
        mixup=mixup,
        cutmix=cutmix,
        feature_noise=noise,
        source=source,
        weights=_weights(name, pictures),
        pretrain=name.kind == "pretrain",
        choices=tuple(_arm(asked, counts, text, a) for a in amounts if several),
    )


def _source(known: Mapping[str, str], name: arm_names.Name, text: str) -> str | None:
    """Return what generates an arm's images: see `Arm`."""
    if not name.generates:
        return name.source
    if name.source is None and GIVEN in known:
        return GIVEN
    if name.source not in (None, "pca") and name.source not in known:
        there = ", ".join(name for name in known if name != GIVEN)
        raise InputError(
            f"arm {text!r} must name a source of config.generated, and "
            f"{f'they are {there}' if there else 'it names none'}"
        )
    return name.source


def _check_counts(
    asked: _Asked, counts: Mapping[str, int], name: arm_names.Name, text: str, fitted: bool
) -> None:
    """Raise InputError where there are too few real images for an arm's size or components."""
    share = asked.subset
    short = [f"{n:,} of {c}" for c, n in counts.items() if n < (name.size or 0)]
    if short:
        raise InputError(
            f"arm {text!r} needs {name.size:,} real images a class to train with, and there "
            f"are {', '.join(short)}"
        )
    shared = [f"{n:,} of {c}" for c, n in counts.items() if (name.size or 0) > counted(n, share)]
    if name.size and shared and asked.seeds > 1:
        raise InputError(
            f"arm {text!r} needs {math.ceil(name.size / share):,} real images a "
            f"class, for each seed to draw {share:.0%} of them, and there are {', '.join(shared)}"
        )
    seen = {c: learned_from(n, name.size, share, asked.retrain) for c, n in counts.items()}
    few = [f"{n:,} of {c}" for c, n in seen.items() if n < pca.LEAST]
    if fitted and few:
        raise InputError(
            f"arm {text!r} needs {pca.LEAST} real images a class or more to find principal "
            f"components in, and there are {', '.join(few)}"
        )


def _pictures(
    asked: _Asked, counts: Mapping[str, int], name: arm_names.Name, text: str, ratio: float
) -> dict[str, dict[str, int]]:
    """Return how many images of each class are real, generated and copies."""
    real = {c: name.size or counted(n, asked.subset) for c, n in counts.items()}

    def numbers(c: str, n: int) -> dict[str, int]:
        amount = round(n * ratio) if name.number is None else name.number
        replaced = asked.replace.classes or tuple(counts)
        if name.kind == "replace" and not name.everywhere and c not in replaced:
            amount = 0
        if name.kind == "replace" and amount > n:
            raise InputError(
                f"arm {text!r} needs {amount:,} real images of {c} to replace, and there are {n:,}"
            )
        found = arm_names.KINDS[name.kind](n, max(real.values()), amount)
        return dict(zip(("real", "generated", "copies"), found, strict=True))

    return {c: numbers(c, n) for c, n in real.items()}


def _way(
    train: ClassifierTrain, trunk_stays: bool, name: arm_names.Name, text: str
) -> tuple[tuple[str, ...], float, float, float]:
    """Return how an arm is trained: see `Arm.way`."""
    variants = name.variants
    policy = train.augment if "augmentation" in variants else ()
    policy += tuple(
        v for v in ("randaugment", "trivialaugment") if v in variants and v not in policy
    )
    if trunk_stays and policy not in ((), train.augment):
        raise InputError(
            f"arm {text!r} needs a trunk that learns (config.classifier.optim.trunk above 0): "
            f"a frozen one sees images changed as config.classifier.train.augment says"
        )
    if trunk_stays and "cutmix" in variants:
        raise InputError(
            f"arm {text!r} needs a trunk that learns (config.classifier.optim.trunk above 0): "
            f"a frozen one's features have no rectangles (take +mixup or +features)"
        )
    if "features" in variants and not trunk_stays:
        raise InputError(
            f"arm {text!r} needs a pretrained trunk that stays as it is "
            f"(config.classifier.optim.trunk=0), as in configs/vgg16_frozen.py"
        )

    def strength(key: str, default: float, *own: str) -> float:
        """As configured with augmentation; of a variant of its own never 0."""
        set_to = getattr(train, key)
        if set(own) & set(variants):
            return set_to or default
        return set_to if "augmentation" in variants else 0.0

    mixup = strength("mixup", MIXUP, "mixup", "features")
    cutmix = strength("cutmix", CUTMIX, "cutmix")
    if (mixup or cutmix) and (train.microbatch or train.batch_size) % 2:
        raise InputError(
            f"config.classifier.train.batch_size and microbatch must be even with arm "
            f"{text!r}, got {train.microbatch or train.batch_size}"
        )
    return policy, mixup, cutmix, strength("feature_noise", FEATURE_NOISE, "features")


def _amounts(given: tuple[float, ...] | None) -> tuple[float, ...]:
    """Those of `:best`, rising; older configs have none."""
    amounts = AMOUNTS if given is None else given
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
    return {c: (each := sum(real.values()) / (len(real) * n), each) for c, n in real.items()}
