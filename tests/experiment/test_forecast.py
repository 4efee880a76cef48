"""What an experiment took, and what it will take."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.settings import Train
from jaxgan.config.typed import parse
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine import loop
from jaxgan.engine.checkpoint import Best, Checkpoints
from jaxgan.engine.log import Log
from jaxgan.experiment import forecast, timing
from jaxgan.experiment.design.plan import prepare
from jaxgan.experiment.report import cost
from jaxgan.experiment.stages.classifier_images import ClassifierImages
from jaxgan.experiment.stages.fold_context import FoldContext
from jaxgan.training import frozen_features, run
from jaxgan.types import Recipe

ROOT = Path(__file__).parents[2]


def results(*arms, same_batch=True):
    return {
        "seconds": {"data": 36.0, "gan": 7200.0, "generate": 90.0, "classify": 180.0, "total": 8e3},
        "config": {
            "gan": {"train": {"batch_size": 8, "n_critic": 5, "same_batch": same_batch}},
            "classifier": {"train": {"batch_size": 32}},
        },
        "runs": [
            {"arm": arm, "seconds": 10.0 * (1 + k), "steps": 100} for k, arm in enumerate(arms)
        ],
        "generators": [{"steps": 1000}, {"steps": 500}],
        "arms": {arm: {"accuracy": 0.7 + 0.1 * k} for k, arm in enumerate(arms)},
        "environment": {"devices": ["cpu cpu"]},
    }


def test_cost_counts_hours_pictures_and_what_they_would_have_bought() -> None:
    found = cost.cost(results("real", "real+augmentation", "add"))
    assert found["hours"]["gan"] == 2 and found["hours"]["data"] == pytest.approx(0.01)
    assert found["devices"] == ["cpu cpu"]
    assert found["pictures"] == {"gan": 1500 * 8, "classify": 300 * 32}
    assert found["seconds_a_classifier"] == 10 and found["further_seeds"] == 729
    accuracy = {"real": 0.7, "real+augmentation": pytest.approx(0.8)}
    assert found["augmentation"] == {"compared": True, "accuracy": accuracy}
    bought, augmented = found["sentences"]
    assert "729 more classifiers" in bought and "80.0%" in augmented
    assert [(r["arm"], r["seconds"], r["pictures_seen"]) for r in found["rows"]] == [
        ("real", 10, 3200),
        ("real+augmentation", 20, 3200),
        ("add", 30, 3200),
    ]


def test_cost_of_turns_with_batches_of_their_own_and_without_augmentation() -> None:
    found = cost.cost(results("add", "generated", same_batch=False))
    assert found["pictures"]["gan"] == 1500 * 8 * 5
    assert found["seconds_a_classifier"] == 15 and found["further_seeds"] == 486
    assert found["augmentation"]["compared"] is False
    assert "was not compared" in found["sentences"][-1]


def test_what_the_hours_of_more_seeds_would_have_bought() -> None:
    """Two classifiers that err on different pictures are right together, as far as hours go."""
    given = results("real", "real", "real", "add")
    sure, wrong = [0.1, 0.9], [0.6, 0.4]
    rows = ([wrong, sure, sure], [sure, wrong, sure], [sure, sure, wrong], [wrong] * 3)
    for each, p in zip(given["runs"], rows, strict=True):
        each["probabilities"] = p
    given["test"] = {"labels": [1, 1, 1]}
    found = cost.cost(given)
    assert found["ensemble"] == {"classifiers": 3, "accuracy": 1.0}
    assert "The 3 at hand" in found["sentences"][1] and "100.0%" in found["sentences"][1]
    given["seconds"] |= {"gan": 25.0, "generate": 0.0}  # For one more.
    assert cost.cost(given)["ensemble"]["classifiers"] == 2
    given["seconds"]["gan"] = 5.0
    assert cost.cost(given)["ensemble"] is None


def test_a_dry_run_adds_up_and_trains_nothing(monkeypatch) -> None:
    def never(*args, **more):
        raise AssertionError("something was trained")

    for name in ("train_gan", "train_classifier"):
        monkeypatch.setattr(run, name, never)
    tried = []

    def time_steps(recipe, batches, options, seconds, look):
        tried.append((options.config["model"]["name"], options.memory.prefix))
        more = lambda step: 4 * (step < 2)  # noqa: E731
        return timing.Timing(1.0, 3.0, 0.5, 0.25, more, 2**30, 2**20, 0.1)

    monkeypatch.setattr(timing, "time_steps", time_steps)
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    with config.unlocked():
        for train, steps in ((config.gan.train, 10), (config.classifier.train, 20)):
            train.steps, train.epochs, train.kimg = steps, None, None
            train.sample_every = train.checkpoint_every = 8
    gans, drawing, classifiers = forecast.predict(prepare(parse(config)))
    assert tried == [(config.gan.model.name, "gan."), *[("resnet", "classifier.")] * 2]
    assert gans[:4] == ("GANs", 2, pytest.approx(3 + 2 * (1 + 10 * 0.5 + 8 * 0.25)), 2**30)
    assert gans.disk == (2 * 2 + 1) * 2**20  # Steps 8 and 10 of each, and one that is written.
    assert drawing.seconds == 0  # It comes with each seed's classifiers.
    # Validation at steps 8, 16 and 20, then the test; a batch has room for all pictures.
    seconds = 2 * 3 + 8 * (1 + 20 * 0.5 + (3 + 1) * 0.1) + 0.1 * drawing.count
    assert classifiers[:3] == ("classifiers", 8, pytest.approx(seconds))
    assert classifiers.disk == (8 * 3 + 1) * 2**20
    rows = forecast.table([gans, drawing, classifiers]).splitlines()
    assert len(rows) == 5 and len({len(row) for row in rows}) == 1


@pytest.mark.parametrize("ranked", [0, 2, 3, 4, 20])
@pytest.mark.parametrize("every", [2, 5, 20])
def test_a_finished_run_keeps_as_many_checkpoints_as_are_counted(
    every: int, ranked: int, tmp_path: Path
) -> None:
    """The first one that is ranked is the best: as many as there can be."""

    def evaluate(state: dict) -> loop.Evaluation:
        return loop.Evaluation({"score": -float(state["n"])}, {})

    begin = lambda key: {"n": jnp.zeros(())}  # noqa: E731
    step = lambda state, batch, key: ({"n": state["n"] + 1}, {"loss": state["n"]})  # noqa: E731
    batches = loader.make_batches(loader.in_memory(ToySource(8, count=4)), batch_size=4, seed=0)
    options = loop.TrainOptions(
        9, 4, sample_every=ranked or 3, checkpoint_every=every, config={},
        best=Best("score", "max") if ranked else None,
    )  # fmt: skip
    with Log(tmp_path) as log:
        loop.train(Recipe(begin, step), batches, options, tmp_path, log=log, evaluate=evaluate)
    kept = [p for p in (tmp_path / "checkpoints").iterdir() if p.name.isdecimal()]
    train = Train(checkpoint_every=every)
    assert len(kept) == forecast._kept(train, 9, ranked)


def frozen_trunk(augment: tuple[str, ...] = ("flip",)) -> ConfigDict:
    """A quickstart whose classifier has VGG16's trunk, as if it were published."""
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.classifier = configs.load(str(ROOT / "configs" / "vgg16_small.py"), test=True)
    classifier = config.classifier
    classifier.model.pretrained, classifier.optim.trunk = "weights.safetensors", 0.0
    classifier.train.augment, classifier.train.views = augment, 3
    config.arms = ("real", "add:5", "add:9", "add:3+augmentation", "add:9+augmentation")
    config.arms += ("add:4+selection", "real@6+augmentation", "generated@6")
    config.verdict.primary, config.select.by = ("add:5", "real"), "none"
    return config


@pytest.mark.parametrize("augmented", [True, False])
def test_a_frozen_trunk_looks_as_often_as_is_planned(augmented: bool, monkeypatch) -> None:
    config = frozen_trunk()
    if not augmented:
        config.arms = tuple(name for name in config.arms if "augmentation" not in name)
    monkeypatch.setattr(run, "check_start", lambda *about: None)
    monkeypatch.setattr(frozen_features, "BATCH", 4)
    seen = []

    def look(section: ConfigDict, source: Source, views: int = 1) -> frozen_features.Views:
        seen.append((len(source), views))
        return frozen_features.Views(source, np.zeros((len(source), views, 2), np.float32))

    monkeypatch.setattr(frozen_features, "look", look)
    plan = prepare(config)
    (fold,) = plan.folds
    cats = np.flatnonzero(plan.real.labels == 0)
    samples = {
        job.output: loader.Subset(plan.real, np.resize(cats, fold.needed[job.key][job.name]))
        for job in plan.pick("samples")
    }
    images = ClassifierImages(FoldContext(plan, fold, None, None), samples)
    for job in plan.pick("classifier"):
        images.of(job)
    features = plan.pick("features")
    assert sorted((job.images, job.views) for job in features) == sorted(seen)
    assert all(job.steps == -(-job.images // 4) * job.views for job in features)


@pytest.mark.slow
def test_a_checkpoint_takes_what_is_counted(tmp_path: Path) -> None:
    """A frozen trunk's weights are in it; its momentum, which stays zero, takes no place."""
    config = frozen_trunk().classifier
    config.model.num_classes, config.model.width = 2, 0.25
    config.model.hidden, config.model.grid = (), 1
    features = np.random.default_rng(0).normal(size=(8, 1, 128)).astype(np.float32)
    views = frozen_features.Views(ToySource(32, count=4), features)
    found = timing.time_steps(*timing.assemble(parse(config), views), 0.0)
    state = recipes.build(config).init(jax.random.key(0))
    head = sum(x.nbytes for name, layer in state.net.params.items()
               if name.startswith("fc") for x in layer.values())  # fmt: skip
    weights = sum(x.nbytes for x in jax.tree.leaves(state.net.params))
    assert found.checkpoint == pytest.approx(weights + head, rel=0.003)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, {}, {})
        checkpoints.wait()
    size = sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert 0.85 * found.checkpoint < size < 1.02 * found.checkpoint


@pytest.mark.slow
def test_the_script_prints_a_table_and_writes_nothing(tmp_path) -> None:
    twin = tmp_path / "twin.py"
    twin.write_text(
        "from jaxgan.config import load\n\n\ndef get_config():\n"
        f"    return load({str(ROOT / 'configs' / 'quickstart.py')!r}, test=True)\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "scripts" / "experiment.py",
            f"--config={twin}",
            *("--dry_run", "--config.arms=('real','add')", f"--workdir={tmp_path / 'run'}"),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "run").exists()
    rows = done.stdout.strip().splitlines()[-5:]  # Before them, on a busy machine, what takes long.
    assert [row.split()[0] for row in rows[1:]] == ["GANs", "drawing", "classifiers", "all"]
    for row in rows[1:]:
        assert re.search(r"\d+:\d\d +\d+\.\d\d GiB +\d+\.\d\d GiB$", row), row
