"""GAN-train and GAN-test, with a classifier that learns in milliseconds: ridge regression."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from flax import linen as nn
from PIL import Image

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.settings import ClassifierData
from jaxgan.data.dataset import concat
from jaxgan.data.loader import Subset, in_memory
from jaxgan.data.toy.animals import ToySource
from jaxgan.evaluation import gan_train, gan_train_table
from jaxgan.evaluation.gan_train import Sides, equal_numbers, measure, separate
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]
DATA = ClassifierData(resolution=16, crop="center", on_error="skip", split=(0.5, 0.2, 0.3))


def ridge(source, seed, name):
    """By brightness, made symmetric, and its steps; about 68 % right on 300 drawn faces."""

    def look(asked):
        gray = np.stack([asked[i]["image"] for i in range(len(asked))]).mean(3) / 127.5 - 1
        parts = (gray + gray[:, :, ::-1], abs(np.diff(gray, axis=1)), abs(np.diff(gray, axis=2)))
        return np.concatenate([part.reshape(len(gray), -1) for part in parts], axis=1)

    x, y = look(source), 2.0 * source.labels - 1
    centre = x.mean(axis=0)
    x = x - centre
    weights = np.linalg.solve(x.T @ x + 100 * np.eye(x.shape[1]), x.T @ y)

    def ask(asked):
        logits = (look(asked) - centre) @ weights
        return -np.logaddexp(0, np.stack([logits, -logits], axis=1))

    return ask


@pytest.fixture(scope="module")
def drawn():
    """Four sets of drawn cats and dogs."""
    return [in_memory(ToySource(16, count=count, seed=i)) for i, count in enumerate((90, 110, 140))]


class Swapped:
    """Cats that are called dogs, and the other way round."""

    def __init__(self, source):
        self._source, self.labels = source, 1 - source.labels
        self.classes, self.names = source.classes, source.names
        self.resolution = source.resolution

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> dict:
        return {"image": self._source[i]["image"], "label": self.labels[i]}


def test_real_pictures_teach_as_much_as_real_ones(drawn) -> None:
    train, other, test = drawn
    result = measure(separate(train, test, other), ridge)
    found = result["metrics"]
    assert result["pictures"]["learned from"] == {"cat": 90, "dog": 90}
    gap = found["gan_train"]["difference"]
    assert gap["low"] < 0 < gap["high"] and gap["high"] - gap["low"] < 0.25
    for name in ("gan_base", "gan_train", "gan_test"):
        assert found[name]["low"] > 0.5 and found[name]["value"] > 0.58, found[name]
        assert set(found[name]["per_class"]) == {"cat", "dog"}
        for share in (found[name], *found[name]["per_class"].values()):
            assert share["low"] <= share["value"] <= share["high"]
    assert found["cas"] == {k: found["gan_train"][k] for k in ("value", "low", "high")}
    text = gan_train_table.table(result)
    assert "no evidence that generated images teach less" in text and "90 cat, 90 dog" in text


def test_swapped_labels_teach_the_contrary(drawn) -> None:
    train, other, test = drawn
    found = measure(separate(train, test, Swapped(other)), ridge)["metrics"]
    assert found["gan_train"]["high"] < 0.5 and found["gan_test"]["high"] < 0.5
    assert found["gan_train"]["difference"]["high"] < -0.1
    assert found["gan_base"]["low"] > 0.5


def test_a_few_pictures_over_and_over_are_true_but_teach_little(drawn) -> None:
    """GAN-test sees no lack of variety; GAN-train does."""
    train, _, test = drawn
    right = ridge(train, 0, "")(train).argmax(axis=1) == train.labels
    few = np.concatenate([np.flatnonzero(right & (train.labels == i))[:4] for i in (0, 1)])
    result = measure(Sides(train, test, Subset(train, np.repeat(few, 25)), 0), ridge)
    found = result["metrics"]
    assert found["gan_test"]["value"] > 0.95
    assert found["gan_train"]["difference"]["high"] < 0
    assert "teach less" in gan_train_table.table(result)


def test_numbers_are_equal_and_in_the_real_shares() -> None:
    names = ("a", "b")
    labels = lambda *counts: np.repeat(np.arange(2), counts)  # noqa: E731
    assert equal_numbers(labels(30, 60), labels(100, 100), names) == [30, 60]
    assert equal_numbers(labels(30, 60), labels(100, 20), names) == [10, 20]
    with pytest.raises(InputError, match="b has no generated one"):
        equal_numbers(labels(30, 60), labels(100, 0), names)
    with pytest.raises(InputError, match=r"1\.7% of the 30 real ones of a, .* are none"):
        equal_numbers(labels(30, 60), labels(100, 1), names)


def test_each_seed_draws_its_pictures_and_one_seed_has_an_interval(drawn) -> None:
    train, other, test = drawn
    seen = {}

    def spy(source, seed, name):
        seen[name] = source.names
        return lambda asked: np.tile(np.log([[0.6, 0.4]]), (len(asked), 1))

    found = measure(separate(train, test, other), spy, seeds=(3, 4))["metrics"]
    assert seen["real seed 3"] == seen["real seed 4"] == train.names
    assert set(seen["generated seed 3"]) != set(seen["generated seed 4"])
    assert found["gan_base"]["value"] == 0.5
    assert found["gan_base"]["per_class"]["cat"]["value"] == 1
    one = measure(separate(train, test, other), spy, seeds=(3,))
    share = one["metrics"]["gan_train"]
    assert share["low"] < 0.5 < share["high"] and share["difference"]["low"] is None
    assert "points" in gan_train_table.table(one)


def test_test_pictures_are_seen_nowhere_else(drawn, caplog) -> None:
    train, other, test = drawn
    darker = dataclasses.replace(test, images=(0.8 * test.images).astype(np.uint8))
    copies = Subset(darker, [0, 1, 200])  # Two cats and a dog.
    sides = separate(train, test, concat([other, copies]))
    assert sides.left_out == 3 == len(test) - len(sides.test)
    assert not {test.names[i] for i in (0, 1, 200)} & set(sides.test.names)
    assert "left out 3 of 280 test images" in caplog.text
    with pytest.raises(InputError, match="1 are, pixel by pixel, like toy/cat/000005"):
        separate(train, test, concat([other, Subset(test, [5])]))
    with pytest.raises(InputError, match="like no other, and dog has none"):
        separate(train, test, Subset(darker, np.flatnonzero(test.labels == 1)))


def write(folder: Path, source, classes=("cat", "dog")) -> str:
    for i in range(len(source)):
        name = source.classes[source.labels[i]]
        if name in classes:
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(source[i]["image"]).save(folder / name / f"{i}.png")
    return str(folder)


def test_folders_of_the_same_classes(drawn, tmp_path: Path) -> None:
    some = [Subset(source, np.r_[:20, len(source) - 20 : len(source)]) for source in drawn]
    train, fake, test = (write(tmp_path / str(i), source) for i, source in enumerate(some))
    sides = gan_train.open_sides(DATA, test, fake, train)
    assert [len(side) for side in sides[:3]] == [40, 40, 40] and sides.left_out == 0
    parted = gan_train.open_sides(DATA, test, fake)
    names = set(parted.train.names), set(parted.test.names)
    assert not names[0] & names[1] and len(names[0] | names[1]) < 40
    for real, faked, rule in (
        (test, write(tmp_path / "cats", some[1], ("cat",)), "cat, dog, and .*cats has no dog"),
        (test, str(tmp_path / "none"), "--fake must be a folder of class folders"),
        (str(tmp_path / "cats"), fake, "two classes or more, got only cat"),
    ):
        with pytest.raises(InputError, match=rule):
            gan_train.open_sides(DATA, real, faked)
    write(tmp_path / "more" / "cow", some[1])
    write(tmp_path / "more", some[1])
    with pytest.raises(InputError, match="has cow, too"):
        gan_train.open_sides(DATA, test, fake, str(tmp_path / "more"))


def test_other_configs_are_refused() -> None:
    for name in ("wgan512", "quickstart"):
        config = configs.load(str(ROOT / "configs" / f"{name}.py"), test=True)
        with pytest.raises(InputError, match="--config must be a classifier's"):
            gan_train.run(config, "toy", "toy")


class Linear(nn.Module):
    """Compiled in a second, which GoogLeNet is not."""

    @nn.compact
    def __call__(self, images, train):
        return nn.Dense(2)(images.reshape(len(images), -1))


def test_a_network_learns_as_many_steps_from_both(tmp_path: Path, monkeypatch) -> None:
    for module in (recipes, recipes.classifier):  # Where it is used, and where it is written.
        monkeypatch.setattr(module, "build_classifier", lambda *_: Linear())
    config = configs.load(str(ROOT / "configs" / "googlenet.py"), test=True)
    config.train.steps, config.train.epochs = None, 1.0
    config.seed, folders = 5, {}
    for side, number in (("train", 6), ("fake", 8), ("real", 10)):
        folders[side] = write(tmp_path / side, ToySource(32, count=number, seed=number))
    large = write(tmp_path / "large", ToySource(40, count=1))
    assert gan_train.smallest(large, folders["fake"], None, "toy") == 32
    assert gan_train.smallest(None, "toy") is None
    result = gan_train.run(config, **folders, seeds=1, workdir=str(tmp_path / "runs"))
    for kind in ("real", "generated"):
        folder = tmp_path / "runs" / f"{kind}_seed_5"
        rows = (folder / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(row)["step"] for row in rows] == [1, 2, 3]  # 12 pictures by four.
        claimed = json.loads((folder / "config.json").read_text())
        assert claimed["seed"] == 5 and claimed["data"]["classes"] == ["cat", "dog"]
    assert 0 <= result["metrics"]["cas"]["low"] <= result["metrics"]["cas"]["value"]
    assert result["pictures"]["learned from"] == {"cat": 6, "dog": 6}
    assert {side: about["path"] for side, about in result["sets"].items()} == {
        "test": folders["real"],
        "train": folders["train"],
        "fake": folders["fake"],
    }
    assert json.loads(json.dumps(result)) == result
