"""Honest by simulation: whole experiments with a fast classifier, redrawn as the design redraws.

A simulated experiment has a pool of labelled points (5 features, 5 % of the labels wrong), from
which each seed draws its training subset, a sample of "generated" points for each seed, linear
discriminant analysis in the classifier's place, and one test set that all answer.
"""

import numpy as np
import pytest
from scipy import stats

from jaxgan.experiment import curve, power, sequential, statistics
from jaxgan.experiment.components import Components, mean_squares
from jaxgan.experiment.words import word

FEATURES = 5
DRAWS = 2000


def points(rng, shape, n, tilt=0.0, noise=0.05):
    """Balanced classes, n points: features [*shape, n, 5] and labels [*shape, n].

    The first feature tells the classes apart and, with a tilt, the second one too.
    """
    truth = np.broadcast_to(np.arange(n) % 2, (*shape, n))
    x = rng.standard_normal((*shape, n, FEATURES))
    x[..., 0] += 1.6 * (truth - 0.5)
    x[..., 1] += tilt * (truth - 0.5)
    return x, np.where(rng.random((*shape, n)) < noise, 1 - truth, truth)


def classify(x, y, test_x, test_y):
    """Discriminant analysis of x [n, s, m, d], and its right answers [n, s, t]."""
    one = (y == 1).astype(float)
    first, second = one.sum(-1, keepdims=True), (1 - one).sum(-1, keepdims=True)
    mean_1 = np.einsum("nsm,nsmd->nsd", one, x) / first
    mean_0 = np.einsum("nsm,nsmd->nsd", 1 - one, x) / second
    centred = x - np.where(one[..., None] == 1, mean_1[..., None, :], mean_0[..., None, :])
    covariance = np.einsum("nsmd,nsme->nsde", centred, centred) / x.shape[-2]
    normal = np.linalg.solve(covariance + 1e-3 * np.eye(FEATURES), (mean_1 - mean_0)[..., None])[
        ..., 0
    ]
    threshold = (normal * (mean_1 + mean_0) / 2).sum(-1) + np.log(second / first)[..., 0]
    scores = np.einsum("nsd,ntd->nst", normal, test_x) - threshold[..., None]
    return (scores > 0) == (test_y == 1)[:, None]


def experiments(rng, draws, seeds, pool, subset, pictures, arm, swap, tilt=0.0):
    """Right answers of an arm and of `real` [draws, seeds, pictures].

    Args:
        rng: numpy's generator.
        draws: number of experiments.
        seeds: in each.
        pool: real training points.
        subset: how many of them a seed draws; disjoint where there are enough for that.
        pictures: test points.
        arm: "replace" swaps generated points in, "copies" adds copies of real ones.
        swap: how many.
        tilt: of the generated classes; with 0 they are fresh real ones.
    """
    pool_x, pool_y = points(rng, (draws,), pool)
    test_x, test_y = points(rng, (draws,), pictures)
    if seeds * subset <= pool:
        chosen = np.tile(np.arange(seeds * subset).reshape(1, seeds, subset), (draws, 1, 1))
    else:  # Pairs of one of each class.
        pairs = np.argsort(rng.random((draws, seeds, pool // 2)), -1)[..., : subset // 2]
        chosen = np.stack([2 * pairs, 2 * pairs + 1], -1).reshape(draws, seeds, subset)
    x = np.take_along_axis(pool_x[:, None], chosen[..., None], 2)
    y = np.take_along_axis(np.broadcast_to(pool_y[:, None], (draws, seeds, pool)), chosen, 2)
    if arm == "copies":
        more_x, more_y = x[..., :swap, :], y[..., :swap]
        own_x, own_y = x, y
    else:
        more_x, more_y = points(rng, (draws, seeds), swap, tilt)
        own_x, own_y = x[..., swap:, :], y[..., swap:]
    changed = np.concatenate([own_x, more_x], -2), np.concatenate([own_y, more_y], -1)
    return classify(*changed, test_x, test_y), classify(x, y, test_x, test_y)


def not_above(count, share=0.05, draws=DRAWS):
    """One-sided, 99 %."""
    return count <= stats.binom.ppf(0.99, draws, share)


def intervals(a, b, **how):
    return [statistics.paired_difference(*pair, **how) for pair in zip(a, b, strict=True)]


# Seeds, pool, subset, test pictures, points swapped in: disjoint subsets, shared ones, and a test
# set so large that the luck of the pool is all there is.
@pytest.mark.parametrize(
    ("seeds", "pool", "subset", "pictures", "swap"),
    [(5, 200, 40, 200, 20), (3, 60, 20, 300, 20), (5, 100, 50, 200, 24), (5, 60, 48, 600, 48)],
)
def test_fresh_real_pictures_swapped_in_seldom_help_or_hurt(seeds, pool, subset, pictures, swap):
    rng = np.random.default_rng(seeds + pool)
    a, b = experiments(rng, DRAWS, seeds, pool, subset, pictures, "replace", swap)
    overlap = 0.0 if seeds * subset <= pool else subset / pool
    said = [word(i) for i in intervals(a, b, overlap=overlap)]
    assert not_above(len(said) - said.count("no evidence"))


def test_without_the_overlap_shared_pictures_would_pass_for_help_or_harm():
    """So that the check above is known to be able to fail."""
    a, b = experiments(np.random.default_rng(0), 500, 5, 60, 48, 600, "replace", 48)
    said = [word(i) for i in intervals(a, b)]
    assert not not_above(len(said) - said.count("no evidence"), draws=500)


@pytest.mark.parametrize(("pool", "subset"), [(300, 60), (100, 50)])
def test_the_placebo_seldom_helps_or_hurts(pool, subset):
    """Copies of a few real pictures: they move the classifier, and bring it nothing."""
    rng = np.random.default_rng(pool)
    a, b = experiments(rng, DRAWS, 5, pool, subset, 200, "copies", 10)
    assert (a != b).any()
    overlap = 0.0 if 5 * subset <= pool else subset / pool
    said = [word(i) for i in intervals(a, b, overlap=overlap)]
    assert not_above(len(said) - said.count("no evidence"))


@pytest.fixture(scope="module")
def worse():
    """Experiments whose generated classes differ in what they should not: answers, true fall,
    variances."""
    design = (6, 600, 100, 300, "replace", 60, 2.5)
    a, b = experiments(np.random.default_rng(1), 2 * DRAWS, *design)
    truth = float((a.astype(float) - b)[DRAWS:].mean())
    pilot = [np.mean(x) for x in mean_squares(a[DRAWS:].astype(float) - b[DRAWS:])[:3]]
    seed, picture = (pilot[0] - pilot[2]) / 300, (pilot[1] - pilot[2]) / 6
    variances = Components(max(float(seed), 0), max(float(picture), 0), float(pilot[2]))
    return a[:DRAWS], b[:DRAWS], truth, variances


def test_the_true_difference_is_covered(worse):
    a, b, truth, _ = worse
    assert truth < -0.02
    held = sum(i.low <= truth <= i.high for i in intervals(a, b))
    assert stats.binom.ppf(0.01, DRAWS, 0.95) <= held <= 0.99 * DRAWS


def test_power_is_as_predicted(worse):
    a, b, truth, variances = worse
    design = power.Design(6, 300)
    found = sum(word(i) == "hurts" for i in intervals(a, b)) / DRAWS
    assert 0.3 < found < 0.9
    assert found == pytest.approx(power.power(-truth, variances, design), abs=0.05)
    # The smallest effect is where the predicted power reaches what was asked for.
    least = power.smallest_effect(variances, design, 0.8)
    assert power.power(least + 1e-9, variances, design) == pytest.approx(0.8, abs=1e-3)
    assert power.smallest_effect(variances, power.Design(1, 200)) is None


@pytest.mark.parametrize("overlap", [0.0, 0.5])
@pytest.mark.parametrize("effects", [(0.0, 0.02, 0.02), (2e-4, 0.04, 0.04), (2e-3, 0.02, 0.05)])
def test_power_of_planned_variances_in_normal_outcomes(effects, overlap):
    """At the effect that is said to be found with 80 % it is, whatever part of chance leads."""
    variances, rng = Components(*effects), np.random.default_rng(3)
    design = power.Design(4, 150, 0.95, overlap)
    effect = power.smallest_effect(variances, design, 0.8)
    shared = overlap / (1 - overlap) * variances.seed
    y = effect + np.sqrt(shared) * rng.standard_normal((DRAWS, 1, 1))
    y = y + np.sqrt(variances.seed) * rng.standard_normal((DRAWS, 4, 1))
    y = y + np.sqrt(variances.picture) * rng.standard_normal((DRAWS, 1, 150))
    y = y + np.sqrt(variances.rest) * rng.standard_normal((DRAWS, 4, 150))
    found = [statistics.crossed_interval(one, overlap=overlap).low > 0 for one in y]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("gans", [2, 3, 5])
@pytest.mark.parametrize("luck", [0.0, 0.02, 0.1])
def test_other_gans_are_covered_where_several_were_trained(gans, luck):
    rng, each = np.random.default_rng(gans), 3
    of = np.repeat(np.arange(gans), each)
    shift = luck * rng.standard_normal((DRAWS, gans))[:, of, None]
    p = 0.7 + 0.2 * rng.uniform(-1, 1, (DRAWS, 1, 100)) + shift
    a = rng.random((DRAWS, len(of), 100)) < p
    b = rng.random((DRAWS, len(of), 100)) < p - shift
    held = sum(i.low <= 0 <= i.high for i in intervals(a, b, gans=of))
    assert held >= stats.binom.ppf(0.01, DRAWS, 0.95)


def test_looks_on_the_way_do_not_raise_the_error():
    looks, seeds = (3, 5), 8
    a, b = experiments(np.random.default_rng(8), DRAWS, seeds, 240, 30, 200, "replace", 20)
    wrong = 0
    for one, other in zip(a, b, strict=True):
        done = next(
            (n for n in looks if sequential.decided(one[:n], other[:n], looks, seeds)), seeds
        )
        level = sequential.level_at(done, looks, seeds)
        reported = statistics.paired_difference(one[:done], other[:done], level)
        wrong += word(reported) != "no evidence"
    assert not_above(wrong)


def test_looks_stop_early_where_the_effect_is_plain():
    rng = np.random.default_rng(0)
    better, other = rng.random((2, 200, 3, 300)) < np.array([0.95, 0.7])[:, None, None, None]
    stopped = [sequential.decided(*pair, (3,), 5) for pair in zip(better, other, strict=True)]
    assert np.mean(stopped) > 0.9
    assert not any(
        sequential.decided(x[:2], y[:2], (3,), 5) for x, y in zip(better, other, strict=True)
    )


def test_worth_in_real_pictures_is_covered():
    """Accuracies that rise with log n, and an arm as good as 55 real pictures."""
    rng, sizes, draws, truth = np.random.default_rng(5), (20, 40, 80, 160), 300, 55.0
    rise = lambda n: 0.4 + 0.1 * np.log(n)  # noqa: E731
    held, values = 0, []
    for _ in range(draws):
        picture = rng.uniform(-0.1, 0.1, 150)
        luck = 0.01 * rng.standard_normal((len(sizes) + 1, 5, 1))
        p = np.array([rise(n) for n in (*sizes, truth)])[:, None, None] + picture + luck
        answers = rng.random((5, 5, 150)) < p
        found = curve.worth(answers[-1], answers[:-1], sizes)
        held += (found.low or 0) <= truth <= (found.high or np.inf)
        values.append(found.value or (sizes[-1] if found.place == "beyond" else sizes[0]))
    assert held >= stats.binom.ppf(0.01, draws, 0.95)
    assert np.median(values) == pytest.approx(truth, rel=0.15)
