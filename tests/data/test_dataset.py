"""One dataset for all readers: what is selected, joined, relabelled, mirrored and kept."""

import dataclasses
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxgan.data import dataset
from jaxgan.data.dataset import Dataset
from jaxgan.data.loader import exists, fingerprint, open_source, usual_side
from jaxgan.data.toy import animals
from jaxgan.errors import InputError


def numbered(count: int = 6) -> Dataset:
    """Image i is i everywhere but at its left, 255; with all that may be known of images."""

    def load(index: int) -> np.ndarray:
        image = np.full((4, 4, 3), index, np.uint8)
        image[:, 0] = 255
        return image

    at = np.arange(count)
    return Dataset(
        ("cat", "dog"),
        (at % 2).astype(np.int32),
        tuple(f"{i}.png" for i in at),
        4,
        load=load,
        load_at=lambda index, side: np.full((side, side, 3), index, np.uint8),
        sides=at % 3,
        groups=at // 2,
        given=at % 3,
        digests=at.astype("V16"),
        weights=at.astype(np.float32),
        unreadable=(("x", "why"),),
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=9))
def test_a_selection_has_all_of_its_images(indices: list[int]) -> None:
    whole = numbered()
    for part in (whole.select(indices), whole.in_memory().select(indices)):
        assert len(part) == len(indices) and part.classes == whole.classes
        for row, index in enumerate(indices):
            np.testing.assert_array_equal(part[row]["image"], whole[index]["image"])
            assert part[row]["label"] == whole.labels[index] and part.names[row] == f"{index}.png"
            assert (part.image_at(row, 9) == index).all() and part.image_at(row, 9).shape[0] == 9
        for name in ("sides", "groups", "given", "digests", "weights"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[indices])
        assert part.unreadable == whole.unreadable and part.fingerprint is None


def test_a_selection_of_a_selection_is_one() -> None:
    twice = numbered().select([5, 3, 1]).select([2, 0])
    assert twice.names == ("1.png", "5.png") and (twice.image_at(1, 4) == 5).all()


def test_mirrored_twice_is_as_it_was() -> None:
    whole = numbered()
    for source in (whole, whole.in_memory()):
        once = source.mirrored()
        assert (once.image(2)[:, -1] == 255).all() and (once.image(2)[:, 0] == 2).all()
        assert once.digests is None and once.in_ram == source.in_ram
        np.testing.assert_array_equal(once.mirrored().image(2), whole.image(2))


def test_relabelled_images_are_of_one_class() -> None:
    cats = numbered().select([0, 2]).relabel(("bird", "cat"), "cat")
    assert cats.classes == ("bird", "cat") and cats.labels.tolist() == [1, 1]
    joined = dataset.concat([cats, cats.mirrored()])
    assert len(joined) == 4 and (joined.image(3)[:, -1] == 255).all() and joined.sides is None
    with pytest.raises(InputError, match="the same classes and resolution"):
        dataset.concat([cats, numbered()])


def test_in_memory_reads_each_image_once_and_none_again() -> None:
    read: list[int] = []

    def load(index: int) -> np.ndarray:
        read.append(index)
        return numbered().image(index)

    kept = dataclasses.replace(numbered(), load=load).in_memory()
    assert sorted(read) == list(range(6)) and kept.in_memory() is kept
    assert kept.select([1]).in_ram and dataset.concat([kept, kept]).in_ram
    assert not dataset.concat([kept, numbered()]).in_ram
    kept.select([4]).image(0)
    assert len(read) == 6
    with pytest.raises(ValueError, match="read-only"):
        kept.image(0)[:] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        kept.names = ()  # type: ignore[misc]


def test_archives_are_read_as_the_folder_is(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    source = animals.read(24, count=3)
    for i, name in enumerate(source.names):
        file = root / "train" / source.classes[source.labels[i]] / f"{name.rpartition('/')[2]}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(source.image(i)).save(file)
    plain = open_source(root, 16)
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as packed:
        for file in sorted(root.rglob("*.png")):
            packed.write(file, file.relative_to(root))
    for name, mode in (("pets.tar", "w"), ("pets.tar.gz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as tar:  # type: ignore[call-overload]
            tar.add(root / "train", "train")
    for name in ("pets.zip", "pets.tar", "pets.tar.gz"):
        path = tmp_path / name
        packed_ones = open_source(path, 16, count=3)
        assert exists(path) and usual_side(path) == usual_side(root) == 24
        assert fingerprint(open_source(path, 16, count=None)) != ""
        assert sorted(i.tobytes() for i in open_source(path, 16).images) == sorted(
            i.tobytes() for i in plain.images
        )
        assert len(packed_ones) == 6 and packed_ones.image_at(0, 24).shape == (24, 24, 3)
    assert not exists(tmp_path / "nowhere") and exists("toy") and exists("tfds:beans")


def test_any_source_becomes_a_dataset() -> None:
    class Bare:
        classes, labels, names, resolution = ("cat",), np.zeros(2, np.int32), ("a", "b"), 4

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> dict:
            return {"image": np.full((4, 4, 3), index, np.uint8), "label": self.labels[index]}

    found = dataset.of(Bare())
    assert (
        (found.image(1) == 1).all() and found.groups is None and found.image_at(1, 8).shape[0] == 4
    )
    assert dataset.of(found) is found
