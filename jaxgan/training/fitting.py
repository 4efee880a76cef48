"""What a GAN takes from its images before the first step; it stays as it is from then on."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import recipes
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
        log: gets a line on the components.

    Raises:
        InputError: principal components need other images; see `pca.fit`.
    """
    if "pca" in state.ema:
        components = _components(source, latent_dim, mirror, log)
        state = state.replace(ema=state.ema | {"pca": components})
    if attraction is not None:
        real = jax.jit(attraction.feature_sets)(_some(source, attraction.count))
        return state.replace(critic=state.critic.replace(stats={"real": real}))
    if projection is None:
        return state
    images = _some(source, min(len(source), IMAGES))
    scale = jax.jit(lambda x: projected.calibrate(projection, x))(images)
    return recipes.calibrated(state, scale)


def _some(source: Source, count: int) -> Images:
    """Return evenly spaced images, of few ones the same several times."""
    taken = np.linspace(0, len(source) - 1, count).round().astype(int)
    return to_float(jnp.asarray(np.stack([source[int(i)]["image"] for i in taken])))


def _components(source: Source, wanted: int, mirror: bool, log: Callable[[str], None]) -> dict:
    count = min(len(source), pca.MOST) * (1 + mirror)
    if len(source) < pca.LEAST:
        raise InputError(
            f"a refiner needs {pca.LEAST} images or more for its principal components, got "
            f"{len(source)}"
        )
    found = pca.fit(source, min(wanted, count - 1), mirror)
    held = float(found.variances.sum())
    rest = float(found.noise[0]) * (found.mean.size - len(found.variances))
    log(
        f"principal components: {len(found.variances):,} of at most {wanted:,}, with "
        f"{held / (held + rest):.0%} of the variance of {min(len(source), pca.MOST):,} images"
        + " and their mirrors"
        * mirror
    )
    return refiner.basis(found, wanted)
