"""A config, some images and a folder become a trained network: what `scripts/train.py` calls."""

import json
from collections.abc import Sequence
from contextlib import ExitStack

import jax
from etils import epath
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.config.inputs import open_source
from jaxgan.config.typed import GAN, Classifier, Network
from jaxgan.data import class_counts, given_splits, loader
from jaxgan.data.class_counts import describe_data
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
from jaxgan.training.gan import settle_classes, train_gan
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
    "make_deterministic",
    "open_source",
    "run",
    "settle_classes",
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
    if config.get("model", {}).get("name") == "pca":
        fit_components(combinations.check_training(config), workdir)
        return
    make_deterministic(bool(config.get("deterministic")))
    sharding.check_devices()  # What follows speaks to all of them.
    with distributed.agreed():
        if configs.is_experiment(config):
            raise InputError("this config is an experiment's: jaxgan experiment takes it")
        made: Network = combinations.check_training(config)
        sharding.spread(made.parallel)
        check_batches(made.train, made.model.name)
        check_precision(made.precision)
    distributed.check_same(config=json.dumps(made.given, sort_keys=True), versions=str(versions()))
    with ExitStack() as held:
        parts, critics = None, ()
        with distributed.agreed():
            source = open_source(made.data, made.seed)
            if isinstance(made, Classifier):
                check_classes(source)
                classes = {"model.num_classes": len(source.classes), "data.classes": source.classes}
                made = made.changed(classes)
                parts = split(source, made.data.split, rule=made.data.rule)
                tell(class_counts.lines(source, parts))
            else:
                source, said = given_splits.to_learn_from(source)
                tell([said] * bool(said) + class_counts.lines(source, gan=True))
            if isinstance(made, GAN):
                critics = judges.seen_by_critics(made.backbones, made.init_from)
                settled = monitor.settle(made.evaluate, critics)
                made = made.changed(settled | settle_classes(made.model, made.train, source))
                if made.num_classes:
                    tell([f"a generator that is told the class: {few(source.classes)}"])
            about = describe_data(source)
            if jax.process_index() == 0:
                if isinstance(made, GAN):
                    monitor.check(made.evaluate, critics, made.data.resolution, len(source))
                configs.check_free(workdir)
                held.enter_context(lock.held(workdir))
                if not has_checkpoints(workdir):
                    check_start(recipes.build(made), made.model, made.init_from)
                configs.claim(workdir, made, about)
        distributed.check_same(pictures=about["fingerprint"])
        with distributed.agreed():
            if jax.process_index() == 0:
                configs.claim_data(workdir, about["fingerprint"], data=about)
        if isinstance(made, GAN):
            train_gan(made, source, workdir)
            return
        assert isinstance(made, Classifier) and parts is not None
        training, validation = (loader.Subset(source, i) for i in (parts.train, parts.validation))
        if made.trunk_stays:
            training = frozen_features.look(made, training, made.train.views)
            validation = frozen_features.look(made, validation)
        train_classifier(made, training, validation, workdir, data=about)


def tell(lines: Sequence[str]) -> None:
    """Print an account, on one process alone."""
    if jax.process_index() == 0:
        for line in lines:
            screen.say(line)
