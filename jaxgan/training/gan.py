"""Training a GAN on some images."""

from functools import cache

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.data.channel_stats import moments
from jaxgan.data.folder import Source
from jaxgan.engine import sharding
from jaxgan.engine.log import Log, grid, read_metrics
from jaxgan.engine.loop import Evaluation, train
from jaxgan.errors import InputError
from jaxgan.sampling import sample
from jaxgan.steps.state import GANState
from jaxgan.training import early, fitting, monitor
from jaxgan.training.mirror import mirrored
from jaxgan.training.mode_collapse import make_alarm, mean_distance
from jaxgan.training.options import Parts, introduce, make_batches, make_options, starter
from jaxgan.types import Recipe

SOON = (25, 100)  # Steps after which samples are shown, however long the training is.


def train_gan(
    config: ConfigDict,
    source: Source,
    workdir: epath.PathLike,
    *,
    label: str = "",
    recipe: Recipe | None = None,
) -> GANState:
    """Trains a GAN.

    Args:
        config: of a GAN.
        source: what it learns from.
        workdir: the run's folder.
        label: stands before each progress line.
        recipe: of this very config, where it was built before: its step is not compiled again.
    """
    prefix = "gan." if label else ""  # Only an experiment labels its runs.
    recipe, batches, options = assemble(config, source, recipe, prefix)
    settings, draw = config.train, sample.draw_with(config)
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
        introduce(log, config, recipe, source)
        every, looked = config.evaluate.every or options.steps, early.steps(options.steps)
        watch = (
            monitor.make_monitor(config, source, draw, log.line) if config.evaluate.every else None
        )
        look = early.make_early(config, source, draw, log.line, options.steps)

        def measure(state: GANState, step: int) -> dict[str, float]:
            found = {}
            if watch and (step % every == 0 or step == options.steps):
                found = watch(state.ema, step)
            return found | look(state.ema, step, read_metrics(workdir) if step in looked else ())

        options = options._replace(
            start=lambda state: fitting.fit(config, source, starter(config, log)(state), log.line),
            alarm=make_alarm(settings.min_diversity, config.loss.get("name") != "wasserstein"),
            on_alarm=settings.on_collapse,
            rollbacks=settings.rollbacks,
            sample_at=frozenset(SOON),
            measure_every=every,
            measure_at=frozenset(looked),
            best=sample.best_of(config),
        )
        return train(recipe, batches, options, workdir, log=log, evaluate=evaluate, measure=measure)


def assemble(
    config: ConfigDict, source: Source, recipe: Recipe | None = None, prefix: str = ""
) -> Parts:
    """Return the recipe of a GAN, the given one if it can be, its batches and its options.

    Args:
        config: of a GAN.
        source: what it trains on.
        recipe: of this very config.
        prefix: of the settings' names in the config.
    """
    train = config.train
    if recipe is None or recipes.needs_pictures(config):
        recipe = recipes.build(config, sharding.axis_name(config.parallel), look_at(config, source))
    turns = None if train.get("same_batch", True) else train.n_critic
    conditional = config.model.get("conditional", False)
    batches = make_batches(config, source, flip=config.data.flip, labels=conditional, turns=turns)
    recipe = mirrored(recipe) if config.data.flip else recipe
    prelude = recipe.prelude.count if recipe.prelude else lambda step: 0
    shown = train.batch_size * (turns or 1)
    options = make_options(config, len(source), shown, prelude, prefix)
    return Parts(recipe, batches, options._replace(batch_axis=0 if turns is None else 1))


def look_at(config: ConfigDict, source: Source) -> recipes.Pictures:
    """What a GAN's recipe may depend on; the moments are computed only where it does."""
    if config.data.get("normalise", "range") == "range":
        return recipes.Pictures(len(source))
    return recipes.Pictures(len(source), *moments(source))


def settle_classes(config: ConfigDict, source: Source) -> None:
    """Puts the classes that there are into a conditional GAN's config.

    Raises:
        InputError: there is only one.
    """
    if not config.model.get("conditional"):
        return
    if len(source.classes) < 2:
        raise InputError(
            f"model.conditional must be false without class folders, two or more of them, got only "
            f"{', '.join(source.classes)}"
        )
    with config.unlocked():
        config.data.classes = tuple(source.classes)
