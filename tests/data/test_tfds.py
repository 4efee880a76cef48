"""Sets of tensorflow-datasets as sources of pictures, and prepared sets read by it; no TensorFlow.

The sets are drawn, and written by tensorflow-datasets itself.
"""

import io
import json
import multiprocessing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxgan.data import prepared
from jaxgan.data.images import open_picture
from jaxgan.data.prepare import pipeline
from jaxgan.data.prepare.decode import Options
from jaxgan.data.prepare.options import Request, of_flags
from jaxgan.data.sources import discover
from jaxgan.errors import InputError

NAMES = ["cat", "dog/wolf", "none of it"]


def picture(seed: int, height: int = 24, width: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def encoded(pixels: np.ndarray, form: str = "PNG") -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    file.seek(0)
    return file


def make(
    folder: Path, features: dict[str, Any], splits: dict[str, list[dict]], supervised: Any = None
) -> str:
    """Writes a set of these examples; where it is."""

    class Drawn(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.2.3")
        name = "drawn"

        def _info(self) -> tfds.core.DatasetInfo:
            dictionary = tfds.features.FeaturesDict(features)
            return tfds.core.DatasetInfo(
                builder=self, features=dictionary, supervised_keys=supervised
            )

        def _split_generators(self, _: Any) -> dict[str, Any]:
            return {kind: enumerate(examples) for kind, examples in splits.items()}

        def _generate_examples(self) -> None:
            raise NotImplementedError

    builder = Drawn(data_dir=str(folder), file_format="array_record")
    builder.download_and_prepare()
    return builder.data_dir


def pets(folder: Path) -> str:
    """30 pictures of two classes that are told apart by their heights; a third class has none."""

    def example(i: int) -> dict:
        image, mask = encoded(picture(i, 24 + i % 2)), encoded(picture(99))
        return {"image": image, "label": i % 2, "id": i, "mask": mask}

    features = {
        "image": tfds.features.Image(),
        "label": tfds.features.ClassLabel(names=NAMES),
        "id": tfds.features.Scalar(np.int64),
        "mask": tfds.features.Image(),
    }
    splits = {"train": [*map(example, range(20))], "test": [*map(example, range(20, 30))]}
    return make(folder, features, splits, ("image", "label"))


def request(source: str, out: Path, **options: Any) -> Request:
    options = {"resolutions": (16,), "encoding": "raw"} | options
    return Request(source, out, Options(**options))


def run(of: Request) -> dict[str, Any]:
    with pipeline.prepared(of, lambda _: None):
        pass
    assert of.out is not None
    return prepared.read_info(of.out)


def read_elsewhere(root: str, places: list) -> list[bytes]:
    return [discover.read(root, place) for place in places]


def test_pictures_of_all_splits_with_the_names_of_their_classes(tmp_path: Path) -> None:
    found = discover.find(f"tfds:{pets(tmp_path)}")
    assert found.classes == ("cat", "dog/wolf")
    assert [e.label for e in found.entries] == [0] * 15 + [1] * 15
    names = [e.name for e in found.entries]
    assert names == sorted(set(names)) and names[0] == "cat/test-000000.png"
    assert names[-1].startswith("dog_wolf/train-0000")
    kinds = [name.split("/")[1].split("-")[0] for name in names]
    assert (kinds.count("train"), kinds.count("test")) == (20, 10)
    drawn = {picture(i, 24 + i % 2).tobytes(): i % 2 for i in range(30)}
    for entry in found.entries:
        data = discover.read(found.root, entry.place)
        assert len(data) == entry.size
        assert drawn.pop(open_picture(data).tobytes()) == entry.label
    assert not drawn


def test_other_processes_read_what_was_found(tmp_path: Path) -> None:
    found = discover.find(f"tfds:{pets(tmp_path)}")
    places = [e.place for e in found.entries[::7]]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(read_elsewhere, (found.root, places))
    assert there == read_elsewhere(found.root, places)


def test_a_set_by_its_name_and_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pets(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for name in ("drawn", "drawn:1.2.3", "drawn:1.*.*"):
        assert discover.find(f"tfds:{name}") == discover.find(f"tfds:{folder}")


def test_arrays_and_labels_without_names(tmp_path: Path) -> None:
    features = {
        "pixels": tfds.features.Tensor(shape=(9, 7, 1), dtype=np.uint8),
        "label": tfds.features.Scalar(np.int32),
    }
    drawn = [picture(i, 9, 7)[..., :1] for i in range(12)]
    examples = [{"pixels": pixels, "label": (i % 3) * 5} for i, pixels in enumerate(drawn)]
    found = discover.find(f"tfds:{make(tmp_path, features, {'all_of_it': examples})}")
    assert found.classes == ("0", "5", "10")
    assert [e.label for e in found.entries] == [0] * 4 + [1] * 4 + [2] * 4
    assert all(e.name.endswith(".pgm") for e in found.entries)
    read = {open_picture(discover.read(found.root, e.place)).tobytes() for e in found.entries}
    assert read == {np.repeat(pixels, 3, 2).tobytes() for pixels in drawn}


def test_numbers_of_classes_and_pictures_that_have_none(tmp_path: Path) -> None:
    features = {
        "image": tfds.features.Image(),
        "label": tfds.features.ClassLabel(num_classes=4),
    }
    examples = [
        {"image": encoded(picture(i), "JPEG"), "label": label}
        for i, label in enumerate([3, -1, 1, -1, 3])
    ]
    found = discover.find(f"tfds:{make(tmp_path, features, {'train': examples})}")
    assert found.classes == ("1", "3")
    assert [e.label for e in found.entries] == [0, 1, 1]
    assert found.left_out == {"without a label": 2}
    assert found.entries[0].name.endswith(".jpg")


def test_without_labels_all_is_one_class(tmp_path: Path) -> None:
    examples = [{"image": encoded(picture(i)), "id": i} for i in range(3)]
    features = {"image": tfds.features.Image(), "id": tfds.features.Scalar(np.int64)}
    found = discover.find(f"tfds:{make(tmp_path, features, {'train': examples})}")
    assert found.classes == ("drawn",) and len(found.entries) == 3


LABEL = {"label": tfds.features.ClassLabel(num_classes=2)}
TWO = {"a": tfds.features.Image(), "b": tfds.features.Image()}
KINDS = {key: tfds.features.ClassLabel(num_classes=2) for key in ("breed", "species")}
IMAGE = {"image": tfds.features.Image()}


@pytest.mark.parametrize(
    ("features", "says"),
    [
        (LABEL, "one image in each example, and .* has none among label"),
        (TWO | LABEL, "one image in each example, and .* has a, b"),
        (IMAGE | KINDS, "which of its labels counts, and .* has breed, species"),
    ],
)
def test_a_set_that_is_no_set_of_pictures(tmp_path: Path, features: dict, says: str) -> None:
    image = encoded(picture(0)).getvalue()
    example = {
        key: io.BytesIO(image) if isinstance(f, tfds.features.Image) else 0
        for key, f in features.items()
    }
    with pytest.raises(InputError, match=says):
        discover.find(f"tfds:{make(tmp_path, features, {'train': [example]})}")


def test_names_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(InputError, match=r"got 'cats_vs_dog' \(near it: cats_vs_dogs"):
        discover.find("tfds:cats_vs_dog")
    with pytest.raises(InputError, match=r"got 'qqqqqq'$"):
        discover.find("tfds:qqqqqq")
    for source in ("tfds:", "tfds:/nowhere", "tfds:cats_vs_dogs:9.9.9", "tfds:beans/small"):
        with pytest.raises(InputError, match="tensorflow-datasets must give the set"):
            discover.find(source)


def test_a_set_that_cannot_be_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr("socket.getaddrinfo", nowhere)
    with pytest.raises(InputError, match=r"download\.microsoft\.com cannot be reached"):
        discover.find("tfds:cats_vs_dogs")
    with pytest.raises(InputError, match="imdb_reviews has none among label, text"):
        discover.find("tfds:imdb_reviews")


def test_a_set_that_only_tensorflow_can_prepare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_spec("tensorflow"):
        pytest.skip("there is TensorFlow here")
    features = {"image": tfds.features.Image()}
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))

    class NeedsTensorflow(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        url_infos = None

        def _info(self) -> tfds.core.DatasetInfo:
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            )

        def _split_generators(self, _: Any) -> dict[str, Any]:
            return {"train": enumerate([{"image": picture(0)}])}  # To be encoded.

        def _generate_examples(self) -> None:
            raise NotImplementedError

    with pytest.raises(InputError, match=r"must be prepared once.* by a Python that has Tensor"):
        discover.find("tfds:needs_tensorflow")


def test_a_set_in_a_format_that_only_tensorflow_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(pets(tmp_path))
    for file in folder.iterdir():
        if "array_record" in file.name:
            file.rename(folder / file.name.replace("array_record", "tfrecord"))
    info = folder / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for source in (f"tfds:{folder}", "tfds:drawn"):
        with pytest.raises(InputError, match=r"prepared as array_record.* holds tfrecord"):
            discover.find(source)


def test_a_set_with_a_damaged_shard(tmp_path: Path) -> None:
    folder = Path(pets(tmp_path))
    (shard,) = folder.glob("*train*")
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"every shard must be readable, and of .*drawn"):
        discover.find(f"tfds:{folder}")


@pytest.mark.parametrize("encoding", ["raw", "png"])
def test_tensorflow_datasets_reads_a_prepared_set_and_so_does_prepare(
    tmp_path: Path, encoding: str
) -> None:
    """There and back: the same pictures, labels and classes."""
    first = run(request(f"tfds:{pets(tmp_path / 'tfds')}", tmp_path / "out", encoding=encoding))
    assert first["classes"] == NAMES[:2] and first["counts"] == {"cat": 15, "dog/wolf": 15}
    builder = tfds.builder_from_directory(tmp_path / "out")
    assert builder.info.features["label"].names == NAMES[:2]
    read = builder.as_data_source("full")
    ours = prepared.RecordSource(tmp_path / "out", 16)
    assert len(read) == len(ours) == 30
    for theirs, own in zip(read, ours, strict=True):
        np.testing.assert_array_equal(theirs["image"], own["image"])
        assert theirs["label"] == own["label"]
    again = run(request(f"tfds:{tmp_path / 'out'}", tmp_path / "again", encoding=encoding))
    assert again["classes"] == first["classes"]
    for key in ("label", "digest"):
        assert again["pictures"][key] == first["pictures"][key]


def test_findings_of_such_a_set(tmp_path: Path) -> None:
    """Nothing is strange about files that are none."""
    of = request(f"tfds:{pets(tmp_path / 'tfds')}", tmp_path / "out")
    with pipeline.prepared(of, lambda _: None) as result:
        assert not result.findings["oddities"]
    info = json.loads((tmp_path / "out" / prepared.INFO).read_text())
    assert info["source"] == "tfds:drawn/1.2.3"


def test_a_set_is_not_written_into_itself(tmp_path: Path) -> None:
    flags = {"source": f"tfds:{tmp_path}", "out": str(tmp_path / "a"), "resolution": ["16"]}
    with pytest.raises(InputError, match="--out must not lie in --source"):
        of_flags(flags | {"dry_run": False}, lambda _: None)
