"""What would make a verdict worthless: leakage, a shortcut, copies. Each check can fail.

A check is {"name", "passed" (None: it could not be made), "sentence", ...its figures}.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, spatial, special, stats

from jaxgan.data import dataset, images, leaks, loader, outliers, splits
from jaxgan.data.folder import Source
from jaxgan.experiment.design.plan import Arm
from jaxgan.metrics import features, judges, memorization, networks
from jaxgan.types import InputError

SHOWN = 5  # Names in a sentence.
CHANCE = 0.01  # Of calling any probe, of all classes, one that can tell where all only guess.
FEW = 10  # Pictures of a class that say how far they lie.
MANY = 2000  # So many are asked.
NOISE = 2.0  # Times as far as real ones from each other: generated pictures look like noise.


class Overlap(NamedTuple):
    """Held-out pictures that are like some that were learned from.

    Attributes:
        pairs: names of what was learned from and of what is held out.
        said: what was not looked at or could not be told; nothing if all was.
        told: whether changed copies could be told from ordinary pictures.
    """

    pairs: list[tuple[str, str]]
    said: str
    told: bool


def overlap(learned: Source, held_out: Source) -> Overlap:
    """Pairs of a picture that something learned from and a held-out one that are the same.

    Exact copies, re-encoded and resized ones, by outlines (`splits.near_duplicates`), and changed
    ones by their details (`leaks.find`).
    """
    if not len(learned) or not len(held_out):
        return Overlap([], "", True)
    group = splits.near_duplicates(loader.Concat([learned, held_out])).group
    ours, theirs = group[: len(learned)], group[len(learned) :]
    first = {g: i for i, g in reversed(list(enumerate(ours.tolist())))}
    found = {i: first[g] for i, g in enumerate(theirs.tolist()) if g in first}
    changed = leaks.find(learned, held_out)
    found = {theirs: ours for ours, theirs in changed.pairs.tolist()} | found
    said = ""
    if changed.looked != (len(learned), len(held_out)):
        ours, theirs = changed.looked
        said = (
            f"; for changed copies a random part was looked at: {ours:,} of {len(learned):,} "
            f"images learned from, {theirs:,} of {len(held_out):,} held out"
        )
    if not changed.told:
        said = (
            "; changed copies cannot be told here, since different images are as like each other "
            f"as copies are (distance {changed.ordinary:.2f})"
        )
    pairs = [(learned.names[found[i]], held_out.names[i]) for i in sorted(found)]
    return Overlap(pairs, said, changed.told)


def leakage(learned: Mapping[str, Source], held_out: Source) -> dict:
    """Whether a held-out picture, or a changed copy of one, is among those that were learned from.

    Args:
        learned: by what they are: real training pictures, generated ones.
        held_out: pictures to validate and to test with.
    """
    found = {kind: overlap(source, held_out) for kind, source in learned.items()}
    pairs = [(kind, *pair) for kind, these in found.items() for pair in these.pairs]
    told = all(these.told for these in found.values())
    sentence = "no validation or test image is like one that was learned from"
    if pairs:
        some = "; ".join(f"{a} ({kind}) and {b}" for kind, a, b in pairs[:SHOWN])
        sentence = f"{len(pairs):,} validation or test images are like ones learned from: {some}"
    said = "".join(dict.fromkeys(these.said for these in found.values()))
    return {
        "name": "leakage",
        "passed": False if pairs else True if told else None,
        "sentence": f"{sentence}{said}; looked for: {leaks.LOOKED_FOR}; {leaks.UNSEEN}",
        "pairs": [list(pair) for pair in pairs],
    }


def check_folder(generated: Source, held_out: Source) -> None:
    """Raises InputError where pictures from elsewhere are like some that are held out."""
    if pairs := overlap(generated, held_out).pairs:
        a, b = pairs[0]
        raise InputError(
            f"config.generated must not hold validation or test images, or changed copies of "
            f"them, and {len(pairs):,} are like these, such as {a} and {b}"
        )


def samples_shared(sides: Sequence[Mapping[str, Source]]) -> float:
    """Share of generated pictures that two seeds have in common, by names; 0 of a single seed.

    Where it is large, a verdict says nothing of other samples of the generated pictures. The mean
    over all pairs of seeds; of two different counts the smaller one is the whole.

    Args:
        sides: of each seed, by class.
    """
    shares = []
    for one, other in itertools.combinations(sides, 2):
        names = [{(c, n) for c, s in side.items() for n in s.names} for side in (one, other)]
        if least := min(map(len, names)):
            shares.append(len(names[0] & names[1]) / least)
    return float(np.mean(shares)) if shares else 0.0


def fidelity(
    real: Mapping[str, Float[np.ndarray, "n d"]],
    generated: Mapping[str, Float[np.ndarray, "m d"]],
) -> dict:
    """Whether generated pictures lie among the real ones of their class, or far off, like noise.

    The median distance of a generated picture's features to the nearest real one, as a multiple
    of that of a real picture to the nearest other one. Features are standardised by real ones.

    Args:
        real: features of real pictures, by class, see `looks`.
        generated: likewise, of the classes that have any.
    """
    times = {
        name: _times_farther(real[name], some)
        for name, some in generated.items()
        if min(len(real[name]) - 1, len(some)) >= FEW
    }
    if not times:
        sentence = f"fewer than {FEW + 1} real or {FEW} generated images of each class"
        return {"name": "fidelity", "passed": None, "sentence": sentence, "times": {}}
    said = [
        f"generated images of {name} "
        + (
            f"look like noise: they lie {t:.1f} times as far from real ones as real ones do from "
            f"each other"
            if t > NOISE
            else f"lie {t:.1f} times as far from real ones as real ones do from each other"
        )
        for name, t in times.items()
    ]
    passed = max(times.values()) <= NOISE
    return {"name": "fidelity", "passed": passed, "sentence": "; ".join(said), "times": times}


def _times_farther(real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"]) -> float:
    rng = np.random.default_rng(0)
    real, made = (side[rng.permutation(len(side))[:MANY]] for side in (real, made))
    mean, std = real.mean(axis=0), real.std(axis=0)
    std = np.maximum(std, 1e-3 * std.max() + 1e-6)
    real, made = (real - mean) / std, (made - mean) / std
    own = spatial.distance.cdist(real, real)
    np.fill_diagonal(own, np.inf)
    ordinary = np.median(own.min(axis=1))
    return float(np.median(spatial.distance.cdist(made, real).min(axis=1)) / max(ordinary, 1e-6))


def looks(source: Source, critics: Collection[str] = ()) -> Float[np.ndarray, "n d"]:
    """Features to tell pictures apart by: VGG16's, or light ones where its weights are missing.

    Args:
        source: pictures.
        critics: networks that GANs were trained with, which do not judge: see `judges`.
    """
    images = (source[i]["image"] for i in range(len(source)))
    judge = judges.unseen(critics)
    if judge != "light":
        return features.extract(networks.by_name(judge, source.resolution), images)
    return np.stack([outliers.descriptor(image) for image in images])


def told_apart(
    real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], seed: int = 0
) -> tuple[int, int, float]:
    """How often a linear probe tells generated from real pictures that it did not learn from.

    Logistic regression on standardised features, fitted to half of equally many of both.

    Returns:
        Right answers, answers, and the exact one-sided p of a guess.
    """
    n = min(len(real), len(generated)) // 2 * 2
    if n < 4:
        raise InputError(f"a probe needs at least 4 images of each kind, got {n}")
    rng = np.random.default_rng(seed)
    halves = [rng.permutation(len(side))[:n].reshape(2, -1) for side in (real, generated)]
    fit, judged = (
        np.concatenate([real[halves[0][k]], generated[halves[1][k]]]).astype(np.float64)
        for k in range(2)
    )
    labels = np.repeat([-1.0, 1.0], n // 2)
    mean, std = fit.mean(0), fit.std(0) + 1e-6
    weights = _logistic((fit - mean) / std, labels)
    scores = (judged - mean) / std @ weights[:-1] + weights[-1]
    right = int((np.sign(scores) == labels).sum())
    return right, n, float(stats.binomtest(right, n, 0.5, "greater").pvalue)


def _logistic(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, " n"], ridge: float = 1.0
) -> Float[np.ndarray, " d1"]:
    """Weights and bias of a logistic regression with penalty ridge |w|^2 / 2 (not the bias)."""

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = y * (x @ w[:-1] + w[-1])
        pull = -y * special.expit(-margin)
        gradient = np.append(x.T @ pull + ridge * w[:-1], pull.sum())
        return np.logaddexp(0, -margin).sum() + ridge * (w[:-1] ** 2).sum() / 2, gradient

    start = np.zeros(x.shape[1] + 1)
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x


def confounded(arm: Arm) -> bool:
    """Whether being generated says something of the class: their shares differ by class."""
    shares = {round(n["generated"] / max(sum(n.values()), 1), 2) for n in arm.pictures.values()}
    return max(shares) - min(shares) > 0.05


def shortcut(
    planned: Sequence[Arm],
    real: Mapping[str, Float[np.ndarray, "n d"]],
    generated: Mapping[str, Float[np.ndarray, "m d"]],
) -> dict:
    """Whether a classifier could tell classes by whether a picture is generated.

    It could where a probe tells generated pictures of a class from real ones, and an arm has a
    larger share of them in one class than in another.

    Args:
        planned: the arms.
        real: features of real pictures, by class.
        generated: likewise, of the classes that have any.
    """
    tested = {
        name: told_apart(real[name], generated[name])
        for name in generated
        if min(len(real[name]), len(generated[name])) >= 4
    }
    telling = [name for name, (_, _, p) in tested.items() if p * len(tested) < CHANCE]
    mixed = [arm.name for arm in planned if arm.generated and confounded(arm)]
    rates = ", ".join(f"{name} {right / n:.0%}" for name, (right, n, _) in tested.items())
    bad = bool(telling and mixed)
    sentence = f"a linear probe tells generated from real images: {rates} (a guess: 50 %)"
    if bad:
        sentence += (
            f"; in {', '.join(mixed)} classes have different shares of them, so accuracy may ride "
            f"on what makes them look generated"
        )
        other = [a.name for a in planned if a.generated and not confounded(a)]
        sentence += f": look at {', '.join(other)}" if other else ": add an arm like replace-all"
    elif not mixed:
        sentence += "; no arm has different shares of them in its classes"
    if telling and not bad:
        sentence += (
            f": generated images of {', '.join(telling)} are easy to tell, which is harmless for "
            f"the verdict here because all classes have equal shares, but says that they are not "
            f"lifelike"
        )
    return {
        "name": "shortcut",
        "passed": not bad if tested else None,
        "sentence": sentence if tested else "too few images for a probe",
        "probe": {k: {"right": r, "of": n, "p": p} for k, (r, n, p) in tested.items()},
        "confounded": mixed,
    }


def unknown_start(key: str) -> dict:
    """That something begins with the weights of a run whose pictures are not known here."""
    sentence = f"what the run of {key} learned from is not known: it must be none of the test"
    return {"name": "start", "passed": None, "sentence": f"{sentence} or validation images"}


def as_planned(plan: Mapping[str, object], earlier: Sequence[Mapping[str, object]]) -> dict:
    """Whether each verdict of these runs so far was asked for in the same way.

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
    """A check of a GAN's pictures that are missing."""
    return {"name": name, "passed": None, "sentence": "there are no such images: see what failed"}


def copied(
    generated: Source, learned: Source, held_out: Source, called: str = "", tests: int = 1
) -> dict:
    """Whether generated pictures are copies of training pictures more often than real ones are.

    Args:
        generated: of one class.
        learned: what its generator learned from.
        held_out: real pictures of the class that it did not see.
        called: by this name in the report; the class by default.
        tests: how many of this kind there are: all together err in 5 %.
    """
    name = f"copies of {called or learned.classes[int(learned.labels[0])]}"
    group = splits.near_duplicates(loader.Concat([learned, held_out])).group
    new = np.flatnonzero(~np.isin(group[len(learned) :], group[: len(learned)]))
    if min(len(learned), len(new)) < memorization.LEAST:
        sentence = f"too few real images for the test: {len(learned)} and {len(new)} held out"
        return {"name": name, "passed": None, "sentence": sentence}
    fake, real = (
        [_view(side), _view(dataset.of(side).mirrored())]
        for side in (generated, loader.Subset(held_out, new))
    )
    own = _view(learned)
    found = memorization.find_copies(fake, own, real, group[: len(learned)])
    passed = found.p * tests >= 0.05
    sentence = (
        f"{'no more' if passed else 'more'} generated images are copies of training images "
        f"than chance lets real ones be (exact test, p = {found.p:.2g})"
    )
    return {"name": name, "passed": bool(passed), "sentence": sentence, "p": float(found.p)}


def _view(source: Source) -> memorization.View:
    """Outlines alone without VGG16's weights: the light features change with a copy's sharpness."""
    outlines = np.stack([images.outlines(source[i]["image"]) for i in range(len(source))])
    return memorization.View(looks(source) if features.available() else outlines, outlines)


def equal_steps(runs: Sequence[Mapping]) -> dict:
    """Whether all classifiers learned for the same number of steps."""
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
    """Whether the test pictures were shown to one state of each classifier, by the log of it.

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
    """The pictures of each class."""
    mine = np.arange(len(source)) if positions is None else positions
    return {
        name: loader.Subset(source, mine[source.labels[mine] == label])
        for label, name in enumerate(source.classes)
    }
