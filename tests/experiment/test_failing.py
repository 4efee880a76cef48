"""An experiment of which a GAN fails: all that can do without its pictures goes on."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from etils import epath

from jaxgan.config import loading as configs
from jaxgan.engine import log
from jaxgan.experiment import pipeline
from jaxgan.experiment.design.plan import prepare
from jaxgan.experiment.report import tables
from jaxgan.experiment.stages import gans
from jaxgan.experiment.stages.fold_context import FoldContext
from jaxgan.training import run
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]
NEEDS = "it needs generated images of cat, whose GAN failed"


def twin(**changes):
    """Arms without, with one class's and with both classes' generated pictures."""
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.arms, config.replace.classes = ("real", "replace", "add"), ("dog",)
    config.verdict.primary = ("add", "real")
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture(scope="module")
def trained():
    """What is trained, by label; GANs of cats fail with the error that stands in "fails"."""
    train_gan, train_classifier = run.train_gan, run.train_classifier
    trained: dict = {"labels": [], "fails": None}

    def gan(config, *args, label, **more):
        trained["labels"].append(label)
        if trained["fails"] and config.data.classes == ("cat",):
            raise trained["fails"]
        return train_gan(config, *args, label=label, **more)

    def classifier(*args, label, **more):
        trained["labels"].append(label)
        return train_classifier(*args, label=label, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "train_gan", gan)
        patch.setattr(run, "train_classifier", classifier)
        yield trained


@pytest.fixture(scope="module")
def failed(tmp_path_factory, trained):
    """The first attempt: its folder, its results, and what it said at its end."""
    folder = tmp_path_factory.mktemp("failing")
    trained["fails"] = FloatingPointError("the loss is nan\nat step 3")
    with pytest.raises(InputError) as ended:
        pipeline.run(twin(stop_below=0.01), folder)
    return folder, json.loads((folder / "results.json").read_text()), str(ended.value)


@pytest.mark.slow
def test_all_other_arms_are_trained_and_judged(failed, trained) -> None:
    _, results, _ = failed
    arms = ["real seed 0", "replace seed 0", "real seed 1", "replace seed 1"]
    assert trained["labels"] == ["gan dog", "gan cat", *arms]
    assert {(r["arm"], r["seed"]) for r in results["runs"]} == {
        (arm, seed) for arm in ("real", "replace") for seed in (0, 1)
    }
    found = [(run["arm"], run["seed"], run["error"]) for run in results["failed"]]
    assert found == [("add", seed, NEEDS) for seed in (0, 1)]
    (contrast,) = results["contrasts"]
    assert (contrast["a"], contrast["b"], contrast["primary"]) == ("replace", "real", False)
    assert contrast["low"] is not None and contrast["p"] is not None
    assert [gan["class"] for gan in results["generators"]] == ["dog"]
    assert set(results["figures"]["generated"]) == {"dog"}


@pytest.mark.slow
def test_what_failed_is_told_in_a_line_each(failed) -> None:
    folder, results, ended = failed
    lines = (folder / "log.txt").read_text().splitlines()
    why = "the loss is nan at step 3"
    assert f"the GAN of cat (size all) failed, arms without its images go on: {why}" in lines
    assert f"gan-train of add failed, so that config.stop_below decides nothing: {NEEDS}" in lines
    for seed in (0, 1):
        assert f"add seed {seed} failed, the others go on: {NEEDS}" in lines
    (gan,) = results["failed_generators"]
    assert (gan["name"], gan["error"]) == ("cat (size all)", why)
    sentence = f"No seed was finished for both add and real: add seed 0 failed: {NEEDS}"
    assert results["verdict"]["sentence"] == sentence and ended.endswith(sentence)
    assert f"no verdict: {sentence}" in lines and lines[-1].startswith("next: ")
    page = (folder / "report.html").read_text()
    for said in ("<h1>No verdict</h1>", sentence, f"The GAN of cat (size all): {why}"):
        assert said in page
    assert f"Arm add, seeds 0, 1: {NEEDS}" in page and "Where they helped" not in page
    row = tables.compare([folder]).splitlines()[1]
    assert "no verdict" in row and row.count("none") == 2


@pytest.mark.slow
def test_checks_that_cannot_be_made_say_so(failed) -> None:
    found = {guard["name"]: guard for guard in failed[1]["guards"]}
    assert found["copies of cat (size all)"]["passed"] is None
    assert "see what failed" in found["copies of cat (size all)"]["sentence"]
    assert {"leakage", "shortcut", "equal steps", "test opened once", "copies of dog"} < set(found)
    assert found["test opened once"]["passed"] and found["leakage"]["passed"]


@pytest.mark.slow
def test_a_verdict_that_needs_none_of_it_is_given(failed, trained) -> None:
    trained["labels"].clear()
    results = pipeline.run(twin(**{"verdict.primary": ("replace", "real")}), failed[0])
    assert trained["labels"] == ["gan cat"]
    assert results["verdict"]["word"] != "no verdict" and results["verdict"]["seeds"] == 2
    assert len(results["failed"]) == 2


@pytest.mark.slow
def test_with_no_picture_of_any_gan_real_ones_are_still_learned_from(
    failed, trained, tmp_path, monkeypatch
) -> None:
    def never(*args, **more):
        raise RuntimeError("no luck")

    monkeypatch.setattr(run, "train_gan", never)
    with pytest.raises(InputError, match="No seed was finished"):
        pipeline.run(twin(), tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [r["arm"] for r in results["runs"]] == ["real"] * 2 and results["generators"] == []
    assert len(results["failed_generators"]) == 2 and len(results["failed"]) == 4
    found = {guard["name"]: guard["passed"] for guard in results["guards"]}
    assert found["shortcut"] is None and found["leakage"]
    assert results["cost"]["sentences"][0] == "No GAN was finished."
    assert "no GAN was trained" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interruption_ends_it_all(trained, tmp_path, monkeypatch, end) -> None:
    monkeypatch.setitem(trained, "fails", end)
    trained["labels"].clear()
    with pytest.raises(type(end)):
        pipeline.run(twin(arms=("real", "add")), tmp_path)
    assert trained["labels"] == ["gan cat"] and not (tmp_path / "results.json").exists()


@pytest.mark.slow
def test_the_same_command_tries_again_only_what_failed(failed, trained) -> None:
    """The last test of `failed`: it finishes it."""
    trained["labels"].clear()
    trained["fails"] = None
    results = pipeline.run(twin(), failed[0])
    assert trained["labels"] == ["gan cat", "add seed 0", "add seed 1"]
    assert results["failed"] == results["failed_generators"] == []
    assert results["verdict"]["word"] != "no verdict" and results["verdict"]["seeds"] == 2
    assert len(results["generators"]) == 2
    assert "What failed" not in (failed[0] / "report.html").read_text()


def test_anothers_failure_and_one_that_cannot_be_drawn_from_are_taken_alike(
    tmp_path, monkeypatch
) -> None:
    """Two GANs a class: seeds miss the images of theirs alone."""
    arms = ("real", "replace", "replace+selection")
    config = twin(seeds=(0, 1, 2), arms=arms, **{"verdict.primary": ("replace", "real")})
    config.gan.retrain, config.replace.classes = 2, ("cat",)
    plan, tried = prepare(config), []

    def train_gan(config, *args, **more):
        tried.append(more["label"])
        return SimpleNamespace(step=3)

    def drawn(context, jobs, *more):
        if jobs[0].key.selected:
            raise OSError("the disk is full")
        return {job.output: plan.real for job in jobs}, 1.0

    monkeypatch.setattr(gans.run, "train_gan", train_gan)
    monkeypatch.setattr(gans, "_draw", drawn)
    jobs = plan.pick("samples")
    with log.Log(tmp_path) as told:
        failed = {"gan/cat-all-1.json": "there it failed"}
        context = FoldContext(plan, plan.folds[0], epath.Path(tmp_path), told, failed=failed)
        made = gans.from_gans(context, jobs, plan.real, None)
    assert tried == ["gan cat-all-0"]
    assert {(job.seed, job.key.selected) for job in jobs if job.output in made.samples} == {
        (0, False), (2, False)
    }  # fmt: skip
    assert [(gan["name"], gan["error"]) for gan in made.failed] == [
        ("cat (size all, number 0)", "drawing from it failed: the disk is full"),
        ("cat (size all, number 1)", "there it failed"),
    ]
    assert [gan["gan"] for gan in made.about] == [0]
