"""The verdict in words: what an interval says, and what it is silent on."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxgan.experiment.outcomes import OUTCOMES, Outcome
from jaxgan.statistics.clusters import Groups
from jaxgan.statistics.crossed import Interval

WIDEST = 0.05  # Half-width of a share's interval from which on it is too noisy to tell anything.
SURE = 0.9  # Share of a folder that two seeds may have in common and still be other samples.


def widest(outcome: Outcome, width: float | None) -> float | None:
    """Return the half-width above which an interval that holds 0 is too noisy; None: there is none.

    Args:
        outcome: of the verdict.
        width: the half-width that was asked for, if any.
    """
    return width if width is not None else WIDEST if outcome.share else None


def word(interval: Interval, margin: float | None = None, widest: float | None = WIDEST) -> str:
    """Return the verdict, from a difference's interval alone.

    "helps" where it lies above 0, "hurts" below. Where a margin is given and the whole interval
    lies closer to 0 than it: "no relevant difference", on whichever side. Else "no evidence", or
    "too noisy to tell" where there is no interval or half of it is above `widest`.

    Args:
        interval: of the difference of outcomes.
        margin: the smallest difference that would matter, above 0 (0.01 is one point); or None.
        widest: half-width, 0.05 for 5 points; None: no interval is too wide.
    """
    if interval.low is None or interval.high is None:
        return "too noisy to tell"
    if margin is not None and -margin < interval.low and interval.high < margin:
        return "no relevant difference"
    if interval.low > 0 or interval.high < 0:
        return "helps" if interval.low > 0 else "hurts"
    half = (interval.high - interval.low) / 2
    return "no evidence" if widest is None or half <= widest else "too noisy to tell"


def decides(interval: Interval, margin: float | None = None) -> bool:
    """Return whether more seeds are not needed for a verdict: see `word`."""
    return word(interval, margin) in ("helps", "hurts", "no relevant difference")


def sentence(
    interval: Interval,
    size: str,
    *,
    level: float = 0.95,
    margin: float | None = None,
    widest: float | None = WIDEST,
    outcome: Outcome = OUTCOMES["accuracy"],
    subject: str = "generated images",
) -> str:
    """Return the verdict on `subject` (a plural) in one plain sentence with its figures.

    Args:
        interval: of the difference, where higher is better.
        size: of the experiment, as `size` tells it.
        level: probability that the interval covers.
        margin: as for `word`.
        widest: as for `word`.
        outcome: what differs.
        subject: what is judged.
    """
    said, low, high = word(interval, margin, widest), interval.low, interval.high
    begin = subject[:1].upper() + subject[1:]
    if low is None or high is None:
        return (
            f"Too noisy to tell whether {subject} help or hurt: {change(interval.value, outcome)}, "
            f"but {size} give no interval, so this may be chance."
        )
    figures = f"{change(interval.value, outcome)} ({between(interval, outcome, level)}; {size})."
    return {
        "helps": f"{begin} help: {figures}",
        "hurts": f"{begin} hurt: {figures}",
        "no evidence": f"No evidence that {subject} help or hurt: {figures}",
        "too noisy to tell": f"Too noisy to tell whether {subject} help or hurt: {figures}",
        "no relevant difference": f"{begin} make no relevant difference (less than "
        f"{_amount(margin or 0, outcome)} either way): {figures}",
    }[said]


def size(seeds: Mapping[int, Sequence[int]], images: int, groups: Groups | None = None) -> str:
    """Return how large an experiment is: "4 folds x 3 seeds, 480 test images", "of 30 groups"
    perhaps.
    """
    counts = sorted(set(map(len, seeds.values())))
    several = " to ".join(map(str, {counts[0]: 0, counts[-1]: 0}))
    told = f"{several} seed{'s' * (counts[-1] != 1)}"
    if len(seeds) > 1:
        told = f"{len(seeds)} folds x {told}"
    told = f"{told}, {images:,} test image{'s' * (images != 1)}"
    return told + (f" of {sum(len(set(of)) for of in groups):,} groups" if groups else "")


def change(value: float, outcome: Outcome) -> str:
    """ "accuracy rises by 2.1 points"; of an outcome of which less is better, which way it goes."""
    up = (value < 0) == outcome.falls
    return f"{outcome.title} {'rises' if up else 'falls'} by {_amount(abs(value), outcome)}"


def between(interval: Interval, outcome: Outcome, level: float) -> str:
    """ "95 % interval -0.3 to +4.5"; of a loss, that of its change."""
    ends = (interval.low, interval.high)
    if outcome.falls:
        ends = tuple(None if x is None else -x for x in reversed(ends))
    low, high = (_number(x or 0.0, outcome, sign=True) for x in ends)
    return f"{100 * level:.3g} % interval {low} to {high}"


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


def conditions(
    folds: int, seeds: int, same_samples: float | None = None, groups: int | None = None
) -> str:
    """Return what the interval holds for, in one plain sentence.

    Args:
        folds: how many.
        seeds: of each fold, at least.
        same_samples: share of generated images that two seeds have in common; None: there are none.
        groups: into how many the test images fall, if any were asked for.
    """
    if seeds < 2 and folds < 2:
        return "One seed has no interval: nothing is said about another training."
    samples = " and other samples of the same GANs or folders" * (
        same_samples is not None and same_samples < SURE
    )
    text = (
        f"This holds for classifiers trained anew on these images{samples}, and for new test "
        "images of the same kind" + (", of new groups (data.groups)." if groups else ".")
    )
    if same_samples is not None and same_samples >= SURE:
        text += (
            f" Two seeds share {100 * same_samples:.0f} % of the generated images: of others it "
            "says nothing."
        )
    return text


def beside(interval: Interval, outcome: Outcome, level: float) -> str:
    """Return what the second outcome says, in one sentence."""
    told = f"{change(interval.value, outcome).capitalize()}"
    if interval.low is None:
        return f"{told}, without an interval."
    verdict = word(interval, widest=None)
    plain = {"helps": "better", "hurts": "worse"}.get(verdict, "no clear change")
    return f"{told} ({between(interval, outcome, level)}): {plain}."


def elsewhere(interval: Interval, folds: int, gans: int, outcome: Outcome, level: float) -> str:
    """Return whether it would hold for other training images or another GAN, in one sentence."""
    if folds > 1:
        other = f"other training images and other GANs ({folds} folds, each with its own)"
    else:
        other = f"other GANs of the same images ({gans} were trained of each)"
    if interval.low is None:
        return f"Whether it would hold for {other}, this experiment cannot tell."
    told = {"helps": "it helps there, too", "hurts": "it hurts there, too"}
    said = told.get(word(interval, widest=None), "the sign is open there")
    return f"For {other}: {said} ({between(interval, outcome, level)})."


def points(fraction: float) -> str:
    """Return a difference of shares in percentage points, "2.1"; "0.03" rather than "0.0"."""
    value = 100 * fraction
    if float(f"{value:.1f}"):
        return f"{value:.1f}"
    return f"{value:.1g}" if abs(value) >= 1e-4 else "0.0"


def _number(value: float, outcome: Outcome, sign: bool = False) -> str:
    text = points(value) if outcome.share else f"{value:.3f}"
    return "+" * (sign and value > 0 and not text.startswith("+")) + text


def _amount(value: float, outcome: Outcome) -> str:
    return _number(value, outcome) + " points" * outcome.share
