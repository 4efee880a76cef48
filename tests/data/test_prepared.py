"""A prepared set is the folder that it was made of: pictures, names, labels, batches."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan.data import images, loader
from jaxgan.data import prepared as records
from jaxgan.data.folder import FolderSource
from jaxgan.data.prepare import pipeline
from jaxgan.data.prepare.options import of_flags
from jaxgan.data.prepared import RecordSource
from jaxgan.system import machine
from jaxgan.types import InputError

SIDE = 16
FLAGS = {
    **{"crop": "center", "align": "none", "border": "reflect", "clean": "report", "strangest": 0},
    **{"encoding": "auto", "quality": 95, "split": ["0.7", "0.15", "0.15"], "doctor": True},
    "dry_run": False,
}


def make(source: Path, out: Path, resolution: int = SIDE, **flags) -> Path:
    given = FLAGS | {"source": str(source), "out": str(out), "resolution": [str(resolution)]}
    wanted = of_flags(given | flags, lambda resolution: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "cores", lambda: 1)  # No processes are started for a few pictures.
        with pipeline.prepared(wanted, lambda line: None):
            pass
    return out


@pytest.fixture(scope="module")
def pets(tmp_path_factory) -> Path:
    """Three classes of smooth pictures of several formats, sizes and aspects."""
    root, rng = tmp_path_factory.mktemp("records") / "pets", np.random.default_rng(0)
    for label, name in enumerate(("cat", "dog", "owl")):
        (root / name / "more").mkdir(parents=True)
        for i in range(6 + label):
            small = Image.fromarray(rng.integers(0, 256, (7, 7, 3), np.uint8))
            size = [(20, 20), (40, 30), (90, 120), (16, 16)][i % 4]
            suffix = ("png", "jpg", "webp")[i % 3]
            file = root / name / ("more" if i == 2 else "") / f"{i} é.{suffix}"
            small.resize(size, Image.Resampling.BICUBIC).save(file)
    return root


@pytest.fixture(scope="module")
def prepared(pets: Path) -> Path:
    return make(pets, pets.parent / "set")


def same(a, b) -> None:
    assert (a.classes, a.names, a.resolution, len(a)) == (b.classes, b.names, b.resolution, len(b))
    np.testing.assert_array_equal(a.labels, b.labels)
    assert a.labels.dtype == b.labels.dtype
    for i in range(len(a)):
        left, right = a[i], b[i]
        np.testing.assert_array_equal(left["image"], right["image"])
        assert left["image"].dtype == np.uint8 and left["label"] == right["label"]
    assert loader.fingerprint(a) == loader.fingerprint(b)


@pytest.mark.parametrize("encoding", ["auto", "raw", "png", "webp"])
@pytest.mark.parametrize("crop", ["center", "stretch"])
def test_a_prepared_set_equals_the_folder(pets, tmp_path, encoding, crop) -> None:
    out = make(pets, tmp_path / "set", encoding=encoding, crop=crop)
    same(loader.open_source(out, SIDE), FolderSource(pets, SIDE, crop=crop))
    info = json.loads((out / "dataset.json").read_text())
    assert info["encoding"] == ("raw" if encoding == "auto" else encoding)
    assert info["counts"] == {"cat": 6, "dog": 7, "owl": 8} and info["resolution"] == SIDE
    assert info["source"] == "pets" and info["format"] == records.FORMAT


def test_above_128_pixels_png_is_the_default(pets, tmp_path) -> None:
    out = make(pets, tmp_path / "set", 130)
    assert json.loads((out / "dataset.json").read_text())["encoding"] == "png"
    same(RecordSource(out, 130), FolderSource(pets, 130))


def test_jpeg_changes_little_and_its_pixels_are_what_counts(pets, tmp_path) -> None:
    source = RecordSource(make(pets, tmp_path / "set", encoding="jpeg"), SIDE)
    folder = FolderSource(pets, SIDE)
    assert source.names == folder.names and source.fingerprint != folder.fingerprint
    difference = np.abs(source.images.astype(int) - folder.images)
    assert 0 < difference.mean() < 4
    digests = json.loads((tmp_path / "set" / "dataset.json").read_text())["pictures"]["digest"]
    assert digests == [images.digest(image).hex() for image in source.images]


@pytest.mark.parametrize(
    "classes", [("owl", "cat"), ("dog",), ["cat", "dog", "owl"], ("owl", "dog", "cat")]
)
def test_classes_choose_and_order_the_labels(pets, prepared, classes) -> None:
    same(RecordSource(prepared, SIDE, classes=classes), FolderSource(pets, SIDE, classes=classes))


def test_the_sides_are_those_of_dataset_json(prepared) -> None:
    info = json.loads((prepared / "dataset.json").read_text())
    side = dict(zip(info["pictures"]["name"], info["pictures"]["side"], strict=True))
    for classes in (None, ("owl", "cat")):
        source = RecordSource(prepared, SIDE, classes=classes)
        assert source.sides.tolist() == [side[name] for name in source.names]


@pytest.mark.parametrize("classes", [("wolf",), (), ("cat", "cat")])
def test_wrong_classes_answer_with_those_there_are(prepared, classes) -> None:
    with pytest.raises(InputError, match="there are cat, dog, owl; wanted are"):
        RecordSource(prepared, SIDE, classes=classes)


@pytest.mark.parametrize("in_memory", [None, 0])
def test_a_lower_resolution_is_reduced_from_the_set(prepared, in_memory) -> None:
    whole, low = RecordSource(prepared, SIDE), RecordSource(prepared, 9, in_memory=in_memory)
    assert low.resolution == 9 and low.names == whole.names
    for i in range(len(whole)):
        expected = images.to_square(whole[i]["image"], 9, "stretch")
        np.testing.assert_array_equal(low[i]["image"], expected)
    # As of any source, the fingerprint is that of the pictures that it gives.
    assert low.fingerprint == loader.fingerprint(loader.Subset(low, np.arange(len(low))))


def test_a_higher_resolution_is_refused(prepared) -> None:
    with pytest.raises(InputError, match="must be at most that of the prepared set, 16, got 17"):
        loader.open_source(prepared, 17)


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_pictures_that_do_not_fit_into_memory_are_read_each_time(pets, tmp_path, encoding) -> None:
    out = make(pets, tmp_path / "set", encoding=encoding)
    kept, read = RecordSource(out, SIDE), RecordSource(out, SIDE, in_memory=0)
    assert kept.images is not None and read.images is None
    same(kept, read)
    assert RecordSource(out, SIDE, in_memory=len(kept) * SIDE**2 * 3).images is not None
    assert RecordSource(out, SIDE, in_memory=len(kept) * SIDE**2 * 3 - 1).images is None
    with pytest.raises(ValueError, match="read-only"):
        kept[0]["image"][:] = 0


@pytest.mark.parametrize("in_memory", [None, 0])
@pytest.mark.parametrize("threads", [0, 2])
def test_batches_equal_those_of_the_folder(pets, prepared, in_memory, threads) -> None:
    sources = FolderSource(pets, SIDE), RecordSource(prepared, SIDE, in_memory=in_memory)
    streams = [
        loader.make_batches(s, batch_size=5, seed=3, flip=True, start=1, threads=threads)
        for s in sources
    ]
    for _ in range(9):
        a, b = map(next, streams)
        np.testing.assert_array_equal(a["image"], b["image"])
        np.testing.assert_array_equal(a["label"], b["label"])


def test_a_limit_chooses_the_same_pictures(pets, prepared) -> None:
    same(*(loader.open_source(path, SIDE, count=3, seed=5) for path in (pets, prepared)))


@pytest.fixture
def copy(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "copy")


def shard(folder: Path) -> Path:
    (file,) = folder.glob("pictures-full.array_record-*")
    return file


def flip_a_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


DAMAGE = {
    "differs": [
        flip_a_bit,
        lambda f: f.write_bytes(f.read_bytes()[:-1]),
        lambda f: f.write_text(""),
    ],
    "is missing": [Path.unlink],
}


@pytest.mark.parametrize(("told", "damage"), [(k, d) for k, v in DAMAGE.items() for d in v])
def test_a_changed_shard_is_refused_by_name(copy: Path, told: str, damage) -> None:
    damage(shard(copy))
    with pytest.raises(InputError, match="the shards must be those that") as caught:
        loader.open_source(copy, SIDE)
    assert str(caught.value).endswith(f"{copy / NAME} {told}")
    assert "\n" not in str(caught.value)


NAME = "pictures-full.array_record-00000-of-00001"


def test_a_set_may_be_moved(copy: Path, prepared: Path) -> None:
    same(RecordSource(copy, SIDE), RecordSource(str(prepared), SIDE))


def edit(path: Path, change) -> None:
    info = json.loads((path / "dataset.json").read_text())
    change(info)
    (path / "dataset.json").write_text(json.dumps(info))


EDITS = {
    "a name": lambda info: info["pictures"]["name"].__setitem__(0, "cat/other.png"),
    "a label": lambda info: info["pictures"]["label"].__setitem__(0, 1),
    "a digest": lambda info: info["pictures"]["digest"].__setitem__(0, "00" * 16),
    "no digest": lambda info: info["pictures"]["digest"].__setitem__(0, "none"),
    "an order": lambda info: info["pictures"]["name"].reverse(),
    "the classes": lambda info: info["classes"].reverse(),
    "the resolution": lambda info: info.update(resolution=8),
    "the fingerprint": lambda info: info.update(fingerprint="0" * 64),
    "an encoding": lambda info: info.update(encoding="gzip"),
    "a shorter list": lambda info: info["pictures"]["side"].pop(),
    "a fourth side": lambda info: info["pictures"]["side"].__setitem__(0, 3),
    "fewer shards": lambda info: info["shards"].clear(),
    "no shards": lambda info: info.pop("shards"),
    "no format": lambda info: info.pop("format"),
    "no images": lambda info: info.pop("pictures"),
    "another kind": lambda info: info.update(pictures=[1, 2]),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edited_description_is_refused(copy: Path, what: str) -> None:
    edit(copy, EDITS[what])
    with pytest.raises(InputError, match=r"dataset\.json must (describe|have)") as caught:
        loader.open_source(copy, 8)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "\udcff"])
def test_a_damaged_description_is_refused(copy: Path, text: str) -> None:
    (copy / "dataset.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"dataset\.json must describe a prepared set, and is"):
        loader.open_source(copy, 8)


def test_a_newer_format_is_told_whatever_it_holds(copy: Path) -> None:
    (copy / "dataset.json").write_text(json.dumps({"format": records.FORMAT + 1, "images": []}))
    with pytest.raises(InputError, match=f"must have format {records.FORMAT} or older, got"):
        loader.open_source(copy, 8)


def test_what_tensorflow_datasets_is_told(prepared: Path) -> None:
    """It reads the folder itself in a test of its own; here, that the figures are the set's."""
    info = json.loads((prepared / "dataset_info.json").read_text())
    (split,) = info["splits"]
    assert split["shardLengths"] == ["21"] and info["fileFormat"] == "array_record"
    assert (prepared / "label.labels.txt").read_text().split() == ["cat", "dog", "owl"]
    assert shard(prepared).name == NAME


def test_training_says_which_split_it_takes(prepared: Path, caplog) -> None:
    from jaxgan.training import run

    source = RecordSource(prepared, SIDE)
    with caplog.at_level(logging.WARNING, "jaxgan"):
        own = run.split(source, (0.7, 0.15, 0.15))
        assert not caplog.records
        other = run.split(source, (0.5, 0.25, 0.25))
    for parts in (own, other):
        assert all((source.sides[part] == side).all() for side, part in enumerate(parts))
        assert sum(map(len, parts)) == len(source)
    assert "the split is that of the prepared set" in caplog.text


def test_a_part_of_a_set_keeps_its_sides(prepared: Path) -> None:
    from jaxgan.data.loader import open_source
    from jaxgan.training import run

    whole, part = RecordSource(prepared, SIDE), open_source(prepared, SIDE, count=4)
    side = dict(zip(whole.names, whole.sides.tolist(), strict=True))
    parts = run.split(part, whole.fractions)
    assert 0 < len(part) < len(whole)
    for number, positions in enumerate(parts):
        assert all(side[part.names[i]] == number for i in positions)
    assert sum(len(positions) for positions in parts) == len(part)
