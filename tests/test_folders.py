"""Generated pictures beside real ones, from folders; seen by a stand-in for VGG16's weights."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgan.metrics import features, folders
from jaxgan.metrics.features import Features
from jaxgan.types import InputError


@pytest.fixture(autouse=True)
def no_weights_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 x 8 means of each channel instead of VGG16's features."""

    def means(weights, images):
        x = images.astype(jnp.float32) / 255
        return x.reshape(len(x), 8, 4, 8, 4, 3).mean((2, 4)).reshape(len(x), -1)

    def stand_in(size: int) -> Features:
        return Features("means", 192, size, "none", means, {}, "")

    monkeypatch.setattr(features, "vgg16", stand_in)


def pictures(
    folder: Path, seeds: range, size: int = 32, noise: float = 0.0, light: float = 1.0
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        image = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC), np.float32)
        image = light * image + noise * np.random.default_rng(seed + 10_000).normal(
            size=image.shape
        )
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"{seed}.png")
    return folder


def test_all_figures_have_a_value_inside_an_interval(tmp_path: Path) -> None:
    real, fake = pictures(tmp_path / "a", range(80)), pictures(tmp_path / "b", range(100, 190))
    train = pictures(tmp_path / "c", range(200, 290))
    result, pairs = folders.evaluate(str(real), str(fake), str(train))
    assert set(result["metrics"]) == {
        *("frechet", "kid", "precision", "recall", "density", "coverage", "copies")
    }
    for found in result["metrics"].values():
        assert found["low"] <= found["value"] <= found["high"]
    assert result["metrics"]["copies"]["exact"] and result["metrics"]["copies"]["p"] > 0.01
    assert result["sets"]["fake"]["pictures"] == 90 and result["resolution"] == 32
    assert json.loads(json.dumps(result)) == result
    assert result == folders.evaluate(str(real), str(fake), str(train))[0]
    text, page = folders.table(result), folders.html(result, pairs)
    assert "Fréchet distance (MEANS)" in text and "depends on their number" in text
    assert len(pairs) == 32 and page.count("data:image/png") == 32


def test_copies_are_found_and_held_out_copies_left_out(tmp_path: Path) -> None:
    train = pictures(tmp_path / "train", range(90))
    real = pictures(tmp_path / "real", range(100, 190))
    pictures(real, range(5), noise=2.0)  # Of training pictures, encoded anew.
    fake = pictures(tmp_path / "fake", range(200, 280))
    pictures(fake, range(20, 30), noise=2.0)
    result, pairs = folders.evaluate(str(real), str(fake), str(train))
    copies = result["metrics"]["copies"]
    assert copies["left_out"] == 5 and copies["held_out"] == 90
    assert copies["p"] < 0.01 and copies["value"] == pytest.approx(10 / 90)
    assert [Path(p.fake).name == Path(p.train).name for p in pairs[:10]] == [True] * 10


def test_worse_pictures_are_farther(tmp_path: Path) -> None:
    real = pictures(tmp_path / "a", range(80))
    values = []
    for light in (1.0, 0.7, 0.4):
        fake = pictures(tmp_path / f"b{light}", range(100, 180), light=light)
        values.append(folders.evaluate(str(real), str(fake))[0]["metrics"])
    for name in ("frechet", "kid"):
        assert values[0][name]["value"] < values[1][name]["value"] < values[2][name]["value"]
    assert values[0]["coverage"]["value"] > values[2]["coverage"]["value"]


def test_what_cannot_be_compared_is_one_sentence(tmp_path: Path) -> None:
    real = pictures(tmp_path / "real", range(30))
    large = pictures(tmp_path / "large", range(50, 80), size=64)
    same = pictures(tmp_path / "same", range(29, 60))
    inside = pictures(real / "inside", range(90, 99))
    for fake, rule in (
        (real, "must differ, and both are"),
        (inside, "must not lie in each other"),
        (tmp_path / "none", "must be a folder of pictures"),
        (
            large,
            "one size in all folders, else give --resolution: 32 px in --real, 64",
        ),
    ):
        with pytest.raises(InputError, match=rule):
            folders.evaluate(str(real), str(fake))
    with pytest.raises(InputError, match="1 of --fake are in --real, pixel by pixel, like 29"):
        folders.evaluate(str(pictures(tmp_path / "plain", range(30))), str(same))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has none that can be read"):
        folders.evaluate(str(real), str(tmp_path / "empty"))
    one = pictures(tmp_path / "one", range(500, 501))
    with pytest.raises(InputError, match="two pictures or more on each side, got 1"):
        folders.evaluate(str(pictures(tmp_path / "p", range(30))), str(one))
