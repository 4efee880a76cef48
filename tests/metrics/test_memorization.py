"""The test on copies: it errs as often as it says, finds planted ones, and no fog."""

import numpy as np
import pytest
from scipy import stats

from jaxgan.metrics import memorization
from jaxgan.metrics.memorization import View, find_copies
from jaxgan.types import InputError

D = 24


def draw(rng: np.random.Generator, count: int, spread: float = 1.0) -> View:
    """Pictures whose outlines, of norm 1, say other things than their features."""
    outlines = rng.normal(size=(count, D))
    outlines /= np.linalg.norm(outlines, axis=1, keepdims=True)
    return View(spread * rng.normal(size=(count, D)), outlines)


def joined(*parts: View) -> View:
    return View(*(np.concatenate(kind) for kind in zip(*parts, strict=True)))


def like(view: View, rng: np.random.Generator, noise: float) -> View:
    norms = (1.0, 1 / np.sqrt(D))
    return View(
        *(
            part + noise * n * rng.normal(size=part.shape)
            for n, part in zip(norms, view, strict=True)
        )
    )


def first(view: View, count: int) -> View:
    return View(view.features[:count], view.outlines[:count])


def test_it_errs_no_more_often_than_it_says() -> None:
    p = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        train, held_out, fake = (draw(rng, count) for count in (150, 100, 120))
        p.append(find_copies([fake], train, [held_out]).p)
    wrong = int((np.array(p) < 0.05).sum())
    assert stats.binomtest(wrong, 300, 0.05, alternative="greater").pvalue > 0.01
    assert wrong > 0  # It can err: it is a test.


@pytest.mark.parametrize("mirrored", [False, True])
def test_planted_copies_are_found(mirrored: bool) -> None:
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        train, held_out = draw(rng, 300), draw(rng, 200)
        planted = like(first(train, 10), rng, 0.2)
        other = draw(rng, 200)
        fake = joined(planted, first(other, 190))
        # A mirrored copy is one in its second view only.
        views = [other, fake] if mirrored else [fake]
        result = find_copies(views, train, [held_out])
        found += result.p < 0.05
        assert result.low <= result.share <= result.high
        if result.share == 0.05:
            worst = np.argsort(result.fake.ratio)[:10]
            assert sorted(worst) == list(range(10)) == sorted(result.fake.match[worst])
    assert found >= 38


def test_fog_that_is_near_to_everything_is_no_copy() -> None:
    rng = np.random.default_rng(0)
    train, held_out, fog = draw(rng, 300), draw(rng, 200), draw(rng, 200, spread=0.2)
    result = find_copies([fog], train, [held_out])
    assert result.fake.distance.mean() < result.held_out.distance.mean()
    assert result.p > 0.05 and result.share < 0.02


def test_near_in_features_alone_or_in_outlines_alone_is_no_copy() -> None:
    rng = np.random.default_rng(0)
    train, held_out, other = draw(rng, 300), draw(rng, 200), draw(rng, 200)
    for view in (
        View(train.features[:200], other.outlines),
        View(other.features, train.outlines[:200]),
    ):
        assert find_copies([view], train, [held_out]).share < 0.05


def test_training_pictures_stand_in_and_copies_among_them_do_not_count() -> None:
    rng = np.random.default_rng(0)
    once, fake = draw(rng, 100), draw(rng, 100)
    train = joined(once, like(first(once, 50), rng, 1e-3))
    groups = np.concatenate([np.arange(100), np.arange(50)])
    planted = joined(like(first(once, 30), rng, 0.1), first(fake, 70))
    assert find_copies([planted], train, None, groups).p < 0.01
    assert find_copies([fake], train, None, groups).p > 0.01
    own = memorization.nearest([train], train, groups)
    assert (groups[own.match] != groups).all() and own.distance.min() > 1


def test_copies_are_not_authentic() -> None:
    rng = np.random.default_rng(0)
    train, held_out = draw(rng, 100), draw(rng, 50)
    assert find_copies([like(train, rng, 1e-3)], train, [held_out]).authenticity == 0


def test_too_few_real_pictures_are_one_sentence() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="20 real images to compare with, got 19"):
        find_copies([draw(rng, 30)], draw(rng, 30), [draw(rng, 19)])
