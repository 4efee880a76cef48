"""What next: from an experiment's results to the one or two things that are worth doing."""

import math
import shlex
from typing import Any

from jaxgan.config import arm_names
from jaxgan.engine import log
from jaxgan.experiment import cheapest_arm
from jaxgan.experiment.outcomes import OUTCOMES
from jaxgan.experiment.schema import Ladder, Results, Sentence
from jaxgan.experiment.verdict import WIDEST, points
from jaxgan.statistics import power
from jaxgan.statistics.variance_components import Components

MOST_SEEDS = 20
UNEQUAL = 2  # Times as many images as of another class.


def what_next(results: Results) -> list[Sentence]:
    """Return steps, the most useful one first: each a "sentence" and, where one helps,
    a "command".
    """
    verdict = results["verdict"]
    found = []
    if broken := [g["name"] for g in results.get("guards", []) if g["passed"] is False]:
        found.append(
            step(f"Read first why the check{'s' * (len(broken) > 1)} {', '.join(broken)} failed.")
        )
    if verdict["difference"] is None:
        return [*found, step("Run the same command again: it tries again what failed.")]
    if late := unfinished(results):
        found.append(
            step(
                f"Classifiers of {', '.join(late)} were still getting better when they ended: give "
                "them twice the steps, in a new folder.",
                _command(results, steps=2),
            )
        )
    if gate := beaten(results):
        found.append(step(gate))
    if unequal := _unequal(results):
        found.append(unequal)
    found += {
        "helps": _helped,
        "hurts": _hurt,
        "no relevant difference": _equal,
        "no evidence": _equal,
        "too noisy to tell": _noisy,
    }[verdict["word"]](results)
    return found


def beaten(results: Results) -> str | None:
    """Return a sentence where the verdict's GANs are no better than principal components, which
    train nothing; None where they are, or where that was not compared.
    """
    gate = results.get("gate")
    if gate and not gate["passed"]:
        return f"{gate['sentence']} Train them longer, or take those."
    a, _ = results["verdict"]["primary"]
    name = arm_names.parse(a)
    for other, arm in results["arms"].items():
        read = arm_names.parse(other)
        same = read.size == name.size and read.variants == name.variants
        if read.kind == "pca" and name.source is None and same:
            if arm["accuracy"] < results["arms"][a]["accuracy"]:
                return None
            return (
                f"Beside the real images samples of principal components ({other}), which train "
                f"nothing, do as well as the GANs': {arm['accuracy']:.1%}, and "
                f"{results['arms'][a]['accuracy']:.1%} with theirs. Take those, or train longer."
            )
    return None


def _unequal(results: Results) -> Sentence | None:
    """Return what to look at where accuracy is mostly that of the larger classes."""
    counts = results["data"]["counts"]["train"]
    most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    if counts[most] < UNEQUAL * counts[least] or results["verdict"]["outcome"] != "accuracy":
        return None
    return step(
        f"There are {counts[most]:,} images of {most} to train on, {counts[least]:,} of {least}: "
        "look at each class's recall, too; with --config.verdict.outcome=balanced_accuracy all "
        "classes count alike."
    )


def step(sentence: str, command: str | None = None) -> Sentence:
    return {"sentence": sentence, "command": command} if command else {"sentence": sentence}


def unfinished(results: Results) -> list[str]:
    """Arms whose classifiers still got better at the end, by more than chance.

    Over the last quarter of the steps validation accuracy rises by a point or more, and validation
    loss falls by a tenth or more, in the mean of the arm's runs and in more than three of four.
    """
    late = []
    for arm in results["arms"]:
        changes = []
        for run in results["runs"]:
            looks = run["curve"]["validation"] if run["arm"] == arm else []
            before = [p for p in looks if p["step"] <= 0.75 * looks[-1]["step"]][-1:]
            if len(looks) > 3 and before[0]["loss"] > 0:
                fall = 1 - looks[-1]["loss"] / before[0]["loss"]
                changes.append((looks[-1]["accuracy"] - before[0]["accuracy"], fall))
        if not changes:
            continue
        rise, fall = (sum(of) / len(changes) for of in zip(*changes, strict=True))
        most = sum(change > 0 for _, change in changes) > 0.75 * len(changes)
        if most and rise >= 0.01 and fall >= 0.1:
            late.append(arm)
    return late


def _helped(results: Results) -> list[Sentence]:
    a, b = results["verdict"]["primary"]
    ladder = results.get("ladder")
    found = []
    if ladder and ladder["cheapest"] not in (a, b, ladder["best"]):  # `a` was found better than b.
        found.append(
            step(f"Before you use {a}: {ladder['cheapest']} costs less, and may do as well.")
        )
    found.append(step(f"Use {a}: its classifiers lie under classifiers/{a} in the run's folder."))
    elsewhere = results["verdict"]["elsewhere"]
    if elsewhere is None and not results["data"].get("own_sides"):
        found.append(
            step(
                f"To learn whether {a} beats {b} with other GANs and other training images, too: "
                "folds.",
                _command(results, folds=5),
            )
        )
    return found


def _hurt(results: Results) -> list[Sentence]:
    a, b = results["verdict"]["primary"]
    return [
        step(f"Use {b}, and not {a}."),
        step(
            "If you want to try on: train the GANs longer, or keep only the best of what they draw "
            "(an arm with +selection)."
        ),
    ]


def _equal(results: Results) -> list[Sentence]:
    verdict, ladder = results["verdict"], results.get("ladder")
    found = []
    if OUTCOMES[verdict["outcome"]].share:
        found.append(
            step(
                f"Generated images as these are change {OUTCOMES[verdict['outcome']].title} by no "
                f"more than {points(max(-verdict['low'], verdict['high'], 0))} points; if less "
                "than that does not matter to you, stop here."
            )
        )
    if ladder:
        found.append(step(f"Use {_to_use(ladder)}."))
    return found


def _to_use(ladder: Ladder) -> str:
    """Return the cheapest arm that is as good as the best; of those that cost nothing beside
    the classifier, the most accurate.
    """
    accuracies, low = ladder.get("accuracies", {}), ladder["cheapest"]
    free = [name for name in accuracies if cheapest_arm.costs_nothing(name)]
    return max(free, key=accuracies.__getitem__) if low in free else low


def _noisy(results: Results) -> list[Sentence]:
    """Why it is noisy, and the command that would tell, with its cost."""
    verdict = results["verdict"]
    found = (verdict.get("power") or {}).get("observed")
    wanted = verdict["width"] or WIDEST
    seconds, folds = results["seconds"], verdict["folds"]
    each = seconds["classify"] / max(1, verdict["seeds"])
    if found is None or verdict["seeds"] < 2:
        count = max(3, verdict["seeds"] + 1)
        cost = each * (count - verdict["seeds"])
        return [
            step(
                f"One seed tells nothing of chance: train {count} "
                f"(about {log.duration(cost)} more).",
                _command(results, seeds=count, cost=cost),
            )
        ]
    variances = Components(**found)
    for count in range(verdict["seeds"] + 1, MOST_SEEDS + 1):
        half = power.expected_half(
            variances, power.Design(count, verdict["images"], verdict["level"], folds)
        )
        if half is not None and half <= wanted:
            cost = each * (count - verdict["seeds"])
            return [
                step(
                    f"The classifiers' luck is what is noisy: with {count} seeds half of the "
                    f"interval would be about {points(half)} points (about {log.duration(cost)} "
                    "more; nothing is trained again).",
                    _command(results, seeds=count, cost=cost),
                )
            ]
    data = results["data"]
    total = sum(
        data["counts"][part][name] for part in data["counts"] for name in results["classes"]
    )
    if folds == 1 and data.get("folds", 1) == 1 and not data.get("own_sides"):
        half = power.expected_half(
            variances, power.Design(verdict["seeds"], total, verdict["level"], 5)
        )
        assert half is not None  # There are two seeds.
        cost = 5 * seconds["total"]
        return [
            step(
                f"{verdict['images']:,} test images are too few: with 5 folds each of {total:,} "
                f"images is a test image once, and half of the interval would be about "
                f"{points(half)} points (about {log.duration(cost)}, in a new folder).",
                _command(results, folds=5),
            )
        ]
    images = verdict["images"] * (math.sqrt(variances.picture) / wanted) ** 2 * 4
    need = math.ceil(max(images, 4 * variances.picture / wanted**2) / 100) * 100
    return [
        step(
            f"There are too few images: {verdict['images']:,} were tested, and about "
            f"{max(need, verdict['images'] + 1):,} would be needed for {points(wanted)} points."
        )
    ]


def _command(
    results: Results,
    *,
    seeds: int | None = None,
    cost: float = 0.0,
    folds: int | None = None,
    steps: int | None = None,
) -> str | None:
    """Return the experiment's own command with other seeds, folds or steps; None where it is not
    known.

    One that was begun with a budget keeps one: for more seeds `cost` seconds and some more, for
    more folds or steps as many times what it took.
    """
    command = (results.get("environment") or {}).get("command")
    if not command or not (".py" in command or command.startswith("jaxgan ")):
        return None
    words = shlex.split(command)
    changed: dict[str, Any] = {}
    if any(word.partition("=")[0] == "--budget" for word in words):
        again = (folds or 1) * (steps or 1) * results["seconds"]["total"]
        cost = again if seeds is None else 1.3 * cost
        changed["--budget"] = f"{math.ceil(cost / 60) + 1}m"
    elif seeds is not None:
        changed["--config.seeds"] = seeds
    if folds is not None:
        changed |= {"--config.data.folds": folds}
    if steps is not None:
        now = results["runs"][0]["steps"]
        changed["--config.classifier.train.steps"] = steps * now
    drop = [*changed]
    if folds is not None or steps is not None:
        drop.append("--workdir")
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
            continue
        name, equals, _ = word.partition("=")
        if name in drop:
            skip = not equals
            continue
        kept.append(word)
    kept = _as_typed(kept) if kept[0] == "jaxgan" else kept
    more = [f"{name}={value}" for name, value in changed.items()]
    if "--workdir" in drop:
        more.append("--workdir NEW")
    return " ".join(
        [*("python" for _ in [0] if kept[0].endswith(".py")), *map(_quoted, kept), *more]
    )


def _as_typed(words: list[str]) -> list[str]:
    """Return a verb's words with the folder first, and without the config that it takes anyway."""
    path = "--config.data.path="
    folder = [word.removeprefix(path) for word in words if word.startswith(path)]
    rest = [word for word in words if not word.startswith(path) and word != "--config=quickstart"]
    return [*rest[:2], *folder, *rest[2:]]


def _quoted(word: str) -> str:
    return word if word.startswith("--workdir ") else shlex.quote(word)
