"""The gate: samples of GANs beside samples of principal components."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from etils import epath

from jaxgan.config import loading as configs
from jaxgan.config.typed import GAN, Experiment, parse
from jaxgan.data.toy.animals import ToySource
from jaxgan.experiment import next_steps
from jaxgan.experiment.design import arms, draws
from jaxgan.experiment.design.jobs import Fold, Job
from jaxgan.experiment.design.plan_arms import plan_arms
from jaxgan.experiment.stages.fold_context import FoldContext
from jaxgan.experiment.validity import gate

ROOT = Path(__file__).parents[2]
COUNTS = {"cat": 40, "dog": 60}


def planned(*names, **changes):
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.update_from_flattened_dict(changes)
    config.arms = names
    return plan_arms(parse(config), COUNTS)


def test_both_sides_learn_from_as_many_generated_images_and_no_real_one() -> None:
    arms = planned("real", "add:2x", "pca:1x", "pca:9")
    ours, theirs = gate.rivals(arms, ("add:2x", "real"))
    assert (
        ours.pictures
        == theirs.pictures
        == {name: {"real": 0, "generated": n, "copies": 0} for name, n in COUNTS.items()}
    )
    assert (ours.source, theirs.source) == (None, "pca") and ours.way == arms[1].way


def test_a_class_without_generated_images_keeps_its_real_ones() -> None:
    arms = planned("real", "replace", "pca:1x", **{"replace.classes": ("cat",)})
    ours, theirs = gate.rivals(arms, ("replace", "real"))
    assert ours.pictures == theirs.pictures
    assert ours.pictures["cat"]["real"] == 0 < ours.pictures["cat"]["generated"]
    assert ours.pictures["dog"]["real"] > 0 == ours.pictures["dog"]["generated"]


def test_without_a_like_arm_there_is_no_rival() -> None:
    assert gate.rivals(planned("real", "add"), ("add", "real")) is None
    arms = planned("real", "add", "pca:1x+augmentation", "add+augmentation")
    assert gate.rivals(arms, ("add", "real")) is None
    assert gate.rivals(arms, ("add+augmentation", "real")) is not None
    folder = planned("real", "add", "pca:1x", generated="a")
    assert gate.rivals(folder, ("add", "real")) is None  # No GAN of this experiment.


@pytest.mark.parametrize("noise", [False, True])
def test_noise_is_farther_off_than_components_and_real_images_are_nearer(noise, tmp_path) -> None:
    real = ToySource(16, count=24, classes=("cat",), seed=1)
    learned = ToySource(16, count=24, classes=("cat",))
    made = ToySource(16, count=20, classes=("cat",), seed=2)
    if noise:
        rng = np.random.default_rng(0)
        made = [row | {"image": rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)} for row in made]
    sides = ({"cat": side} for side in (real, learned, made))
    found = gate.distances("light", *sides, lambda name: tmp_path / name)
    ours, theirs = found["cat"]
    assert (ours > theirs) == noise
    assert [*(tmp_path / "cat").glob("pca-*.npz")]


def test_few_images_are_not_compared(tmp_path) -> None:
    few, many = (ToySource(16, count=n, classes=("cat",)) for n in (7, 20))
    for sides in ((few, many, many), (many, many, few)):
        given = ({"cat": side} for side in sides)
        assert gate.distances("light", *given, lambda name: tmp_path) == {}
    assert gate.about((), None, 30, {}) is None


def test_a_gan_must_beat_them_by_all_that_was_compared() -> None:
    good = gate.about(("vgg16",), (0.8, 0.7), 120, {"cat": (100.0, 143.0)})
    assert good["passed"] and good["critic"] == ["vgg16"] and good["judge"] != "vgg16"
    assert good["sentence"].startswith("The GANs beat principal components, which train nothing")
    assert "trained on features of vgg16" in good["judged"]
    for reached, distance in (((0.7, 0.7), (1.0, 2.0)), ((0.8, 0.7), (2.0, 2.0)), (None, (3, 2))):
        bad = gate.about((), reached, 120, {"cat": distance})
        assert not bad["passed"] and "are no better than principal" in bad["sentence"]
    assert (
        "reaches 51.1% of 120 validation images, from those of principal components 80.4%"
        in (gate.about((), (0.511, 0.804), 120, {})["sentence"])
    )


def test_what_next_says_so() -> None:
    bad = gate.about((), (0.5, 0.7), 120, {})
    assert (
        next_steps.beaten({"gate": bad}) == f"{bad['sentence']} Train them longer, or take those."
    )


def test_an_experiment_compares_its_first_folds_gans(tmp_path) -> None:
    real = ToySource(16, count=30)
    train, validation = np.arange(0, 60, 2), np.arange(1, 60, 2)
    labels = real.labels[train]
    learned = {c: np.flatnonzero(labels == i) for i, c in enumerate(real.classes)}
    draw = draws.Draw(0, learned, learned)
    made = {c: ToySource(16, count=20, classes=(c,), seed=4) for c in real.classes}
    sides = SimpleNamespace(train=train, validation=validation)
    fold = Fold(0, "", sides, [], {None: [draw]}, None)

    def gated(source):
        some = [
            Job("samples", 0, f"samples of {name}", f"generated/{name}", seed=0,
                key=arms.Key(None, False, source), name=name)
            for name in made
        ]  # fmt: skip
        pick, config = lambda *kinds, **of: some, Experiment(gan=GAN())
        plan = SimpleNamespace(real=real, pick=pick, config=config)
        context = FoldContext(plan, fold, epath.Path(tmp_path), None)
        samples = {job.output: made[job.name] for job in some}
        return gate.of_first_fold(context, samples, (0.9, 0.8))

    found = gated(None)
    assert found["gan_train"] == {"gan": 0.9, "pca": 0.8, "images": 30}
    assert set(found["distances"]) == set(real.classes) and found["passed"]
    assert (tmp_path / "pca" / "cat").is_dir() and gated("pca") is None
