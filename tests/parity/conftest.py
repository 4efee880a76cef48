"""Float64 convolutions are plain loops on a CPU: here the compiler's work pays."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxgan import prng

jax.config.update("jax_disable_most_optimizations", False)
sys.path.insert(0, str(Path(__file__).parent))  # For `plain`: test files are no package.


@pytest.fixture
def fixed_draws(monkeypatch):
    """JAX draws the numbers that PyTorch does: of each shape the same, whatever the key."""
    import plain

    def fixed(draw):
        return lambda key, shape, axis_name=None: jnp.array(draw(shape))

    monkeypatch.setattr(prng, "uniform", fixed(plain.uniform))
    monkeypatch.setattr(prng, "normal", fixed(plain.normal))


@pytest.fixture
def quick_compiler():
    """For nets so small that compiling takes longer than running."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
