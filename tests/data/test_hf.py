"""Sets of Hugging Face's `datasets`: drawn, written by the library itself, and read as a folder is.

What needs the library is skipped without it; what goes wrong before it reads is tried with a fake.
"""

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jaxgan.data import folder
from jaxgan.data.images import open_picture
from jaxgan.data.loader import fingerprint, open_source, usual_side
from jaxgan.data.prepare import pipeline
from jaxgan.data.prepare.decode import Options
from jaxgan.data.prepare.options import Request
from jaxgan.data.sources import discover, hf
from jaxgan.errors import InputError
from jaxgan.system import paths


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (20, 24, 3), np.uint8)


def draw(root: Path) -> Path:
    """Two classes, two sides, 5 and 3 images of each."""
    for number, (side, count) in enumerate((("train", 5), ("test", 3))):
        for label, name in enumerate(("cat", "dog")):
            (root / side / name).mkdir(parents=True)
            for i in range(count):
                seed = 100 * number + 10 * label + i
                Image.fromarray(picture(seed)).save(root / side / name / f"{seed}.png")
    return root


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    library = pytest.importorskip("datasets")
    monkeypatch.setattr(library.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return library


@pytest.fixture
def saved(datasets: Any, tmp_path: Path) -> dict[str, str]:
    """The same images as a folder, as saved, and as Parquet."""
    root = draw(tmp_path / "images")
    loaded = datasets.load_dataset(str(root))
    loaded.save_to_disk(str(tmp_path / "saved"))
    for side, split in loaded.items():
        split.to_parquet(tmp_path / "parquet" / f"{side}.parquet")
    return {name: f"hf:{tmp_path / name}" for name in ("images", "saved", "parquet")}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_form_gives_the_images_classes_and_sides(saved: dict[str, str]) -> None:
    drawn = {picture(100 * s + 10 * k + i).tobytes() for s in (0, 1) for k in (0, 1) for i in (0,)}
    for source in saved.values():
        found = discover.find(source)
        assert found.classes == ("cat", "dog")
        assert [e.label for e in found.entries] == [0] * 8 + [1] * 8
        names = [e.name for e in found.entries]
        assert names == sorted(set(names)) and names[0] == "cat/test-000000.png"
        assert found.given is not None
        assert found.given == tuple(0 if "/train-" in name else 2 for name in names)
        read = [discover.read(found.root, e.place) for e in found.entries]
        assert [len(data) for data in read] == [e.size for e in found.entries]
        assert drawn < {open_picture(data).tobytes() for data in read}
        assert discover.start(found.root, found.entries[0].place).startswith(b"\x89PNG")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_training_and_preparing_read_what_a_folder_gives(
    saved: dict[str, str], tmp_path: Path
) -> None:
    plain = folder.read(tmp_path / "images", 16)
    whole = open_source(saved["parquet"], 16)
    assert usual_side(saved["parquet"]) == 20
    assert sorted(i.tobytes() for i in whole.images) == sorted(i.tobytes() for i in plain.images)
    assert (whole.given == 2).sum() == (plain.given == 2).sum() == 6
    assert fingerprint(whole) == fingerprint(open_source(saved["parquet"], 16))
    out = tmp_path / "out"
    request = Request(saved["parquet"], out, Options((16,), encoding="raw"))
    with pipeline.prepared(request, lambda _: None):
        pass
    again = open_source(out, 16)
    assert again.names == whole.names
    np.testing.assert_array_equal(again.images, whole.images)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_splits_columns_and_groups_are_chosen(datasets: Any, tmp_path: Path) -> None:
    def encoded(seed: int) -> dict:
        file = io.BytesIO()
        Image.fromarray(picture(seed)).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": None}

    rows = {
        "photo": [encoded(i) for i in range(8)],
        "fine": [0, 1, 2, -1, 0, 1, 2, 0],
        "coarse": [0, 0, 1, 1, 0, 0, 1, 1],
        "patient": ["a", "a", "b", "b", "c", "c", "d", "d"],
    }
    features = datasets.Features(
        photo=datasets.Image(),
        fine=datasets.ClassLabel(names=["tabby", "lion", "a/b"]),
        coarse=datasets.ClassLabel(names=["cat", "dog"]),
        patient=datasets.Value("string"),
    )
    # By a file: `from_dict` pickles a table, which fails with some releases of pyarrow.
    import pyarrow  # tensorflow-datasets brings it.
    from pyarrow import parquet

    file = str(tmp_path / "rows.parquet")
    parquet.write_table(pyarrow.table(rows, features.arrow_schema), file)
    made = datasets.load_dataset("parquet", data_files={"train": file, "extra": file})
    made.save_to_disk(str(tmp_path / "saved"))
    source = f"hf:{tmp_path / 'saved'}"
    with pytest.raises(InputError, match="fine, coarse: add #label=fine"):
        discover.find(source)
    found = discover.find(f"{source}#train,label=fine", grouped="column:Patient")
    assert found.classes == ("tabby", "lion", "a/b") and len(found.entries) == 7
    assert found.entries[6].name == "a_b/train-000006.png"
    assert found.left_out == {"without a label": 1}
    assert found.groups is not None and len(set(found.groups)) == 4
    assert found.given is None and not found.told
    both = discover.find(f"{source}#label=coarse")
    assert len(both.entries) == 16 and both.given is None
    assert both.told == ("the splits extra, train are read together: not all of them are sides",)
    assert discover.find(f"{source}#label=patient").classes == ("a", "b", "c", "d")
    assert discover.find(source, reading="one").classes == ("saved",)
    for bad, why in (
        ("#nowhere", "must name splits that the set has, extra, train, got nowhere"),
        ("#label=photo", "#label= must name a column of labels"),
        ("#image=fine", "'fine' is none"),
        ("#colour=fine", "only image= and label= name columns"),
    ):
        with pytest.raises(InputError, match=why):
            discover.find(source + bad)
    with pytest.raises(InputError, match=r"data.groups of a set of datasets must be column:"):
        discover.find(f"{source}#label=fine", grouped="folder")


class Fake:
    """As much of the library as is asked before anything is read."""

    def __init__(self, **splits: dict[str, str]):
        self.splits = {
            kind: SimpleNamespace(
                features={name: made(feature) for name, feature in columns.items()},
                num_rows=3,
                cache_files=[],
            )
            for kind, columns in splits.items()
        }
        self.config = SimpleNamespace(HF_HUB_OFFLINE=False)

    def disable_progress_bars(self) -> None:
        pass

    def load_dataset(self, *_: Any) -> dict:
        return self.splits


def made(feature: str) -> Any:
    kind, _, dtype = feature.partition(" ")
    return type(kind, (), {"dtype": dtype})()


@pytest.mark.parametrize(
    ("columns", "source", "why"),
    [
        ({"text": "Value string"}, "", r"a column of images, and in .* it has none \(columns: tex"),
        ({"image": "Image", "size": "Value float32"}, "", "a column of labels, and .* has none"),
        ({"image": "Image", "a": "ClassLabel", "b": "ClassLabel"}, "", "has a, b: add #label=a"),
        ({"left": "Image", "right": "Image"}, "", "has left, right: add #image=left"),
        ({"image": "Image", "label": "ClassLabel"}, "#all", "has, train, got all"),
    ],
)
def test_sets_that_do_not_do_say_why(
    columns: dict, source: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", Fake(train=columns))  # type: ignore[arg-type]
    for flag in ("--source", "data.path"):
        with pytest.raises(InputError, match=why) as caught:
            discover.find(f"hf:{tmp_path}{source}", flag=flag)
        assert "\n" not in str(caught.value)


def test_without_the_library_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'jaxgan\[hf\]'"):
        discover.find(f"hf:{tmp_path}")


def test_names_that_cannot_be_one(tmp_path: Path) -> None:
    for name in ("", "/nowhere", "a/b/c", "a b", "~/nowhere"):
        with pytest.raises(InputError, match="hf: must be followed by the name of a set"):
            discover.find(f"hf:{name}")
    assert discover.exists("hf:beans") and paths.checked("hf:~", "--source") != "hf:~"
    with pytest.raises(InputError, match="must be auto or one, got inner"):
        discover.find("hf:beans", reading="inner")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_the_library_cannot_load(
    datasets: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "train.csv").write_text("a,b\n1,2\n")
    (tmp_path / "x.parquet").write_text("no")
    for name in ("empty", "x.parquet"):
        with pytest.raises(InputError, match=f"must give the set .*{name}, and does not"):
            discover.find(f"hf:{tmp_path / name}")
    with pytest.raises(InputError, match=r"column of images.*it has none \(columns: a, b"):
        discover.find(f"hf:{tmp_path / 'text'}")
    monkeypatch.setattr(hf, "_unreachable", lambda: True)
    with pytest.raises(InputError, match=r"somebody/pets must be downloaded.*cannot be reached"):
        discover.find("hf:somebody/pets")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["bytes and path", "bytes in a struct", "bytes"])
def test_parquet_of_other_programs_holds_images(datasets: Any, tmp_path: Path, kind: str) -> None:
    """Written without what the library notes beside its columns; texts alone are no images."""
    import pyarrow  # tensorflow-datasets brings it.
    from pyarrow import parquet

    files: list[Any] = []
    for i in range(4):
        file = io.BytesIO()
        Image.fromarray(picture(i)).save(file, "PNG")
        files.append(file.getvalue())
    whole = [{"bytes": f, "path": f"{i}.png"} for i, f in enumerate(files)]
    images = {"bytes and path": whole, "bytes": files}.get(kind, [{"bytes": f} for f in files])
    table = {"photo": images, "label": ["cat", "dog"] * 2}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    found = discover.find(f"hf:{tmp_path / 'a.parquet'}")
    assert found.classes == ("cat", "dog")
    assert sorted(discover.read(found.root, e.place) for e in found.entries) == sorted(files)
    parquet.write_table(pyarrow.table({"text": ["a"], "label": [0]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"must have a column of images.*columns: text, label"):
        discover.find(f"hf:{tmp_path / 'b.parquet'}")
