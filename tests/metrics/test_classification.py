import json

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxgan.data.toy.animals import ToySource
from jaxgan.metrics import classification

SOURCE = ToySource(8, count=7)


def brightness(variables, images):
    """A "classifier" by brightness, independent of its neighbours."""
    mean = jnp.asarray(images).astype(jnp.float32).mean((1, 2, 3)) / 255
    return jnp.log(jnp.stack([mean, 1 - mean], axis=1))


@pytest.mark.parametrize("batch_size", [1, 4, 14, 100])
def test_padding_changes_nothing(batch_size: int) -> None:
    images = np.stack([SOURCE[i]["image"] for i in range(14)])
    expected = np.asarray(brightness({}, images))
    got = classification.predict(brightness, {}, SOURCE, batch_size)
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    judged = classification.judge(brightness, {}, SOURCE, batch_size)
    assert judged["accuracy"] == pytest.approx((expected.argmax(1) == SOURCE.labels).mean())
    assert judged["loss"] == pytest.approx(-expected[np.arange(14), SOURCE.labels].mean(), rel=1e-5)


def test_summary_against_hand_counts() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    guesses = np.array([0, 0, 1, 1, 1, 0])
    summary = classification.summarise(np.log(np.eye(3)[guesses] + 1e-9), labels, ("a", "b", "c"))
    assert summary["accuracy"]["right"] == 4
    assert summary["per_class"]["a"]["value"] == pytest.approx(2 / 3)
    assert summary["confusion"] == {
        "a": {"a": 2, "b": 1, "c": 0},
        "b": {"a": 0, "b": 2, "c": 0},
        "c": {"a": 1, "b": 0, "c": 0},
    }
    expected = stats.binomtest(4, 6).proportion_ci(0.95, "wilson")
    assert summary["accuracy"]["low"] == pytest.approx(expected.low)
    text = classification.table(summary)
    assert "66.7%" in text and "6 images" in text


def test_thousands_of_classes_stay_readable() -> None:
    """The matrix holds what is not 0, the table names the worst; no figure is another."""
    rng = np.random.default_rng(0)
    classes = tuple(f"c{i:04}" for i in range(2000))
    labels = np.repeat(np.arange(2000), 5)
    guesses = np.where(rng.random(len(labels)) < 0.7, labels, rng.integers(0, 2000, len(labels)))
    log_p = np.full((len(labels), 2000), -9.0, np.float32)
    log_p[np.arange(len(labels)), guesses] = 0
    summary = classification.summarise(log_p, labels, classes)
    cells = [(a, b, n) for a, row in summary["confusion"].items() for b, n in row.items()]
    assert sum(n for *_, n in cells) == len(labels) and all(n for *_, n in cells)
    assert sum(n for a, b, n in cells if a == b) == (guesses == labels).sum()
    assert len(json.dumps(summary)) < 10**6
    lines = classification.table(summary).splitlines()
    assert len(lines) < 80 and max(map(len, lines)) < 100
    worst = min(one["value"] for one in summary["per_class"].values())
    assert f"{worst:.1%}" in lines[2] and "1,960 more classes" in "".join(lines)
    assert sum("taken for" in line for line in lines) == classification.COLUMNS
