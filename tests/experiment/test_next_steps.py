"""What next, for every verdict."""

import math
import shlex

import pytest

from jaxgan.experiment import next_steps

COMMAND = "scripts/experiment.py --config configs/quickstart.py --config.data.path='my cats'"


def looks(*losses):
    return [
        {"step": 100 * (i + 1), "loss": loss, "accuracy": 1 - loss} for i, loss in enumerate(losses)
    ]


def results(word="no evidence", *, low=-0.02, high=0.03, curve=(0.5, 0.4, 0.4, 0.4), **changes):
    verdict = {
        "word": word, "primary": ["add", "real"], "difference": 0.005, "low": low, "high": high,
        "outcome": "accuracy", "width": None, "seeds": 3, "images": 200, "folds": 1, "level": 0.95,
        "elsewhere": None,
        "power": {"observed": {"seed": 0.0, "picture": 0.05, "rest": 0.05}},
    }  # fmt: skip
    counts = {part: {"cat": n, "dog": n} for part, n in (("train", 250), ("test", 100))}
    return {
        "verdict": verdict | changes,
        "arms": {"real": {}, "add": {}},
        "runs": [
            {"arm": arm, "steps": 400, "curve": {"validation": looks(*curve)}}
            for arm in ("real", "add")
            for _ in range(3)
        ],
        "guards": [{"name": "leakage", "passed": True}, {"name": "start", "passed": None}],
        "ladder": {"best": "add", "cheapest": "real", "sentence": ""},
        "data": {"counts": counts, "folds": 1},
        "classes": ["cat", "dog"],
        "seconds": {"classify": 300.0, "total": 600.0},
        "environment": {"command": COMMAND + " --workdir=runs/one --budget 10m"},
    }


def flags(step):
    return shlex.split(step["command"])


def test_helps_names_the_cheaper_arm_and_how_to_learn_more() -> None:
    given = results("helps", low=0.01)
    given["ladder"]["cheapest"] = "real+augmentation"
    cheaper, use, elsewhere = next_steps.what_next(given)
    assert "real+augmentation costs less" in cheaper["sentence"]
    assert use["sentence"].startswith("Use add: ") and "classifiers/add" in use["sentence"]
    assert "--config.data.folds=5" in flags(elsewhere)
    told = next_steps.what_next(results("helps", low=0.01, elsewhere={"low": 0.0, "high": 1.0}))
    assert not any("command" in step for step in told)
    assert not any("costs less" in step["sentence"] for step in told), "add is better than real"


def test_hurts() -> None:
    first, *_ = next_steps.what_next(results("hurts", low=-0.1, high=-0.01))
    assert first["sentence"] == "Use real, and not add."


@pytest.mark.parametrize("word", ["no evidence", "no relevant difference"])
def test_no_difference_says_how_much_there_may_be(word) -> None:
    first, second = next_steps.what_next(results(word))
    assert "by no more than 3.0 points" in first["sentence"]
    assert second["sentence"] == "Use real."


def test_of_arms_that_cost_nothing_the_most_accurate_is_named() -> None:
    given = results("no evidence")
    given["ladder"]["accuracies"] = {"real": 0.92, "real+augmentation": 0.95, "add": 0.96}
    assert next_steps.what_next(given)[-1]["sentence"] == "Use real+augmentation."
    given["ladder"]["cheapest"] = "pca"
    assert next_steps.what_next(given)[-1]["sentence"] == "Use pca."


def test_unequal_classes_are_pointed_at() -> None:
    given = results("no evidence")
    given["data"]["counts"]["train"] = {"cat": 144, "dog": 54}
    first, *_ = next_steps.what_next(given)
    assert "144 images of cat" in first["sentence"] and "balanced_accuracy" in first["sentence"]
    given["verdict"]["outcome"] = "macro_f1"
    assert "images of cat" not in next_steps.what_next(given)[0]["sentence"]


def test_noisy_for_its_seeds_asks_for_more_in_the_same_folder() -> None:
    given = results("too noisy to tell", low=-0.06, high=0.07)
    given["verdict"]["power"] = {"observed": {"seed": 0.001, "picture": 0.02, "rest": 0.02}}
    given["environment"] = {"command": COMMAND + " --workdir=runs/one"}
    (step,) = next_steps.what_next(given)
    (seeds,) = [f for f in flags(step) if f.startswith("--config.seeds=")]
    assert int(seeds.partition("=")[2]) > 3 and "nothing is trained again" in step["sentence"]
    assert "--workdir=runs/one" in flags(step) and "--config.data.path=my cats" in flags(step)
    assert flags(step)[:2] == ["python", "scripts/experiment.py"]
    verb = "jaxgan experiment --config=quickstart '--config.data.path=my cats' --workdir=runs/one"
    given["environment"] = {"command": verb}
    (step,) = next_steps.what_next(given)
    assert step["command"].startswith(
        "jaxgan experiment 'my cats' --workdir=runs/one --config.seeds"
    )


def test_noisy_for_its_test_images_asks_for_folds_elsewhere() -> None:
    given = results("too noisy to tell", low=-0.1, high=0.1)
    given["verdict"]["power"] = {"observed": {"seed": 0.0, "picture": 0.5, "rest": 0.1}}
    (step,) = next_steps.what_next(given)
    assert "200 test images are too few" in step["sentence"]
    assert "each of 700 images" in step["sentence"]
    assert "--config.data.folds=5" in flags(step) and "--workdir=runs/one" not in flags(step)
    given["data"]["folds"] = given["verdict"]["folds"] = 4
    (step,) = next_steps.what_next(given)
    assert "There are too few images" in step["sentence"] and "command" not in step


def test_one_seed_asks_for_three() -> None:
    given = results("too noisy to tell", low=None, high=None, seeds=1, power={"observed": None})
    (step,) = next_steps.what_next(given)
    # Begun with a budget, it refuses other seeds: more time adds them.
    assert "--budget=14m" in flags(step) and "--workdir=runs/one" in flags(step)
    assert "10m" not in flags(step) and "--config.seeds" not in step["command"]
    given["environment"] = {"command": COMMAND + " --workdir=runs/one"}
    (step,) = next_steps.what_next(given)
    assert "--config.seeds=3" in flags(step)


def test_failed_checks_come_first_and_without_a_difference_nothing_else_is_said() -> None:
    given = results(difference=None)
    given["guards"][0]["passed"] = False
    first, second = next_steps.what_next(given)
    assert first["sentence"] == "Read first why the check leakage failed."
    assert "same command again" in second["sentence"]


def test_classifiers_that_still_learn_are_given_twice_the_steps() -> None:
    given = results(curve=(0.9, 0.8, 0.6, 0.4))
    assert next_steps.unfinished(given) == ["real", "add"]
    step = next_steps.what_next(given)[0]
    assert "real, add were still getting better" in step["sentence"]
    assert "--config.classifier.train.steps=800" in flags(step)
    assert "NEW" in flags(step) and "--workdir=runs/one" not in flags(step)
    # Begun with a budget, it gets twice the time that it took.
    took = math.ceil(2 * given["seconds"]["total"] / 60) + 1
    assert f"--budget={took}m" in flags(step) and "10m" not in flags(step)


@pytest.mark.parametrize(
    "curve", [(0.4, 0.4, 0.4, 0.4), (0.2, 0.3, 0.4, 0.5), (0.9, 0.5, 0.405, 0.4), (0.9, 0.4)]
)
def test_classifiers_that_have_converged_are_left_alone(curve) -> None:
    assert next_steps.unfinished(results(curve=curve)) == []


def test_one_run_that_still_learns_is_chance() -> None:
    given = results()
    given["runs"][0]["curve"]["validation"] = looks(0.9, 0.8, 0.6, 0.4)
    assert next_steps.unfinished(given) == []


def test_without_a_known_command_there_is_none() -> None:
    for environment in ({}, {"command": ""}, {"command": "pytest"}, None):
        given = results("helps", low=0.01) | {"environment": environment}
        assert not any("command" in step for step in next_steps.what_next(given))
