"""Archives laid out like the published sets of docs/data.md are read as its commands say."""

import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan.data.sources import discover

POINTS = b"9 100 120 180 122 140 170 60 100 70 30 110 70 170 72 215 30 225 100 "
Members = dict[str, bytes]


def image(seed: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def drawn(*names: str, count: int = 4) -> Members:
    """Images of these names, numbered where there is a place for it."""
    every = [name.format(i) for name in names for i in range(count)]
    return {name: image(i) for i, name in enumerate(every)}


def pack(path: Path, members: Members) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


AFHQ = drawn(*(f"{s}/{c}/flickr_{c}_{{:06}}.png" for s in ("train", "test") for c in "abc"))
DOGS = drawn("PetImages/Cat/{}.jpg", "PetImages/Dog/{}.jpg")
DOGS |= {"PetImages/Cat/Thumbs.db": bytes(99), "readme[1].txt": b"x", "CDLA.pdf": b"%PDF"}
PETS = drawn("images/Abyssinian_{}.jpg", "images/american_bulldog_{}.jpg")
PETS |= {"images/Abyssinian_102.mat": bytes(200)}
FOOD = drawn("food-101/images/ice_cream/{}.jpg", "food-101/images/waffles/{}.jpg")
FOOD |= {"food-101/meta/train.json": b'{"a": ["a/1"]}', "food-101/README.txt": b"x"}


@pytest.mark.parametrize(
    ("file", "members", "reading", "classes", "given"),
    [
        ("afhq_v2.zip", AFHQ, "auto", ("a", "b", "c"), True),
        ("kagglecatsanddogs_5340.zip", DOGS, "auto", ("Cat", "Dog"), False),
        ("images.tar.gz", PETS, "names", ("Abyssinian", "american_bulldog"), False),
        ("food-101.tar.gz", FOOD, "auto", ("ice_cream", "waffles"), False),
    ],
)
def test_an_archive_is_taken_as_it_is(
    tmp_path: Path,
    file: str,
    members: Members,
    reading: str,
    classes: Sequence[str],
    given: bool,
) -> None:
    found = discover.find(pack(tmp_path / file, members), tmp_path, reading=reading)
    assert found.classes == tuple(classes) and (found.given is not None) == given
    assert len(found.entries) == 4 * len(classes) * (1 + given)
    for entry in found.entries:
        assert discover.read(found.root, entry.place).startswith(b"\xff\xd8")


def test_several_archives_of_one_class_lie_in_one_folder(tmp_path: Path) -> None:
    """Parts of the cat faces, and the folders of CAT, whose points stand beside the images."""
    for k in range(3):
        (tmp_path / f"faces/dataset-part{k}").mkdir(parents=True)
        (tmp_path / f"cat/CAT_0{k}").mkdir(parents=True)
        for i in range(3):
            (tmp_path / f"faces/dataset-part{k}/cat_{9 * k + i}.png").write_bytes(image(i))
            file = tmp_path / f"cat/CAT_0{k}/0000000{k}_{i:03}.jpg"
            file.write_bytes(image(i))
            file.with_name(file.name + ".cat").write_bytes(POINTS)
    faces, cat = (discover.find(tmp_path / name, reading="one") for name in ("faces", "cat"))
    assert faces.classes == ("faces",) and cat.classes == ("cat",)
    assert len(faces.entries) == len(cat.entries) == 9
    assert all(entry.side_file == f"{entry.name}.cat" for entry in cat.entries)
