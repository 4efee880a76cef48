"""Strange pictures: found among clusters, whatever their copies do, by any features."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxgan.data import outliers
from jaxgan.data.outliers import descriptor, strangeness
from jaxgan.data.toy.animals import ToySource


def clusters(rng, n=600, d=20):
    """Three clusters of different sizes and widths, far apart."""
    centres = 8 * rng.standard_normal((3, d))
    which = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    widths = np.array([1.0, 1.5, 1.2])[which, None]
    return (20 + centres[which] + widths * rng.standard_normal((n, d))).astype(np.float32)


def zeros(n):
    return np.zeros(n, np.int32)


@pytest.mark.parametrize("seed", range(3))
def test_what_lies_between_clusters_is_stranger_than_all_in_them(seed):
    rng = np.random.default_rng(seed)
    near = clusters(rng)
    between = near.mean(axis=0) + 0.5 * rng.standard_normal((10, 20))
    features = np.concatenate([near, between.astype(np.float32)])
    scores = strangeness(features, zeros(len(features)))
    assert scores.dtype == np.float64 and np.isfinite(scores).all()
    assert set(np.argsort(-scores)[:10]) == set(range(600, 610))
    assert abs(np.median(scores)) < 1


def test_little_of_everything_in_other_proportions_is_strange():
    """What blanks and noise are to a network: near all others, in another direction."""
    rng = np.random.default_rng(0)
    usual = rng.gamma(2, 1, (500, 40)) * rng.uniform(0, 2, 40)
    odd = 0.2 * rng.gamma(2, 1, (5, 40)) * rng.uniform(0, 2, 40)
    features = np.concatenate([usual, odd]).astype(np.float32)
    assert set(np.argsort(-strangeness(features, zeros(505)))[:5]) == set(range(500, 505))


@pytest.mark.parametrize("copies", [1, 30, 200])
def test_copies_do_not_hide_each_other(copies):
    rng = np.random.default_rng(0)
    strange = 10 * rng.standard_normal(20) + 20
    features = np.concatenate([clusters(rng), np.tile(strange, (copies, 1))]).astype(np.float32)
    groups = np.concatenate([np.arange(600), np.full(copies, 600)])
    scores = strangeness(features, zeros(len(features)), groups)
    assert set(np.argsort(-scores)[:copies]) == set(range(600, 600 + copies))
    once = strangeness(features[:601], zeros(601), groups[:601])
    np.testing.assert_allclose(scores[:601], once, rtol=1e-3, atol=1e-3)  # They weigh nothing.
    np.testing.assert_allclose(scores[600:], once[600], rtol=1e-3)


def test_a_tight_cluster_that_nobody_grouped_does_not_hide_itself():
    rng = np.random.default_rng(0)
    strange = 10 * rng.standard_normal(20) + 20 + 0.01 * rng.standard_normal((30, 20))
    features = np.concatenate([clusters(rng, 2000), strange]).astype(np.float32)
    assert (np.argsort(-strangeness(features, zeros(2030)))[:30] >= 2000).all()


def test_units_and_order_change_nothing():
    rng = np.random.default_rng(1)
    features, order = clusters(rng), rng.permutation(600)
    scores = strangeness(features, zeros(600))
    larger = strangeness(1000 * features, zeros(600))
    np.testing.assert_allclose(larger, scores, rtol=2e-3, atol=2e-3)
    again = strangeness(features[order], zeros(600))
    np.testing.assert_allclose(again, scores[order], rtol=2e-3, atol=2e-3)


def test_each_class_is_judged_by_itself():
    rng = np.random.default_rng(2)
    one, other = clusters(rng), 100 + 30 * clusters(rng)
    labels = np.arange(1200, dtype=np.int32) % 2
    features = np.empty((1200, 20), np.float32)
    features[0::2], features[1::2] = one, other
    scores = strangeness(features, labels)
    np.testing.assert_array_equal(scores[0::2], strangeness(one, zeros(600)))
    np.testing.assert_array_equal(scores[1::2], strangeness(other, zeros(600)))
    features[6] = other[0]  # Usual in the other class.
    assert strangeness(features, labels).argmax() == 6


def test_a_sample_of_the_class_serves_as_well_in_blocks(monkeypatch):
    rng = np.random.default_rng(3)
    features = np.concatenate([clusters(rng, 2000), 60 + clusters(rng, 20)])
    full = strangeness(features, zeros(2020))
    monkeypatch.setattr(outliers, "BLOCK", 37)
    np.testing.assert_allclose(strangeness(features, zeros(2020)), full, rtol=1e-3, atol=2e-3)
    monkeypatch.setattr(outliers, "REFERENCE", 400)
    sampled = strangeness(features, zeros(2020))
    assert (np.argsort(-sampled)[:20] >= 2000).all()
    assert np.corrcoef(sampled, full)[0, 1] > 0.9


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_pictures_have_no_strangeness(n):
    features = np.arange(4 * n, dtype=np.float32).reshape(n, 4)
    assert (strangeness(features, zeros(n)) == 0).all()
    assert (strangeness(np.ones((n, 4), np.float32), zeros(n)) == 0).all()


def test_equal_pictures_are_not_strange():
    assert (strangeness(np.ones((50, 4), np.float32), zeros(50)) == 0).all()
    assert (strangeness(np.zeros((50, 4), np.float32), zeros(50)) == 0).all()
    features = np.zeros((50, 4), np.float32)
    features[7] = 1
    scores = strangeness(features, zeros(50))
    assert np.isfinite(scores).all() and scores.argmax() == 7


def test_features_that_are_not_finite_are_named():
    features = np.zeros((50, 4), np.float32)
    features[17, 2] = np.nan
    with pytest.raises(ValueError, match="features must be finite, those of image 17 are not"):
        strangeness(features, zeros(50))


def test_features_may_lie_in_a_file(tmp_path):
    features = clusters(np.random.default_rng(0))
    np.save(tmp_path / "f.npy", features)
    mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        strangeness(mapped, zeros(600)), strangeness(features, zeros(600))
    )


def drawn(count=400):
    source = ToySource(64, count=count // 2)
    return np.stack([source[i]["image"] for i in range(len(source))])


def test_a_descriptor_says_what_it_measures():
    flat = descriptor(np.full((64, 64, 3), (200, 100, 50), np.uint8))
    gray = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    np.testing.assert_allclose(64 * flat[:3], [gray, 100, 100], rtol=1e-4)
    np.testing.assert_allclose(flat[3:], 0, atol=0.02)
    # Gray 2x per column: every step right is 2, at half the size 4; none goes down.
    ramp = np.repeat(np.tile(2 * np.arange(64, dtype=np.uint8), (64, 1))[:, :, None], 3, axis=2)
    found = np.expm1(descriptor(ramp)[3:])
    np.testing.assert_allclose(found[0:8:2], [1, 2, 4, 8], rtol=1e-4)  # Half of the steps are 0.
    np.testing.assert_allclose(found[1:8:2], np.sqrt([2, 8, 32, 128]), rtol=1e-4)
    np.testing.assert_allclose(found[8], 2 * np.arange(64).std(), rtol=1e-4)
    np.testing.assert_allclose(found[9:11], 0, atol=1e-3)
    np.testing.assert_allclose(found[11:], 2 * np.abs(np.cos(np.pi * np.arange(8) / 8)), atol=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (128, 128), (100, 150), (20, 30), (1, 1), (3, 700)])
def test_a_descriptor_of_any_size(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = descriptor(image)
    assert found.shape == (22,) and found.dtype == np.float32 and np.isfinite(found).all()


def test_a_picture_enlarged_in_blocks_keeps_its_descriptor():
    for image in drawn(8):
        large = image.repeat(4, axis=0).repeat(4, axis=1)
        np.testing.assert_allclose(descriptor(large), descriptor(image), rtol=1e-4, atol=1e-4)


def test_a_descriptor_finds_what_is_no_picture_of_the_kind():
    rng = np.random.default_rng(0)
    usual = drawn()
    blanks = np.broadcast_to(rng.integers(0, 256, (5, 1, 1, 3), np.uint8), (5, 64, 64, 3))
    noise = rng.integers(0, 256, (5, 64, 64, 3), np.uint8)
    small = [Image.fromarray(image).resize((6, 6), Image.Resampling.BOX) for image in usual[:5]]
    blurred = [np.asarray(im.resize((64, 64), Image.Resampling.BICUBIC)) for im in small]
    features = np.stack([descriptor(x) for x in [*usual, *blanks, *noise, *blurred]])
    order = np.argsort(-strangeness(features, zeros(len(features))))
    assert set(order[:15]) == set(range(400, 415))


def test_no_jax_in_a_worker_that_describes():
    code = "import sys, jaxgan.data.outliers; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
