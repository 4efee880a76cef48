"""Failure seen early: a GAN beside principal components, which train nothing, as it trains.

After 10, 30 and 100 % of the steps its samples and theirs are compared with the same real images,
on features that no critic of the run used. Nothing in here changes the training.
"""

import math
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8

from jaxgan.data.folder import Source
from jaxgan.data.loader import Subset
from jaxgan.errors import InputError
from jaxgan.metrics import features, judges, networks
from jaxgan.metrics.frechet import frechet_distance, moments
from jaxgan.models import pca
from jaxgan.sampling import sample
from jaxgan.training.mode_collapse import mean_distance

SHARES = (0.1, 0.3, 1.0)  # Of the steps.
STEPS = 30  # With fewer there is nothing to foresee.
LEAST = 8  # Real images.
COUNT = 128  # Images a side.
FITTED = 600  # Images to find components in, and
VALUES = 2**27  # of all of them: components are as large as they.
SEEDS = 2**31 + 2**20  # The first latent's: far from those that people draw.
PREFIX = "early/"

Early = Callable[[Any, int, Sequence[dict]], dict[str, float]]


class Distance(NamedTuple):
    """Fréchet distances to the same real images.

    Attributes:
        judge: the name of the features.
        real: features of the real images, standardised where they have several units.
    """

    judge: str
    real: Float[np.ndarray, "n d"]
    mean: Float[np.ndarray, " d"]
    std: Float[np.ndarray, " d"]
    net: features.Features

    @classmethod
    def to(cls, judge: str, images: UInt8[np.ndarray, "n h w 3"]) -> "Distance":
        """Prepare distances to `images`, on the features of that name."""
        net = networks.by_name(judge, images.shape[1])
        found = features.extract(net, images).astype(np.float64)
        mean, std = np.zeros(found.shape[1]), np.ones(found.shape[1])
        if judge == "light":
            mean, std = found.mean(axis=0), found.std(axis=0)
            std = np.maximum(std, 1e-3 * std.max() + 1e-6)
        return cls(judge, (found - mean) / std, mean, std, net)

    def of(self, images: UInt8[np.ndarray, "m h w 3"]) -> float:
        """Return the distance of some images from the real ones."""
        found = (features.extract(self.net, images) - self.mean) / self.std
        return float(frechet_distance(moments(self.real), moments(found)))


def steps(total: int) -> dict[int, float]:
    """Return the steps after which it is looked, and the shares that they are; none of a short
    training.

    Args:
        total: steps of the training.
    """
    return {round(share * total): share for share in SHARES} if total >= STEPS else {}


def make_early(
    critics: Collection[str],
    seed: int,
    source: Source,
    draw: sample.Draw,
    tell: Callable[[str], None],
    total: int,
) -> Early:
    """Compare a GAN with principal components at `steps`.

    Args:
        critics: the networks that its critics are trained on.
        seed: of the choice of images.
        source: what it learns from.
        draw: its sampler.
        tell: is told what cannot be compared, and what is to be expected.
        total: steps of the training.

    Returns:
        From the averaged weights, the step and the rows of metrics so far to `early/diversity`,
        `early/distance` and `early/distance_pca`; to none where there is nothing to compare.
    """
    due = steps(total)
    judge = judges.unseen(critics, judges.CHEAP)
    seeds = range(SEEDS, SEEDS + min(COUNT, len(source)))

    @cache
    def rival() -> tuple[Distance, float, float]:
        """Return the distances, principal components' own, and the real images' variety."""
        mixed = np.random.default_rng(seed).permutation(len(source))
        real = np.stack([source[int(i)]["image"] for i in mixed[: len(seeds)]])
        fitted = max(pca.LEAST, min(FITTED, VALUES // real[0].size))
        fit = pca.fit(Subset(source, np.sort(mixed[:fitted])))
        distance = Distance.to(judge, real)
        return distance, distance.of(pca.draw(fit, seeds)), max(mean_distance(real), 1.0)

    def look(variables: Any, step: int, rows: Sequence[dict]) -> dict[str, float]:
        if step not in due or len(source) < LEAST:
            return {}
        if not all(np.isfinite(x).all() for x in jax.tree.leaves(jax.device_get(variables))):
            return {}
        try:
            distance, theirs, variety = rival()
        except InputError as error:  # Images that are all alike.
            tell(f"not compared with principal components: {error}")
            return {}
        images = np.stack(list(sample.drawn(draw, variables, seeds)))
        ours, share = distance.of(images), due[step]
        before = [row[f"{PREFIX}distance"] for row in rows if f"{PREFIX}distance" in row]
        said = sentence(share, ours, theirs, before[0] if before else None, judge)
        if said:
            tell(said)
        return {
            f"{PREFIX}diversity": mean_distance(images) / variety,
            f"{PREFIX}distance": ours,
            f"{PREFIX}distance_pca": theirs,
        }

    return look


def foreseen(first: float, last: float) -> float:
    """Return the distance after all steps, from those after 10 and 30 %: it falls as a power of
    them.
    """
    slope = math.log(SHARES[2] / SHARES[1]) / math.log(SHARES[1] / SHARES[0])
    return last * min(1.0, last / max(first, 1e-12)) ** slope


def sentence(
    share: float, ours: float, theirs: float, first: float | None, judge: str
) -> str | None:
    """Return what a look says; None where there is nothing to warn of.

    Args:
        share: of the steps that are done, one of SHARES.
        ours: the distance of the GAN's samples from real images.
        theirs: that of principal components' samples.
        first: the GAN's after the first share; None: not known.
        judge: the name of the features.
    """
    of = f"({judge}, which no critic of this run used)"
    pair = (
        f"its samples lie {ours:.3g} from real images, those of principal components {theirs:.3g}"
    )
    if share == SHARES[2]:
        if ours < theirs:
            return None
        return f"WARNING: this GAN is no better than principal components: {pair} {of}"
    if share != SHARES[1] or first is None or (end := foreseen(first, ours)) < theirs:
        return None
    return (
        f"WARNING: this GAN will not get better than principal components in this time: {pair} "
        f"{of}; from {first:.3g} after {SHARES[0]:.0%} of the steps, that leads to {end:.3g}"
    )
