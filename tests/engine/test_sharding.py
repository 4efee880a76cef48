from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.engine import sharding
from jaxgan.steps.state import ClassifierState, new_net
from jaxgan.types import InputError


def test_the_callers_state_survives_donation() -> None:
    for mode in ("jit", "pmap"):
        devices = sharding.spread(mode)
        mine = {"w": jnp.ones(3)}
        step = devices.compile(lambda s, b, k: ({"w": s["w"] + b["x"].sum()}, {}))
        state, _ = step(devices.place(mine), devices.shard({"x": np.ones(4)}, 0), jax.random.key(0))
        np.testing.assert_array_equal(mine["w"], 1)
        assert devices.fetch(state)["w"].shape == (3,)


@pytest.mark.parametrize("mode", ["jit", "pmap", "zero"])
def test_all_of_the_state_is_updated_in_place(mode: str) -> None:
    """What a step makes anew without reading it, too, as a StyleGAN2's critic does averages."""
    devices = sharding.spread(mode)
    state = {"read": jnp.ones(3), "copied": jnp.ones(3)}
    step = devices.compile(lambda s, b, k: ({"read": s["read"], "copied": s["read"] + 0}, {}))
    batch = devices.shard({"x": np.ones(4)}, 0)
    program = step.lower(devices.place(state), batch, jax.random.key(0)).compile().as_text()
    assert program.partition("\n")[0].count("alias)") == len(state)


def test_a_batch_is_split_over_the_devices() -> None:
    x = np.arange(8).reshape(1, 8)
    for mode in ("jit", "pmap"):
        parts = sharding.spread(mode).shard({"x": x}, 1)["x"]
        if mode == "jit":
            assert [s.data.shape for s in parts.addressable_shards] == [(1, 4), (1, 4)]
            np.testing.assert_array_equal(parts, x)
        else:
            assert parts.shape == (2, 1, 4)


@pytest.mark.parametrize("mode", ["zero", "fsdp"])
def test_the_state_is_shared_out(mode: str, monkeypatch) -> None:
    """Each device keeps its part; the numbers, and the caller's state, are as under `jit`."""
    monkeypatch.setattr(sharding, "LEAST", 8)
    tx = optax.adam(0.1)
    params = {"kernel": jnp.arange(12.0).reshape(3, 4), "bias": jnp.ones(3)}
    mine = ClassifierState(step=jnp.int32(0), net=new_net({"params": params}, tx))

    def step(state: ClassifierState, batch: dict, key: jax.Array) -> tuple:
        def loss(params: dict) -> jax.Array:
            return ((batch["x"] @ params["kernel"].T + params["bias"][None]) ** 2).mean()

        value, grads = jax.value_and_grad(loss)(state.net.params)
        return state.replace(step=state.step + 1, net=state.net.descend(grads, tx)), {"loss": value}

    batch, ends = {"x": np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)}, []
    for each in ("jit", mode):
        devices = sharding.spread(each)
        state = devices.place(mine)
        for i in range(3):
            update = devices.compile(step)
            state, metrics = update(state, devices.shard(batch, 0), jax.random.key(i))
        ends.append(jax.device_get((devices.fetch(state), metrics)))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), *ends)
    moments = state.net.opt_state[0].mu["kernel"]
    assert [s.data.shape for s in moments.addressable_shards] == [(3, 2), (3, 2)]
    kernel = state.net.params["kernel"].addressable_data(0)
    assert kernel.shape == ((3, 2) if mode == "fsdp" else (3, 4))
    assert state.net.params["bias"].addressable_data(0).shape == (3,)  # Too few, and odd.
    np.testing.assert_array_equal(mine.net.params["bias"], 1)


def test_bad_requests() -> None:
    with pytest.raises(InputError, match="one of auto, jit, pmap, zero, fsdp, got 'mpi'"):
        sharding.spread("mpi")
    with pytest.raises(InputError, match="multiple of the 2 devices, got 5"):
        sharding.check_batch(5)


def test_processes_have_as_many_devices(monkeypatch) -> None:
    devices = [SimpleNamespace(process_index=i) for i in (0, 0, 1)]
    monkeypatch.setattr(jax, "devices", lambda: devices)
    with pytest.raises(InputError, match=r"as many devices, got \[2, 1\]"):
        sharding.check_devices()
