from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.engine import sharding
from jaxgan.types import InputError


def test_the_callers_state_survives_donation() -> None:
    for mode in ("jit", "pmap"):
        devices = sharding.spread(mode)
        mine = {"w": jnp.ones(3)}
        step = devices.compile(lambda s, b, k: ({"w": s["w"] + b["x"].sum()}, {}))
        state, _ = step(devices.place(mine), devices.shard({"x": np.ones(4)}, 0), jax.random.key(0))
        np.testing.assert_array_equal(mine["w"], 1)
        assert devices.fetch(state)["w"].shape == (3,)


def test_a_batch_is_split_over_the_devices() -> None:
    x = np.arange(8).reshape(1, 8)
    for mode in ("jit", "pmap"):
        parts = sharding.spread(mode).shard({"x": x}, 1)["x"]
        if mode == "jit":
            assert [s.data.shape for s in parts.addressable_shards] == [(1, 4), (1, 4)]
            np.testing.assert_array_equal(parts, x)
        else:
            assert parts.shape == (2, 1, 4)


def test_bad_requests() -> None:
    with pytest.raises(InputError, match="one of auto, jit, pmap, got 'mpi'"):
        sharding.spread("mpi")
    with pytest.raises(InputError, match="multiple of the 2 devices, got 5"):
        sharding.check_batch(5)


def test_processes_have_as_many_devices(monkeypatch) -> None:
    devices = [SimpleNamespace(process_index=i) for i in (0, 0, 1)]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    with pytest.raises(InputError, match=r"as many devices, got \[2, 1\]"):
        sharding.check_devices()
