"""Every kind of picture file decodes to the colours that went in."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxgan.data.images import (
    FORMATS,
    crop_square,
    open_file,
    open_picture,
    plain_jpeg,
    reason,
    resize,
    to_square,
)

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(im: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    im.save(file, form, **options)
    return file.getvalue()


def plain(colour, mode="RGB", size=(16, 16)) -> Image.Image:
    return Image.new(mode, size, colour)


def noise(size=32, seed=0) -> np.ndarray:
    """Smooth but detailed: survives JPEG."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    return np.array(small.resize((size, size), Image.Resampling.BICUBIC))


def palette(**options) -> bytes:
    im = Image.new("P", (16, 16), 1)
    im.putpalette([*GREEN, *RED, *BLUE])
    return encoded(im, **options)


def pa() -> bytes:
    return encoded(plain((255, 0, 0, 128), "RGBA").convert("PA"), "TIFF")


def colour_key() -> bytes:
    return encoded(plain(RED), transparency=RED)


CASES = {
    "bilevel": (encoded(plain(1, "1")), WHITE),
    "gray": (encoded(plain(100, "L")), (100, 100, 100)),
    "gray alpha": (encoded(plain((100, 0), "LA")), WHITE),
    "gray half alpha": (encoded(plain((0, 128), "LA")), (127, 127, 127)),
    "gray key": (encoded(plain(7, "L"), transparency=7), WHITE),
    "palette": (palette(), RED),
    "palette, clear": (palette(transparency=1), WHITE),
    "palette, clear, bytes": (palette(transparency=bytes([255, 128])), (255, 127, 127)),
    "palette alpha": (pa(), (255, 127, 127)),
    "colour": (encoded(plain(BLUE)), BLUE),
    "colour key": (colour_key(), WHITE),
    "alpha": (encoded(plain((255, 0, 0, 255), "RGBA")), RED),
    "half alpha": (encoded(plain((255, 0, 0, 128), "RGBA")), (255, 127, 127)),
    "clear": (encoded(plain((9, 8, 7, 0), "RGBA")), WHITE),
    "clear webp": (encoded(plain((9, 8, 7, 0), "RGBA"), "WEBP", lossless=True), WHITE),
    "cmyk tiff": (encoded(plain((0, 255, 255, 0), "CMYK"), "TIFF"), RED),
    "16 bit": (encoded(Image.fromarray(np.full((16, 16), 100 * 257, np.uint16))), (100,) * 3),
    "16 bit white": (encoded(Image.fromarray(np.full((16, 16), 65535, np.uint16))), WHITE),
    "16 bit tiff": (
        encoded(Image.fromarray(np.full((16, 16), 25700, np.uint16)), "TIFF"),
        (100,) * 3,
    ),
    "32 bit": (encoded(Image.fromarray(np.full((16, 16), 25700, np.int32)), "TIFF"), (100,) * 3),
    "float to 1": (encoded(Image.fromarray(np.full((16, 16), 0.2, np.float32)), "TIFF"), (51,) * 3),
    "float to 255": (
        encoded(Image.fromarray(np.full((16, 16), 51.0, np.float32)), "TIFF"),
        (51,) * 3,
    ),
    "16 bit pgm": (b"P5 16 16 65535\n" + struct.pack(">H", 25700) * 256, (100,) * 3),
    "pgm": (b"P5 16 16 255\n" + bytes([77]) * 256, (77,) * 3),
    "ppm": (encoded(plain(GREEN), "PPM"), GREEN),
    "bmp": (encoded(plain(GREEN), "BMP"), GREEN),
    "gif": (encoded(plain(GREEN), "GIF"), GREEN),
    "avif": (encoded(plain(WHITE), "AVIF"), WHITE),
}


@pytest.mark.parametrize("name", CASES)
def test_colours_of_every_mode(name):
    file, colour = CASES[name]
    picture = open_picture(file)
    assert picture.shape == (16, 16, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.broadcast_to(np.uint8(colour), picture.shape))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_modes_are_near_the_colour(mode):
    file = encoded(plain((200, 30, 60)).convert(mode), "JPEG", quality=95)
    want = np.asarray(plain((200, 30, 60)).convert("L" if mode == "L" else "RGB").convert("RGB"))
    assert np.abs(open_picture(file).astype(int) - want).max() <= 4


def test_gray_floats_outside_every_range_need_a_set():
    file = encoded(Image.fromarray(np.linspace(-3, 5, 64, dtype=np.float32).reshape(8, 8)), "TIFF")
    with pytest.raises(ValueError, match="values from -3 to 5 have no usual range"):
        open_picture(file)
    with pytest.raises(ValueError, match="finite"):
        open_picture(encoded(Image.fromarray(np.full((8, 8), np.nan, np.float32)), "TIFF"))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientations_all_stand_upright(orientation, form):
    """The tag says where row 0 and column 0 of the stored picture lie (EXIF 2.3, table 6)."""
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16], upright[:8, 16:], upright[8:, :16], upright[8:, 16:] = RED, GREEN, BLUE, WHITE
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if form == "WEBP" else {}
    if form == "JPEG":
        options = {"quality": 95, "subsampling": 0}
    im = Image.fromarray(np.ascontiguousarray(stored))
    picture = open_picture(encoded(im, form, exif=exif.tobytes(), **options))
    assert picture.shape == upright.shape
    assert np.abs(picture.astype(int) - upright).max() <= 8


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_an_animation_gives_its_first_frame(form):
    file = encoded(plain(RED), form, save_all=True, append_images=[plain(BLUE), plain(GREEN)])
    assert Image.open(io.BytesIO(file)).n_frames == 3
    assert np.abs(open_picture(file).astype(int) - RED).max() <= 2


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_truncated_files_are_noticed(form, kept):
    file = encoded(Image.fromarray(noise(64)), form)
    open_picture(file)
    with pytest.raises(Exception) as error:  # Pillow's decoders raise nearly anything.
        open_picture(file[: int(len(file) * kept)])
    assert reason(error.value)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("at_least", [None, 10])
def test_the_last_marker_of_a_jpeg_may_be_missing_and_nothing_else(options, at_least):
    """Some cameras and downloads leave it out; without a byte more, pixels are lost."""
    file = encoded(Image.fromarray(noise(40)), "JPEG", quality=90, **options)
    for lost in (1, 2):
        np.testing.assert_array_equal(
            open_picture(file[:-lost], at_least=at_least), open_picture(file, at_least=at_least)
        )
    for lost in (3, 4, 8, 100):
        with pytest.raises(OSError):
            open_picture(file[:-lost], at_least=at_least)


def test_a_tiff_of_many_channels_is_called_one():
    """Pillow has no mode for five channels of 16 bits, as microscopes write them."""
    tags = [(256, 4, 2), (257, 4, 2), (258, 3, 16), (262, 3, 2), (273, 4, 90), (277, 3, 5)]
    file = b"II*\0" + struct.pack("<IH", 8, len(tags))
    file += b"".join(struct.pack("<HHII", t, kind, 1, value) for t, kind, value in tags)
    with pytest.raises(ValueError, match="a TIFF file of channels or a packing that are not read"):
        open_picture(file + bytes(100))


@pytest.mark.parametrize("content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused_with_a_reason(content):
    with pytest.raises(Image.UnidentifiedImageError) as error:
        open_picture(content)
    assert "not an image" in reason(error.value)
    assert "EPS" not in FORMATS


def claiming(width: int, height: int) -> bytes:
    """A PNG whose header says so, and which has hardly any data."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    return file + struct.pack(">I", zlib.crc32(chunk)) + encoded(plain(RED))[33:]


@pytest.mark.parametrize("warned", ["error", "ignore"])
@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((15000, 10001), 151),  # Pillow warns of it.
        ((20000, 10000), 200),
        ((15000, 20001), 301),  # Pillow raises.
        ((30000, 30000), 900),
        ((300_000, 300_000), "90,000"),
    ],
)
def test_a_file_that_claims_a_huge_size_is_refused_in_one_way(size, told, warned):
    with warnings.catch_warnings():
        warnings.simplefilter(warned, Image.DecompressionBombWarning)
        for opened in (open_file, open_picture):
            with pytest.raises(ValueError) as error:
                opened(claiming(*size))
            said = f"has {told} megapixels, more than the 150 that are read"
            assert reason(error.value) == str(error.value) == said


@pytest.mark.parametrize("size", [(9500, 9500), (12000, 9000), (15000, 10000)])
def test_pictures_of_large_cameras_are_opened(size):
    """90, 108 and 150 megapixels, without a remark: warnings are errors here."""
    with open_file(claiming(*size)) as im:
        assert im.size == size


@pytest.mark.parametrize("megapixels", [200, 400])  # Pillow warns of it; raises.
def test_what_pillow_says_of_a_frame_or_a_tile_is_put_in_the_same_words(megapixels):
    """It looks at them while it decodes; the size of the whole was harmless."""
    with pytest.raises((Image.DecompressionBombWarning, Image.DecompressionBombError)) as error:
        Image._decompression_bomb_check((10**6, megapixels))
    said = f"has {megapixels} megapixels, more than the 150 that are read"
    assert reason(error.value) == said


def test_reasons_do_not_repeat_the_path(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        open_picture(tmp_path / "missing.png")
    assert reason(error.value) == "no such file or directory"
    assert reason(KeyError()) == "KeyError"


def test_a_jpeg_may_be_decoded_smaller_but_not_below_at_least():
    file = encoded(Image.fromarray(noise(256)), "JPEG", quality=95)
    assert open_picture(file).shape == (256, 256, 3)
    assert open_picture(file, at_least=64).shape == (64, 64, 3)
    assert open_picture(file, at_least=65).shape == (128, 128, 3)
    assert open_picture(file, at_least=300).shape == (256, 256, 3)


def photograph(height=256, width=320) -> Image.Image:
    """Noise whose amplitudes fall with frequency as those of photographs do."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    real, imaginary = rng.normal(size=(2, 4, *frequency.shape))
    fields = np.fft.irfft2((real + 1j * imaginary) / frequency**1.3, (height, width))
    light, *colours = fields / fields.std((1, 2), keepdims=True)
    picture = np.stack([128 + 50 * light + 20 * colour for colour in colours], axis=-1)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("crop", ["center", "stretch"])
@pytest.mark.parametrize(("resolution", "scale"), [(65, 1), (64, 2), (32, 4), (16, 8)])
def test_the_smaller_decode_gives_nearly_the_same_picture(resolution, scale, crop):
    file = encoded(photograph(), "JPEG", quality=80)
    exact = to_square(open_picture(file), resolution, crop).astype(int)
    smaller = open_picture(file, at_least=2 * resolution)
    assert smaller.shape[0] == 256 // scale
    difference = np.abs(to_square(smaller, resolution, crop) - exact)
    assert difference.max() <= (12 if scale > 1 else 0)
    assert difference.mean() < (1 if scale > 1 else 1e-9)


@pytest.mark.parametrize("crop", ["center", "stretch"])
def test_files_other_than_jpeg_are_read_exactly(crop):
    file = encoded(photograph(), "PNG")
    exact = to_square(open_picture(file), 16, crop)
    smaller = to_square(open_picture(file, at_least=32), 16, crop)
    np.testing.assert_array_equal(smaller, exact)


def test_resizing_is_antialiased():
    """A fine checkerboard becomes gray; picking single pixels would keep black and white."""
    board = np.indices((256, 256)).sum(0) % 2 * np.uint8(255)
    picture = np.repeat(board.astype(np.uint8)[..., None], 3, axis=2)
    small = resize(picture, 16)
    assert np.abs(small.astype(int) - 127).max() <= 2


def test_the_centre_crop_keeps_shapes_and_the_stretch_keeps_all():
    picture = np.zeros((60, 100, 3), np.uint8)
    picture[:, :20], picture[:, 20:80], picture[:, 80:] = RED, GREEN, BLUE
    assert crop_square(picture).shape == (60, 60, 3)
    assert (crop_square(picture) == GREEN).all()
    assert (to_square(picture, 16, "center") == GREEN).all()
    stretched = to_square(picture, 20, "stretch")
    np.testing.assert_array_equal(stretched[:, [0, 2, 10, 17, 19]].argmax(2)[0], [0, 0, 1, 2, 2])
    assert (crop_square(picture.transpose(1, 0, 2)) == GREEN).all()


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 20),
    st.sampled_from(["center", "stretch"]),
)
def test_any_size_gives_a_square_of_the_same_plain_colour(height, width, resolution, crop):
    picture = np.full((height, width, 3), (10, 200, 90), np.uint8)
    square = to_square(picture, resolution, crop)
    assert square.shape == (resolution, resolution, 3)
    assert (square == (10, 200, 90)).all()


def test_a_picture_of_the_right_size_is_not_touched():
    picture = noise(32)
    np.testing.assert_array_equal(to_square(picture, 32, "center"), picture)
    np.testing.assert_array_equal(open_picture(encoded(Image.fromarray(picture))), picture)


PLAIN_JPEGS = {
    "4:2:0": encoded(Image.fromarray(noise(40)), "JPEG"),
    "4:4:4, progressive": encoded(
        Image.fromarray(noise(33)), "JPEG", subsampling=0, progressive=True
    ),
    "restarts, a comment": encoded(
        Image.fromarray(noise(48)), "JPEG", restart_marker_blocks=2, comment=b"\xff\xda"
    ),
    "coded as RGB": encoded(Image.fromarray(noise(24)), "JPEG", keep_rgb=True),
}


@pytest.mark.parametrize("kind", PLAIN_JPEGS)
@pytest.mark.parametrize("at_least", [None, 17, 64])
def test_a_plain_jpeg_is_what_pillow_makes_of_it(kind: str, at_least: int | None) -> None:
    data = PLAIN_JPEGS[kind]
    picture = plain_jpeg(data, at_least)
    reduced = at_least is not None and open_picture(data, at_least=at_least).shape[0] < 24
    if picture is None:  # What is decoded to a fraction, or has Adobe's marker.
        assert reduced or (at_least and len(open_picture(data)) >= 2 * at_least) or "RGB" in kind
    else:
        expected = open_picture(data, at_least=at_least)
        np.testing.assert_array_equal(np.asarray(picture), expected)


def test_what_is_unusual_about_a_jpeg_is_left_to_pillow() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(noise())
    for data in (
        *(encoded(picture, "JPEG", exif=exif), encoded(picture, "JPEG", icc_profile=b"x" * 99)),
        *(encoded(picture.convert(mode), "JPEG") for mode in ("L", "CMYK")),
        *(encoded(picture), b"", b"\xff\xd8", b"\xff\xd8\xff\xe0"),
        encoded(Image.new("RGB", (600, 600)), "JPEG"),
    ):
        assert plain_jpeg(data) is None


@pytest.mark.parametrize("kind", PLAIN_JPEGS)
def test_a_jpeg_that_is_cut_off_is_what_pillow_makes_of_it(kind: str) -> None:
    data = PLAIN_JPEGS[kind]
    for end in range(len(data)):
        picture = plain_jpeg(data[:end])
        if picture is not None:
            np.testing.assert_array_equal(np.asarray(picture), open_picture(data[:end]))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PLAIN_JPEGS)), st.data())
def test_a_damaged_jpeg_is_what_pillow_makes_of_it(kind: str, data) -> None:
    """Nothing is taken that is refused otherwise, and nothing differs."""
    damaged = bytearray(PLAIN_JPEGS[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    picture = plain_jpeg(bytes(damaged))
    if picture is not None:
        np.testing.assert_array_equal(np.asarray(picture), open_picture(bytes(damaged)))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA"])
def test_a_changed_bit_of_a_png_changes_no_pixel_in_silence(mode: str) -> None:
    data = encoded(Image.fromarray(noise(12)).convert(mode))
    whole = open_picture(data)
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.integers(0, 8 * len(data), 60):
        changed = bytearray(data)
        changed[at // 8] ^= 1 << at % 8
        try:
            np.testing.assert_array_equal(open_picture(bytes(changed)), whole)
        except AssertionError:
            raise
        except Exception:
            refused += 1
    assert refused > 50
