"""What is read of a folder, in which colours, and what the account says of the rest."""

import io
import logging
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from jaxgan.data import class_counts, images, quality, ranges, walk
from jaxgan.data.folder import FolderSource
from jaxgan.data.loader import open_source, usual_side
from jaxgan.data.sources import discover
from jaxgan.data.toy.animals import ToySource
from jaxgan.errors import InputError

ADOBE = {  # Primaries of Adobe RGB (1998), adapted to D50.
    b"rXYZ": (0.60974, 0.31111, 0.01947),
    b"gXYZ": (0.20528, 0.62567, 0.06087),
    b"bXYZ": (0.14919, 0.06322, 0.74457),
}


def image(seed: int, size: tuple[int, int] = (16, 16)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def save(path: Path, im: Image.Image, form: str | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    im.save(path, form, **options)
    return path


def adobe() -> bytes:
    """The sRGB profile of LittleCMS with other primaries and a gamma of 2.2."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {}
    for i in range(struct.unpack(">I", profile[128:132])[0]):
        at = 132 + 12 * i
        tags[bytes(profile[at : at + 4])] = at
    for tag, values in ADOBE.items():
        where = struct.pack(">II", len(profile), 20)
        profile += b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))
        profile[tags[tag] + 4 : tags[tag] + 12] = where
    where = struct.pack(">II", len(profile), 16)
    profile += b"curv\0\0\0\0\0\0\0\1\x02\x33\0\0"
    for tag in (b"rTRC", b"gTRC", b"bTRC"):
        profile[tags[tag] + 4 : tags[tag] + 12] = where
    profile[0:4] = struct.pack(">I", len(profile))
    return bytes(profile)


def said(caplog) -> str:
    return "\n".join(r.getMessage() for r in caplog.records if r.levelno == logging.WARNING)


def test_every_image_is_read_and_the_rest_is_told(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(images, "HEIF", False)
    for i, name in enumerate(("a.JPG", "b.jpe", "c.jfif", "d.mpo", "without", "IMG.2024")):
        save(tmp_path / "cat" / name, image(i), "JPEG")
        save(tmp_path / "dog" / name, image(9 + i), "PNG")
    heic = b"\0\0\0\x18ftypheic" + bytes(200)
    for i in range(4):
        (tmp_path / f"cat/phone{i}.heic").write_bytes(heic)
    (tmp_path / "cat/renamed").write_bytes(heic)
    for i in range(3):
        (tmp_path / f"dog/{i}.jp2").write_bytes(b"\0\0\0\x0cjP  \r\n" + bytes(200))
    (tmp_path / "dog/renamed.jpg").write_bytes(heic)
    for hidden in (".x.jpg", "@eaDir/a/b.jpg", ".ipynb_checkpoints/a.jpg", "__MACOSX/._a.jpg"):
        save(tmp_path / "cat" / hidden, image(0), "JPEG")
    (tmp_path / "cat/Thumbs.db").write_bytes(b"\xff\xd8\xff" + bytes(200))
    source = FolderSource(tmp_path, 8)
    found = discover.find(tmp_path)
    assert len(source) == 12 and len(found.entries) == 13 and found.kinds == source.kinds
    lines = "\n".join(class_counts.lines(source))
    assert "5 .heic: pip install 'jaxgan[heic]'; 3 .jp2" in lines and "5 hidden" in lines
    assert "1 unreadable: a HEIC file: pip install 'jaxgan[heic]'" in lines
    assert [line.split() for line in class_counts.lines(source)[:3]] == [
        ["class", "images"],
        ["cat", "6"],
        ["dog", "6"],
    ]
    (tmp_path / "only").mkdir()
    (tmp_path / "only/a.heic").write_bytes(heic)
    for reader in (lambda p: FolderSource(p, 8), discover.find):
        with pytest.raises(InputError, match=r"1 \.heic: pip install"):
            reader(tmp_path / "only")


def test_heic_is_read_with_its_extra(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    red = Image.new("RGB", (64, 64), (200, 40, 40))
    save(tmp_path / "cat/a.heic", red, "HEIF", quality=95)
    save(tmp_path / "cat/b", red, "HEIF", quality=95)
    source = FolderSource(tmp_path, 16)
    assert len(source) == 2 and not class_counts.left_out(source.left_out, source.kinds, {})
    assert all(np.abs(source[i]["image"].astype(int) - (200, 40, 40)).max() < 8 for i in (0, 1))


def test_thumbnails_of_tools_say_nothing_of_the_size(tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / f"cat/{i}.png", image(i, (64, 64)))
        for folder in (".thumbnails", "@eaDir", "__MACOSX"):
            save(tmp_path / f"cat/{folder}/{i}.png", image(i))
    assert usual_side(tmp_path) == 64


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_profiles_become_srgb(form: str, mode: str) -> None:
    if (form, mode) == ("JPEG", "RGBA"):
        return
    plain = Image.new(mode, (32, 32), (120, 200, 90, 255)[: len(mode)])
    how = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(form, {})
    file = io.BytesIO()
    plain.save(file, form, icc_profile=adobe(), **how)
    with images.open_file(file.getvalue()) as im:
        assert "colour profile" in quality.oddities("a", quality.header_of(im))
    viewers = ImageCms.profileToProfile(
        plain.convert("RGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(adobe())),
        ImageCms.createProfile("sRGB"),
    )
    assert viewers.getpixel((0, 0)) == (51, 201, 80)
    read = images.open_picture(file.getvalue()).astype(int)
    assert np.abs(read - (51, 201, 80)).max() <= (2 if form == "JPEG" else 0)


def test_srgb_stays_and_a_damaged_profile_is_odd(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, profile in (("a", srgb), ("b", b"no profile"), ("c", None), ("d", adobe())):
        save(tmp_path / f"{name}.png", image(0), icc_profile=profile)
    source = FolderSource(tmp_path, 16)
    assert source.oddities == {"unusable colour profile": 1, "colour profile": 1}
    first, second, third, fourth = (source[i]["image"] for i in range(4))
    assert (first == third).all() and (second == third).all() and (fourth != third).any()
    assert "1 with a colour profile: converted to sRGB" in "\n".join(class_counts.lines(source))


def deep(root: Path, kind: type, highest: list[float], ending: str) -> Path:
    for i, high in enumerate(highest):
        values = np.linspace(0, high, 256).reshape(16, 16).astype(kind)
        save(root / f"{i}.{ending}", Image.fromarray(values))
    return root


@pytest.mark.parametrize("in_memory", [None, 0])
@pytest.mark.parametrize(
    ("kind", "ending", "highest", "white"),
    [
        (np.uint16, "png", [3000, 4095, 1000], 4095),
        (np.uint16, "png", [200, 255], 255),
        (np.uint16, "tif", [60000, 4095], 65535),
        (np.int32, "tif", [100_000, 50_000], 100_000),
        (np.float32, "tif", [0.5, 1], 1),
        (np.float32, "tif", [800, 4095], 4095),
        (np.float32, "tif", [70_000, 10], 70_000),
    ],
)
def test_a_set_has_one_scale(
    tmp_path: Path, caplog, kind, ending, highest, white, in_memory
) -> None:
    """No image's own smallest and largest value is used: they stay comparable."""
    source = FolderSource(deep(tmp_path, kind, highest, ending), 16, in_memory=in_memory)
    assert f"where 0 is black and {white:g} white" in said(caplog)
    for i, high in enumerate(highest):
        assert abs(int(source[i]["image"].max()) - 255 * high / white) <= 1
    seen = source.scale
    assert seen is not None
    one = FolderSource(deep(tmp_path / "one", kind, highest[-1:], ending), 16, scale=seen)
    assert (one[0]["image"] == source[len(highest) - 1]["image"]).all()


def test_negative_floats_have_the_range_of_the_set(tmp_path: Path, caplog) -> None:
    for i, low in enumerate((-3.0, -1.0)):
        save(tmp_path / f"{i}.tif", Image.fromarray(np.full((8, 8), low, np.float32)))
    save(tmp_path / "2.tif", Image.fromarray(np.full((8, 8), 5.0, np.float32)))
    values = [
        int(x["image"][0, 0, 0]) for x in map(FolderSource(tmp_path, 8).__getitem__, range(3))
    ]
    assert values == [0, 64, 255] and "where -3 is black and 5 white" in said(caplog)


def test_a_scale_says_what_is_cut() -> None:
    scale = ranges.chosen([ranges.Deep(0, 4000, False)])
    values = Image.fromarray(np.array([[0, 4095, 60000]], np.uint16))
    assert ranges.to_eight_bits(values, scale).tolist() == [[0, 255, 255]]


def test_oddities_are_told_in_training_too(tmp_path: Path) -> None:
    frames = [image(i) for i in range(3)]
    save(tmp_path / "a.tif", frames[0], save_all=True, append_images=frames[1:])
    save(tmp_path / "b.gif", frames[0], save_all=True, append_images=frames[1:])
    save(tmp_path / "c.png", image(4, (200, 20)))
    save(tmp_path / "d.png", image(5).convert("RGBA"))
    save(tmp_path / "e.png", image(6).convert("CMYK"), "JPEG")
    (line,) = [x for x in class_counts.lines(FolderSource(tmp_path, 8)) if x.startswith("odd: ")]
    for what in ("2 of several pages", "1 with transparency: laid over white", "1 in CMYK"):
        assert what in line
    assert "1 more than 3 times as long as wide" in line


def test_the_account_counts_sides_and_small_classes() -> None:
    labels = np.repeat([0, 1], [500, 40])
    sides = np.tile([0, 0, 0, 1, 2], 108)
    rows = [line.split() for line in class_counts.table(labels, ("ok", "defect"), sides)]
    assert rows == [
        ["images", "train", "validation", "test", "all"],
        ["ok", "300", "100", "100", "500"],
        ["defect", "24", "8", "8", "40"],
    ]
    assert class_counts.uneven(labels, ("ok", "defect"), sides) == []
    (line,) = class_counts.few(labels, ("ok", "defect"), sides)
    assert "defect 24" in line and "ok" not in line.split(";")[0] and "2603.16134" in line
    assert class_counts.few(labels[:500], ("ok",), sides[:500]) == []


def test_a_table_of_many_classes_is_short_and_counts_all() -> None:
    labels = np.repeat(np.arange(2000), 3)
    lines = class_counts.table(labels, [f"c{i}" for i in range(2000)], np.tile([0, 0, 2], 2000))
    assert len(lines) == class_counts.ROWS + 2 and lines[-1].startswith("1,960 more")
    sums = np.array(
        [[int(cell.replace(",", "")) for cell in line.split()[-4:]] for line in lines[1:]]
    )
    assert sums.sum(axis=0).tolist() == [4000, 0, 2000, 6000]


def test_a_class_whose_share_is_far_off_on_a_side_is_told() -> None:
    labels = np.concatenate([np.repeat([0, 1], [300, 300]), np.repeat([0, 1], [90, 10])])
    sides = np.repeat([0, 2], [600, 100])
    lines = class_counts.uneven(labels, ("cat", "dog"), sides)
    assert any("dog is 10% of test and 50% of the other sides" in line for line in lines)
    few = np.concatenate([np.repeat([0, 1], [30, 30]), np.repeat([0, 1], [4, 2])])
    assert class_counts.uneven(few, ("cat", "dog"), np.repeat([0, 2], [60, 6])) == []
    many = np.tile(np.arange(300), 20)
    sides = np.where(many % 2 == np.arange(len(many)) % 3 % 2, 0, 2)
    lines = class_counts.uneven(many, [f"c{i}" for i in range(300)], sides)
    assert len(lines) == class_counts.ROWS + 1 and "more such shares" in lines[-1]


def test_images_that_are_drawn_have_an_account() -> None:
    assert len(class_counts.lines(ToySource(8, count=3), gan=True)) == 4
    assert open_source("toy", 8, count=2).classes == ("cat", "dog")


def test_what_would_let_a_file_in_is_told_once() -> None:
    assert walk.told({".jp2": 3, ".heic": 4, ".txt": 3})[1:] == ["3 .jp2", "3 .txt"]


def test_unequal_classes_are_told_what_counts_them_the_same() -> None:
    labels = np.repeat([0, 1], [500, 40])
    (told,) = class_counts.lopsided(
        labels, ("cat", "dog"), "accuracy", ("real", "add+augmentation")
    )
    assert "cat 500 against dog 40" in told
    assert "verdict.outcome=balanced_accuracy" in told and "the arm balance" in told
    (told,) = class_counts.lopsided(
        labels, ("cat", "dog"), "macro_f1", ("real", "balance+augmentation")
    )
    assert "outcome" not in told and "arm" not in told
    assert class_counts.lopsided(np.repeat([0, 1], [60, 40]), ("cat", "dog"), "accuracy", ()) == []
