"""What would make a verdict worthless: leakage, a shortcut, copies. Each check can fail.

A check is {"name", "passed" (None: it could not be made), "sentence", ...its figures}.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from jaxgan.data import loader
from jaxgan.data.folder import Source


def unknown_start(key: str) -> dict:
    """Return that something begins with the weights of a run whose images are not known here."""
    sentence = f"what the run of {key} learned from is not known: it must be none of the test"
    return {"name": "start", "passed": None, "sentence": f"{sentence} or validation images"}


def as_planned(plan: Mapping[str, object], earlier: Sequence[Mapping[str, object]]) -> dict:
    """Return whether each verdict of these runs so far was asked for in the same way.

    A contrast, a margin or more seeds that are chosen after a look at results find chance effects
    more often than the verdict says.

    Args:
        plan: what this verdict depends on, by name.
        earlier: the plans of verdicts that were told before, with further keys.
    """
    changed = {
        f"{name} was {then.get(name)} and is {value}"
        for then in earlier
        for name, value in plan.items()
        if then.get(name) != value
    }
    sentence = "contrast, level, margin, looks and seeds are those that were first asked for"
    if changed:
        sentence = (
            f"a verdict of these runs had been told before: {'; '.join(sorted(changed))}; what is "
            f"chosen after a look is no test: repeat it on new test images"
        )
    return {"name": "planned", "passed": not changed, "sentence": sentence}


def not_made(name: str) -> dict:
    """Return a check of a GAN's images that are missing."""
    return {"name": name, "passed": None, "sentence": "there are no such images: see what failed"}


def equal_steps(runs: Sequence[Mapping]) -> dict:
    """Return whether all classifiers learned for the same number of steps."""
    steps = sorted({run["steps"] for run in runs})
    same = len(steps) == 1
    return {
        "name": "equal steps",
        "passed": same,
        "sentence": f"every classifier learned for {steps[0]:,} steps"
        if same
        else f"classifiers learned for {steps[0]:,} to {steps[-1]:,} steps",
    }


def opened_once(lines: Sequence[Mapping], runs: Sequence[Mapping]) -> dict:
    """Return whether the test images were shown to one state of each classifier, by the log of it.

    After a kill before its answers were saved the same state, of the same step, is asked again.
    """
    states: dict[tuple, set[int]] = {}
    for line in lines:
        states.setdefault((line["arm"], line["seed"]), set()).add(line["step"])
    wanted = {(run["arm"], run["seed"]) for run in runs}
    good = set(states) >= wanted and all(len(steps) == 1 for steps in states.values())
    sentence = f"each of {len(wanted)} classifiers answered the test images once"
    if good and len(lines) > len(states):
        sentence += f"; {len(lines) - len(states)} were asked again after an interruption"
    if not good:
        sentence = f"the test images were opened {len(lines)} times for {len(wanted)} classifiers"
    return {"name": "test opened once", "passed": good, "sentence": sentence}


def classes_of(source: Source, positions: Int[np.ndarray, " n"] | None = None) -> dict[str, Source]:
    """Return the images of each class."""
    mine = np.arange(len(source)) if positions is None else positions
    return {
        name: loader.Subset(source, mine[source.labels[mine] == label])
        for label, name in enumerate(source.classes)
    }
