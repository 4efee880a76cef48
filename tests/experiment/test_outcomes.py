"""Outcomes as one number an image: their means, and what an image adds."""

import numpy as np
import pytest

from jaxgan.experiment import outcomes
from jaxgan.experiment.outcomes import OUTCOMES
from jaxgan.types import InputError

CLASSES = ("cat", "dog", "eel")


def made(seed=0, seeds=3, sizes=(50, 70)):
    """Of two folds: probabilities and labels, with classes of different sizes."""
    rng = np.random.default_rng(seed)
    labels = [rng.choice(3, n, p=(0.6, 0.3, 0.1)) for n in sizes]
    p = [
        rng.dirichlet((1, 1, 1), (seeds, len(y))) * 0.5 + 0.5 * np.eye(3)[y] * rng.random()
        for y in labels
    ]
    return [of / of.sum(-1, keepdims=True) for of in p], labels


def scores(matrix):
    """Balanced accuracy and macro-F1 of a confusion matrix, from precision and recall."""
    recall = [matrix[i, i] / matrix[i].sum() for i in range(len(matrix))]
    precision = [matrix[i, i] / matrix[:, i].sum() for i in range(len(matrix))]
    f1 = [2 * p * r / (p + r) for p, r in zip(precision, recall, strict=True)]
    return {"balanced_accuracy": np.mean(recall), "macro_f1": np.mean(f1)}


def confusion(p, labels, weights=None):
    """[3, 3], of all folds; an image's weight is 1."""
    matrix = np.zeros((3, 3))
    for k, (one, y) in enumerate(zip(p, labels, strict=True)):
        for of in one:
            for i, (row, label) in enumerate(zip(of, y, strict=True)):
                weight = 1 if weights is None else weights[k][i]
                matrix[label, row.argmax()] += weight / len(one)
    return matrix


def mean(tables):
    return np.concatenate([of.mean(0) for of in tables]).mean()


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1"])
def test_pseudo_values_have_the_outcome_as_their_mean(name) -> None:
    p, labels = made()
    tables = OUTCOMES[name].values(p, labels)
    assert [t.shape for t in tables] == [of.shape[:2] for of in p]
    assert mean(tables) == pytest.approx(scores(confusion(p, labels))[name])


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1"])
def test_a_pseudo_value_is_the_derivative_by_the_images_weight(name) -> None:
    """The outcome with one image weighed 1 + e, against the weights' share of all."""
    p, labels = made(1, sizes=(20, 25))
    tables, whole = OUTCOMES[name].values(p, labels), scores(confusion(p, labels))[name]
    n, step = 45, 1e-6
    for k, i in ((0, 0), (0, 7), (1, 3), (1, 24)):
        weights = [np.ones(20), np.ones(25)]
        weights[k][i] += step
        slope = (scores(confusion(p, labels, weights))[name] - whole) / step
        assert tables[k][:, i].mean() == pytest.approx(whole + n * slope, rel=1e-4)


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1"])
def test_where_classes_are_even_a_perfect_classifier_reaches_all(name) -> None:
    labels = [np.repeat([0, 1, 2], 10)]
    p = [np.eye(3)[labels[0]][None]]
    np.testing.assert_allclose(OUTCOMES[name].values(p, labels)[0], 1.0)


def test_balanced_accuracy_of_even_classes_is_accuracy() -> None:
    rng = np.random.default_rng(0)
    labels, p = [np.repeat([0, 1, 2], 20)], [rng.dirichlet((1, 1, 1), (4, 60))]
    balanced, plain = (OUTCOMES[n].values(p, labels) for n in ("balanced_accuracy", "accuracy"))
    np.testing.assert_allclose(balanced[0].mean(1).mean(), plain[0].mean())


def test_log_loss_and_brier_by_hand() -> None:
    p, labels = [np.array([[[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]]])], [np.array([0, 0])]
    np.testing.assert_allclose(
        OUTCOMES["log_loss"].values(p, labels)[0], [[np.log(0.5), np.log(1e-6)]]
    )
    np.testing.assert_allclose(
        OUTCOMES["brier"].values(p, labels)[0], [[-(0.25 + 2 / 16), -(1 + 0.25 + 0.25)]]
    )
    assert outcomes.beside("log_loss") == "brier"
    assert {outcomes.beside(n) for n in OUTCOMES if n != "log_loss"} == {"log_loss"}


@pytest.mark.parametrize("name", OUTCOMES)
def test_better_answers_are_worth_more_in_every_outcome(name) -> None:
    rng = np.random.default_rng(0)
    labels = [np.arange(60) % 3]
    good, bad = (
        [np.eye(3)[np.where(rng.random(60) < share, labels[0], (labels[0] + 1) % 3)][None]]
        for share in (0.9, 0.5)
    )
    assert mean(OUTCOMES[name].values(good, labels)) > mean(OUTCOMES[name].values(bad, labels))


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1"])
def test_an_outcome_that_a_class_leaves_undefined_is_refused(name) -> None:
    with pytest.raises(InputError, match=f"{name} needs test images of each class, and eel has no"):
        outcomes.check(name, np.array([0, 1, 1]), CLASSES)
    outcomes.check(name, np.array([0, 1, 2]), CLASSES)
    outcomes.check("accuracy", np.array([0]), CLASSES)
