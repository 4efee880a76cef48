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
