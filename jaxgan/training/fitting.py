"""What a GAN takes from its images before the first step; it stays as it is from then on."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.data.folder import Source
from jaxgan.models import pca, projected, refiner
from jaxgan.recipes import drifting
from jaxgan.types import Images, InputError, State, to_float

IMAGES = 64  # For the calibration of a critic, evenly spaced.


def fit(
    config: ConfigDict, source: Source, state: State, log: Callable[[str], None] = print
) -> State:
    """Return a GAN's first state with what its images settle.

    A refiner's principal components; the factors at which a critic's views have unit variance; the
    first real images that attract generated ones.

    Args:
        config: of a GAN.
        source: the images to train on.
        state: fresh, or warm.
        log: gets a line on the components.

    Raises:
        InputError: principal components need other images; see `pca.fit`.
    """
    if "pca" in state.ema and config.model.name != "pca":
        state = state.replace(ema=state.ema | {"pca": _components(config, source, log)})
    if config.model.name == "drifting":
        return _remember(config, source, state)
    projection = recipes.build_projection(config)
    if projection is None:
        return state
    images = _some(source, min(len(source), IMAGES))
    scale = jax.jit(lambda x: projected.calibrate(projection, x))(images)
    return recipes.calibrated(state, scale)


def _remember(config: ConfigDict, source: Source, state: State) -> State:
    feature_sets = drifting.build_feature_sets(config)
    real = jax.jit(feature_sets)(_some(source, config.train.positives))
    return state.replace(critic=state.critic.replace(stats={"real": real}))


def _some(source: Source, count: int) -> Images:
    """Return evenly spaced images, of few ones the same several times."""
    taken = np.linspace(0, len(source) - 1, count).round().astype(int)
    return to_float(jnp.asarray(np.stack([source[int(i)]["image"] for i in taken])))


def _components(config: ConfigDict, source: Source, log: Callable[[str], None]) -> dict:
    mirror, wanted = config.data.flip, config.model.latent_dim
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
