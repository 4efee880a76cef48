"""From the runs' probabilities to everything that results.json says of the arms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxgan.evaluate import auroc, calibration_error
from jaxgan.experiment import curve, power, sequential, statistics, words
from jaxgan.experiment.components import Components, components, mean_squares
from jaxgan.experiment.statistics import Interval

POWER = 0.8


class Answers:
    """The runs, by arm: right or wrong, and the probabilities, in the order of the seeds."""

    def __init__(self, runs: Sequence[Mapping[str, Any]], labels: np.ndarray):
        self._right: dict[str, dict[int, np.ndarray]] = {}
        self._gan: dict[str, dict[int, int]] = {}
        self.probabilities: dict[str, dict[int, np.ndarray]] = {}
        for run in runs:
            arm, seed, p = run["arm"], run["seed"], np.asarray(run["probabilities"])
            self._right.setdefault(arm, {})[seed] = p.argmax(1) == labels
            self.probabilities.setdefault(arm, {})[seed] = p
            if run.get("gan") is not None:
                self._gan.setdefault(arm, {})[seed] = run["gan"]

    def seeds(self, *arms: str) -> list[int]:
        """The seeds that all of `arms` have."""
        first, *others = (self._right.get(arm, {}) for arm in arms)
        return [seed for seed in first if all(seed in other for other in others)]

    def right(self, arm: str, seeds: Sequence[int]) -> np.ndarray:
        return np.stack([self._right[arm][seed] for seed in seeds])

    def gans(self, seeds: Sequence[int], *arms: str) -> list[int] | None:
        """The GAN behind each seed, where an arm has any."""
        for arm in arms:
            if of := self._gan.get(arm):
                return [of[seed] for seed in seeds]
        return None


def judge(
    runs: Sequence[Mapping[str, Any]],
    labels: Int[np.ndarray, " _"],
    classes: Sequence[str],
    *,
    primary: tuple[str, str],
    about: Mapping[str, Mapping[str, Any]],
    seeds: int,
    level: float = 0.95,
    margin: float | None = None,
    looks: Sequence[int] = (),
    overlap: float | None = None,
    assumed: Components | None = None,
    failed: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The verdict, the arms and their contrasts, as results.json holds them.

    The primary contrast alone gives the verdict. All others, each arm against its `base`, have
    intervals that cover together (Bonferroni) and p-values adjusted together (Holm). Runs may be
    missing: a contrast takes the seeds that both of its arms have. Where the primary one has none
    the word is "no verdict", and there is no figure of it.

    Args:
        runs: one per arm and seed: "arm", "seed", "probabilities" [pictures, classes] and, where
            GANs were trained several times, "gan", the number of the one it learned from.
        labels: [pictures].
        classes: their names.
        primary: the arm that is judged, and the one it is judged against.
        about: of each arm, whatever results.json shall say of it. "base" is the arm that it is
            compared with ("real" without), "size" its number of real pictures and "ratio" that of
            generated ones per real one: arms of ratio 0 that are no one's `primary[0]` make up
            the learning curve, where there are two sizes or more.
        seeds: how many seeds were planned.
        level: probability that an interval covers.
        margin: smallest difference of accuracies that would matter; or None.
        looks: numbers of seeds after which the experiment might have stopped (`sequential`).
        overlap: share of training pictures that two seeds have in common; None: all of them.
        assumed: variances to plan the power with (`power.assumed()` without).
        failed: the runs that are missing: "arm", "seed", "error".
    """
    answers = Answers(runs, labels)
    both = answers.seeds(*primary)
    at = sequential.level_at(len(both) or seeds, looks, seeds, level) if looks else level
    several = len({run["gan"] for run in runs if run.get("gan") is not None}) > 1

    def shared(*arms: str) -> float | None:
        """The overlap of these arms' seeds: of one retrained GAN they have the same pictures."""
        left = answers.gans(answers.seeds(*arms), *arms)
        return None if several and left and len(set(left)) == 1 else overlap

    arms = {
        arm: {**more, **_arm(answers, arm, labels, classes, level, shared(arm) or 0.0)}
        for arm, more in about.items()
        if answers.seeds(arm)
    }
    pairs = [(arm, about[arm].get("base", "real")) for arm in arms]
    pairs = [p for p in pairs if p[0] != p[1] and p != primary and answers.seeds(*p)]
    each = 1 - (1 - at) / max(len(pairs), 1)
    others = [_contrast(answers, *p, each, shared(*p) or 0.0) for p in pairs]
    tested = [c for c in others if c["p"] is not None]
    for c, p in zip(tested, statistics.holm([c["p"] for c in tested]), strict=True):
        c["holm"] = p
    mine = shared(*primary)
    first = _contrast(answers, *primary, at, mine or 0.0) if both else None
    verdict: dict[str, Any] = {
        "primary": list(primary),
        "margin": margin,
        "looks": list(looks),
        "seeds": len(both),
        "planned_seeds": seeds,
        "overlap": mine,
    }
    if first:
        verdict |= _verdict(answers, first, labels, classes, margin, seeds, mine, assumed)
    else:
        verdict |= {"word": "no verdict", "sentence": words.no_verdict(primary, failed)}
        verdict |= {"difference": None, "low": None, "high": None, "level": at}
    return {
        "verdict": verdict,
        "arms": arms,
        "contrasts": [
            *([first | {"primary": True}] if first else []),
            *(c | {"primary": False} for c in others),
        ],
        "worth": _worth(answers, primary[0], about, level, overlap or 0.0),
    }


def _verdict(
    answers: Answers,
    first: dict[str, Any],
    labels: np.ndarray,
    classes: Sequence[str],
    margin: float | None,
    planned_seeds: int,
    overlap: float | None,
    assumed: Components | None,
) -> dict[str, Any]:
    """What the primary contrast, `first`, says."""
    primary, at = (first["a"], first["b"]), first["level"]
    both = answers.seeds(*primary)
    interval = Interval(*(first[k] for k in ("difference", "low", "high", "se", "df")))
    gans = len(set(answers.gans(both, *primary) or (0,)))
    return first | {
        "word": words.word(interval, margin),
        "sentence": words.sentence(interval, len(both), len(labels), level=at, margin=margin),
        "gans": gans,
        "conditions": words.conditions(len(both), overlap, gans),
        "mcnemar": [
            {
                "seed": seed,
                **statistics.mcnemar(*(answers.right(a, [seed])[0] for a in primary))._asdict(),
            }
            for seed in both
        ],
        "per_class": _per_class(answers, primary, labels, classes, at, overlap or 0.0),
        "power": _power(
            answers, primary, planned_seeds, at, overlap or 0.0, assumed or power.assumed()
        ),
    }


def _arm(
    answers: Answers,
    arm: str,
    labels: np.ndarray,
    classes: Sequence[str],
    level: float,
    overlap: float,
) -> dict[str, Any]:
    seeds = answers.seeds(arm)
    right, gans = answers.right(arm, seeds), answers.gans(seeds, arm)
    whole = statistics.crossed_interval(right, level, overlap, gans)
    recall = {}
    for i, name in enumerate(classes):
        if (labels == i).any():
            one = statistics.crossed_interval(right[:, labels == i], level, overlap, gans)
            recall[name] = {"recall": one.value, "low": one.low, "high": one.high}
    worst = min(recall, key=lambda name: recall[name]["recall"])
    p = [answers.probabilities[arm][seed] for seed in seeds]
    areas = np.array([auroc(one, labels) for one in p])
    return {
        "accuracy": whole.value,
        "low": whole.low,
        "high": whole.high,
        "seeds": len(seeds),
        "per_class": recall,
        "worst_class": {"class": worst, **recall[worst]},
        "calibration_error": float(np.mean([calibration_error(one, labels) for one in p])),
        "auroc": None if np.isnan(areas).all() else float(np.nanmean(areas)),
    }


def _contrast(answers: Answers, a: str, b: str, level: float, overlap: float) -> dict[str, Any]:
    seeds = answers.seeds(a, b)
    pair, gans = (answers.right(a, seeds), answers.right(b, seeds)), answers.gans(seeds, a, b)
    interval = statistics.paired_difference(*pair, level, overlap, gans)
    more = {name: getattr(interval, name) for name in ("low", "high", "se", "df")}
    p = statistics.p_value(*pair, overlap, gans)
    return {"a": a, "b": b, "difference": interval.value, **more, "p": p, "level": level}


def _per_class(
    answers: Answers,
    primary: tuple[str, str],
    labels: np.ndarray,
    classes: Sequence[str],
    level: float,
    overlap: float,
) -> dict[str, Any]:
    """The primary contrast's rise of each class's recall; the intervals cover together."""
    seeds = answers.seeds(*primary)
    a, b = (answers.right(arm, seeds) for arm in primary)
    gans, present = answers.gans(seeds, *primary), np.unique(labels)
    table = {}
    for i in present:
        mine = labels == i
        found = statistics.paired_difference(
            a[:, mine], b[:, mine], 1 - (1 - level) / len(present), overlap, gans
        )
        table[classes[i]] = {"difference": found.value, "low": found.low, "high": found.high}
    return table


def _power(
    answers: Answers,
    primary: tuple[str, str],
    planned_seeds: int,
    level: float,
    overlap: float,
    assumed: Components,
) -> dict[str, Any]:
    """The smallest effects: by assumed variances before, by observed ones after."""
    seeds = answers.seeds(*primary)
    a, b = (answers.right(arm, seeds).astype(float) for arm in primary)
    pictures, gans = a.shape[1], answers.gans(seeds, *primary)
    y = a - b
    if not np.ptp(y):  # No picture told the arms apart: as the interval takes it.
        y = statistics.with_pictures(y, (-1, 1))
    nested = gans is not None and len(set(gans)) > 1
    if nested:
        y = np.stack([y[np.array(gans) == g].mean(0) for g in sorted(set(gans or ()))])
    before = power.Design(planned_seeds, pictures, level, overlap)
    after = power.Design(len(y), pictures, level, overlap, nested)
    observed = components(mean_squares(y)) if min(y.shape) > 1 else None
    return {
        "probability": POWER,
        "assumed": assumed._asdict(),
        "planned": power.smallest_effect(assumed, before, POWER),
        "observed": observed and observed._asdict(),
        "seen": observed and power.smallest_effect(observed, after, POWER),
    }


def _worth(
    answers: Answers,
    arm: str,
    about: Mapping[str, Mapping[str, Any]],
    level: float,
    overlap: float,
) -> dict[str, Any] | None:
    """What the arm is worth in real pictures; None where real pictures have one size only."""
    sizes = {
        name: more["size"]
        for name, more in about.items()
        if more.get("ratio") == 0 and name != arm and answers.seeds(name)
    }
    real = sorted(sizes, key=lambda name: sizes[name])
    if len(set(sizes.values())) < 2 or len(set(sizes.values())) < len(real):
        return None
    seeds = answers.seeds(arm, *real)
    if not seeds:
        return None
    rows = [sizes[name] for name in real]
    found = curve.worth(
        answers.right(arm, seeds),
        np.stack([answers.right(name, seeds) for name in real]),
        rows,
        level,
        overlap,
    )
    return {
        "arm": arm,
        "sizes": rows,
        "accuracies": [float(answers.right(name, seeds).mean()) for name in real],
        **found._asdict(),
        "sentence": curve.describe(found, rows, level),
    }
