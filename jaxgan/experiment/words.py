"""The verdict in words: what an interval says, and what it is silent on."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxgan.experiment.statistics import Interval


def word(interval: Interval, margin: float | None = None) -> str:
    """The verdict, from a difference's interval alone.

    "helps" where it lies above 0, "hurts" below, else "no evidence". Where a margin is given and
    the whole interval lies closer to 0 than it: "no relevant difference", on whichever side.

    Args:
        interval: of the difference of accuracies.
        margin: the smallest difference that would matter, above 0 (0.01 is one point); or None.
    """
    if interval.low is None or interval.high is None:
        return "no evidence"
    if margin is not None and -margin < interval.low and interval.high < margin:
        return "no relevant difference"
    return "helps" if interval.low > 0 else "hurts" if interval.high < 0 else "no evidence"


def sentence(
    interval: Interval,
    seeds: int,
    pictures: int,
    *,
    level: float = 0.95,
    margin: float | None = None,
    subject: str = "generated pictures",
) -> str:
    """The verdict on `subject` (a plural) in one plain sentence with its figures."""
    size = f"{seeds} seed{'s' * (seeds != 1)} x {pictures} test picture{'s' * (pictures != 1)}"
    said, value, low, high = word(interval, margin), interval.value, interval.low, interval.high
    if low is None or high is None:
        return (
            f"No evidence that {subject} help or hurt: accuracy changes by {points(value)} points, "
            f"but {size} give no interval, so this may be chance."
        )
    chance = f"{100 * level:.3g} % interval"
    figures = f"accuracy changes by {points(value)} points ({chance} {points(low)} to "
    figures += f"{points(high)}), {size}."
    if said == "no evidence":
        return f"No evidence that {subject} help or hurt: {figures}"
    if said == "no relevant difference":
        assert margin is not None
        return (
            f"{subject[:1].upper()}{subject[1:]} make no relevant difference (less than "
            f"{points(margin)} points either way): {figures}"
        )
    change, value, low, high = (
        ("rises", value, low, high) if said == "helps" else ("falls", -value, -high, -low)
    )
    return (
        f"{subject[:1].upper()}{subject[1:]} {said.removesuffix('s')}: accuracy {change} by "
        f"{points(value)} points ({chance} {points(low)} to {points(high)}), {size}."
    )


def no_verdict(primary: tuple[str, str], failed: Sequence[Mapping[str, Any]]) -> str:
    """Why there is none, in one sentence: no seed has both arms.

    Args:
        primary: the arms.
        failed: of each run that failed: "arm", "seed", "error".
    """
    text = f"No seed was finished for both {primary[0]} and {primary[1]}"
    for run in failed:
        if run["arm"] in primary:
            return f"{text}: {run['arm']} seed {run['seed']} failed: {run['error']}"
    return f"{text}."


def conditions(seeds: int, overlap: float | None, gans: int, generated: bool = True) -> str:
    """What the interval holds for, and what it is conditional on, in plain sentences.

    Args:
        seeds: how many.
        overlap: share of training pictures that two seeds have in common; None: all of them.
        gans: how many GANs per class the generated pictures come from, each trained anew.
        generated: whether the arms hold generated pictures at all.
    """
    if seeds < 2:
        return "One seed has no interval: nothing is said about another training."
    parts = ["other test pictures of this kind", "other seeds of the classifier"]
    fixed = []
    if overlap is None:
        fixed.append("this one set of training pictures, which all seeds share")
    else:
        parts.append("other training pictures of this kind, as many as each seed drew")
    if generated:
        parts.append("other samples of the generated pictures")
        if gans > 1:
            parts.append(f"other trainings of the GANs ({gans} were trained of each)")
        else:
            fixed.append("the one source of the generated pictures: another GAN may do otherwise")
    text = f"The interval holds for {', '.join(parts[:-1])} and {parts[-1]}."
    if overlap:
        text += (
            f" Two seeds share {100 * overlap:.0f} % of their training pictures; the interval is "
            "widened for that (delete-d jackknife), rather too much than too little."
        )
    return text + (f" It is conditional on {' and on '.join(fixed)}." if fixed else "")


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points, "2.1"; "0.03" rather than "0.0"."""
    value = 100 * fraction
    if float(f"{value:.1f}"):
        return f"{value:.1f}"
    return f"{value:.1g}" if abs(value) >= 1e-4 else "0.0"
