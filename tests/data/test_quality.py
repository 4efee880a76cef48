"""What is seen in one picture: its header, its sharpness, and the detail that it holds."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from jaxgan.data import quality
from jaxgan.data.quality import Header

ENLARGING = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def natural(side: int, seed: int, steepness: float = 1.0) -> np.ndarray:
    """A picture whose amplitudes fall as 1 / frequency^steepness; 0 is noise."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * frequency**-steepness
    plane = np.fft.irfft2(spectrum, (side, side))
    plane = 128 + 45 * (plane - plane.mean()) / plane.std()
    return np.repeat(np.clip(plane, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def changed(picture: np.ndarray, size: int | None = None, blur: float = 0.0, **how) -> np.ndarray:
    image = Image.fromarray(picture)
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(blur))
    if size:
        image = image.resize((size, size), **how)
    return np.asarray(image)


def measure(picture: np.ndarray, scale: float = 1.0) -> quality.Measures:
    """Of one picture."""
    return quality.Measures(*(values[0] for values in quality.measure(picture[None], [scale])))


def sharpness(gray: np.ndarray) -> float:
    return quality.sharpness(gray[None])[0]


@pytest.mark.parametrize("steepness", [0.0, 1.0, 1.2])
@pytest.mark.parametrize("side", [64, 128, 256])
def test_pictures_with_all_detail_need_all_their_side(steepness: float, side: int) -> None:
    for seed in range(5):
        measures = measure(natural(side, seed, steepness))
        assert measures.effective >= 0.9 * side


@pytest.mark.parametrize("steepness", [0.0, 1.0])
@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("filter", ENLARGING)
def test_enlarged_pictures_need_the_side_they_had(steepness: float, factor: int, filter) -> None:
    for seed in range(3):
        small = natural(64, seed, steepness)
        large = changed(small, 64 * factor, resample=filter)
        effective = measure(large).effective
        # Filters let something through above the cut, most where there is most to let through.
        assert 0.85 * 64 <= effective <= (1.4 if steepness else 1.5) * 64, (effective, seed)


@pytest.mark.parametrize("side", [400, 700])
def test_large_pictures_are_measured_by_their_own_side(side: int) -> None:
    """The spectrum is that of the middle; what follows is about all of it."""
    assert measure(natural(side, 0)).effective >= 0.9 * side
    large = changed(natural(side // 2, 0), side, resample=Image.Resampling.BICUBIC)
    assert 0.38 * side < measure(large).effective < 0.72 * side


def test_of_a_reduced_picture_the_missing_detail_is_known_in_its_own_pixels() -> None:
    """Enlarged by 4 and reduced by 2 a picture lacks half; unreduced it lacked three quarters."""
    sharp = natural(128, 0)
    soft = changed(natural(64, 0), 128, resample=Image.Resampling.BICUBIC)
    assert measure(sharp, 2.0).effective >= 0.9 * 256
    assert measure(soft, 2.0).effective == measure(soft).effective <= 1.45 * 64


@given(st.integers(0, 999), st.sampled_from([(17, 17), (16, 40), (9, 9), (2, 5), (1, 1), (3, 300)]))
def test_any_size_has_measures(seed: int, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)
    for measures in (measure(picture), measure(np.zeros_like(picture))):
        assert np.isfinite(measures).all() and 0 <= measures.effective <= min(shape)


@pytest.mark.parametrize("steepness", [0.8, 1.0, 1.2])
def test_sharpness_falls_under_blur(steepness: float) -> None:
    picture = natural(128, 3, steepness)
    values = [measure(changed(picture, blur=b)).sharpness for b in (0, 0.5, 1, 1.5, 2, 4)]
    assert all(a > b for a, b in pairwise(values)), values
    assert values[0] > 2 * quality.BLURRED and values[-1] < quality.BLURRED


@pytest.mark.parametrize("gain", [0.3, 0.6, 0.9])
def test_sharpness_is_the_same_at_any_contrast(gain: float) -> None:
    picture = natural(128, 3)
    dull = np.round((picture - 128.0) * gain + 100).clip(0, 255).astype(np.uint8)
    sharp, other = (measure(p).sharpness for p in (picture, dull))
    assert other == pytest.approx(sharp, rel=0.05)


def test_sharpness_of_what_can_be_computed_by_hand() -> None:
    slope = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    assert sharpness(slope) == pytest.approx(0, abs=1e-6)  # Steps of 1 and of 2.
    edge = np.where(np.arange(64) < 32, 0, 100).astype(np.float32)
    # One step in 63 against two in 62, in rows; none in columns.
    expected = np.sqrt(4 * (1 / 63) / (2 / 62)) - 1
    assert sharpness(np.tile(edge, (64, 1))) == pytest.approx(expected, rel=1e-5)
    assert sharpness(np.full((64, 64), 7, np.float32)) == 0


def test_contrast_is_that_of_the_whole_picture() -> None:
    picture = np.full((900, 900, 3), 255, np.uint8)
    assert measure(picture).contrast == 0
    picture[:200] = 0  # The middle stays empty.
    assert measure(picture).contrast == pytest.approx(255 * np.sqrt(2 / 9 * 7 / 9), rel=0.02)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RGB = Image.new("RGB", (30, 20), (200, 30, 60))
ODD = {
    "CMYK": (saved(RGB.convert("CMYK"), "JPEG"), "a.jpg", ("JPEG", "CMYK", 30, 20, 1)),
    "gray": (saved(RGB.convert("L"), "JPEG"), "a.JPEG", ("JPEG", "L", 30, 20, 1)),
    "16-bit": (saved(RGB.convert("I;16"), "PNG"), "a.png", ("PNG", "I;16", 30, 20, 1)),
    "alpha": (saved(RGB.convert("RGBA"), "PNG"), "a.png", ("PNG", "RGBA", 30, 20, 1)),
    "animated": (
        saved(RGB, "GIF", save_all=True, append_images=[Image.new("RGB", (30, 20), "blue")]),
        *("a.gif", ("GIF", "P", 30, 20, 2)),
    ),
    "wrong extension": (saved(RGB, "PNG"), "a.jpg", ("PNG", "RGB", 30, 20, 1)),
    "long and narrow": (
        saved(Image.new("RGB", (100, 20)), "PNG"),
        *("a.png", ("PNG", "RGB", 100, 20, 1)),
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_oddities(what: str) -> None:
    data, name, expected = ODD[what]
    head = quality.header(data)
    assert head == Header(*expected)
    assert quality.oddities(name, head) == [what]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_nothing_is_odd_about_plain_files(kind: str) -> None:
    head = quality.header(saved(RGB, kind))
    assert (head.format, head.width, head.height, head.frames) == (kind, 30, 20, 1)
    for extension in quality.SUFFIXES[kind]:
        assert quality.oddities(f"cat/a{extension.upper()}", head) == []
    assert quality.oddities("cat/a", head) == ["wrong extension"]


def test_a_palette_with_a_transparent_colour_has_alpha() -> None:
    data = saved(RGB.convert("P"), "PNG", transparency=0)
    assert quality.oddities("a.png", quality.header(data)) == ["alpha"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        head = quality.header(saved(RGB, kind, exif=exif))
        assert (head.width, head.height) == ((30, 20) if orientation < 5 else (20, 30))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_metadata_does_no_harm() -> None:
    assert quality.header(saved(RGB, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")).width == 30
