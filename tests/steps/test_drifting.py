"""Drifting: vectors move to real ones that are near, and away from each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models import backbones
from jaxgan.models.feature_sets import make_feature_sets
from jaxgan.steps.drifting import drift, drifting_loss

TEMPERATURES = (0.02, 0.05, 0.2)


def vectors(seed: int, count: int, size: int = 3, at: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(at, 1, (count, size)).astype(np.float32)


def test_generated_vectors_move_towards_real_ones():
    generated, real = vectors(0, 8), vectors(1, 32, at=9.0)
    target, scale = drift(generated, real, TEMPERATURES)
    towards = real.mean(axis=0) - generated
    assert ((target - scale * generated) * towards).sum(axis=1).min() > 0


def test_two_that_are_near_each_other_move_apart():
    generated = np.array([[0.0, 0.1], [0.0, -0.1]], np.float32)
    real = np.array([[8.0, 0.0], [-8.0, 0.0]], np.float32)  # As far from the one as the other.
    target, scale = drift(generated, real, TEMPERATURES)
    assert np.abs(np.diff(target[:, 1])) > np.abs(np.diff(scale * generated[:, 1]))


def test_nothing_drifts_where_both_have_the_same_distribution():
    """The mean over all: each drift is scaled to unit mean square, and so points somewhere."""

    def mean_drift(generated: np.ndarray) -> float:
        target, scale = drift(generated, vectors(1, 512), (0.05,))
        return float(np.linalg.norm((target - scale * generated).mean(axis=0)))

    assert mean_drift(vectors(2, 512)) < 0.2 * mean_drift(vectors(2, 512, at=1.0))


def test_the_scale_of_features_does_not_matter():
    generated, real = vectors(0, 8), vectors(1, 16, at=2.0)
    target, _ = drift(generated, real, TEMPERATURES)
    larger, _ = drift(1000 * generated, 1000 * real, TEMPERATURES)
    np.testing.assert_allclose(larger, target, rtol=1e-3, atol=1e-3)


def test_the_losss_gradient_moves_vectors_along_their_drift():
    generated, real = vectors(0, 8), vectors(1, 16, at=2.0)
    grad = jax.grad(
        lambda x: drifting_loss([x[:, None]], [jnp.asarray(real)[:, None]], TEMPERATURES)
    )(jnp.asarray(generated))
    target, scale = drift(generated, real, TEMPERATURES)
    expected = -2 * scale * (target - scale * generated) / generated.size
    np.testing.assert_allclose(grad, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [16, 32])
def test_sets_tell_of_texture_that_a_smaller_copy_does_not_show(size):
    sets = make_feature_sets(backbones.make("random"), size)
    flat = jnp.zeros((1, 32, 32, 3))
    board = flat + 0.5 * jnp.where((jnp.indices((32, 32)).sum(axis=0) % 2)[None, :, :, None], 1, -1)
    apart = [float(jnp.abs(a - b).max()) for a, b in zip(sets(flat), sets(board), strict=True)]
    assert apart[-1] > 0.1  # Of the images as they are.
    assert size == 32 or max(apart[:3]) < 0.01 * apart[-1]  # Of levels of the copy.


def test_classes_drift_each_by_itself():
    """Directions are those of a class alone; their scale is common to all."""
    at = (0.0, 6.0)
    generated = [vectors(seed, 4, at=x) for seed, x in enumerate(at)]
    real = [vectors(seed + 2, 8, at=x) for seed, x in enumerate(at)]
    classes = tuple(jnp.repeat(jnp.arange(2), n) for n in (4, 8))
    for temperature in TEMPERATURES:
        target, scale = drift(
            np.concatenate(generated), np.concatenate(real), (temperature,), classes
        )
        moved = np.split(target - scale * np.concatenate(generated), 2)
        for own, others, found in zip(generated, real, moved, strict=True):
            # The class's own mean distance is another: the same temperature in units of pixels.
            mean = np.linalg.norm(own[:, None] - others[None], axis=2).mean()
            mine = temperature * np.sqrt(own.shape[1]) / float(scale) / mean
            alone, unit = drift(own, others, (float(mine),))
            expected = alone - unit * own
            cosine = (expected * found).sum() / np.linalg.norm(expected) / np.linalg.norm(found)
            assert cosine == pytest.approx(1, abs=1e-3)


def test_one_class_of_several_drifts_as_without_classes():
    generated, real = vectors(0, 8), vectors(1, 16, at=2.0)
    expected = drift(generated, real, TEMPERATURES)
    found = drift(generated, real, TEMPERATURES, (jnp.ones(8, int), jnp.ones(16, int)))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
