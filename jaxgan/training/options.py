"""What GANs and classifiers share: a config becomes options, batches, a start and first lines."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from clu import parameter_overview
from clu import platform as cluster

from jaxgan import recipes
from jaxgan.config import training_length
from jaxgan.config.typed import GAN, Network
from jaxgan.data import class_counts, loader
from jaxgan.data.channel_stats import moments
from jaxgan.data.folder import Source
from jaxgan.engine import sharding
from jaxgan.engine.checkpoint import Best
from jaxgan.engine.log import Log
from jaxgan.engine.memory import Settings
from jaxgan.engine.options import TrainOptions
from jaxgan.engine.provenance import environment
from jaxgan.system import checked_files
from jaxgan.system.terminal import few
from jaxgan.training.device_flips import mirrored
from jaxgan.types import Recipe, State
from jaxgan.weights import imagenet, init_from


class Parts(NamedTuple):
    """What the loop takes: how to train, on which batches, how long and how often."""

    recipe: Recipe
    batches: Any
    options: TrainOptions


def starter(
    model: str,
    folder: str | None,
    pretrained: str | None,
    recipe: Recipe,
    log: Log,
    best: Best | None = None,
) -> Callable[[State], State]:
    """Return what a new run makes of its random weights.

    Args:
        model: its name.
        folder: a config's `init_from`.
        pretrained: a classifier's `model.pretrained`.
        recipe: of the training.
        log: says what was taken.
        best: see `init_from.start`.
    """
    if folder is not None:
        return lambda state: init_from.start(folder, model, recipe, log.line, best)(state)
    if pretrained is not None:
        return lambda state: imagenet.start(model, pretrained, recipe, log.line)(state)
    return lambda state: state


def assemble(
    config: Network, source: Source, recipe: Recipe | None = None, prefix: str = ""
) -> Parts:
    """Return the recipe of a training, the given one if it can be, its batches and its options.

    Args:
        config: of a GAN or a classifier.
        source: what it trains on.
        recipe: of this very config.
        prefix: of the settings' names in the config.
    """
    train, turns, stats = config.train, None, recipes.ImageStats(len(source))
    of_gans: dict[str, Any] = {}
    if isinstance(config, GAN):
        turns = None if config.train.same_batch else config.train.n_critic
        of_gans = {"flip": config.data.flip, "labels": config.num_classes > 0, "turns": turns}
        if config.data.normalise == "statistics":
            stats = recipes.ImageStats(len(source), *moments(source))
        recipe = None if config.needs_images else recipe
    recipe = recipe or recipes.build(config, sharding.axis_name(config.parallel), stats)
    batches = loader.make_batches(
        source,
        batch_size=train.batch_size,
        seed=config.seed,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        **of_gans,
    )
    images_a_step = train.batch_size * (turns or 1)
    prelude = recipe.prelude.count if recipe.prelude else lambda step: 0
    options = TrainOptions(
        steps=training_length.total_steps(train, len(source), images_a_step, prelude),
        images_a_step=images_a_step,
        batch_axis=0 if turns is None else 1,
        seed=config.seed,
        parallel=config.parallel,
        config=config.given,
        log_every=train.log_every,
        sample_every=train.sample_every,
        checkpoint_every=train.checkpoint_every,
        checkpoint_minutes=train.checkpoint_minutes,
        steps_per_call=train.steps_per_call,
        profile=training_length.profile_steps(train.profile),
        memory=Settings(
            train.batch_size, train.microbatch, train.remat, config.precision == "bf16", prefix
        ),
    )
    return Parts(mirrored(recipe) if of_gans.get("flip") else recipe, batches, options)


def introduce(log: Log, recipe: Recipe, source: Source, data: dict | None = None) -> None:
    """Write `run.json` and `parameters.txt`, and say what begins."""
    nets = {name: net for name, net in vars(recipe.abstract).items() if hasattr(net, "params")}
    tables, counts = [], []
    for name, net in nets.items():
        table = parameter_overview.get_parameter_overview(net.params, include_stats=False)
        tables.append(f"{name}\n{table}\n")
        counts.append(f"{name} {int(parameter_overview.count_parameters(net.params)):,}")
    if jax.process_index() == 0:
        checked_files.write(log.folder / "parameters.txt", "\n".join(tables))
        about = environment() | {"data": data or class_counts.describe_data(source)}
        checked_files.save(log.folder / "run.json", about, indent=2)
    present = [source.classes[i] for i in np.unique(source.labels)]
    summary = (
        f"{len(source):,} images of {few(present)} at {source.resolution} px; "
        f"parameters: {', '.join(counts)}; {jax.device_count()} x {jax.devices()[0].device_kind}"
    )
    cluster.work_unit().set_notes(summary)  # What a cluster's console shows.
    log.detail(summary)
