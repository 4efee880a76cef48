import numpy as np
import pytest

from jaxgan.data.moments import moments
from jaxgan.data.toy import ToySource


def test_equals_numpy_over_all_pixels() -> None:
    source = ToySource(16, count=35)  # More than a batch of 64, and not a multiple of it.
    pixels = np.stack([source[i]["image"] for i in range(len(source))]).reshape(-1, 3) / 255
    mean, std = moments(source)
    assert mean == pytest.approx(pixels.mean(0).tolist(), rel=1e-9)
    assert std == pytest.approx(pixels.std(0).tolist(), rel=1e-9)
