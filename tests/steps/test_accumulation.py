"""What devices exchange; parts of a batch are in the tests of each step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jaxgan import recipes
from jaxgan.config import load
from jaxgan.engine import sharding
from jaxgan.steps.accumulation import mean_of_devices

KINDS = {
    "wgan512": {},
    "stylegan2_ada64": {},
    "drifted64": {},
    "projected64": {},
    "resnet": {"model.num_classes": 2},
}


@pytest.mark.parametrize("all_reduce", ["float32", "bf16"])
def test_gradients_are_rounded_by_choice_and_nothing_else_is(all_reduce: str) -> None:
    rng = np.random.default_rng(0)
    grads = rng.normal(size=(jax.device_count(), 1000)).astype(np.float32)
    aux = rng.normal(size=grads.shape).astype(np.float32)
    mesh = jax.make_mesh((jax.device_count(),), ("data",), (jax.sharding.AxisType.Auto,))
    averaged = jax.shard_map(
        lambda grads, aux: mean_of_devices(grads, aux, "data", all_reduce),
        mesh=mesh,
        in_specs=P("data"),
        out_specs=P(),
        check_vma=False,
    )
    found, other = jax.jit(averaged)(grads, aux)
    np.testing.assert_allclose(other[0], aux.mean(0), atol=1e-6)
    assert found.dtype == jnp.float32
    error = np.abs(found[0] - grads.mean(0)).max() / np.abs(grads).max()
    # Each number, then their sum, to 8 bits.
    assert error < 1e-6 if all_reduce == "float32" else 1e-4 < error < 2**-7


@pytest.mark.parametrize("name", KINDS)
def test_every_step_rounds_what_it_exchanges_of_gradients(name: str) -> None:
    config = load(name, test=True)
    config.update_from_flattened_dict(KINDS[name])
    config.parallel = "pmap"
    size, batch, turns = config.data.resolution, config.train.batch_size, ()
    if not config.train.get("same_batch", True):
        turns = (config.train.n_critic,)
    images = np.zeros((*turns, batch, size, size, 3), np.uint8)
    shown = {"image": images, "label": np.zeros((*turns, batch), np.int32)}
    devices = sharding.spread("pmap")
    sent = {}
    for all_reduce in ("float32", "bf16"):
        config.train.all_reduce = all_reduce
        recipe = recipes.build(config, sharding.axis_name("pmap"))
        state = jax.eval_shape(recipe.init, jax.random.key(0))
        parts = devices.shard(shown, len(turns))
        program = str(devices.compile(recipe.step).trace(state, parts, jax.random.key(0)).jaxpr)
        sums = [line for line in program.splitlines() if "psum" in line]
        sent[all_reduce] = sum("bf16" in line for line in sums), len(sums)
    assert sent["float32"][0] == 0 < sent["bf16"][0], sent
