"""Worse pictures are farther, by the metrics that should say so; on drawn cats, by the light
descriptor, and on features in clusters. benchmarks/metrics.py does it on photographs."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from jaxgan.data.outliers import descriptor
from jaxgan.data.toy.animals import ToySource
from jaxgan.metrics import intervals

COUNT = 100


def blurred(image: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def noisy(image: np.ndarray, deviation: float) -> np.ndarray:
    noise = np.random.default_rng(int(image.sum())).normal(0, deviation, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def encoded(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.fixture(scope="module")
def cats() -> tuple[list, list]:
    source = ToySource(32, count=2 * COUNT, classes=("cat",))
    images = [source[i]["image"] for i in range(2 * COUNT)]
    return images[:COUNT], images[COUNT:]


@pytest.mark.parametrize(
    ("change", "strengths"),
    [(blurred, (0.5, 1.0, 2.0)), (noisy, (5, 15, 40)), (encoded, (10, 5, 2))],
)
def test_worse_pictures_are_farther_and_fewer_lie_among_the_real_ones(
    cats: tuple, change, strengths: tuple
) -> None:
    """Both distances rise; precision and density fall."""
    real, fake = (np.stack([descriptor(image) for image in side]) for side in cats)
    mean, std = real.mean(axis=0), real.std(axis=0) + 1e-6
    seen = [fake]
    seen += [np.stack([descriptor(change(image, s)) for image in cats[1]]) for s in strengths]
    found = [intervals.values((real - mean) / std, (x - mean) / std) for x in seen]
    for name, sign in (("frechet", 1), ("kid", 1), ("precision", -1), ("density", -1)):
        curve = sign * np.array([each[name] for each in found])
        assert (np.diff(curve) >= 0).all() and curve[-1] > curve[0], (name, curve)


def test_lost_modes_are_seen_by_recall_and_coverage_not_by_precision() -> None:
    rng = np.random.default_rng(0)
    modes = 2 * rng.normal(size=(20, 16))

    def draw(kept: int) -> np.ndarray:
        rows = modes[rng.integers(kept, size=400)] + rng.normal(size=(400, 16))
        return rows.astype(np.float32)

    real = draw(20)
    found = [intervals.values(real, draw(kept)) for kept in (20, 10, 4, 2)]
    for name, sign in (("frechet", 1), ("kid", 1), ("recall", -1), ("coverage", -1)):
        curve = sign * np.array([each[name] for each in found])
        assert (np.diff(curve) > 0).all(), (name, curve)
    assert all(each["precision"] > found[0]["precision"] - 0.05 for each in found)


def test_values_are_those_with_intervals() -> None:
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(60, 5)), rng.normal(size=(50, 5))
    both = intervals.compare(real, fake), intervals.values(real, fake)
    assert both[1] == {name: pytest.approx(about["value"]) for name, about in both[0].items()}
    assert list(both[1]) == list(intervals.NAMES)
    assert set(intervals.compare(real, fake, names=("kid", "recall"))) == {"kid", "recall"}
