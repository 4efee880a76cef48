"""What the loader has chosen is mirrored, and nothing else."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.training.device_flips import mirrored
from jaxgan.types import Prelude, Recipe


@pytest.mark.parametrize("shape", [(4,), (2, 4)])
def test_the_chosen_ones_are_mirrored(shape: tuple) -> None:
    def step(state, batch, key):
        return state, {"image": batch["image"], **{k: batch[k] for k in batch if k == "mirror"}}

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (*shape, 3, 5, 3), np.uint8)
    mirror = rng.random(shape) < 0.5
    recipe = mirrored(Recipe(lambda key: 0, step, Prelude(step, lambda step: 1), lambda s: [step]))
    assert recipe.turns(0) == [recipe.step] == [recipe.prelude.step]  # Compiled once.
    _, found = recipe.step(0, {"image": jnp.array(images), "mirror": jnp.array(mirror)}, None)
    assert found.keys() == {"image"} and found["image"].dtype == np.uint8
    want = np.where(mirror[..., None, None, None], images[..., ::-1, :], images)
    np.testing.assert_array_equal(found["image"], want)
    assert mirror.any() and not mirror.all()
