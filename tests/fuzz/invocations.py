"""Bad command lines: honest ones of every script, with one or two values that are not."""

import itertools
import os
import random
import re
import shutil
import socket
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgan.system import checked_files

ROOT = Path(__file__).parents[2]
TINY = [
    f"--config={ROOT}/configs/wgan512.py",
    "--config.data.path=toy",
    "--config.data.limit=8",
    "--config.data.resolution=16",
    "--config.model.channels=8",
    "--config.model.latent_dim=8",
    "--config.train.batch_size=4",
    "--config.train.n_critic=2",
    "--config.train.steps=2",
]
JUDGE = [
    f"--config={ROOT}/configs/resnet.py",
    "--config.data.path=toy",
    "--config.data.limit=12",
    "--config.data.resolution=32",
    "--config.model.width=0.125",
    "--config.train.batch_size=4",
    "--config.train.steps=2",
]
SMALL = [
    f"--config={ROOT}/configs/quickstart.py",
    "--config.data.path=toy",
    "--config.data.limit=24",
    "--dry_run",
]
HONEST = {
    "train": [[*TINY, "--workdir=out"]],
    "sample": [
        ["--workdir=gan", "--num=2", "--out=out"],
        ["--workdir=gan", "--seeds=1-2", "--grid=out.png"],
        ["--workdir=gan", "--seeds=1-2", "--interpolate=out.gif", "--frames=2", "--fps=5"],
        ["--workdir=gan", "--select=2", "--surplus=2", "--by=none", "--out=out"],
        ["--workdir=gan", "--history=out.gif"],
    ],
    "evaluate": [
        ["--workdir=classifier", "--data=images", "--json=out.json"],
        ["--real=images", "--fake=others", "--features=light", "--metrics=frechet", "--cache="],
    ],
    "export": [["--workdir=gan", "--out=out"]],
    "convert": [["--source=gan", "--out=out.safetensors"]],
    "gan_train": [[JUDGE[0], *JUDGE[2:], "--real=images", "--fake=others", "--seeds=1"]],
    "experiment": [[*SMALL, "--workdir=out"], ["--compare", "gan"]],
    "prepare": [["--source=images", "--out=out", "--resolution=16"]],
    "predict": [["--workdir=classifier", "--images=images/a", "--out=out.csv"]],
    "view": [["--workdir=gan", "--num=2", "--out=out.html", "--real=images"]],
    "push": [["--source=gan", "--repo=you/cats", "--licence=cc0-1.0"]],
    "pull": [["--repo=you/cats", "--out=out"]],
    "jaxgan": [
        ["train", *TINY, "--workdir=out"],
        ["train", "wgan512", "toy", "--workdir=out", "--set", "data.limit=2"],
        ["experiment", "images", "--budget=10m", "--dry-run"],
        ["sample", "gan", "--num=2", "--out=out"],
        ["predict", "classifier", "images/a", "picture.png"],
        ["evaluate", "classifier", "images"],
        ["evaluate", "images", "others", "--features=light", "--cache="],
        ["gan-train", "images", "others", *JUDGE[:1], "--seeds=1"],
        ["prepare", "images", "--out=out", "--resolution=16"],
        ["convert", "gan", "out.safetensors"],
        ["export", "gan", "--out=out"],
        ["view", "gan", "--num=2", "--out=out.html"],
        ["pull", "you/cats", "out"],
        *(["configs", "wgan512"], ["runs", "."], ["doctor"], ["completion", "bash"]),
    ],
}
PATHS = [
    *("", ".", "..", "/", "~", "~nosuchuser", "~nosuchuser/x", "gs://bucket/x", "s3://b/x"),
    *("http://localhost:1/x", "file:///tmp/x", "toy", "tfds:", "tfds:nothing", "tfds:set", "-"),
    *("hf:", "hf:set", "hf:a b"),
    *("pipe", "socket", "loop", "loop/x", "dangling", "pipes", "/dev/zero", "/dev/null"),
    *("/dev/full", "/dev/stdin", "/proc/self/mem", "/proc/self/environ", "a" * 300, "a/" * 3000),
    *("\udcff", "a\nb", "\x1b[31mred", "picture.png", "text.txt", "text.txt/x", "bomb.zip"),
    *("empty", "gan", "classifier", "set", "images", "images/a", "picture.png/x", "zeros.npz"),
    *("bad.py", "odd.py", "list.py", "picture.py", "cut.zip", "gan/config.json", "half"),
    *("classifier/checkpoints", "gan/checkpoints/2", "set/dataset_info.json", "deep", "wide"),
    *("settings.yaml", "settings.json", "none.py", "exits.py", "twice.zip", "up.tar", "odd.npz"),
    *("caf\u00e9", "\u202egnp.exe", "a b", "'quoted'", "$HOME", "*", "images/*", "images/a/0.png"),
    *("/etc/shadow", "/root", "/sys/kernel", "/dev/fd/0", "/proc/self/fd/1", "hf://a/b", "az://b"),
    *("forged_seed", "forged_model", "forged_classes", "forged_results", "films", "gan/samples"),
    *("//", "///tmp", "./.", "images/../images", "classifier/", "GAN", "gan ", " gan", "\t"),
]
NUMBERS = [
    *("", "0", "-1", "1", "2", "3", "nan", "inf", "-inf", "1e308", "1e21", "1e-320", "1.5", "x"),
    *(
        "9" * 30,
        "9" * 5000,
        "None",
        "True",
        "0x10",
        "1_0",
        "\u0661\u0662",
        "1e",
        "--",
        "4294967296",
    ),
]
LISTS = [
    *("0,0,1", "1,1,1", "nan,0,0", "inf,0,0", "1,0", "1-", "5-1", "1-99999999999", "1,,2", ","),
    *("1,1", "1-3,2", "()", "(1,", "{}", "a,b", "1x1", "0x0", "99999x99999", "16,16", "1/0", "5/4"),
    *("kid,kid", "frechet", "best", "latest", "0-99", "real,real", "w", "all"),
    *("a=1", "lambda: 0", "__import__('os')", "[[]]", "{'a': 1}", "(1)(2)", "'", '"', "\\"),
    *("0.5,0.5", "0.9,0.9,0.9", "-1,1,1", "1e308,1,1", "3,2,1", "01", "+1", "1 2", "1;2", "1\n2"),
    *("10m", "1e9h", "-5m", "0s", "nanm", "infh", "90", "0/0", "-1/2", "2/2", "1/9" * 50),
    *("column:x", "name:(", "path:(a+)+$", "name:", "folder", "md", "text", "html", "auto", "off"),
]
SCRIPTS = {path.stem for path in (ROOT / "scripts").glob("*.py")}
POOL = [*PATHS, *NUMBERS, *LISTS]


def world(folder: Path) -> None:
    """Write what the values name, but the runs `gan` and `classifier` and the prepared `set`."""
    rng = np.random.default_rng(0)
    for part, name, i in itertools.product(("images", "others"), "ab", range(12)):
        file = folder / part / name / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(file)
    Image.new("RGB", (20, 20)).save(folder / "picture.png")
    (folder / "picture.py").write_bytes((folder / "picture.png").read_bytes())
    (folder / "text.txt").write_text("no image\n")
    for name, data in itertools.product("ab", (b"\0\0\0\x20ftypisom", b"%PDF-1.4", b"<svg/>", b"")):
        file = folder / "films" / name / f"{len(data)}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    (folder / "bad.py").write_text("x = 1\ndef get_config(:\n")
    (folder / "odd.py").write_text("def get_config():\n    return {}['a']\n")
    (folder / "list.py").write_text("def get_config():\n    return []\n")
    (folder / "empty").mkdir()
    for name in ("pipes/a/a.png", "pipes/b/b.png", "pipe"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / name)
    (folder / "pipes" / "a" / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipes" / "labels.csv")
    (folder / "half").mkdir()
    for name in ("config.json", "dataset_info.json", "dataset.json", "results.json"):
        os.mkfifo(folder / "half" / name)
    here = os.getcwd()
    os.chdir(folder)  # A socket's path is short.
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("socket")
    finally:
        os.chdir(here)
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/a.png", bytes(2**26))
    (folder / "cut.zip").write_bytes((folder / "bomb.zip").read_bytes()[:-30])
    np.savez(folder / "zeros.npz", a=np.zeros(3))
    (folder / "odd.npz").write_bytes((folder / "zeros.npz").read_bytes()[:40])
    (folder / "settings.yaml").write_text("train: {steps: 2}\n")
    (folder / "settings.json").write_text('{"train": {"steps": 2}}')
    (folder / "none.py").write_text("def get_config():\n    return None\n")
    (folder / "exits.py").write_text("raise SystemExit(0)\n")
    (folder / "deep" / "/".join("d" * 60)).mkdir(parents=True)
    (folder / "wide").mkdir()
    for i in range(300):
        (folder / "wide" / f"class{i:03}").mkdir()
    with zipfile.ZipFile(folder / "twice.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of the name that is there already.
        for _ in range(2):
            archive.write(folder / "picture.png", "a/a.png")
    with tarfile.open(folder / "up.tar", "w") as archive:
        archive.add(folder / "picture.png", "../../up.png")


def forged(folder: Path) -> None:
    """Add runs whose configs and results are not what was written, though their checksums fit."""

    def forge(run: str, of: str, section: str, **new: object) -> None:
        shutil.copytree(folder / of, folder / run)
        values = checked_files.load(folder / run / "config.json", "")
        (values[section] if section else values).update(new)
        checked_files.save(folder / run / "config.json", values)

    forge("forged_seed", "gan", "", seed=float("nan"))
    forge("forged_model", "gan", "model", name="biggan")
    forge("forged_classes", "classifier", "data", classes=["a", "b", "c"])
    (folder / "forged_results").mkdir()
    results = {"format": 999, "verdict": {}, "arms": {}, "runs": []}
    checked_files.save(folder / "forged_results" / "results.json", results)


def flags_of(script: str) -> list[str]:
    if script not in SCRIPTS:
        return ["compilation_cache", "set", "data", "help"]
    text = (ROOT / "scripts" / f"{script}.py").read_text()
    found = re.findall(r'flags\.DEFINE_\w+\(\s*"(\w+)"', text)
    shared = {"train": ["workdir", "coordinator", "num_processes", "process_id"]}
    return [*found, *shared.get(script, ["workdir"] * ("workdir" in text)), "compilation_cache"]


def bad(rng: random.Random, scripts: tuple[str, ...] = tuple(HONEST)) -> Iterator[list[str]]:
    """Command lines without end: a script and its arguments."""
    while True:
        script = rng.choice(scripts)
        arguments = list(rng.choice(HONEST[script]))
        verb = arguments[0].replace("-", "_") if script == "jaxgan" else script
        for _ in range(rng.choice((1, 1, 1, 2))):
            match rng.randrange(8):
                case 0 if len(arguments) > 1:
                    del arguments[rng.randrange(len(arguments))]
                case 1 | 2 | 3:
                    arguments.append(f"--{rng.choice(flags_of(verb))}={rng.choice(POOL)}")
                case 4:
                    arguments.append(
                        rng.choice(["--x=1", "x", "--", "-x", "--config", "--nout", "="])
                    )
                case _:
                    at = rng.randrange(len(arguments))
                    name, equals, _ = arguments[at].partition("=")
                    if equals:
                        arguments[at] = f"{name}={rng.choice(POOL)}"
                    elif at:  # A verb's path.
                        arguments[at] = rng.choice(POOL)
        yield [script, *arguments]
