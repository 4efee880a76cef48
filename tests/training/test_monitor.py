"""Metrics while a GAN trains: they change nothing, and say which checkpoint is the best."""

from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.engine.log import read_metrics
from jaxgan.metrics import features
from jaxgan.metrics.intervals import NAMES
from jaxgan.sampling import sample
from jaxgan.training import monitor, run
from jaxgan.types import InputError

CONFIG = str(Path(__file__).parents[2] / "configs" / "dcgan64.py")
STEPS = 5


def twin(**changes: object) -> ConfigDict:
    config = configs.load(CONFIG, test=True)
    config.data.limit = 12  # Of each class.
    config.train.steps, config.train.sample_every, config.train.checkpoint_every = STEPS, 3, 4
    config.evaluate.update({"every": 1, "features": "light", "share": 1.0})
    config.update_from_flattened_dict(changes)
    return config


def last_state(workdir: Path):
    config = configs.read_claim(workdir)
    abstract = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    with Checkpoints(workdir, sample.best_of(config.evaluate), read_only=True) as checkpoints:
        restored = checkpoints.restore(abstract)
    assert restored is not None and restored.step == STEPS
    return restored.state


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same training without evaluations, with them, and with them in two parts."""
    folder = tmp_path_factory.mktemp("monitor")
    run.run(twin(**{"evaluate.every": 0}), folder / "without")
    run.run(twin(), folder / "with")
    run.run(twin(**{"train.steps": 3}), folder / "parts")
    run.run(twin(), folder / "parts")
    return folder


def test_evaluations_change_no_bit_of_the_training(runs: Path) -> None:
    states = [last_state(runs / name) for name in ("without", "with", "parts")]
    for other in states[1:]:
        jax.tree.map(np.testing.assert_array_equal, states[0], other)


def test_each_evaluation_is_told_once_with_intervals(runs: Path) -> None:
    rows = [row for row in read_metrics(runs / "with") if "evaluate/kid" in row]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5]
    for row in rows:
        for name in NAMES:
            low, value, high = (row[f"evaluate/{name}{end}"] for end in ("/low", "", "/high"))
            assert low <= value <= high
    # Always of the same latents, whatever was before.
    again = [row for row in read_metrics(runs / "parts") if "evaluate/kid" in row]
    assert again == rows
    assert not any("evaluate/kid" in row for row in read_metrics(runs / "without"))
    value, low = rows[0]["evaluate/kid"], rows[0]["evaluate/kid/low"]
    assert f"kid {value:.4g} [{low:.4g}, " in (runs / "with" / "log.txt").read_text()


@pytest.mark.parametrize("name", ["with", "parts"])
def test_the_best_checkpoint_is_kept_and_drawn_from(runs: Path, name: str) -> None:
    rows = [row for row in read_metrics(runs / name) if "evaluate/kid" in row]
    best = min(rows, key=lambda row: row["evaluate/kid"])["step"]
    kept = {int(p.name) for p in (runs / name / "checkpoints").iterdir() if p.is_dir()}
    assert kept == {4, 5, best}
    assert sample.restore(runs / name, "best").step == best
    assert sample.restore(runs / name).step == sample.restore(runs / name, "5").step == 5


def test_there_is_no_best_without_evaluations(runs: Path) -> None:
    with pytest.raises(InputError, match=r"--step=best needs a run that measured .*without did"):
        sample.restore(runs / "without", "best")
    with pytest.raises(InputError, match="must be a number or best, got 'worst'"):
        sample.restore(runs / "with", "worst")


def test_going_on_without_evaluations_keeps_the_best(runs: Path, tmp_path: Path) -> None:
    run.run(twin(**{"train.steps": 2, "evaluate.metrics": ("kid",)}), tmp_path)
    rows = [row for row in read_metrics(tmp_path) if "evaluate/kid" in row]
    best = min(rows, key=lambda row: row["evaluate/kid"])["step"]
    more = {"train.steps": 9, "train.checkpoint_every": 1, "evaluate.every": 0}
    run.run(twin(**more, **{"evaluate.metrics": ("kid",)}), tmp_path)
    assert sample.restore(tmp_path, "best").step == best
    assert set(rows[0]) == {"step", *(f"evaluate/kid{end}" for end in ("", "/low", "/high"))}


def stand_in(config: ConfigDict, tell=lambda line: None) -> monitor.Monitor:
    """The pictures that it draws are noise of the deviation that its weights are."""
    source = ToySource(16, count=15)

    def draw(variables, seeds):
        rng = np.random.default_rng(np.asarray(seeds))
        noise = 128 + variables["deviation"] * rng.normal(size=(len(seeds), 16, 16, 3))
        return noise.clip(0, 255).astype(np.uint8)

    return monitor.make_monitor(parse(config).evaluate, config.seed, source, draw, tell)


def test_evaluations_keep_to_their_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, lines = SimpleNamespace(now=0.0), []

    def perf_counter() -> float:
        clock.now += 1.0  # An evaluation, which asks twice, takes a second.
        return clock.now

    monkeypatch.setattr(monitor.time, "perf_counter", perf_counter)
    measure = stand_in(twin(**{"evaluate.share": 0.1, "evaluate.metrics": ("kid",)}), lines.append)
    weights = {"deviation": np.float32(30)}
    told, began = [], clock.now
    for step in range(40):
        told.append(bool(measure(weights, step)))
        # All but the first one leave the share as it should be.
        assert step == 0 or not told[-1] or sum(told) <= (clock.now - began) / 10
    assert told[0] and sum(told) == 4
    assert len(lines) == told.count(False)
    assert lines[0] == (
        "not evaluated at step 1: evaluations would take 50% of the time, and evaluate.share is 10%"
    )


def test_weights_that_are_not_finite_are_a_sentence() -> None:
    lines: list[str] = []
    measure = stand_in(twin(), lines.append)
    assert measure({"deviation": np.float32(np.nan)}, 7) == {}
    assert lines == ["not evaluated at step 7: the averaged generator is not finite"]
    collapsed = measure({"deviation": np.float32(0)}, 8)  # All pictures are the same.
    assert collapsed["evaluate/recall"] == 0 and np.isfinite(list(collapsed.values())).all()


def test_features_are_settled_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    config = twin(**{"evaluate.features": "auto"})
    for installed, expected in ((True, "vgg16"), (False, "light")):
        monkeypatch.setattr(features, "available", lambda name="": installed)  # noqa: B023
        assert monitor.settle(config.evaluate, ()) == {"evaluate.features": expected}
    off = twin(**{"evaluate.features": "auto", "evaluate.every": 0})
    assert monitor.settle(off.evaluate, ()) == {}


def test_what_cannot_be_measured_is_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features._weights.cache_clear()
    features.vgg16.cache_clear()
    monkeypatch.setattr(features, "PACKAGE", "not_installed_at_all")
    with pytest.raises(InputError, match=r"vgg16 needs weights .*jaxgan\[features\]"):
        run.run(twin(**{"evaluate.features": "vgg16", "data.resolution": 32}), tmp_path / "a")
    with pytest.raises(InputError, match=r"must be 0 with .* 20 images a side, got 8"):
        run.run(twin(**{"data.limit": 4}), tmp_path / "b")
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"evaluate.every": -1}, "evaluate.every must not be negative, got -1"),
        ({"evaluate.metrics": ("fid",)}, "frechet, kid, .*, got 'fid'"),
        ({"evaluate.metrics": ("frechet",)}, "evaluate.best must be one of frechet, got 'kid'"),
        ({"evaluate.features": "inception"}, "one of auto, vgg16, alexnet, light, got 'inception'"),
        ({"evaluate.share": 0.0}, r"evaluate.share must be within \(0, 1\], got 0"),
    ],
)
def test_bad_values_are_named(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        combinations.check_training(twin(**changes))


def test_the_metrics_of_a_config_are_those_that_there_are() -> None:
    assert combinations.METRICS == NAMES
