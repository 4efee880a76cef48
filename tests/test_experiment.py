"""The quickstart's twin, from pictures to the verdict."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxgan import checks, training
from jaxgan import config as configs
from jaxgan.data import splits
from jaxgan.data.toy import ToySource
from jaxgan.experiment import design, run, statistics, words
from jaxgan.types import InputError

ROOT = Path(__file__).parents[1]


def twin():
    return configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One whole run, and what its GANs and classifiers learned from."""
    folder = tmp_path_factory.mktemp("experiment")
    seen: dict[str, list] = {"gan": [], "classifier": []}
    train_gan, train_classifier = training.train_gan, training.train_classifier

    def spy_gan(config, source, *args, **more):
        seen["gan"].append((config.data.classes, set(source.names)))
        return train_gan(config, source, *args, **more)

    def spy_classifier(config, source, validation, *args, **more):
        seen["classifier"].append((set(source.names), set(validation.names)))
        return train_classifier(config, source, validation, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train_gan", spy_gan)
        patch.setattr(training, "train_classifier", spy_classifier)
        results = run.run(twin(), folder)
    return folder, results, seen


def test_no_test_picture_is_ever_learned_from(finished) -> None:
    _, results, seen = finished
    test = set(results["test"]["names"])
    assert test and len(seen["gan"]) == 2 and len(seen["classifier"]) == 8
    for _, names in seen["gan"]:
        assert names and not names & test
    for training_names, validation_names in seen["classifier"]:
        assert not training_names & test and not validation_names & test
        assert not training_names & validation_names
        for classes, names in seen["gan"]:
            assert not names & validation_names, classes


def test_each_gan_sees_its_class_alone(finished) -> None:
    for (name,), names in finished[2]["gan"]:
        assert all(n.startswith(f"toy/{name}/") for n in names)


def test_equal_steps_and_every_arm_with_every_seed(finished) -> None:
    _, results, _ = finished
    runs = results["runs"]
    assert {(r["arm"], r["seed"]) for r in runs} == {
        (arm, seed) for arm in checks.ARMS for seed in (0, 1)
    }
    assert len({r["steps"] for r in runs}) == 1


def test_every_statistic_can_be_recomputed_from_the_file(finished) -> None:
    folder, results, _ = finished
    assert json.loads((folder / "results.json").read_text()) == json.loads(json.dumps(results))
    labels = np.array(results["test"]["labels"])

    def correct(arm):
        rows = [r["probabilities"] for r in results["runs"] if r["arm"] == arm]
        return np.array(rows).argmax(2) == labels

    for r in results["runs"]:
        hits = np.array(r["probabilities"]).argmax(1) == labels
        assert r["test_accuracy"] == pytest.approx(hits.mean())
        np.testing.assert_allclose(np.sum(r["probabilities"], 1), 1, atol=1e-4)
    a, b = results["verdict"]["primary"]
    interval = statistics.paired_difference(correct(a), correct(b), 0.95)
    assert results["verdict"]["difference"] == pytest.approx(interval.value)
    assert results["verdict"]["low"] == pytest.approx(interval.low)
    assert results["verdict"]["word"] == words.word(interval)


def test_the_report_and_its_figures_are_there(finished) -> None:
    folder, results, _ = finished
    page = (folder / "report.html").read_text()
    assert results["verdict"]["sentence"].split(":")[0] in page
    for kind in ("real", "generated"):
        for file in results["figures"][kind].values():
            assert (folder / file).exists()
    for generator in results["generators"]:
        assert all((folder / grid).exists() for grid in generator["grids"])


def test_running_again_trains_nothing_and_says_the_same(finished, monkeypatch) -> None:
    folder, results, _ = finished

    def never(*args, **more):
        raise AssertionError("a finished stage was run again")

    monkeypatch.setattr(training, "train_gan", never)
    monkeypatch.setattr(training, "train_classifier", never)
    again = run.run(twin(), folder)
    for key in ("verdict", "arms", "contrasts", "runs", "test", "data"):
        assert again[key] == results[key]


def test_another_config_is_refused(finished) -> None:
    config = twin()
    config.add.ratio = 2.0
    with pytest.raises(InputError, match=r"add\.ratio is 1\.0 there and 2\.0 here"):
        run.run(config, finished[0])


COUNTS = {"cat": 10, "dog": 20}


def arms(**changes):
    config = twin()
    config.update_from_flattened_dict(changes)
    return {arm.name: arm for arm in design.plan(config, COUNTS)}


def test_arms_hold_what_they_say() -> None:
    planned = arms(**{"replace.share": 0.85, "replace.classes": ("cat",), "add.ratio": 2.0})
    assert planned["real"].pictures["cat"] == {"real": 10, "generated": 0}
    assert planned["replace"].pictures["cat"] == {"real": 2, "generated": 8}
    assert planned["replace"].pictures["dog"] == {"real": 20, "generated": 0}
    assert planned["add"].pictures["dog"] == {"real": 20, "generated": 40}
    assert [a.name for a in planned.values() if a.augment] == ["real+augmentation"]
    assert design.needed(list(planned.values())) == {"cat": 20, "dog": 40}
    assert design.needed([planned["real"]]) == {}


def test_replacing_keeps_the_total() -> None:
    planned = arms()
    total = lambda arm: sum(sum(n.values()) for n in arm.pictures.values())  # noqa: E731
    assert total(planned["replace"]) == total(planned["real"]) == 30


def test_assembled_pictures_are_labelled_and_counted() -> None:
    real = ToySource(8, count=6)
    generated = {
        "dog": ToySource(8, count=9, classes=("dog",), seed=5),
        "cat": ToySource(8, count=9, classes=("cat",), seed=5),
    }
    arm = design.Arm(
        "replace",
        {"cat": {"real": 2, "generated": 4}, "dog": {"real": 6, "generated": 3}},
    )
    source = design.assemble(arm, real, generated, seed=0)
    assert np.bincount(source.labels).tolist() == [6, 9]
    dogs = [source[i]["image"] for i in np.flatnonzero(source.labels == 1)[-3:]]
    for i, dog in enumerate(dogs):
        np.testing.assert_array_equal(dog, generated["dog"][i]["image"])


def test_a_class_that_is_not_there() -> None:
    with pytest.raises(InputError, match="must be of cat, dog, got 'bird'"):
        arms(**{"replace.classes": ("bird",)})


def test_a_clear_look_is_the_end_and_its_interval_the_one_reported(monkeypatch, tmp_path) -> None:
    config = twin()
    config.seeds, config.arms, config.verdict.looks = tuple(range(6)), ("real", "add"), (3,)
    real = ToySource(32, count=12, classes=("cat", "dog"))
    parts = splits.Split(np.arange(8), np.arange(8, 12), np.arange(12, 24))
    labels, rng = real.labels[parts.test], np.random.default_rng(0)
    skill = {"add": 1.0}

    def answers(file, work):
        arm, seed = file.parent.parent.name, int(file.parent.name)
        right = rng.random(12) < skill[arm]
        said = np.where(right, labels, 1 - labels)
        return {"arm": arm, "seed": seed, "probabilities": np.eye(2)[said].tolist()}

    monkeypatch.setattr(run, "_once", answers)
    counts = {c: int((real.labels[parts.train] == i).sum()) for i, c in enumerate(real.classes)}
    planned = design.plan(config, counts)
    generated = {c: ToySource(32, count=12, classes=(c,)) for c in counts}
    for skill["real"], seeds in ((0.0, 3), (1.0, 6)):  # A plain difference, and none.
        found = run._train_classifiers(config, planned, real, parts, generated, tmp_path)
        assert {r["seed"] for r in found} == set(range(seeds))
        assert len(found) == 2 * seeds


def test_looks_must_be_at_fewer_seeds_than_there_are(tmp_path) -> None:
    config = twin()
    config.verdict.looks = (3,)
    with pytest.raises(InputError, match="rising numbers of seeds from 3 to below 2"):
        run.run(config, tmp_path)
