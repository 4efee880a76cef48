"""Training a classifier, or several at once, on some images."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from etils import epath
from flax import linen as nn

from jaxgan import recipes
from jaxgan.config.typed import Classifier
from jaxgan.data.folder import Source
from jaxgan.engine import vmapped
from jaxgan.engine.log import Log
from jaxgan.engine.loop import Evaluation, train
from jaxgan.engine.progress import NotFiniteError
from jaxgan.metrics.classification import judge
from jaxgan.metrics.networks import BEST
from jaxgan.steps.classifier import make_predict
from jaxgan.steps.state import ClassifierState
from jaxgan.training.options import assemble, introduce, starter
from jaxgan.types import Recipe


def train_classifier(
    config: Classifier,
    training: Source,
    validation: Source | None,
    workdir: epath.PathLike,
    *,
    label: str = "",
    data: dict | None = None,
    recipe: Recipe | None = None,
) -> ClassifierState:
    """Train a classifier; validation picks the best checkpoint, by accuracy.

    Args:
        config: of a classifier, `model.num_classes` set.
        training: what it learns from.
        validation: what picks the checkpoint; None: nothing does.
        workdir: the run's folder.
        label: stands before each progress line.
        data: what `run.json` says of the images; by default what `training` is.
        recipe: of this very config, where it was built before: its step is not compiled again.
    """
    recipe, batches, options = assemble(config, training, recipe, "classifier." if label else "")
    with Log(workdir, label) as log:
        introduce(log, recipe, training, data)
        options = options._replace(
            best=None if validation is None else BEST,
            start=starter(
                config.model.name, config.init_from, config.model.pretrained, recipe, log, BEST
            ),
        )
        evaluate = (
            None if validation is None else _evaluate(recipes.build_classifier(config), validation)
        )
        return train(recipe, batches, options, workdir, log=log, evaluate=evaluate)


def train_classifiers(
    each: Sequence[Classifier],
    training: Sequence[Source],
    validation: Source,
    workdirs: Sequence[epath.PathLike],
    *,
    label: str,
    recipe: Recipe,
) -> list[NotFiniteError | None]:
    """Train classifiers that differ in seed and images at once, on the first device.

    Each comes out as from `train_classifier` but for rounding; see `vmapped.train` for when
    they are saved.

    Args:
        each: their configs.
        training: what each learns from; as many images.
        validation: what picks the checkpoints.
        workdirs: the runs' folders.
        label: stands before each progress line.
        recipe: of all the configs.

    Returns:
        For each None, or what ended it.
    """
    with ExitStack() as stack:
        logs = [stack.enter_context(Log(folder, label)) for folder in workdirs]
        batches, options = [], []
        for config, source, log in zip(each, training, logs, strict=True):
            introduce(log, recipe, source)
            _, own, one = assemble(config, source, recipe, "classifier.")
            batches.append(own)
            model = config.model
            start = starter(model.name, config.init_from, model.pretrained, recipe, log, BEST)
            options.append(one._replace(best=BEST, start=start))
        evaluate = _evaluate(recipes.build_classifier(each[0]), validation)
        return vmapped.train(recipe, batches, options, workdirs, logs=logs, evaluate=evaluate)


def _evaluate(model: nn.Module, validation: Source) -> Callable[[ClassifierState], Evaluation]:
    predictor = make_predict(model)

    def evaluate(state: ClassifierState) -> Evaluation:
        judged = judge(predictor, state.variables, validation)
        return Evaluation({f"validation_{k}": v for k, v in judged.items()}, {})

    return evaluate
