"""What a verdict is about, as one number an image whose mean is the outcome; higher is better.

Balanced accuracy and macro-F1 are no means over images. Each image then has its pseudo-value: the
outcome, plus what the image adds to its first-order expansion in the confusion matrix.

References:
    Efron, Nonparametric estimates of standard error: the jackknife, the bootstrap and other
    methods, 1981 (the infinitesimal jackknife).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxgan.errors import InputError

Tables = list[Float[np.ndarray, "s n"]]  # Of each fold: seeds x test images.
LEAST = 1e-6  # Probabilities are kept with six digits.


class Outcome(NamedTuple):
    """An outcome.

    Attributes:
        title: what it is called in a sentence.
        values: (probabilities of each fold [s, n, k], its labels [n]) -> tables.
        unit: of differences: "points" (of 100) or "" (as they are).
        falls: whether less of what is named is better: tables hold its negative.
        share: whether it lies within [0, 1].
    """

    title: str
    values: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], Tables]
    unit: str = "points"
    falls: bool = False
    share: bool = True


def _accuracy(p: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Tables:
    return [(one.argmax(-1) == y).astype(float) for one, y in zip(p, labels, strict=True)]


def _balanced(p: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Tables:
    matrix = _confusion(p, labels)
    n = matrix.sum(1)
    recall = np.diag(matrix) / n
    return [
        (right - recall[y]) * n.sum() / (len(n) * n[y]) + recall.mean()
        for right, y in zip(_accuracy(p, labels), labels, strict=True)
    ]


def _macro_f1(p: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Tables:
    matrix = _confusion(p, labels)
    both, hit = matrix.sum(0) + matrix.sum(1), np.diag(matrix)
    score, classes = 2 * hit / both, len(hit)
    # What one more answer "j" to an image of class i adds to F1.
    slope = -score[:, None] / both[:, None] - score[None] / both[None]
    slope = (slope + np.diag(2 / both)) / classes
    total = matrix.sum()
    return [score.mean() + total * slope[y, one.argmax(-1)] for one, y in zip(p, labels)]  # noqa: B905


def _log_loss(p: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Tables:
    return [
        np.log(np.maximum(np.take_along_axis(one, y[None, :, None], 2)[..., 0], LEAST))
        for one, y in zip(p, labels, strict=True)
    ]


def _brier(p: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Tables:
    return [
        -((one - np.eye(one.shape[-1])[y]) ** 2).sum(-1) for one, y in zip(p, labels, strict=True)
    ]


OUTCOMES = {
    "accuracy": Outcome("accuracy", _accuracy),
    "balanced_accuracy": Outcome("balanced accuracy", _balanced),
    "macro_f1": Outcome("macro-F1", _macro_f1),
    "log_loss": Outcome("log loss", _log_loss, unit="", falls=True, share=False),
    "brier": Outcome("Brier score", _brier, unit="", falls=True, share=False),
}
"""Brier score: the sum over classes, in [0, 2] (Brier, Verification of forecasts, 1950)."""


def beside(name: str) -> str:
    """Return the outcome that stands second to another one: it hears of probabilities, too."""
    return "brier" if name == "log_loss" else "log_loss"


def check(name: str, labels: Int[np.ndarray, " n"], classes: Sequence[str]) -> None:
    """Refuse an outcome that a class without test images leaves undefined.

    Raises:
        InputError: names the class.
    """
    if name not in ("balanced_accuracy", "macro_f1"):
        return
    for label, of in enumerate(classes):
        if not (labels == label).any():
            raise InputError(
                f"config.verdict.outcome={name} needs test images of each class, and {of} has none"
            )


def _confusion(p: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Float[np.ndarray, "k k"]:
    """True classes by answers, the mean of each fold's seeds, all folds together."""
    classes = p[0].shape[-1]
    matrix = np.zeros((classes, classes))
    for one, y in zip(p, labels, strict=True):
        for answers in one.argmax(-1):
            np.add.at(matrix, (y, answers), 1 / len(one))
    return matrix
