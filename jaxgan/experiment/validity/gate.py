"""The gate: a GAN must beat principal components, which train nothing."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import UInt8

from jaxgan.config import arm_names
from jaxgan.data.folder import Source
from jaxgan.errors import InputError
from jaxgan.experiment.design.arms import Arm
from jaxgan.experiment.design.jobs import Samples
from jaxgan.experiment.stages.fold_context import FoldContext, Log
from jaxgan.experiment.stages.principal_components import components
from jaxgan.experiment.validity.checks import classes_of
from jaxgan.metrics import judges
from jaxgan.models import pca
from jaxgan.system import checked_files
from jaxgan.training.early_warning import Distance

LEAST = 8  # Images a side, without which there is no distance.
MOST = 300
SEEDS = 2**32 - 2**20  # The first latent's: no arm's samples are drawn from these.

Learn = Callable[[Arm], float]  # Trains a classifier more: see `Classifiers.learn_from`.
Pair = tuple[float, float]  # Of the GANs, and of principal components.


def rivals(planned: Sequence[Arm], primary: Sequence[str]) -> tuple[Arm, Arm] | None:
    """Return the verdict's arm of a GAN and the one of principal components that is its like.

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


def learn_alone(learn: Learn, pair: tuple[Arm, Arm], log: Log) -> Pair | None:
    """Return what classifiers reach that learn from samples of GANs, or of components, alone."""
    try:
        ours, theirs = (learn(arm) for arm in pair)
    except Exception as error:
        log.line(f"{pair[0].name} against principal components failed: {error}")
        return None
    return ours, theirs


def gan_train(learn: Learn, arm: Arm, log: Log) -> float | None:
    """GAN-train on the validation images, of an arm's generated images and the first seed.

    A class without generated images keeps its real ones. None where it fails.

    References:
        Shmelkov et al., How good is my GAN?, 2018, section 3.
    """
    alone = gan_train_arm(arm)
    try:
        reached = learn(alone)
    except Exception as error:
        if checked_files.ends_all(error):
            raise
        log.line(f"{alone.name} failed, so that config.stop_below decides nothing: {error}")
        return None
    log.line(f"learning from generated images reaches {reached:.1%} of validation images")
    return reached


def gan_train_arm(arm: Arm) -> Arm:
    """Return the arm of `gan_train`."""
    return _alone(arm, {name: n["generated"] for name, n in arm.pictures.items()})._replace(
        name=f"gan-train of {arm.name}",
        augment=False,
        policy=(),
        mixup=0.0,
        cutmix=0.0,
        feature_noise=0.0,
    )


def _alone(arm: Arm, counts: Mapping[str, int]) -> Arm:
    """Return an arm whose classifier learns from its generated images only, in its own way."""
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
    judge: str,
    real: Mapping[str, Source],
    learned: Mapping[str, Source],
    made: Mapping[str, Source],
    workdir: Callable[[str], epath.Path],
) -> dict[str, Pair]:
    """Return how far both sides' samples of each class lie from real images that no one learned
    from.

    Args:
        judge: the name of the features.
        real: validation images, by class.
        learned: what the GANs learned from.
        made: their samples.
        workdir: by class, where the principal components are kept.
    """
    found = {}
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


def of_first_fold(
    context: FoldContext, samples: Samples, reached: Pair | None
) -> dict[str, Any] | None:
    """Return what results.json says of the first fold's GANs; see `about`."""
    jobs = context.plan.pick("samples", fold=context.fold.number, seeds=range(1))
    jobs = [job for job in jobs if job.key.source is None and not job.key.selected]
    jobs = [job for job in jobs if job.key == jobs[0].key and job.output in samples]
    if not jobs:
        return None
    real, config = context.plan.real, context.config.gan
    critics = judges.seen_by_critics(config.backbones, config.init_from)
    made = {job.name: samples[job.output] for job in jobs}
    learned = {job.name: context.learned(job, real) for job in jobs}
    called = {job.name: epath.Path(job.folder).name for job in jobs}
    held_out = classes_of(real, context.fold.sides.validation)
    place = context.folder / context.fold.place / "pca"
    found = distances(judge_of(critics), held_out, learned, made, lambda name: place / called[name])
    return about(critics, reached, len(context.fold.sides.validation), found)


def _stack(source: Source) -> UInt8[np.ndarray, "n h w 3"]:
    return np.stack([source[i]["image"] for i in range(min(len(source), MOST))])


def judge_of(critics: Collection[str]) -> str:
    """Return the features on which GANs are judged, by the networks of their critics."""
    return judges.unseen(critics, judges.CHEAP)


def about(
    critics: Collection[str], reached: Pair | None, images: int, found: Mapping[str, Pair]
) -> dict[str, Any] | None:
    """Return what results.json says of the gate; None where nothing could be compared.

    Args:
        critics: the networks that the GANs' critics were trained on.
        reached: shares of the validation images that classifiers get right which learned from
            the samples of either side.
        images: how many validation images there are.
        found: see `distances`.
    """
    judge = judge_of(critics)
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
