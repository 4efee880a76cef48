"""Coverage by simulation, tables by hand, and the properties that any honest interval has."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from jaxgan.experiment.verdict import points, sentence, word
from jaxgan.statistics.crossed import Interval, crossed_interval, p_value, paired_difference
from jaxgan.types import InputError

SHAPES = st.tuples(st.integers(2, 6), st.integers(2, 30))
ANSWERS = hnp.arrays(np.bool_, SHAPES)
PAIRS = SHAPES.flatmap(lambda s: st.tuples(hnp.arrays(np.bool_, s), hnp.arrays(np.bool_, s)))
NUMBERS = hnp.arrays(np.float64, SHAPES, elements=st.integers(-99, 99).map(lambda i: i / 8))


def draw(rng, draws, seeds, pictures, sd_seed, sd_picture, sd_rest=1.0):
    """Crossed random effects about 0, [draws, seeds, pictures]."""
    return (
        sd_seed * rng.standard_normal((draws, seeds, 1))
        + sd_picture * rng.standard_normal((draws, 1, pictures))
        + sd_rest * rng.standard_normal((draws, seeds, pictures))
    )


def covered(intervals, truth):
    return sum(interval.low <= truth <= interval.high for interval in intervals)


def enough(covered, draws, level=0.95):
    """Not significantly fewer than the level says (binomial test, one-sided, 1 %)."""
    return covered >= stats.binom.ppf(0.01, draws, level)


def percentile_bootstrap(y, rng, resamples=200, level=0.95):
    """Resamples seeds and pictures; its low and high."""
    seeds, pictures = y.shape
    rows = rng.integers(seeds, size=(resamples, seeds, 1))
    columns = rng.integers(pictures, size=(resamples, 1, pictures))
    means = y[rows, columns].mean((1, 2))
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2])


# Standard deviations of seed and picture, the rest's being 1; the seeds' own part of the variance
# of the mean goes from none over an equal share to nearly all.
@pytest.mark.parametrize("effects", [(0.0, 0.5), (0.1, 1.0), (0.2, 3.0), (1.0, 0.0)])
@pytest.mark.parametrize(("seeds", "pictures"), [(3, 100), (3, 300), (5, 200), (10, 100)])
def test_gaussian_outcomes_are_covered(seeds, pictures, effects):
    draws = 1500
    y = draw(np.random.default_rng(seeds + pictures), draws, seeds, pictures, *effects)
    assert enough(covered(map(crossed_interval, y), 0.0), draws)


@pytest.mark.parametrize("accuracy", [0.7, 0.95, 0.99])
@pytest.mark.parametrize(("seeds", "pictures"), [(3, 100), (5, 300), (10, 100)])
def test_accuracies_are_covered(seeds, pictures, accuracy):
    draws, effects = 1000, (0.15, 1.5)
    threshold = special.ndtri(accuracy) * np.sqrt(1 + np.square(effects).sum())
    rng = np.random.default_rng(seeds)
    correct = draw(rng, draws, seeds, pictures, *effects) + threshold > 0
    assert enough(covered(map(crossed_interval, correct), accuracy), draws)


def paired_arms(rng, draws, seeds, pictures, effect, sd_seed=0.15, sd_own=0.4):
    """RunsByArm of two arms [draws, seeds, pictures] and the true difference of their accuracies.

    The arms share how hard a picture is, but each also finds some pictures harder of its own.
    """
    shared = draw(rng, draws, 1, pictures, 0, 1.5, 0)
    a, b = (draw(rng, draws, seeds, pictures, sd_seed, sd_own) + shared + 2 for _ in range(2))
    sd = np.sqrt(1.5**2 + sd_seed**2 + sd_own**2 + 1)
    truth = special.ndtr((2 + effect) / sd) - special.ndtr(2 / sd)
    return a + effect > 0, b > 0, truth


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_differences_are_covered(seeds):
    draws = 1500
    a, b, truth = paired_arms(np.random.default_rng(seeds), draws, seeds, 200, effect=0.3)
    assert enough(covered(map(paired_difference, a, b), truth), draws)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_arms_that_do_not_differ_seldom_help_or_hurt(seeds):
    draws = 1500
    a, b, truth = paired_arms(np.random.default_rng(seeds), draws, seeds, 200, effect=0.0)
    words = [word(interval) for interval in map(paired_difference, a, b)]
    assert truth == 0
    assert enough(draws - words.count("helps") - words.count("hurts"), draws)


def test_an_arm_that_is_better_is_found_and_never_called_worse():
    a, b, truth = paired_arms(np.random.default_rng(0), 200, 5, 300, effect=0.8)
    words = [word(interval) for interval in map(paired_difference, a, b)]
    assert truth > 0.07
    assert words.count("helps") > 180
    assert "hurts" not in words


@pytest.mark.parametrize("seeds", [3, 5])
def test_a_percentile_bootstrap_would_fail_where_the_interval_passes(seeds):
    """So that the checks above are known to be able to fail."""
    draws, rng = 500, np.random.default_rng(seeds)
    y = draw(rng, draws, seeds, 100, 0.5, 1.0)
    bootstrap = np.array([percentile_bootstrap(one, rng) for one in y])
    held = int(((bootstrap[:, 0] <= 0) & (bootstrap[:, 1] >= 0)).sum())
    assert not enough(held, draws)
    assert enough(covered(map(crossed_interval, y), 0.0), draws)


def test_a_table_worked_by_hand():
    """Sums of squares 13.5 (seeds), 13 (pictures), 3 (rest) on 1, 2 and 2 degrees of freedom."""
    interval = crossed_interval(np.array([[1.0, 2, 3], [3, 4, 8]]))
    assert interval.value == pytest.approx(3.5)
    assert interval.se == pytest.approx(np.sqrt((13.5 + 6.5 - 1.5) / 6))
    high = 13.5 * (1 + 4 * np.sqrt(2))
    df = (high + 5) ** 2 / (high**2 + 6.5**2 / 2 + 1.5**2 / 2)
    assert interval.df == pytest.approx(df)
    half = stats.t.ppf(0.975, df) * interval.se
    assert interval[1:3] == pytest.approx((3.5 - half, 3.5 + half))


@pytest.mark.parametrize("axis", [0, 1])
def test_seeds_or_pictures_that_agree_leave_students_t(axis):
    """Seeds that all answer alike leave a t test over pictures, and the other way round."""
    values = np.array([0.3, 1.7, -0.4, 2.2, 0.9])
    y = np.tile(values, (4, 1)) if axis == 0 else np.tile(values[:, None], (1, 4))
    interval = crossed_interval(y)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert interval.df == pytest.approx(4)
    assert interval[1:3] == pytest.approx(tuple(expected))


def test_a_negative_component_counts_as_none():
    """Picture effects of opposite sign in the two seeds: MS_s = MS_t = 0 below MS_e."""
    y = np.array([[1.0, -1, 1, -1], [-1, 1, -1, 1]])
    assert crossed_interval(y).se == pytest.approx(np.sqrt(8 / 3 / 8))


@given(ANSWERS, st.randoms(use_true_random=False))
def test_the_order_of_seeds_and_pictures_does_not_matter(correct, random):
    seeds, pictures = (random.sample(range(n), n) for n in correct.shape)
    assert crossed_interval(correct[seeds][:, pictures]) == pytest.approx(crossed_interval(correct))


@given(PAIRS)
def test_swapping_the_arms_flips_the_sign(pair):
    there, back = paired_difference(*pair), paired_difference(*pair[::-1])
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low)
    )
    swapped = {"helps": "hurts", "hurts": "helps"}
    assert word(back) == swapped.get(word(there), word(there))


@given(PAIRS)
def test_intervals_hold_their_value_and_stay_in_range(pair):
    for answers in pair:
        one = crossed_interval(answers)
        assert 0 <= one.low <= one.value == answers.mean() <= one.high <= 1
        assert one.low < one.high
    two = paired_difference(*pair)
    assert -1 <= two.low <= two.value <= two.high <= 1
    assert two.low < two.high


@given(ANSWERS, st.floats(0.5, 0.99))
def test_a_higher_level_is_never_narrower(correct, level):
    narrow, wide = crossed_interval(correct, level), crossed_interval(correct, level + 0.005)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


@given(NUMBERS)
@settings(max_examples=50)
def test_the_interval_moves_and_stretches_with_its_outcomes(y):
    y[0, 0] = 99.5  # Not answers of 0 and 1, before or after.
    plain, moved = crossed_interval(y), crossed_interval(2 * y + 7)
    assert moved[:3] == pytest.approx([2 * x + 7 for x in plain[:3]])
    assert moved.df == pytest.approx(plain.df)


@pytest.mark.parametrize("pictures", [50, 300, 1000])
def test_all_answers_right_leave_room_for_doubt(pictures):
    """About as much as the exact interval of that many pictures leaves, and less with more."""
    interval = crossed_interval(np.ones((3, pictures), bool))
    exact = stats.binomtest(pictures, pictures).proportion_ci(method="exact")
    assert interval.value == interval.high == 1
    assert 0.5 < (1 - interval.low) / (1 - exact.low) < 2
    none = crossed_interval(np.zeros((3, pictures), bool))
    assert none[:3] == pytest.approx((0, 0, 1 - interval.low))


def test_arms_with_the_same_answers_are_no_evidence_and_not_certain():
    correct = np.random.default_rng(0).random((3, 200)) < 0.9
    interval = paired_difference(correct, correct)
    assert word(interval) == "no evidence"
    assert interval.low == pytest.approx(-interval.high)
    assert 0.005 < interval.high < 0.03
    assert word(paired_difference(np.ones((3, 200)), np.zeros((3, 200)))) == "helps"


def test_arms_that_agree_on_nearly_all_answers_are_told_apart_as_pairs():
    """However much their seeds scatter."""
    rng = np.random.default_rng(0)
    a = rng.random((3, 200)) < np.array([0.6, 0.75, 0.9])[:, None]
    b = a ^ (rng.random(a.shape) < 0.02)
    assert paired_difference(a, b).high < 0.06
    assert paired_difference(a, b[::-1]).high > 0.3


def test_p_values_agree_with_the_intervals():
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 3, 80)) < np.array([0.9, 0.7])[:, None, None]
    for pair in [(a, b), (b, a), (a, a)]:
        p = p_value(*pair)
        for alpha in (p * 0.99, min(p * 1.01, 1 - 1e-9)):
            found = paired_difference(*pair, 1 - alpha)
            assert (found.low <= 0 <= found.high) == (alpha <= p)


def test_one_seed_or_picture_has_a_value_and_no_interval():
    correct = np.array([[True, True, False, True]])
    assert crossed_interval(correct) == (0.75, None, None, None, None)
    assert crossed_interval(correct.T) == (0.75, None, None, None, None)
    assert paired_difference(correct, ~correct) == (0.5, None, None, None, None)


def test_arms_must_match():
    with pytest.raises(
        InputError, match=r"same seeds and test images, got \[\(1, 3\)\] and \[\(2, 3"
    ):
        paired_difference(np.ones((1, 3)), np.ones((2, 3)))
    with pytest.raises(InputError, match="at least one seed and one image in each fold"):
        crossed_interval(np.ones((0, 3)))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.001, 0.02, "helps"),
        (-0.02, -0.001, "hurts"),
        (-0.001, 0.02, "no evidence"),
        (0.0, 0.02, "no evidence"),
        (-0.02, 0.0, "no evidence"),
        (None, None, "too noisy to tell"),
    ],
)
def test_the_verdict_follows_from_the_interval_alone(low, high, said):
    assert word(Interval(0.01, low, high)) == said


def test_a_sentence_holds_word_and_figures():
    said = sentence(Interval(0.021, 0.008, 0.034), "5 seeds x 300 test images")
    assert said.startswith("Generated images help: ")
    for part in ("2.1 points", "+0.8 to +3.4", "5 seeds x 300 test images"):
        assert part in said


def test_points_never_round_a_difference_away():
    assert [points(x) for x in (0.0, -0.0, 0.0213, -0.0213, 0.0003, -0.0003, 1e-18)] == [
        *("0.0", "0.0", "2.1", "-2.1", "0.03", "-0.03", "0.0")
    ]
