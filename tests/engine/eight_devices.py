"""Three steps of a config's twin on one device and on eight: run by test_devices.py.

Prints a JSON object: for each way to spread the step, "differences", each leaf's from one device,
relative to the leaf's norm on one device, and "flops" and "state", a device's numbers of both.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

jax.config.update("jax_enable_x64", True)
jnp.float32 = (
    jnp.float64
)  # Everywhere, so that what differs is no rounding: three steps multiply it.

from jaxgan import recipes  # noqa: E402
from jaxgan.config import loading as configs  # noqa: E402
from jaxgan.engine import sharding  # noqa: E402
from jaxgan.steps import optimizers  # noqa: E402

STEPS = 3


def remember() -> optax.GradientTransformation:
    """Keeps the last gradients in the optimiser's state: Adam hides a wrong factor."""
    return optax.GradientTransformation(optax.tree.zeros_like, lambda g, state, params: (g, g))


def run(config, devices, axis_name):
    recipe = recipes.build(config, axis_name)
    size, batch = config.data.resolution, config.train.batch_size
    turns = () if config.train.get("same_batch", True) else (config.train.n_critic,)
    state = devices.place(recipes.build(config).init(jax.random.key(0)))
    compiled = None
    for i in range(STEPS):
        rng = np.random.default_rng(i)
        pictures = {
            "image": rng.integers(0, 256, (*turns, batch, size, size, 3), np.uint8),
            "label": rng.integers(0, 2, (*turns, batch), np.int32),
        }
        parts = devices.shard(pictures, len(turns))
        if compiled is None:
            step = devices.compile(recipe.step)
            compiled = step.lower(state, parts, jax.random.key(i)).compile()
        state, metrics = compiled(state, parts, jax.random.key(i))
    flops = compiled.cost_analysis()["flops"]
    kept = sum(x.addressable_data(0).size for x in jax.tree.leaves(state))
    return jax.device_get((devices.fetch(state), metrics)), flops, kept


def main(file: str, overrides: dict, modes: list[str]) -> None:
    sharding.LEAST = 64  # Tiny nets.
    adam = optimizers.adam
    optimizers.adam = lambda *args: optax.chain(remember(), adam(*args))
    config = configs.load(file, test=True)
    config.train.batch_size = 16
    config.update_from_flattened_dict(overrides)
    if config.model.name in configs.CLASSIFIERS:
        config.model.num_classes = 2
    one = sharding.Devices(
        None,
        lambda state: state,
        lambda state: state,
        lambda batch, axis: batch,
        jax.jit,
    )
    expected, *_ = run(config, one, None)
    found = {}
    for mode in modes:
        axis_name = sharding.axis_name(mode)
        got, flops, kept = run(config, sharding.spread(mode), axis_name)
        differences = {
            jax.tree_util.keystr(path): float(np.linalg.norm(b - a) / max(np.linalg.norm(a), 1e-12))
            for (path, a), b in zip(
                jax.tree_util.tree_leaves_with_path(expected), jax.tree.leaves(got), strict=True
            )
        }
        found[mode] = {"differences": differences, "flops": flops, "state": kept}
    print(json.dumps(found))


if __name__ == "__main__":
    assert jax.device_count() == 8
    main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3].split(","))
