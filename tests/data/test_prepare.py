"""scripts/prepare.py as a user runs it: what it finds, what it is told, and what stops it."""

import csv
import importlib.util
import io
import json
import logging
import os
import resource
import signal
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from absl.testing import flagsaver
from PIL import Image, ImageOps

from jaxgan.cli import command
from jaxgan.data import prepared
from jaxgan.data.prepare import advice, options, pipeline
from jaxgan.data.prepare import features as network
from jaxgan.data.prepared import RecordSource
from jaxgan.system import machine
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]
SIDE = 32


def load_script():
    spec = importlib.util.spec_from_file_location("prepare_script", ROOT / "scripts/prepare.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script()


@pytest.fixture
def call(capsys, monkeypatch):
    """Runs the script in this process: (exit code, standard output, standard error)."""
    monkeypatch.setattr(machine, "cores", lambda: 1)

    def run(*arguments: object) -> SimpleNamespace:
        argv = ["prepare.py", "--features=light", *map(str, arguments)]
        absl, root = logging.getLogger("absl"), logging.getLogger()
        level, handlers = absl.level, list(root.handlers)
        capsys.readouterr()
        code = 0
        with flagsaver.flagsaver():
            try:
                command.run(SCRIPT.main, argv, devices=False, others_with="runner")
            except SystemExit as end:
                code = end.code
            finally:
                absl.setLevel(level)
                root.handlers[:] = handlers
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        if code:  # One sentence, but for flags that a test gives anew.
            said = [line for line in captured.err.splitlines() if "several times" not in line]
            assert len(said) == 1, captured.err
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return run


def smooth(seed: int, size: tuple[int, int] = (48, 48)) -> Image.Image:
    """A picture unlike those of other seeds, with coarse and fine parts."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8))
    fine = rng.normal(0, 14, (size[1], size[0], 1))
    pixels = np.asarray(small.resize(size, Image.Resampling.BICUBIC)) + fine
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def save(image: Image.Image, file: Path, **options) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, **options)
    return file


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for label, name in enumerate(("cat", "dog")):
        for i in range(12):
            save(smooth(100 * label + i), tmp_path / "pets" / name / f"{i:02}.png")
    return tmp_path / "pets"


def read_json(file: Path):
    return json.loads(file.read_text())


def names_of(out: Path) -> set[str]:
    return set(read_json(out / "dataset.json")["pictures"]["name"])


def table_of(out: Path) -> dict[str, dict[str, str]]:
    with open(out / "decisions.csv", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def decide(out: Path, **decisions: str) -> None:
    """As a human does it: other words in the column, and rows of their own."""
    rows = table_of(out)
    for name, decision in decisions.items():
        empty = {
            "file": name,
            "reason": "I say so",
            "decision": "",
            "suggestion": "",
            "applied": "",
        }
        rows[name] = rows.get(name, empty) | {"decision": decision}
    with open(out / "decisions.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ("file", "reason", "decision", "suggestion", "applied"))
        writer.writeheader()
        writer.writerows(rows.values())


def huge_header(megapixels: int) -> bytes:
    """A PNG that says how large it is, and is not."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 1000 * megapixels, 1000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def planted(pets: Path) -> Path:
    """Of each kind of trouble one, beside twelve cats and twelve dogs."""
    one = smooth(1)
    (pets / "cat" / "copy of 01.png").write_bytes((pets / "cat" / "01.png").read_bytes())
    save(one, pets / "cat" / "lossless.webp", lossless=True)
    save(one, pets / "cat" / "jpeg.jpg", quality=60)
    save(one.resize((96, 96), Image.Resampling.BICUBIC), pets / "cat" / "larger.png")
    save(ImageOps.mirror(one), pets / "cat" / "mirrored.png")
    save(smooth(2), pets / "dog" / "a cat.png")
    save(Image.new("RGB", (48, 48), "gray"), pets / "dog" / "blank.png")
    save(smooth(500, (12, 12)), pets / "dog" / "tiny.png")
    whole = (pets / "dog" / "03.png").read_bytes()
    (pets / "dog" / "half.png").write_bytes(whole[: len(whole) // 2])
    (pets / "dog" / "text.jpg").write_text("no picture")
    (pets / "dog" / "bomb.png").write_bytes(huge_header(200))
    save(smooth(501), pets / "dog" / "really a png.jpg", format="PNG")
    save(smooth(502).convert("L"), pets / "dog" / "gray.png")
    save(smooth(503).convert("CMYK"), pets / "dog" / "cmyk.jpg")
    (pets / "dog" / "notes.txt").write_text("woof")
    return pets


def test_findings(planted: Path, tmp_path: Path, call) -> None:
    done = call(
        *(f"--source={planted}", f"--resolution={SIDE}", "--dry-run", f"--json={tmp_path}/a/x.json")
    )
    assert done.code == 0, done.err
    found = read_json(tmp_path / "a" / "x.json")
    assert {k.removeprefix("dog/") for k in found["unreadable"]} == {
        *("half.png", "text.jpg", "bomb.png")
    }
    assert "truncated" in found["unreadable"]["dog/half.png"]
    assert "not an image" in found["unreadable"]["dog/text.jpg"]
    bomb = found["unreadable"]["dog/bomb.png"]  # What it has, and the limit.
    assert bomb == "has 200 megapixels, more than the 150 that are read"
    exact = ["cat/01.png", "cat/copy of 01.png", "cat/lossless.webp"]
    assert found["exact_duplicates"] == [exact, ["cat/02.png", "dog/a cat.png"]]
    assert list(map(set, found["near_duplicates"])) == [{*exact, "cat/jpeg.jpg", "cat/larger.png"}]
    assert found["across_classes"] == [["cat/02.png", "dog/a cat.png"]]
    assert found["blank"] == ["dog/blank.png"] and found["tiny"] == ["dog/tiny.png"]
    assert found["oddities"] == {
        **{"CMYK": ["dog/cmyk.jpg"], "gray": ["dog/gray.png"]},
        "wrong extension": ["dog/really a png.jpg"],
    }
    assert found["found"] == {"cat": 17, "dog": 21} and found["counts"] == {"cat": 17, "dog": 18}
    assert len(found["outliers"]) == 35 and "cat/mirrored.png" in found["outliers"]
    scores = list(found["outliers"].values())
    assert scores == sorted(scores, reverse=True)
    assert set(found["dropped"]) == set(found["unreadable"])


def test_mean_and_deviation_are_those_of_the_pictures_kept(planted: Path, tmp_path, call) -> None:
    for clean in ("report", "drop"):
        out = tmp_path / clean
        call(
            *(f"--source={planted}", f"--out={out}", f"--resolution={SIDE}", f"--clean={clean}"),
            f"--json={out}.json",
        )
        values = RecordSource(out, SIDE).images / 255.0
        for info in (read_json(Path(f"{out}.json")), read_json(out / "dataset.json")):
            np.testing.assert_allclose(info["mean"], values.mean(axis=(0, 1, 2)), rtol=1e-6)
            np.testing.assert_allclose(info["std"], values.std(axis=(0, 1, 2)), rtol=1e-6)


SUGGESTED = {
    *("cat/02.png", "dog/a cat.png", "dog/blank.png", "dog/tiny.png"),
    *("cat/01.png", "cat/copy of 01.png", "cat/lossless.webp", "cat/jpeg.jpg"),
}  # cat/larger.png is the largest of its group.


@pytest.mark.parametrize("clean", ["report", "drop", "quarantine"])
def test_a_human_overrules(planted: Path, tmp_path: Path, call, clean: str) -> None:
    out = tmp_path / "set"
    command = (f"--source={planted}", f"--out={out}", f"--resolution={SIDE}", f"--clean={clean}")
    assert call(*command).code == 0
    table = table_of(out)
    readable = {f"{p.parent.name}/{p.name}" for p in planted.rglob("*.*")} - {
        *("dog/notes.txt", "dog/half.png", "dog/text.jpg", "dog/bomb.png")
    }
    assert {n for n, row in table.items() if row["suggestion"] == "drop"} == SUGGESTED
    for row in table.values():  # What was done.
        done = "keep" if clean == "report" else row["suggestion"]
        assert row["decision"] == row["applied"] == done
    dropped = set() if clean == "report" else SUGGESTED
    assert names_of(out) == readable - dropped
    assert set(table) <= readable  # What cannot be read cannot be kept.

    keep, drop = {"dog/blank.png", "cat/jpeg.jpg"}, {"cat/07.png", "cat/larger.png"}
    decide(out, **dict.fromkeys(keep, "keep"), **dict.fromkeys(drop, " DROP "))
    for _ in range(2):  # What was decided is there in the run after that, too.
        assert call(*command).code == 0
        assert names_of(out) == (readable - dropped | keep) - drop
        table = table_of(out)
        assert {n: table[n]["decision"] for n in keep} == dict.fromkeys(keep, "keep")
        assert {n: table[n]["decision"] for n in drop} == dict.fromkeys(drop, "drop")
    told = read_json(out / "dataset.json")["dropped"]
    assert told["cat/07.png"] == "I say so" and set(told) & keep == set()

    decide(out, **{"cat/07.png": "keep"})
    assert call(*command).code == 0 and "cat/07.png" in names_of(out)
    assert table_of(out)["cat/07.png"]["decision"] == "keep"


def test_one_of_two_classes_is_right(planted: Path, tmp_path: Path, call) -> None:
    """Both copies are dropped, as the page says, until a human keeps one."""
    out = tmp_path / "set"
    command = (f"--source={planted}", f"--out={out}", f"--resolution={SIDE}", "--clean=drop")
    pair = {"cat/02.png", "dog/a cat.png"}
    assert call(*command).code == 0
    assert not pair & names_of(out)
    page = (out / "report.html").read_text()
    assert "Both copies are dropped, unless decisions.csv keeps the one whose label is" in page
    decide(out, **{"cat/02.png": "keep"})
    assert call(*command).code == 0
    assert pair & names_of(out) == {"cat/02.png"}


def test_a_human_may_agree_and_rows_of_other_pictures_stay(pets, tmp_path, call) -> None:
    save(Image.new("RGB", (40, 40)), pets / "cat" / "blank.png")
    command = (f"--source={pets}", f"--out={tmp_path / 'set'}", f"--resolution={SIDE}")
    assert call(*command).code == 0 and "cat/blank.png" in names_of(tmp_path / "set")
    decide(tmp_path / "set", **{"cat/blank.png": "drop", "cat/gone.png": "keep"})
    for _ in range(2):
        done = call(*command)
        assert done.code == 0 and "1 rows of decisions.csv name no image" in done.out
        assert "cat/blank.png" not in names_of(tmp_path / "set")
        assert table_of(tmp_path / "set")["cat/gone.png"]["decision"] == "keep"
    said = read_json(tmp_path / "set/dataset.json")["decisions"]
    assert said == {"cat/blank.png": "drop", "cat/gone.png": "keep"}


def test_sides_are_the_same_at_any_resolution_and_when_better_copies_come(pets, tmp_path, call):
    out, command = tmp_path / "set", (f"--source={pets}", "--clean=drop")

    def sides(folder: Path) -> dict[str, int]:
        pictures = read_json(folder / "dataset.json")["pictures"]
        return dict(zip(pictures["name"], pictures["side"], strict=True))

    assert call(*command, f"--out={out}", "--resolution=32").code == 0
    first = sides(out)
    for given in ("--resolution=48,16", "--resolution=16,48"):
        other = tmp_path / given[-5:]
        assert call(*command, f"--out={other}", given).code == 0
        assert sides(other / "16") == sides(other / "48") == first
    for name, side in first.items():
        if side == 2:  # They take the place of those that they are copies of.
            file = pets / name
            larger = Image.open(file).resize((96, 96), Image.Resampling.BICUBIC)
            save(larger, file.with_name(f"large {file.name}"))
    assert call(*command, f"--out={out}", "--resolution=32").code == 0
    after = sides(out)
    copies = {name: side for name, side in after.items() if "large" in name}
    assert copies and set(copies.values()) == {2}
    assert {name: side for name, side in after.items() if name in first}.items() <= first.items()
    assert list(after.values()).count(2) == list(first.values()).count(2)


def test_quarantine_copies_by_reason(planted: Path, tmp_path: Path, call) -> None:
    before = {p: p.read_bytes() for p in planted.rglob("*.*")}
    out = tmp_path / "set"
    call(f"--source={planted}", f"--out={out}", f"--resolution={SIDE}", "--clean=quarantine")
    copies = {str(p.relative_to(out / "quarantine")): p for p in out.rglob("quarantine/**/*.*")}
    assert set(copies) == {
        *(f"unreadable/dog/{name}" for name in ("half.png", "text.jpg", "bomb.png")),
        *("across_classes/cat/02.png", "across_classes/dog/a cat.png", "blank/dog/blank.png"),
        *("tiny/dog/tiny.png", "exact_duplicate/cat/copy of 01.png", "near_duplicate/cat/01.png"),
        *("exact_duplicate/cat/lossless.webp", "near_duplicate/cat/jpeg.jpg"),
    }
    for name, file in copies.items():
        assert file.read_bytes() == before[planted.joinpath(*Path(name).parts[1:])]
    assert {p: p.read_bytes() for p in planted.rglob("*.*")} == before  # The source is as it was.


def test_quarantine_of_long_names_and_of_what_cannot_be_read(tmp_path: Path, call) -> None:
    """An archive's names may be longer than a file system's; a broken member gives no bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 40)).save(buffer, "PNG")
    source = tmp_path / "x.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for i in range(9):
            smooth(i).save(file := io.BytesIO(), "PNG")
            archive.writestr(f"cat/{i}.png", file.getvalue())
        for name in ("猫" * 100, "y" * 300, "y" * 301):
            archive.writestr(f"cat/{name}.png", buffer.getvalue())
        archive.writestr("cat/broken.png", b"exactly these bytes")
    data = source.read_bytes()
    source.write_bytes(data.replace(b"exactly these bytes", b"exactly other bytes"))
    out = tmp_path / "set"
    done = call(f"--source={source}", f"--out={out}", f"--resolution={SIDE}", "--clean=quarantine")
    assert done.code == 0, done.err
    copies = [p for p in (out / "quarantine").rglob("*") if p.is_file()]
    assert len(copies) == 3 and {p.suffix for p in copies} == {".png"}
    assert all(p.read_bytes() == buffer.getvalue() for p in copies)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (b"file,decision\ncat/00.png,perhaps\n", "must be keep or drop, got 'perhaps'"),
        (b"name,what\ncat/00.png,keep\n", "must have the columns file, reason, decision"),
        (b"", "must have the columns"),
        (b"file,decision\ncat/\xff.png,keep\n", "must be a table in UTF-8"),
    ],
)
def test_a_table_that_will_not_do_is_told_before_the_scan(pets, tmp_path, call, table, told):
    out = tmp_path / "set"
    out.mkdir()
    (out / "decisions.csv").write_bytes(table)
    done = call(f"--source={pets}", f"--out={out}", f"--resolution={SIDE}")
    assert done.code == 1 and told in done.err and "decisions.csv" in done.err
    assert "pictures/s" not in done.out and not list((out / ".work").iterdir())


def test_a_table_from_a_spreadsheet(pets: Path, tmp_path: Path, call) -> None:
    out = tmp_path / "set"
    out.mkdir()
    (out / "decisions.csv").write_bytes(b"\xef\xbb\xbffile,decision\r\ncat/03.png,Drop\r\n,\r\n")
    assert call(f"--source={pets}", f"--out={out}", f"--resolution={SIDE}").code == 0
    assert len(names_of(out)) == 23 and "cat/03.png" not in names_of(out)


def test_copies_stay_on_one_side_of_the_split(pets: Path, tmp_path: Path, call) -> None:
    for i in range(12):
        save(smooth(i), pets / "cat" / f"{i:02} again.jpg", quality=70)
    out = tmp_path / "set"
    call(f"--source={pets}", f"--out={out}", f"--resolution={SIDE}")
    info = read_json(out / "dataset.json")["pictures"]
    side = dict(zip(info["name"], info["side"], strict=True))
    for i in range(12):
        assert side[f"cat/{i:02}.png"] == side[f"cat/{i:02} again.jpg"]


def save_at(pets: Path, name: str, image: Image.Image) -> Image.Image:
    save(image, pets / "cat" / f"{name}.png")
    return image


def test_the_split_stays_when_pictures_are_added(pets: Path, tmp_path: Path, call) -> None:
    """And one that is like pictures of two sides is left out, and listed."""
    out = tmp_path / "set"
    command = (f"--source={pets}", f"--out={out}", f"--resolution={SIDE}", f"--json={out}.json")
    for i in range(8):  # Not the same, but each is the same as what lies halfway.
        half = Image.blend(save_at(pets, f"a{i}", smooth(60 + i)), smooth(80 + i), 0.45)
        save_at(pets, f"b{i}", half)
    assert call(*command).code == 0

    def sides() -> dict[str, int]:
        pictures = read_json(out / "dataset.json")["pictures"]
        return dict(zip(pictures["name"], pictures["side"], strict=True))

    first = sides()
    assert set(first.values()) == {0, 1, 2}
    for i in range(12, 40):
        save(smooth(i), pets / "cat" / f"{i:02}.png")
    assert call(*command).code == 0
    second = sides()
    assert second.items() >= first.items() and len(second) == 68
    pairs = [(f"cat/a{i}.png", f"cat/b{i}.png") for i in range(8)]
    a, b = next(pair for pair in pairs if first[pair[0]] != first[pair[1]])
    save_at(pets, "bridge", Image.blend(Image.open(pets / a), Image.open(pets / b), 0.5))
    done = call(*command)
    assert done.code == 0 and "1 new images that tie two sides" in done.out
    assert sides() == second
    assert set(read_json(Path(f"{out}.json"))["dropped"].values()) == {
        "like images of two sides of the split"
    }


def test_a_dry_run_writes_no_set(pets: Path, tmp_path: Path, call, monkeypatch) -> None:
    before = set(tmp_path.rglob("*"))
    done = call(f"--source={pets}", f"--resolution={SIDE}", "--dry_run")
    assert done.code == 0 and "kept: 12 cat, 12 dog" in done.out
    assert set(tmp_path.rglob("*")) == before

    out = tmp_path / "set"
    command = (f"--source={pets}", f"--out={out}", f"--resolution={SIDE}")
    done = call(*command, "--dry-run")
    assert done.code == 0 and f"no set is written; for the next run {out} holds" in done.out
    assert {p.name for p in out.iterdir()} == {
        *(".work", ".lock", "log.txt", "decisions.csv", "report.html")
    }
    # The next run can use what was read, with what a human has decided.
    decide(out, **{"cat/05.png": "drop"})
    done = call(*command)
    assert "24 of them were read by an earlier run" in done.out
    assert len(names_of(out)) == 23


def test_other_decisions_take_no_more_reading(pets, tmp_path, call, small_parts, monkeypatch):
    """Neither is a file opened again nor a network's feature computed, whatever was decided."""
    out = tmp_path / "set"
    command = (f"--source={pets}", f"--out={out}", f"--resolution={SIDE}")
    seen: list[int] = []

    def features(pictures):
        found = np.array([picture.mean(axis=(0, 1)) for picture in pictures], np.float32)
        seen.append(len(found))
        return found.reshape(-1, 3)

    monkeypatch.setattr(SCRIPT, "features", lambda resolution: features)
    monkeypatch.setattr(network, "PARTS", 2)
    assert call(*command).code == 0 and seen == [16, 8]
    first = names_of(out)

    def refuse(*arguments):
        raise AssertionError("it was read before")

    decide(out, **{"cat/05.png": "drop"})
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.scan, "scan", refuse)
        patch.setattr("jaxgan.data.prepare.decode.read", refuse)
        done = call(*command)
    assert done.code == 0 and "24 of them were read by an earlier run" in done.out
    assert names_of(out) == first - {"cat/05.png"} and sum(seen) == 24
    # Of what changes, no more than its part is read and looked at.
    save(smooth(77), pets / "dog" / "11.png")
    done = call(*command)
    assert done.code == 0 and "16 of them were read by an earlier run" in done.out
    assert sum(seen) == 24 + 8
    kept = {file.name[:16] for file in (out / ".work").iterdir()}
    assert len(kept) == 3 and len(list((out / ".work").iterdir())) == 3 * 7


def test_a_part_that_was_damaged_since_is_read_again(pets, tmp_path, call, small_parts) -> None:
    out = tmp_path / "set"
    command = (f"--source={pets}", f"--out={out}", f"--resolution={SIDE}")
    assert call(*command).code == 0
    before = read_json(out / "dataset.json")
    for kind in ("*.array_record", "*.vectors.npy", "*.table.npy", "*.json"):
        file = sorted((out / ".work").glob(kind))[1]
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        done = call(*command)
        assert done.code == 0 and "16 of them were read by an earlier run" in done.out, kind
        assert read_json(out / "dataset.json") == before
    assert len(RecordSource(out, SIDE)) == 24


def test_a_dry_run_reports_what_cannot_be_split(tmp_path: Path, call) -> None:
    save(smooth(1), tmp_path / "pets" / "cat" / "a.png")
    command = (f"--source={tmp_path / 'pets'}", f"--resolution={SIDE}")
    done = call(*command, "--dry-run")
    assert done.code == 0 and "cannot be split: each class needs at least 3" in done.out
    done = call(*command, f"--out={tmp_path / 'set'}")
    assert done.code == 1 and "each class needs at least 3 different images" in done.err
    assert call(*command, f"--out={tmp_path / 'set'}", "--split=1,0,0").code == 0


def test_without_the_doctor(planted: Path, tmp_path: Path, call) -> None:
    out = tmp_path / "set"
    done = call(
        *(f"--source={planted}", f"--out={out}", f"--resolution={SIDE}", "--doctor=false"),
        f"--json={out}.json",
    )
    assert done.code == 0 and len(names_of(out)) == 35
    found = read_json(Path(f"{out}.json"))
    assert set(found["unreadable"]) == {f"dog/{n}" for n in ("half.png", "text.jpg", "bomb.png")}
    assert found["outliers"] == {} and found["blank"] == []


def test_several_resolutions_are_sets_by_size(pets: Path, tmp_path: Path, call) -> None:
    for i in range(6):
        save(smooth(700 + i, (80, 70)), pets / "cat" / f"large {i}.png")
        save(smooth(800 + i, (20, 70)), pets / "dog" / f"small {i}.png")
        save(smooth(900 + i, (70, 70)), pets / "dog" / f"large {i}.png")
    out = tmp_path / "sets"
    # However they are ordered.
    done = call(f"--source={pets}", f"--out={out}", "--resolution=64,32", f"--json={out}.json")
    assert done.code == 0
    assert len(RecordSource(out / "32", 32)) == 36 and len(RecordSource(out / "64", 64)) == 12
    found = read_json(Path(f"{out}.json"))
    page = (out / "report.html").read_text()
    for resolution in ("32", "64"):
        info = read_json(out / resolution / "dataset.json")
        expected = {key: info[key] for key in ("counts", "mean", "std")}
        assert found["sets"][resolution] == expected
        assert f"red at {resolution} px</th><td>{info['mean'][0]:.4f}" in page
        assert (
            f"kept at {resolution} px" in done.out and f"at {resolution} px; where R1" in done.out
        )
    assert {key: found[key] for key in expected} == found["sets"]["32"]
    assert "Images: 18 of" in done.out and "Images at 64 px: 6 of" in done.out
    assert all("large" in name for name in names_of(out / "64"))
    sides = {}
    for folder in ("32", "64"):  # A picture is on the same side of both.
        info = read_json(out / folder / "dataset.json")["pictures"]
        for name, side in zip(info["name"], info["side"], strict=True):
            assert sides.setdefault(name, side) == side


def test_crop_none_takes_squares_only(pets: Path, tmp_path: Path, call) -> None:
    save(smooth(5, (50, 40)), pets / "cat" / "wide.png")
    call(
        *(f"--source={pets}", "--resolution=32", "--dry-run", "--crop=none"),
        f"--json={tmp_path / 'x.json'}",
    )
    assert read_json(tmp_path / "x.json")["unusable"] == {"cat/wide.png": "not square, 50 x 40"}


def test_a_side_at_which_no_gan_trains_is_warned_of(pets: Path, call) -> None:
    said = "GANs need a power of two from 16 to 1024, like 32 or 64: at 60 px classifiers"
    done = call(f"--source={pets}", "--resolution=60", "--dry-run")
    assert done.code == 0 and done.out.startswith(f"warning: {said}")
    assert "need a power" not in call(f"--source={pets}", "--resolution=32", "--dry-run").out
    nearest = [line.split("like ")[1] for line in advice.of_classifiers_alone((8, 16, 1024, 2000))]
    assert [line.split(":")[0] for line in nearest] == ["16", "1024"]


def test_nothing_is_left(tmp_path: Path, call) -> None:
    source, out = tmp_path / "pets", tmp_path / "set"
    for i in range(3):
        save(Image.new("RGB", (40, 40), (i, i, i)), source / "cat" / f"{i}.png")
    command = (f"--source={source}", f"--resolution={SIDE}", "--clean=drop")
    for more in ("--dry-run", f"--out={out}"):
        done = call(*command, more)
        assert done.code == 1 and "an image must be left, and of 3 none is: blank" in done.err
    assert not (out / "dataset.json").exists()
    for file in (source / "cat").iterdir():
        file.write_text("text")
    done = call(*command, "--dry-run", "--clean=report")
    assert done.code == 1 and "none is: not an image" in done.err


def test_a_source_that_is_refused_leaves_no_folder(pets: Path, tmp_path: Path, call) -> None:
    command = (f"--source={tmp_path / 'pest'}", f"--resolution={SIDE}")
    assert call(*command, f"--out={tmp_path / 'set'}").code == 1
    assert not (tmp_path / "set").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    assert call(*command, f"--out={tmp_path / 'mine'}").code == 1
    assert (tmp_path / "mine" / "notes.txt").exists()
    others = (f"--source={pets}", f"--resolution={SIDE}", f"--out={tmp_path / 'others'}")
    save(Image.new("RGB", (40, 40)), tmp_path / "others" / "cat" / "0.png")
    done = call(*others)
    assert done.code == 1 and "without images of others" in done.err
    assert [*(tmp_path / "others").iterdir()] == [tmp_path / "others" / "cat"]


def test_a_class_without_a_picture_left(pets: Path, tmp_path: Path, call) -> None:
    save(Image.new("RGB", (40, 40)), pets / "owl" / "0.png")
    done = call(f"--source={pets}", f"--resolution={SIDE}", f"--out={tmp_path}/x", "--clean=drop")
    assert done.code == 1 and "owl has" in done.err


USAGE = {
    "--resolution=many": (1, "--resolution must be numbers, got 'many'"),
    "--resolution=7": (1, "--resolution must be pixels from 8 to 4096"),
    "--resolution=64,64": (1, "each once, got 64,64"),
    "--resolution=": (1, "--resolution must be pixels"),
    "--split=0.5,0.5": (1, "--split must be three shares"),
    "--split=nan,0.5,0.5": (1, "--split must be three shares"),
    "--split=a,b,c": (1, "--split must be numbers, got 'a'"),
    "--source=": (2, "--source must"),
    "--source=nowhere": (1, "does not exist"),
    "--out=": (2, "--out must"),
    "--crop=middle": (2, "crop"),
    "--clean=burn": (2, "clean"),
    "--encoding=bmp": (2, "encoding"),
    "--quality=0": (2, "quality"),
    "--strangest=-1": (2, "strangest"),
    "--nonsense": (2, "nonsense"),
    "pets": (2, "arguments must be flags"),
}


@pytest.mark.parametrize("flag", USAGE)
def test_usage(pets: Path, tmp_path: Path, call, flag: str) -> None:
    code, told = USAGE[flag]
    done = call(f"--source={pets}", f"--out={tmp_path / 'x'}", "--resolution=32", flag)
    assert done.code == code and told in done.err, done.err
    assert not (tmp_path / "x" / "dataset.json").exists()


def test_flags_that_exclude_each_other(pets: Path, tmp_path: Path, call) -> None:
    done = call(
        f"--source={pets}", "--dry-run", "--resolution=32", "--crop=none", "--align=landmarks"
    )
    assert done.code == 1 and "exclude each other" in done.err


def test_without_a_source_or_an_output(pets: Path, tmp_path: Path, call) -> None:
    done = call(f"--source={pets}", "--resolution=32")
    assert done.code == 2 and done.err.startswith("prepare.py: --out must")
    done = call(f"--out={tmp_path / 'x'}", "--resolution=32")
    assert done.code == 2 and done.err.startswith("prepare.py: --source must")
    assert call(f"--source={pets}", f"--out={tmp_path / 'x'}").code == 2


def test_out_must_not_lie_in_the_source(pets: Path, tmp_path: Path, call) -> None:
    (tmp_path / "link").symlink_to(pets)
    (tmp_path / "file").write_text("")
    for out in (pets, pets / "set", pets / "cat" / "set", tmp_path / "link" / "set"):
        done = call(f"--source={pets}", f"--out={out}", "--resolution=32")
        assert done.code == 1 and "--out must not lie in --source" in done.err
    done = call(f"--source={pets}", f"--out={tmp_path / 'file'}", "--resolution=32")
    assert done.code == 1 and "--out must be a folder" in done.err
    assert len(list(pets.rglob("*"))) == 26


def test_one_run_at_a_time(pets: Path, tmp_path: Path, call) -> None:
    out = tmp_path / "set"
    flags = {
        **{"source": str(pets), "out": str(out), "resolution": ["32"], "clean": "report"},
        **{"crop": "center", "align": "none", "border": "reflect", "encoding": "raw"},
        **{"quality": 95, "split": ["0.7", "0.15", "0.15"], "doctor": True, "strangest": 0},
    }
    wanted = options.of_flags(flags | {"dry_run": True}, lambda resolution: None)
    with pipeline.prepared(wanted, lambda line: None):
        done = call(f"--source={pets}", f"--out={out}", "--resolution=32")
        assert done.code == 1 and f"one run at a time may write to {out}" in done.err
    assert call(f"--source={pets}", f"--out={out}", "--resolution=32").code == 0


def test_an_output_that_cannot_be_written(pets: Path, call, monkeypatch) -> None:
    """As root permissions do not bind; the system's own folders refuse all the same."""
    done = call(f"--source={pets}", "--out=/proc/set", "--resolution=32")
    assert done.code == 1
    assert "/proc/set must be readable or writable: No such file or directory" in done.err


@pytest.fixture
def small_parts(monkeypatch) -> None:
    monkeypatch.setattr(pipeline, "PART", 8)


def test_a_full_disk(pets: Path, tmp_path: Path, call, small_parts, monkeypatch) -> None:
    """One sentence that names the file; what was finished is used when there is room again."""
    out = tmp_path / "set"
    command = (f"--source={pets}", f"--out={out}", f"--resolution={SIDE}")
    scan, done_parts = pipeline.scan.scan, []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(*task, **more):
        if len(done_parts) == 2:  # The kernel refuses longer files, as a full disk does.
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        scan(*task, **more)
        done_parts.append(task)

    monkeypatch.setattr(pipeline.scan, "scan", fill)
    try:
        done = call(*command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.code == 1 and "File too large" in done.err and str(out) in done.err
    assert "make room, and the same command goes on" in done.err
    assert len(done_parts) == 2 and not (out / "dataset.json").exists()
    monkeypatch.setattr(pipeline.scan, "scan", scan)
    done = call(*command)
    assert done.code == 0 and "16 of them were read by an earlier run" in done.out
    assert len(RecordSource(out, SIDE)) == 24


def test_a_full_disk_while_the_set_is_made_anew(pets, tmp_path, call, monkeypatch) -> None:
    """The old set is gone then, but its split is not."""
    out = tmp_path / "set"
    command = (f"--source={pets}", f"--out={out}", f"--resolution={SIDE}")
    assert call(*command).code == 0
    before = read_json(out / "dataset.json")

    def refuse(*arguments):
        raise OSError(28, "No space left on device", str(out / "x"))

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.write, "_write_shards", refuse)
        done = call(*command)
    assert done.code == 1 and "No space left on device" in done.err
    assert not prepared.is_prepared(out)
    assert call(*command).code == 0
    assert read_json(out / "dataset.json") == before


def test_progress_on_one_core(pets: Path, call, small_parts) -> None:
    done = call(f"--source={pets}", f"--resolution={SIDE}", "--dry-run")
    assert "24 of 24 images" in done.out and "/s  eta 0 s" in done.out


DRIVER = """
import runpy, signal, sys
from jaxgan.system import machine; from jaxgan.data.prepare import pipeline as prepare
if __name__ == "__main__":
    # A shell's job in the background ignores Ctrl-C, and hands that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    prepare.PART = 4
    machine.cores = lambda: 2
    sys.argv = ["prepare.py", *sys.argv[1:]]
    runpy.run_path({script!r}, run_name="__main__")
"""


def start(tmp_path: Path, *arguments: object) -> subprocess.Popen:
    """The script with parts of four pictures, in a group of processes of its own."""
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.format(script=str(ROOT / "scripts" / "prepare.py")))
    return subprocess.Popen(
        [sys.executable, str(driver), "--features=light", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )


def wait_for(condition, process: subprocess.Popen | None = None, seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        if process is not None and process.poll() is not None:
            raise AssertionError(process.communicate())
        time.sleep(0.02)


def processes_of(group: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                state = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(state[2]) == group and state[0] != "Z":
                found.append(int(folder.name))
    return found


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """Twelve parts that take a while."""
    root = tmp_path_factory.mktemp("many") / "pets"
    for i in range(48):
        save(smooth(i, (700, 700)), root / "cd"[i % 2] / f"{i}.png", compress_level=1)
    return root


def finished(out: Path) -> dict[str, tuple[int, int]]:
    return {
        p.name: (p.stat().st_ino, p.stat().st_mtime_ns)
        for p in (out / ".work").glob("*")
        if ".tmp" not in p.name
        and (out / ".work" / f"{p.name.split('-')[0].split('.')[0]}.json").exists()
    }


@pytest.mark.slow
def test_a_killed_run_goes_on(many: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "set", tmp_path / "whole"
    flags = (f"--source={many}", f"--resolution={SIDE}")
    process = start(tmp_path, *flags, f"--out={out}")
    wait_for(lambda: len(list((out / ".work").glob("*.json"))) >= 3, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = finished(out)
    parts = len([name for name in before if name.endswith(".json")])
    assert 3 <= parts < 12 and not prepared.is_prepared(out)

    # A dry run keeps the parts, so that they can be looked at.
    process = start(tmp_path, *flags, f"--out={out}", "--dry-run")
    said, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert f"{4 * parts} of them were read by an earlier run" in said
    assert finished(out).items() >= before.items()
    for folder in (out, whole):
        process = start(tmp_path, *flags, f"--out={folder}")
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    assert (out / "dataset.json").read_bytes() == (whole / "dataset.json").read_bytes()
    for file in whole.glob("pictures-full*"):
        assert (out / file.name).read_bytes() == file.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_first_one(many: Path, tmp_path: Path, number: int) -> None:
    process = start(tmp_path, f"--source={many}", f"--resolution={SIDE}", f"--out={tmp_path}/set")
    wait_for(lambda: len(list((tmp_path / "set" / ".work").glob("*.json"))) >= 1, process)
    assert len(processes_of(process.pid)) >= 3
    process.send_signal(number)
    wait_for(lambda: process.poll() is not None)
    wait_for(lambda: not processes_of(process.pid), seconds=20)
    _, err = process.communicate()
    assert "Traceback" not in err, err
    assert process.returncode == (130 if number == signal.SIGINT else -number)


@pytest.mark.slow
def test_a_killed_worker_is_told(many: Path, tmp_path: Path) -> None:
    process = start(tmp_path, f"--source={many}", f"--resolution={SIDE}", f"--out={tmp_path}/set")
    wait_for(lambda: len(list((tmp_path / "set" / ".work").glob("*.json"))) >= 1, process)
    workers = [
        pid
        for pid in processes_of(process.pid)
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "was ended from outside" in err
    assert err.count("\n") == 1, err
    wait_for(lambda: not processes_of(process.pid), seconds=20)


def test_from_archives_the_same_set(pets: Path, tmp_path: Path, call) -> None:
    import shutil

    sets = []
    for kind in ("zip", "tar", "gztar", "xztar"):
        archive = shutil.make_archive(str(tmp_path / f"a{kind}"), kind, pets.parent, pets.name)
        out = tmp_path / kind
        assert call(f"--source={archive}", f"--out={out}", "--resolution=32").code == 0
        sets.append(RecordSource(out, 32).fingerprint)
    assert call(f"--source={pets}", f"--out={tmp_path / 'set'}", "--resolution=32").code == 0
    assert set(sets) == {RecordSource(tmp_path / "set", 32).fingerprint}
    assert not (tmp_path / "gztar" / ".work" / "source.tar").exists()


def test_a_folder_with_odd_names(tmp_path: Path, call) -> None:
    """The folder's own name, too."""
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/p\xffets \n"))
    for i, name in enumerate(
        ["new\nline", "with space", os.fsdecode(b"\xff\xfe"), "x" * 251, "'\""]
    ):
        save(smooth(i), root / "cat" / f"{name}.png")
    save(smooth(1), root / "cat" / "copy\n.png")
    (root / "cat" / "loop.png").symlink_to("loop.png")
    os.mkfifo(root / "cat" / "pipe.jpg")
    out = root.with_name(root.name + " out")
    done = call(f"--source={root}", f"--out={out}", "--resolution=32")
    assert done.code == 1 and "--out must be a name in UTF-8" in done.err
    out = tmp_path / "o'u\nt é"
    done = call(f"--source={root}", f"--out={out}", "--resolution=32", "--clean=quarantine")
    assert done.code == 0, done.err
    assert len(names_of(out)) == 5 and "2 unreadable" in done.out
    decide(out, **{"cat/copy\\n.png": "keep"})
    assert call(f"--source={root}", f"--out={out}", "--resolution=32").code == 0
    assert len(names_of(out)) == 6


@pytest.mark.slow
def test_training_reads_a_prepared_set(tmp_path: Path, call) -> None:
    from jaxgan.config import loading as configs
    from jaxgan.training import run

    source = tmp_path / "cats"
    for i in range(10):
        save(smooth(i), source / f"{i}.png")
    assert call(f"--source={source}", f"--out={tmp_path / 'set'}", "--resolution=32").code == 0
    config = configs.load(str(ROOT / "configs" / "dcgan64.py"), test=True)
    config.data.path, config.data.resolution = str(tmp_path / "set"), 32
    config.train.steps = 1
    configs.settle_length(config.train, ["train.steps"], "train.")
    run.run(config, tmp_path / "run")
    prints = read_json(tmp_path / "set" / "dataset.json")["fingerprint"]
    assert prints in (tmp_path / "run" / "run.json").read_text()

    (shard,) = (tmp_path / "set").glob("pictures-full*")
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    with pytest.raises(InputError, match="the shards must be those that") as caught:
        run.run(config, tmp_path / "other")
    assert shard.name in str(caught.value) and "\n" not in str(caught.value)


def test_the_next_best_copy_stays_where_a_human_drops_the_best(call, tmp_path: Path) -> None:
    for i in range(6):
        save(smooth(i), tmp_path / f"in/cat/{i}.png")
    save(smooth(0).resize((96, 96)), tmp_path / "in/cat/large.png")
    save(smooth(0).resize((40, 40)), tmp_path / "in/cat/small.png")
    common = ("--source", tmp_path / "in", "--out", tmp_path / "out", f"--resolution={SIDE}")
    assert call(*common, "--clean=drop").code == 0
    assert names_of(tmp_path / "out") == {"cat/large.png", *(f"cat/{i}.png" for i in range(1, 6))}
    (tmp_path / "out/decisions.csv").write_text("file,reason,decision\ncat/large.png,no,drop\n")
    assert call(*common, "--clean=drop").code == 0
    assert names_of(tmp_path / "out") == {f"cat/{i}.png" for i in range(6)}
