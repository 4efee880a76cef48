"""Generated pictures beside real ones, from folders; seen by a stand-in for VGG16's weights."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgan.evaluation import folders, report
from jaxgan.metrics import features, intervals, networks
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
    text, page = report.table(result), report.page(result, pairs)
    assert "Fréchet distance (means)" in text and "depends on their number" in text
    assert len(pairs) == 32 and page.count('src="data:image/png') == 32
    view, names = report.view(result, pairs), ["Precision", "Recall", "Coverage", "Copies"]
    assert [row.label for row in view["figure"].rows] == names
    assert len(view["measures"].rows) == 7 and "Floor" in view["measures"].head
    lines = report.markdown(result).splitlines()
    assert sum(line.startswith("| ") for line in lines) == 2 + 7
    assert any(line.startswith("| kernel distance × 1000 |") for line in lines)


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
        (tmp_path / "none", "must be a folder of images"),
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
    with pytest.raises(InputError, match=r"frechet needs 4 images in --fake .*, got 1"):
        folders.evaluate(str(pictures(tmp_path / "p", range(30))), str(one))
    with pytest.raises(InputError, match=r"kid needs 20 images in --real .*, got 1"):
        folders.evaluate(str(one), str(tmp_path / "p"), metrics=["kid"])


def test_what_is_the_same_is_told(tmp_path: Path) -> None:
    real, fake = pictures(tmp_path / "a", range(30)), pictures(tmp_path / "b", range(30, 60))
    same = pictures(tmp_path / "c", range(30))
    with pytest.raises(InputError, match=r"must hold 20 images that are not in --train.*, got 0"):
        folders.evaluate(str(real), str(fake), str(same))
    with pytest.raises(InputError, match="30 of --fake are in --real, pixel by pixel"):
        folders.evaluate(str(real), str(same))


def test_gray_and_coloured_pictures_are_not_compared(tmp_path: Path) -> None:
    real, fake = pictures(tmp_path / "a", range(30)), pictures(tmp_path / "b", range(30, 60))
    for file in fake.iterdir():
        Image.open(file).convert("L").save(file)
    rule = "as many channels in all folders, got them in colours in --real, gray in --fake"
    with pytest.raises(InputError, match=rule):
        folders.evaluate(str(real), str(fake))


def test_features_that_are_no_numbers_name_a_picture(tmp_path: Path, monkeypatch) -> None:
    def broken(size: int) -> Features:
        def function(weights, images):
            x = images.astype(jnp.float32).mean((1, 2))
            return jnp.where(x[:, :1] > 200, jnp.nan, x)

        return Features("broken", 3, size, "none", function, {}, "")

    monkeypatch.setattr(features, "vgg16", broken)
    real, fake = pictures(tmp_path / "a", range(30)), pictures(tmp_path / "b", range(30, 60))
    Image.new("RGB", (32, 32), "#ff0040").save(fake / "bright.png")
    with pytest.raises(InputError, match=r"of broken are not for bright\.png in --fake, one of 1"):
        folders.evaluate(str(real), str(fake), metrics=["precision"])


def test_only_what_is_wanted_is_computed(tmp_path: Path, monkeypatch) -> None:
    real, fake = pictures(tmp_path / "a", range(30)), pictures(tmp_path / "b", range(30, 60))
    monkeypatch.setattr(folders, "find_copies", None)
    result, pairs = folders.evaluate(str(real), str(fake), metrics=["recall", "kid"])
    assert list(result["metrics"]) == ["kid", "recall"] and not pairs and not result["warnings"]
    view = report.view(result, pairs)
    assert view["copies"] is None and [row.label for row in view["figure"].rows] == ["Recall"]
    for metrics, rule in (
        (["fid"], "--metrics must be of frechet, kid, .*, got 'fid'"),
        ([], "--metrics must name one or more"),
        (["entropy"], "entropy needs the classes of --features inception, got vgg16"),
    ):
        with pytest.raises(InputError, match=rule):
            folders.evaluate(str(real), str(fake), metrics=metrics)


def test_few_pictures_are_a_warning_each(tmp_path: Path) -> None:
    real, fake = pictures(tmp_path / "a", range(30)), pictures(tmp_path / "b", range(30, 60))
    result, pairs = folders.evaluate(str(real), str(fake), metrics=["frechet"])
    few, singular = result["warnings"]
    assert few.startswith("below 2,048 images") and "30 against 192" in singular
    assert "30 against 192" in report.table(result)
    assert "30 against 192" in report.view(result, pairs)["warnings"][1]


def test_folders_of_equal_pictures_are_told(tmp_path: Path) -> None:
    real, fake = pictures(tmp_path / "a", range(60)), pictures(tmp_path / "b", range(60, 120))
    same, noisy = tmp_path / "same", tmp_path / "noisy"
    for folder in (same, noisy):
        folder.mkdir()
    image = Image.open(fake / "60.png")
    for i in range(60):
        image.save(same / f"{i}.png")
        noise = np.random.default_rng(i).integers(0, 9, (32, 32, 3), np.uint8)
        Image.fromarray(np.asarray(image) // 2 + noise).save(noisy / f"{i}.png")

    def said(fake: Path) -> list[str]:
        return folders.evaluate(str(real), str(fake))[0]["warnings"]

    assert said(same)[0] == "60 of 60 images in --fake are equal"
    assert said(noisy)[0].startswith("the images in --fake hardly differ from each other: ")
    assert not any("equal" in words or "differ from" in words for words in said(fake))
    for i in range(60, 90):
        image.save(fake / f"{i}.png")
    assert said(fake)[0] == "30 of 60 images in --fake are equal"
    for i in range(60):
        Image.new("RGB", (32, 32), (200, 30, 40)).save(real / f"{i}.png")
    assert said(fake)[:2] == [
        f"{n} of 60 images in {f} are equal" for n, f in ((60, "--real"), (30, "--fake"))
    ]


def test_what_an_interval_is_of_is_said(tmp_path: Path) -> None:
    real, fake = pictures(tmp_path / "a", range(30)), pictures(tmp_path / "b", range(30, 70))
    result, pairs = folders.evaluate(str(real), str(fake))
    kinds = {name: found["interval"] for name, found in result["metrics"].items()}
    assert {name for name, kind in kinds.items() if kind != intervals.AT_SIZES} == {
        "kid",
        "copies",
    }
    for text in (report.table(result), " ".join(report.view(result, pairs)["notes"])):
        assert "the mean of sets of 30 real and 40 generated images drawn likewise" in text
        assert "what 30 real images have from 40 other real ones, in the mean" in text


def test_real_pictures_are_looked_at_once(tmp_path: Path, monkeypatch) -> None:
    """The features of the real sets are kept; not where pictures or features are others."""
    looked = []
    extract = features.extract

    def counting(net, images):
        found = list(images)
        looked.append(len(found))
        return extract(net, found)

    monkeypatch.setattr(features, "extract", counting)
    real, train = pictures(tmp_path / "a", range(30)), pictures(tmp_path / "t", range(60, 95))
    fake, other = pictures(tmp_path / "b", range(30, 60)), pictures(tmp_path / "c", range(99, 124))
    keep = tmp_path / "cache"

    def evaluate(fake: Path, **more) -> tuple[dict, list[int]]:
        looked.clear()
        result, _ = folders.evaluate(str(real), str(fake), str(train), keep=keep, **more)
        return result, sorted(looked)

    first, times = evaluate(fake)
    assert times == [30, 30, 30, 30, 35]
    again, times = evaluate(fake)
    assert times == [30, 30] and again == first  # Of --fake, as they are and mirrored.
    assert evaluate(other)[1] == [25, 25]
    kept = sorted(keep.iterdir())
    assert len(kept) == 3
    content = kept[0].read_bytes()
    for damaged in (content[:-1], content[:50] + b"x" + content[51:], b""):
        kept[0].write_bytes(damaged)
        repaired, times = evaluate(fake)
        assert len(times) == 3 and repaired == first
        assert kept[0].read_bytes() == content
    pictures(real, range(200, 201))
    assert evaluate(fake)[1] == [30, 30, 31, 31]
    monkeypatch.setattr(
        features, "vgg16", lambda size, old=features.vgg16: old(size)._replace(checksum="other")
    )
    assert evaluate(fake)[1] == [30, 30, 31, 31, 35]


def test_light_features_have_one_unit(tmp_path: Path) -> None:
    real, fake = pictures(tmp_path / "a", range(40)), pictures(tmp_path / "b", range(50, 90))
    dark = pictures(tmp_path / "c", range(100, 140), light=0.4)
    same, worse = (
        folders.evaluate(str(real), str(x), features="light", metrics=["frechet", "kid"])[0]
        for x in (fake, dark)
    )
    assert same["features"]["dimension"] == 22
    for name in ("frechet", "kid"):
        assert same["metrics"][name]["value"] < worse["metrics"][name]["value"] / 4
    assert same["metrics"]["frechet"]["name"] == "Fréchet distance (light)"


def test_the_distance_is_called_fid_on_one_network_only(tmp_path: Path, monkeypatch) -> None:
    """By a stand-in for it: what it sees comes with a rule of resizing, and with classes."""

    def stand_in(file: str | None, resize: str) -> Features:
        assert (file, resize) == ("weights.pth", "original")
        rng = np.random.default_rng(0)
        net = features.vgg16(32)
        return net._replace(name="inception", resize=resize, head=rng.normal(size=(192, 9)))

    monkeypatch.setattr(networks, "inception", stand_in)
    real, fake = pictures(tmp_path / "a", range(30)), pictures(tmp_path / "b", range(30, 60))
    more = {"features": "inception", "weights": "weights.pth", "resize": "original"}
    result, pairs = folders.evaluate(str(real), str(fake), **more)
    score = result["metrics"]["entropy"]
    assert 1 <= score["low"] <= score["value"] <= score["high"] <= 9
    assert result["metrics"]["frechet"]["name"] == "FID"
    assert result["features"]["resize"] == "original"
    for text in (report.table(result), report.page(result, pairs)):
        assert "FID" in text and "Inception score" in text and "original" in text
