"""The one time that a classifier is shown the test images."""

import time
from typing import Any

import numpy as np
from etils import epath

from jaxgan.data.folder import Source
from jaxgan.engine import log
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.errors import FileError
from jaxgan.metrics.classification import predict
from jaxgan.system import checked_files
from jaxgan.training import run as training
from jaxgan.types import Recipe

OPENED = "test_opened.jsonl"


def validated(workdir: epath.Path) -> float:
    """Return the best validation accuracy of a run."""
    rows = log.read_metrics(workdir)
    return max(r["validation_accuracy"] for r in rows if "validation_accuracy" in r)


def test(
    steps: int,
    recipe: Recipe,
    predictor: Any,
    workdir: epath.Path,
    test: Source,
    folder: epath.Path,
    run: dict,
) -> dict:
    """Return the best checkpoint's predictions: the one time that this run sees the test images."""
    with Checkpoints(workdir, training.BEST, read_only=True) as checkpoints:  # Moves nothing.
        best = checkpoints.best
        restored = checkpoints.restore(recipe.abstract, best)
    assert restored is not None
    if restored.step != best:
        raise FileError(
            f"the best checkpoint, of step {best}, must be whole, and is damaged: delete {workdir} "
            f"and run the same command again"
        )
    now = {"step": restored.step, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    checked_files.append(folder / OPENED, run | now)
    log_p = predict(predictor, restored.state.variables, test)
    probabilities = np.exp(log_p.astype(np.float64)).round(6)
    rows = log.read_metrics(workdir)
    curve = {
        "train": [
            {"step": r["step"], "loss": r["loss"], "accuracy": r["accuracy"]}
            for r in rows
            if "loss" in r
        ],
        "validation": [
            {
                "step": r["step"],
                "loss": r["validation_loss"],
                "accuracy": r["validation_accuracy"],
            }
            for r in rows
            if "validation_loss" in r
        ],
    }
    judged = {r["step"]: r["accuracy"] for r in curve["validation"]}
    return {
        "steps": steps,
        "best_step": restored.step,
        "validation_accuracy": judged[restored.step],
        "test_accuracy": float((probabilities.argmax(1) == test.labels).mean()),
        "probabilities": probabilities.tolist(),
        "curve": curve,
    }
