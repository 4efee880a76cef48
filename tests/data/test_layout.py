"""Layouts as people have them: the classes and sides that are meant, and what is said about it."""

import json
import logging
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan.config import load
from jaxgan.data import layout
from jaxgan.data.folder import FolderSource
from jaxgan.data.loader import open_source
from jaxgan.data.sources import discover
from jaxgan.data.tables import Tables
from jaxgan.errors import InputError
from jaxgan.system import lock
from jaxgan.training import run


def draw(root: Path, names: Sequence[str]) -> Path:
    """Different pictures of these names."""
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(root / name, "png")
    return root


def numbered(folder: str, count: int = 4) -> list[str]:
    return [f"{folder}/{i:03d}.png" for i in range(count)]


def classes_of(root: Path, caplog) -> tuple[dict[str, int], str]:
    """Pictures of each class, the same for training and prepare, and all that was said."""
    caplog.clear()
    source = open_source(root, 8)
    said = "\n".join(r.getMessage() for r in caplog.records if r.levelno == logging.WARNING)
    found = discover.find(root)
    assert found.classes == source.classes
    assert [(e.name, e.label) for e in found.entries] == list(
        zip(source.names, source.labels.tolist(), strict=True)
    )
    assert all(line in said for line in found.told if "merged" not in line)
    return dict(zip(source.classes, np.bincount(source.labels).tolist(), strict=True)), said


@pytest.mark.parametrize(
    "sides", [("train", "val", "test"), ("Training", "validation", "test_set"), ("train", "test")]
)
def test_given_sides_are_used(tmp_path: Path, caplog, sides: tuple[str, ...]) -> None:
    for side in sides:
        draw(tmp_path, [n for c in ("cat", "dog") for n in numbered(f"{side}/{c}")])
    counts, said = classes_of(tmp_path, caplog)
    assert counts == {name: 4 * len(sides) for name in ("cat", "dog")}
    assert "sides of a split, not classes" in said and "given sides" in said
    source = open_source(tmp_path, 8)
    split = run.split(source, (0.8, 0.1, 0.1))
    names = np.array(source.names)
    assert all(n.startswith(sides[-1]) for n in names[split.test]) and len(split.test) == 8
    assert all(n.startswith(sides[0]) for n in names[split.train])
    for part in split:
        assert set(source.labels[part]) == {0, 1}
    merged = FolderSource(tmp_path, 8, given_sides="merge")
    assert merged.sides is None and merged.given is not None and len(merged) == len(source)


def test_afhq_is_not_a_class_train(tmp_path: Path, caplog) -> None:
    """Without a test, what is held out becomes it, and validation comes from train, the same at
    any size of the rest."""
    for side, n in (("train", 30), ("val", 5)):
        draw(tmp_path, [x for c in ("cat", "dog", "wild") for x in numbered(f"{side}/{c}", n)])
    counts, said = classes_of(tmp_path, caplog)
    assert FolderSource(tmp_path, 8, classes=("train", "val")).classes == ("train", "val")
    assert counts == dict.fromkeys(("cat", "dog", "wild"), 35)
    assert "validation is the test" in said and "of train are validation" in said
    source = open_source(tmp_path, 8)
    test = {n for n, side in zip(source.names, source.sides, strict=True) if side == 2}
    assert test == {n for n in source.names if n.startswith("val/")}


def test_a_gan_learns_from_the_train_side_alone(tmp_path: Path, capsys) -> None:
    """What folders hold out stays unseen, unless the sides are merged; the account says so."""
    for side, n in (("train", 6), ("val", 4), ("test", 4)):
        draw(tmp_path / "set", [x for c in ("cat", "dog") for x in numbered(f"{side}/{c}", n)])
    config = load("pca64")
    config.data.path, config.data.resolution = str(tmp_path / "set"), 8
    for sides, count, words in (("use", 12, "the 12 images of train alone; 16"), ("merge", 28, "")):
        config.data.given_sides = sides
        run.run(config, tmp_path / sides)
        printed = capsys.readouterr().out
        about = json.loads((tmp_path / sides / "run.json").read_text())["data"]
        assert sum(about["counts"].values()) == count and words in printed
        assert "left alone" in printed or sides == "merge"
        assert "cat" in printed and f"{count // 2}" in printed  # The account's table.
    with lock.held(tmp_path / "new"), pytest.raises(InputError, match="one run at a time"):
        run.run(config, tmp_path / "new")


def test_sides_inside_classes(tmp_path: Path, caplog) -> None:
    draw(tmp_path, [n for c in "ab" for s in ("train", "test") for n in numbered(f"{c}/{s}")])
    assert classes_of(tmp_path, caplog)[0] == {"a": 8, "b": 8}
    assert FolderSource(tmp_path, 8).given.tolist() == [2] * 4 + [0] * 4 + [2] * 4 + [0] * 4


def test_a_class_on_one_side_only_is_refused_or_merged(tmp_path: Path) -> None:
    draw(tmp_path, [*numbered("train/cat"), *numbered("test/cat"), *numbered("test/dog")])
    with pytest.raises(InputError, match=r"every given side .* every class, and train has no dog"):
        FolderSource(tmp_path, 8)
    assert FolderSource(tmp_path, 8, given_sides="merge").classes == ("cat", "dog")
    assert len(FolderSource(tmp_path, 8, classes=("cat",))) == 8


def test_wrapping_folders_are_gone_through(tmp_path: Path, caplog) -> None:
    draw(tmp_path, [*numbered("archive/PetImages/Cat"), *numbered("archive/PetImages/Dog")])
    counts, said = classes_of(tmp_path, caplog)
    assert counts == {"Cat": 4, "Dog": 4} and "everything lies in archive/PetImages" in said
    assert FolderSource(tmp_path, 8, classes=("archive",)).classes == ("archive",)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "pets")
        for name in (*numbered("x/y/Cat"), *numbered("x/y/Dog")):
            archive.write(tmp_path / "archive/PetImages" / name[4:], name)
    assert discover.find(tmp_path / "a.zip").classes == ("Cat", "Dog")


def test_names_give_classes_where_all_do(tmp_path: Path, caplog) -> None:
    for pattern in ("{}.{}.jpg", "{}_00{}.jpg"):
        root = tmp_path / pattern[2]
        draw(root, [pattern.format(c, i) for c in ("cat", "dog") for i in range(3)])
        counts, said = classes_of(root, caplog)
        assert counts == {"cat": 3, "dog": 3} and "names begin with" in said
        draw(root, ["other.jpg"])
        counts, said = classes_of(root, caplog)
        assert counts == {root.name: 7} and "labels.csv with the columns file,label" in said
    draw(tmp_path / "plain", [f"IMG_{i}.jpg" for i in range(4)])
    assert classes_of(tmp_path / "plain", caplog) == ({"plain": 4}, "")


def test_tables_give_classes(tmp_path: Path, caplog) -> None:
    label = {f"{i:03d}.png": "cat" if i % 2 else "dog" for i in range(6)}
    rows = [{"file_name": name, "label": c} for name, c in label.items()]
    csv = "".join(f"{name},{c}\n" for name, c in label.items())
    for table, text, folder in (
        ("metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows), "."),
        ("metadata.csv", "file_name,label\n" + csv, "."),
        ("labels.csv", "\ufeffImage,Class\r\n" + csv, "images"),
        ("labels.csv", "id,breed\n" + csv.replace(".png", ""), "train"),
    ):
        root = draw(tmp_path / f"{table}{folder}", [f"{folder}/{name}" for name in label])
        (root / table).write_text(text)
        counts, said = classes_of(root, caplog)
        assert counts == {"cat": 3, "dog": 3} and f"the classes are those of {table}" in said


def test_labels_of_stylegan(tmp_path: Path, caplog) -> None:
    """Such a `dataset.json` is no damaged prepared set."""
    names = [f"{i // 4:05d}/img{i:08d}.png" for i in range(8)]
    draw(tmp_path, names)
    about = {"labels": [[name, i % 2] for i, name in enumerate(names)]}
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    assert classes_of(tmp_path, caplog)[0] == {"0": 4, "1": 4}
    (tmp_path / "dataset.json").write_text('{"labels": null}')
    counts, said = classes_of(tmp_path, caplog)
    assert counts == {tmp_path.name: 8} and "has no labels" in said


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        (
            "000.png,a\n001.png,b\n009.png,a\n",
            r"must be there, and that of row 4, 009\.png, is not",
        ),
        ("000.png,a\n001.png,b\n000.png,b\n", "gives 000.png two: a in row 2, b in row 4"),
        ("000.png,a\n001.png,\n", "must have a label, and row 3 has none"),
    ],
)
def test_what_a_table_gets_wrong_is_one_sentence(tmp_path: Path, rows: str, rule: str) -> None:
    draw(tmp_path, numbered("."))
    (tmp_path / "labels.csv").write_text("file,label\n" + rows)
    for reader in (lambda: FolderSource(tmp_path, 8), lambda: discover.find(tmp_path)):
        with pytest.raises(InputError, match=f"labels.csv.*{rule}"):
            reader()


def test_pictures_without_a_label_are_told(tmp_path: Path, caplog) -> None:
    draw(tmp_path, numbered("."))
    (tmp_path / "labels.csv").write_text("file,label\n000.png,a\n001.png,b\n")
    counts, said = classes_of(tmp_path, caplog)
    assert counts == {"a": 1, "b": 1} and "left out 2 images without a label" in said


def test_folders_against_a_table_are_two_readings(tmp_path: Path, caplog) -> None:
    draw(tmp_path, ["a/0.png", "a/1.png", "b/2.png", "b/3.png"])
    table = tmp_path / "labels.csv"
    table.write_text("file,label\n0.png,x\n1.png,y\n2.png,x\n3.png,y\n")
    counts, said = classes_of(tmp_path, caplog)
    assert counts == {"a": 2, "b": 2} and "data.layout=table" in said
    table.rename(tmp_path / "metadata.csv")
    table = tmp_path / "metadata.csv"
    table.write_text("file_name,label\na/0.png,x\na/1.png,y\nb/2.png,x\nb/3.png,y\n")
    assert classes_of(tmp_path, caplog)[0] == {"x": 2, "y": 2}


def test_masks_are_no_class(tmp_path: Path, caplog) -> None:
    draw(tmp_path, [*numbered("images"), *numbered("masks")])
    counts, said = classes_of(tmp_path, caplog)
    assert counts == {"images": 4} and "left out 4 images in masks: masks of images" in said


def test_names_of_classes(tmp_path: Path, caplog) -> None:
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    draw(tmp_path, [n for c in (*forms, "dog", "Dog") for n in numbered(c, 2)])
    draw(tmp_path, [".ipynb_checkpoints/x.png", "__MACOSX/x.png", "dog/@eaDir/x.png"])
    counts, said = classes_of(tmp_path, caplog)
    assert counts == {"Dog": 2, forms[0]: 4, "dog": 2}
    assert "two Unicode forms" in said and "Dog, dog differ in case" in said


def test_equal_inner_folders_are_two_readings(tmp_path: Path, caplog) -> None:
    draw(tmp_path, [n for c in ("cat", "dog") for k in "bw" for n in numbered(f"{c}/{k}")])
    counts, said = classes_of(tmp_path, caplog)
    assert counts == {"cat": 8, "dog": 8} and "the outer are read as the classes" in said


def test_archives_inside_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    for reader in (lambda: FolderSource(tmp_path, 8), lambda: discover.find(tmp_path)):
        with pytest.raises(InputError, match=r"has none .*: unpack train\.zip"):
            reader()


def test_many_files_are_soon_laid_out() -> None:
    paths = [f"train/{c}/{i:06d}.png" for c in ("cat", "dog") for i in range(20_000)]
    paths += [f"val/{c}/{i:06d}.png" for c in ("cat", "dog") for i in range(10)]
    found = layout.recognise(paths, [], "x", Tables([], lambda name: b""))
    assert found.classes == ("cat", "dog") and len(found.pictures) == 40_020
