"""From a config to a recipe: the one place that knows all the models."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan.augment import ada, diffaugment
from jaxgan.augment.randaugment import randaugment, trivialaugment
from jaxgan.config.loading import total_steps
from jaxgan.models import (
    backbones,
    dcgan,
    fastgan,
    googlenet,
    pca,
    projected,
    refiner,
    resnet,
    vgg,
    wgan,
)
from jaxgan.models.layers.common import remat
from jaxgan.recipes import stylegan2
from jaxgan.steps import classifier, gan, losses, optimizers, penalties, schedules
from jaxgan.steps import projected as projected_step
from jaxgan.steps.losses import AdversarialLoss
from jaxgan.steps.state import AveragedState, ClassifierState, GANState, Net, new_net
from jaxgan.types import Augment, Images, Penalty, Prelude, PRNGKey, Recipe, standardise
from jaxgan.weights import torchvision


class Pictures(NamedTuple):
    """What some recipes depend on.

    Attributes:
        count: in an epoch.
        mean: of each channel, of values in [0, 1].
        std: of each channel, likewise; with mean 1/2 it changes nothing, since that is [-1, 1].
    """

    count: int = 10_000
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)


def build(
    config: ConfigDict, axis_name: str | None = None, pictures: Pictures = Pictures()
) -> Recipe:
    """The recipe of a checked training config.

    Args:
        config: of a GAN or a classifier; a classifier's has `model.num_classes` set.
        axis_name: the `pmap` axis, if the step is to be mapped.
        pictures: those to learn from, where schedules count epochs or `data.normalise` is
            statistics; shapes do not depend on it.
    """
    return _RECIPES[config.model.name](config, axis_name, pictures)


def needs_pictures(config: ConfigDict) -> bool:
    """Whether the step of a GAN's config depends on its pictures."""
    sections = (config.augment, config.optim.generator, config.optim.critic)
    durations = [s.get(key) for s in sections for key in ("noise_until", "t_max", "warmup")]
    statistics = config.data.get("normalise") == "statistics"
    return statistics or any("epoch" in (d or "") for d in durations)


def build_generator(config: ConfigDict, axis_name: str | None = None) -> nn.Module:
    """The generator module of a GAN's config: `(latents [b, z], train)`."""
    if config.model.name == "stylegan2":
        return stylegan2.make_generator(config, axis_name)
    if config.model.name == "pca":
        model = config.model
        return pca.Generator(config.data.resolution, model.latent_dim, model.shrink)
    name = config.model.get("generator", config.model.name)
    return _GENERATORS[name](config)(
        resolution=config.data.resolution,
        latent_dim=config.model.latent_dim,
        channels=config.model.channels,
        dtype=_dtype(config),
        axis_name=axis_name,
    )


def _wgan_generator(config: ConfigDict) -> Any:
    return partial(_module(config, wgan.Generator), normal_init=config.model.init == "normal")


def _wgan_critic(config: ConfigDict, axis_name: str | None) -> nn.Module:
    return _module(config, wgan.Critic)(
        resolution=config.data.resolution,
        channels=config.model.channels,
        dtype=_dtype(config),
        normal_init=config.model.init == "normal",
    )


def _dcgan_generator(config: ConfigDict) -> Any:
    model = config.model
    return partial(
        _module(config, dcgan.Generator),
        selu=model.selu,
        slope=model.slope,
        dropout=model.generator_dropout,
    )


def _refiner(config: ConfigDict) -> Any:
    return _module(config, refiner.Generator)


def build_projection(config: ConfigDict) -> projected.Projection | None:
    """Return the frozen network of a projected critic, which is none with `backbone` "none".

    Raises:
        InputError: its weights are not installed.
    """
    model = config.model
    if model.backbone == "none":
        return None
    return projected.make_projection(
        backbones.make(model.backbone), model.backbone_size, model.mixed
    )


def _discriminator(config: ConfigDict, axis_name: str | None) -> nn.Module:
    model = config.model
    return _module(config, dcgan.Discriminator)(
        resolution=config.data.resolution,
        channels=model.channels,
        selu=model.selu,
        norm=model.norm,
        spectral_norm=model.spectral_norm,
        dropout=tuple(model.dropout),
        dtype=_dtype(config),
        axis_name=axis_name,
    )


def _fastgan_generator(config: ConfigDict) -> Any:
    return partial(_module(config, fastgan.Generator), lite=config.model.lite)


def _fastgan_critic(config: ConfigDict, axis_name: str | None, rebuild: bool = False) -> nn.Module:
    return _module(config, fastgan.Critic)(
        resolution=config.data.resolution,
        channels=config.model.critic_channels,
        rebuild=rebuild,
        dtype=_dtype(config),
        axis_name=axis_name,
    )


def build_classifier(config: ConfigDict, axis_name: str | None = None) -> nn.Module:
    """The module of a classifier's config: `(images [b, h, w, c], train)`."""
    model = config.model
    same = {
        "num_classes": model.num_classes,
        "hidden": tuple(model.hidden),
        "width": model.width,
        "dtype": _dtype(config),
        "axis_name": axis_name,
    }
    if model.name == "googlenet":
        return _module(config, googlenet.GoogLeNet)(aux_heads=model.aux_heads, **same)
    same |= {"dropout": model.dropout, "imagenet": model.pretrained is not None}
    if model.name == "resnet":
        large = config.data.resolution >= resnet.SMALL or model.pretrained is not None
        stem = model.stem or ("imagenet" if large else "cifar")
        return _module(config, resnet.ResNet)(blocks=tuple(model.blocks), stem=stem, **same)
    return _module(config, vgg.VGG16)(grid=model.grid, **same)


def abstract_ema(config: ConfigDict) -> Any:
    """Shapes and types of the averaged generator's variables."""
    if config.model.name == "projected":  # Sampling does without the critic's weights.
        make = partial(_first_average, build_generator(config), config.model.latent_dim)
        return jax.eval_shape(make, jax.random.key(0))
    return jax.eval_shape(build(config).init, jax.random.key(0)).ema


def _first_average(generator: nn.Module, latent_dim: int, key: PRNGKey) -> dict:
    latents = jax.ShapeDtypeStruct((2, latent_dim), jnp.float32)
    return {"batch_stats": {}} | dict(generator.lazy_init(key, latents, False))


def _dtype(config: ConfigDict) -> Any:
    return {"float32": jnp.float32, "bf16": jnp.bfloat16}[config.precision]


def _module(config: ConfigDict, module: type[nn.Module]) -> Any:
    return remat(module) if config.train.remat else module


def _images(config: ConfigDict) -> jax.ShapeDtypeStruct:
    resolution = config.data.resolution
    return jax.ShapeDtypeStruct((2, resolution, resolution, 3), jnp.float32)


def _gan(config: ConfigDict, axis_name: str | None, pictures: Pictures) -> Recipe:
    generator = build_generator(config, axis_name)
    critic = _CRITICS[config.model.name](config, axis_name)
    real_critic = None
    if config.model.name == "fastgan" and config.model.rebuild:
        real_critic = _fastgan_critic(config, axis_name, rebuild=True)
    whole_critic = real_critic or critic  # With the weights of a task of its own.
    generator_tx, critic_tx = (
        _optimiser(config, pictures, name) for name in ("generator", "critic")
    )
    latent_dim, train, boost = config.model.latent_dim, config.train, config.train.boost

    def init(key: PRNGKey) -> GANState:
        generator_key, critic_key = jax.random.split(key)
        latents = jax.ShapeDtypeStruct((2, latent_dim), jnp.float32)
        net = new_net(generator.lazy_init(generator_key, latents, False), generator_tx)
        return GANState(
            step=jnp.int32(0),
            generator=net,
            critic=new_net(whole_critic.lazy_init(critic_key, _images(config), False), critic_tx),
            ema=jax.tree.map(jnp.copy, net.variables),  # Donated buffers must not be shared.
        )

    make_step = partial(
        gan.make_step,
        generator,
        critic,
        critic_tx=critic_tx,
        loss=_loss(config.loss, axis_name),
        penalty=_penalty(config.loss),
        augment=_always(build_augment(config.augment.policy), config.augment.p),
        instance_noise=_instance_noise(config, pictures),
        standardise=_standardise(config.data, pictures),
        n_critic=train.n_critic,
        same_batch=train.same_batch,
        latent_dim=latent_dim,
        ema_decay=train.ema_decay,
        microbatch=train.microbatch,
        axis_name=axis_name,
        real_critic=real_critic,
    )
    if not boost.first and not boost.every:
        return Recipe(init, make_step(generator_tx))

    return Recipe(init, make_step(generator_tx), Prelude(make_step(None), partial(_more, train)))


def _projected(config: ConfigDict, axis_name: str | None, pictures: Pictures) -> Recipe:
    model, train = config.model, config.train
    projection = build_projection(config)
    views = projected.make_views(projection, bool(model.patch))
    heads = projected.Heads(tuple(model.patch), model.head_width, _dtype(config))
    generator_tx, critic_tx = (
        _optimiser(config, pictures, name) for name in ("generator", "critic")
    )

    def init(key: PRNGKey) -> GANState:
        generator_key, critic_key = jax.random.split(key)
        generator = build_generator(config)  # In no `pmap`.
        variables = _first_average(generator, model.latent_dim, generator_key)
        ones = jnp.ones(projected.factors(projection))
        shapes = jax.eval_shape(views, _images(config), ones)
        critic = new_net(heads.lazy_init(critic_key, shapes, False), critic_tx)
        return GANState(
            step=jnp.int32(0),
            generator=new_net(variables, generator_tx),
            critic=critic.replace(stats={**critic.stats, "scale": ones}),
            ema=jax.tree.map(jnp.copy, variables),  # Donated buffers must not be shared.
        )

    step = projected_step.make_step(
        build_generator(config, axis_name),
        heads,
        views,
        generator_tx,
        critic_tx,
        loss=losses.hinge(),
        augment=_always(build_augment(config.augment.policy), config.augment.p),
        latent_dim=model.latent_dim,
        average=partial(
            optimizers.average_by_pictures,
            batch=train.batch_size,
            half_life=1000 * train.ema_kimg,
            # From an average that is good already a ramp would begin with forgetting it.
            ramp=None if config.init_from else train.ema_ramp,
        ),
        microbatch=train.microbatch,
        axis_name=axis_name,
    )
    return Recipe(init, step)


def extra_batches(config: ConfigDict) -> Callable[[int], int] | None:
    """Return a GAN's `Prelude.count` without building it; None where it has no prelude."""
    boost = config.train.get("boost")
    return partial(_more, config.train) if boost and (boost.first or boost.every) else None


def _more(train: ConfigDict, step: int) -> int:
    """Batches that the critic sees before a step, besides the step's own."""
    boost = train.boost
    boosted = step < boost.first or (boost.every and step % boost.every == 0)
    return boost.n_critic // train.n_critic - 1 if boosted else 0


def _loss(loss: ConfigDict, axis_name: str | None) -> AdversarialLoss:
    return {
        "wasserstein": lambda: losses.WASSERSTEIN,
        "non_saturating": lambda: losses.non_saturating(tuple(loss.real_labels), loss.flipped),
        "least_squares": lambda: losses.least_squares(*loss.targets),
        "hinge": lambda: losses.hinge(tuple(loss.get("margin", (1.0, 1.0)))),
        "relativistic_pairing": losses.relativistic_pairing,
        "relativistic_average": lambda: losses.relativistic_average(axis_name),
    }[loss.name]()


def _penalty(loss: ConfigDict) -> Penalty | None:
    kinds = {
        "gradient_penalty": penalties.gradient_penalty,
        "r1": penalties.r1,
        "r2": penalties.r2,
    }
    used = [make(loss[name]) for name, make in kinds.items() if loss[name]]
    return (penalties.total(*used) if used[1:] else used[0]) if used else None


def build_augment(policy: Sequence[str]) -> Augment | None:
    """Random changes of pictures, one after the other, then ADA's; None where there are none."""
    kinds = {
        "flip": diffaugment.flip,
        "crop": diffaugment.crop,
        "color": diffaugment.color,
        "translation": diffaugment.translation,
        "cutout": diffaugment.cutout,
        "randaugment": randaugment,
        "trivialaugment": trivialaugment,
    }
    changes = [kinds[name]() for name in policy if name in kinds]
    groups = [name for name in policy if name not in kinds]
    return diffaugment.chain(*changes, *([ada.make(groups)] if groups else [])) if policy else None


def _always(change: Augment | None, p: float) -> Augment | None:
    """With a fixed probability, whatever that of the call is."""
    return change and (lambda images, _, key: change(images, jnp.float32(p), key))


def _instance_noise(config: ConfigDict, pictures: Pictures) -> optax.Schedule | None:
    std, until = config.augment.noise, config.augment.noise_until
    if not std:
        return None
    if not until:
        return schedules.constant(std)
    return schedules.linear(std, 0.0, _steps(config, pictures, until))


def _standardise(data: ConfigDict, pictures: Pictures) -> Callable[[Images], Images]:
    if data.normalise == "range":
        return lambda images: images
    return partial(standardise, mean=pictures.mean, std=pictures.std)


def _steps(config: ConfigDict, pictures: Pictures, duration: str) -> float:
    train = config.train
    drawn = train.batch_size * (1 if train.same_batch else train.n_critic)
    steps = schedules.steps(duration, pictures.count, drawn)
    if "step" in duration or not (train.boost.first or train.boost.every):
        return steps
    shown = ConfigDict({"steps": None, "epochs": None, "kimg": steps * drawn / 1000})
    return total_steps(shown, pictures.count, drawn, partial(_more, train))


def _optimiser(config: ConfigDict, pictures: Pictures, player: str) -> optax.GradientTransformation:
    section = config.optim[player]
    rate, final = section.learning_rate, section.final
    steps = partial(_steps, config, pictures)
    kinds = {
        "constant": lambda t_max: schedules.constant(rate),
        "cosine": lambda t_max: schedules.cosine(rate, final, t_max),
        "restarts": lambda t_max: schedules.restarts(rate, final, t_max),
        "linear": lambda t_max: schedules.linear(rate, final, t_max),
    }
    schedule = kinds[section.schedule](steps(section.t_max) if section.t_max else None)
    if section.warmup:
        schedule = schedules.warmed_up(schedule, steps(section.warmup))
    if section.name == "rmsprop":
        tx = optimizers.rmsprop(schedule, section.b2)
    else:
        tx = optimizers.adam(schedule, section.b1, section.b2)
    clip = section.get("clip")
    return optax.chain(tx, optimizers.clip_weights(clip)) if clip else tx


def _classifier(config: ConfigDict, axis_name: str | None, pictures: Pictures) -> Recipe:
    model = build_classifier(config, axis_name)
    train, decay = config.train, config.train.get("ema_decay", 0.0)
    tx = _classifier_optimiser(config, pictures)

    def init(key: PRNGKey) -> ClassifierState:
        net = new_net(model.lazy_init(key, _images(config), False), tx)
        if not decay:
            return ClassifierState(jnp.int32(0), net)
        averages = {  # Copies, since donated buffers must not be shared.
            kind: {k: jax.tree.map(jnp.copy, x) for k, x in layers.items() if _moves(config, k)}
            for kind, layers in net.variables.items()
        }
        return AveragedState(jnp.int32(0), net, averages)

    step = classifier.make_step(
        model,
        tx,
        label_smoothing=train.label_smoothing,
        augment=build_augment(train.augment),
        mixup=train.mixup,
        cutmix=train.get("cutmix", 0.0),
        feature_noise=train.get("feature_noise", 0.0),
        ema_decay=decay,
        frozen=config.optim.trunk == 0,
        microbatch=train.microbatch,
        axis_name=axis_name,
    )
    return Recipe(init, step)


def _classifier_optimiser(config: ConfigDict, pictures: Pictures) -> optax.GradientTransformation:
    """Runs of older configs have a constant rate and nothing else."""
    settings, train = config.optim, config.train
    rate: float | optax.Schedule = settings.learning_rate
    if follows_length(config):
        steps = float(total_steps(train, pictures.count, train.batch_size))
        schedule = schedules.constant(settings.learning_rate)
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
    model, images = build_classifier(own), _images(own)
    shapes = jax.eval_shape(lambda key: model.lazy_init(key, images, False), jax.random.key(0))
    return sorted(shapes["params"])


def _stylegan2(config: ConfigDict, axis_name: str | None, pictures: Pictures) -> Recipe:
    return stylegan2.recipe(config, axis_name)


def _pca(config: ConfigDict, axis_name: str | None, pictures: Pictures) -> Recipe:
    """The shapes alone: what trains nothing has no step."""
    generator = build_generator(config)

    def init(key: PRNGKey) -> GANState:
        latents = jax.ShapeDtypeStruct((2, config.model.latent_dim), jnp.float32)
        variables = generator.lazy_init(key, latents, False)
        nothing = Net({}, {}, ())
        return GANState(jnp.int32(1), nothing, nothing, variables)

    return Recipe(init, lambda state, batch, key: (state, {}))


def _moves(config: ConfigDict, layer: str) -> bool:
    """Whether training changes a classifier's layer; batch statistics move in a frozen one, too."""
    return config.optim.trunk != 0 or layer.startswith(torchvision.HEADS[config.model.name])


def _factor(config: ConfigDict, name: str) -> float:
    """Of the learning rate, for an array of a classifier."""
    if name.startswith(tuple(config.optim.frozen)):
        return 0.0
    return 1.0 if name.startswith(torchvision.HEADS[config.model.name]) else config.optim.trunk


_RECIPES = {
    "wgan": _gan,
    "dcgan": _gan,
    "fastgan": _gan,
    "pca": _pca,
    "projected": _projected,
    "stylegan2": _stylegan2,
    "googlenet": _classifier,
    "resnet": _classifier,
    "vgg16": _classifier,
}
_GENERATORS = {
    "wgan": _wgan_generator,
    "dcgan": _dcgan_generator,
    "fastgan": _fastgan_generator,
    "refiner": _refiner,
}
_CRITICS = {"wgan": _wgan_critic, "dcgan": _discriminator, "fastgan": _fastgan_critic}
