"""Values of a GAN's config that make no sense together: see `combinations`."""

from jaxgan.config.model_settings import (
    DCGANModel,
    DriftingModel,
    FastGANModel,
    GANModel,
    ProjectedModel,
    RefinerModel,
    StyleGAN2Model,
)
from jaxgan.config.names import GANS
from jaxgan.config.settings import (
    AdversarialData,
    AdversarialTrain,
    AveragedTrain,
    DriftingTrain,
    Evaluate,
    GANTrain,
    Loss,
    Player,
    Vision,
    has_second_critic,
)
from jaxgan.config.typed import (
    GAN,
    Adversarial,
    Drifting,
    FastGAN,
    Projected,
    StyleGAN2,
)
from jaxgan.errors import InputError
from jaxgan.models import backbones, fastgan
from jaxgan.steps import schedules

PENALTIES = ("gradient_penalty", "r1", "r2")


def check(config: GAN, name: str) -> None:
    """Raises InputError for a value that makes no sense beside others."""
    side = config.data.resolution
    _check_vision(config.vision, config.model.name, side, name)
    _check_evaluate(config.evaluate, f"{name}.evaluate")
    if isinstance(config, FastGAN):
        _check_fastgan(config.data, name)
    if not isinstance(config, Projected | Drifting):
        _check_size(side, name)
    if isinstance(config, StyleGAN2):
        _check_stylegan2(config.model, config.train, config.optim.critic.frozen, side, name)
        return
    if isinstance(config, Projected):
        _check_projected(config.model, side, name)
    elif isinstance(config, Drifting):
        _check_drifting(config.model, config.train, side, name)
    elif isinstance(config, Adversarial):
        _check_loss(config.loss, config.model, name)
        _check_duration(f"{name}.augment.noise_until", config.augment.noise_until)
        _check_turns(config.train, f"{name}.train")
    _check_player(f"{name}.optim.generator", config.optim.generator)
    if not isinstance(config, Drifting):
        _check_player(f"{name}.optim.critic", config.optim.critic)


def _check_size(resolution: int, name: str) -> None:
    if not 16 <= resolution <= 1024 or resolution & (resolution - 1):
        raise InputError(
            f"{name}.data.resolution must be a power of two from 16 to 1024, got {resolution}"
        )


def _check_stylegan2(
    model: StyleGAN2Model, train: AveragedTrain, frozen: int, side: int, name: str
) -> None:
    layers = 1 + 3 * (side.bit_length() - 3)
    if not 0 <= frozen <= layers:
        raise InputError(
            f"{name}.optim.critic.frozen must be within [0, {layers}], the discriminator's layers "
            f"above 4 x 4, got {frozen}"
        )
    at_once = "microbatch" if train.microbatch else "batch_size"
    count = train.microbatch or train.batch_size
    if count % min(model.group_size, count) or count % 2:
        raise InputError(
            f"{name}.train.{at_once} must be even and a multiple of {name}.model.group_size "
            f"({model.group_size}), got {count}"
        )
    _check_collapse(train, f"{name}.train")
    if train.steps_per_call > 1:
        raise InputError(
            f"{name}.train.steps_per_call must be 1 with stylegan2, whose updates are compiled "
            f"apart, got {train.steps_per_call}"
        )


def _check_fastgan(data: AdversarialData, name: str) -> None:
    if data.resolution not in fastgan.RESOLUTIONS:
        sizes = ", ".join(map(str, fastgan.RESOLUTIONS))
        raise InputError(f"{name}.data.resolution must be one of {sizes}, got {data.resolution}")
    if data.normalise != "range":
        raise InputError(f"{name}.data.normalise must be range, got {data.normalise!r}")


def _check_refiner(generator: str, side: int, name: str) -> None:
    _check_size(side, name)
    if generator == "refiner" and not 32 <= side <= 256:
        raise InputError(
            f"{name}.data.resolution must be from 32 to 256 for a refiner (take stylegan2 beyond), "
            f"got {side}"
        )


def _check_drifting(model: DriftingModel, train: DriftingTrain, side: int, name: str) -> None:
    _check_refiner(model.generator, side, name)
    _check_backbone(model, side, f"{name}.model", f"{name}.data.resolution")
    if train.microbatch is not None:
        raise InputError(
            f"{name}.train.microbatch must be None for a drifting model, whose images repel each "
            f"other, got {train.microbatch}"
        )
    if train.batch_size < 2:
        raise InputError(
            f"{name}.train.batch_size must be 2 or more for a drifting model, whose images repel "
            f"each other, got {train.batch_size}"
        )
    if model.conditional and model.generator != "refiner":
        raise InputError(
            f"{name}.model.conditional must be False with {name}.model.generator "
            f"{model.generator}: a refiner alone is told classes"
        )
    if train.positives < train.batch_size:
        raise InputError(
            f"{name}.train.positives must be {name}.train.batch_size ({train.batch_size}) or more, "
            f"got {train.positives}"
        )


def _check_projected(model: ProjectedModel, side: int, name: str) -> None:
    _check_refiner(model.generator, side, name)
    if model.backbone == "none" and not model.patch:
        raise InputError(f"{name}.model.patch must not be () where {name}.model.backbone is none")
    if 2 ** len(model.patch) > side // 2:
        raise InputError(
            f"{name}.model.patch must leave 2 px or more of {side}, got {len(model.patch)} layers"
        )
    if model.backbone != "none":
        _check_backbone(model, side, f"{name}.model", f"{name}.data.resolution")


def _check_backbone(section: RefinerModel | Vision, side: int, name: str, resolution: str) -> None:
    least = backbones.smallest(section.backbone)
    if not least <= section.backbone_size <= side:
        raise InputError(
            f"{name}.backbone_size must be from {least} ({section.backbone}'s least) to "
            f"{resolution} ({side}), got {section.backbone_size}"
        )


def _check_vision(vision: Vision | None, model: str, side: int, name: str) -> None:
    aided = [one for one in GANS if one not in ("projected", "drifting")]
    if not has_second_critic(vision):
        return
    if model not in aided:
        raise InputError(
            f"{name}.vision.backbone must be none where {name}.model.name is none of "
            f"{', '.join(aided)}, got {vision.backbone!r} for {model!r}"
        )
    _check_backbone(vision, side, f"{name}.vision", f"{name}.data.resolution")
    if vision.start is not None:
        schedules.steps(vision.start, 1, 1, f"{name}.vision.start")


def _check_evaluate(evaluate: Evaluate, name: str) -> None:
    if evaluate.best not in evaluate.metrics:
        raise InputError(
            f"{name}.best must be one of {', '.join(evaluate.metrics)}, got {evaluate.best!r}"
        )


def _check_loss(loss: Loss, model: GANModel, name: str) -> None:
    low, high = loss.real_labels
    if not 0 <= low <= high <= 1:
        raise InputError(
            f"{name}.loss.real_labels must be a range (low, high) within [0, 1], got {(low, high)}"
        )
    low, high = loss.margin
    if not 0 < low <= high:
        raise InputError(
            f"{name}.loss.margin must be a range (low, high) above 0, got {(low, high)}"
        )
    normal = isinstance(model, DCGANModel) and model.norm and not model.selu
    used = {key: value for key in PENALTIES if (value := getattr(loss, key))}
    if used and (normal or isinstance(model, FastGANModel)):
        first = next(iter(used))
        raise InputError(
            f"{name}.loss.{first} must be 0 where the discriminator has batch normalisation, "
            f"which mixes images up (set {name}.model.norm=False of a dcgan), "
            f"got {used[first]}"
        )


def _check_player(name: str, optim: Player) -> None:
    _check_duration(f"{name}.t_max", optim.t_max)
    _check_duration(f"{name}.warmup", optim.warmup)
    if optim.schedule != "constant" and optim.t_max is None:
        raise InputError(f"{name}.t_max must be set with schedule={optim.schedule}, got None")


def _check_turns(train: AdversarialTrain, name: str) -> None:
    boost = train.boost
    if (boost.first or boost.every) and boost.n_critic % train.n_critic:
        raise InputError(
            f"{name}.boost.n_critic must be a multiple of {name}.n_critic ({train.n_critic}), "
            f"got {boost.n_critic}"
        )
    _check_collapse(train, name)


def _check_collapse(train: GANTrain, name: str) -> None:
    if train.on_collapse == "rollback" and train.checkpoint_minutes is not None:
        raise InputError(
            f"{name}.checkpoint_minutes must be None with on_collapse=rollback, so that each "
            f"checkpoint is judged, got {train.checkpoint_minutes}"
        )
    if train.on_collapse == "rollback" and train.checkpoint_every % train.sample_every:
        raise InputError(
            f"{name}.checkpoint_every must be a multiple of {name}.sample_every "
            f"({train.sample_every}) with on_collapse=rollback, so that each one is judged, "
            f"got {train.checkpoint_every}"
        )


def _check_duration(name: str, duration: str | None) -> None:
    if duration is not None and not schedules.steps(duration, 1, 1, name) > 0:
        raise InputError(f"{name} must be above 0, got {duration!r}")
