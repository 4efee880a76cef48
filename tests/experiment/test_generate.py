"""Experiments with generated pictures from elsewhere, and with arms that fail."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan.config import loading as configs
from jaxgan.data.toy.animals import ToySource
from jaxgan.experiment import pipeline
from jaxgan.experiment.stages import classify
from jaxgan.training import run
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]


def twin(generated):
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.arms, config.seeds = ("real", "replace", "add"), (0, 1)
    config.generated = str(generated)
    return config


@pytest.mark.slow
def test_the_folders_pictures_are_learned_from_and_no_gan_is_trained(elsewhere) -> None:
    folder, _, results, gans, learned = elsewhere
    made = folder.parent / "made"
    files = {str(p.relative_to(made)) for p in made.rglob("*.png")}
    assert not gans and results["generators"] == [] and not (folder / "gan").exists()
    taken = {*learned["add seed 0"][0].names} & files
    assert taken and not {*learned["real seed 0"][0].names} & files
    wanted = results["arms"]["add"]["pictures"]["cat"]["generated"]
    assert len([n for n in taken if n.startswith("cat")]) == wanted
    assert set(results["figures"]["generated"]) == {"cat", "dog"}
    assert results["cost"]["hours"]["gan"] == 0 and results["cost"]["pictures"]["gan"] == 0
    assert results["cost"]["further_seeds"] == 0


@pytest.mark.slow
def test_a_failed_arm_does_not_lose_the_others(elsewhere) -> None:
    results = elsewhere.results
    for seed, failed in enumerate(results["failed"]):
        assert failed["seconds"] >= 0
        assert (failed["arm"], failed["seed"], failed["error"]) == ("replace", seed, "no luck")
    assert len(results["failed"]) == 2
    others = {*elsewhere.config.arms} - {"replace"}
    assert {(r["arm"], r["seed"]) for r in results["runs"]} == {
        (arm, seed) for arm in others for seed in (0, 1)
    }
    assert len({r["steps"] for r in results["runs"]}) == 1
    assert {*results["arms"]} == others and (elsewhere.folder / "report.html").exists()


@pytest.mark.slow
def test_samples_of_principal_components_differ_between_seeds(elsewhere) -> None:
    files = {p.stem for p in (elsewhere.folder / "pca" / "cat" / "pictures").glob("*.png")}
    wanted = elsewhere.results["arms"]["pca:1x"]["pictures"]["cat"]["generated"]
    assert len(files) == 2 * wanted
    first, second = (
        {Path(n).stem for n in elsewhere.learned[f"pca:1x seed {seed}"][0].names} & files
        for seed in (0, 1)
    )
    assert len(first) == len(second) == wanted and not first & second
    assert len([*(elsewhere.folder / "pca" / "cat").glob("pca-*.npz")]) == 1  # Found once.


@pytest.mark.slow
def test_the_chosen_amount_validates_best_and_alone_is_tested(elsewhere) -> None:
    results = elsewhere.results
    files = (elsewhere.folder / "classifiers").rglob(classify.OPENED)
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    opened = [(row["arm"], row["seed"]) for row in rows]
    assert sorted(opened) == sorted((r["arm"], r["seed"]) for r in results["runs"])
    for r in (r for r in results["runs"] if r["arm"] == "add:best"):
        assert list(r["tried"]) == ["0.5x", "1x"]
        assert r["tried"][r["chosen"]] == max(r["tried"].values()) == r["validation_accuracy"]
        if len(set(r["tried"].values())) == 1:
            assert r["chosen"] == "0.5x"  # The smaller of equals.
        labels = [f"add:best/{name} seed {r['seed']}" for name in ("0.5x", "1x")]
        half, whole = (elsewhere.learned[label][0] for label in labels)
        assert len(half) < len(whole)


@pytest.mark.slow
def test_a_failed_arm_is_tried_again_and_no_other(elsewhere, monkeypatch) -> None:
    tried = []

    def note(config, source, *args, label, **more):
        tried.append(label)
        raise RuntimeError("again")

    monkeypatch.setattr(run, "train_classifier", note)
    monkeypatch.setattr(classify, "test", lambda *given: pytest.fail("it was tested again"))
    again = pipeline.run(elsewhere.config, elsewhere.folder)
    assert tried == ["replace seed 0", "replace seed 1"]
    assert again["runs"] == elsewhere.results["runs"]


@pytest.mark.slow
def test_pictures_from_elsewhere_must_stay(elsewhere) -> None:
    file = next((elsewhere.folder.parent / "made" / "cat").iterdir())
    kept = file.read_bytes()
    Image.new("RGB", (32, 32)).save(file)
    try:
        with pytest.raises(InputError, match="must go on with the images that it began with"):
            pipeline.run(elsewhere.config, elsewhere.folder)
    finally:
        file.write_bytes(kept)


@pytest.mark.slow
def test_pictures_from_elsewhere_are_looked_at_for_copies(elsewhere) -> None:
    names = [guard["name"] for guard in elsewhere.results["guards"]]
    looked = [n.removeprefix("copies of ") for n in names if n.startswith("copies of ")]
    assert [n for n in looked if "components" not in n] == ["cat", "dog"]
    assert "start" not in names


def refused(generated, tmp_path, monkeypatch, words, arms=("real", "replace", "add")) -> None:
    def never(*args, **more):
        raise AssertionError("something was trained")

    for name in ("train_gan", "train_classifier"):
        monkeypatch.setattr(run, name, never)
    config = twin(generated)
    config.arms, config.verdict.primary = arms, (arms[-1], "real")
    with pytest.raises(InputError, match=words):
        pipeline.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_too_few(save, tmp_path, monkeypatch) -> None:
    folder = save(tmp_path / "made", 3)
    words = r"must hold \d+ images of cat, as the arms need, and .*made has 3$"
    refused(folder, tmp_path, monkeypatch, words)


def test_a_class_is_missing(save, tmp_path, monkeypatch) -> None:
    folder = save(tmp_path / "made", 20, ("cat",))
    (folder / "bird").mkdir()
    (folder / "cat" / "0000.png").rename(folder / "bird" / "0.png")
    words = "must have the folders cat, dog, and .*made has no dog"
    refused(folder, tmp_path, monkeypatch, words)


def test_no_folder(tmp_path, monkeypatch) -> None:
    refused(tmp_path / "no", tmp_path, monkeypatch, "must be a folder of class folders")


def test_test_pictures_among_them(save, tmp_path, monkeypatch) -> None:
    """The experiment's own pictures, at another size, given as generated ones."""
    folder = save(tmp_path / "made", 24, seed=0)
    refused(folder, tmp_path, monkeypatch, "must not hold validation or test images")


def test_test_pictures_in_a_named_folder(save, tmp_path, monkeypatch) -> None:
    folder = save(tmp_path / "made", 24, seed=0)
    arms = ("real", "add[drawn]:1x")
    words = "must not hold validation or test images"
    refused({"drawn": str(folder)}, tmp_path, monkeypatch, words, arms)


@pytest.mark.slow
def test_what_teaches_nothing_ends_it_before_the_arms(elsewhere, monkeypatch) -> None:
    """Goes on in the folder of `elsewhere`, which has no limit, with one."""
    config = elsewhere.config.copy_and_resolve_references()
    labels, train = [], run.train_classifier

    def note(config, source, *args, label, **more):
        labels.append(label)
        assert not any(name.startswith("toy/") for name in source.names)  # No real picture.
        return train(config, source, *args, label=label, **more)

    monkeypatch.setattr(run, "train_classifier", note)
    config.stop_below = 0.999
    words = r"not worth it: .* reaches \d+\.\d% of validation images, .* asks for 99\.9%"
    for _ in range(2):  # The second time it knows.
        with pytest.raises(InputError, match=words):
            pipeline.run(config, elsewhere.folder)
    assert labels == ["gan-train of add"]


@pytest.mark.slow
def test_one_conditional_gan_draws_all_classes(save, tmp_path, monkeypatch) -> None:
    """Beside it, selected images of a folder and of principal components."""
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.gan = configs.load(str(ROOT / "configs" / "drifted64.py"), test=True)
    config.gan.retrain = 1
    config.seeds, config.select.by = (0, 1), "none"
    config.arms = ("real", "add:2", "add[made]:4+selection", "pca:4+selection")
    config.verdict.primary = ("add:2", "real")
    config.generated = str({"made": str(save(tmp_path / "made", 20))})
    trained = []
    train = run.train_gan

    def note(own, source, *args, **more):
        trained.append((own.data.classes, set(source.labels.tolist())))
        return train(own, source, *args, **more)

    monkeypatch.setattr(run, "train_gan", note)
    results = pipeline.run(config, tmp_path / "run")
    assert trained == [(("cat", "dog"), {0, 1})]
    about = {gan["class"]: gan for gan in results["generators"]}
    assert about["cat"]["workdir"] == about["dog"]["workdir"] == "gan/conditional"
    assert about["cat"]["seconds"] > 0 == about["dog"]["seconds"]
    images = [[p.read_bytes() for p in sorted((tmp_path / "run" / about[name]["generated"]).glob(
        "*.png"))] for name in ("cat", "dog")]  # fmt: skip
    assert len(images[0]) == len(images[1]) == 4 and not set(images[0]) & set(images[1])
    made = {arm: results["arms"][arm]["pictures"] for arm in config.arms}
    for arm in ("add[made]:4+selection", "pca:4+selection"):
        assert made[arm]["dog"]["generated"] == 4
    cats, dogs = (jaxgan.load(tmp_path / "run").generator(name) for name in ("cat", "dog"))
    np.testing.assert_array_equal(cats.sample(2, label="dog"), dogs.sample(2))
    assert not np.array_equal(cats.sample(2), dogs.sample(2)) and "cat alone" in repr(cats)


def test_a_folder_must_have_images_to_select_from(save, tmp_path, monkeypatch) -> None:
    def arms(generated):
        config = twin(generated)
        config.arms = ("real", "add:20+selection")
        config.verdict.primary = ("add:20+selection", "real")
        return config

    with pytest.raises(InputError, match="must hold 21 images of cat"):
        pipeline.run(arms(save(tmp_path / "made", 20)), tmp_path / "run")


def test_the_best_of_a_pool_are_those_that_the_measure_chooses(monkeypatch) -> None:
    """Features are the image's mean: the least strange are kept."""
    import numpy as np

    from jaxgan.sampling import best_of_n

    pool, real = (ToySource(32, count=20, classes=("cat",), seed=seed) for seed in (1, 2))
    net = best_of_n.nets

    def means(_, images):
        return np.array([[image.mean(), image.std()] for image in images], np.float32)

    monkeypatch.setattr(net, "vgg16", lambda size: None)
    monkeypatch.setattr(net, "extract", means)
    kept = best_of_n.best_of(pool, 5, "outlier", real)
    wanted = best_of_n.selection.select(
        "outlier", 5, means(None, [p["image"] for p in map(pool.__getitem__, range(20))]),
        means(None, [p["image"] for p in map(real.__getitem__, range(20))]),
    )  # fmt: skip
    assert list(kept.names) == [pool.names[i] for i in wanted.kept]
