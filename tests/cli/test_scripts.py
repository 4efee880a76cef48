"""The scripts, run as a user runs them."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TINY = [
    "--config.data.path=toy",
    "--config.data.limit=8",
    "--config.data.resolution=32",
    "--config.model.channels=8",
    "--config.model.latent_dim=8",
    "--config.train.batch_size=4",
    "--config.train.n_critic=2",
    "--config.train.log_every=1",
]


def call(script: str, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, f"scripts/{script}.py", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def refused(script: str, *arguments: str | Path, code: int = 1) -> str:
    """The one sentence on standard error, but for settings that a test gives anew."""
    lines = [x for x in call(script, *arguments, code=code).stderr.splitlines() if x.strip()]
    lines = [x for x in lines if "is given several times" not in x]
    assert len(lines) == 1, lines
    return lines[0]


def train(workdir: Path, *more: str) -> list:
    return ["--config=configs/wgan512.py", *TINY, f"--workdir={workdir}", *more]


@pytest.fixture(scope="module")
def gan(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("scripts") / "gan"
    call("train", *train(workdir, "--config.train.steps=2"))
    return workdir


def files(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob("*.png")}


def test_sample_writes_pictures_a_manifest_and_a_grid(gan: Path, tmp_path: Path) -> None:
    call("sample", f"--workdir={gan}", "--num=5", "--out", tmp_path / "a", "--batch_size=2")
    call("sample", f"--workdir={gan}", "--num=9", "--out", tmp_path / "b", "--seed=0")
    few, more = files(tmp_path / "a"), files(tmp_path / "b")
    assert len(few) == 5 and len(more) == 9 and few.items() <= more.items()
    rows = [json.loads(r) for r in (tmp_path / "a" / "manifest.jsonl").read_text().splitlines()]
    assert {r["file"]: r["sha256"] for r in rows} == few
    assert [r["seed"] for r in rows] == list(range(5)) and rows[0]["checkpoint_step"] == 2

    call("sample", f"--workdir={gan}", "--num=4", "--grid", tmp_path / "grid.png", "--seed=7")
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.size == (66, 66)


def test_sample_keeps_the_first_of_a_surplus(gan: Path, tmp_path: Path) -> None:
    out = call(*("sample", f"--workdir={gan}", "--select=3", "--by=none", "--out", tmp_path)).stdout
    assert "kept 3 of 12 images drawn, by none" in out and len(files(tmp_path)) == 3
    rows = [json.loads(r) for r in (tmp_path / "drawn.jsonl").read_text().splitlines()]
    assert [r["kept"] for r in rows] == [True] * 3 + [False] * 9
    assert "from 1 to the 2 images drawn, got 3" in refused(
        "sample", f"--workdir={gan}", "--select=3", "--num=2", "--out", tmp_path
    )


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """SIGTERM in the middle: exit code 143, a checkpoint, and the same weights in the end.

    Its reader leaves before that, as `| head -1` does, and a second process is refused.
    """
    arguments = train(tmp_path / "run", "--config.train.steps=100000")
    process = subprocess.Popen(
        [sys.executable, "scripts/train.py", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    log, limit = tmp_path / "run" / "log.txt", time.monotonic() + 240
    while not (log.exists() and "step 2/" in log.read_text()):
        assert process.poll() is None and time.monotonic() < limit, process.communicate()
        time.sleep(0.2)
    process.stdout.close()
    assert f"process {process.pid} on" in refused("train", *arguments)
    process.send_signal(signal.SIGTERM)
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=120) == 143 and err == "", err
    stopped = int(re.search(r"stopped at step ([\d,]+)", log.read_text())[1].replace(",", ""))
    steps = f"--config.train.steps={stopped + 1}"
    done = call("train", *train(tmp_path / "run", steps))
    assert f"going on from the checkpoint of step {stopped:,}" in done.stdout

    call("train", *train(tmp_path / "whole", steps))
    for name in ("run", "whole"):
        call("sample", f"--workdir={tmp_path / name}", "--num=3", "--out", tmp_path / f"{name}_out")
    assert files(tmp_path / "run_out") == files(tmp_path / "whole_out")


def test_classifier_is_trained_and_judged(tmp_path: Path) -> None:
    call(
        "train",
        "--config=configs/googlenet.py",
        "--config.data.path=toy",
        "--config.data.limit=12",
        "--config.data.resolution=32",
        "--config.model.width=0.125",
        "--config.train.batch_size=4",
        "--config.train.steps=2",
        f"--workdir={tmp_path / 'run'}",
    )
    out = call(
        "evaluate",
        f"--workdir={tmp_path / 'run'}",
        "--data=toy",
        "--split=test",
        f"--json={tmp_path / 'x' / 'out.json'}",
    ).stdout
    summary = json.loads((tmp_path / "x" / "out.json").read_text())
    assert "accuracy" in out and f"{summary['accuracy']['value']:.1%}" in out
    assert summary["accuracy"]["low"] <= summary["accuracy"]["value"]
    assert set(summary["per_class"]) == {"cat", "dog"}


def test_gan_train_names_a_missing_class(tmp_path: Path) -> None:
    for name in ("real/cat", "real/dog", "fake/cat"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(tmp_path / name / "0.png")
    sides = [f"--{side}={tmp_path / side}" for side in ("real", "fake")]
    assert "cat, dog, and" in refused("gan_train", "--config=configs/googlenet.py", *sides)
    assert "a classifier's" in refused("gan_train", "--config=configs/wgan512.py", *sides)


def test_help_names_the_flags() -> None:
    text = call("train", "--help").stdout
    assert "--config" in text and "--workdir" in text and "scripts/train.py" in text


def test_usage_errors() -> None:
    config = "--config=configs/wgan512.py"
    assert "did you mean config.train.batch_size" in refused(
        "train", config, "--config.train.batchsize=3", code=2
    )
    assert "config.train.batch_size must be of type int, got 'many'" in refused(
        "train", config, "--config.train.batch_size=many", code=2
    )
    both = ("--config.augment={}", "--config.augment.policy=x")
    assert "config.augment and a setting in it" in refused("train", config, *both, code=2)
    assert "must be a file" in refused("train", "--config=configs/wgan.py", code=2)
    assert "--config" in refused("train", code=2)


def test_bad_pictures_and_folders(tmp_path: Path) -> None:
    config = "--config=configs/wgan512.py"
    workdir = f"--workdir={tmp_path / 'run'}"
    # As the README has it: without an argument, and without pictures.
    assert "--config.data.path=DIR" in refused("train", config, workdir)
    (tmp_path / "data" / "cat").mkdir(parents=True)
    at = f"--config.data.path={tmp_path / 'data'}"
    assert "data" in refused("train", config, at, workdir)
    assert "power of two" in refused(
        "train", config, "--config.data.resolution=48", "--config.data.path=toy", workdir
    )
    assert "2 devices, got 5" in refused(
        "train", *train(tmp_path / "run", "--config.train.steps=1", "--config.train.batch_size=5")
    )
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_bad_workdirs(gan: Path, tmp_path: Path) -> None:
    out = f"--out={tmp_path / 'out'}"
    assert "config.json" in refused("sample", f"--workdir={tmp_path}", "--num=1", out)
    assert "model.channels is 8 there and 16 here" in refused(
        "train", *train(gan, "--config.train.steps=2", "--config.model.channels=16")
    )
    assert "run of a classifier" in refused("evaluate", f"--workdir={gan}", "--data=toy")
    sets = ("--real=a", "--fake=b", "--cache=")
    assert "--metrics must be of frechet" in refused("evaluate", *sets, "--metrics=kid,fid")
    assert "--real must be a folder" in refused("evaluate", *sets, "--features=light")
    assert "/proc/x must be readable or writable" in refused("evaluate", *sets, "--json=/proc/x/y")
    assert "jaxgan experiment takes it" in refused("train", "--config=configs/quickstart.py")
    assert "jaxgan train takes it" in refused("experiment", "--config=configs/wgan512.py")


def test_one_corrupt_picture_and_a_small_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "data" / "cat"
    folder.mkdir(parents=True)
    for i in range(3):
        picture = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{i}.jpg")
    (folder / "cut.jpg").write_bytes((folder / "0.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("no picture")
    arguments = [
        *train(tmp_path / "run", "--config.train.steps=1"),
        f"--config.data.path={tmp_path / 'data'}",
    ]
    done = call("train", *arguments)
    assert "cut.jpg" in done.stderr and "only 3" in done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["counts"] == {"cat": 3}
    raising = [*arguments, "--config.data.on_error=raise", f"--workdir={tmp_path / 'other'}"]
    assert "cut.jpg" in refused("train", *raising)
