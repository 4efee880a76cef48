"""Draws: which real images each seed's GANs and classifiers are given."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int


def learned_from(n: int, size: int | None, share: float, retrain: int) -> int:
    """Of a class of n images, how many its generator learns from: see `draw`."""
    if retrain > 1:
        return counted(n, share) if size is None else size
    return n if size is None else round(size / share)


class Draw(NamedTuple):
    """The real images of some seeds, and of the GANs whose images they get.

    Attributes:
        gan: which of the retrained GANs; 0 where there is one a class.
        learned: positions of what that GAN learns from, by class, among the training images.
        given: of what the classifier gets, likewise: each order is random, and the first n are the
            images of an arm with n a class.
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
    """Return what each seed draws of the training images, without replacement; equal for all arms.

    With one GAN a class it learns from all, and each seed's classifiers get a `share` of these:
    the GAN has seen images that a classifier is not given. With several, GAN d and the seeds at
    d, d + retrain ... have one draw of a `share` in common, and neither sees another image.

    Args:
        labels: of the training images.
        classes: their names.
        seeds: the classifiers'.
        share: of each class.
        retrain: GANs a class.
        seed: of the draws.
        size: images a class that a classifier gets, in place of the share of all.
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
    """Return how many of n a share is: at least one."""
    return max(1, round(n * share))
