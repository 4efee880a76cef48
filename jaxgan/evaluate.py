"""What a trained classifier makes of labelled pictures."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from clu import metrics
from flax import struct
from jaxtyping import Float, Int
from scipy import stats

from jaxgan.data.folder import Source
from jaxgan.data.loader import in_order
from jaxgan.steps.classifier import Predict

BATCH = 100


@struct.dataclass
class Judgement(metrics.Collection):
    accuracy: metrics.Accuracy
    loss: metrics.Average.from_output("loss")  # type: ignore[valid-type]


def predict(
    predictor: Predict, variables: Any, source: Source, batch_size: int = BATCH
) -> Float[np.ndarray, "n k"]:
    """Log-probabilities of the classes for every picture of `source`, in order."""
    rows = [
        np.asarray(predictor(variables, batch["image"]))[batch["mask"]]
        for batch in in_order(source, batch_size)
    ]
    return np.concatenate(rows)


def judge(
    predictor: Predict, variables: Any, source: Source, batch_size: int = BATCH
) -> dict[str, float]:
    """Accuracy, and the mean loss in nats."""
    total = Judgement.empty()
    for batch in in_order(source, batch_size):
        log_p = predictor(variables, batch["image"])
        label, mask = jnp.asarray(batch["label"]), jnp.asarray(batch["mask"])
        loss = -jnp.take_along_axis(log_p, label[:, None], axis=1)[:, 0]
        total = total.merge(
            Judgement.single_from_model_output(logits=log_p, labels=label, mask=mask, loss=loss)
        )
    return {name: float(value) for name, value in total.compute().items()}


def summarise(
    log_probabilities: Float[np.ndarray, "n k"],
    labels: Int[np.ndarray, " n"],
    classes: tuple[str, ...],
    level: float = 0.95,
) -> dict:
    """Accuracy with its interval, overall and per class, and the confusion matrix.

    Intervals are Wilson's (Wilson, Probable Inference, the Law of Succession, and Statistical
    Inference, 1927): they speak of other pictures like these, not of another training.
    """
    guesses = log_probabilities.argmax(1)
    right = guesses == labels
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, guesses), 1)
    return {
        "accuracy": _share(right, level),
        "per_class": {
            name: _share(right[labels == i], level)
            for i, name in enumerate(classes)
            if (labels == i).any()
        },
        "confusion": {
            name: dict(zip(classes, row, strict=True))
            for name, row in zip(classes, confusion.tolist(), strict=True)
        },
        "level": level,
        "classes": list(classes),
        "pictures": len(labels),
    }


def _share(right: np.ndarray, level: float) -> dict:
    n, k = len(right), int(right.sum())
    interval = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    return {
        "value": k / n,
        "low": float(interval.low),
        "high": float(interval.high),
        "right": k,
        "pictures": n,
    }


def table(summary: dict) -> str:
    """The summary as a person reads it."""
    classes = summary["classes"]
    wide = max(len(name) for name in [*classes, "accuracy"]) + 2
    lines = [f"{summary['pictures']} pictures; {summary['level']:.0%} intervals"]
    rows = {"accuracy": summary["accuracy"], **summary["per_class"]}
    for name, share in rows.items():
        lines.append(
            f"{name:<{wide}}{share['value']:7.1%}  [{share['low']:.1%}, {share['high']:.1%}]  "
            f"{share['right']} of {share['pictures']}"
        )
    lines.append("\n" + "true \\ said".ljust(wide + 2) + "".join(f"{c:>{wide}}" for c in classes))
    for name, row in summary["confusion"].items():
        lines.append(name.ljust(wide + 2) + "".join(f"{row[c]:>{wide}}" for c in classes))
    return "\n".join(lines)
