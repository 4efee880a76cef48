"""What an experiment took, and what it will take."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jaxgan import config as configs
from jaxgan import training
from jaxgan.experiment import cost, dry_run

ROOT = Path(__file__).parents[1]


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
    for run, p in zip(given["runs"], rows, strict=True):
        run["probabilities"] = p
    given["test"] = {"labels": [1, 1, 1]}
    found = cost.cost(given)
    assert found["ensemble"] == {"classifiers": 3, "accuracy": 1.0}
    assert "3 of these together" in found["sentences"][1] and "100.0%" in found["sentences"][1]
    given["seconds"] |= {"gan": 25.0, "generate": 0.0}  # For one more.
    assert cost.cost(given)["ensemble"]["classifiers"] == 2
    given["seconds"]["gan"] = 5.0
    assert cost.cost(given)["ensemble"] is None


def test_a_dry_run_adds_up_and_trains_nothing(monkeypatch) -> None:
    def never(*args, **more):
        raise AssertionError("something was trained")

    for name in ("train_gan", "train_classifier"):
        monkeypatch.setattr(training, name, never)
    tried = []

    def trial(config, source, seconds):
        tried.append((config.model.name, len(source)))
        return dry_run.Trial(3.0, 0.5, 0.25, lambda step: 4 * (step < 2), 2**30, 2**20, 0.1)

    monkeypatch.setattr(dry_run, "trial", trial)
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    with config.unlocked():
        config.gan.train.steps, config.gan.train.epochs, config.gan.train.kimg = 10, None, None
        train = config.classifier.train
        train.steps, train.epochs, train.kimg = 20, None, None
    gans, drawing, classifiers = dry_run.predict(config)
    assert [name for name, _ in tried] == [config.gan.model.name, *["googlenet"] * 2]
    assert gans[:4] == ("GANs", 2, 3 + 2 * (10 * 0.5 + 8 * 0.25), 2**30)
    assert gans.disk == 2 * dry_run.KEPT * 2**20
    assert drawing.seconds == pytest.approx(0.1 * drawing.count)
    assert classifiers[:3] == ("classifiers", 8, 2 * 3 + 8 * 20 * 0.5)
    rows = dry_run.table([gans, drawing, classifiers]).splitlines()
    assert len(rows) == 5 and len({len(row) for row in rows}) == 1


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
    rows = done.stdout.strip().splitlines()
    assert [row.split()[0] for row in rows[1:]] == ["GANs", "drawing", "classifiers", "all"]
    for row in rows[1:]:
        assert re.search(r"\d+:\d\d +\d+\.\d\d GiB +\d+\.\d\d GiB$", row), row
