import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgan.data.channel_stats import moments, sums
from jaxgan.data.toy.animals import ToySource


def test_equals_numpy_over_all_pixels() -> None:
    source = ToySource(16, count=35)
    pixels = np.stack([source[i]["image"] for i in range(len(source))]).reshape(-1, 3) / 255
    mean, std = moments(source)
    assert mean == pytest.approx(pixels.mean(0).tolist(), rel=1e-9)
    assert std == pytest.approx(pixels.std(0).tolist(), rel=1e-9)


@given(st.integers(0, 2**32), st.sampled_from([(1, 1), (3, 8), (33, 258), (2, 259)]))
def test_sums_equal_those_of_whole_numbers(seed: int, size: tuple[int, int]) -> None:
    pictures = np.random.default_rng(seed).integers(0, 256, (2, *size, 3), np.uint8)
    whole = pictures.astype(object)  # Python's integers.
    expected = np.stack([whole.sum(axis=(1, 2)), (whole**2).sum(axis=(1, 2))], axis=1)
    assert sums(pictures).tolist() == expected.tolist()


@pytest.mark.parametrize("side", [256, 258, 260, 1024])
def test_sums_of_a_white_square_are_exact(side: int) -> None:
    """The largest there are: at 258 px a row's squares are the last that float32 holds."""
    white = np.full((1, side, side, 3), 255, np.uint8)
    assert sums(white).tolist() == [[[255 * side**2] * 3, [255**2 * side**2] * 3]]
