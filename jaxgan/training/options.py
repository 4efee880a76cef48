"""What GANs and classifiers share: a config becomes options, batches, a start and first lines."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from clu import parameter_overview
from clu import platform as cluster

from jaxgan.config import training_length
from jaxgan.config.settings import Train
from jaxgan.data import class_counts, loader
from jaxgan.data.folder import Source
from jaxgan.engine.checkpoint import Best
from jaxgan.engine.log import Log
from jaxgan.engine.memory import Settings
from jaxgan.engine.options import TrainOptions
from jaxgan.engine.provenance import environment
from jaxgan.system import checked_files
from jaxgan.system.terminal import few
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


def make_batches(source: Source, batch_size: int, seed: int, **more: Any) -> Any:
    return loader.make_batches(
        source,
        batch_size=batch_size,
        seed=seed,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
        **more,
    )


def make_options(
    train: Train,
    precision: str,
    images: int,
    images_a_step: int,
    prelude: Callable[[int], int] = lambda step: 0,
    prefix: str = "",
    **more: Any,
) -> TrainOptions:
    """Return what a config's `train` section says; `more` is what it does not."""
    return TrainOptions(
        steps=training_length.total_steps(train, images, images_a_step, prelude),
        images_a_step=images_a_step,
        log_every=train.log_every,
        sample_every=train.sample_every,
        checkpoint_every=train.checkpoint_every,
        checkpoint_minutes=train.checkpoint_minutes,
        steps_per_call=train.steps_per_call,
        profile=training_length.profile_steps(train.profile),
        memory=memory_settings(train, precision, prefix),
        **more,
    )


def memory_settings(train: Train, precision: str, prefix: str = "") -> Settings:
    """Return those of one network that decide over the memory of its step."""
    bf16 = precision == "bf16"
    return Settings(train.batch_size, train.microbatch, train.remat, bf16, prefix)


def introduce(log: Log, recipe: Recipe, source: Source, data: dict | None = None) -> None:
    """Write `run.json` and `parameters.txt`, and say what begins."""
    abstract = jax.eval_shape(recipe.init, jax.random.key(0))
    nets = {name: net for name, net in vars(abstract).items() if hasattr(net, "params")}
    tables, counts = [], []
    for name, net in nets.items():
        table = parameter_overview.get_parameter_overview(net.params, include_stats=False)
        tables.append(f"{name}\n{table}\n")
        counts.append(f"{name} {int(parameter_overview.count_parameters(net.params)):,}")
    if jax.process_index() == 0:
        checked_files.write(log.folder / "parameters.txt", "\n".join(tables))
        about = environment() | {"data": data or class_counts.describe_data(source)}
        checked_files.save(log.folder / "run.json", about, indent=2)
    summary = (
        f"{len(source):,} images of {few(_present(source))} at {source.resolution} px; "
        f"parameters: {', '.join(counts)}; {jax.device_count()} x {jax.devices()[0].device_kind}"
    )
    cluster.work_unit().set_notes(summary)  # What a cluster's console shows.
    log.detail(summary)


def _present(source: Source) -> list[str]:
    return [source.classes[i] for i in np.unique(source.labels)]
