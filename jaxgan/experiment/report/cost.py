"""What an experiment took, and what the same hours would have bought."""

import math
import statistics
from typing import Any

import numpy as np

from jaxgan.engine import log
from jaxgan.experiment.schema import Cost, Results


def cost(results: Results) -> Cost:
    """Return what an experiment took, and what its GANs' hours would have bought instead.

    Args:
        results: `results.json`: its seconds, runs, generators, arms, config, test and environment.

    Returns:
        hours: of each stage, of one machine.
        devices: their kinds.
        pictures: real images that the GANs were shown, and images that the classifiers were,
            counted every time that they were shown; without a critic's extra updates.
        seconds_a_classifier: the median of the arm `real`, or of all where there is none.
        further_seeds: classifiers of that arm that the hours of GANs and of drawing are worth.
        ensemble: how many of these and of the first are at hand, and the accuracy of their mean
            probabilities; None with fewer than two.
        augmentation: whether `real+augmentation` was compared; its accuracy and that of `real`.
        rows: of each arm, the seconds of its classifiers and the images that they were shown.
        sentences: the same for a reader.
    """
    seconds, runs, config = results["seconds"], results["runs"], results["config"]
    generative = seconds["gan"] + seconds["generate"]
    one = [r["seconds"] for r in runs if r["arm"] == "real"] or [r["seconds"] for r in runs]
    each = statistics.median(one)  # The first one compiles, too.
    gan, batch = config["gan"]["train"], config["classifier"]["train"]["batch_size"]
    several = 1 if gan.get("same_batch", True) else gan["n_critic"]
    accuracy = {
        name: results["arms"][name]["accuracy"]
        for name in ("real", "real+augmentation")
        if name in results["arms"]
    }
    further = math.floor(generative / each) if each else 0
    sentences = [f"No GAN was {'finished' if results.get('failed_generators') else 'trained'}."]
    if results["generators"]:
        sentences = [
            f"The GANs and their images took {log.duration(generative)}, "
            f"the time of {further:,} more classifiers of real images."
        ]
    together = _ensemble(results, further) if results["generators"] else None
    if together:
        sentences.append(
            f"The {together['classifiers']:,} at hand, their probabilities averaged, reach "
            f"{together['accuracy']:.1%}; one alone {accuracy['real']:.1%}."
        )
    if "real+augmentation" in accuracy:
        reached = accuracy["real+augmentation"]
        sentences.append(f"Augmentation, which needs none, reached {reached:.1%}.")
    else:
        sentences.append("Augmentation, which needs none, was not compared: add real+augmentation.")
    return {
        "hours": {
            stage: seconds[stage] / 3600
            for stage in ("data", "gan", "generate", "classify", "total")
        },
        "devices": results["environment"]["devices"],
        "pictures": {
            "gan": sum(g["steps"] for g in results["generators"]) * gan["batch_size"] * several,
            "classify": sum(r["steps"] for r in runs) * batch,
        },
        "seconds_a_classifier": each,
        "further_seeds": further,
        "ensemble": together,
        "augmentation": {"compared": "real+augmentation" in accuracy, "accuracy": accuracy},
        "rows": [
            {
                "arm": arm,
                "seconds": sum(r["seconds"] for r in runs if r["arm"] == arm),
                "pictures_seen": sum(r["steps"] for r in runs if r["arm"] == arm) * batch,
            }
            for arm in results["arms"]
        ],
        "sentences": sentences,
    }


def _ensemble(results: Results, further: int) -> dict[str, Any] | None:
    real = [r for r in results["runs"] if r["arm"] == "real"][: 1 + further]
    if len(real) < 2 or any(r.get("fold", 0) for r in results["runs"]):
        return None  # Classifiers of two folds answer no image in common.
    right = np.mean([r["probabilities"] for r in real], axis=0).argmax(1) == np.array(
        results["test"]["labels"]
    )
    return {"classifiers": len(real), "accuracy": float(right.mean())}
