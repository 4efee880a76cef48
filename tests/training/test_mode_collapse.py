import numpy as np
import pytest

from jaxgan.training.mode_collapse import SATURATED, make_alarm, mean_distance


def test_the_mean_distance_is_that_of_all_pairs() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    x = images.astype(np.float64)
    by_hand = [np.sqrt(((x[i] - x[j]) ** 2).mean()) for i in range(5) for j in range(5) if i < j]
    assert mean_distance(images) == pytest.approx(np.mean(by_hand), rel=1e-9)
    assert mean_distance(np.repeat(images[:1], 4, 0)) == mean_distance(images[:1]) == 0


def diversity(*values: float) -> list[dict]:
    return [{"diversity": v} for v in values]


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ((0.0, 0.1, 0.3), False),  # It has not come up yet.
        ((0.1, 0.8, 0.9), False),
        ((0.1, 0.8, 0.35), True),
        ((0.1, 0.8, 0.35, 0.5), False),  # It has come back.
        ((0.4, 0.39), True),
        ((0.03, 0.025), False),
        ((0.03, 0.022), True),  # It never came up, and goes down.
    ],
)
def test_diversity_must_not_be_lost_again(values: tuple, wrong: bool) -> None:
    alarm = make_alarm(0.4, saturates=True)
    assert (alarm(diversity(*values)) is not None) == wrong
    # A row of losses after it changes nothing.
    assert (alarm([*diversity(*values), {"critic_loss": 1.0}]) is not None) == wrong


def accuracies(real: float, fake: float, rows: int) -> list[dict]:
    row = {"images_per_second": 1.0, "real_accuracy": real, "fake_accuracy": fake}
    return [row] * rows


def test_a_critic_that_is_never_wrong_is_saturated() -> None:
    alarm = make_alarm(0.4, saturates=True)
    assert alarm(accuracies(1.0, 1.0, SATURATED - 1)) is None
    assert "never wrong" in alarm(accuracies(1.0, 1.0, SATURATED))
    assert alarm(accuracies(1.0, 0.99, 1) + accuracies(1.0, 1.0, SATURATED - 1)) is None
    assert make_alarm(0.4, saturates=False)(accuracies(1.0, 1.0, SATURATED)) is None
