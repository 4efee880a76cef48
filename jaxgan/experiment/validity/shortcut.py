"""Whether a classifier could tell classes by which images are generated."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy import optimize, special, stats

from jaxgan.experiment.design.arms import Arm
from jaxgan.types import InputError

CHANCE = 0.01  # Of calling any probe, of all classes, one that can tell where all only guess.


def told_apart(
    real: Float[np.ndarray, "n d"], generated: Float[np.ndarray, "m d"], seed: int = 0
) -> tuple[int, int, float]:
    """Return how often a linear probe tells generated from real images that it did not learn from.

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
    """Return whether being generated says something of the class: their shares differ by class."""
    shares = {round(n["generated"] / max(sum(n.values()), 1), 2) for n in arm.pictures.values()}
    return max(shares) - min(shares) > 0.05


def shortcut(
    planned: Sequence[Arm],
    real: Mapping[str, Float[np.ndarray, "n d"]],
    generated: Mapping[str, Float[np.ndarray, "m d"]],
) -> dict:
    """Return whether a classifier could tell classes by whether an image is generated.

    It could where a probe tells generated images of a class from real ones, and an arm has a
    larger share of them in one class than in another.

    Args:
        planned: the arms.
        real: features of real images, by class.
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
