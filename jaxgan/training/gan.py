"""Training a GAN on some images."""

from functools import cache
from typing import Any

import numpy as np
from etils import epath

from jaxgan import recipes
from jaxgan.config.model_settings import DriftingModel, GANModel
from jaxgan.config.settings import DriftingTrain, GANTrain
from jaxgan.config.typed import GAN
from jaxgan.data.folder import Source
from jaxgan.engine.log import Log, grid, read_metrics
from jaxgan.engine.loop import Evaluation, train
from jaxgan.errors import InputError
from jaxgan.metrics import judges
from jaxgan.sampling import sample
from jaxgan.steps.state import GANState
from jaxgan.training import early_warning, fitting, monitor
from jaxgan.training.mode_collapse import make_alarm, mean_distance
from jaxgan.training.options import assemble, introduce, starter
from jaxgan.types import Recipe

EACH = 4  # Images of a class in a batch of a conditional drifting model, at least.
MOST = 4  # Classes of one drifting model, where the config leaves it open, and
LOPSIDED = 2  # times as many images of one class as of another.
SOON = (25, 100)  # Steps after which samples are shown, however long the training is.


def train_gan(
    config: GAN,
    source: Source,
    workdir: epath.PathLike,
    *,
    label: str = "",
    recipe: Recipe | None = None,
) -> GANState:
    """Train a GAN.

    Args:
        config: of a GAN.
        source: what it learns from.
        workdir: the run's folder.
        label: stands before each progress line.
        recipe: of this very config, where it was built before: its step is not compiled again.
    """
    prefix = "gan." if label else ""  # Only an experiment labels its runs.
    recipe, batches, options = assemble(config, source, recipe, prefix)
    settings, draw = config.train, sample.Sampler.of(config).draw
    critics = judges.seen_by_critics(config.backbones, config.init_from)
    seeds = np.arange(36 if config.data.resolution <= 128 else 16, dtype=np.uint32)
    some = np.random.default_rng(config.seed).permutation(len(source))[: len(seeds)]

    @cache
    def real() -> float:
        return mean_distance(np.stack([source[int(i)]["image"] for i in some]))

    def evaluate(state: GANState) -> Evaluation:
        images = np.asarray(draw(state.ema, seeds))
        diversity = mean_distance(images) / max(real(), 1.0)
        return Evaluation({"diversity": diversity}, {"samples": grid(images)})

    with Log(workdir, label) as log:
        introduce(log, recipe, source)
        every, looked = config.evaluate.every or options.steps, early_warning.steps(options.steps)
        watch, plan = None, (config.seed, source, draw, log.line)
        if config.evaluate.every:
            watch = monitor.make_monitor(config.evaluate, *plan)
        look = early_warning.make_early(critics, *plan, options.steps)
        begin = starter(config.model.name, config.init_from, None, recipe, log)

        def start(state: GANState) -> GANState:
            return fitting.fit(
                source,
                begin(state),
                projection=recipes.build_projection(config.model, config.vision),
                attraction=attraction(config.model, settings),
                latent_dim=config.model.latent_dim,
                mirror=config.data.flip,
                num_classes=config.num_classes,
                log=log.line,
            )

        def measure(state: GANState, step: int) -> dict[str, float]:
            found = {}
            if watch and (step % every == 0 or step == options.steps):
                found = watch(state.ema, step)
            return found | look(state.ema, step, read_metrics(workdir) if step in looked else ())

        options = options._replace(
            start=start,
            alarm=make_alarm(settings.min_diversity, config.loss.name != "wasserstein"),
            on_alarm=settings.on_collapse,
            rollbacks=settings.rollbacks,
            sample_at=frozenset(SOON),
            measure_every=every,
            measure_at=frozenset(looked),
            best=sample.best_of(config.evaluate),
        )
        return train(recipe, batches, options, workdir, log=log, evaluate=evaluate, measure=measure)


def attraction(model: GANModel, train: GANTrain) -> fitting.Attraction | None:
    """Return what attracts the samples of a drifting model; None of others."""
    if not isinstance(model, DriftingModel) or not isinstance(train, DriftingTrain):
        return None
    return fitting.Attraction(recipes.drifting.build_feature_sets(model), train.positives)


def settle_classes(model: GANModel, train: GANTrain, source: Source) -> dict[str, Any]:
    """Return whether a GAN is conditional, and the classes that there are: new values.

    Where `model.conditional` is None a refiner is, with 2 to MOST classes of which none is more
    than LOPSIDED times as large as another. Each class then has the images that it would have
    alone: batches, images that attract, and thousands of images to train for, times the classes.

    Raises:
        InputError: there is only one class, or there are too many for a batch.
    """
    count = len(source.classes)
    new = {"model.conditional": True, "data.classes": list(source.classes)}
    if model.conditional is None:
        assert isinstance(model, DriftingModel) and isinstance(train, DriftingTrain)
        sizes = np.bincount(source.labels, minlength=count)
        alike = bool(sizes.max() <= LOPSIDED * sizes.min())
        if not (alike and 1 < count <= MOST and model.generator == "refiner"):
            return {"model.conditional": False}
        scaled = {"batch_size": train.batch_size, "positives": train.positives, "kimg": train.kimg}
        return new | {f"train.{name}": count * n for name, n in scaled.items() if n}
    if not model.conditional:
        return {}
    if count < 2:
        raise InputError(
            f"model.conditional must be false without class folders, two or more of them, got only "
            f"{', '.join(source.classes)}"
        )
    if isinstance(train, DriftingTrain) and train.batch_size < EACH * count:
        raise InputError(
            f"train.batch_size must be {EACH} or more for each of {count} classes of a conditional "
            f"drifting model, whose images of a class repel each other, got {train.batch_size}"
        )
    return new
