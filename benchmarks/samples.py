"""Good samples per CPU second: recipes side by side, on folders of few images.

    python benchmarks/samples.py --data DIR --recipes refined64,meowgan64,pca64 --seconds 400

DIR holds class folders. Of each class `--train` images are trained on; as many others, at most 300,
are held out. A recipe is a config of `configs/`, with overrides after a plus sign
(meowgan64+model.channels=256), or with torch: before it that system as published, in plain PyTorch.
A>B trains A for half of the time, and B goes on from its weights; all:A>B trains A once, on images
of all classes, for as long as the halves of all classes take together. one:A is a conditional A for
all classes, trained for as long as one of each would be.
For each class it trains until the process has used `--seconds` of CPU time, compiling left out, or
has seen `--images` real ones, and draws `--samples`. A row of `--out` has a recipe's

    frechet_alexnet, frechet_vgg16   to held-out images, the mean over classes; on the last layer
    frechet_levels                   on AlexNet's convolutions 1, 2, 3 and 5, of 128 px
    half_...                         half the width of each distance's 95 % interval
    recall_...                       share of held-out images that samples come near to
    each                             these of each class
    gan_train                        accuracy on held-out images of a ResNet that trains on samples

Rows that FILE has are not computed again. `real` is what training images have in place of samples;
`--keep DIR` gets a grid of 64 samples of each recipe, and all of them as an array (`.npy`).
"""

import ast
import contextlib
import json
import time
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import measure
import numpy as np
from absl import flags
from ml_collections import ConfigDict
from PIL import Image

from jaxgan import recipes
from jaxgan.cli import command
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import channel_stats, loader
from jaxgan.data.folder import FolderSource, Source
from jaxgan.engine.log import grid
from jaxgan.evaluation import gan_train
from jaxgan.metrics import features
from jaxgan.metrics.frechet import frechet_distance, moments
from jaxgan.metrics.intervals import with_interval
from jaxgan.metrics.prdc import prdc
from jaxgan.models import pca
from jaxgan.models.backbones import convolutions
from jaxgan.sampling import sample
from jaxgan.sampling.stylegan2 import Style
from jaxgan.training import fitting
from jaxgan.training.gan import attraction
from jaxgan.types import State

flags.DEFINE_string("data", None, "A folder of class folders.", required=True)
flags.DEFINE_list("recipes", ["pca64", "refined64"], "Configs, with overrides after plus signs.")
flags.DEFINE_list("classes", [], "Which class folders; all by default.")
flags.DEFINE_list("seeds", ["0"], "Of the recipes.")
flags.DEFINE_integer("resolution", 64, "In px.")
flags.DEFINE_integer("train", 300, "Images a class to train on.")
flags.DEFINE_integer("samples", 400, "To draw for each class.")
flags.DEFINE_float("seconds", 400, "CPU seconds for each class, at most.")
flags.DEFINE_integer("images", None, "Real images to see for each class, at most; repeats count.")
flags.DEFINE_string("out", "benchmarks/results/samples_2-core-cpu.jsonl", "File of the rows.")
flags.DEFINE_string("keep", None, "Folder for grids and arrays of samples.")
FLAGS = flags.FLAGS

HELD_OUT = 300  # Images a class, at most.
TORCH, ALL, ONE = "torch:", "all:", "one:"


class Samples:
    """Samples of all classes as a source, which a classifier trains on."""

    def __init__(self, images: list[np.ndarray], like: Source) -> None:
        self.images = np.concatenate(images)
        self.classes, self.resolution = like.classes, like.resolution
        self.labels = np.repeat(np.arange(len(images), dtype=np.int32), [len(x) for x in images])
        self.names = tuple(f"{i}.png" for i in range(len(self.labels)))
        self.unreadable: list = []

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict:
        return {"image": self.images[index], "label": self.labels[index]}


def config_of(name: str, seed: int) -> ConfigDict:
    """Return a recipe's config: `NAME+a.b=value+...`."""
    name, *overrides = name.split("+")
    config = configs.load(str(Path("configs") / f"{name}.py"))
    with config.unlocked():
        for override in overrides:
            key, _, value = override.partition("=")
            with contextlib.suppress(ValueError, SyntaxError):
                value = ast.literal_eval(value)
            config.update_from_flattened_dict({key: value})
        config.seed, config.data.resolution = seed, FLAGS.resolution
    return config


def train(name: str, seed: int, source: Source, everyone: Source) -> tuple:
    """Train a recipe on a class; return samples, steps, real images seen and seconds used.

    Args:
        name: of the recipe; after ">" the one that goes on for the second half of the seconds.
        seed: of weights, latents and batches.
        source: the class's images.
        everyone: images of all classes; the first half is on them where its name begins with all:.
    """
    if name.startswith(TORCH):
        import torch_samples

        images = np.stack([record["image"] for record in source])
        limits = (FLAGS.seconds, FLAGS.images)
        config = config_of(name.removeprefix(TORCH), seed)
        return torch_samples.train(config, images, limits, seed, FLAGS.samples)
    if name.startswith(ONE):
        (config, state, *took), label = conditional(name, seed, everyone), source[0]["label"]
        draw = sample.Sampler.of(config, style=Style(label=str(label))).draw
        seeds = np.arange(FLAGS.samples, dtype=np.uint32)
        images = [np.asarray(draw(state.ema, part)) for part in np.array_split(seeds, 8)]
        return np.concatenate(images), *(np.array(took) / len(everyone.classes))
    *before, last = name.split(">")
    config, seeds = parse(config_of(last, seed)), np.arange(FLAGS.samples, dtype=np.uint32)
    if config.model.name == "pca":
        began = time.process_time()
        fit = pca.fit(source, None)
        return pca.draw(fit, range(FLAGS.samples)), 0, len(source), time.process_time() - began
    seconds, warm, used = FLAGS.seconds / (1 + len(before)), None, np.zeros(3)
    for first in before:
        if first.startswith(ALL):
            warm, *took = first_for_all(first.removeprefix(ALL), seed, seconds, everyone)
            used += np.array(took) / len(everyone.classes)
        else:
            warm, *took = train_for(config_of(first, seed), source, seconds)
            used += took
    state, *took = train_for(config_of(last, seed), source, seconds, warm)
    draw = sample.Sampler.of(config).draw
    images = [np.asarray(draw(state.ema, part)) for part in np.array_split(seeds, 8)]
    return np.concatenate(images), *(used + took)


@cache
def first_for_all(name: str, seed: int, seconds: float, everyone: Source) -> tuple:
    """Return what `train_for` does on images of all classes, once for all of them."""
    return train_for(config_of(name, seed), everyone, seconds * len(everyone.classes))


@cache
def conditional(name: str, seed: int, everyone: Source) -> tuple:
    """Return a GAN for all classes, and what `train_for` does."""
    given = config_of(name.removeprefix(ONE), seed)
    with given.unlocked():
        given.model.conditional, given.data.classes = True, everyone.classes
    seconds = FLAGS.seconds * len(everyone.classes)
    return parse(given), *train_for(given, everyone, seconds)


def train_for(
    given: ConfigDict, source: Source, seconds: float, warm: State | None = None
) -> tuple[State, int, int, float]:
    """Return a GAN's last state, its steps, the real images that it saw and the seconds it took.

    Args:
        given: the training config.
        source: images.
        seconds: of CPU time, compiling left out.
        warm: whose weights, averages and optimiser of the generator it begins with.
    """
    config, seed = parse(given), given.seed
    began = time.process_time()
    seen_as = channel_stats.moments(source) if config.data.normalise == "statistics" else ()
    recipe = recipes.build(config, None, recipes.ImageStats(len(source), *seen_as))
    init_key, train_key = jax.random.split(jax.random.key(seed))
    state = jax.jit(recipe.init)(init_key)
    if warm is not None:
        copied = jax.tree.map(jnp.copy, (warm.generator, warm.ema))
        state = state.replace(generator=copied[0], ema=copied[1])
    state = fitting.fit(
        source,
        state,
        projection=recipes.build_projection(config.model, config.vision),
        attraction=attraction(config.model, config.train),
        latent_dim=config.model.latent_dim,
        mirror=config.data.flip,
        num_classes=config.num_classes,
        log=lambda line: None,
    )
    turns = None if config.train.same_batch else config.train.n_critic
    batches = loader.make_batches(
        source, batch_size=config.train.batch_size, seed=seed, flip=config.data.flip, turns=turns
    )
    compiled: dict = {}
    compiling, seen = 0.0, 0

    def update(step_fn, state, key):
        nonlocal compiling, seen
        batch = next(batches)
        seen += int(np.prod(batch["image"].shape[:-3]))
        if step_fn not in compiled:
            start = time.process_time()
            compiled[step_fn] = (
                jax.jit(step_fn, donate_argnums=0).lower(state, batch, key).compile()
            )
            compiling += time.process_time() - start
        return compiled[step_fn](state, batch, key)[0]

    step, used = 0, 0.0
    while used < seconds and seen < (FLAGS.images or np.inf):
        key = jax.random.fold_in(train_key, step)
        if recipe.prelude:
            for i in range(recipe.prelude.count(step)):
                state = update(recipe.prelude.step, state, jax.random.fold_in(key, 1000 + i))
        for step_fn in recipe.turns(step) if recipe.turns else [recipe.step]:
            state = update(step_fn, state, key)
        step += 1
        if step % 5 == 0:
            jax.block_until_ready(state)
            used = time.process_time() - began - compiling
    return state, step, seen, used


@cache
def levels(size: int = 128) -> features.Features:
    """Return AlexNet's convolutions 1, 2, 3 and 5, averaged: fine texture counts as form does."""
    alexnet = features.alexnet(size)

    @jax.jit
    def means(weights, images):
        x = jax.image.resize(images.astype(jnp.float32), (len(images), size, size, 3), "cubic")
        found = convolutions(weights, x / 255)
        return jnp.concatenate([found[i].mean(axis=(1, 2)) for i in (0, 1, 2, 4)], axis=1)

    return alexnet._replace(name="levels", dimension=896, function=means)


def between(real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    return np.array(frechet_distance(moments(real), moments(fake)))


def judge(drawn: np.ndarray, held: np.ndarray) -> dict[str, float]:
    """Return distances of samples to held-out images, on two networks' features."""
    row = {}
    nets = {"alexnet": features.alexnet(FLAGS.resolution), "levels": levels()}
    for name, net in (nets | {"vgg16": features.vgg16(FLAGS.resolution)}).items():
        x, y = (features.extract(net, list(images)).astype(np.float64) for images in (drawn, held))
        (distance,) = with_interval(between, y, x, seed=0)
        row[f"frechet_{name}"] = distance["value"]
        row[f"half_{name}"] = distance["high"] - distance["value"]
        row[f"recall_{name}"] = float(prdc(y, x, 3).recall)
    return row


def learnt(drawn: list[np.ndarray], held: list[np.ndarray], like: Source) -> float:
    """Return GAN-train: accuracy on real images of a classifier that trains on samples alone."""
    config = configs.load("configs/resnet.py")
    with config.unlocked():
        config.data.resolution = FLAGS.resolution
        config.train.update({"steps": 300, "epochs": None, "checkpoint_every": 300})
    fit = gan_train.fit_with(parse(config))
    test = Samples(held, like)
    ask = fit(Samples(drawn, like), 0, "samples")
    return float((ask(test).argmax(axis=1) == test.labels).mean())


def main() -> None:
    out = Path(FLAGS.out)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    limits = {"seconds": FLAGS.seconds, "images": FLAGS.images}
    done = {(r["recipe"], r.get("data"), r["seed"], *map(r.get, limits)) for r in rows}
    source = FolderSource(FLAGS.data, FLAGS.resolution, classes=FLAGS.classes or None)
    mixed = np.random.default_rng(0).permutation(len(source))
    sides = []
    for label in range(len(source.classes)):
        own = mixed[source.labels[mixed] == label]
        sides.append((np.sort(own[: FLAGS.train]), own[FLAGS.train :][:HELD_OUT]))
    data = f"{Path(FLAGS.data).name}, {FLAGS.train} a class of {', '.join(source.classes)}"
    everyone = loader.in_memory(
        loader.Subset(source, np.sort(np.concatenate([own for own, _ in sides])))
    )
    held = [np.stack([source[int(i)]["image"] for i in test]) for _, test in sides]
    for seed in map(int, FLAGS.seeds):
        for name in FLAGS.recipes:
            if (name, data, seed, *limits.values()) in done:
                continue
            drawn, row = [], {"recipe": name, "seed": seed}
            row |= {"steps": [], "images_seen": [], "cpu_seconds": []}
            for own, _ in sides:
                one = loader.in_memory(loader.Subset(source, own))
                if name == "real":
                    images, *used = np.stack([r["image"] for r in one]), 0, len(one), 0.0
                else:
                    images, *used = train(name, seed, one, everyone)
                drawn.append(images)
                for key, value in zip(("steps", "images_seen", "cpu_seconds"), used, strict=True):
                    row[key].append(round(value))
            judged = [judge(*both) for both in zip(drawn, held, strict=True)]
            row |= {key: float(np.mean([one[key] for one in judged])) for key in judged[0]}
            row["each"] = [{k: float(f"{x:.4g}") for k, x in one.items()} for one in judged]
            if len(sides) > 1:
                row["gan_train"] = learnt(drawn, held, source)
            row = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()}
            row |= {"data": data, "resolution": FLAGS.resolution, "samples": FLAGS.samples}
            row |= limits | {"device": measure.device_name()}
            print(json.dumps(row), flush=True)
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            if FLAGS.keep:
                sheet = np.asarray(grid(np.concatenate([x[: 64 // len(drawn)] for x in drawn])))
                shown = f"_{FLAGS.images}images" if FLAGS.images else f"_{FLAGS.seconds:g}s"
                stem = Path(FLAGS.keep) / f"{name}_{data}{shown}_{seed}"
                stem.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(sheet).save(f"{stem}.png")
                np.save(f"{stem}.npy", np.stack(drawn))


if __name__ == "__main__":
    command.run(main)
