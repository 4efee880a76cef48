"""The `jaxgan` command: its words become a script's flags, and mistakes name the nearest."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jaxgan.cli import main, runs
from jaxgan.config import loading
from jaxgan.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (
            "experiment pets --budget 10m",
            "--config=quickstart --config.data.path=pets --budget 10m",
        ),
        ("experiment --compare a b", "--compare a b"),
        (
            "experiment pets --config a --set seeds=2",
            "--config a --config.data.path=pets --config.seeds=2",
        ),
        ("train wgan512 --data cats", "--config=wgan512 --config.data.path=cats"),
        ("train wgan512 --set train.steps=9", "--config=wgan512 --config.train.steps=9"),
        ("train wgan512 --set=train.steps=9", "--config=wgan512 --config.train.steps=9"),
        ("prepare pets --resolution 64", "--source=pets --resolution 64"),
        ("export runs/x --out=y --arm best", "--workdir=runs/x --out=y --arm best"),
        ("push runs/x me/cats --public", "--source=runs/x --repo=me/cats --public"),
        ("experiment --config mine.py", "--config mine.py"),
        ("evaluate --help", "--help"),
        ("sample runs/x --num 4", "--workdir=runs/x --num 4"),
        ("predict runs/x a.png b", "--workdir=runs/x --images=a.png --images=b"),
        ("evaluate runs/x pets", "--workdir=runs/x --data=pets"),
        ("gan-train real fake", "--config=resnet --real=real --fake=fake"),
        ("convert net.pkl out", "--source=net.pkl --out=out"),
    ],
)
def test_paths_come_first_and_become_flags(words, flags) -> None:
    verb, *rest = words.split()
    assert main.arguments(verb, rest) == flags.split()


@pytest.mark.parametrize("verb", main.WORDS)
def test_the_examples_of_help_do_what_the_scripts_do(verb, monkeypatch) -> None:
    monkeypatch.setattr(main, "_is_images", lambda path: path == "REAL")

    def flags(words: list[str]) -> set[str]:
        """The flags with their values, `--name=value`; a config's by its name."""
        text = re.sub(r"(--[\w.]+) (?!--)(\S+)", r"\1=\2", " ".join(words))
        return {*re.sub(r"configs/(\w+)\.py", r"\1", text).split()}

    script = ROOT / "scripts" / f"{verb}.py".replace("-", "_")
    doc = ast.get_docstring(ast.parse(script.read_text()))
    said = main.in_words(verb, doc)
    assert "scripts/" not in said
    ours = re.findall(rf"^    jaxgan {verb} (.*)", said, re.MULTILINE)
    theirs = re.findall(r"^    python scripts/\w+\.py (.*)", doc, re.MULTILINE)
    for one, other in zip(ours, theirs, strict=True):
        one, other = (re.sub(r" \[.*?\]", "", line).split() for line in (one, other))
        assert one and flags(main.arguments(verb, one)) == flags(other)


def test_two_folders_of_images_are_compared_and_a_run_is_evaluated(tmp_path) -> None:
    for name in ("run", "real", "fake"):
        (tmp_path / name).mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    run, real, fake = (str(tmp_path / name) for name in ("run", "real", "fake"))
    assert main.arguments("evaluate", [real, fake]) == [f"--real={real}", f"--fake={fake}"]
    assert main.arguments("evaluate", [run, fake]) == [f"--workdir={run}", f"--data={fake}"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["expriment", "x"], "no verb 'expriment': did you mean experiment?"),
        (["sample", "a", "b"], "sample takes RUN and then flags, got a b"),
        (["predict", "runs/x"], "predict needs more: jaxgan predict RUN IMAGES..."),
        (["export", "runs/x"], "export needs more: jaxgan export RUN --out DIR"),
        (
            ["prepare", "pets", "--out=o", "--resolutoin=64"],
            "there is no flag --resolutoin: did you mean --resolution?",
        ),
        (
            ["evaluate", "runs/x"],
            "evaluate needs more: jaxgan evaluate RUN DIR, or jaxgan evaluate REAL GENERATED",
        ),
        (["train", "wgan64", "--set"], "--set takes NAME=VALUE, like train.steps=2000, got ''"),
        (["--hlep"], "no verb '--hlep': did you mean --help?"),
        (["doctor", "me"], "doctor takes no words, got me"),
        (["runs", "a", "b"], "runs takes one word, got a b"),
        (["runs", "--all"], "runs takes no flags, got --all"),
        (
            ["sample", "--num", "4", "runs/x"],
            "sample needs more, paths first: jaxgan sample RUN --num 64 --out DIR",
        ),
        (
            ["configs", "wgn512"],
            "--config must be a file or the name of a config, got wgn512; did you mean wgan512?",
        ),
        (["help", "smaple"], "no verb 'smaple': did you mean sample?"),
        (["--version", "x"], "--version takes no words, got x"),
        (["completion", "csh"], "completion takes one of bash, zsh, fish"),
    ],
)
def test_mistakes_are_one_sentence(words, said, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main.main(words)
    assert end.value.code == 2
    assert capsys.readouterr().err.strip() == f"jaxgan: {said}"


def test_configs_are_found_by_their_names(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("wgan512", "configs/wgan512.py", "wgan512:dog"):
        assert Path(loading.find(name).partition(":")[0]) == ROOT / "configs" / "wgan512.py"
    assert loading.find("wgan512:dog").endswith(":dog")
    with pytest.raises(InputError, match=r"got wgan51; did you mean wgan512\?"):
        loading.load("wgan51")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "pose.py").touch()
    for name in ("quite_else", "configs/quite_else.py"):
        with pytest.raises(InputError, match=f"got {name}: jaxgan configs lists them"):
            loading.find(name)
    with pytest.raises(InputError, match=r"got configs/poes.py; did you mean configs/pose.py\?"):
        loading.find("configs/poes.py")
    main.main(["configs"])
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
    main.main(["configs", "resnet"])
    assert capsys.readouterr().out == (ROOT / "configs" / "resnet.py").read_text()


def test_a_script_runs_with_the_verbs_name(tmp_path) -> None:
    """Without the package's folder as the working one."""
    words = [sys.executable, "-m", "jaxgan", "train", "quickstartt"]
    ran = subprocess.run(words, cwd=tmp_path, env=_env(), capture_output=True, text=True)
    assert ran.returncode == 2 and ran.stdout == ""
    assert ran.stderr.startswith("jaxgan train: --config must be a file or the name of a config")


def test_help_needs_no_heavy_imports(tmp_path) -> None:
    code = "import sys; from jaxgan.cli import main as cli; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=_env()).returncode == 0


def _env() -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_runs_are_listed_with_state_and_figure(tmp_path) -> None:
    def put(folder, **files):
        (tmp_path / folder).mkdir()
        for name, text in files.items():
            (tmp_path / folder / name.replace("_", ".")).write_text(text)

    gan = json.dumps({"model": {"name": "dcgan"}, "train": {"steps": 2000}})
    net = json.dumps({"model": {"name": "resnet"}, "train": {"steps": 10}})
    rows = [{"step": 500, "diversity": 0.5}, {"step": 1000, "diversity": 0.4}]
    put("gan", config_json=gan, metrics_jsonl="\n".join(map(json.dumps, rows)) + "\n{half")
    looks = [{"step": 5, "validation_accuracy": 0.7}, {"step": 10, "validation_accuracy": 0.9}]
    put("net", config_json=net, metrics_jsonl="\n".join(map(json.dumps, looks)))
    verdict = {"word": "helps", "difference": 0.02, "low": 0.01, "high": 0.03}
    experiment = json.dumps({"arms": ["real", "add"]})
    put("answer", config_json=experiment, results_json=json.dumps({"verdict": verdict}))
    put("begun", config_json=experiment)
    put("broken", config_json="[")
    put("other")
    (tmp_path / "begun" / "fold1" / "gan").mkdir(parents=True)
    put("begun/fold1/gan/cat", config_json=gan)
    lines = [" ".join(line.split()) for line in runs.table(str(tmp_path)).splitlines()]
    assert lines == [
        "run kind state figure",
        "answer experiment finished helps: +2.0 (+1.0 to +3.0)",
        "begun experiment not finished",
        "broken ? config.json is damaged or cannot be read",
        "gan GAN (dcgan) step 1,000 of 2,000 diversity 0.5 at step 500",
        "net classifier (resnet) step 10 of 10 validation_accuracy 0.9 at step 10",
    ]
    assert runs.table(str(tmp_path / "other")).startswith("no runs in ")
    one = runs.table(str(tmp_path / "gan")).splitlines()
    assert len(one) == 2 and one[1].startswith("gan  GAN (dcgan)")
    assert runs.table(str(tmp_path / "begun")).splitlines()[2].startswith("fold1/gan/cat  GAN")


def test_doctor_names_versions_devices_and_extras() -> None:
    text = runs.doctor()
    for word in ("jax ", "devices: cpu", "CPU cores", "features: ", "video: "):
        assert word in text
