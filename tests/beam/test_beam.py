"""Pictures read by the workers of Apache Beam: the same set, to the last bit."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("apache_beam", reason="make beam installs it, make test does not")

from jaxgan.data import prepared
from jaxgan.data.prepare import beam, pipeline, scan
from jaxgan.data.prepare.decode import Options
from jaxgan.data.prepare.options import Request
from jaxgan.data.toy.animals import ToySource
from jaxgan.errors import InputError

# Beam's own.
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "ignore::ResourceWarning")

PROCESSES = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")
SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare.py"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 drawn pictures, a copy of one of them, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    source = ToySource(48, count=50)
    for i, name in enumerate(source.names):
        file = folder / Path(name).relative_to("toy").with_suffix(".png")
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(source[i]["image"]).save(file)
    (folder / "dog" / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    first = sorted((folder / "cat").iterdir())[0]
    (folder / "cat" / "copy.png").write_bytes(first.read_bytes())
    return folder


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "PART", 32)


def request(source: Any, out: Path, beam: tuple[str, ...] = (), **options: Any) -> Request:
    options = {"resolutions": (32, 16), "encoding": "raw"} | options
    return Request(str(source), out, Options(**options), clean="drop", beam=beam)


def run(of: Request) -> tuple[dict[str, str], list[str]]:
    """The hash of each file of the sets, and what was said."""
    assert of.out is not None
    said: list[str] = []
    with pipeline.prepared(of, said.append) as result:
        assert result.diagnosis.rows
    files = sorted(file for file in of.out.rglob("[!.]*") if file.is_file())
    files = [file for file in files if ".work" not in file.parts]
    names = [str(file.relative_to(of.out)) for file in files]
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return dict(zip(names, hashes, strict=True)), said


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_several_processes_of_beam_write_the_same_set(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    plain, _ = run(request(pictures, tmp_path / "plain", encoding=encoding))
    monkeypatch.setattr(scan, "scan", None)  # It is for others to call.
    arguments = ("--runner=DirectRunner", *PROCESSES)
    by_beam, said = run(request(pictures, tmp_path / "beam", arguments, encoding=encoding))
    assert by_beam == plain
    assert sum("array_record" in name for name in plain) == 8  # Four parts at two resolutions.
    assert any(line.startswith("102 of 102 images") for line in said)
    info = prepared.read_info(tmp_path / "beam" / "32")
    assert info["counts"] == {"cat": 50, "dog": 50}


def test_a_prepared_set_of_tensorflow_datasets(pictures: Path, tmp_path: Path) -> None:
    run(request(pictures, tmp_path / "first", resolutions=(32,)))
    source = f"tfds:{tmp_path / 'first'}"
    plain, _ = run(request(source, tmp_path / "plain", resolutions=(16,)))
    arguments = ("--runner=DirectRunner", "--direct_num_workers=1")
    by_beam, _ = run(request(source, tmp_path / "beam", arguments, resolutions=(16,)))
    assert by_beam == plain


def test_what_was_finished_is_kept(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runner that fails after some parts, then one that does the rest."""
    whole, done = scan.scan, []

    def fails(*task: Any) -> None:
        if len(done) == 2:
            raise OSError(28, "No space left on device")
        whole(*task)
        done.append(task)

    monkeypatch.setattr(scan, "scan", fails)
    of = request(pictures, tmp_path / "beam", ("--runner=BundleBasedDirectRunner",))
    with pytest.raises(InputError, match=r"No space left on device.*; what was finished is kept"):
        run(of)
    work = tmp_path / "beam" / ".work"
    assert not [path for path in work.iterdir() if path.is_dir()]
    monkeypatch.setattr(scan, "scan", whole)
    again, said = run(of)
    read = sum(len(entries) for _, entries, *_ in done)
    assert f"{read} of them were read by an earlier run" in said
    assert again == run(request(pictures, tmp_path / "plain"))[0]


def test_a_part_that_is_done_twice(pictures: Path, tmp_path: Path) -> None:
    found = pipeline.discover.find(pictures)
    options = Options((16,))
    task = (found.root, found.entries[:3], {}, options, tmp_path, "key")
    said: list[str] = []
    beam.scan_all(("--runner=BundleBasedDirectRunner",), [0], [task].__getitem__, 3, said.append)
    files = {file: file.read_bytes() for file in tmp_path.iterdir()}
    (tmp_path / "key.json").unlink()  # As if another worker were at it.
    beam._scan(str(tmp_path), "key")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == files
    times = {file: file.stat().st_mtime_ns for file in files}
    beam._scan(str(tmp_path), "key")
    assert {file: file.stat().st_mtime_ns for file in files} == times
    assert len(said) == 1 and said[0].startswith("3 of 3 images")


def test_workers_that_write_elsewhere(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beam, "_scan", lambda where, key: None)
    of = request(pictures, tmp_path / "beam", ("--runner=BundleBasedDirectRunner",))
    with pytest.raises(InputError, match=r"all workers share, and of 4 parts 4 are missing"):
        run(of)


def test_the_command(pictures: Path, tmp_path: Path) -> None:
    """Flags that are not its own go to Beam, and without --runner they are errors."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(SCRIPT), f"--source={pictures}", "--resolution=16"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True)

    done = call(f"--out={tmp_path}", "--features=light", "--runner=DirectRunner", *PROCESSES)
    assert done.returncode == 0, done.stderr
    assert "102 of 102 images" in done.stdout
    assert json.loads((tmp_path / "dataset.json").read_text())["resolution"] == 16
    unknown = call(f"--out={tmp_path}", *PROCESSES)
    assert unknown.returncode == 2 and "direct_num_workers" in unknown.stderr
    nowhere = call("--dry-run", "--runner=DirectRunner")
    assert nowhere.returncode == 1
    assert nowhere.stderr.startswith("prepare.py: --runner needs --out")
    other = call(f"--out={tmp_path / 'new'}", "--runner=Nobody")
    assert (
        other.returncode == 1 and "Beam must come to its end with --runner=Nobody" in other.stderr
    )
