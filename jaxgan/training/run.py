"""A config, some images and a folder become a trained network: what `scripts/train.py` calls."""

import json
from collections.abc import Sequence
from contextlib import ExitStack

import jax
from etils import epath
from ml_collections import ConfigDict

from jaxgan.config import checks
from jaxgan.config import loading as configs
from jaxgan.config.inputs import open_source
from jaxgan.data import account, given, loader
from jaxgan.data.account import describe_data
from jaxgan.data.folder import Source
from jaxgan.data.grouped_split import check_classes, copies, kept_together, split
from jaxgan.engine import distributed, sharding
from jaxgan.engine.checkpoint import has_checkpoints
from jaxgan.engine.provenance import environment, versions
from jaxgan.engine.timing import Timing, time_steps
from jaxgan.errors import InputError
from jaxgan.metrics.networks import BEST
from jaxgan.system import lock, screen
from jaxgan.training import classifier, frozen_features, gan, monitor
from jaxgan.training.classifier import train_classifier, train_classifiers
from jaxgan.training.components import fit_components
from jaxgan.training.gan import look_at, settle_classes, train_gan
from jaxgan.training.options import memory_settings
from jaxgan.training.preflight import (
    check_batches,
    check_precision,
    check_start,
    make_deterministic,
)

# What an experiment's stages use, too.
__all__ = [
    "BEST",
    "check_batches",
    "check_classes",
    "check_precision",
    "check_start",
    "copies",
    "describe_data",
    "environment",
    "kept_together",
    "look_at",
    "make_deterministic",
    "memory_settings",
    "open_source",
    "run",
    "settle_classes",
    "split",
    "time_training",
    "train_classifier",
    "train_classifiers",
    "train_gan",
]


def run(config: ConfigDict, workdir: epath.PathLike) -> None:
    """Trains what the config says, in `workdir`; going on where a run of it is there already.

    Raises:
        InputError: a config, folder or workdir that will not do, or that another process works
            in, or processes that differ in config, versions or pictures; before any training.
    """
    with ExitStack() as held:
        _run(config, workdir, held)


def _run(config: ConfigDict, workdir: epath.PathLike, held: ExitStack) -> None:
    if config.get("model", {}).get("name") == "pca":
        fit_components(config, workdir)
        return
    make_deterministic(config)
    sharding.check_devices()  # What follows speaks to all of them.
    with distributed.agreed():
        if configs.is_experiment(config):
            raise InputError("this config is an experiment's: jaxgan experiment takes it")
        checks.check_training(config)
        sharding.spread(config.parallel)
        check_batches(config)
        check_precision(config.precision)
    distributed.check_same(
        config=json.dumps(configs.to_dict(config), sort_keys=True), versions=str(versions())
    )
    with distributed.agreed():
        source = open_source(config.data, config.seed)
        if config.model.name in configs.CLASSIFIERS:
            check_classes(source)
            with config.unlocked():
                config.model.num_classes = len(source.classes)
                config.data.classes = tuple(source.classes)
            parts = split(source, config.data.split, rule=config.data.get("duplicates", "auto"))
            tell(account.lines(source, parts))
        else:
            source, said = given.to_learn_from(source)
            tell([said] * bool(said) + account.lines(source, gan=True))
        if config.model.name in configs.GANS:
            monitor.settle(config)
            settle_classes(config, source)
        about = describe_data(source)
        if jax.process_index() == 0:
            if config.model.name in configs.GANS:
                monitor.check(config, len(source))
            held.enter_context(lock.held(workdir))
            if not has_checkpoints(workdir):
                check_start(config)
            configs.claim(workdir, config, about)
    distributed.check_same(pictures=about["fingerprint"])
    with distributed.agreed():
        if jax.process_index() == 0:
            configs.claim_data(workdir, about["fingerprint"], data=about)
    if config.model.name in configs.GANS:
        train_gan(config, source, workdir)
        return
    training, validation = (loader.Subset(source, i) for i in (parts.train, parts.validation))
    if frozen_features.applies(config):
        training = frozen_features.look(config, training, config.train.views)
        validation = frozen_features.look(config, validation)
    train_classifier(config, training, validation, workdir, data=about)


def time_training(config: ConfigDict, source: Source, seconds: float, prefix: str = "") -> Timing:
    """Time a few steps of what would be trained, with random weights; nothing of it is kept.

    Args:
        config: of a GAN or a classifier.
        source: what it would train on.
        seconds: how long to time steps.
        prefix: of the settings' names in the config.

    Raises:
        OutOfMemoryError: names what to lower.
    """
    assemble = gan.assemble if config.model.name in configs.GANS else classifier.assemble
    return time_steps(*assemble(config, source, prefix=prefix), seconds)


def tell(lines: Sequence[str]) -> None:
    """Print an account, on one process alone."""
    if jax.process_index() == 0:
        for line in lines:
            screen.say(line)
