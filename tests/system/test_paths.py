"""What flags, tables and terminals make of names that were meant to break them."""

import csv
import io
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgan.errors import InputError
from jaxgan.system import paths, spreadsheet, terminal


@pytest.mark.parametrize("path", ["", " ", "gs://b/x", "http://x", "file:///x", "~nosuchuser/x"])
def test_no_path_of_this_machine(path: str) -> None:
    with pytest.raises(InputError, match=r"^--out must "):
        paths.checked(path, "--out")


def test_paths_that_stay(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("x", "/", "toy", "tfds:x", "~x", "a b"):
        Path("~x").touch()
        assert paths.checked(path, "--out") == path
    assert paths.checked("gs://b/x", "--out", remote=True) == "gs://b/x"
    assert paths.checked("~/x", "--out") == os.path.expanduser("~/x")
    Path("loop").symlink_to("loop")
    with pytest.raises(InputError, match="can be followed"):
        paths.checked("loop/x", "--out")


def test_only_plain_files_are_read_and_written(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("socket")
    for name in ("pipe", "/dev/zero"):
        with pytest.raises(InputError, match="plain file"):
            paths.read(name)
        with pytest.raises(InputError, match="plain file"):
            paths.check_plain(name)
    for name in ("pipe", "socket", "."):
        with pytest.raises(InputError, match="a file to write"):
            paths.check_output(name)
    Path("file").write_bytes(b"1234")
    assert paths.read("file", 4) == b"1234"
    with pytest.raises(InputError, match="at most 3 bytes"):
        paths.read("file", 3)
    for name in ("file", "/dev/null", "new"):
        paths.check_output(name)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")) | st.builds(
    "".join, st.lists(st.sampled_from("=+-@'\t a1"), max_size=5)
)


@given(CELLS)
def test_no_cell_is_a_formula_and_all_come_back(text: str) -> None:
    table = spreadsheet.table(["name", "number"], [(text, -1.5)])
    _, (name, number) = csv.reader(io.StringIO(table, newline=""))
    assert not name.startswith(("=", "+", "-", "@", "\t")) and number == "-1.5"
    assert spreadsheet.text(name) == text


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_nothing_controls_the_terminal(text: str) -> None:
    stream = io.StringIO(newline="")
    terminal.Printable(stream).write(text)
    shown = stream.getvalue()
    assert not any((ord(c) < 32 and c not in "\t\n\r") or c in "\x7f\x9b\u202e" for c in shown)
    if text.isprintable():
        assert shown == text


def test_a_missing_path_names_what_is_near(tmp_path, monkeypatch) -> None:
    (tmp_path / "pets").mkdir()
    (tmp_path / "pest.txt").touch()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    assert paths.near("pest") == "; did you mean pets?"
    assert paths.near(tmp_path / "pest/") == f"; did you mean {tmp_path}/pets?"
    assert paths.near("quite another") == paths.near("no/such/place") == ""


def test_a_run_is_no_folder_of_images(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    paths.check_no_run(tmp_path, "--source")  # Anybody's file may have that name.
    (tmp_path / "metrics.jsonl").write_text("")
    with pytest.raises(InputError, match=r"--source must be a folder of images, and .* a run"):
        paths.check_no_run(tmp_path, "--source")


def test_outputs_are_not_mixed_with_images_sets_and_runs(tmp_path: Path) -> None:
    for name in ("set/dataset_info.json", "set/features.json", "run/config.json", "a/b/x.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "run" / "x.png").touch()
    (tmp_path / "a" / "seed1.png").touch()
    paths.check_folder(str(tmp_path / "run" / "gan"), "--out")  # Of a config.json of others.
    (tmp_path / "run" / "data.json").touch()
    own = ("run/checkpoints/2", "run/gan", "run/generated/cat", "run/fold1/generated/cat")
    for name in ("set", "run", *own):
        with pytest.raises(InputError, match="--out must be"):
            paths.check_folder(str(tmp_path / name), "--out")
    for name in ("run/drawn", "run/fold"):
        paths.check_folder(str(tmp_path / name), "--out")
    paths.check_folder(str(tmp_path / "run" / "gan" / "cat"), "--workdir", of_run=True)
    paths.check_folder(str(tmp_path / "set"), "--out", of_set=True)
    for name, deep, but in (("a/b", False, ""), ("a", True, r"seed1\.png"), ("a", False, "")):
        with pytest.raises(InputError, match="without images of others"):
            paths.check_no_images(str(tmp_path / name), "--out", deep=deep, but=but)
    paths.check_no_images(str(tmp_path / "a"), "--out", but=r"seed\d\.png")
    (tmp_path / "a" / "seed1.png").unlink()
    (tmp_path / "a" / "b" / "x.PNG").unlink()
    paths.check_no_images(str(tmp_path), "--out", deep=True)  # Those of a run are its own.


def test_a_tree_with_a_pipe_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").touch()
    paths.check_tree(tmp_path)
    os.mkfifo(tmp_path / "a" / "pipe")
    with pytest.raises(InputError, match="a/pipe is none"):
        paths.check_tree(tmp_path)
