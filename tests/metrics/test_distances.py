"""Distances between sets of features: against scipy and plain loops, and by their properties."""

import numpy as np
import pytest
from scipy import linalg, stats

from jaxgan.metrics import frechet, intervals, kid, memorization, prdc
from jaxgan.types import InputError


def normals(n: int, d: int = 8, seed: int = 0, shift: float = 0.0, scale: float = 1.0):
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(99).normal(size=(d, d))
    return (shift + scale * rng.normal(size=(n, d)) @ mixed).astype(np.float32)


def views(features) -> memorization.View:
    return memorization.View(features, features[:, :4])


def distance(one, other) -> float:
    return frechet.frechet_distance(frechet.moments(one), frechet.moments(other))


@pytest.mark.parametrize(("n", "m"), [(200, 300), (40, 25), (200, 20)])
def test_frechet_equals_scipys_square_root(n: int, m: int) -> None:
    a, b = normals(n), normals(m, seed=1, shift=0.3, scale=1.5)
    c1, c2 = (np.cov(x.astype(np.float64), rowvar=False) for x in (a, b))
    root = linalg.sqrtm(c1 @ c2).real
    means = ((a.astype(np.float64).mean(0) - b.astype(np.float64).mean(0)) ** 2).sum()
    expected = means + np.trace(c1 + c2 - 2 * root)
    assert distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_frechet_of_normals_with_diagonal_covariances_is_their_closed_form() -> None:
    means, deviations = np.array([[0.0, 1, 2], [1, 1, 0]]), np.array([[1.0, 2, 3], [2, 1, 3]])
    sets = [
        frechet.Moments(mean, np.diag(deviation), 10)
        for mean, deviation in zip(means, deviations, strict=True)
    ]
    expected = ((means[0] - means[1]) ** 2).sum() + ((deviations[0] - deviations[1]) ** 2).sum()
    assert frechet.frechet_distance(*sets) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [5, 30, 600])
def test_a_set_has_no_distance_to_itself_nor_to_its_order(n: int) -> None:
    a = normals(n, d=32)
    total = (frechet.moments(a).root ** 2).sum()
    assert distance(a, a[::-1]) < 1e-9 * total
    assert distance(a, a + 2) == pytest.approx(4 * 32, rel=1e-5)


def test_fewer_pictures_than_dimensions_are_no_special_case() -> None:
    a, b = normals(12, d=40), normals(15, d=40, seed=1)
    wide = [frechet.moments(x) for x in (a, b)]
    # The same sets in the few dimensions that they span.
    basis = np.linalg.qr(np.concatenate([a, b]).T.astype(np.float64))[0]
    narrow = [frechet.moments(np.asarray(x @ basis)) for x in (a, b)]
    assert frechet.frechet_distance(*wide) == pytest.approx(
        frechet.frechet_distance(*narrow), rel=1e-5
    )


def chance(real, fake, seed: int) -> frechet.Chance:
    rng = np.random.default_rng(seed)
    halves = [
        distance(*(x[rng.permutation(len(x))[: len(x) // 2]] for x in (real, fake)))
        for _ in range(20)
    ]
    return frechet.chance(real, fake, distance(real, fake), float(np.mean(halves)), seed)


def drawn(rng: np.random.Generator, n: int, d: int, apart: bool = False):
    """Independent normals; where they are many, their variances fall as 1, 1/2, 1/3 and so on."""
    deviations = np.ones(d) if d < 20 else np.arange(1, d + 1) ** -0.5
    x = deviations * rng.normal(size=(n, d))
    return (0.5 * deviations + 1.3 * x if apart else x).astype(np.float32)


@pytest.mark.parametrize("d", [16, pytest.param(128, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("n", "m"), [(50, 50), (200, 200), (60, 400), (300, 60)])
def test_the_floor_is_the_distance_of_as_many_real_pictures(n: int, m: int, d: int) -> None:
    """Whether or not the generated ones are like them, and with more features than pictures, too.
    And the value without chance is the true one: 0, or that of the two normals."""
    rng = np.random.default_rng([n, m, d])
    true = np.mean([distance(drawn(rng, n, d), drawn(rng, m, d)) for _ in range(40)])
    for apart in (False, True):
        sides = [(drawn(rng, n, d), drawn(rng, m, d, apart)) for _ in range(24)]
        found = [chance(*both, seed) for seed, both in enumerate(sides)]
        assert np.mean([each.floor for each in found]) == pytest.approx(true, rel=0.1)
        total = d if d < 20 else (1 / np.arange(1, d + 1)).sum()
        limit = (0.5**2 + 0.3**2) * total if apart else 0.0
        plain = np.mean([distance(*both) for both in sides])
        beyond = [each.at_infinity for each in found]
        error = np.std(beyond) / np.sqrt(len(sides))
        assert abs(np.mean(beyond) - limit) < 0.1 * (plain - limit) + 2 * error


def test_what_is_all_alike_has_no_floor() -> None:
    same, other = np.ones((20, 4), np.float32), np.zeros((10, 4), np.float32)
    assert chance(same, other, 0) == (0, pytest.approx(4))


def test_kernel_distance_equals_its_definition() -> None:
    a, b = normals(9), normals(7, seed=1, shift=0.5)

    def k(x, y) -> float:
        return (float(np.dot(x.astype(np.float64), y.astype(np.float64))) / 8 + 1) ** 3

    within = [
        np.mean([k(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j])
        for x in (a, b)
    ]
    across = np.mean([k(x, y) for x in a for y in b])
    assert kid.polynomial_mmd(a, b) == pytest.approx(sum(within) - 2 * across, rel=1e-10)


def like_a_networks(rng: np.random.Generator, n: int, scale: float = 1.0):
    """Features as a network has them: not negative, correlated, with a few strong directions and
    heavy tails."""
    d = 48
    deviations = scale * np.exp(-np.arange(d) / 6)
    axes = np.linalg.qr(np.random.default_rng(99).normal(size=(d, d)))[0]
    return np.maximum(0.3 + (rng.standard_t(9, (n, d)) * deviations) @ axes, 0).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "draws"), [(60, 60, 1000), (20, 50, 1000), (300, 300, 100)])
def test_the_kernel_distances_interval_holds_0_as_often_as_it_says(
    n: int, m: int, draws: int
) -> None:
    held, values = 0, []
    for seed in range(draws):
        rng = np.random.default_rng([seed, n])
        found = kid.kernel_distance(like_a_networks(rng, n), like_a_networks(rng, m), seed)
        held += found.low <= 0 <= found.high
        values.append(found.value)
        assert found.low <= found.value <= found.high
    assert stats.ttest_1samp(values, 0).pvalue > 0.01
    assert stats.binomtest(held, draws, 0.95).pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1.1, 1.3, 1.6])
def test_the_kernel_distances_interval_holds_a_distance_that_is_not_0(scale: float) -> None:
    rng = np.random.default_rng(0)
    one, other = like_a_networks(rng, 2000), like_a_networks(rng, 2000, scale)

    def k(x, y) -> float:
        return float(((x.astype(np.float64) @ y.T.astype(np.float64) / 48 + 1) ** 3).mean())

    # What is drawn with replacement from two sets has exactly this distance.
    true = k(one, one) + k(other, other) - 2 * k(one, other)
    held = 0
    for seed in range(300):
        a, b = (x[rng.integers(2000, size=100)] for x in (one, other))
        found = kid.kernel_distance(a, b, seed)
        held += found.low <= true <= found.high
    assert stats.binomtest(held, 300, 0.95).pvalue > 0.01


def test_blocks_of_the_kernel_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = normals(130), normals(90, seed=1, shift=0.2)
    whole = kid.kernel_distance(one, other)
    assert whole.value == pytest.approx(kid.polynomial_mmd(one, other), rel=1e-9)
    monkeypatch.setattr(kid, "BLOCK", 1000)
    np.testing.assert_allclose(kid.kernel_distance(one, other), whole, rtol=1e-9)
    assert kid.polynomial_mmd(one, other) == pytest.approx(whole.value, rel=1e-9)


def test_equal_pictures_have_no_distance() -> None:
    same = np.ones((30, 4), np.float32)
    np.testing.assert_allclose(kid.kernel_distance(same, same), 0, atol=1e-6)


def test_prdc_of_a_hand_computed_case() -> None:
    # Balls to the nearest other: real ones of radius 1, 1, 3; the generated ones of radius 1, 1, 5.
    real = np.array([[0.0], [1.0], [4.0]], np.float32)
    fake = np.array([[0.5], [1.5], [6.5]], np.float32)
    found = prdc.prdc(real, fake, neighbours=1)
    assert found.precision == pytest.approx(1.0)  # 6.5 lies 2.5 from 4.
    assert found.recall == pytest.approx(1.0)  # 4 lies 2.5 from both 1.5 and 6.5, whose ball is 5.
    # 0.5 in the balls of 0 and 1; 1.5 in those of 1 and 4; 6.5 in that of 4.
    assert found.density == pytest.approx(5 / 3)
    assert found.coverage == pytest.approx(1.0)


def test_prdc_sees_lost_modes_and_far_pictures() -> None:
    rng = np.random.default_rng(0)
    modes = 40 * rng.normal(size=(10, 6))

    def draw(count: int, kept: int):
        return (modes[rng.integers(kept, size=count)] + rng.normal(size=(count, 6))).astype("f4")

    real, same, few = draw(600, 10), draw(600, 10), draw(600, 2)
    alike, lost = prdc.prdc(real, same), prdc.prdc(real, few)
    assert alike.recall > 0.8 and alike.coverage > 0.8 and alike.precision > 0.8
    assert lost.recall < 0.3 and lost.coverage < 0.3 and lost.precision > 0.8
    far = prdc.prdc(real, same + 500)
    assert far.precision == far.recall == far.density == far.coverage == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "m", "draws"), [(50, 50, 250), (50, 120, 150), (200, 200, 80)], ids=str
)
@pytest.mark.parametrize(
    ("scale", "shift"), [(1.0, 0.0), (0.8, 0.0), (1.25, 0.0), (0.6, 0.0), (1.0, 0.6)], ids=str
)
def test_intervals_of_shares_hold_the_mean_for_as_many_pictures(
    n: int, m: int, draws: int, scale: float, shift: float
) -> None:
    """From a half to nearly all, where halves of the pictures often have a share of 1."""
    rng = np.random.default_rng([n, m, int(100 * scale)])

    def draw():
        return rng.normal(size=(n, 6)), shift + scale * rng.normal(size=(m, 6))

    true = np.mean([prdc.prdc(*draw()) for _ in range(2 * draws)], axis=0)
    names = intervals.SHARES
    found = [intervals.compare(*draw(), seed, names) for seed in range(draws)]
    for name, mean in zip(names, true, strict=True):
        each = [about[name] for about in found]
        if mean < 0.99 or name == "density":
            held = sum(about["low"] <= mean <= about["high"] for about in each)
            assert stats.binomtest(held, draws, 0.93, "less").pvalue > 0.01, (name, mean, held)
        if name != "density":
            width = np.mean([about["high"] - about["low"] for about in each])
            assert width < 3.4 / np.sqrt(n) and all(about["high"] <= 1 for about in each)


def test_a_share_of_1_in_all_halves_has_the_interval_of_a_share() -> None:
    found = intervals.wilson(1.0, np.ones(20), 50)
    z = stats.t.ppf(0.975, 19)
    assert found == {"value": 1.0, "low": pytest.approx(50 / (50 + z**2)), "high": 1.0}
    # Both ends are as far from the value as their own deviation says.
    halves = np.array([0.5, 0.9] * 10)
    alone = 0.7 * 0.3 / halves.var(ddof=1)
    found = intervals.wilson(0.7, halves, 1000)
    for end in (found["low"], found["high"]):
        assert (end - 0.7) ** 2 == pytest.approx(z**2 * end * (1 - end) / alone)


@pytest.mark.parametrize(("right", "count"), [(0, 7), (4, 6), (300, 300), (1234, 2000)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_ends_of_a_proportion_are_z_of_their_own_deviations_off(right, count, level) -> None:
    found, z = intervals.proportion(right, count, level), stats.norm.ppf((1 + level) / 2)
    assert found["value"] == right / count
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    for end in (found["low"], found["high"]):
        if 0 < end < 1:
            off = (end - right / count) ** 2
            assert off == pytest.approx(z**2 * end * (1 - end) / count)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = normals(150), normals(170, seed=1, shift=0.2)
    whole = prdc.prdc(real, fake), memorization.nearest([views(fake)], views(real)).match.tolist()
    monkeypatch.setattr(prdc, "BLOCK", 32)
    assert (
        prdc.prdc(real, fake),
        memorization.nearest([views(fake)], views(real)).match.tolist(),
    ) == whole


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: frechet.moments(normals(1)), "two images or more on each side, got 1"),
        (lambda: frechet.moments(np.full((4, 2), np.nan)), "must be finite"),
        (lambda: kid.kernel_distance(normals(19), normals(50)), "20 images a side, got 19"),
        (lambda: kid.kernel_distance(np.full((20, 2), np.nan), normals(20, 2)), "be finite"),
        (
            lambda: frechet.chance(normals(3), normals(9), 1, 2),
            "four images or more on each side, got 3",
        ),
        (lambda: prdc.radii(normals(5)), "more than 5 images a side, got 5"),
    ],
)
def test_too_little_to_measure_is_one_sentence(call, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        call()
