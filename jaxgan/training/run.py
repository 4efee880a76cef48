"""A config, some images and a folder become a trained network: what `scripts/train.py` calls."""

import json
from collections.abc import Sequence
from contextlib import ExitStack

import jax
from etils import epath
from ml_collections import ConfigDict

from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.config.inputs import open_source
from jaxgan.config.typed import GAN, Classifier, Network, changed
from jaxgan.data import class_counts, given_splits, loader
from jaxgan.data.class_counts import describe_data
from jaxgan.data.folder import Source
from jaxgan.data.grouped_split import check_classes, copies, kept_together, split
from jaxgan.engine import distributed, sharding
from jaxgan.engine.checkpoint import has_checkpoints
from jaxgan.engine.provenance import environment, versions
from jaxgan.errors import InputError
from jaxgan.metrics import judges
from jaxgan.metrics.networks import BEST
from jaxgan.system import lock, screen
from jaxgan.system.terminal import few
from jaxgan.training import frozen_features, monitor
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
    "settled",
    "split",
    "train_classifier",
    "train_classifiers",
    "train_gan",
]


def run(config: ConfigDict, workdir: epath.PathLike) -> None:
    """Train what the config says, in `workdir`; going on where a run of it is there already.

    Raises:
        InputError: a config, folder or workdir that will not do, or that another process works
            in, or processes that differ in config, versions or images; before any training.
    """
    with ExitStack() as held:
        _run(config, workdir, held)


def _run(asked: ConfigDict, workdir: epath.PathLike, held: ExitStack) -> None:
    if asked.get("model", {}).get("name") == "pca":
        fit_components(combinations.check_training(asked), workdir)
        return
    make_deterministic(bool(asked.get("deterministic")))
    sharding.check_devices()  # What follows speaks to all of them.
    with distributed.agreed():
        if configs.is_experiment(asked):
            raise InputError("this config is an experiment's: jaxgan experiment takes it")
        config: Network = combinations.check_training(asked)
        sharding.spread(config.parallel)
        check_batches(config.train, config.model.name)
        check_precision(config.precision)
    distributed.check_same(
        config=json.dumps(config.given, sort_keys=True), versions=str(versions())
    )
    parts = None
    with distributed.agreed():
        source = open_source(config.data, config.seed)
        if isinstance(config, Classifier):
            check_classes(source)
            classes = {"model.num_classes": len(source.classes), "data.classes": source.classes}
            config = changed(config, classes)
            parts = split(source, config.data.split, rule=config.data.rule)
            tell(class_counts.lines(source, parts))
        else:
            source, said = given_splits.to_learn_from(source)
            tell([said] * bool(said) + class_counts.lines(source, gan=True))
        if isinstance(config, GAN):
            config = settled(config, source)
            if config.num_classes:
                tell([f"a generator that is told the class: {few(source.classes)}"])
        about = describe_data(source)
        if jax.process_index() == 0:
            if isinstance(config, GAN):
                critics = judges.seen_by_critics(config.backbones, config.init_from)
                monitor.check(config.evaluate, critics, config.data.resolution, len(source))
            configs.check_free(workdir)
            held.enter_context(lock.held(workdir))
            if not has_checkpoints(workdir):
                check_start(config)
            configs.claim(workdir, config, about)
    distributed.check_same(pictures=about["fingerprint"])
    with distributed.agreed():
        if jax.process_index() == 0:
            configs.claim_data(workdir, about["fingerprint"], data=about)
    if isinstance(config, GAN):
        train_gan(config, source, workdir)
        return
    assert isinstance(config, Classifier) and parts is not None
    training, validation = (loader.Subset(source, i) for i in (parts.train, parts.validation))
    if config.trunk_stays:
        training = frozen_features.look(config, training, config.train.views)
        validation = frozen_features.look(config, validation)
    train_classifier(config, training, validation, workdir, data=about)


def settled(config: GAN, source: Source) -> GAN:
    """Return a GAN's config with the features that evaluate it, and its classes."""
    critics = judges.seen_by_critics(config.backbones, config.init_from)
    new = monitor.settle(config.evaluate, critics)
    return changed(config, new | settle_classes(config, source))


def tell(lines: Sequence[str]) -> None:
    """Print an account, on one process alone."""
    if jax.process_index() == 0:
        for line in lines:
            screen.say(line)
