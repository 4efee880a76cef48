"""The gate: a GAN must beat principal components, which train nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import UInt8
from ml_collections import ConfigDict

from jaxgan.data.folder import Source
from jaxgan.errors import InputError
from jaxgan.experiment.design import arm_names
from jaxgan.experiment.design.arms import Arm
from jaxgan.experiment.stages.principal_components import components
from jaxgan.metrics import judges
from jaxgan.models import pca
from jaxgan.training.early import Distance

LEAST = 8  # Images a side, without which there is no distance.
MOST = 300
SEEDS = 2**32 - 2**20  # The first latent's: no arm's samples are drawn from these.

Pair = tuple[float, float]  # Of the GANs, and of principal components.


def rivals(planned: Sequence[Arm], primary: Sequence[str]) -> tuple[Arm, Arm] | None:
    """The verdict's arm of a GAN and the one of principal components that is its like.

    Both with generated images alone, as many of each class; a class without any keeps its real
    ones. None where the verdict is about no GAN, or no arm has principal components.
    """
    by_name = {arm.name: arm for arm in planned}
    own = by_name[primary[0]]
    name = arm_names.parse(own.name)
    for arm in planned:
        read = arm_names.parse(arm.name)
        if arm.source != "pca" or (read.size, read.variants) != (name.size, name.variants):
            continue
        if own.source is not None or not own.generated:
            return None
        fewest = {
            c: min(own.pictures[c]["generated"], n["generated"]) for c, n in arm.pictures.items()
        }
        return _alone(own, fewest), _alone(arm, fewest)
    return None


def _alone(arm: Arm, counts: Mapping[str, int]) -> Arm:
    """An arm whose classifier learns from its generated images only, in its own way."""
    pictures = {
        name: {"real": 0 if counts[name] else n["real"], "generated": counts[name], "copies": 0}
        for name, n in arm.pictures.items()
    }
    return arm._replace(
        name=f"gan-train of {arm.name.replace(':best', '')}",
        pictures=pictures,
        weights=None,
        pretrain=False,
        choices=(),
    )


def distances(
    config: ConfigDict,
    real: Mapping[str, Source],
    learned: Mapping[str, Source],
    made: Mapping[str, Source],
    workdir: Callable[[str], epath.Path],
) -> dict[str, Pair]:
    """How far both sides' samples of each class lie from real images that no one learned from.

    Args:
        config: the GANs'; its critics' features do not judge.
        real: validation images, by class.
        learned: what the GANs learned from.
        made: their samples.
        workdir: by class, where the principal components are kept.
    """
    judge, found = judge_of(config), {}
    for name, samples in made.items():
        count = min(len(samples), MOST)
        if min(len(real[name]), count) < LEAST or len(learned[name]) < pca.LEAST:
            continue
        try:
            fit = components(learned[name], workdir(name))
        except InputError:  # Images of one colour, say: nothing to beat.
            continue
        distance = Distance.to(judge, _stack(real[name]))
        theirs = pca.draw(fit, range(SEEDS, SEEDS + count))
        found[name] = distance.of(_stack(samples)), distance.of(theirs)
    return found


def _stack(source: Source) -> UInt8[np.ndarray, "n h w 3"]:
    return np.stack([source[i]["image"] for i in range(min(len(source), MOST))])


def judge_of(config: ConfigDict) -> str:
    """The features on which an experiment's GANs are judged."""
    return judges.unseen(judges.seen_by_critics(config), judges.CHEAP)


def about(
    config: ConfigDict, reached: Pair | None, images: int, found: Mapping[str, Pair]
) -> dict[str, Any] | None:
    """What results.json says of the gate; None where nothing could be compared.

    Args:
        config: the GANs'.
        reached: shares of the validation images that classifiers get right which learned from
            the samples of either side.
        images: how many validation images there are.
        found: see `distances`.
    """
    judge, critics = judge_of(config), judges.seen_by_critics(config)
    parts, better = [], []
    if reached is not None:
        ours, theirs = reached
        better.append(ours > theirs)
        parts.append(
            f"learning from their samples alone reaches {ours:.1%} of {images:,} validation "
            f"images, from those of principal components {theirs:.1%}"
        )
    if found:
        ours, theirs = (sum(pair[i] for pair in found.values()) for i in range(2))
        better.append(ours < theirs)
        each = ", ".join(f"{name} {a:.3g} against {b:.3g}" for name, (a, b) in found.items())
        parts.append(
            f"their distance from real images is {each} on {judge}, which no critic was trained on"
        )
    if not parts:
        return None
    word = "beat" if all(better) else "are no better than"
    return {
        "passed": all(better),
        "sentence": f"The GANs {word} principal components, which train nothing: "
        f"{'; '.join(parts)}.",
        "gan_train": reached and {"gan": reached[0], "pca": reached[1], "images": images},
        "distances": {name: {"gan": a, "pca": b} for name, (a, b) in found.items()},
        "judge": judge,
        "critic": list(critics),
        "judged": judges.sentence(judge, critics),
    }
