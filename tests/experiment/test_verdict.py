"""What is said of an interval."""

import re

import pytest

from jaxgan.experiment import verdict
from jaxgan.experiment.outcomes import OUTCOMES
from jaxgan.statistics.crossed import Interval

ACCURACY, LOSS = OUTCOMES["accuracy"], OUTCOMES["log_loss"]


@pytest.mark.parametrize(
    ("low", "high", "margin", "said"),
    [
        (0.001, 0.009, 0.01, "no relevant difference"),
        (-0.009, 0.009, 0.01, "no relevant difference"),
        (0.001, 0.02, 0.01, "helps"),
        (0.001, 0.4, None, "helps"),
        (-0.02, -0.001, 0.01, "hurts"),
        (-0.4, -0.001, None, "hurts"),
        (-0.02, 0.001, 0.01, "no evidence"),
        (-0.05, 0.05, None, "no evidence"),
        (-0.06, 0.06, None, "too noisy to tell"),
        (None, None, 0.01, "too noisy to tell"),
    ],
)
def test_the_word_follows_from_the_interval(low, high, margin, said) -> None:
    assert verdict.word(Interval(0.0005, low, high), margin) == said
    sentence = verdict.sentence(Interval(0.0005, low, high), "5 seeds", margin=margin)
    begins = {"helps": "Generated images help:", "hurts": "Generated images hurt:"}
    begins["no relevant difference"] = "Generated images make no relevant difference (less than 1.0"
    begins["no evidence"] = "No evidence that generated images help or hurt:"
    begins["too noisy to tell"] = "Too noisy to tell whether generated images help or hurt:"
    assert sentence.startswith(begins[said]) and sentence.endswith(".")


def test_a_width_that_was_asked_for_is_what_is_too_noisy() -> None:
    interval = Interval(0.0, -0.04, 0.04)
    assert verdict.word(interval, widest=verdict.widest(ACCURACY, 0.03)) == "too noisy to tell"
    assert verdict.word(interval, widest=verdict.widest(ACCURACY, None)) == "no evidence"
    assert verdict.widest(LOSS, None) is None


def test_sentences_have_their_figures() -> None:
    text = verdict.sentence(Interval(0.001, -0.004, 0.006), "5 seeds, 900 test images", margin=0.01)
    assert text == (
        "Generated images make no relevant difference (less than 1.0 points either way): "
        "accuracy rises by 0.1 points (95 % interval -0.4 to +0.6; 5 seeds, 900 test images)."
    )
    text = verdict.sentence(
        Interval(0.2, 0.1, 0.3), "3 seeds", outcome=LOSS, widest=None, subject="the rivals"
    )
    assert text == (
        "The rivals help: log loss falls by 0.200 (95 % interval -0.300 to -0.100; 3 seeds)."
    )


def test_no_sentence_is_impossible() -> None:
    """A share's difference cannot be told beyond 100 points."""
    for low, high in ((-1.0, 1.0), (-0.5, 1.0), (None, None)):
        text = verdict.sentence(Interval(0.4, low, high), "1 seed, 8 test images")
        figures = [float(x) for x in re.findall(r"[-+]?\d+\.\d+", text)]
        assert all(abs(x) <= 100 for x in figures) and "too noisy" in text.lower()


def test_sizes() -> None:
    assert verdict.size({0: [1, 2, 3]}, 1480) == "3 seeds, 1,480 test images"
    assert verdict.size({0: [1]}, 1) == "1 seed, 1 test image"
    assert verdict.size({0: [1, 2], 1: [1]}, 80) == "2 folds x 1 to 2 seeds, 80 test images"


def test_what_the_interval_holds_for() -> None:
    told = verdict.conditions(1, 3)
    assert told.startswith("This holds for classifiers trained anew on these images, and for new")
    assert "other samples of the same GANs" in verdict.conditions(1, 3, 0.1)
    shared = verdict.conditions(1, 3, 0.97)
    assert "other samples" not in shared and "share 97 % of the generated images" in shared
    assert verdict.conditions(1, 1).startswith("One seed has no interval")
    assert verdict.conditions(4, 1).startswith("This holds")


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.01, 0.2, ": better."), (-0.2, -0.01, ": worse."), (-0.1, 0.1, ": no clear change.")],
)
def test_the_second_outcome_is_better_worse_or_neither(low, high, said) -> None:
    assert verdict.beside(Interval((low + high) / 2, low, high), LOSS, 0.95).endswith(said)
    assert "without an interval" in verdict.beside(Interval(0.1), LOSS, 0.95)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.01, 0.2, "it helps there, too"),
        (-0.2, -0.01, "it hurts there, too"),
        (-0.2, 0.2, "the sign is open there"),
        (None, None, "cannot tell"),
    ],
)
def test_elsewhere(low, high, said) -> None:
    for folds, gans, other in ((4, 1, "4 folds, each with its own"), (1, 3, "3 were trained of")):
        text = verdict.elsewhere(Interval(0.0, low, high), folds, gans, ACCURACY, 0.95)
        assert said in text and other in text


def test_why_there_is_no_verdict() -> None:
    failed = [{"arm": "copies", "seed": 1, "error": "a"}, {"arm": "add", "seed": 2, "error": "b"}]
    assert verdict.no_verdict(("add", "real"), failed) == (
        "No seed was finished for both add and real: add seed 2 failed: b"
    )
    assert verdict.no_verdict(("add", "real"), failed[:1]).endswith("both add and real.")


@pytest.mark.parametrize(
    ("value", "text"), [(0.0214, "2.1"), (-0.5, "-50.0"), (0.0003, "0.03"), (0.0, "0.0")]
)
def test_points(value, text) -> None:
    assert verdict.points(value) == text
