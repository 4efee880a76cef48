"""What a trained classifier makes of labelled images."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from clu import metrics
from flax import struct
from jaxtyping import Array, Float, Int
from scipy import stats

from jaxgan.data.folder import Source
from jaxgan.data.loader import in_order
from jaxgan.metrics import intervals
from jaxgan.steps.classifier import Predict

BATCH = 100
ROWS = 40  # Classes in a table; of more those that are recognised worst.
COLUMNS = 20  # Classes in a matrix; of more the commonest confusions.
LEAST = 1e-6  # A probability that one of several classifiers gives at least: it has no veto.


@struct.dataclass
class Judgement(metrics.Collection):
    accuracy: metrics.Accuracy
    loss: metrics.Average.from_output("loss")  # type: ignore[valid-type]


def predict(
    predictor: Predict, variables: Any, source: Source, batch_size: int = BATCH
) -> Float[np.ndarray, "n k"]:
    """Log-probabilities of the classes for every image of `source`, in order."""
    rows = [
        np.asarray(predictor(variables, batch["image"]))[batch["mask"]]
        for batch in in_order(source, batch_size)
    ]
    return np.concatenate(rows)


def together(log_p: Float[np.ndarray | Array, "m n k"]) -> Float[np.ndarray | Array, "n k"]:
    """Return what several classifiers say as one: the geometric mean of their probabilities, as
    logs.

    It is what an experiment's `ensemble` measures; of a single one it is what that says.
    """
    if len(log_p) == 1:
        return log_p[0]
    return jax.nn.log_softmax(jnp.maximum(log_p, jnp.log(LEAST)).mean(0))


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
    """Return the accuracy with its interval, overall and per class, and the confusion matrix.

    Of more than `ROWS` classes the matrix lacks what is 0, which is nearly all of it. Intervals are
    Wilson's (Wilson, Probable Inference, the Law of Succession, and Statistical
    Inference, 1927): they speak of other images like these, not of another training.
    """
    guesses = log_probabilities.argmax(1)
    right = guesses == labels
    n, k = (np.bincount(y, minlength=len(classes)).tolist() for y in (labels, labels[right]))
    every = 0 if len(classes) > ROWS else None
    confusion = {name: dict.fromkeys(classes[:every], 0) for name in classes}
    pairs, counts = np.unique(np.stack([labels, guesses], 1), axis=0, return_counts=True)
    for (i, j), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        confusion[classes[i]][classes[j]] = count
    return {
        "accuracy": _share(len(right), int(right.sum()), level),
        "per_class": {name: _share(n[i], k[i], level) for i, name in enumerate(classes) if n[i]},
        "confusion": confusion,
        "level": level,
        "classes": list(classes),
        "pictures": len(labels),
    }


def calibration_error(
    probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"], bins: int = 15
) -> float:
    """Return the expected calibration error: how far confidence lies from accuracy, in [0, 1].

    Images fall into `bins` equal intervals (low, high] by the probability of the class that is
    said; the error is the mean over images of |accuracy - mean confidence| of their bin.

    References:
        Guo et al., On Calibration of Modern Neural Networks, 2017, eq. 3.
    """
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def auroc(probabilities: Float[np.ndarray, "n k"], labels: Int[np.ndarray, " n"]) -> float:
    """Return the area under the ROC curve, the mean over classes of one against the rest.

    A class's area is the probability that an image of it gets more of its probability than one
    of another class, ties counted half (Mann and Whitney's statistic). Classes without an image,
    or without one of another class, are left out; nan where none is left.

    References:
        Hanley, McNeil, The meaning and use of the area under a ROC curve, 1982.
    """
    areas = []
    for i in range(probabilities.shape[1]):
        mine = labels == i
        n, rest = int(mine.sum()), int((~mine).sum())
        if n and rest:
            ranks = stats.rankdata(probabilities[:, i])
            areas.append((ranks[mine].sum() - n * (n + 1) / 2) / (n * rest))
    return float(np.mean(areas)) if areas else float("nan")


def _share(n: int, k: int, level: float) -> dict:
    return intervals.proportion(k, n, level) | {"right": k, "pictures": n}


def table(summary: dict) -> str:
    """Return the summary as a person reads it."""
    per_class, confusion = summary["per_class"], summary["confusion"]
    names = list(per_class)
    if len(names) > ROWS:
        names = sorted(names, key=lambda name: per_class[name]["value"])[:ROWS]
    wide = max(len(name) for name in [*names, "accuracy"]) + 2
    lines = [f"{summary['pictures']} images; {summary['level']:.0%} intervals"]
    rows = {"accuracy": summary["accuracy"], **{name: per_class[name] for name in names}}
    for name, share in rows.items():
        lines.append(
            f"{name:<{wide}}{share['value']:7.1%}  [{share['low']:.1%}, {share['high']:.1%}]  "
            f"{share['right']} of {share['pictures']}"
        )
    if len(names) < len(per_class):
        better = min(one["value"] for name, one in per_class.items() if name not in {*names})
        left = len(per_class) - len(names)
        lines.append(f"{left:,} more classes, of each of which {better:.1%} or more are recognised")
    classes = summary["classes"]
    if len(classes) > COLUMNS:
        wrong = [
            (count, f"{name} taken for {said}")
            for name, row in confusion.items()
            for said, count in row.items()
            if count and said != name
        ]
        wrong.sort(key=lambda each: -each[0])
        lines.append(f"\nconfusions, the commonest of {len(wrong):,}:" if wrong else "")
        return "\n".join([*lines, *(f"{n:>5} x {what}" for n, what in wrong[:COLUMNS])]).rstrip()
    lines.append("\n" + "true \\ said".ljust(wide + 2) + "".join(f"{c:>{wide}}" for c in classes))
    for name, row in confusion.items():
        lines.append(name.ljust(wide + 2) + "".join(f"{row[c]:>{wide}}" for c in classes))
    return "\n".join(lines)
