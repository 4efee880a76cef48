"""Devices: one pure step, compiled by `jit` over a mesh or by `pmap`."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import jax_utils
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxgan.types import InputError, State, Step

AXIS = "data"
MODES = ("auto", "jit", "pmap")


class Devices(NamedTuple):
    """How a step is spread.

    Attributes:
        axis_name: what the step must average over; None under `jit`, whose arrays are global.
        place: host or device state -> the state as the compiled step wants it, on every device.
        fetch: the inverse of `place`.
        shard: a host batch -> its parts on the devices; `batch_axis` says which axis is split.
        compile: step -> compiled step; the state's buffers are donated.
    """

    axis_name: str | None
    place: Callable[[State], State]
    fetch: Callable[[State], State]
    shard: Callable[[dict[str, np.ndarray], int], dict[str, jax.Array]]
    compile: Callable[[Step], Step]


def axis_name(mode: str) -> str | None:
    """The axis that steps are built with under `mode`."""
    return AXIS if mode == "pmap" else None


def spread(mode: str = "auto") -> Devices:
    """All of this run's devices, by `mode` (auto is jit)."""
    if mode not in MODES:
        raise InputError(f"parallel must be one of {', '.join(MODES)}, got {mode!r}")
    return _pmap() if mode == "pmap" else _jit()


def check_batch(batch_size: int) -> None:
    """Raises InputError where the devices do not divide the batch."""
    if batch_size % jax.device_count():
        raise InputError(
            f"train.batch_size must be a multiple of the {jax.device_count()} devices, "
            f"got {batch_size}"
        )


def _own(state: State) -> State:
    """A copy: the step donates what it is given, and the caller may keep the original."""
    return jax.tree.map(jnp.copy, state)


@lru_cache
def _jit() -> Devices:
    # Steps are written for global arrays that the compiler partitions: not the explicit default.
    mesh = Mesh(np.asarray(jax.devices()), (AXIS,))
    replicated = NamedSharding(mesh, P())

    def place(state: State) -> State:
        return jax.device_put(_own(state), replicated)

    def shard(batch: dict[str, np.ndarray], batch_axis: int) -> dict[str, jax.Array]:
        sharding = NamedSharding(mesh, P(*[None] * batch_axis, AXIS))
        put = jax.make_array_from_process_local_data
        return {name: put(sharding, x) for name, x in batch.items()}

    @lru_cache
    def compile_step(step: Step) -> Step:
        return jax.jit(step, donate_argnums=0, out_shardings=(replicated, replicated))

    return Devices(None, place, lambda state: state, shard, compile_step)


@lru_cache
def _pmap() -> Devices:
    def shard(batch: dict[str, np.ndarray], batch_axis: int) -> dict[str, Any]:
        count = jax.local_device_count()
        parts = {k: np.split(v, count, axis=batch_axis) for k, v in batch.items()}
        return {name: np.stack(part) for name, part in parts.items()}

    @lru_cache
    def compile_step(step: Step) -> Step:
        mapped = jax.pmap(step, AXIS, in_axes=(0, 0, None), donate_argnums=0)

        def run(state: State, batch: dict, key: jax.Array) -> tuple[State, dict]:
            state, metrics = mapped(state, batch, key)
            return state, jax.tree.map(lambda x: x[0], metrics)

        return run

    def place(state: State) -> State:
        return jax_utils.replicate(_own(state))

    return Devices(AXIS, place, jax_utils.unreplicate, shard, compile_step)
