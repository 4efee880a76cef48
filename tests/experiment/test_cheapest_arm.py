"""Which of the cheaper arms is as good as the best."""

import pytest

from jaxgan.experiment import cheapest_arm
from jaxgan.statistics.crossed import Interval


class Known:
    """Intervals that end so far above the difference, by arm."""

    def __init__(self, accuracy, above):
        self.accuracy, self.above, self.levels = accuracy, above, []

    def interval(self, a, b, level=0.95):
        self.levels.append(level)
        if a not in self.above:
            return None
        value = self.accuracy[a] - self.accuracy[b]
        return Interval(value, value - self.above[a], value + self.above[a])


def found(accuracy, above, level=0.95):
    answers = Known(accuracy, above)
    arms = {name: {"accuracy": value} for name, value in accuracy.items()}
    return cheapest_arm.cheapest(answers, arms, level), answers.levels


def test_rungs_rise() -> None:
    names = ["real", "oversample", "copies:4", "real+augmentation", "real+mixup", "add"]
    places = [cheapest_arm.rung(name) for name in names]
    assert places == sorted(set(places))
    assert (
        cheapest_arm.rung("add+augmentation")
        == cheapest_arm.rung("replace")
        == cheapest_arm.rung("balance")
    )
    assert cheapest_arm.rung("real+randaugment") == cheapest_arm.rung("real+augmentation")
    assert cheapest_arm.rung("add:0x+mixup") == cheapest_arm.rung("real+mixup")


def test_the_cheapest_arm_that_cannot_be_told_from_the_best() -> None:
    accuracy = {"real": 0.7, "real+augmentation": 0.88, "add": 0.9, "add@50": 0.95}
    near = {"real": 0.1, "real+augmentation": 0.03}
    told, levels = found(accuracy, near)
    assert (told["best"], told["cheapest"]) == ("add", "real+augmentation")
    assert (
        "cannot tell from the best is real+augmentation (88.0%; augmentation)" in told["sentence"]
    )
    assert "add@50" not in told["accuracies"]
    assert levels == pytest.approx([0.975, 0.975])  # They cover together.
    assert found(accuracy, {"real": 0.3, "real+augmentation": 0.03})[0]["cheapest"] == "real"
    sure, _ = found(accuracy, {"real": 0.1, "real+augmentation": 0.01})
    assert sure["cheapest"] == "add" and "also the cheapest of those as good" in sure["sentence"]


def test_without_an_interval_nothing_is_as_good() -> None:
    told, _ = found({"real": 0.89, "add": 0.9}, {})
    assert told["cheapest"] == "add"


def test_of_equal_arms_the_cheaper_is_the_best_one() -> None:
    told, _ = found({"add": 0.9, "real": 0.9}, {"add": 0.1})
    assert told["best"] == told["cheapest"] == "real"


def test_one_arm_has_no_ladder() -> None:
    assert found({"real": 0.9, "real@5": 0.8}, {})[0] is None
