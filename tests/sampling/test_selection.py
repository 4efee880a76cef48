"""Which pictures to keep: junk is ranked last, and what selection costs is told."""

import numpy as np
import pytest
from scipy import stats

from jaxgan.metrics.prdc import prdc
from jaxgan.sampling import selection
from jaxgan.sampling.selection import Classified, density, margin, realism, select
from jaxgan.types import InputError

RNG = np.random.default_rng(0)
CENTRES = 6 * RNG.standard_normal((3, 16))


def faces(rng, n):
    """Three clusters of unequal size."""
    which = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    return (20 + CENTRES[which] + rng.standard_normal((n, 16))).astype(np.float32)


def area(scores, good):
    """Under the curve: the chance that a good picture is above a bad one, ties one half."""
    ranks = stats.rankdata(scores)
    n = good.sum()
    return (ranks[good].sum() - n * (n + 1) / 2) / (n * (len(good) - n))


def drawn_and_real(seed, kind):
    """300 good pictures among 100 planted ones, mixed; what is good; 500 real pictures."""
    rng = np.random.default_rng(seed)
    good = np.arange(400) < 300
    mean, deviation = faces(rng, 500).mean(axis=0), faces(rng, 500).std(axis=0)
    planted = {
        "noisy": faces(rng, 100) + 4 * rng.standard_normal((100, 16)),
        "between": mean + 0.5 * deviation * rng.standard_normal((100, 16)),
        "elsewhere": mean + 30 + rng.standard_normal((100, 16)),
    }[kind]
    order = rng.permutation(400)
    drawn = np.concatenate([faces(rng, 300), planted]).astype(np.float32)[order]
    return drawn, good[order], faces(rng, 500)


@pytest.mark.parametrize("kind", ["noisy", "between", "elsewhere"])
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_junk_is_ranked_last(seed, kind):
    drawn, good, real = drawn_and_real(seed, kind)
    for by in ("realism", "density", "outlier"):
        chosen = select(by, 100, drawn, real)
        assert area(chosen.scores, good) > 0.9, (by, area(chosen.scores, good))
        assert good[chosen.kept].all(), by
    # A classifier that is unsure of junk, as one that was trained on real pictures mostly is.
    logits = np.where(good, 8, 1) + np.random.default_rng(seed).normal(size=400)
    log_p = np.stack([np.log1p(np.exp(logits)) - logits, np.log1p(np.exp(logits))], 1) * -1
    chosen = select("classifier", 100, drawn, real, Classified(log_p.astype(np.float32), 0))
    assert area(chosen.scores, good) > 0.9
    nothing = select("none", 100, drawn, real)
    assert area(nothing.scores, good) == 0.5
    np.testing.assert_array_equal(nothing.kept, np.arange(100))


def test_realism_by_hand():
    """Balls of radius 1 (to the only neighbour that counts) and 10; the larger half is left out."""
    real = np.array([[0.0], [1.0], [20.0], [30.0]], np.float32)
    drawn = np.array([[0.5], [3.0], [20.0], [25.0]], np.float32)
    # From 0 and 1 alone: 1 / 0.5, 1 / 2, 1 / 19 and 1 / 24.
    np.testing.assert_allclose(realism(drawn, real, 1), [2, 0.5, 1 / 19, 1 / 24], rtol=1e-6)
    copy = realism(real[:1], real, 1)
    assert np.isfinite(copy).all() and copy[0] > 1e6


def test_density_is_that_of_the_whole():
    """Naeem's density is the mean over pictures; `prdc` has its own reference."""
    rng = np.random.default_rng(3)
    real, drawn = faces(rng, 200), faces(rng, 130) + 1
    assert density(drawn, real).mean() == pytest.approx(prdc(real, drawn).density)
    inside = (density(drawn, real) > 0).mean()
    assert inside == pytest.approx(prdc(real, drawn).precision)


def test_margins_do_not_saturate():
    log_p = np.array([[-1e-9, -30, -40], [-1e-12, -50, -60], [-3, -0.1, -4]], np.float32)
    np.testing.assert_allclose(margin(log_p, 0), [30, 50, -2.9], rtol=1e-6)
    np.testing.assert_allclose(margin(log_p, 2)[2], -3.9, rtol=1e-6)


def test_of_equal_pictures_the_first_are_kept():
    rng = np.random.default_rng(0)
    real = faces(rng, 100)
    drawn = np.tile(real.mean(axis=0), (9, 1)).astype(np.float32)
    for by in ("realism", "density", "outlier", "none"):
        np.testing.assert_array_equal(select(by, 4, drawn, real).kept, np.arange(4))


def test_the_effect_is_told_on_real_pictures_that_did_not_choose():
    drawn, _, real = drawn_and_real(0, "noisy")
    labels = (real[:, :1] @ np.ones(1) > np.median(real[:, 0])).astype(np.int32)
    for by in ("realism", "none"):
        chosen = select(by, 100, drawn, real)
        found = selection.effect(by, chosen, drawn, real, None, labels, ("a", "b"))
        assert set(found) == {
            *("precision", "recall", "density", "coverage", "frechet", "authenticity"),
            *("class a", "class b"),
        }
        for about in found.values():
            before, after, change = (about[when] for when in ("before", "after", "change"))
            assert change["value"] == pytest.approx(after["value"] - before["value"])
            for each in (before, after, change):
                assert each["low"] <= each["value"] <= each["high"]
        both = found["class a"]["after"]["value"] + found["class b"]["after"]["value"]
        assert both == pytest.approx(1)
        if by == "none":  # The control: nothing is told to have changed.
            assert all(about["change"]["value"] == 0 for about in found.values())
        else:
            assert found["precision"]["change"]["low"] > 0.1
            assert found["recall"]["change"]["value"] < 0
        # Fresh pictures of the same kind are as authentic as real ones.
        real_one = found["authenticity"]["real"]
        assert real_one["low"] < found["authenticity"]["before"]["high"]
    # A GAN that knows the real pictures by heart: those that chose find all copies precise.
    noise = np.random.default_rng(5).normal(0, 1e-3, real.shape)
    by_heart = np.concatenate([real + noise, faces(np.random.default_rng(6), 500)])
    by_heart = np.random.default_rng(7).permutation(by_heart)
    chosen = select("realism", 250, by_heart, real)
    found = selection.effect("realism", chosen, by_heart, real)
    assert found["authenticity"]["change"]["high"] < 0
    assert found["authenticity"]["after"]["high"] < found["authenticity"]["real"]["low"]
    assert found["precision"]["after"]["value"] < 1


def test_bad_input_is_one_sentence():
    drawn, _, real = drawn_and_real(0, "noisy")
    for by, keep, rule in (
        ("beauty", 3, "one of realism, density, classifier, outlier, none, got 'beauty'"),
        ("none", 401, "from 1 to the 400 images drawn, got 401"),
        ("none", 0, "got 0"),
        ("classifier", 3, "needs what a classifier says"),
    ):
        with pytest.raises(InputError, match=rule):
            select(by, keep, drawn, real)
    for by in ("realism", "density", "outlier"):
        with pytest.raises(InputError, match=r"got [02]"):
            select(by, 3, drawn, real[:2])
        with pytest.raises(InputError, match="finite, and some of the drawn"):
            select(by, 3, np.where(drawn > 1e3, drawn, np.nan), real)
    few = select("none", 5, drawn, real)
    with pytest.raises(InputError, match="12 kept images and 24 real ones or more, got 5 and"):
        selection.effect("none", few, drawn, real)


def test_real_pictures_are_authentic_by_hand():
    """At 0, 1, 3 and 7: 0's nearest, 1, is without it 2 from the next, and so on."""
    real = np.array([[0.0], [1.0], [3.0], [7.0]], np.float32)
    # 0: 1 >= 2? 1: its nearest is 0, 3 from the next: 1 >= 3? 3: to 1, 2 >= 1. 7: to 3, 4 >= 2.
    np.testing.assert_array_equal(selection._authentic_real(real), [False, False, True, True])
    rng = np.random.default_rng(0)
    real, fresh = faces(rng, 3000), faces(rng, 3000)
    ours = selection._shares(fresh, real, None, ())["authenticity"].mean()
    assert selection._authentic_real(real).mean() == pytest.approx(ours, abs=0.03)
