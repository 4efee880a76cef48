"""The commands in Python do what the scripts do, on folders, files and arrays."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan import api
from jaxgan.api.arguments import named
from jaxgan.config import loading
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine import provenance
from jaxgan.sampling import files, sample

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The run of a small GAN and of a small classifier, by the package's own functions."""
    place = tmp_path_factory.mktemp("runs")
    gan = loading.load("dcgan64", test=True)
    gan.data.path, gan.data.classes = "toy", ("cat",)
    net = loading.load("resnet", test=True)
    return (
        jaxgan.train(gan, workdir=place / "gan"),
        jaxgan.train(net, workdir=place / "net", settings={"train.steps": 3}),
    )


@pytest.mark.slow
def test_a_generator_draws_as_the_script_does(trained, tmp_path) -> None:
    generator = jaxgan.load(trained[0].workdir)
    images = generator.sample(3, seed=5)
    assert images.dtype == np.uint8 and images.shape == (3, *[generator.resolution] * 2, 3)
    files.save(sample.restore(trained[0].workdir), [5, 6, 7], tmp_path)
    drawn = [np.asarray(Image.open(file)) for file in sorted(tmp_path.glob("*.png"))]
    np.testing.assert_array_equal(images, drawn)
    np.testing.assert_array_equal(generator.sample(1, seed=6)[0], images[1])
    generator.save(tmp_path / "again", 3, seed=5)
    again = [np.asarray(Image.open(file)) for file in sorted((tmp_path / "again").glob("*.png"))]
    np.testing.assert_array_equal(images, again)
    generator.export(tmp_path / "out")
    assert (tmp_path / "out" / "model_card.md").is_file()
    with pytest.raises(jaxgan.InputError, match="count must be a whole number, got '16'"):
        generator.sample("16")
    assert generator.grid(4).ndim == 3 and len(repr(generator)) < 200
    assert len(repr(generator.sampler)) < 200


@pytest.mark.slow
def test_a_classifier_predicts_folders_files_and_arrays_alike(trained, tmp_path, caplog) -> None:
    classifier = jaxgan.load(trained[1].workdir)
    assert classifier.net.step == 3 and classifier.classes == ("cat", "dog")
    source = ToySource(32, count=4, seed=9)
    images = np.stack([source[i]["image"] for i in range(8)])
    files = []
    for i, image in enumerate(images):
        files.append(tmp_path / "new" / f"{i}.png")
        files[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(files[-1])
    found = classifier.predict(tmp_path / "new")
    assert found.names == [f"{i}.png" for i in range(8)]
    np.testing.assert_allclose(found.probabilities.sum(1), 1, rtol=1e-5)
    wanted = classifier.net.predict(classifier.net.variables, images)
    np.testing.assert_allclose(np.log(found.probabilities), np.asarray(wanted), atol=1e-5)
    for other in (files, images, list(images), [Image.fromarray(image) for image in images]):
        np.testing.assert_array_equal(classifier.predict(other).probabilities, found.probabilities)
    assert classifier.predict(files).names == [str(file) for file in files]
    assert classifier.predict(images).names == [str(i) for i in range(8)]
    row = found.rows()[0]
    assert row["image"] == "0.png" and row["class"] in ("cat", "dog")
    assert row[row["class"]] == max(row["cat"], row["dog"])
    assert len(repr(classifier)) < 200 and len(repr(classifier.net)) < 200
    assert repr(found).startswith("Predictions(8 images: ")
    with pytest.raises(jaxgan.InputError, match=r"must be uint8 \[n, h, w, 3\], got float64"):
        classifier.predict(images / 255)
    np.testing.assert_array_equal(
        classifier.predict(Image.fromarray(images[2])).probabilities, found.probabilities[2:3]
    )
    (tmp_path / "notes.txt").write_text("of the vet")
    assert len(classifier.predict([files[0], tmp_path / "notes.txt"]).names) == 1
    assert "left out what is no image by its name" in caplog.text
    (tmp_path / "empty").mkdir()
    with pytest.raises(jaxgan.InputError, match=r"^images must hold images"):
        classifier.predict(tmp_path / "empty")
    with pytest.raises(jaxgan.InputError, match=r"^path must hold images"):
        classifier.evaluate(tmp_path / "empty")
    with pytest.raises(jaxgan.InputError, match="must be an image file"):
        classifier.predict([tmp_path / "gone.png"])
    with pytest.raises(jaxgan.InputError, match="there must be images, got none"):
        classifier.predict([])
    with pytest.raises(jaxgan.InputError, match="files, arrays or Pillow's, got int"):
        classifier.predict([3])


def test_arrays_are_compared_as_folders_are(tmp_path) -> None:
    real, fake = (
        np.stack([image["image"] for image in map(source.__getitem__, range(24))])
        for source in (ToySource(32, count=12, seed=seed) for seed in (1, 2))
    )
    found = jaxgan.compare(real, fake, features="light", metrics=("frechet", "precision"))
    assert set(found.metrics) == {"frechet", "precision"} and "precision" in repr(found)
    more = jaxgan.compare(real, fake, features="light", metrics=["copies"], resolution=16)
    assert "give train and, as real, images it did not see" in repr(more)
    found.save(tmp_path / "page.html")
    assert "How near are the generated images" in (tmp_path / "page.html").read_text()


def test_an_experiment_is_read_from_its_folder(tmp_path, monkeypatch) -> None:
    """The package is callable, also after its modules were imported."""
    from jaxgan.experiment import pipeline  # noqa: F401

    asked = {}

    def finish(made, place, **more):
        asked.update(path=made.data.path, steps=made.classifier.train.steps, place=str(place))
        asked["command"] = provenance.environment()["command"]
        verdict = {"word": "helps", "sentence": "It <helps>.", "difference": 0.02}
        arm = {"accuracy": 0.9, "low": 0.8, "high": 1.0, "pictures": {}}
        results = {
            "verdict": verdict | {"low": 0.01, "high": 0.03},
            "arms": {"real": arm},
            "runs": [],
        }
        Path(place).mkdir(parents=True)
        (Path(place) / "results.json").write_text(json.dumps(results))

    monkeypatch.setattr(api.pipeline, "run", finish)
    monkeypatch.chdir(tmp_path)
    found = jaxgan.experiment("my/pets", settings={"classifier.train.steps": 7})
    place = str(Path("runs/quickstart_pets"))
    command = "jaxgan experiment my/pets --config=quickstart --workdir=runs/quickstart_pets"
    command += " --config.classifier.train.steps=7"
    assert asked == {"path": "my/pets", "steps": 7, "place": place, "command": command}
    assert found.verdict == "helps" and found.interval == (0.01, 0.03)
    assert found.arms == [{"arm": "real", "accuracy": 0.9, "low": 0.8, "high": 1.0}]
    assert "It &lt;helps&gt;." in found._repr_html_() and len(repr(found)) < 200


def test_ctrl_c_is_one_for_the_caller(tmp_path, monkeypatch) -> None:
    def stop(*given):
        raise SystemExit(given[0])

    monkeypatch.setattr(api.run, "run", lambda *given: stop(130))
    with pytest.raises(KeyboardInterrupt):
        jaxgan.train("resnet", "toy", workdir=tmp_path)
    monkeypatch.setattr(api.run, "run", lambda *given: stop(143))
    with pytest.raises(SystemExit):
        jaxgan.train("resnet", "toy", workdir=tmp_path)


def test_a_mistyped_setting_of_a_config_is_refused(tmp_path) -> None:
    config = jaxgan.load_config("resnet")
    config.train.stpes = 5
    with pytest.raises(jaxgan.InputError, match=r"no setting .* mean config.train.steps\?"):
        jaxgan.train(config, "toy", workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_package_lists_what_it_has() -> None:
    assert {"experiment", "train", "load", "compare", "InputError"} <= set(dir(jaxgan))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"clasifier.train.steps": 1}, "config.clasifier.train.steps is no key of this config"),
        ({"gan.data.crop": "center"}, "config.gan.data.crop"),
        ({"classifier.train.steps": "many"}, "config.classifier.train.steps cannot be 'many'"),
    ],
)
def test_settings_are_checked_before_anything_runs(settings, words, tmp_path) -> None:
    with pytest.raises(jaxgan.InputError, match=words):
        jaxgan.experiment("toy", workdir=tmp_path / "run", settings=settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("call", "words", "flags"),
    [
        (
            lambda: jaxgan.experiment("toy", budget="5x"),
            "budget must be a time like 90s, 10m or 1.5h, got '5x'",
            "--budget must",
        ),
        (lambda: jaxgan.experiment("toy", on="x"), "on must be ray, ", "--on must"),
        (lambda: jaxgan.experiment("nix"), "images must be a folder", "data.path must"),
        (
            lambda: jaxgan.experiment("nix", workdir=__file__),
            "workdir must be a folder",
            "--workdir must",
        ),
        (lambda: jaxgan.experiment("toy", gan="nix"), "gan must be a file", "--gan must"),
        (lambda: jaxgan.experiment("toy", job_cpus=1), "job_cpus and job_devices must", "job_cpus"),
        (lambda: jaxgan.train("wgan51", "toy"), "config must be a file", "--config must"),
        (lambda: jaxgan.load("nix"), "workdir must be the folder", "--workdir must"),
        (
            lambda: jaxgan.compare(np.zeros((2, 8, 8, 3), np.uint8), "nix"),
            "fake must be a folder of images, and nix is none",
            "--fake must",
        ),
    ],
)
def test_mistakes_name_arguments_and_those_of_scripts_flags(
    call, words, flags, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(jaxgan.InputError) as error:
        call()
    assert str(error.value).startswith(words)
    assert (error.value.with_flags or "").startswith(flags)


def test_only_flags_that_are_arguments_become_them() -> None:
    said = (
        "--data must be a folder: --config.data.path=DIR, --config.train.steps=5 or --data=toy; "
        "or jaxgan sample RUN --data DIR, else --data-x or --other, for /a--data"
    )

    @named(data="path")
    def call(path, images=None, settings=None):
        raise jaxgan.InputError(said)

    with pytest.raises(jaxgan.InputError) as error:
        call("x")
    assert error.value.with_flags == said
    assert str(error.value) == (
        'path must be a folder: images=DIR, settings["train.steps"]=5 or path=toy; '
        "or jaxgan sample RUN --data DIR, else --data-x or --other, for /a--data"
    )


def test_a_length_that_is_set_takes_the_others_place() -> None:
    made = api._config("googlenet", {"train.steps": 12})
    assert made.train.steps == 12 and made.train.epochs is None


def test_a_length_set_in_python_takes_the_others_place_too() -> None:
    config = jaxgan.load_config("googlenet")
    assert config.train.epochs is not None and config.train.steps is None
    config.train.steps = 12
    made = api._config(config, {})
    assert made.train.steps == 12 and made.train.epochs is None
    assert "_lengths" not in config.to_dict() and "_lengths" not in made.to_dict()
    whole = jaxgan.load_config("quickstart", {"seeds": (0, 1)})
    whole.gan.train.kimg = 3.0
    made = api._config(whole, {"classifier.train.epochs": 2.0})
    assert (made.gan.train.kimg, made.gan.train.steps) == (3.0, None)
    assert (made.classifier.train.epochs, made.classifier.train.steps) == (2.0, None)
    unknown = loading.load("googlenet")
    unknown.train.steps = 12
    with pytest.raises(jaxgan.InputError, match=r"set one of train\.steps, train\.epochs"):
        api._config(unknown, {})


def test_the_package_itself_is_light(tmp_path) -> None:
    light = "assert not {'jax', 'numpy'} & {*sys.modules}"
    code = f"import sys, jaxgan; {light}; jaxgan.api.experiment"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env).returncode == 0


@pytest.mark.slow
def test_predictions_are_rows_of_a_file(trained, tmp_path) -> None:
    Image.new("RGB", (40, 50), "gray").save(tmp_path / "a, b.png")
    script = [
        sys.executable,
        str(ROOT / "scripts" / "predict.py"),
        f"--workdir={trained[1].workdir}",
    ]
    out = tmp_path / "said.csv"
    words = [*script, f"--images={tmp_path / 'a, b.png'}", f"--out={out}"]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    header, row = out.read_text().splitlines()
    assert header == "image,class,cat,dog" and row.startswith(f'"{tmp_path / "a, b.png"}",')
