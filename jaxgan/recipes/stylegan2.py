"""From a config to a StyleGAN2 and its recipe; and what its named settings are."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgan.augment import ada
from jaxgan.config.settings import Adam
from jaxgan.config.typed import StyleGAN2
from jaxgan.models import stylegan2
from jaxgan.recipes import networks, second_critic
from jaxgan.recipes.durations import ImageStats
from jaxgan.recipes.generators import build_generator
from jaxgan.steps import optimizers, schedules
from jaxgan.steps import stylegan2 as steps
from jaxgan.steps.state import AidedStyleGAN2State, StyleGAN2State, new_net
from jaxgan.types import PRNGKey, Recipe

# By name, what does not follow from the resolution. All but small are the published tool's.
SETTINGS: dict[str, dict] = {
    "auto": {},
    "paper256": {
        "batch_size": 64,
        "group_size": 8,
        "features": 0.5,
        "learning_rate": 0.0025,
        "r1": 1.0,
        "ema_kimg": 20.0,
        "ema_ramp": None,
        "mapping_layers": 8,
    },
    "stylegan2": {
        "batch_size": 32,
        "group_size": 4,
        "features": 1.0,
        "learning_rate": 0.002,
        "r1": 10.0,
        "ema_kimg": 10.0,
        "ema_ramp": None,
        "mapping_layers": 8,
    },
    # Some hundred pictures at 64 or 128 px, on a small machine: half as wide as auto, twice its R1
    # by half its batch, mirrored, and p five times as fast.
    "small": {"batch_size": 16, "features": 0.25, "flip": True, "speed_kimg": 100.0},
}


def settings(name: str, resolution: int) -> dict:
    """The values of a named choice; those of auto follow from the resolution and the devices.

    Args:
        name: of SETTINGS; `auto:8` is auto's for so many devices. It says what is computed, not on
            how many devices: any number does.
        resolution: in pixels.

    Raises:
        ValueError: no such name, or no such number of devices.

    References:
        Karras et al., Training Generative Adversarial Networks with Limited Data, 2020,
        appendix C, and the published tool.
    """
    name, _, count = name.partition(":")
    if name not in SETTINGS or (count and name != "auto"):
        raise ValueError(f"the argument must be one of {', '.join(SETTINGS)} or auto:DEVICES, "
                         f"got {name}{':' * bool(count)}{count}")  # fmt: skip
    if count and not (count.isdecimal() and int(count)):
        raise ValueError(f"the argument must be auto:DEVICES with a number above 0, got {count!r}")
    devices, given = int(count or 1), SETTINGS[name]
    batch = max(min(devices * min(4096 // resolution, 32), 64), devices)
    batch = given.get("batch_size", batch)
    return {
        "batch_size": batch,
        "group_size": min(batch // devices, 4),
        "features": 1.0 if resolution >= 512 else 0.5,
        "learning_rate": 0.002 if resolution >= 1024 else 0.0025,
        "r1": 0.0002 * resolution**2 / batch,
        "ema_kimg": batch * 10 / 32,
        "ema_ramp": 0.05,
        "mapping_layers": 2,
        "flip": False,
        "speed_kimg": 500.0,
    } | given


def chosen(name: str, resolution: int) -> dict[str, Any]:
    """Return the values of a config for a named choice at a resolution; `settings` says which."""
    own = settings(name, resolution)
    return {
        "data.resolution": resolution,
        "data.flip": own["flip"],
        "model.channel_base": int(32768 * own["features"]),
        "model.mapping_layers": own["mapping_layers"],
        "model.group_size": own["group_size"],
        "loss.r1": own["r1"],
        "augment.speed_kimg": own["speed_kimg"],
        "optim.generator.learning_rate": own["learning_rate"],
        "optim.critic.learning_rate": own["learning_rate"],
        "train.batch_size": own["batch_size"],
        "train.ema_kimg": own["ema_kimg"],
        "train.ema_ramp": own["ema_ramp"],
    }


def choose(config: ConfigDict, name: str, resolution: int) -> ConfigDict:
    """The config with the values of a named choice at a resolution: see `chosen`."""
    config.update_from_flattened_dict(chosen(name, resolution))
    return config


def frozen_layers(resolution: int) -> list[str]:
    """The discriminator's layers before 4 x 4, from the pictures on.

    References:
        Mo et al., Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs, 2020.
    """
    sizes = [resolution >> i for i in range(resolution.bit_length() - 3)]
    blocks = [f"b{size}/{layer}/" for size in sizes for layer in ("conv0", "conv1", "skip")]
    return [f"b{resolution}/fromrgb/", *blocks]


def recipe(
    config: StyleGAN2, axis_name: str | None = None, stats: ImageStats = ImageStats()
) -> Recipe:
    """The recipe of a checked config."""
    loss, train, model = config.loss, config.train, config.model
    make_critic = partial(
        stylegan2.Discriminator,
        resolution=config.data.resolution,
        num_classes=config.num_classes,
        channel_base=model.channel_base,
        channel_max=model.channel_max,
        clamp=model.clamp,
        bf16_blocks=networks.bf16_blocks(model, config.precision),
        group_size=model.group_size,
    )
    generator, critic = build_generator(config, axis_name), make_critic(axis_name=axis_name)
    r1 = steps.Lazy(loss.r1, loss.r1_every)
    path = steps.Lazy(loss.path_length, loss.path_every)
    generator_tx = _optimiser(config.optim.generator, path)
    critic_tx = _optimiser(config.optim.critic, r1)
    if config.optim.critic.frozen:
        still = tuple(frozen_layers(config.data.resolution)[: config.optim.critic.frozen])
        critic_tx = optimizers.scaled(
            critic_tx, lambda name: 0.0 if name.startswith(still) else 1.0
        )
    adaptive = config.augment.p is None
    augment = ada.make(config.augment.policy) if config.augment.policy else None
    steps_of = partial(schedules.steps, images=stats.count, images_a_step=train.batch_size)
    second = second_critic.build(
        config.vision,
        augment,
        steps_of,
        resolution=config.data.resolution,
        precision=config.precision,
    )

    def init(key: PRNGKey) -> StyleGAN2State:
        generator, critic = build_generator(config), make_critic()  # In no `pmap`.
        generator_key, critic_key = jax.random.split(key)
        size, classes = config.data.resolution, config.num_classes
        z = jax.ShapeDtypeStruct((2, model.latent_dim), jnp.float32)
        images = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
        labels = jax.ShapeDtypeStruct((2,), jnp.int32) if classes else None
        net = new_net(generator.lazy_init(generator_key, z, False, labels), generator_tx)
        state = StyleGAN2State(
            step=jnp.int32(0),
            generator=net,
            critic=new_net(critic.lazy_init(critic_key, images, False, labels), critic_tx),
            ema=jax.tree.map(jnp.copy, net.variables),  # Donated buffers must not be shared.
            path_mean=jnp.float32(0),
            p=jnp.float32(config.augment.p or 0),
            signs=jnp.float32(0),
        )
        if second is None:
            return state
        return AidedStyleGAN2State(**vars(state), second=second.init(key))

    make_turns = partial(
        steps.make_turns,
        generator,
        critic,
        generator_tx,
        critic_tx,
        latent_dim=model.latent_dim,
        r1_gamma=r1,
        path=path,
        path_decay=loss.path_decay,
        style_mixing=loss.style_mixing,
        augment=augment,
        adaptation=steps.Adaptation(config.augment.target, config.augment.speed_kimg)
        if adaptive and config.augment.policy
        else None,
        ema_kimg=train.ema_kimg,
        # From an average that is good already a ramp would begin with forgetting it.
        ema_ramp=None if config.init_from else train.ema_ramp,
        conditional=config.num_classes > 0,
        microbatch=train.microbatch,
        remat=train.remat,
        axis_name=axis_name,
        all_reduce=train.all_reduce,
    )
    turns, alone, start = make_turns(), None, 0.0
    if second is not None:
        # The other turns are the same functions, which are compiled once.
        alone, start = turns, second.start
        turns = turns._replace(generator=make_turns(second=second.critic).generator)
    due = steps.due(turns, r1, path, alone, start)
    return Recipe(init, steps.whole(turns), turns=due)


def _optimiser(section: Adam, lazy: steps.Lazy):
    make = partial(optimizers.lazy_adam, interval=lazy.every) if lazy.weight else optimizers.adam
    return make(section.learning_rate, section.b1, section.b2)
