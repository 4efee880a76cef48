"""Random numbers that belong to an image, not to a device.

Each example's key is folded from its index in the *global* batch, so a step draws the same numbers
on one device, on eight, under `jit` and under `pmap`. Wherever a key is asked for, the examples'
own keys [b] do as well: a step makes them once and may hand on a part of the batch with its keys.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Shaped

from jaxgan.types import Keys


def example_keys(
    key: Keys,
    count: int,
    axis_name: str | None = None,
    images: Shaped[Array, "b ..."] | None = None,
) -> Key[Array, " b"]:
    """Return a key per example of this device's part of the batch.

    Args:
        key: the batch's key; the examples' own keys are returned as they are.
        count: examples on this device.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.
        images: the examples' images. Where arrays are global, the keys lie on their devices, and
            so does what is drawn from the keys alone: else each device would draw it all.
    """
    if key.ndim:
        return key
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    numbers = first + jnp.arange(count)
    if images is not None:  # Adds 0, which the compiler does not know.
        values = jnp.abs(images.reshape(count, -1)[:, 0])
        numbers += jnp.minimum(values.astype(jnp.int32), 0)
    return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)


def fold_in(key: Keys, number: int) -> Keys:
    """`jax.random.fold_in`, of one key or of each example's."""
    fold = jax.random.fold_in
    return jax.vmap(fold, (0, None))(key, number) if key.ndim else fold(key, number)


def normal(
    key: Keys, shape: tuple[int, ...], axis_name: str | None = None
) -> Float[Array, "b ..."]:
    """Standard normal numbers; `shape[0]` counts examples."""
    keys = example_keys(key, shape[0], axis_name)
    return jax.vmap(lambda k: jax.random.normal(k, shape[1:]))(keys)


def uniform(
    key: Keys, shape: tuple[int, ...], axis_name: str | None = None
) -> Float[Array, "b ..."]:
    """Numbers from U[0, 1); `shape[0]` counts examples."""
    keys = example_keys(key, shape[0], axis_name)
    return jax.vmap(lambda k: jax.random.uniform(k, shape[1:]))(keys)
