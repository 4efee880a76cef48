"""From a config to a classifier and its recipe."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan.config.model_settings import GoogLeNetModel, ResNetModel, VGG16Model
from jaxgan.config.settings import ClassifierOptim
from jaxgan.config.training_length import total_steps
from jaxgan.config.typed import Classifier, Config, parse
from jaxgan.models import googlenet, resnet, vgg
from jaxgan.recipes import augmentation, networks
from jaxgan.recipes.durations import ImageStats
from jaxgan.steps import classifier, linear_probe, optimizers, schedules
from jaxgan.steps.state import AveragedState, ClassifierState, new_net
from jaxgan.types import Batch, Metrics, PRNGKey, Recipe, State

# How the names of the modules after the trunk begin.
HEADS = {"googlenet": ("fc", "hidden", "aux"), "resnet": ("fc", "hidden"), "vgg16": ("fc",)}


def recipe(config: Classifier, axis_name: str | None, stats: ImageStats) -> Recipe:
    model = build_classifier(config, axis_name)
    train, optim, decay = config.train, config.optim, config.train.ema_decay
    heads = HEADS[config.model.name]
    steps = total_steps(train, stats.count, train.batch_size) if follows_length(optim) else 0
    tx = _optimiser(optim, heads, float(steps))

    def init(key: PRNGKey) -> ClassifierState:
        net = new_net(model.lazy_init(key, networks.images(config.data.resolution), False), tx)
        if not decay:
            return ClassifierState(jnp.int32(0), net)
        averages = {  # Copies, since donated buffers must not be shared; of what training changes.
            kind: {
                k: jax.tree.map(jnp.copy, x)
                for k, x in layers.items()
                if optim.trunk != 0 or k.startswith(heads)
            }
            for kind, layers in net.variables.items()
        }
        return AveragedState(jnp.int32(0), net, averages)

    more = {
        "label_smoothing": train.label_smoothing,
        "mixup": train.mixup,
        "feature_noise": train.feature_noise,
        "ema_decay": decay,
        "microbatch": train.microbatch,
        "axis_name": axis_name,
        "all_reduce": train.all_reduce,
    }
    frozen = optim.trunk == 0
    augment = augmentation.build_augment(train.augment)
    whole = classifier.make_step(
        model, tx, augment=augment, frozen=frozen, cutmix=train.cutmix, **more
    )
    if not frozen:
        return Recipe(init, whole)
    probe = linear_probe.make_step(model, tx, **more)

    def step(state: ClassifierState, batch: Batch, key: PRNGKey) -> tuple[State, Metrics]:
        # Whoever has the trunk's features of all images trains on them.
        return (probe if batch["image"].ndim == 3 else whole)(state, batch, key)

    return Recipe(init, step)


def build_classifier(config: ConfigDict | Config, axis_name: str | None = None) -> nn.Module:
    """Return the module of a classifier's config: `(images [b, h, w, c], train)`."""
    made: Classifier = parse(config)
    model, module = made.model, partial(networks.module, made.train.remat)
    same = {
        "num_classes": model.num_classes,
        "hidden": model.hidden,
        "width": model.width,
        "dtype": networks.dtype(made.precision),
        "axis_name": axis_name,
    }
    if isinstance(model, GoogLeNetModel):
        return module(googlenet.GoogLeNet)(aux_heads=model.aux_heads, **same)
    assert isinstance(model, ResNetModel | VGG16Model)
    same |= {"dropout": model.dropout, "imagenet": model.pretrained is not None}
    if isinstance(model, ResNetModel):
        large = made.data.resolution >= resnet.SMALL or model.pretrained is not None
        stem = model.stem or ("imagenet" if large else "cifar")
        return module(resnet.ResNet)(blocks=model.blocks, stem=stem, **same)
    return module(vgg.VGG16)(grid=model.grid, **same)


def _optimiser(
    settings: ClassifierOptim, heads: tuple[str, ...], steps: float
) -> optax.GradientTransformation:
    """Return the optimiser of a training of so many steps."""
    rate: float | optax.Schedule = settings.learning_rate
    if follows_length(settings):
        schedule = optax.constant_schedule(settings.learning_rate)
        if settings.schedule == "cosine":
            schedule = schedules.cosine(settings.learning_rate, settings.final, steps)
        rate = schedules.warmed_up(schedule, settings.warmup * steps)
    if settings.name == "sgd":
        tx = optimizers.sgd(rate, settings.momentum)
    else:
        tx = optimizers.adam(rate, settings.b1, settings.b2)
    if settings.weight_decay:
        tx = optimizers.decayed(tx, rate, settings.weight_decay)
    if settings.trunk != 1 or settings.frozen:
        tx = optimizers.scaled(tx, partial(_factor, settings, heads))
    return tx


def follows_length(optim: ClassifierOptim) -> bool:
    """Return whether a classifier's step depends on how many of them there will be."""
    return optim.schedule != "constant" or bool(optim.warmup)


def classifier_layers(model: nn.Module, resolution: int) -> list[str]:
    """Return the names of a classifier's layers: "conv1", "inception3a", ..."""
    images = networks.images(resolution)
    shapes = jax.eval_shape(lambda key: model.lazy_init(key, images, False), jax.random.key(0))
    return sorted(shapes["params"])


def _factor(optim: ClassifierOptim, heads: tuple[str, ...], name: str) -> float:
    """Of the learning rate, for an array of a classifier."""
    if name.startswith(optim.frozen):
        return 0.0
    return 1.0 if name.startswith(heads) else optim.trunk
