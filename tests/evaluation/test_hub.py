"""What goes to the hub comes back as it was, without the paths of this machine."""

import json
import shutil
from pathlib import Path

import jax
import pytest

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import loader
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.errors import InputError
from jaxgan.evaluation import hub
from jaxgan.sampling import cards, files, imagefolder, sample
from jaxgan.sampling.stylegan2 import Style
from jaxgan.system import checked_files


class Hub:
    """Stands in for huggingface_hub: a folder, and notes of the calls."""

    def __init__(self, place: Path):
        self.place, self.made = place, []

    def create_repo(self, repo, private, repo_type, exist_ok):
        self.made.append((repo, private, repo_type))
        return f"https://hub/{repo}"

    def upload_folder(self, repo_id, folder_path, repo_type, commit_message):
        shutil.copytree(folder_path, self.place / repo_type / repo_id)

    def snapshot_download(self, repo_id, repo_type, local_dir, allow_patterns):
        if not (self.place / repo_type / repo_id).exists():
            raise OSError("\n404 Client Error.\nRepository Not Found")
        shutil.copytree(self.place / repo_type / repo_id, local_dir, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("home") / "secret" / "cats"
    config = configs.load("dcgan64_paper", test=True)
    config.data.path, config.data.classes = "/home/me/secret/pets", ("cat",)
    configs.claim(workdir, config)
    with Checkpoints(workdir) as checkpoints:
        state = recipes.build(config).init(jax.random.key(3))
        for step in (6, 7):
            checkpoints.save(step, state, parse(config).given, {})
    about = {"command": "/home/me/jaxgan train --config.data.path=/home/me/secret/pets", "data": {}}
    checked_files.save(workdir / "run.json", about)
    return workdir


def test_a_run_comes_back_and_samples_alike(run: Path, tmp_path: Path) -> None:
    there = Hub(tmp_path / "hub")
    said = hub.push(str(run), "me/cats", licence="cc0-1.0", hub=there)
    assert "https://hub/me/cats (private" in said and there.made == [("me/cats", True, "model")]
    assert hub.pull("me/cats", str(tmp_path / "back"), hub=there).startswith("a run: jaxgan sample")
    back = tmp_path / "back"
    one, other = (sample.restore(folder) for folder in (run, back))
    assert other.step == 7 and other.checksum == one.checksum
    assert [f.name for f in (back / "checkpoints").iterdir()] == ["7"]
    for file in back.glob("*.*"):
        assert b"secret" not in file.read_bytes(), file
    assert json.loads((back / "run.json").read_text())["command"] == (
        "jaxgan train --config.data.path=pets"
    )
    head = (back / "README.md").read_text().split("---\n")[1]
    assert 'license: "cc0-1.0"' in head and 'pipeline_tag: "unconditional-image-generation"' in head
    with pytest.raises(InputError, match="must be a new or empty folder"):
        hub.pull("me/cats", str(back), hub=there)


def test_samples_are_a_set_of_images_with_labels(run: Path, tmp_path: Path) -> None:
    sampler, out = sample.restore(run), tmp_path / "out"
    files.save(sampler, range(5, 8), out)
    imagefolder.describe(sampler, Style(), range(5, 8), out)
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [row["seed"] for row in rows] == [5, 6, 7] and {row["label"] for row in rows} == {"cat"}
    assert all((out / row["file_name"]).exists() for row in rows)
    source = loader.open_source(str(out), 32)  # It is read back with its labels.
    assert source.classes == ("cat",) and len(source) == 3
    there = Hub(tmp_path / "hub")
    hub.push(str(out), "me/drawn", public=True, hub=there)
    assert there.made == [("me/drawn", False, "dataset")]
    hub.pull("me/drawn", str(tmp_path / "back"), dataset=True, hub=there)
    copies = (folder / rows[0]["file_name"] for folder in (out, tmp_path / "back"))
    assert len({file.read_bytes() for file in copies}) == 1


def test_what_cannot_be_pushed_or_pulled_is_one_sentence(run: Path, tmp_path: Path) -> None:
    there = Hub(tmp_path / "hub")
    for name in ("cats", "me/cats/x", "me/..", "me /cats", ""):
        with pytest.raises(InputError, match="a repository must be USER/NAME"):
            hub.push(str(run), name, hub=there)
    with pytest.raises(InputError, match="did not take or give me/none: 404 Client Error"):
        hub.pull("me/none", str(tmp_path / "new"), hub=there)
    with pytest.raises(InputError, match="push takes a folder"):
        hub.push(str(tmp_path / "gone"), "me/x", hub=there)
    with pytest.raises(InputError, match="is none of them"):
        hub.push(str(tmp_path), "me/x", hub=there)
    configs.claim(tmp_path / "all", configs.load("quickstart", test=True))
    with pytest.raises(InputError, match="writes its best arm"):
        hub.push(str(tmp_path / "all"), "me/x", hub=there)
    assert not there.made


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("train.py --workdir /a/b c/d", "train.py --workdir b c/d"),
        ("/x/scripts/train.py --config.data.path=/tmp/im/pets", "train.py --config.data.path=pets"),
        ("a --out gs://bucket/x '/a b/c'", "a --out gs://bucket/x 'a b/c'"),
        ("a ~/pets https://x/y", "a pets https://x/y"),
    ],
)
def test_commands_are_published_without_folders(command: str, wanted: str) -> None:
    assert cards.short(command) == wanted
