"""What each setting of a config may be: its type, bounds, names and length, declared once.

`checks` asks for the rest: what settings mean together.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxgan.augment import ada
from jaxgan.config.declarations import (
    ANY,
    BETWEEN,
    LARGEST,
    PART,
    SEED,
    SHARE,
    SOME,
    TRUTH,
    Setting,
    check_value,
    maybe,
    number,
    optional,
    positive,
    several,
    shown,
    text,
    whole,
)
from jaxgan.config.loading import CLASSIFIERS, GANS, GENERATORS, is_experiment
from jaxgan.data import layout
from jaxgan.errors import InputError
from jaxgan.models import backbones, resnet

LOSSES = (
    "wasserstein",
    "non_saturating",
    "least_squares",
    "hinge",
    "relativistic_pairing",
    "relativistic_average",
)
# DiffAugment's color and cutout keep their names; the rest are ADA's groups.
AUGMENTS = ("flip", "color", "translation", "cutout")
AUGMENTS += tuple(name for name in ada.GROUPS if name not in AUGMENTS)
METRICS = ("frechet", "kid", "precision", "recall", "density", "coverage")
CLASSIFIER_AUGMENTS = ("flip", "crop", "color", "translation", "cutout")
CLASSIFIER_AUGMENTS += ("randaugment", "trivialaugment")
OUTCOMES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier")
SCHEDULES = ("constant", "cosine", "restarts", "linear")
SELECTED_BY = ("realism", "density", "outlier", "none")  # What needs no classifier.

DATA = {
    "data.path": text(path="local"),
    "data.classes": several(text(), 0, 100_000),
    "data.limit": maybe(whole()),
    "data.crop": text("center", "stretch"),
    "data.on_error": text("skip", "raise"),
    "data.given_sides": optional(text("use", "merge")),
    "data.layout": optional(text(*layout.READINGS)),
    "data.groups": optional(maybe(text())),
    "data.duplicates": optional(ANY),  # Text or a number: `duplicates.parse` says which.
}
SPLIT = several(number(), 0, 1000)  # `checks.check_fractions` says what else.
TRAINING = DATA | {
    "seed": SEED,
    "parallel": text("auto", "jit", "pmap"),
    "precision": text("float32", "bf16"),
    "deterministic": TRUTH,
    "init_from": maybe(text(path="remote")),
    "model.name": text(*GANS, *CLASSIFIERS),
    "data.resolution": whole(1, 4096),
    "data.split": optional(SPLIT),
    "train.steps": maybe(whole()),
    "train.epochs": maybe(positive(1e6)),
    "train.kimg": maybe(positive()),
    "train.batch_size": whole(1, 2**20),
    "train.microbatch": maybe(whole(1, 2**20)),
    "train.remat": TRUTH,
    "train.profile": maybe(text()),
    "train.log_every": whole(),
    "train.sample_every": whole(),
    "train.checkpoint_every": whole(),
    "train.checkpoint_minutes": optional(maybe(positive(1e6))),
    "train.steps_per_call": optional(whole(1, 1000)),
}
ADAM = {"learning_rate": positive(1e3), "b1": PART, "b2": PART}
EVALUATE = {
    "evaluate.every": whole(0),
    "evaluate.pictures": whole(1, 10**7),
    "evaluate.metrics": several(text(*METRICS), 1),
    "evaluate.best": text(*METRICS),
    "evaluate.features": text("auto", "vgg16", "alexnet", "light"),
    "evaluate.share": SOME,
    "evaluate.allow_seen": optional(TRUTH),
}
GAN = EVALUATE | {
    "retrain": optional(whole(1, 1000)),  # Of an experiment's.
    "data.flip": TRUTH,
    "model.latent_dim": whole(1, 2**16),
    "train.min_diversity": PART,
    "train.on_collapse": text("warn", "stop", "rollback"),
    "train.rollbacks": whole(0),
}
PLAYER = ADAM | {
    "name": text("adam", "rmsprop"),
    "schedule": text(*SCHEDULES),
    "final": number(0.0, 1e3),
    "t_max": maybe(text()),
    "warmup": maybe(text()),
}
ADVERSARIAL = GAN | {
    "data.normalise": text("range", "statistics"),
    "model.channels": whole(1, 2**15),
    "loss.name": text(*LOSSES),
    "loss.real_labels": several(number(-LARGEST), 2, 2),
    "loss.flipped": SHARE,
    "loss.targets": several(number(-LARGEST), 3, 3),
    "loss.margin": several(number(-LARGEST), 2, 2),
    "loss.gradient_penalty": number(),
    "loss.r1": number(),
    "loss.r2": number(),
    "augment.policy": several(text(*AUGMENTS)),
    "augment.p": SHARE,
    "augment.noise": number(0.0, 1e3),
    "augment.noise_until": maybe(text()),
    **{f"optim.{player}.{k}": v for player in ("generator", "critic") for k, v in PLAYER.items()},
    "optim.critic.clip": maybe(positive()),
    "train.n_critic": whole(1, 10**6),
    "train.same_batch": TRUTH,
    "train.boost.n_critic": whole(1, 10**6),
    "train.boost.first": whole(0),
    "train.boost.every": whole(0),
    "train.ema_decay": PART,
}
VISION = {  # Of a second critic, beside a first one; not every config has it.
    "vision.backbone": text(*backbones.NAMES),
    "vision.backbone_size": whole(1, 4096),
    "vision.weight": number(),
    "vision.start": maybe(text()),
    "vision.mixed": whole(1, 2**12),
    "vision.head_width": whole(1, 2**12),
    **{f"vision.{key}": setting for key, setting in ADAM.items()},
}
DCGAN = {
    "model.slope": number(0.0, 1e3),
    "model.dropout": several(PART, 0, 100, single=True),
    "model.generator_dropout": several(PART, 0, 100, single=True),
    **dict.fromkeys(("model.norm", "model.selu", "model.spectral_norm"), TRUTH),
}
PROJECTED = {name: optional(setting) for name, setting in (ADVERSARIAL | DCGAN).items()} | {
    "model.generator": text("refiner", "dcgan"),
    "model.channels": whole(1, 2**15),
    "model.backbone": text(*backbones.NAMES),
    "model.backbone_size": whole(1, 4096),
    "model.mixed": whole(1, 2**12),
    "model.head_width": whole(1, 2**12),
    "model.patch": several(whole(1, 2**12), 0, 10),
    "loss.name": text("hinge"),
    "augment.policy": several(text(*AUGMENTS)),
    "augment.p": SHARE,
    **{f"optim.{player}.{k}": v for player in ("generator", "critic") for k, v in PLAYER.items()},
    "train.ema_kimg": positive(),
    "train.ema_ramp": maybe(positive()),
}
DRIFTING = (
    {name: optional(setting) for name, setting in DCGAN.items()}
    | GAN
    | {
        "model.generator": text("refiner", "dcgan"),
        "model.channels": whole(1, 2**15),
        "model.backbone": text(*(name for name in backbones.NAMES if name != "none")),
        "model.backbone_size": whole(1, 4096),
        "loss.name": text("drifting"),
        "loss.temperatures": several(positive(1e3), 1, 100),
        **{f"optim.generator.{key}": setting for key, setting in PLAYER.items()},
        "train.positives": whole(2, 2**16),
        "train.ema_kimg": positive(),
        "train.ema_ramp": maybe(positive()),
    }
)
STYLEGAN2 = GAN | {
    "model.conditional": TRUTH,
    "model.w_dim": whole(1, 2**16),
    "model.channel_base": whole(1, 2**24),
    "model.channel_max": whole(1, 2**15),
    "model.mapping_layers": whole(1, 1000),
    "model.group_size": whole(1, 2**20),
    "model.clamp": maybe(positive()),
    "model.bf16_blocks": whole(0),
    "loss.r1": number(),
    "loss.r1_every": whole(),
    "loss.path_length": number(),
    "loss.path_every": whole(),
    "loss.path_decay": SHARE,
    "loss.style_mixing": SHARE,
    "augment.policy": several(text(*ada.GROUPS)),
    "augment.p": maybe(SHARE),
    "augment.target": Setting(float, -1.0, 1.0, above=True, below=True),
    "augment.speed_kimg": positive(),
    **{f"optim.{player}.{k}": v for player in ("generator", "critic") for k, v in ADAM.items()},
    "optim.critic.frozen": whole(0),
    "train.ema_kimg": positive(),
    "train.ema_ramp": maybe(positive()),
}
CLASSIFIER = {
    "data.flip": optional(TRUTH),
    "data.split": SPLIT,
    "model.num_classes": maybe(whole(1, 10**6)),
    "model.width": positive(64.0),
    "model.hidden": several(whole(1, 2**16), 0, 100),
    "model.pretrained": maybe(text(path="local")),
    **{f"optim.{key}": setting for key, setting in ADAM.items()},
    "optim.name": text("adam", "adamw", "sgd"),
    "optim.momentum": PART,
    "optim.weight_decay": number(0.0, 1e3),
    "optim.schedule": text("constant", "cosine"),
    "optim.final": number(0.0, 1e3),
    "optim.warmup": PART,
    "optim.trunk": number(0.0, 1e3),
    "optim.frozen": several(text()),
    "train.label_smoothing": PART,
    "train.augment": several(text(*CLASSIFIER_AUGMENTS)),
    "train.mixup": number(0.0, 1e3),
    "train.cutmix": number(0.0, 1e3),
    "train.feature_noise": number(0.0, 1e3),
    "train.ema_decay": PART,
    "train.views": whole(1, 1000),
}
OF_MODEL: dict[str, dict[str, Setting]] = {
    "wgan": ADVERSARIAL | {"model.init": text("uniform", "normal")},
    "dcgan": ADVERSARIAL | DCGAN,
    "fastgan": ADVERSARIAL
    | {
        "model.critic_channels": whole(1, 2**15),
        "model.lite": TRUTH,
        "model.rebuild": TRUTH,
    },
    "projected": PROJECTED,
    "drifting": DRIFTING,
    "stylegan2": STYLEGAN2,
    "googlenet": CLASSIFIER | {"model.aux_heads": TRUTH},
    "resnet": CLASSIFIER
    | {
        "model.blocks": several(whole(1, 1000), 4, 4),
        "model.stem": maybe(text(*resnet.STEMS)),
        "model.dropout": PART,
    },
    "vgg16": CLASSIFIER | {"model.grid": whole(1, 1000), "model.dropout": PART},
}
"""By the model's name, besides those of all trainings."""
PCA = DATA | {
    "seed": SEED,
    "parallel": text("auto", "jit", "pmap"),
    "precision": text("float32", "bf16"),
    "data.resolution": whole(8, 4096),
    "init_from": maybe(text()),
    "model.name": text("pca"),
    "model.latent_dim": maybe(whole(1, 2**16)),
    "model.components": maybe(positive(1e6)),
    "model.mirror": TRUTH,
    "model.shrink": SHARE,
}
EXPERIMENT = DATA | {
    "seed": SEED,
    "seeds": several(SEED),
    "parallel": text("auto", "jit", "pmap"),
    "deterministic": TRUTH,
    "data.split": SPLIT,
    "data.folds": whole(1, 1000),
    "data.subset": SOME,
    "arms": several(text(), 1),
    "generated": maybe(text(path="mapping")),
    "epochs": text("real", "arm"),
    "stop_below": maybe(BETWEEN),
    "vmap_seeds": whole(1, 1000),
    "replace.share": SOME,
    "replace.classes": several(text(), 0, 100_000),
    "add.ratio": positive(1000.0),
    "add.amounts": several(positive(1000.0), 0, 100),
    "select.by": text(*SELECTED_BY),
    "select.surplus": whole(1, 1000),
    "verdict.primary": several(text(), 2, 2),
    "verdict.outcome": text(*OUTCOMES),
    "verdict.level": BETWEEN,
    "verdict.margin": maybe(BETWEEN),
    "verdict.width": maybe(BETWEEN),
    "verdict.looks": several(whole(1, 1000)),
    "gan.retrain": whole(1, 1000),
}


def check(config: ConfigDict, name: str = "config") -> None:
    """Check each setting for itself.

    Args:
        config: of a training, or of an experiment with its two stages.
        name: what errors call it.

    Raises:
        InputError: a setting is missing, or is not what it may be.
    """
    stages = {"": GENERATORS + CLASSIFIERS}
    if is_experiment(config):
        _check_all(config, EXPERIMENT, name)
        stages = {"gan": GANS, "classifier": CLASSIFIERS}
    for stage, models in stages.items():
        of, at = (config, name) if not stage else (_section(config, stage, name), f"{name}.{stage}")
        _check_all(of, {"model.name": text(*models)}, at)
        known = PCA if of.model.name == "pca" else TRAINING | OF_MODEL[of.model.name]
        _check_all(of, known, at)
        _check_sections(of, known, at)
        if "vision" in of:
            _check_all(of, VISION, at)


def _check_all(config: ConfigDict, settings: Mapping[str, Setting], name: str) -> None:
    for dotted, setting in settings.items():
        *path, last = dotted.split(".")
        section, at = config, name
        for part in path:
            section, at = _section(section, part, at), f"{at}.{part}"
        if last in section:
            check_value(f"{at}.{last}", section[last], setting)
        elif setting.required:
            raise InputError(f"{at}.{last} must be set, and this config does not have it")
    for dotted, value in _values(config, name):
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{dotted} must be a finite number, got {value}")


def _check_sections(config: ConfigDict, known: Mapping[str, Setting], name: str) -> None:
    """Raise InputError for a section that nothing reads: it would be ignored in silence."""
    read = {dotted.partition(".")[0] for dotted in known}
    model = config.model.name
    if model in GANS or config.get("vision", {}).get("backbone") == "none":
        read.add("vision")  # `checks` says which GANs it goes with.
    for part, found in config.items():
        if isinstance(found, ConfigDict) and part not in read:
            raise InputError(
                f"{name}.{part} must not be set: model.name={model} has no such section, but "
                f"{', '.join(sorted(s for s in read if isinstance(config.get(s), ConfigDict)))}"
            )


def _section(config: ConfigDict, part: str, name: str) -> ConfigDict:
    found = config.get(part)
    if not isinstance(found, ConfigDict):
        got = "nothing" if part not in config else shown(found)
        raise InputError(f"{name}.{part} must be a section with settings, got {got}")
    return found


def _values(config: ConfigDict, prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            yield from _values(value, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}", value
