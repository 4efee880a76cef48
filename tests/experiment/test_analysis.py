"""What results.json says of the arms, recomputed by hand; and the small tests' known values."""

import numpy as np
import pytest
from scipy import stats

from jaxgan.experiment import analysis
from jaxgan.metrics import classification
from jaxgan.statistics import crossed, group_sequential, learning_curve
from jaxgan.statistics.crossed import paired_difference
from jaxgan.types import InputError

LABELS = np.arange(60) % 3
CLASSES = ("cat", "dog", "eel")
ACCURACY = {"real": 0.6, "add": 0.9, "copies": 0.6, "replace": 0.5}


def made_runs(seeds=4, gans=None, accuracy=ACCURACY):
    rng, runs = np.random.default_rng(0), []
    for arm, share in accuracy.items():
        for seed in range(seeds):
            said = np.where(rng.random(60) < share, LABELS, (LABELS + 1) % 3)
            p = np.full((60, 3), 0.2) + 0.4 * np.eye(3)[said]
            run = {"arm": arm, "seed": seed, "probabilities": p.tolist()}
            if gans and arm != "real":
                run["gan"] = gans[seed]
            runs.append(run)
    return runs


def judged(runs, **how):
    about = {arm: {"description": arm} for arm in ACCURACY}
    how = {"primary": ("add", "real"), "about": about, "seeds": 4} | how
    return analysis.judge(runs, LABELS, CLASSES, **how)


def right(runs, arm):
    return np.array([np.argmax(r["probabilities"], 1) == LABELS for r in runs if r["arm"] == arm])


def test_the_primary_contrast_gives_the_verdict_and_the_others_share_their_error():
    runs = made_runs()
    found = judged(runs)
    add, real = right(runs, "add"), right(runs, "real")
    assert found["verdict"]["word"] == "helps"
    expected = paired_difference(add, real, others=[right(runs, a) for a in ("copies", "replace")])
    assert (found["verdict"]["low"], found["verdict"]["high"]) == expected[1:3]
    assert found["verdict"]["p"] == pytest.approx(
        crossed.p_value(add, real, [right(runs, a) for a in ("copies", "replace")])
    )
    others = {c["a"]: c for c in found["contrasts"] if not c["primary"]}
    assert set(others) == {"copies", "replace"}
    for arm, c in others.items():
        assert c["level"] == pytest.approx(0.975)
        rest = [right(runs, a) for a in ACCURACY if a not in (arm, "real")]
        expected = paired_difference(right(runs, arm), real, c["level"], rest)
        assert (c["low"], c["high"]) == expected[1:3]
    assert [others[a]["holm"] for a in others] == crossed.holm([others[a]["p"] for a in others])
    tables = found["verdict"]["mcnemar"]
    assert [(t["only_a"], t["only_b"]) for t in tables] == [
        (int((a & ~b).sum()), int((b & ~a).sum())) for a, b in zip(add, real, strict=True)
    ]
    worst = found["arms"]["real"]["worst_class"]
    recalls = {c: real[:, i == LABELS].mean() for i, c in enumerate(CLASSES)}
    assert worst["recall"] == pytest.approx(min(recalls.values()))
    assert recalls[worst["class"]] == min(recalls.values())
    assert found["worth"] is None


def test_power_comes_from_variances_and_not_from_the_effect():
    """The same answers with the arms' names exchanged could have seen the same effect."""
    runs = made_runs()
    there = judged(runs)["verdict"]["power"]
    back = judged(runs, primary=("real", "add"))["verdict"]["power"]
    assert there["seen"] == pytest.approx(back["seen"])
    assert 0.05 < there["seen"] < 0.3
    assert (
        there["planned"]
        == judged(made_runs(accuracy=ACCURACY | {"add": 0.6}))["verdict"]["power"]["planned"]
    )


def test_arms_with_the_same_answers_could_not_have_seen_everything():
    runs = [r | {"arm": arm} for arm in ("real", "add") for r in made_runs() if r["arm"] == "real"]
    told = judged(runs)["verdict"]
    assert told["difference"] == 0 and told["high"] < told["power"]["seen"] < 0.2


def test_a_failed_run_costs_its_seed_alone():
    runs = [r for r in made_runs() if (r["arm"], r["seed"]) != ("add", 2)]
    found = judged(runs)
    assert found["verdict"]["seeds"] == 3
    assert [t["seed"] for t in found["verdict"]["mcnemar"]] == [0, 1, 3]
    assert found["arms"]["real"]["seeds"] == 4


def test_without_the_primary_contrast_the_others_are_judged_and_there_is_no_verdict():
    runs = [r for r in made_runs() if r["arm"] != "add"]
    failed = [{"arm": a, "seed": 3, "error": f"no {a}"} for a in ("replace", "add")]
    found = judged(runs, failed=failed)
    assert found["verdict"]["word"] == "no verdict"
    told = "No seed was finished for both add and real"
    assert found["verdict"]["sentence"] == f"{told}: add seed 3 failed: no add"
    assert judged(runs)["verdict"]["sentence"] == f"{told}."
    assert {found["verdict"][k] for k in ("difference", "low", "high")} == {None}
    whole = judged(made_runs())
    assert found["arms"] == {a: whole["arms"][a] for a in ("real", "copies", "replace")}
    pairs = [(c["a"], c["difference"]) for c in whole["contrasts"] if not c["primary"]]
    assert [(c["a"], c["difference"]) for c in found["contrasts"]] == pairs
    # With looks, at the level of the seeds that were done: all.
    level = judged(runs, looks=(3,))["verdict"]["level"]
    assert level == judged(made_runs(), looks=(3,))["verdict"]["level"] > 0.95


def test_one_seed_is_judged_without_an_interval():
    found = judged(made_runs(seeds=1), seeds=1)
    assert found["verdict"]["word"] == "too noisy to tell"
    assert found["verdict"]["conditions"].startswith("One seed has no interval")
    assert found["verdict"]["low"] is found["verdict"]["p"] is None
    assert found["verdict"]["power"]["planned"] is found["verdict"]["power"]["seen"] is None


def test_retrained_gans_have_a_second_line_and_leave_the_verdict_alone():
    runs = made_runs(gans=(0, 0, 1, 1))
    one, two = judged(made_runs())["verdict"], judged(runs)["verdict"]
    assert [one[k] for k in ("low", "high", "p")] == [two[k] for k in ("low", "high", "p")]
    assert one["elsewhere"] is None and (one["gans"], two["gans"]) == (1, 2)
    expected = crossed.across_gans(right(runs, "add"), right(runs, "real"), (0, 0, 1, 1), 0.95)
    assert (two["elsewhere"]["low"], two["elsewhere"]["high"]) == (expected.low, expected.high)
    assert expected.high - expected.low > two["high"] - two["low"]
    assert "2 were trained of each" in two["elsewhere"]["sentence"]
    told = [judged(runs, same_samples=share)["verdict"]["conditions"] for share in (0.2, 0.98)]
    assert "other samples" in told[0] and "other samples" not in told[1]
    assert "share 98 % of the generated images" in told[1]


def folded(runs, cut=24):
    """The same answers as those of two folds, the first with `cut` images."""
    halves = (slice(0, cut), slice(cut, 60))
    return [
        run | {"fold": k, "probabilities": run["probabilities"][half]}
        for k, half in enumerate(halves)
        for run in runs
    ], {k: LABELS[half] for k, half in enumerate(halves)}


def test_folds_are_pooled_and_their_luck_is_the_second_line():
    runs = made_runs()
    parts, labels = folded(runs)
    about = {arm: {"description": arm} for arm in ACCURACY}
    how = {"primary": ("add", "real"), "about": about, "seeds": 4}
    found = analysis.judge(parts, labels, CLASSES, **how)
    verdict, whole = found["verdict"], judged(runs)
    assert (verdict["folds"], verdict["seeds"], verdict["images"]) == (2, 4, 60)
    assert "2 folds x 4 seeds, 60 test images" in verdict["sentence"]
    tables = {a: [right(runs, a)[:, :24], right(runs, a)[:, 24:]] for a in ACCURACY}
    others = [tables["copies"], tables["replace"]]
    expected = paired_difference(tables["add"], tables["real"], others=others)
    assert (verdict["low"], verdict["high"]) == expected[1:3]
    assert verdict["difference"] == pytest.approx(whole["verdict"]["difference"])
    assert verdict["elsewhere"]["value"] == pytest.approx(verdict["difference"], abs=0.05)
    assert "2 folds, each with its own" in verdict["elsewhere"]["sentence"]
    for arm, mine in found["arms"].items():
        assert mine["accuracy"] == pytest.approx(whole["arms"][arm]["accuracy"])
        assert mine["outcomes"] == pytest.approx(whole["arms"][arm]["outcomes"])
        assert mine["ensemble"] == pytest.approx(whole["arms"][arm]["ensemble"])
    assert len(verdict["mcnemar"]) == 8 and verdict["per_class"].keys() == set(CLASSES)


def test_a_fold_that_lacks_an_arm_and_seeds_that_differ_are_left_to_what_is_common():
    parts, labels = folded(made_runs())
    parts = [r for r in parts if (r["fold"], r["seed"]) != (1, 3)]
    about = {arm: {"description": arm} for arm in ACCURACY}
    how = {"primary": ("add", "real"), "about": about, "seeds": 4}
    found = analysis.judge(parts, labels, CLASSES, **how)["verdict"]
    assert (found["folds"], found["seeds"], found["images"]) == (2, 3, 60)
    assert "2 folds x 3 to 4 seeds" in found["sentence"]
    parts = [r for r in parts if (r["fold"], r["arm"]) != (1, "add")]
    found = analysis.judge(parts, labels, CLASSES, **how)
    assert (found["verdict"]["folds"], found["verdict"]["images"]) == (1, 24)
    assert found["verdict"]["elsewhere"] is None and found["arms"]["real"]["seeds"] == 4


@pytest.mark.parametrize("outcome", ["balanced_accuracy", "macro_f1", "log_loss", "brier"])
def test_the_verdict_may_be_about_another_outcome(outcome):
    runs = made_runs()
    found = judged(runs, outcome=outcome)
    verdict, arms = found["verdict"], found["arms"]
    rise = arms["add"]["outcomes"][outcome] - arms["real"]["outcomes"][outcome]
    falls = outcome in ("log_loss", "brier")
    assert verdict["difference"] == pytest.approx(-rise if falls else rise)
    assert verdict["word"] == "helps" and ("falls by" in verdict["sentence"]) == falls
    assert verdict["beside"]["outcome"] == ("brier" if outcome == "log_loss" else "log_loss")
    assert (verdict["power"]["planned"] is None) == falls


def test_the_second_outcome_is_written_beside():
    found = judged(made_runs())["verdict"]["beside"]
    assert found["outcome"] == "log_loss" and found["value"] > 0
    assert found["sentence"].startswith("Log loss falls by ")
    assert found["sentence"].endswith(": better.")


def test_a_look_reports_the_wider_interval():
    found = judged(made_runs(), looks=(4,), seeds=8)
    assert found["verdict"]["level"] == pytest.approx(1 - 0.05 / 3)
    assert judged(made_runs(), looks=(3,), seeds=4)["verdict"]["level"] == pytest.approx(
        1 - 0.05 * 2 / 3
    )


def test_levels_of_the_looks_share_the_error():
    levels = [group_sequential.level_at(n, (3, 5), 10) for n in (3, 4, 5, 10)]
    assert levels == pytest.approx([1 - 0.05 / 7, 1 - 0.1 / 7, 1 - 0.1 / 7, 1 - 0.2 / 7])
    group_sequential.check_looks((), 1)
    for looks in ((1, 5), (5, 3), (3, 8)):
        with pytest.raises(InputError, match="rising numbers of seeds from 2 to below 8"):
            group_sequential.check_looks(looks, 8)


def test_worth_in_real_pictures_comes_from_the_arms_of_one_kind():
    accuracy = {"real": 0.9, "real@50": 0.4, "real@100": 0.65, "add": 0.78}
    sizes = {"real": (200, 0), "real@50": (50, 0), "real@100": (100, 0), "add": (50, 1.0)}
    about = {arm: {"size": n, "ratio": r} for arm, (n, r) in sizes.items()}
    runs = made_runs(accuracy=accuracy)
    found = judged(runs, about=about)["worth"]
    assert found["sizes"] == [50, 100, 200]
    levels = np.stack([right(runs, arm) for arm in ("real@50", "real@100", "real")])
    expected = learning_curve.worth(right(runs, "add"), levels, (50, 100, 200))._asdict()
    assert {name: found[name] for name in expected} == expected
    assert 100 < found["value"] < 200


@pytest.mark.parametrize(
    ("share", "place", "words"),
    [(1.0, "beyond", "beyond the curve: better than 100"), (0.0, "below", "worse than 50")],
)
def test_nothing_is_extrapolated(share, place, words):
    rng = np.random.default_rng(0)
    levels = rng.random((2, 4, 80)) < np.array([0.4, 0.6])[:, None, None]
    found = learning_curve.worth(np.full((4, 80), bool(share)), levels, (50, 100))
    assert (found.value, found.place) == (None, place)
    assert (found.low, found.high) == ((100, None) if share else (None, 50))
    assert words in learning_curve.describe(found, (50, 100))


def test_an_arm_that_is_a_point_of_the_curve_is_worth_it():
    levels = np.random.default_rng(0).random((3, 4, 80)) < np.array([0.4, 0.6, 0.8])[:, None, None]
    found = learning_curve.worth(levels[1], levels, (50, 100, 200))
    assert found.value == pytest.approx(100)
    assert found.low <= 100 <= found.high
    with pytest.raises(InputError, match="two or more rising sizes"):
        learning_curve.worth(levels[1], levels, (50, 200, 100))
    with pytest.raises(InputError, match="arm's seeds and test images"):
        learning_curve.worth(levels[1][:2], levels, (50, 100, 200))


def test_mcnemar_is_the_binomial_test():
    a = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 1], bool)
    b = np.array([0, 0, 0, 0, 0, 0, 1, 1, 0, 1], bool)
    found = crossed.mcnemar(a, b)
    assert found[:2] == (6, 1)
    assert found.p == pytest.approx(stats.binomtest(6, 7).pvalue)
    assert crossed.mcnemar(a, a).p == 1


def test_holm_by_hand():
    """Its example: 0.01, 0.04, 0.03 become 0.03, 0.06 and 0.06."""
    assert crossed.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert crossed.holm([]) == []


@pytest.mark.parametrize("others", [0, 2])
def test_a_p_value_says_what_its_interval_says(others):
    rng = np.random.default_rng(0)
    how = {"others": [rng.random((5, 60)) < 0.8 for _ in range(others)]}
    for _ in range(10):
        a, b = rng.random((5, 60)) < 0.85, rng.random((5, 60)) < 0.7
        p = crossed.p_value(a, b, **how)
        for level, out in ((1 - 1.01 * p, True), (1 - 0.99 * p, False)):
            interval = paired_difference(a, b, min(max(level, 0), 1 - 1e-12), **how)
            assert (interval.low > 0 or interval.high < 0) == out or p > 0.99
    assert crossed.p_value(a[:1], b[:1]) is None


def test_calibration_by_hand():
    """Bins of a half: (.6 right, .8 wrong) in one, its mean .7 against .5; all else empty."""
    p = np.array([[0.6, 0.4], [0.2, 0.8]])
    assert classification.calibration_error(p, np.array([0, 0]), bins=2) == pytest.approx(0.2)
    # In 15 bins each has its own: |1 - .6| and |0 - .8|.
    assert classification.calibration_error(p, np.array([0, 0])) == pytest.approx(0.6)
    assert classification.calibration_error(np.eye(2), np.array([0, 1])) == 0


def test_area_by_hand():
    """Of the 4 pairs of a picture of class 1 and one of class 0, 3 are in order."""
    p = np.array([0.1, 0.4, 0.35, 0.8])
    two = np.stack([1 - p, p], 1)
    assert classification.auroc(two, np.array([0, 0, 1, 1])) == pytest.approx(0.75)
    assert classification.auroc(np.full((4, 2), 0.5), np.array([0, 0, 1, 1])) == 0.5
    assert np.isnan(classification.auroc(two, np.zeros(4, int)))
