"""Devices, on one host or several: one pure step, compiled by `jit` over a mesh or by `pmap`.

Under `jit` the compiler parts a step that is written for the whole batch; under `pmap` each device
runs the step on its own part, and averages with the others where the step says so. Under `zero`
and `fsdp`, which are `jit` besides, each device keeps a part of the state.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxgan.types import InputError, State, Step

AXIS = "data"
MODES = ("auto", "jit", "pmap", "zero", "fsdp")
# What `zero` shares out: what an update reads and writes, and no network. `fsdp` shares out all.
UPDATED = ("opt_state", "ema")
# Arrays that a step does not read and makes anew, too, or else their buffers are left over.
UPDATED_IN_PLACE: Any = {"donate_argnums": 0, "keep_unused": True}
LEAST = 4096  # Numbers: to gather fewer takes longer than to read them.


class Devices(NamedTuple):
    """How a step is spread.

    Attributes:
        axis_name: what the step must average over; None under `jit`, whose arrays are global.
        place: host or device state -> the state as the compiled step wants it, on every device or
            shared out.
        fetch: the inverse of `place`; on the first of this process's devices.
        shard: this process's share of a batch -> its parts on the devices; `batch_axis` says which
            axis is split.
        compile: step -> the step for all devices, to be called or lowered ahead; the state's
            buffers are donated.
    """

    axis_name: str | None
    place: Callable[[State], State]
    fetch: Callable[[State], State]
    shard: Callable[[dict[str, np.ndarray], int], dict[str, jax.Array]]
    compile: Callable[[Step], jax.stages.Wrapped]


def axis_name(mode: str) -> str | None:
    """Return the axis that steps are built with under `mode`."""
    return AXIS if mode == "pmap" else None


def spread(mode: str = "auto") -> Devices:
    """Return all of this run's devices, on all hosts, by `mode` (auto is jit)."""
    if mode not in MODES:
        raise InputError(f"parallel must be one of {', '.join(MODES)}, got {mode!r}")
    return _pmap() if mode == "pmap" else _jit() if mode in ("auto", "jit") else _shared(mode)


def check_devices() -> None:
    """Raise InputError, on all processes, where they differ in their number of devices."""
    counts = np.bincount([d.process_index for d in jax.devices()])
    if counts.min() != counts.max():
        raise InputError(f"all processes must have as many devices, got {counts.tolist()}")


def check_batch(batch_size: int, name: str = "train.batch_size") -> None:
    """Raise InputError where the devices do not divide the batch."""
    counts = np.bincount([d.process_index for d in jax.devices()])
    if batch_size % jax.device_count():
        where = f" ({len(counts)} processes with {counts[0]})" if len(counts) > 1 else ""
        raise InputError(
            f"{name} must be a multiple of the {jax.device_count()} devices{where}, "
            f"got {batch_size}"
        )


def check_alone(value: int, name: str) -> None:
    """Raise InputError where `name`, which uses one device if above 1, is given several."""
    if value > 1 and jax.device_count() > 1:
        raise InputError(
            f"{name} must be 1 on several devices (--on=ray gives each job one), "
            f"got {value} on {jax.device_count()}"
        )


def _devices() -> np.ndarray:
    # By process, so that the processes' shares one after the other are the global batch.
    return np.asarray(sorted(jax.devices(), key=lambda d: (d.process_index, d.id)))


@lru_cache
def _jit() -> Devices:
    # Steps are written for global arrays that the compiler partitions: not the explicit default.
    mesh = Mesh(_devices(), (AXIS,))
    replicated = NamedSharding(mesh, P())
    put = jax.make_array_from_process_local_data

    def place(state: State) -> State:
        if jax.process_count() > 1:  # device_put would compare the state on all hosts.
            return jax.tree.map(lambda x: put(replicated, np.array(x)), state)
        # A copy: the step donates what it is given, and the caller may keep the original.
        return jax.device_put(jax.tree.map(jnp.copy, state), replicated)

    def fetch(state: State) -> State:
        return jax.tree.map(lambda x: x.addressable_data(0), state)

    def shard(batch: dict[str, np.ndarray], batch_axis: int) -> dict[str, jax.Array]:
        sharding = NamedSharding(mesh, P(*[None] * batch_axis, AXIS))
        return {name: put(sharding, x) for name, x in batch.items()}

    @lru_cache
    def compile_step(step: Step) -> jax.stages.Wrapped:
        return jax.jit(step, **UPDATED_IN_PLACE, out_shardings=(replicated, replicated))

    return Devices(None, place, fetch, shard, compile_step)


@lru_cache
def _shared(mode: str) -> Devices:
    """Return all devices under `jit`, each with a part of the state.

    References:
        Rajbhandari et al., ZeRO: Memory Optimizations Toward Training Trillion Parameter Models,
        2020: stages 1 and 3.
    """
    mesh = Mesh(_devices(), (AXIS,))
    replicated = NamedSharding(mesh, P())

    def layout(path: tuple, x: Any) -> NamedSharding:
        names = {getattr(key, "name", getattr(key, "key", None)) for key in path}
        axes = [i for i, side in enumerate(x.shape) if side % mesh.size == 0]
        if not axes or x.size < LEAST or (mode == "zero" and names.isdisjoint(UPDATED)):
            return replicated
        axis = max(axes, key=lambda i: x.shape[i])
        return NamedSharding(mesh, P(*[None] * axis, AXIS))

    def used(path: tuple, x: Any) -> NamedSharding:
        names = {getattr(key, "name", getattr(key, "key", None)) for key in path}
        return replicated if names.isdisjoint(UPDATED) else layout(path, x)

    def layouts(rule: Callable[[tuple, Any], NamedSharding], state: State) -> State:
        return jax.tree_util.tree_map_with_path(rule, state)

    def place(state: State) -> State:
        if jax.process_count() > 1:
            part = lambda x, s: jax.make_array_from_callback(x.shape, s, lambda i: np.array(x[i]))  # noqa: E731
            return jax.tree.map(part, state, layouts(layout, state))
        return jax.device_put(jax.tree.map(jnp.copy, state), layouts(layout, state))

    whole = jax.jit(lambda state: state, out_shardings=replicated)

    def fetch(state: State) -> State:
        return jax.tree.map(lambda x: x.addressable_data(0), whole(state))

    @lru_cache
    def compile_step(step: Step) -> jax.stages.Wrapped:
        def laid_out(state: State, batch: dict, key: jax.Array) -> tuple[State, dict]:
            # Networks are gathered, or the compiler might split their convolutions by features.
            put = jax.lax.with_sharding_constraint
            state, metrics = step(put(state, layouts(used, state)), batch, key)
            return put(state, layouts(layout, state)), put(metrics, replicated)

        return jax.jit(laid_out, **UPDATED_IN_PLACE)

    return _jit()._replace(place=place, fetch=fetch, compile=compile_step)


@lru_cache
def _pmap() -> Devices:
    count = jax.local_device_count()
    mesh = Mesh(_devices(), (AXIS,))
    split = NamedSharding(mesh, P(AXIS))
    put = jax.make_array_from_process_local_data

    def shard(batch: dict[str, np.ndarray], batch_axis: int) -> dict[str, jax.Array]:
        parts = {k: np.split(v, count, axis=batch_axis) for k, v in batch.items()}
        return {name: put(split, np.stack(part)) for name, part in parts.items()}

    @lru_cache
    def compile_step(step: Step) -> jax.stages.Wrapped:
        def on_each(state: State, batch: dict, key: jax.Array) -> tuple[State, dict]:
            return step(state, {name: part[0] for name, part in batch.items()}, key)

        # What jax.pmap is made of: its own cannot be compiled ahead for several processes.
        specs = {"in_specs": (P(), P(AXIS), P()), "out_specs": P()}
        return jax.jit(
            jax.shard_map(on_each, mesh=mesh, check_vma=False, **specs), **UPDATED_IN_PLACE
        )

    return _jit()._replace(axis_name=AXIS, shard=shard, compile=compile_step)
