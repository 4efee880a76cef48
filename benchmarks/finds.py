"""Does an experiment find what is there? Fresh real images take the generated ones' place.

    python benchmarks/finds.py --data DIR [--repetitions 20]

DIR holds two class folders with 600 images or more each. In each repetition 60 images a class are
the training side, 240 others a class the "generated" folder, and the rest is tested. A head on
VGG16's features (the extra `features`), trained anew with each of five seeds, is the classifier;
its features are computed once. What is expected of the verdict:

    fresh      60 real + 240 fresh real ones: helps
    swapped    the same with swapped labels: hurts
    null       each of the 60 twice, the placebo: neither helps nor hurts
"""

import argparse
import collections
import dataclasses
import json

import numpy as np

from jaxgan.data import loader
from jaxgan.experiment import verdict
from jaxgan.experiment.validity import leakage
from jaxgan.metrics import features
from jaxgan.statistics import crossed

REAL, FRESH, SEEDS = 60, 240, 5
STEPS, RATE, DECAY = 300, 0.05, 1e-3


def head(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Weights of a logistic regression by averaged stochastic descent, from a random start."""
    rng = np.random.default_rng(seed)
    w = 0.1 * rng.standard_normal(x.shape[1] + 1)
    mean, x = np.zeros_like(w), np.c_[x, np.ones(len(x))]
    for step in range(STEPS):
        some = rng.integers(len(x), size=32)
        p = 1 / (1 + np.exp(-x[some] @ w))
        w -= RATE * (x[some].T @ (p - y[some]) / 32 + DECAY * w)
        if step >= STEPS // 2:
            mean += w / (STEPS - STEPS // 2)
    return mean


def right(
    x: np.ndarray,
    y: np.ndarray,
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    first: int,
) -> np.ndarray:
    """Right answers [seeds, images] of heads that learned from the rows `train`."""
    low, scale = x[train].mean(0), x[train].std(0) + 1e-6
    z = np.c_[(x[test] - low) / scale, np.ones(len(test))]
    own = (x[train] - low) / scale
    return np.stack([((z @ head(own, labels, first + s) > 0) == y[test]) for s in range(SEEDS)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--repetitions", type=int, default=20)
    args = parser.parse_args()
    source = loader.open_source(args.data, 64)
    images = (source[i]["image"] for i in range(len(source)))
    x = features.extract(features.vgg16(64), images)
    y = source.labels.astype(float)
    said: dict[str, collections.Counter] = {k: collections.Counter() for k in DESIGNS}
    values: dict[str, list[float]] = {k: [] for k in DESIGNS}
    halves: dict[str, list[float]] = {k: [] for k in DESIGNS}
    caught = 0
    for repetition in range(args.repetitions):
        rng = np.random.default_rng(repetition)
        order = [rng.permutation(np.flatnonzero(y == label)) for label in (0, 1)]
        real = np.concatenate([o[:REAL] for o in order])
        fresh = np.concatenate([o[REAL : REAL + FRESH] for o in order])
        test = np.concatenate([o[REAL + FRESH :] for o in order])
        plain = right(x, y, real, y[real], test, 0)
        for name, design in DESIGNS.items():
            train, labels = design(real, fresh, y)
            arm = right(x, y, train, labels, test, 1000)
            found = crossed.paired_difference(arm, plain)
            said[name][verdict.word(found)] += 1
            values[name].append(found.value)
            halves[name].append(found.half)
        caught += mirrored(source, test[:100], fresh[:100])
    for name in DESIGNS:
        row = {
            "design": name,
            "words": dict(said[name]),
            "difference": round(float(np.mean(values[name])), 4),
            "half_width": round(float(np.mean(halves[name])), 4),
        }
        print(json.dumps(row))
    print(json.dumps({"design": "mirrored", "caught": caught, "of": args.repetitions}))


def mirrored(source: loader.Source, test: np.ndarray, fresh: np.ndarray) -> bool:
    """Return whether the guard refuses a folder that holds mirrored test images among others."""
    made = loader.in_memory(loader.Subset(source, np.r_[fresh, test]))
    assert made.images is not None
    images = made.images.copy()
    images[len(fresh) :] = images[len(fresh) :, :, ::-1]
    found = leakage.overlap(dataclasses.replace(made, images=images), loader.Subset(source, test))
    return len(found.pairs) > 0


def _swapped(real, fresh, y):
    return np.r_[real, fresh], np.r_[y[real], 1 - y[fresh]]


def _null(real, fresh, y):
    return np.r_[real, real], np.r_[y[real], y[real]]


DESIGNS = {
    "fresh": lambda real, fresh, y: (np.r_[real, fresh], np.r_[y[real], y[fresh]]),
    "swapped": _swapped,
    "null": _null,
}

if __name__ == "__main__":
    main()
