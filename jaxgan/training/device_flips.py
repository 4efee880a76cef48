"""Images mirrored on the device, as the loader has chosen."""

from functools import lru_cache

import jax.numpy as jnp

from jaxgan.types import Batch, Metrics, Prelude, PRNGKey, Recipe, State, Step


def mirrored(recipe: Recipe) -> Recipe:
    """Return the recipe for batches that have "mirror", bool [b], of the images [b, h, w, c]."""
    prelude, turns = recipe.prelude, recipe.turns
    return Recipe(
        recipe.init,
        _mirrored(recipe.step),
        prelude and Prelude(_mirrored(prelude.step), prelude.count),
        turns and (lambda step: [_mirrored(one) for one in turns(step)]),
    )


@lru_cache  # Compiled once for all trainings of a recipe.
def _mirrored(step: Step) -> Step:
    def wrapped(state: State, batch: Batch, key: PRNGKey) -> tuple[State, Metrics]:
        images, mirror = batch["image"], batch["mirror"][..., None, None, None]
        rest = {name: x for name, x in batch.items() if name != "mirror"}
        images = jnp.where(mirror, images[..., ::-1, :], images)
        return step(state, {**rest, "image": images}, key)

    return wrapped
