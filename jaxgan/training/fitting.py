"""What a GAN takes from its images before the first step; it stays as it is from then on."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from jaxgan import recipes
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.models import pca, projected, refiner
from jaxgan.types import Images, InputError, State, to_float

IMAGES = 64  # For the calibration of a critic, evenly spaced.


class Attraction(NamedTuple):
    """What a drifting model sees of images, and how many real ones attract at a time."""

    feature_sets: Callable[[Images], Any]
    count: int


def fit(
    source: Source,
    state: State,
    *,
    projection: projected.Projection | None,
    attraction: Attraction | None = None,
    latent_dim: int,
    mirror: bool,
    num_classes: int = 0,
    log: Callable[[str], None] = print,
) -> State:
    """Return a GAN's first state with what its images settle.

    A refiner's principal components; the factors at which a critic's views have unit variance; the
    first real images that attract generated ones.

    Args:
        source: the images to train on.
        state: fresh, or warm.
        projection: the frozen network of a critic; None without one.
        attraction: what a drifting model sees of how many real images.
        latent_dim: components, at most, of a refiner.
        mirror: whether the images' mirrors are images, too.
        num_classes: that a conditional generator is told: each has components of its own.
        log: gets a line on the components.

    Raises:
        InputError: principal components need other images; see `pca.fit`.
    """
    if "pca" in state.ema:
        fitted = partial(_components, wanted=latent_dim, mirror=mirror, log=log)
        each = [fitted(*part) for part in _classes(source, num_classes)]
        components = jax.tree.map(lambda *x: jnp.stack(x), *each) if num_classes else each[0]
        state = state.replace(ema=state.ema | {"pca": components})
    if attraction is not None:
        taken = _spread(source, attraction.count, num_classes)
        attracts: dict = {"real": jax.jit(attraction.feature_sets)(_read(source, taken))}
        if num_classes:
            attracts["labels"] = jnp.asarray(source.labels[taken])
        return state.replace(critic=state.critic.replace(stats=attracts))
    if projection is None:
        return state
    images = _read(source, _spread(source, min(len(source), IMAGES)))
    scale = jax.jit(lambda x: projected.calibrate(projection, x))(images)
    return recipes.calibrated(state, scale)


def _classes(source: Source, count: int) -> Iterator[tuple[Source, str]]:
    """Yield the images of each class, and how to call them; all as one where `count` is 0."""
    if not count:
        yield source, ""
    for label in range(count):
        yield loader.Subset(source, np.flatnonzero(source.labels == label)), source.classes[label]


def _spread(source: Source, count: int, num_classes: int = 0) -> Int[np.ndarray, " n"]:
    """Return evenly spaced positions, of few images the same several times.

    With classes about as many of each, in turn.
    """
    if not num_classes:
        return np.linspace(0, len(source) - 1, count).round().astype(int)
    taken = np.zeros(count, int)
    for label in range(num_classes):
        own, places = np.flatnonzero(source.labels == label), range(label, count, num_classes)
        taken[label::num_classes] = own[
            np.linspace(0, len(own) - 1, len(places)).round().astype(int)
        ]
    return taken


def _read(source: Source, taken: Int[np.ndarray, " n"]) -> Images:
    return to_float(jnp.asarray(np.stack([source[int(i)]["image"] for i in taken])))


def _components(
    source: Source, called: str, wanted: int, mirror: bool, log: Callable[[str], None]
) -> dict:
    count = min(len(source), pca.MOST) * (1 + mirror)
    of = f" of {called}" if called else ""
    if len(source) < pca.LEAST:
        raise InputError(
            f"a refiner needs {pca.LEAST} images or more{of} for its principal components, got "
            f"{len(source)}"
        )
    found = pca.fit(source, min(wanted, count - 1), mirror)
    held = float(found.variances.sum())
    rest = float(found.noise[0]) * (found.mean.size - len(found.variances))
    log(
        f"principal components{of}: {len(found.variances):,} of at most {wanted:,}, with "
        f"{held / (held + rest):.0%} of the variance of {min(len(source), pca.MOST):,} images"
        + " and their mirrors"
        * mirror
    )
    return refiner.basis(found, wanted)
