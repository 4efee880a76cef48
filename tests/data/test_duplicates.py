"""Copies are judged by their set: different images that share a layout are none."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from jaxgan.config import loading as configs
from jaxgan.data import duplicates, loader, splits
from jaxgan.data.duplicates import group_copies, near_duplicates
from jaxgan.data.prepare import pipeline
from jaxgan.data.prepare.decode import Options
from jaxgan.data.prepare.options import Request
from jaxgan.training import run as training
from jaxgan.types import InputError


class Images:
    def __init__(self, images):
        self.images, self.classes = np.stack(images), ("cat",)
        self.labels = np.zeros(len(self.images), np.int32)
        self.names = tuple(f"cat/{i}" for i in range(len(self.images)))
        self.resolution = self.images.shape[1]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": self.labels[index]}


def gray(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, 2)


def digit(k: int, rng: np.random.Generator) -> np.ndarray:
    im = Image.new("L", (64, 64))
    at = 16 + 1.5 * rng.standard_normal(), 3 + 1.5 * rng.standard_normal()
    ImageDraw.Draw(im).text(at, str(k % 10), fill=255, font=ImageFont.load_default(45))
    return np.array(im.rotate(6 * rng.standard_normal()).convert("RGB"))


def part(k: int, rng: np.random.Generator) -> np.ndarray:
    """Before a fixed camera; every other one has a scratch."""
    im = Image.new("RGB", (256, 256), (180, 180, 175))
    draw, (x, y) = ImageDraw.Draw(im), rng.normal(0, 3, 2)
    draw.ellipse([60 + x, 60 + y, 196 + x, 196 + y], fill=(90, 90, 95))
    if k % 2:
        a = rng.uniform(0, 2 * np.pi)
        ends = [128 + r * f(a) for r in (20, 60) for f in (np.cos, np.sin)]
        draw.line(ends, fill=(20, 20, 20), width=5)
    noisy = np.asarray(im) + rng.normal(0, 6, (256, 256, 3)) + rng.normal(0, 5)
    small = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
    return np.array(small.resize((64, 64), Image.Resampling.LANCZOS))


def clean_part(k: int, rng: np.random.Generator) -> np.ndarray:
    """Without noise, where chance alone brings two positions close together."""
    y, x = np.mgrid[:64, :64] - 32 - rng.normal(0, 1, 2)[:, None, None]
    edge = np.clip(17 - np.hypot(x, y), 0, 1)
    return gray(180 - 90 * edge + 40 * np.clip(9 - abs(x) - abs(y), 0, 1))


def xray(k: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:64, :64] / 64
    lungs = sum(120 * np.exp(-((x - at) ** 2 + (y - 0.5) ** 2) / 0.03) for at in (0.3, 0.7))
    cx, cy = rng.uniform(0.25, 0.75, 2)
    spot = 60 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 0.002) * (k % 2)
    return gray(60 + lungs + spot + rng.normal(0, 4, (64, 64)) + 6 * rng.standard_normal())


def spectrogram(k: int, rng: np.random.Generator) -> np.ndarray:
    values = 20 + rng.normal(0, 5, (64, 64))
    tone = 10 + 2 * (k % 2) + 0.7 * rng.standard_normal()
    for harmonic in range(1, 5):
        values[min(63, int(tone * harmonic))] += 150 / harmonic
    return gray(values)


def swatch(k: int, rng: np.random.Generator) -> np.ndarray:
    return gray(200 + 20 * (k % 2) + rng.integers(0, 3, (64, 64)))


def photograph(k: int, rng: np.random.Generator) -> np.ndarray:
    """Blobs of every size."""
    total = np.zeros((64, 64, 3))
    for cells, weight in ((3, 1.0), (6, 0.6), (12, 0.4), (24, 0.2)):
        blobs = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        total += weight * np.asarray(blobs.resize((64, 64), Image.Resampling.BICUBIC))
    return (total / 2.2).astype(np.uint8)


Draw = Callable[[int, np.random.Generator], np.ndarray]
SETS: dict[str, tuple[Draw, int]] = {
    "digits": (digit, 300),
    "parts": (part, 120),
    "clean parts": (clean_part, 120),
    "X-rays": (xray, 120),
    "spectrograms": (spectrogram, 120),
    "swatches": (swatch, 120),
}


def drawn(draw: Draw, count: int) -> list[np.ndarray]:
    """Images no two of which are equal."""
    rng = np.random.default_rng(0)
    return list({im.tobytes(): im for im in (draw(k, rng) for k in range(count))}.values())


def resaved(image: np.ndarray) -> np.ndarray:
    half = Image.fromarray(image).resize((40, 40), Image.Resampling.BICUBIC)
    return np.array(half.resize((64, 64), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", SETS)
def test_images_that_share_a_layout_are_not_the_same(name: str) -> None:
    images = drawn(*SETS[name])
    group = near_duplicates(Images(images)).group
    assert len(images) - len(np.unique(group)) <= 0.01 * len(images)


@pytest.mark.parametrize("versions", [1, 10])
def test_copies_of_photographs_are_the_same(versions: int) -> None:
    images = drawn(photograph, 60)
    copies = [resaved(np.clip(im * (0.8 + 0.02 * v), 0, 255).astype(np.uint8))
              for v in range(versions) for im in images]  # fmt: skip
    group = near_duplicates(Images(images + copies)).group
    np.testing.assert_array_equal(group, np.tile(np.arange(60), versions + 1))


def test_a_photograph_in_a_set_of_parts_does_not_make_them_the_same() -> None:
    rng = np.random.default_rng(1)
    images = drawn(part, 80) + [photograph(0, rng)] * 2 + [photograph(1, rng)]
    group = near_duplicates(Images(images)).group
    assert (group == np.arange(83)).sum() == 82 and group[81] == 80


def test_no_chain_leads_from_one_to_another() -> None:
    """Each of these is like the next one, and the first and the last have nothing in common."""
    rng = np.random.default_rng(0)
    ends = np.linalg.qr(rng.standard_normal((512, 2)))[0].T.astype(np.float32)
    angle = np.linspace(0, np.pi / 2, 30)[:, None]
    vectors = (np.cos(angle) * ends[0] + np.sin(angle) * ends[1]).astype(np.float32)
    digests = [bytes([i]) for i in range(30)]
    group = group_copies(digests, vectors, lambda rows: vectors[rows], 0.9).group
    for first in np.unique(group):
        star = vectors[group == first]
        assert ((star @ star.T).min(axis=0) > 0.9).any()
        assert group[first] == first
    assert 1 < len(np.unique(group)) < 30


def test_rules() -> None:
    images = drawn(photograph, 30)
    source = Images([*images, resaved(images[0]), images[1]])
    found = {rule: near_duplicates(source, rule) for rule in ("auto", "exact", "off", "0.999999")}
    assert found["auto"].group[30] == 0 and found["auto"].group[31] == 1
    assert found["exact"].group[30] == 30 and found["exact"].group[31] == 1
    assert (found["off"].group == np.arange(32)).all()
    assert found["0.999999"].group[30] == 30 and found["0.999999"].group[31] == 1
    told = duplicates.sentence(found["auto"], source.names.__getitem__)
    assert "auto" in told and "4 images in 2 groups, such as cat/0 and cat/30" in told
    assert "exact: 2 images in 1 group" in duplicates.sentence(
        found["exact"], source.names.__getitem__
    )
    assert "off: none among 32" in duplicates.sentence(found["off"], str)


@pytest.mark.parametrize("rule", ["sometimes", "0", "1.5", ""])
def test_a_bad_rule_is_refused(rule: str) -> None:
    with pytest.raises(InputError, match=r"data\.duplicates must be auto, exact, off or"):
        near_duplicates(Images(drawn(swatch, 4)), rule)


@pytest.mark.parametrize("name", ["parts", "swatches"])
def test_nothing_of_a_set_that_shares_a_layout_is_left_out(tmp_path: Path, name: str) -> None:
    draw, _ = SETS[name]
    rng = np.random.default_rng(0)
    for k in range(24):
        file = tmp_path / "parts" / ("good", "bad")[k % 2] / f"{k}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(k, rng)).save(file)
    said: list[str] = []
    request = Request(str(tmp_path / "parts"), None, Options((64,)), clean="drop", dry_run=True)
    with pipeline.prepared(request, said.append) as result:
        assert not result.dropped
    assert any(line.startswith("duplicates by auto") and "none among 24" in line for line in said)


def folder(path: Path, classes=("cat", "dog")) -> Path:
    rng = np.random.default_rng(0)
    for name in classes:
        (path / name).mkdir(parents=True)
        for k in range(20):
            im = Image.fromarray(photograph(k, rng)).resize((100, 100), Image.Resampling.BICUBIC)
            im.save(path / name / f"{k}.png")
            if k % 5 == 0:
                im.save(path / name / f"{k} again.jpg", quality=60)
    return path


def test_a_folder_is_split_alike_at_any_resolution(tmp_path: Path) -> None:
    sources = [loader.open_source(folder(tmp_path / "a"), 32)]
    sources += [loader.open_source(tmp_path / "a", side) for side in (64, 100)]
    parts = [splits.split(source) for source in sources]
    for one, *others in zip(*parts, strict=True):
        for other in others:
            np.testing.assert_array_equal(one, other)
    # Of some of its images, too, and the group of a copy is one.
    assert (near_duplicates(sources[0]).group == near_duplicates(sources[1]).group).all()
    assert len(np.unique(near_duplicates(sources[0]).group)) == 40


def test_a_run_goes_on_where_its_images_were_moved(tmp_path: Path) -> None:
    config = configs.load("configs/googlenet.py", test=True)
    data = folder(tmp_path / "pets", ("cat",)) / "cat"
    run = tmp_path / "run"

    def begin(path: str | Path) -> None:
        config.data.path = str(path)
        about = training.describe_data(loader.open_source(path, 16))
        configs.claim(run, config, about)
        configs.claim_data(run, about["fingerprint"], data=about)

    begin(data)
    begin(f"{data}/")
    moved = tmp_path / "elsewhere" / "felines"  # The class has the name of its folder.
    moved.parent.mkdir()
    data.rename(moved)
    begin(moved)
    assert configs.read_claim(run).data.path == str(moved)
    Image.fromarray(photograph(0, np.random.default_rng(9))).save(moved / "new.png")
    with pytest.raises(
        InputError, match=r"24 then, 25 now.*--workdir, with --config.init_from=.*run"
    ):
        begin(moved)
