"""From the runs' probabilities to everything that results.json says of the arms."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxgan.experiment import cheapest_arm, outcomes
from jaxgan.experiment import verdict as words
from jaxgan.experiment.outcomes import OUTCOMES, Tables
from jaxgan.experiment.runs_by_arm import RunsByArm
from jaxgan.experiment.schema import Judged
from jaxgan.metrics.classification import auroc, calibration_error
from jaxgan.statistics import crossed, group_sequential, learning_curve, power
from jaxgan.statistics.crossed import Interval
from jaxgan.statistics.variance_components import Components, components

POWER = 0.8


def judge(
    runs: Sequence[Mapping[str, Any]],
    labels: Mapping[int, Int[np.ndarray, " n"]] | Int[np.ndarray, " n"],
    classes: Sequence[str],
    *,
    primary: tuple[str, str],
    about: Mapping[str, Mapping[str, Any]],
    seeds: int,
    outcome: str = "accuracy",
    level: float = 0.95,
    margin: float | None = None,
    width: float | None = None,
    looks: Sequence[int] = (),
    assumed: Components | None = None,
    failed: Sequence[Mapping[str, Any]] = (),
    same_samples: float | None = None,
    groups: Mapping[int, Int[np.ndarray, " n"]] | None = None,
) -> Judged:
    """Return the verdict, the arms and their contrasts, as results.json holds them.

    The primary contrast alone gives the verdict. All others, each arm against its `base`, have
    intervals that cover together (Bonferroni) and p-values adjusted together (Holm). Runs may be
    missing: a contrast takes the seeds that both of its arms have. Where the primary one has none
    the word is "no verdict", and there is no figure of it.

    Args:
        runs: see `RunsByArm`.
        labels: of each fold's test images; an array is that of one fold.
        classes: their names.
        primary: the arm that is judged, and the one it is judged against.
        about: of each arm, whatever results.json shall say of it. "base" is the arm that it is
            compared with ("real" without), "size" its number of real images and "ratio" that of
            generated ones per real one: arms of ratio 0 that are no one's `primary[0]` make up
            the learning curve, where there are two sizes or more.
        seeds: how many seeds were planned.
        outcome: what the verdict is about; see `outcomes.OUTCOMES`.
        level: probability that an interval covers.
        margin: smallest difference that would matter; or None.
        width: half-width of the interval that was asked for; or None.
        looks: numbers of seeds after which the experiment might have stopped (`group_sequential`).
        assumed: variances to plan the power with (`power.assumed()` without).
        failed: the runs that are missing: "arm", "seed", "error".
        same_samples: share of the generated images that two seeds have in common; None: there are
            no generated ones.
        groups: see `RunsByArm`.
    """
    labels = dict(labels) if isinstance(labels, Mapping) else {0: labels}
    answers = RunsByArm(runs, labels, outcome, groups)
    both = answers.common(*primary)
    done = min(map(len, both.values()), default=0)
    at = group_sequential.level_at(done or seeds, looks, seeds, level) if looks else level

    arms = {
        arm: {**more, **_arm(answers, arm, classes, level)}
        for arm, more in about.items()
        if answers.common(arm)
    }
    pairs = [(arm, about[arm].get("base", "real")) for arm in arms]
    pairs = [p for p in pairs if p[0] != p[1] and p != primary and answers.common(*p)]
    each = 1 - (1 - at) / max(len(pairs), 1)
    others = [_contrast(answers, *p, each) for p in pairs]
    tested = [c for c in others if c["p"] is not None]
    for c, p in zip(tested, crossed.holm([c["p"] for c in tested]), strict=True):
        c["holm"] = p
    first = _contrast(answers, *primary, at) if both else None
    verdict: dict[str, Any] = {
        "primary": list(primary),
        "outcome": outcome,
        "margin": margin,
        "width": width,
        "looks": list(looks),
        "seeds": done,
        "planned_seeds": seeds,
        "folds": len(both),
    }
    if first:
        verdict |= _verdict(answers, first, classes, verdict, assumed, same_samples)
    else:
        verdict |= {"word": "no verdict", "sentence": words.no_verdict(primary, failed)}
        verdict |= {"difference": None, "low": None, "high": None, "level": at}
    judged: Any = {
        "verdict": verdict,
        "arms": arms,
        "contrasts": [
            *([first | {"primary": True}] if first else []),
            *(c | {"primary": False} for c in others),
        ],
        "ladder": cheapest_arm.cheapest(answers, arms, level),
        "worth": _worth(answers, primary[0], about, level),
    }
    return judged


def _verdict(
    answers: RunsByArm,
    first: dict[str, Any],
    classes: Sequence[str],
    asked: Mapping[str, Any],
    assumed: Components | None,
    same_samples: float | None,
) -> dict[str, Any]:
    """Return what the primary contrast, `first`, says."""
    primary, at, margin = (first["a"], first["b"]), first["level"], asked["margin"]
    both = answers.common(*primary)
    interval = Interval(*(first[k] for k in ("difference", "low", "high", "se", "df")))
    outcome = OUTCOMES[answers.outcome]
    images = sum(len(answers.labels[k]) for k in both)
    gans = answers.gans(both)
    second = outcomes.beside(answers.outcome)
    one, two = (answers.tables(arm, both, second) for arm in primary)
    groups = answers.groups(both)
    number = None if groups is None else sum(len(np.unique(of)) for of in groups)
    other = crossed.paired_difference(one, two, at, limits=None, groups=groups)
    a, b = (answers.tables(arm, both) for arm in primary)
    wider = crossed.across_folds(a, b, at)
    if wider is None and len(set(gans)) > 1:
        wider = crossed.across_gans(a, b, gans, at, groups)
    if wider is not None and wider.half is not None:  # Never surer than the headline.
        half = max(wider.half, interval.half or 0.0)
        wider = wider._replace(low=wider.value - half, high=wider.value + half)
    return first | {
        "word": words.word(interval, margin, words.widest(outcome, asked["width"])),
        "sentence": words.sentence(
            interval,
            words.size(both, images, groups),
            level=at,
            margin=margin,
            outcome=outcome,
            widest=words.widest(outcome, asked["width"]),
        ),
        "images": images,
        "groups": number,
        "gans": len(set(gans)) or 1,
        "conditions": words.conditions(
            len(both), min(map(len, both.values())), same_samples, number
        ),
        "beside": other._asdict()
        | {"outcome": second, "sentence": words.beside(other, OUTCOMES[second], at)},
        "elsewhere": wider
        and wider._asdict()
        | {"sentence": words.elsewhere(wider, len(both), len(set(gans)), outcome, at)},
        "mcnemar": [
            {"fold": k, "seed": seed, **crossed.mcnemar(*pair)._asdict()}
            for k, seeds in both.items()
            for seed in seeds
            for pair in [
                [
                    answers.probabilities(arm, {k: [seed]})[0][0].argmax(1) == answers.labels[k]
                    for arm in primary
                ]
            ]
        ],
        "per_class": _per_class(answers, primary, classes, at),
        "power": _power(answers, primary, asked["planned_seeds"], at, assumed or power.assumed()),
    }


def _arm(answers: RunsByArm, arm: str, classes: Sequence[str], level: float) -> dict[str, Any]:
    seeds = answers.common(arm)
    right = answers.tables(arm, seeds, "accuracy")
    labels = [answers.labels[k] for k in seeds]
    whole = crossed.crossed_interval(right, level, answers.groups(seeds))
    recall = {}
    for i, name in enumerate(classes):
        mine = [of[:, y == i] for of, y in zip(right, labels, strict=True) if (y == i).any()]
        if mine:
            one = crossed.crossed_interval(mine, level, answers.groups(seeds, i))
            recall[name] = {"recall": one.value, "low": one.low, "high": one.high}
    worst = min(recall, key=lambda name: recall[name]["recall"])
    p = answers.probabilities(arm, seeds)
    each = [(one, y) for of, y in zip(p, labels, strict=True) for one in of]
    areas = np.array([auroc(*pair) for pair in each])
    means = {
        name: _mean(answers.tables(arm, seeds, name)) * (-1 if OUTCOMES[name].falls else 1)
        for name in OUTCOMES
        if name not in ("balanced_accuracy", "macro_f1") or len(recall) == len(classes)
    }
    together = [
        np.log(np.maximum(of, outcomes.LEAST)).mean(0).argmax(1) == y
        for of, y in zip(p, labels, strict=True)
    ]
    return {
        "accuracy": whole.value,
        "low": whole.low,
        "high": whole.high,
        "outcomes": means,
        "seeds": len({seed for of in seeds.values() for seed in of}),
        "ensemble": float(np.concatenate(together).mean())
        if min(map(len, seeds.values())) > 1
        else None,
        "per_class": recall,
        "worst_class": {"class": worst, **recall[worst]},
        "calibration_error": float(np.mean([calibration_error(*pair) for pair in each])),
        "auroc": None if np.isnan(areas).all() else float(np.nanmean(areas)),
    }


def _mean(tables: Tables) -> float:
    """Over all images, each fold's seeds averaged."""
    return float(np.concatenate([of.mean(0) for of in tables]).mean())


def _contrast(answers: RunsByArm, a: str, b: str, level: float) -> dict[str, Any]:
    seeds, others = answers.common(a, b), answers.others(a, b)
    pair = answers.tables(a, seeds), answers.tables(b, seeds)
    groups = answers.groups(seeds)
    interval = crossed.paired_difference(*pair, level, others, answers.limits, groups)
    more = {name: getattr(interval, name) for name in ("low", "high", "se", "df")}
    p = crossed.p_value(*pair, others, answers.limits, groups)
    return {"a": a, "b": b, "difference": interval.value, **more, "p": p, "level": level}


def _per_class(
    answers: RunsByArm, primary: tuple[str, str], classes: Sequence[str], level: float
) -> dict[str, Any]:
    """Return the primary contrast's rise of each class's recall; the intervals cover together."""
    seeds = answers.common(*primary)
    a, b = (answers.tables(arm, seeds, "accuracy") for arm in primary)
    labels = [answers.labels[k] for k in seeds]
    present = np.unique(np.concatenate(labels))
    table = {}
    for i in present:
        one, two = (
            [of[:, y == i] for of, y in zip(tables, labels, strict=True) if (y == i).any()]
            for tables in (a, b)
        )
        each = 1 - (1 - level) / len(present)
        found = crossed.paired_difference(one, two, each, groups=answers.groups(seeds, int(i)))
        table[classes[i]] = {"difference": found.value, "low": found.low, "high": found.high}
    return table


def _power(
    answers: RunsByArm,
    primary: tuple[str, str],
    planned_seeds: int,
    level: float,
    assumed: Components,
) -> dict[str, Any]:
    """Return the smallest effects: by assumed variances before, by observed ones after."""
    seeds = answers.common(*primary)
    a, b = (answers.tables(arm, seeds) for arm in primary)
    images, folds = sum(of.shape[1] for of in a), len(seeds)
    arms = 2 + len(answers.others(*primary))
    least = min(map(len, seeds.values()))
    groups = answers.groups(seeds)
    # Before anything is known of how alike the images of a group are, they count as one.
    units = images if groups is None else sum(len(np.unique(of)) for of in groups)
    before = power.Design(planned_seeds, units, level, folds, arms)
    after = power.Design(least, images, level, folds, arms)
    share = OUTCOMES[answers.outcome].share
    y = [x - z for x, z in zip(a, b, strict=True)]
    if share and not any(map(np.any, y)):  # No image told the arms apart: as the interval has it.
        y, groups = crossed.with_images(y, (-1, 1), groups)
    observed = components(y, groups) if least > 1 else None
    return {
        "probability": POWER,
        "assumed": assumed._asdict(),
        "planned": power.smallest_effect(assumed, before, POWER) if share else None,
        "observed": observed and observed._asdict(),
        "seen": observed and power.smallest_effect(observed, after, POWER),
    }


def _worth(
    answers: RunsByArm, arm: str, about: Mapping[str, Mapping[str, Any]], level: float
) -> dict[str, Any] | None:
    """Return what the arm is worth in real images; None where the design cannot bound it on one
    side.
    """
    sizes = {
        name: more["size"]
        for name, more in about.items()
        if more.get("ratio") == 0 and name != arm and answers.common(name)
    }
    real = sorted(sizes, key=lambda name: sizes[name])
    if len(set(sizes.values())) < 2 or len(set(sizes.values())) < len(real):
        return None
    seeds = answers.common(arm, *real)
    if not seeds:
        return None
    rows = [sizes[name] for name in real]
    of = {name: answers.tables(name, seeds, "accuracy") for name in (arm, *real)}
    found = learning_curve.worth(
        of[arm], [of[name] for name in real], rows, level, answers.groups(seeds)
    )
    if found.low is None and found.high is None:
        return None
    return {
        "arm": arm,
        "sizes": rows,
        "accuracies": [_mean(of[name]) for name in real],
        **found._asdict(),
        "sentence": learning_curve.describe(found, rows, level),
    }
