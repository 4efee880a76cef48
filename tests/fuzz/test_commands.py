"""Bad command lines of every script: exit code 1 or 2 and one sentence, soon, and nothing left."""

import os
import random
import re
import shutil
from pathlib import Path

import invocations
import pytest

from scripts import Scripts

LONGER = int(os.environ.get("FUZZ", "1"))
COUNT = 60 * LONGER
URL = re.compile(r"(gs|s3|az|hf|tfds|https?|file):")  # Was to be a place elsewhere.
SECONDS = 60  # The machine may have other work.


def refused(scripts: Scripts, script: str, *arguments: str) -> str:
    done = scripts(script, *arguments, seconds=SECONDS)
    assert done.code in (1, 2), (arguments, done)
    return sentence(script, done.err, arguments)


def sentence(script: str, text: str, about: object) -> str:
    name = r"jaxgan( [a-z-]+)?: " if script == "jaxgan" else rf"{script}\.py: "
    lines = [line for line in text.splitlines() if re.match(name, line)]
    assert "Traceback" not in text and len(lines) == 1, (about, text)
    return lines[0]


@pytest.mark.slow
def test_bad_command_lines(world: Path, scripts: Scripts) -> None:
    there = {*os.listdir(world), "cache"}
    lines = invocations.bad(random.Random(0 if LONGER == 1 else None))
    count = 0
    for script, *arguments in (next(lines) for _ in range(COUNT)):
        done = scripts(script, *arguments, seconds=SECONDS)
        made = set(os.listdir(world)) - there
        for name in made:
            path = world / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        assert done.code is not None, ("it hangs", script, arguments)
        assert done.code in (0, 1, 2) and "Traceback" not in done.err, (script, arguments, done)
        assert not any(URL.match(name) for name in made), (script, arguments, made)
        if done.code:
            sentence(script, done.err, arguments)
            count += 1
    assert count > COUNT / 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["prepare", "--source=images", "--resolution=16", "--out=gs://b/x"], "on this machine"),
        (["prepare", "--source=images", "--resolution=16", "--out=gan"], "that of a run"),
        (["prepare", "--source=images", "--resolution=16", "--out=o", "--split=0,0,1"], "to train"),
        (["prepare", "--source=/dev/zero", "--resolution=16", "--dry_run"], "neither"),
        (["prepare", "--source=pipes", "--resolution=16", "--dry_run"], "not a regular file"),
        (["export", "--workdir=gan", "--out="], "--out must name"),
        (["export", "--workdir=gan", "--out=gan"], "that of a run"),
        (["sample", "--workdir=gan", "--out=o", "--seeds=1,2,1"], "each seed once"),
        (["sample", "--workdir=gan", "--interpolate=o.gif", "--fps=nan"], "finite"),
        (["sample", "--workdir=~nosuchuser/x", "--out=o"], "begin with no ~"),
        (["sample", "--workdir=loop", "--out=o"], "that can be followed"),
        (["train", "--config=picture.png"], "must be a Python file"),
        (["train", "--config=picture.py"], "picture.py"),
        (["train", "--config="], "--config must be a file"),
        (["train", "--config=bad.py"], "bad.py, line 2"),
        (["train", "--config=odd.py"], "odd.py, line 2 is not: KeyError"),
        (["train", "--config=list.py"], "must return a ConfigDict, got list"),
        (["evaluate", "--real=images", "--fake=pipes", "--features=light", "--cache="], "images"),
        (["evaluate", "--real=images", "--fake=others", "--json=pipe"], "a file to write"),
        (["prepare", "--source=images", "--resolution=16", "--out=hf:x"], "none of a set"),
        (["sample", "--workdir=gan", "--out=images/a"], "without images of others"),
        (["sample", "--workdir=gan", "--grid=o.png", "--rows=1-2"], "come with --style_mixing"),
        (["export", "--workdir=gan", "--out=gan/checkpoints/2"], "no folder of checkpoints"),
        (["train", *invocations.TINY, "--workdir=set"], "than that of a set"),
        (["train", *invocations.TINY, "--workdir=images"], "without images of others"),
        (["convert", "--source=gan", "--out=o.safetensors", "--resolution=32"], "that of gan, 16"),
        (["convert", "--source=hi.txt", "--out=o"], "a run's folder, and hi.txt is not"),
        (["sample", "--workdir=gan", "--out=o", "--num=x"], "--num must be a whole number"),
        (["sample", "--workdir=gan", "--grid=o.pdf"], "--grid must be a .png file"),
        (["sample", "--workdir=gan", "--out=gan/samples"], "no folder of samples of a run"),
        (["sample", "--workdir=forged_seed", "--out=o"], "seed must be a whole number"),
        (["predict", "--workdir=forged_classes", "--images=images/a"], "as many classes as"),
        (["experiment", "--compare", "forged_results"], "a format up to"),
        (["prepare", "--source=others", "--resolution=16", "--out=images"], "without images of"),
        (["prepare", "--source=films", "--resolution=16", "--out=o"], "an image must be left"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value),
)
def test_each_in_a_sentence(scripts: Scripts, line: list[str], words: str) -> None:
    assert words in refused(scripts, *line)


@pytest.mark.slow
def test_a_setting_that_is_given_twice_is_told(world: Path, scripts: Scripts) -> None:
    done = scripts("train", *invocations.TINY, "--config.train.steps=3", "--workdir=twice")
    assert done.code == 0 and "the last counts: 2, then 3" in done.err
    images = ["--images=images/a", "--images=images/b"]
    done = scripts("predict", "--workdir=classifier", *images, seconds=SECONDS)
    assert done.code == 0 and "counts" not in done.err
    shutil.rmtree(world / "twice", ignore_errors=True)
