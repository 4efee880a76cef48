"""The ladder of rivals: which of the cheaper arms does as well as the best one."""

from collections.abc import Mapping
from typing import Any, Protocol

from jaxgan.config import arm_names
from jaxgan.statistics.crossed import Interval

# What an arm costs besides its classifiers, cheapest first.
RUNGS = {
    "real": "the real images as they are",
    "reweight": "class weights in the loss",
    "oversample": "copies of the smaller classes",
    "copies": "copies of real images",
    "augmentation": "augmentation",
    "mixing": "mixing of images",
    "pca": "samples of principal components, which train nothing",
    "generated": "generated images",
}


class Compared(Protocol):
    """What answers for the arms: see `analysis.RunsByArm`."""

    def interval(self, a: str, b: str, level: float = ...) -> Interval | None: ...


def rung(name: str) -> int:
    """Return the place of an arm on the ladder, 0 the cheapest."""
    read = arm_names.parse(name)
    order = list(RUNGS)
    if read.kind == "pca":
        return order.index("pca")
    if read.generates:
        return order.index("generated")
    variants = set(name.split("+")[1:])
    if variants & {"mixup", "cutmix", "features"}:
        return order.index("mixing")
    if variants:
        return order.index("augmentation")
    return order.index(read.kind)


def costs_nothing(name: str) -> bool:
    """Return whether an arm needs nothing beside its classifiers."""
    return rung(name) <= list(RUNGS).index("augmentation")


def cheapest(
    answers: Compared, found: Mapping[str, Mapping[str, Any]], level: float
) -> dict[str, Any] | None:
    """Return the cheapest arm that this design cannot tell from the best one, below it.

    Args:
        answers: of all arms.
        found: of each arm its "accuracy"; arms with fewer real images are left out.
        level: probability that all intervals against the best cover together.

    Returns:
        "best", "cheapest", their accuracies, and a "sentence"; None with a single arm.
    """
    whole = {name: arm["accuracy"] for name, arm in found.items() if "@" not in name}
    if len(whole) < 2:
        return None
    best = max(whole, key=lambda name: (whole[name], -rung(name)))
    each = 1 - (1 - level) / (len(whole) - 1)
    as_good = [best]
    for name in whole:
        between = answers.interval(name, best, each) if name != best else None
        if between and between.high is not None and between.high >= 0:
            as_good.append(name)
    low = min(as_good, key=lambda name: (rung(name), -whole[name]))
    if low == best:
        sentence = (
            f"The best arm on the test images, {best} ({whole[best]:.1%}), is also the cheapest of "
            "those as good."
        )
    else:
        sentence = (
            f"The cheapest arm that this experiment cannot tell from the best is {low} "
            f"({whole[low]:.1%}; {RUNGS[list(RUNGS)[rung(low)]]}); the best on the test "
            f"images is {best} ({whole[best]:.1%})."
        )
    return {
        "best": best,
        "cheapest": low,
        "accuracies": whole,
        "sentence": sentence,
    }
