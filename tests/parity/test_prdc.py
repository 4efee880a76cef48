"""Precision, recall, density and coverage equal those of their authors' package."""

import numpy as np
import pytest
from prdc import compute_prdc

from jaxgan.metrics.prdc import prdc


@pytest.mark.parametrize("neighbours", [1, 5])
@pytest.mark.parametrize(("n", "m", "shift"), [(500, 400, 0.0), (300, 600, 0.4), (50, 60, 3.0)])
def test_equals_the_authors(n: int, m: int, shift: float, neighbours: int) -> None:
    rng = np.random.default_rng(n)
    real = rng.normal(size=(n, 16)).astype(np.float32)
    fake = (shift + rng.normal(size=(m, 16))).astype(np.float32)
    theirs = compute_prdc(real.astype(np.float64), fake.astype(np.float64), neighbours)
    ours = prdc(real, fake, neighbours)._asdict()
    assert ours == {name: pytest.approx(float(value), abs=1e-12) for name, value in theirs.items()}
