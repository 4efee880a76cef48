"""Random numbers that belong to a picture, not to a device.

Each example's key is folded from its index in the *global* batch, so a step draws the same numbers
on one device, on eight, under `jit` and under `pmap`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxgan.types import PRNGKey


def example_keys(key: PRNGKey, count: int, axis_name: str | None = None) -> Key[Array, " b"]:
    """A key per example of this device's part of the batch.

    Args:
        key: the batch's key.
        count: examples on this device.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.
    """
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(count))


def normal(
    key: PRNGKey, shape: tuple[int, ...], axis_name: str | None = None
) -> Float[Array, "b ..."]:
    """Standard normal numbers; `shape[0]` counts examples."""
    keys = example_keys(key, shape[0], axis_name)
    return jax.vmap(lambda k: jax.random.normal(k, shape[1:]))(keys)


def uniform(
    key: PRNGKey, shape: tuple[int, ...], axis_name: str | None = None
) -> Float[Array, "b ..."]:
    """Numbers from U[0, 1); `shape[0]` counts examples."""
    keys = example_keys(key, shape[0], axis_name)
    return jax.vmap(lambda k: jax.random.uniform(k, shape[1:]))(keys)
