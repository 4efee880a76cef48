"""The classifiers of an arm as one: who they are, what they say, and what other programs get."""

import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.evaluation import export
from jaxgan.experiment import ensemble
from jaxgan.metrics.networks import BEST
from jaxgan.sampling import cards
from jaxgan.system import checked_files

CLASSES = ("cat", "dog")
ARMS = {"real": (0.9, 0.5), "add[a]": (0.9, 0.4), "tuned": (0.8, 0.1)}  # Accuracy, loss: validated.


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """An experiment with two folds and one seed, whose classifiers have random weights."""
    folder = tmp_path_factory.mktemp("answer")
    config = configs.load("quickstart", test=True)
    config.data.folds = 2
    configs.claim(folder, config)
    net = configs.load("resnet", test=True)
    with net.unlocked():
        net.model.num_classes, net.data.classes = 2, CLASSES
    net.data.path = "/somewhere/pets"
    first = recipes.build(net).init(jax.random.key(0))

    def classifier(workdir: Path, seed: int) -> None:
        configs.claim(workdir, net)
        state = first.replace(net=jax.tree.map(lambda x: x * (1 + 0.1 * seed), first.net))
        with Checkpoints(workdir, BEST) as checkpoints:
            metrics = {"validation_accuracy": 0.9}
            checkpoints.save(5, state, parse(net).given, {}, metrics)

    rng = np.random.default_rng(0)
    runs = []
    for fold in range(2):
        for i, (arm, (accuracy, loss)) in enumerate(ARMS.items()):
            trained = "tuned/2x" if arm == "tuned" else arm.replace("[", "(").replace("]", ")")
            if i != 1:  # Nothing loads the classifiers of the second arm.
                classifier(folder / f"fold{fold}" / "classifiers" / trained / "7", 3 * fold + i)
            p = rng.dirichlet([1, 1], 6)
            runs.append(
                {"arm": arm, "seed": 7, "fold": fold, "best_step": 5, "probabilities": p.tolist()}
                | {"validation_accuracy": accuracy, "chosen": "2x"}
                | {"curve": {"validation": [{"step": 5, "loss": loss, "accuracy": accuracy}]}}
            )
            if arm != "tuned":
                del runs[-1]["chosen"]
    labels = rng.integers(0, 2, 12).tolist()
    results = {
        "runs": runs,
        "classes": list(CLASSES),
        "test": {"labels": labels, "fold": [0, 1] * 6},
        "config": parse(config).given,
        "environment": {"started": "2026-11-29", "devices": ["cpu cpu"]},
        "data": {"fingerprint": "f1f1"},
        "arms": {name: {"pictures": {"cat": {"real": 5, "generated": 0}}} for name in ARMS},
        "verdict": {"word": "helps", "sentence": "It helps."},
    }
    checked_files.save(folder / "results.json", results)
    return folder


def test_the_best_arm_is_that_which_validates_best(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    assert ensemble.choose(results, "best") == "add[a]"  # Of equal ones the lower loss.
    assert ensemble.choose(results, "tuned") == "tuned"
    with pytest.raises(jaxgan.InputError, match=r"got 'tunde'; did you mean tuned\?"):
        ensemble.choose(results, "tunde")


def test_why_the_best_arm_is_not_the_first_on_test_images(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    results["arms"] = {name: {"accuracy": 0.9 if name == "real" else 0.8} for name in ARMS}
    found = ensemble.best(results)
    assert found["arm"] == "add[a]" and "real is ahead on the test images" in found["sentence"]
    results["arms"]["add[a]"]["accuracy"] = 0.9
    said = "Best, for predict and export, is add[a]: it validates best."
    assert ensemble.best(results)["sentence"] == said


def test_each_test_image_is_judged_by_its_own_fold(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    right = []
    for run in results["runs"]:
        if run["arm"] == "real":
            own = [y for y, k in zip(*results["test"].values(), strict=True) if k == run["fold"]]
            right += (np.argmax(run["probabilities"], 1) == own).tolist()
    found = ensemble.measure(results, "real")
    assert found["accuracy"]["right"] == sum(right) and found["pictures"] == 12
    assert (found["folds"], found["classifiers"]) == (2, 2)


def test_an_arm_predicts_as_the_geometric_mean_of_its_classifiers(finished: Path, tmp_path) -> None:
    one = jaxgan.load(finished).classifier("tuned")
    assert len(one.members) == 2 and len(repr(one)) < 200
    source = ToySource(32, count=2, seed=3)
    images = np.stack([source[i]["image"] for i in range(4)])
    each = np.stack([m.predict(m.variables, images) for m in one.members])
    wanted = np.exp(each.mean(0))
    wanted /= wanted.sum(1, keepdims=True)
    np.testing.assert_allclose(one.predict(images).probabilities, wanted, rtol=1e-5)
    for name, image in zip(("a/x", "b/x", "b/y", "z"), images, strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    found = one.predict(tmp_path)
    assert found.names == ["a/x.png", "b/x.png", "b/y.png", "z.png"]
    np.testing.assert_allclose(found.probabilities, wanted, rtol=1e-5)


@pytest.mark.parametrize("arm", [None, "real"])
def test_an_export_says_what_predict_says(arm, finished: Path, tmp_path, monkeypatch) -> None:
    """As somebody would who has the three files alone, by the card's own lines."""
    run = finished if arm else finished / "fold0" / "classifiers" / "real" / "7"
    one = jaxgan.api.Classifier(run, arm=arm)
    one.export(tmp_path, licence="cc0-1.0")
    card = (tmp_path / "model_card.md").read_text()
    monkeypatch.chdir(tmp_path)
    Image.fromarray(ToySource(32, count=1, seed=3)[0]["image"]).save("image.png")
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    values: dict = {}
    exec(code, values)
    assert values["classes"] == list(CLASSES)
    assert set(values["classifier"].platforms) == {"cpu", "cuda", "tpu"}
    found = one.predict("image.png").probabilities
    np.testing.assert_allclose(values["probabilities"], found, atol=1e-5)
    many = np.zeros((3, 32, 32, 3), np.uint8)
    assert values["classifier"].call(values["weights"], many).shape == (3, 2)
    assert "/somewhere" not in card and "pets" in card
    head = card.split("---\n")[1].splitlines()
    about = {line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in head}
    assert about["license"] == "cc0-1.0" and about["pipeline_tag"] == "image-classification"
    assert ("model-index" in about) == bool(arm)
    if arm:
        (metric,) = about["model-index"][0]["results"][0]["metrics"]
        assert metric["value"] == pytest.approx(one.measured["accuracy"]["value"], abs=1e-6)
        assert f"{one.measured['accuracy']['right']} of 12" in card and "own fold" in card


def test_weights_that_all_share_stand_once(finished: Path) -> None:
    one = jaxgan.api.Classifier(finished, arm="real").members[0]
    same = export.joined([one, one])
    assert not any(name.startswith(export.MEMBERS) for name in same)
    moved = one._replace(variables=jax.tree.map(lambda x: x + 1, one.variables))
    for name, x in export.joined([one, moved]).items():
        np.testing.assert_array_equal(x[0] + 1, x[1])
        np.testing.assert_array_equal(x[0], same[name.removeprefix(export.MEMBERS)])


def test_what_does_not_fit_is_one_sentence(finished: Path, tmp_path) -> None:
    run = finished / "fold0" / "classifiers" / "real" / "7"
    with pytest.raises(jaxgan.InputError, match=r"^arm goes with the folder of an experiment"):
        jaxgan.api.Classifier(run, arm="best")
    with pytest.raises(jaxgan.InputError, match=r"^step goes with the run of one classifier"):
        jaxgan.api.Classifier(finished, 5)
    with pytest.raises(jaxgan.InputError, match="--licence must be an identifier"):
        cards.check_licence("All rights reserved")
    with pytest.raises(jaxgan.InputError, match="with_onnx needs a package"):
        jaxgan.load(run).export(tmp_path, with_onnx=True)
    assert not list(tmp_path.iterdir())
