"""From a config to a classifier and its recipe."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan.config.lengths import total_steps
from jaxgan.models import googlenet, resnet, vgg
from jaxgan.recipes import common
from jaxgan.recipes.common import Pictures
from jaxgan.steps import classifier, linear_probe, optimizers, schedules
from jaxgan.steps.state import AveragedState, ClassifierState, new_net
from jaxgan.types import Batch, Metrics, PRNGKey, Recipe, State
from jaxgan.weights import torchvision


def recipe(config: ConfigDict, axis_name: str | None, pictures: Pictures) -> Recipe:
    model = build_classifier(config, axis_name)
    train, decay = config.train, config.train.get("ema_decay", 0.0)
    tx = _optimiser(config, pictures)

    def init(key: PRNGKey) -> ClassifierState:
        net = new_net(model.lazy_init(key, common.images(config), False), tx)
        if not decay:
            return ClassifierState(jnp.int32(0), net)
        averages = {  # Copies, since donated buffers must not be shared.
            kind: {k: jax.tree.map(jnp.copy, x) for k, x in layers.items() if _moves(config, k)}
            for kind, layers in net.variables.items()
        }
        return AveragedState(jnp.int32(0), net, averages)

    more = {
        "label_smoothing": train.label_smoothing,
        "mixup": train.mixup,
        "feature_noise": train.get("feature_noise", 0.0),
        "ema_decay": decay,
        "microbatch": train.microbatch,
        "axis_name": axis_name,
    }
    frozen = config.optim.trunk == 0
    augment = common.build_augment(train.augment)
    cutmix = train.get("cutmix", 0.0)
    whole = classifier.make_step(model, tx, augment=augment, frozen=frozen, cutmix=cutmix, **more)
    if not frozen:
        return Recipe(init, whole)
    probe = linear_probe.make_step(model, tx, **more)

    def step(state: ClassifierState, batch: Batch, key: PRNGKey) -> tuple[State, Metrics]:
        # Whoever has the trunk's features of all images trains on them.
        return (probe if batch["image"].ndim == 3 else whole)(state, batch, key)

    return Recipe(init, step)


def build_classifier(config: ConfigDict, axis_name: str | None = None) -> nn.Module:
    """The module of a classifier's config: `(images [b, h, w, c], train)`."""
    model = config.model
    same = {
        "num_classes": model.num_classes,
        "hidden": tuple(model.hidden),
        "width": model.width,
        "dtype": common.dtype(config),
        "axis_name": axis_name,
    }
    if model.name == "googlenet":
        return common.module(config, googlenet.GoogLeNet)(aux_heads=model.aux_heads, **same)
    same |= {"dropout": model.dropout, "imagenet": model.pretrained is not None}
    if model.name == "resnet":
        large = config.data.resolution >= resnet.SMALL or model.pretrained is not None
        stem = model.stem or ("imagenet" if large else "cifar")
        return common.module(config, resnet.ResNet)(blocks=tuple(model.blocks), stem=stem, **same)
    return common.module(config, vgg.VGG16)(grid=model.grid, **same)


def _optimiser(config: ConfigDict, pictures: Pictures) -> optax.GradientTransformation:
    """Runs of older configs have a constant rate and nothing else."""
    settings, train = config.optim, config.train
    rate: float | optax.Schedule = settings.learning_rate
    if follows_length(config):
        steps = float(total_steps(train, pictures.count, train.batch_size))
        schedule = optax.constant_schedule(settings.learning_rate)
        if settings.schedule == "cosine":
            schedule = schedules.cosine(settings.learning_rate, settings.final, steps)
        rate = schedules.warmed_up(schedule, settings.warmup * steps)
    if settings.name == "sgd":
        tx = optimizers.sgd(rate, settings.momentum)
    else:
        tx = optimizers.adam(rate, settings.b1, settings.b2)
    if settings.get("weight_decay"):
        tx = optimizers.decayed(tx, rate, settings.weight_decay)
    if settings.trunk != 1 or settings.frozen:
        tx = optimizers.scaled(tx, partial(_factor, config))
    return tx


def follows_length(config: ConfigDict) -> bool:
    """Whether a classifier's step depends on how many of them there will be."""
    return config.optim.get("schedule", "constant") != "constant" or bool(
        config.optim.get("warmup")
    )


def classifier_layers(config: ConfigDict) -> list[str]:
    """The names of a classifier's layers: "conv1", "inception3a", ..."""
    own = config.copy_and_resolve_references()
    with own.unlocked():
        own.model.num_classes = own.model.num_classes or 2
    model, images = build_classifier(own), common.images(own)
    shapes = jax.eval_shape(lambda key: model.lazy_init(key, images, False), jax.random.key(0))
    return sorted(shapes["params"])


def _moves(config: ConfigDict, layer: str) -> bool:
    """Whether training changes a classifier's layer; batch statistics move in a frozen one, too."""
    return config.optim.trunk != 0 or layer.startswith(torchvision.HEADS[config.model.name])


def _factor(config: ConfigDict, name: str) -> float:
    """Of the learning rate, for an array of a classifier."""
    if name.startswith(tuple(config.optim.frozen)):
        return 0.0
    return 1.0 if name.startswith(torchvision.HEADS[config.model.name]) else config.optim.trunk
