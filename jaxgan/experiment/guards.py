"""What would make a verdict worthless: leakage, a shortcut, copies. Each check can fail.

A check is {"name", "passed" (None: it could not be made), "sentence", ...its figures}.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, special, stats

from jaxgan.data import loader, outliers, splits, transforms
from jaxgan.data.folder import Source
from jaxgan.experiment.design import Arm
from jaxgan.metrics import copies, features
from jaxgan.types import InputError

SHOWN = 5  # Names in a sentence.
CHANCE = 0.01  # Of calling any probe, of all classes, one that can tell where all only guess.


def overlap(learned: Source, held_out: Source) -> list[tuple[str, str]]:
    """Pairs of a picture that something learned from and a held-out one that are the same.

    Exact copies, re-encoded and resized ones, by outlines; see `splits.near_duplicates`.
    """
    if not len(learned) or not len(held_out):
        return []
    group = splits.near_duplicates(loader.Concat([learned, held_out])).group
    ours, theirs = group[: len(learned)], group[len(learned) :]
    first = {g: i for i, g in reversed(list(enumerate(ours.tolist())))}
    return [
        (learned.names[first[g]], held_out.names[i])
        for i, g in enumerate(theirs.tolist())
        if g in first
    ]


def leakage(learned: Mapping[str, Source], held_out: Source) -> dict:
    """Whether a held-out picture, or a near copy of one, is among those that were learned from.

    Args:
        learned: by what they are: real training pictures, generated ones.
        held_out: pictures to validate and to test with.
    """
    found = {kind: overlap(source, held_out) for kind, source in learned.items()}
    pairs = [(kind, *pair) for kind, these in found.items() for pair in these]
    sentence = "no validation or test picture is like one that was learned from"
    if pairs:
        some = "; ".join(f"{a} ({kind}) and {b}" for kind, a, b in pairs[:SHOWN])
        sentence = f"{len(pairs):,} validation or test pictures are like ones learned from: {some}"
    return {
        "name": "leakage",
        "passed": not pairs,
        "sentence": sentence,
        "pairs": [list(pair) for pair in pairs],
    }


def check_folder(generated: Source, held_out: Source) -> None:
    """Raises InputError where pictures from elsewhere are like some that are held out."""
    if pairs := overlap(generated, held_out):
        a, b = pairs[0]
        raise InputError(
            f"config.generated must not hold validation or test pictures, and {len(pairs):,} are "
            f"like these, such as {a} and {b}"
        )


def looks(source: Source) -> Float[np.ndarray, "n d"]:
    """Features to tell pictures apart by: VGG16's, or light ones where its weights are missing."""
    images = (source[i]["image"] for i in range(len(source)))
    if features.available():
        return features.extract(features.vgg16(features.input_size(source.resolution)), images)
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
        raise InputError(f"a probe needs at least 4 pictures of each kind, got {n}")
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
    sentence = f"a linear probe tells generated from real pictures: {rates} (a guess: 50 %)"
    if bad:
        sentence += (
            f"; in {', '.join(mixed)} classes have different shares of them, so accuracy may ride "
            f"on what makes them look generated"
        )
        other = [a.name for a in planned if a.generated and not confounded(a)]
        sentence += f": look at {', '.join(other)}" if other else ": add an arm like replace-all"
    elif not mixed:
        sentence += "; no arm has different shares of them in its classes"
    return {
        "name": "shortcut",
        "passed": not bad if tested else None,
        "sentence": sentence if tested else "too few pictures for a probe",
        "probe": {k: {"right": r, "of": n, "p": p} for k, (r, n, p) in tested.items()},
        "confounded": mixed,
    }


def unknown_start(key: str) -> dict:
    """That something begins with the weights of a run whose pictures are not known here."""
    sentence = f"what the run of {key} learned from is not known: it must be none of the test"
    return {"name": "start", "passed": None, "sentence": f"{sentence} or validation pictures"}


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
            f"chosen after a look is no test: repeat it on new test pictures"
        )
    return {"name": "planned", "passed": not changed, "sentence": sentence}


def not_made(name: str) -> dict:
    """A check of a GAN's pictures that are missing."""
    return {"name": name, "passed": None, "sentence": "there are no such pictures: see what failed"}


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
    if min(len(learned), len(new)) < copies.LEAST:
        sentence = f"too few real pictures for the test: {len(learned)} and {len(new)} held out"
        return {"name": name, "passed": None, "sentence": sentence}
    fake, real = (
        [_view(side), _view(_Mirrored(side))] for side in (generated, loader.Subset(held_out, new))
    )
    own = _view(learned)
    found = copies.find_copies(fake, own, real, group[: len(learned)])
    passed = found.p * tests >= 0.05
    sentence = (
        f"{'no more' if passed else 'more'} generated pictures are copies of training pictures "
        f"than chance lets real ones be (exact test, p = {found.p:.2g})"
    )
    return {"name": name, "passed": bool(passed), "sentence": sentence, "p": float(found.p)}


class _Mirrored:
    """A source with every picture mirrored."""

    def __init__(self, source: Source):
        self._source, self.labels, self.names = source, source.labels, source.names
        self.classes, self.resolution = source.classes, source.resolution

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict:
        record = self._source[index]
        return record | {"image": np.ascontiguousarray(record["image"][:, ::-1])}


def _view(source: Source) -> copies.View:
    """Outlines alone without VGG16's weights: the light features change with a copy's sharpness."""
    outlines = np.stack([transforms.outlines(source[i]["image"]) for i in range(len(source))])
    return copies.View(looks(source) if features.available() else outlines, outlines)


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
    sentence = f"each of {len(wanted)} classifiers answered the test pictures once"
    if good and len(lines) > len(states):
        sentence += f"; {len(lines) - len(states)} were asked again after an interruption"
    if not good:
        sentence = f"the test pictures were opened {len(lines)} times for {len(wanted)} classifiers"
    return {"name": "test opened once", "passed": good, "sentence": sentence}


def classes_of(source: Source, positions: Int[np.ndarray, " n"] | None = None) -> dict[str, Source]:
    """The pictures of each class."""
    mine = np.arange(len(source)) if positions is None else positions
    return {
        name: loader.Subset(source, mine[source.labels[mine] == label])
        for label, name in enumerate(source.classes)
    }
