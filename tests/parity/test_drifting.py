"""The drift against a plain PyTorch writing of the paper's algorithm 2 and appendix A.6."""

import numpy as np
import pytest
import torch

from jaxgan.steps.drifting import drift


def theirs(generated: torch.Tensor, real: torch.Tensor, temperatures: tuple[float, ...]):
    """One vector after the other, as the equations have it."""
    size = generated.shape[1]
    mean = torch.cdist(generated, real).mean()
    unit = mean / size**0.5  # Eq. 21.
    x, y = generated / unit, real / unit
    targets = torch.cat([y, x])
    total = torch.zeros_like(x)
    for temperature in temperatures:
        reach = temperature * size**0.5  # Eq. 22.
        kernel = torch.zeros(len(x), len(targets), dtype=x.dtype)
        for i in range(len(x)):
            for j in range(len(targets)):
                if j != len(y) + i:
                    kernel[i, j] = torch.exp(-torch.linalg.norm(x[i] - targets[j]) / reach)
        rows, columns = kernel.sum(1, keepdim=True), kernel.sum(0, keepdim=True)
        affinity = kernel / (rows * columns).sqrt()
        field = torch.zeros_like(x)
        for i in range(len(x)):
            attracts, repels = affinity[i, : len(y)], affinity[i, len(y) :]
            for j in range(len(y)):
                field[i] += repels.sum() * attracts[j] * y[j]
            for j in range(len(x)):
                field[i] -= attracts.sum() * repels[j] * x[j]
        total += field / (field**2).mean().sqrt()  # Eq. 24, 25.
    return x + total


@pytest.mark.parametrize("temperatures", [(0.2,), (0.02, 0.05, 0.2)])
def test_drift_is_that_of_the_equations(temperatures):
    rng = np.random.default_rng(0)
    generated, real = rng.normal(0, 1, (6, 5)), rng.normal(1, 2, (9, 5))
    expected = theirs(torch.tensor(generated), torch.tensor(real), temperatures)
    target, _ = drift(generated.astype(np.float32), real.astype(np.float32), temperatures)
    np.testing.assert_allclose(target, expected.numpy(), rtol=1e-3, atol=1e-3)
