"""Values of a config that make no sense: each is one sentence, before anything is compiled."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxgan import ada, arms, recipes, schedules
from jaxgan.config import CLASSIFIERS, GANS, LENGTHS, profile_steps
from jaxgan.models import backbones, resnet
from jaxgan.types import InputError

LOSSES = (
    "wasserstein",
    "non_saturating",
    "least_squares",
    "hinge",
    "relativistic_pairing",
    "relativistic_average",
)
PENALTIES = ("gradient_penalty", "r1", "r2")
# DiffAugment's color and cutout keep their names; the rest are ADA's groups.
AUGMENTS = ("flip", "color", "translation", "cutout")
AUGMENTS += tuple(name for name in ada.GROUPS if name not in AUGMENTS)
METRICS = ("frechet", "kid", "precision", "recall", "density", "coverage")
CLASSIFIER_AUGMENTS = ("flip", "crop", "color", "translation", "cutout")
CLASSIFIER_AUGMENTS += ("randaugment", "trivialaugment")
PROJECTED = ("refiner", "dcgan")  # Generators that a projected critic may teach.
OUTCOMES = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier")
SCHEDULES = ("constant", "cosine", "restarts", "linear")


def check_training(config: ConfigDict, name: str = "config") -> None:
    """Raises InputError for a value of a GAN's or classifier's config that makes no sense."""
    _one_of(f"{name}.parallel", config.parallel, ("auto", "jit", "pmap"))
    _one_of(f"{name}.precision", config.precision, ("float32", "bf16"))
    _check_data(config.data, name)
    _one_of(f"{name}.model.name", config.model.name, GANS + CLASSIFIERS)
    if not 0 <= config.seed < 2**32:
        raise InputError(f"{name}.seed must be within [0, 2**32), got {config.seed}")
    train = config.train
    lengths = [n for n in LENGTHS if train[n] is not None]
    if len(lengths) != 1:
        raise InputError(
            f"one of {name}.train.steps, epochs and kimg must be set, got {len(lengths)}"
        )
    for key in ("batch_size", lengths[0], "log_every", "sample_every", "checkpoint_every"):
        _positive(f"{name}.train.{key}", train[key])
    if train.microbatch is not None:
        _positive(f"{name}.train.microbatch", train.microbatch)
        if train.batch_size % train.microbatch:
            raise InputError(
                f"{name}.train.microbatch must divide {name}.train.batch_size "
                f"({train.batch_size}), got {train.microbatch}"
            )
    profile_steps(train.profile, name)
    if config.model.name == "stylegan2":
        _check_stylegan2(config, name)
    elif config.model.name == "projected":
        _check_projected(config, name)
    elif config.model.name in GANS:
        _check_gan(config, name)
    else:
        _check_classifier(config, name)


def _check_size(resolution: int, name: str) -> None:
    if not 16 <= resolution <= 1024 or resolution & (resolution - 1):
        raise InputError(
            f"{name}.data.resolution must be a power of two from 16 to 1024, got {resolution}"
        )


def _check_stylegan2(config: ConfigDict, name: str) -> None:
    model, loss, augment, train = config.model, config.loss, config.augment, config.train
    _check_size(config.data.resolution, name)
    for key in ("latent_dim", "w_dim", "channel_base", "channel_max", "mapping_layers"):
        _positive(f"{name}.model.{key}", model[key])
    _positive(f"{name}.model.group_size", model.group_size)
    _not_negative(f"{name}.model.bf16_blocks", model.bf16_blocks)
    if model.clamp is not None:
        _positive(f"{name}.model.clamp", model.clamp)
    for key in ("r1", "path_length"):
        _not_negative(f"{name}.loss.{key}", loss[key])
    for key in ("r1_every", "path_every"):
        _positive(f"{name}.loss.{key}", loss[key])
    for key, value in (("loss.path_decay", loss.path_decay), ("augment.p", augment.p or 0)):
        _within(f"{name}.{key}", value)
    _within(f"{name}.loss.style_mixing", loss.style_mixing)
    for policy in augment.policy:
        _one_of(f"each of {name}.augment.policy", policy, tuple(ada.GROUPS))
    if not -1 < augment.target < 1:
        raise InputError(f"{name}.augment.target must be within (-1, 1), got {augment.target}")
    _positive(f"{name}.augment.speed_kimg", augment.speed_kimg)
    for player in ("generator", "critic"):
        _check_adam(f"{name}.optim.{player}", config.optim[player])
    layers = 1 + 3 * (config.data.resolution.bit_length() - 3)
    if not 0 <= config.optim.critic.frozen <= layers:
        raise InputError(
            f"{name}.optim.critic.frozen must be within [0, {layers}], the discriminator's layers "
            f"above 4 x 4, got {config.optim.critic.frozen}"
        )
    _positive(f"{name}.train.ema_kimg", train.ema_kimg)
    if train.ema_ramp is not None:
        _positive(f"{name}.train.ema_ramp", train.ema_ramp)
    at_once = "microbatch" if train.microbatch else "batch_size"
    group = min(model.group_size, train[at_once])
    if train[at_once] % group or train[at_once] % 2:
        raise InputError(
            f"{name}.train.{at_once} must be even and a multiple of {name}.model.group_size "
            f"({model.group_size}), got {train[at_once]}"
        )
    _check_collapse(train, f"{name}.train")
    _check_evaluate(config.evaluate, f"{name}.evaluate")


def _within(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InputError(f"{name} must be within [0, 1], got {value}")


def _check_gan(config: ConfigDict, name: str) -> None:
    _check_size(config.data.resolution, name)
    _positive(f"{name}.model.latent_dim", config.model.latent_dim)
    _positive(f"{name}.model.channels", config.model.channels)
    if config.model.name == "wgan":
        _one_of(f"{name}.model.init", config.model.init, ("uniform", "normal"))
    _one_of(f"{name}.data.normalise", config.data.normalise, ("range", "statistics"))
    if config.model.name == "dcgan":
        _not_negative(f"{name}.model.slope", config.model.slope)
        for key in ("generator_dropout", "dropout"):
            for rate in _tuple(config.model[key]):
                _share(f"{name}.model.{key}", rate)
    _check_loss(config, name)
    for policy in config.augment.policy:
        _one_of(f"each of {name}.augment.policy", policy, AUGMENTS)
    _within(f"{name}.augment.p", config.augment.p)
    _not_negative(f"{name}.augment.noise", config.augment.noise)
    _check_duration(f"{name}.augment.noise_until", config.augment.noise_until)
    for player in ("generator", "critic"):
        _check_player(f"{name}.optim.{player}", config.optim[player])
    if config.optim.critic.clip is not None:
        _positive(f"{name}.optim.critic.clip", config.optim.critic.clip)
    _check_turns(config.train, f"{name}.train")
    _share(f"{name}.train.ema_decay", config.train.ema_decay)
    _check_evaluate(config.evaluate, f"{name}.evaluate")


def _check_projected(config: ConfigDict, name: str) -> None:
    model, train, side = config.model, config.train, config.data.resolution
    _check_size(side, name)
    _one_of(f"{name}.model.generator", model.generator, PROJECTED)
    if model.generator == "refiner" and not 32 <= side <= 256:
        raise InputError(
            f"{name}.data.resolution must be from 32 to 256 for a refiner (take stylegan2 beyond), "
            f"got {side}"
        )
    for key in ("latent_dim", "channels", "mixed", "head_width"):
        _positive(f"{name}.model.{key}", model[key])
    _one_of(f"{name}.model.backbone", model.backbone, backbones.NAMES)
    for features in model.patch:
        _positive(f"each of {name}.model.patch", features)
    if model.backbone == "none" and not model.patch:
        raise InputError(f"{name}.model.patch must not be () where {name}.model.backbone is none")
    if 2 ** len(model.patch) > side // 2:
        raise InputError(
            f"{name}.model.patch must leave 2 px or more of {side}, got {len(model.patch)} layers"
        )
    published = backbones.FILES.get(model.backbone)
    least = published.smallest if published else 16
    if model.backbone != "none" and not least <= model.backbone_size <= side:
        raise InputError(
            f"{name}.model.backbone_size must be from {least} ({model.backbone}'s least) to "
            f"{name}.data.resolution ({side}), got {model.backbone_size}"
        )
    _one_of(f"{name}.loss.name", config.loss.name, ("hinge",))
    for policy in config.augment.policy:
        _one_of(f"each of {name}.augment.policy", policy, AUGMENTS)
    _within(f"{name}.augment.p", config.augment.p)
    for player in ("generator", "critic"):
        _check_player(f"{name}.optim.{player}", config.optim[player])
    _positive(f"{name}.train.ema_kimg", train.ema_kimg)
    if train.ema_ramp is not None:
        _positive(f"{name}.train.ema_ramp", train.ema_ramp)
    _check_collapse(train, f"{name}.train")
    _check_evaluate(config.evaluate, f"{name}.evaluate")


def _check_evaluate(evaluate: ConfigDict, name: str) -> None:
    _not_negative(f"{name}.every", evaluate.every)
    _positive(f"{name}.pictures", evaluate.pictures)
    for metric in evaluate.metrics:
        _one_of(f"each of {name}.metrics", metric, METRICS)
    _one_of(f"{name}.best", evaluate.best, tuple(evaluate.metrics))
    _one_of(f"{name}.features", evaluate.features, ("auto", "vgg16", "light"))
    if not 0 < evaluate.share <= 1:
        raise InputError(f"{name}.share must be within (0, 1], got {evaluate.share}")


def _check_loss(config: ConfigDict, name: str) -> None:
    loss = config.loss
    _one_of(f"{name}.loss.name", loss.name, LOSSES)
    low, high = _numbers(f"{name}.loss.real_labels", loss.real_labels, 2)
    if not 0 <= low <= high <= 1:
        raise InputError(
            f"{name}.loss.real_labels must be a range (low, high) within [0, 1], got {(low, high)}"
        )
    if not 0 <= loss.flipped <= 1:
        raise InputError(f"{name}.loss.flipped must be within [0, 1], got {loss.flipped}")
    _numbers(f"{name}.loss.targets", loss.targets, 3)
    for key in PENALTIES:
        _not_negative(f"{name}.loss.{key}", loss[key])
    mixes = config.model.name == "dcgan" and config.model.norm and not config.model.selu
    if mixes and (used := [key for key in PENALTIES if loss[key]]):
        raise InputError(
            f"{name}.loss.{used[0]} must be 0 where the discriminator has batch normalisation, "
            f"which mixes pictures up (set {name}.model.norm=False), got {loss[used[0]]}"
        )


def _check_player(name: str, optim: ConfigDict) -> None:
    _one_of(f"{name}.name", optim.name, ("adam", "rmsprop"))
    _check_adam(name, optim)
    _one_of(f"{name}.schedule", optim.schedule, SCHEDULES)
    _not_negative(f"{name}.final", optim.final)
    _check_duration(f"{name}.t_max", optim.t_max)
    _check_duration(f"{name}.warmup", optim.warmup)
    if optim.schedule != "constant" and optim.t_max is None:
        raise InputError(f"{name}.t_max must be set with schedule={optim.schedule}, got None")


def _check_turns(train: ConfigDict, name: str) -> None:
    _positive(f"{name}.n_critic", train.n_critic)
    boost = train.boost
    for key in ("first", "every"):
        _not_negative(f"{name}.boost.{key}", boost[key])
    _positive(f"{name}.boost.n_critic", boost.n_critic)
    if (boost.first or boost.every) and boost.n_critic % train.n_critic:
        raise InputError(
            f"{name}.boost.n_critic must be a multiple of {name}.n_critic ({train.n_critic}), "
            f"got {boost.n_critic}"
        )
    _check_collapse(train, name)


def _check_collapse(train: ConfigDict, name: str) -> None:
    _one_of(f"{name}.on_collapse", train.on_collapse, ("warn", "stop", "rollback"))
    _not_negative(f"{name}.rollbacks", train.rollbacks)
    _share(f"{name}.min_diversity", train.min_diversity)
    if train.on_collapse == "rollback" and train.checkpoint_every % train.sample_every:
        raise InputError(
            f"{name}.checkpoint_every must be a multiple of {name}.sample_every "
            f"({train.sample_every}) with on_collapse=rollback, so that each one is judged, "
            f"got {train.checkpoint_every}"
        )


def _check_duration(name: str, duration: str | None) -> None:
    if duration is not None and not schedules.steps(duration, 1, 1, name) > 0:
        raise InputError(f"{name} must be above 0, got {duration!r}")


def _tuple(value: float | Sequence[float]) -> Sequence[float]:
    return value if isinstance(value, Sequence) else (value,)


def _numbers(name: str, values: Sequence[float], count: int) -> Sequence[float]:
    if len(values) != count or not all(isinstance(x, int | float) for x in values):
        raise InputError(f"{name} must be {count} numbers, got {tuple(values)}")
    return values


def _check_classifier(config: ConfigDict, name: str) -> None:
    if config.data.resolution < 32:
        raise InputError(
            f"{name}.data.resolution must be at least 32, got {config.data.resolution}"
        )
    check_fractions(f"{name}.data.split", config.data.split)
    if min(config.data.split[:2]) <= 0:
        raise InputError(
            f"{name}.data.split must leave a share to train and one to validate, "
            f"got {tuple(config.data.split)}"
        )
    model, train, optim = config.model, config.train, config.optim
    _positive(f"{name}.model.width", model.width)
    for features in model.hidden:
        _positive(f"each of {name}.model.hidden", features)
    if model.name == "vgg16":
        _positive(f"{name}.model.grid", model.grid)
    if model.name == "resnet":
        if len(model.blocks) != 4:
            raise InputError(f"{name}.model.blocks must be 4 numbers, got {tuple(model.blocks)}")
        for count in model.blocks:
            _positive(f"each of {name}.model.blocks", count)
        if model.stem is not None:
            _one_of(f"{name}.model.stem", model.stem, tuple(resnet.STEMS))
    if model.name != "googlenet":
        _share(f"{name}.model.dropout", model.dropout)
    if model.pretrained == "features" and model.name != "vgg16":
        raise InputError(
            f"{name}.model.pretrained=features must come with {name}.model.name=vgg16, "
            f"got {model.name!r}"
        )
    _share(f"{name}.train.label_smoothing", train.label_smoothing)
    for policy in train.augment:
        _one_of(f"each of {name}.train.augment", policy, CLASSIFIER_AUGMENTS)
    for key in ("mixup", "cutmix", "feature_noise"):
        _not_negative(f"{name}.train.{key}", train[key])
    for key in ("mixup", "cutmix"):
        if train[key] and (train.microbatch or train.batch_size) % 2:
            raise InputError(
                f"{name}.train.batch_size and microbatch must be even with {key}, "
                f"got {train.microbatch or train.batch_size}"
            )
    if train.feature_noise and optim.trunk:
        raise InputError(
            f"{name}.train.feature_noise must be 0 where the trunk learns ({name}.optim.trunk is "
            f"{optim.trunk}), got {train.feature_noise}"
        )
    if train.cutmix and not optim.trunk and model.pretrained is not None:
        raise InputError(
            f"{name}.train.cutmix must be 0 with a frozen trunk, whose features have no "
            f"rectangles (take mixup), got {train.cutmix}"
        )
    _share(f"{name}.train.ema_decay", train.ema_decay)
    _check_classifier_optim(config, f"{name}.optim")
    if not optim.trunk and model.pretrained is None and config.init_from is None:
        raise InputError(
            f"{name}.optim.trunk must be above 0 with random weights: set {name}.model.pretrained"
        )
    _positive(f"{name}.train.views", train.views)


def _check_classifier_optim(config: ConfigDict, name: str) -> None:
    optim = config.optim
    _one_of(f"{name}.name", optim.name, ("adam", "adamw", "sgd"))
    _check_adam(name, optim)
    _share(f"{name}.momentum", optim.momentum)
    _not_negative(f"{name}.weight_decay", optim.weight_decay)
    if optim.weight_decay and optim.name == "adam":
        raise InputError(
            f"{name}.weight_decay must be 0 with adam (take adamw), got {optim.weight_decay}"
        )
    _one_of(f"{name}.schedule", optim.schedule, ("constant", "cosine"))
    _not_negative(f"{name}.final", optim.final)
    _share(f"{name}.warmup", optim.warmup)
    _not_negative(f"{name}.trunk", optim.trunk)
    if optim.frozen:
        layers = recipes.classifier_layers(config)
        for start in optim.frozen:
            if not any(
                layer.startswith(start) or start.startswith(layer + "/") for layer in layers
            ):
                raise InputError(
                    f"each of {name}.frozen must be how the names of layers begin, of "
                    f"{', '.join(layers)}, got {start!r}"
                )


def check_experiment(config: ConfigDict) -> None:
    """Raises InputError for a value of an experiment's config that makes no sense."""
    check_fractions("config.data.split", config.data.split)
    if min(config.data.split[:2]) <= 0:
        raise InputError(
            "config.data.split must leave a share to train and one to validate, by which "
            f"checkpoints and add:best are chosen, got {tuple(config.data.split)}"
        )
    whole = all(isinstance(seed, int) and 0 <= seed < 2**32 for seed in config.seeds)
    if not config.seeds or len(set(config.seeds)) != len(config.seeds) or not whole:
        raise InputError(
            f"config.seeds must be one or more different whole numbers >= 0, got {config.seeds}"
        )
    if len(set(config.arms)) != len(config.arms):
        raise InputError(f"config.arms must differ from each other, got {config.arms}")
    named = {arm: arms.parse(arm) for arm in config.arms}
    primary = tuple(config.verdict.primary)
    if len(primary) != 2 or primary[0] == primary[1] or not set(primary) <= set(config.arms):
        raise InputError(
            f"config.verdict.primary must be two different arms of {tuple(config.arms)}, "
            f"got {primary}"
        )
    if not 0 < config.verdict.level < 1:
        raise InputError(f"config.verdict.level must be within (0, 1), got {config.verdict.level}")
    _one_of("config.verdict.outcome", config.verdict.outcome, OUTCOMES)
    if config.data.folds < 1:
        raise InputError(f"config.data.folds must be 1 or more, got {config.data.folds}")
    if config.data.folds == 1 == len(config.seeds):
        raise InputError(
            "config.seeds must be two or more where config.data.folds is 1: one classifier of each "
            f"arm says nothing of chance, got {config.seeds}"
        )
    if config.data.folds > 1 and config.gan.retrain > 1:
        raise InputError(
            "config.gan.retrain must be 1 with config.data.folds above 1: each fold has GANs of "
            f"its own, got {config.gan.retrain}"
        )
    width = config.verdict.width
    if width is not None and not 0 < width < 1:
        raise InputError(
            f"config.verdict.width must be within (0, 1), 0.03 for three points, got {width}"
        )
    if config.verdict.margin is not None and not 0 < config.verdict.margin < 1:
        raise InputError(
            f"config.verdict.margin must be within (0, 1), 0.01 for one point, "
            f"got {config.verdict.margin}"
        )
    if config.stop_below is not None and not 0 < config.stop_below < 1:
        raise InputError(f"config.stop_below must be within (0, 1), got {config.stop_below}")
    _check_vmap(config)
    first, second = (named[arm] for arm in primary)
    if not first.generates or (second.generates and second.source != "pca"):
        raise InputError(
            f"config.verdict.primary must have an arm with generated images against one without, "
            f"or against pca (such as add against real), got {primary}"
        )
    if not 0 < config.data.subset <= 1:
        raise InputError(f"config.data.subset must be within (0, 1], got {config.data.subset}")
    if not 1 <= config.gan.retrain <= len(config.seeds):
        raise InputError(
            f"config.gan.retrain must be from 1 to the number of seeds ({len(config.seeds)}), "
            f"got {config.gan.retrain}"
        )
    _one_of("config.select.by", config.select.by, SELECTED_BY)
    _positive("config.select.surplus", config.select.surplus)
    _one_of("config.epochs", config.epochs, ("real", "arm"))
    if not 0 < config.replace.share <= 1:
        raise InputError(f"config.replace.share must be within (0, 1], got {config.replace.share}")
    _positive("config.add.ratio", config.add.ratio)
    _one_of("config.gan.model.name", config.gan.model.name, GANS)
    _one_of("config.classifier.model.name", config.classifier.model.name, CLASSIFIERS)
    check_training(config.gan, "config.gan")
    check_training(config.classifier, "config.classifier")


def _check_vmap(config: ConfigDict) -> None:
    count, train = config.vmap_seeds, config.classifier.train
    if count < 1:
        raise InputError(f"config.vmap_seeds must be 1 or more, got {count}")
    alone = {
        "config.parallel=pmap": config.parallel == "pmap",
        "config.classifier.train.microbatch": train.microbatch is not None,
        "config.classifier.train.profile": train.profile is not None,
    }
    for name in (name for name, there in alone.items() if there and count > 1):
        raise InputError(f"config.vmap_seeds must be 1 with {name}, got {count}")


SELECTED_BY = ("realism", "density", "outlier", "none")  # What needs no classifier.


def check_fractions(name: str, fractions: Sequence[float]) -> None:
    """Three shares (train, validation, test) of a whole."""
    numbers = all(isinstance(share, int | float) for share in fractions)
    if not numbers or len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise InputError(
            f"{name} must be three shares (train, validation, test) that add up to 1, "
            f"got {tuple(fractions)}"
        )


def _check_data(data: ConfigDict, name: str) -> None:
    _positive(f"{name}.data.resolution", data.resolution)
    _one_of(f"{name}.data.crop", data.crop, ("center", "stretch"))
    _one_of(f"{name}.data.on_error", data.on_error, ("skip", "raise"))
    _one_of(f"{name}.data.given_sides", data.get("given_sides", "use"), ("use", "merge"))
    if data.limit is not None:
        _positive(f"{name}.data.limit", data.limit)


def _check_adam(name: str, optim: ConfigDict) -> None:
    _positive(f"{name}.learning_rate", optim.learning_rate)
    _share(f"{name}.b1", optim.b1)
    _share(f"{name}.b2", optim.b2)


def _one_of(name: str, value: Any, valid: Sequence[str]) -> None:
    if value not in valid:
        raise InputError(f"{name} must be one of {', '.join(valid)}, got {value!r}")


def _positive(name: str, value: float) -> None:
    if not value > 0:
        raise InputError(f"{name} must be above 0, got {value}")


def _not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise InputError(f"{name} must not be negative, got {value}")


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise InputError(f"{name} must be within [0, 1), got {value}")
