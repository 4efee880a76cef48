"""From a time to folds, seeds and GAN steps; and a second time on top."""

import itertools
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.experiment import budget, pipeline, timing
from jaxgan.experiment.design.plan import prepare
from jaxgan.experiment.results import Record
from jaxgan.experiment.stages import classify
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]


def twin(**changes):
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.arms = ("real", "add")
    config.update_from_flattened_dict(changes)
    return config


def priced(monkeypatch, step=0.5, gan=0.5):
    """Every training costs the same second, look and step."""
    one = timing.Timing(1.0, 3.0, step, 0.0, lambda step: 0, 2**30, 2**20, 0.01)
    learns = one._replace(step=gan)

    def prices(plan, seconds=0.0, check=None):
        ways = {arm.way: one for arm in plan.folds[0].arms}
        trains = plan.folds[0].needed and not plan.outside
        return timing.Prices(learns if trains else None, ways, (0.0, 0.0), (0.0, 0.0))

    monkeypatch.setattr(timing, "prices", prices)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("2d", 172800), (" .5m", 30)]
)
def test_times(text, seconds) -> None:
    assert budget.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "0m", "ten minutes", "10m30s", "1e3s"])
def test_no_times(text) -> None:
    with pytest.raises(InputError, match=r"--budget must be a time like 90s, 10m or 1\.5h, got"):
        budget.parse(text)


def least_of(config):
    with pytest.raises(
        InputError, match=r"--budget=1s is too little .* about (\d+\.?\d*[mh])$"
    ) as e:
        budget.choose(prepare(config), 1.0)
    return budget.parse(str(e.value).rsplit(" ", 1)[1])


@pytest.mark.parametrize("gan", [0.05, 5.0])
def test_too_small_a_budget_names_the_least_that_works(monkeypatch, gan) -> None:
    priced(monkeypatch, gan=gan)
    config = twin(**{"gan.train.steps": 40})
    least = least_of(config)
    choice, _ = budget.choose(prepare(config), least)
    assert choice.seeds * choice.begun >= 2
    with pytest.raises(InputError, match="is too little"):
        budget.choose(prepare(config), least - 90)


def test_what_cannot_fit_is_refused_before_any_step_is_timed(monkeypatch, capsys) -> None:
    monkeypatch.setattr(timing, "time_steps", lambda *given: pytest.fail("steps were timed"))
    floor = budget.START / (1 - budget.END)
    with pytest.raises(InputError, match=r"^--budget=10s is too little: .* is above (\d+)s$") as e:
        budget.choose(prepare(twin()), 10.0)
    assert float(str(e.value).rsplit(" ", 1)[1].rstrip("s")) > floor
    said = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in said[-3:]] == ["class", "cat", "dog"]


def test_what_runs_out_between_two_trials_is_refused_there(monkeypatch, capsys) -> None:
    """The first trial takes 100 s: the second is not begun."""
    clock, begin = time.perf_counter, time.perf_counter()
    monkeypatch.setattr(budget.time, "perf_counter", lambda: clock() + 100 * len(trials))
    trials = []
    monkeypatch.setattr(timing, "time_steps", lambda *given: trials.append(given))
    with pytest.raises(InputError, match="is too little: reading the images, timing"):
        budget.choose(prepare(twin()), 90.0, begin)
    assert len(trials) == 1
    assert "timing trial steps, of 2 kinds of training" in capsys.readouterr().out


def test_sides_that_folders_give_are_kept(monkeypatch, tmp_path) -> None:
    """No fold may train on an image that somebody has put below test/."""
    priced(monkeypatch)
    rng = np.random.default_rng(0)
    for side, count in (("train", 12), ("val", 3), ("test", 5)):
        for name in ("cat", "dog"):
            (tmp_path / side / name).mkdir(parents=True)
            for i in range(count):
                image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
                image.save(tmp_path / side / name / f"{i}.png")
    config = twin(**{"data.path": str(tmp_path), "classifier.train.batch_size": 4})
    choice, plan = budget.choose(prepare(config), 1e6)
    assert choice.folds == choice.begun == 1 and choice.images == 10
    names = [plan.real.names[i] for i in plan.folds[0].sides.test]
    assert all(name.startswith("test/") for name in names) and len(names) == 10
    config.data.folds = 4
    with pytest.raises(InputError, match=r"data.folds=4 tests every image once, .* set folds=1"):
        budget.choose(prepare(config), 1e6)


def test_more_time_never_gives_a_wider_interval_than_is_narrow_enough(monkeypatch) -> None:
    priced(monkeypatch)
    config = twin(**{"gan.train.steps": 400})
    least = least_of(config)
    choices = [budget.choose(prepare(config), least * more)[0] for more in (1, 1.5, 2, 4, 8, 16)]
    halves = [max(choice.half, budget.ENOUGH) for choice in choices]
    assert all(b <= a + 0.002 for a, b in itertools.pairwise(halves)), halves
    for choice, more in zip(choices, (1, 1.5, 2, 4, 8, 16), strict=True):
        assert choice.seconds <= least * more and choice.begun <= choice.folds
        assert 40 <= choice.gan_steps <= 400 and 1 <= choice.seeds <= budget.MOST_SEEDS
        said = budget.say(choice, least * more)
        assert f"{choice.images:,} test images" in said and "points or more" in said


@pytest.mark.parametrize(
    ("folds", "k", "seconds"), [(2, 1, 35), (4, 1, 35), (4, 2, 30), (4, 3, 15)]
)
def test_a_fold_waits_for_what_gives_an_interval(folds, k, seconds) -> None:
    """GANs of 5 s and a seed of 10 s; then second seeds, or what is missing of four folds."""
    begun = object.__new__(pipeline._Experiment)
    begun.plan, begun.begin_folds = SimpleNamespace(folds=[None] * 4), folds
    begun.record, begun.trained = Record(), {0: None}
    begun.record.runs.append({"fold": 0, "seed": 0, "seconds": 10.0})
    begun.record.generators.append({"fold": 0, "seconds": 5.0})
    assert begun._fold_takes(k) == seconds


def test_what_was_chosen_is_put_into_the_config() -> None:
    config = twin(seeds=(7, 3))
    choice = budget.Choice(4, 2, 3, 120, 0.03, 0.05, 500.0, 24)
    made = parse(config).changed(budget.apply(config.seeds, choice))
    assert made.data.folds == 4 and made.gan.train.steps == 120 and made.gan.train.kimg is None
    assert made.seeds[:4] == (7, 3, 0, 1) and len(set(made.seeds)) == budget.MOST_SEEDS


@pytest.mark.slow
@pytest.mark.parametrize("folds", [1, 3])
def test_a_second_budget_adds_to_the_first_and_redoes_nothing(monkeypatch, tmp_path, folds) -> None:
    """The time is over after so many classifiers as each budget has room for."""
    priced(monkeypatch)
    monkeypatch.setattr(budget, "FOLDS", (1,))
    config = twin(**{"data.folds": folds})
    done, clock = [], {"left": 0}
    labels = pipeline.prepare(config.copy_and_resolve_references()).real.labels
    real_train = classify.training.train_classifier

    def train(mine, source, validation, workdir, **more):
        done.append(str(workdir))
        clock["left"] -= 1
        return real_train(mine, source, validation, workdir, **more)

    monkeypatch.setattr(classify.training, "train_classifier", train)
    monkeypatch.setattr(pipeline._Experiment, "_in_time", lambda self, seconds: clock["left"] > 0)
    counts = []
    for left in (2 * folds, 2 * folds + 2):
        clock["left"] = left
        mine = config.copy_and_resolve_references()
        found = budget.spend(prepare(mine), tmp_path / "run", 3600.0, budget.time.perf_counter())
        counts.append({(r["fold"], r["seed"], r["arm"]) for r in found["runs"]})
        assert found["ended"].startswith("the time is over")
    assert len(done) == len(set(done)) == len(counts[1]) and counts[0] < counts[1]
    assert len(found["test"]["labels"]) == (len(labels) if folds > 1 else 13)
    assert found["verdict"]["seeds"] >= 1


def test_a_folder_without_a_budget_is_not_gone_on_with(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="begun without --budget"):
        budget.spend(prepare(twin()), tmp_path, 60.0, 0.0)
