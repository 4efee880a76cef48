"""What it gains to train several seeds of a classifier at once, in one compiled step.

    python benchmarks/together.py --config configs/quickstart.py --stage classifier --seeds 5

Prints one JSON object per figure. README.md in this folder says what each figure is.
"""

import jax
import measure
import numpy as np
from absl import flags
from measure import FLAGS, Run, report
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.cli import command
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.engine import loop, sharding, vmapped
from jaxgan.engine.updates import fold_in
from jaxgan.types import InputError, Recipe

KEY = jax.random.key(0)
measure.define_flags()
flags.DEFINE_integer("seeds", 5, "Trained at once, and one by one.", 2)


def main() -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    config, name = measure.read_config()
    sharding.check_alone(FLAGS.seeds, "--seeds")
    if config.model.name not in configs.CLASSIFIERS:
        raise InputError(f"--config must be of a classifier, and {name} is none")
    recipe, batch = recipes.build(config), make_batch(config)
    runs = {"at_once": at_once(recipe, batch), "one_by_one": one_by_one(recipe, batch)}
    times = measure.interleave(runs, FLAGS.rounds, FLAGS.seconds)
    about = measure.describe(config, name) | {"seeds": FLAGS.seeds}
    for who, t in times.items():
        bounds = {"low": t.low * 1e3, "high": t.high * 1e3, "rounds": FLAGS.rounds}
        report(about, "ms_per_step_of_all", t.median * 1e3, "ms", of=who, **bounds)
    report(about, "gain", times["one_by_one"].median / times["at_once"].median, "1")


def make_batch(config: ConfigDict) -> dict[str, np.ndarray]:
    """Random images, or a published trunk's features where it stays as it is."""
    batch, _ = measure.make_batch(config)
    if not parse(config).trunk_stays:
        return batch
    model, images = recipes.build_classifier(config), batch["image"].astype(np.float32)
    features = jax.eval_shape(lambda x: model.init_with_output(KEY, x, method="trunk")[0], images)
    views = (len(images), config.train.views, *features.shape[1:])
    return batch | {"image": np.random.default_rng(0).normal(size=views).astype(np.float32)}


def at_once(recipe: Recipe, batch: dict[str, np.ndarray]) -> Run:
    keys = jax.random.split(KEY, FLAGS.seeds)
    several, devices = vmapped.vmapped(recipe, FLAGS.seeds), sharding.spread("jit")
    states = devices.place(jax.jit(several.init, compiler_options=loop.QUICK)(keys))
    step, done = devices.compile(several.step), 0

    def run(count: int) -> None:
        nonlocal states, done
        for done in range(done, done + count):  # noqa: B020
            whole = jax.tree.map(lambda x: np.stack([x] * FLAGS.seeds), batch)
            placed = devices.shard(whole, 1)
            states, metrics = step(states, placed, fold_in(keys, np.uint32(done)))
        jax.block_until_ready((states, metrics))

    run(1)
    return run


def one_by_one(recipe: Recipe, batch: dict[str, np.ndarray]) -> Run:
    devices, keys = sharding.spread("jit"), jax.random.split(KEY, FLAGS.seeds)
    init = jax.jit(recipe.init, compiler_options=loop.QUICK)
    states = [devices.place(init(key)) for key in keys]
    step = devices.compile(recipe.step)

    def run(count: int) -> None:
        for i, key in enumerate(keys):
            for number in range(count):
                placed = devices.shard(batch, 0)
                states[i], metrics = step(states[i], placed, fold_in(key, np.uint32(number)))
        jax.block_until_ready((states, metrics))

    run(1)
    return run


if __name__ == "__main__":
    command.run(main)
