"""Whether bf16 trains to the losses of float32: small twins of configs, several seeds of each.

    python benchmarks/precision.py --configs wgan512,googlenet --steps 500 --seeds 4

Every twin (`get_test_config()`) trains on the same drawn images with the same keys in both
precisions. A row of `--out` for each loss, of the mean over the last fifth of the steps:

    float32, bf16    the mean over the seeds
    spread           the standard deviation over float32's seeds
    p                of Welch's test that both have the same mean
    along            the mean distance between both curves, in standard deviations of float32's

On a CPU this imitates what accelerators do: products of bfloat16, sums in float32.
"""

import json
from collections.abc import Callable
from pathlib import Path

import jax
import measure
import numpy as np
from absl import flags
from ml_collections import ConfigDict
from scipy import stats

from jaxgan import recipes
from jaxgan.cli import command
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import channel_stats
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine.loop import QUICK
from jaxgan.training import fitting
from jaxgan.training.gan import attraction
from jaxgan.types import State

flags.DEFINE_list("configs", ["wgan512", "googlenet"], "Names of training configs.")
flags.DEFINE_integer("steps", 500, "Of each training.", 10)
flags.DEFINE_integer("seeds", 4, "Of weights, batches and noise.", 2)
flags.DEFINE_integer("images", 128, "Drawn ones to train on.", 16)
flags.DEFINE_string("out", "benchmarks/results/precision_1-core-cpu.jsonl", "File of the rows.")
FLAGS = flags.FLAGS


def curves(name: str, precision: str) -> dict[str, np.ndarray]:
    """Return each loss of a config's twin, [seeds, steps]."""
    given = configs.load(str(Path("configs") / f"{name}.py"), test=True)
    with given.unlocked():
        given.precision = precision
        given.train.update({"steps": FLAGS.steps, "epochs": None, "kimg": None})
        if given.model.name in configs.CLASSIFIERS:
            given.model.num_classes = 2
    source = ToySource(given.data.resolution, count=FLAGS.images)
    images = np.stack([source[i]["image"] for i in range(len(source))])
    like, _ = measure.make_batch(given)
    moments = channel_stats.moments(source) if given.data.get("normalise") == "statistics" else ()
    recipe = recipes.build(parse(given), None, recipes.ImageStats(len(source), *moments))
    compiled, found = {}, []
    for seed in range(FLAGS.seeds):
        state, losses = begin(given, recipe.init, source, seed), []
        rng, row = np.random.default_rng(seed), {}  # What a step does not compute stays.
        for i in range(FLAGS.steps):
            chosen = rng.integers(len(source), size=like["image"].shape[:-3])
            batch = {"image": images[chosen], "label": source.labels[chosen]}
            batch = {key: batch[key] for key in like}
            key = jax.random.fold_in(jax.random.key(seed), i)
            for part in recipe.turns(i) if recipe.turns else [recipe.step]:
                if part not in compiled:
                    step = jax.jit(part, donate_argnums=0)
                    compiled[part] = step.lower(state, batch, key).compile()
                state, metrics = compiled[part](state, batch, key)
                row |= metrics
            losses.append({k: float(v) for k, v in row.items() if k.endswith("loss")})
        found.append(losses)
    return {k: np.array([[row[k] for row in losses] for losses in found]) for k in found[0][0]}


def begin(given: ConfigDict, init: Callable, source: ToySource, seed: int) -> State:
    """Return the first state of a training, with what its images settle."""
    state, config = jax.jit(init, compiler_options=QUICK)(jax.random.key(seed)), parse(given)
    if given.model.name not in configs.GANS:
        return state
    return fitting.fit(
        source,
        state,
        projection=recipes.build_projection(config.model, config.vision),
        attraction=attraction(config.model, config.train),
        latent_dim=config.model.latent_dim,
        mirror=config.data.flip,
        num_classes=config.num_classes,
        log=lambda line: None,
    )


def main() -> None:
    for name in FLAGS.configs:
        whole, half = curves(name, "float32"), curves(name, "bf16")
        for loss in whole:
            a, b = (x[loss][:, -FLAGS.steps // 5 :].mean(axis=1) for x in (whole, half))
            row = {"config": name, "loss": loss, "float32": a.mean(), "bf16": b.mean()}
            row |= {"spread": a.std(ddof=1), "p": stats.ttest_ind(a, b, equal_var=False).pvalue}
            row["along"] = np.abs(whole[loss] - half[loss]).mean() / whole[loss].std()
            row = {k: v if isinstance(v, str) else float(f"{v:.4g}") for k, v in row.items()}
            row |= {"steps": FLAGS.steps, "seeds": FLAGS.seeds, "device": measure.device_name()}
            print(json.dumps(row), flush=True)
            with Path(FLAGS.out).open("a") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    command.run(main)
