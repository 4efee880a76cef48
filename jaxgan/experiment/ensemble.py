"""The classifiers of one arm of a finished experiment, used as one."""

import difflib
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from jaxgan.experiment import stored
from jaxgan.experiment.schema import Best, Results, Run
from jaxgan.metrics import classification, networks
from jaxgan.types import InputError

BEST = "best"


class Ensemble(NamedTuple):
    """The classifiers of an arm, of all seeds and folds.

    Attributes:
        arm: its name.
        members: the classifiers, each at its best checkpoint.
        measured: see `measure`.
        about: versions, devices and images, as in the `run.json` of a run.
    """

    arm: str
    members: list[networks.Classifier]
    measured: dict[str, Any]
    about: dict[str, Any]


def load(workdir: epath.PathLike, arm: str = BEST) -> Ensemble:
    """Return the classifiers of an arm.

    Args:
        workdir: of a finished experiment.
        arm: its name, or "best": see `choose`.

    Raises:
        InputError: no finished experiment, no such arm, or a classifier of it is gone.
    """
    folder = epath.Path(workdir)
    results = stored.read(workdir)
    with stored.understood(workdir):
        return _load(folder, results, choose(results, arm))


def _load(folder: epath.Path, results: Results, arm: str) -> Ensemble:
    folds = len({run.get("fold", 0) for run in results["runs"]})
    several = max(folds, results["config"]["data"].get("folds", 1)) > 1
    members = []
    for run in _runs(results, arm):
        trained = f"{arm}/{run['chosen']}" if "chosen" in run else arm
        place = folder / f"fold{run.get('fold', 0)}" if several else folder
        called = trained.translate(str.maketrans("[]", "()"))
        members.append(networks.load_classifier(place / "classifiers" / called / str(run["seed"])))
    about = results["environment"] | {"data": results["data"] | {"counts": _trained(results, arm)}}
    return Ensemble(arm, members, measure(results, arm), about)


def choose(results: Results, arm: str) -> str:
    """Return the name of an arm; of "best" that whose classifiers validate best.

    Validation decides, not the test: the accuracy that is then stated was not chosen by. Of equal
    ones the lower validation loss decides, then the config's order.

    Raises:
        InputError: there is no such arm, or none of its classifiers was finished.
    """
    trained = list(dict.fromkeys(run["arm"] for run in results["runs"]))
    if arm in trained:
        return arm
    if arm != BEST:
        near = difflib.get_close_matches(arm, trained, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"--arm must be best or one of {', '.join(trained)}, got {arm!r}{hint}")
    if not trained:
        raise InputError("--arm must have trained classifiers, and this experiment has none")
    return max(trained, key=lambda name: _validated(results, name))


def best(results: Results) -> Best:
    """Return which arm "best" is, and why it may be another one than the first on test images."""
    arm, arms = choose(results, BEST), results["arms"]
    top = max(arms, key=lambda name: arms[name]["accuracy"])
    said = f"Best, for predict and export, is {arm}: it validates best"
    if arms[top]["accuracy"] > arms[arm]["accuracy"]:
        said += (
            f"; {top} is ahead on the test images, but they only measure: what was chosen by them "
            "would look better than it is"
        )
    return {"arm": arm, "sentence": f"{said}."}


def measure(results: Results, arm: str) -> dict[str, Any]:
    """Return what an arm's ensemble makes of the test images: see `classification.summarise`.

    With folds each image is judged by the classifiers of its own fold alone, which did not train
    on it; `folds` and `classifiers` say how many there are.
    """
    test, classes = results["test"], tuple(results["classes"])
    folds = np.array(test.get("fold", [0] * len(test["labels"])))
    runs = _runs(results, arm)
    log_p, labels = [], []
    for fold in sorted({run.get("fold", 0) for run in runs}):
        mine = [run["probabilities"] for run in runs if run.get("fold", 0) == fold]
        with np.errstate(divide="ignore"):
            log_p.append(np.asarray(classification.together(np.log(np.array(mine)))))
        labels.append(np.array(test["labels"])[folds == fold])
    about = {"folds": len(log_p), "classifiers": len(runs), "arm": arm}
    return classification.summarise(np.concatenate(log_p), np.concatenate(labels), classes) | about


def _trained(results: Results, arm: str) -> dict[str, int]:
    """Return the training images of an arm by what they are, like "cat, real"."""
    return {
        f"{name}, {kind}": n
        for name, kinds in results["arms"].get(arm, {}).get("pictures", {}).items()
        for kind, n in kinds.items()
        if n
    }


def _runs(results: Results, arm: str) -> list[Run]:
    return [run for run in results["runs"] if run["arm"] == arm]


def _validated(results: Results, arm: str) -> tuple[float, float]:
    """Return the mean validation accuracy of an arm, and the mean loss below 0, at the chosen
    steps.
    """
    runs = _runs(results, arm)
    losses = [
        row["loss"]
        for run in runs
        for row in run["curve"]["validation"]
        if row["step"] == run["best_step"]
    ]
    accuracy = float(np.mean([run["validation_accuracy"] for run in runs]))
    return accuracy, -float(np.mean(losses)) if losses else 0.0
