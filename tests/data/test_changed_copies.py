"""Changed copies are found; different images are not, however alike their set is."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance
from scipy import ndimage

from jaxgan.data import changed_copies
from jaxgan.experiment.validity import leakage
from jaxgan.types import InputError

SHARED = Path(__file__).parents[3] / "shared/data"
COUNT = 60


class Images:
    def __init__(self, images, called="held"):
        self.images = list(images)
        self.classes, self.resolution = ("cat",), len(self.images[0]) if self.images else 64
        self.labels = np.zeros(len(self.images), np.int32)
        self.names = tuple(f"{called}/{i}" for i in range(len(self.images)))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": self.labels[index]}


def fields(count: int, seed: int, side: int = 64) -> np.ndarray:
    """Smooth random fields with details at every size."""
    rng = np.random.default_rng(seed)
    total = sum(
        2.0**k * ndimage.gaussian_filter(rng.standard_normal((count, side, side, 3)), (0, k, k, 0))
        for k in (1, 2, 4, 8)
    )
    return np.clip(128 + 60 * total / total.std(), 0, 255).astype(np.uint8)


def cropped(share):
    def crop(im):
        edge = im.width * share
        box = (edge, edge, im.width - edge, im.height - edge)
        return im.resize(im.size, Image.Resampling.BICUBIC, box=box)

    return crop


def captioned(im):
    im = im.copy()
    ImageDraw.Draw(im).rectangle([0, int(im.height * 0.88), im.width, im.height], fill="white")
    return im


def bordered(im):
    edge = im.width // 14
    whole = Image.new("RGB", (im.width + 2 * edge,) * 2)
    whole.paste(im, (edge, edge))
    return whole.resize(im.size, Image.Resampling.LANCZOS)


def over(im):
    im = im.copy()
    ImageDraw.Draw(im).rectangle([0, 0, 63, 63], outline="white", width=4)
    return im


def jpeg(im):
    file = io.BytesIO()
    ImageEnhance.Brightness(im).enhance(1.2).save(file, "JPEG", quality=60)
    return Image.open(file)


CHANGES = {
    "equal": lambda im: im,
    **{way.name: lambda im, way=way: im.transpose(way) for way in Image.Transpose},
    "tilted": lambda im: im.rotate(5, Image.Resampling.BICUBIC),
    "cropped 5": cropped(0.05),
    "cropped 10": cropped(0.1),
    "shifted": lambda im: im.transform(im.size, Image.Transform.AFFINE, (1, 0, 3, 0, 1, 0)),
    "captioned": captioned,
    "framed": bordered,
    "framed over it": over,
    "re-encoded": jpeg,
    "resized": lambda im: im.resize((40, 40)).resize(im.size),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_copies_are_found(name) -> None:
    held_out, others = fields(COUNT, 0), fields(COUNT, 1)
    made = [np.asarray(CHANGES[name](Image.fromarray(im)).convert("RGB")) for im in held_out[:20]]
    found = changed_copies.find(Images([*others, *made]), Images(held_out))
    assert found.told and found.looked == (COUNT + 20, COUNT)
    wanted = {(COUNT + i, i) for i in range(20)}
    pairs = set(map(tuple, found.pairs.tolist()))
    assert pairs <= wanted  # None of different images.
    assert len(pairs) >= (16 if name == "tilted" else 19)


@pytest.mark.parametrize("side", [32, 128])
def test_of_any_resolution(side) -> None:
    held_out = fields(30, 2, side)
    found = changed_copies.find(
        Images([*fields(30, 3, side), *held_out[:10, :, ::-1]]), Images(held_out)
    )
    assert found.pairs.tolist() == [[30 + i, i] for i in range(10)]


def parts(count: int, seed: int) -> list[np.ndarray]:
    """A part before a fixed camera: all but some noise and a spot is the same."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64] / 64
    images = []
    for _ in range(count):
        cx, cy = rng.uniform(0.25, 0.75, 2)
        gray = 90.0 + 100 * (np.hypot(x - 0.5, y - 0.5) < 0.3) + rng.normal(0, 3, (64, 64))
        gray -= 60 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.002)
        images.append(np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, 2))
    return images


def test_images_that_share_a_layout_are_no_copies() -> None:
    assert not len(changed_copies.find(Images(parts(60, 0)), Images(parts(60, 1))).pairs)


def test_where_all_are_alike_it_says_that_it_cannot_tell() -> None:
    same = fields(1, 0)[0]
    rng = np.random.default_rng(0)
    noisy = [
        np.clip(same + rng.normal(0, 1, same.shape), 0, 255).astype(np.uint8) for _ in "x" * 60
    ]
    found = changed_copies.find(Images(noisy[:30]), Images(noisy[30:]))
    assert not found.told and not len(found.pairs)


def test_flat_and_missing_images_have_no_copies() -> None:
    flat = [np.full((64, 64, 3), 10 * k, np.uint8) for k in range(20)]
    assert not len(changed_copies.find(Images(flat), Images(flat)).pairs)
    assert not len(changed_copies.find(Images([]), Images(flat)).pairs)


def test_of_too_many_a_random_part_is_looked_at(monkeypatch) -> None:
    monkeypatch.setattr(changed_copies, "MOST", (30, 25))
    held_out = fields(40, 0)
    found = leakage.leakage({"generated": Images(held_out[:, :, ::-1])}, Images(held_out))
    assert found["passed"] is False
    assert "30 of 40 images learned from, 25 of 40 held out" in found["sentence"]


def test_a_folder_of_mirrored_test_images_is_refused() -> None:
    held_out = fields(COUNT, 0)
    mirrored = Images(held_out[:, :, ::-1], "cat")
    with pytest.raises(InputError, match=r"changed copies of them, and 60 are .* cat/0 and held/0"):
        leakage.check_folder(mirrored, Images(held_out))
    leakage.check_folder(Images(fields(COUNT, 1), "cat"), Images(held_out))
    found = leakage.leakage({"real": Images(fields(COUNT, 1))}, Images(held_out))
    assert found["passed"] is True and "cannot be seen" in found["sentence"]


def photographs(name: str, count: int) -> np.ndarray:
    images = []
    with tarfile.open(SHARED / name) as tar:
        for member in tar:
            if member.name.endswith("jpg") and len(images) < count:
                im = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
                images.append(np.asarray(im.resize((64, 64), Image.Resampling.LANCZOS)))
    return np.stack(images)


@pytest.mark.skipif(not SHARED.exists(), reason="no ../shared/data")
def test_photographs_and_their_changes() -> None:
    images = photographs("cats_dogs_180.tar", 400)
    held_out = Images(images[:200])
    assert len(changed_copies.find(Images(images[200:]), held_out).pairs) <= 2
    names = [name for name in CHANGES if name != "equal"]
    chosen = [names[i % len(names)] for i in range(100)]
    made = [
        np.asarray(CHANGES[name](Image.fromarray(im)).convert("RGB"))
        for name, im in zip(chosen, images[:100], strict=True)
    ]
    pairs = changed_copies.find(Images([*images[200:], *made]), held_out).pairs.tolist()
    assert sum(a - 200 == b for a, b in pairs) >= 95
