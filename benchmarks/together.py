"""Seeds of a classifier trained at once (`vmap_seeds`), beside the same seeds one after the other.

    python benchmarks/together.py --config F --stage classifier [--seeds 3] [--config.a.b=v]

Batches are random and there already; with `optim.trunk=0` they are features of `views` views, as in
an experiment, and no weights are read. Prints one JSON object per figure.
"""

import jax
import jax.numpy as jnp
import measure
import numpy as np
from absl import flags
from measure import FLAGS, report

from jaxgan import command, loop, recipes, together

flags.DEFINE_integer("seeds", 3, "How many.", 2)
measure.define_flags()


def main() -> None:
    config, name = measure.read_config()
    about = measure.describe(config, name) | {"seeds": FLAGS.seeds}
    recipe, seeds = recipes.build(config), range(FLAGS.seeds)
    batch, _ = measure.make_batch(config)
    if config.optim.trunk == 0:
        apply = recipes.build_classifier(config).apply
        trunk = lambda net, x: apply(net.variables, x, method="trunk")  # noqa: E731
        state = jax.eval_shape(recipe.init, jax.random.key(0))
        pictures = jax.ShapeDtypeStruct(batch["image"].shape, jnp.float32)
        count, features = jax.eval_shape(trunk, state.net, pictures).shape
        shape = count, config.train.views, features
        batch["image"] = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    init = jax.jit(recipe.init, compiler_options=loop.QUICK)
    alone = [init(jax.random.key(seed)) for seed in seeds]
    every = jax.tree.map(lambda *x: jnp.stack(x), *alone)
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    batches = {name: np.stack([x] * len(seeds)) for name, x in batch.items()}
    step, steps = jax.jit(recipe.step, donate_argnums=0), together.program(recipe.step)

    def one_by_one(count: int) -> None:
        for i in seeds:
            for _ in range(count):
                alone[i], metrics = step(alone[i], batch, jax.random.fold_in(keys[i], 0))
        jax.block_until_ready((alone, metrics))

    def at_once(count: int) -> None:
        nonlocal every
        for _ in range(count):
            every, metrics = steps(every, batches, keys, np.int32(0))
        jax.block_until_ready((every, metrics))

    for run in (one_by_one, at_once):
        run(1)
    runs = {"one_by_one": one_by_one, "at_once": at_once}
    found = measure.interleave(runs, FLAGS.rounds, FLAGS.seconds)
    for contender, t in found.items():
        report(about, f"{contender}_ms", t.median * 1e3, "ms", low=t.low * 1e3, high=t.high * 1e3)
    report(about, "ratio", found["one_by_one"].median / found["at_once"].median, "1")


if __name__ == "__main__":
    command.run(main)
