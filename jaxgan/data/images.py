"""Numpy functions of one image: open it, whatever it is; crop it square; resize it.

An image is uint8 [h, w, 3], sRGB: colour profiles are converted.
"""

import hashlib
import io
import os
import re
import zlib
from typing import Literal

import numpy as np
from etils import epath
from jaxtyping import Float32, UInt8
from PIL import Image, ImageFile

from jaxgan.data import colours, ranges
from jaxgan.data.ranges import Scale
from jaxgan.errors import FileError
from jaxgan.system import paths

try:  # An extra: see pyproject.toml.
    import pillow_heif  # type: ignore[import-not-found]

    pillow_heif.register_heif_opener()
    HEIF = True
except ImportError:
    HEIF = False

Picture = UInt8[np.ndarray, "h w 3"]
Crop = Literal["center", "stretch"]

# A closed list: Pillow also opens formats that call other programs, whatever a file's name says.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF")
FORMATS += ("HEIF",) * HEIF
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")  # Of HEIC files.
MEGAPIXELS = 150  # Of an image that is read, at most: cameras have up to 102 or 108.
GRID = 16
OUTLINES = 2 * GRID**2
FLAT = 0.25  # Mean step between neighbours, in gray levels, below which outlines are noise.
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)
ORIENTATION = 0x0112  # EXIF tag: how the stored image must be turned to stand upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Of a JPEG file: its first bytes, and what may come before the first scan where it is plain.
START, SCAN, FRAMES = b"\xff\xd8", b"\xff\xda", (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2")
END = b"\xff\xd9"  # Its last bytes,
MORE = (b"", b"\xaa" * 64, b"\x55" * 64)  # and some that change pixels, if any are missing.
PNG = b"\x89PNG\r\n\x1a\n"
TIFF = (b"II*\0", b"MM\0*")
PLAIN = {b"\xff\xe0", b"\xff\xfe", b"\xff\xdb", b"\xff\xc4", b"\xff\xdd"}  # JFIF, comment, tables.
SMALL = 2**18  # Pixels up to which looking into the header counts.
# Pillow warns above its limit and raises above twice of it; it looks into frames and tiles, too.
Image.MAX_IMAGE_PIXELS = MEGAPIXELS * 10**6
Image.init()  # Not thread-safe when left to the first Image.open.


def open_picture(file: str | os.PathLike | bytes, *, at_least: int | None = None) -> Picture:
    """Decode a whole image file to RGB, upright.

    Transparency lies over white; an animation gives its first frame; CMYK and palettes become RGB;
    colours with a profile become sRGB. Gray of more than 8 bits is scaled as `ranges.alone` says:
    of a set of images, `decode` does it with one scale for all.

    Args:
        file: A path, or the file's bytes.
        at_least: Where given, a JPEG file may be decoded to a half, a quarter or an eighth, with no
            side below this many pixels: faster, from the lowest frequencies of each block.

    Returns:
        uint8 [h, w, 3].

    Raises:
        Exception: the file cannot be read: damaged, truncated, no image, more than 150
            megapixels. Pillow's decoders raise nearly anything; `reason` puts it in words.
    """
    with open_file(file) as im:
        return np.array(decode(im, at_least))


def open_file(file: str | os.PathLike | bytes) -> ImageFile.ImageFile:
    """Return the file as Pillow opens it: its header is read, its pixels are not.

    Raises:
        ValueError: it has more than 150 megapixels, or is a PNG file that was changed.
        Exception: as `open_picture`.
    """
    try:
        im = Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS)
    except BOMBS as error:
        raise ValueError(reason(error)) from error
    except Image.UnidentifiedImageError as error:
        if not HEIF and is_heif(_first(file)):
            raise ValueError("a HEIC file: pip install 'jaxgan[heic]'") from error
        if _first(file).startswith(TIFF):
            raise ValueError("a TIFF file of channels or a packing that are not read") from error
        raise
    if im.width * im.height > MEGAPIXELS * 10**6:  # Where Pillow's warning is no error.
        im.close()
        raise ValueError(_too_large(im.width * im.height))
    if im.format == "PNG":
        _check_pixels(im)
    return im


def stored(file: epath.Path) -> UInt8[np.ndarray, "h w 3"]:
    """Return an image that a run keeps in its folder.

    Raises:
        FileError: it cannot be read.
    """
    try:
        content = paths.check_plain(file).read_bytes()
        im = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        if im.format == "PNG":
            _check_pixels(im)
        return np.array(im.convert("RGB"))
    except Exception as error:  # Pillow has many.
        why = str(error).partition("<_io")[0].strip() or type(error).__name__
        raise FileError(
            f"{file} must be an image as it was written, and is damaged ({why}): restore or "
            f"delete it"
        ) from error


def _first(file: str | os.PathLike | bytes) -> bytes:
    if isinstance(file, bytes):
        return file[:12]
    with open(file, "rb") as opened:
        return opened.read(12)


def is_heif(begin: bytes) -> bool:
    """Return whether a file that begins like this is HEIC, as phones write it."""
    return begin[4:8] == b"ftyp" and begin[8:12] in BRANDS


def plain_jpeg(data: bytes, at_least: int | None = None) -> Image.Image | None:
    """Return what `decode` gives of a small JPEG file with nothing unusual about it; else None.

    It takes two thirds of the time: the header is not searched for what is not there. A file that
    is damaged is left to `open_file` and `decode`, too, which say what is wrong with it.
    """
    if data[:2] != START:
        return None
    at, width, height = 2, 0, 0
    while (marker := data[at : at + 2]) != SCAN:
        bits, colours = data[at + 4 : at + 5], data[at + 9 : at + 10]
        if marker in FRAMES and (bits, colours) == (b"\x08", b"\x03"):
            height, width = (int.from_bytes(data[at + i : at + i + 2]) for i in (5, 7))
        elif marker not in PLAIN:  # EXIF's or Adobe's, say.
            return None
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    if not 0 < width * height <= SMALL or (at_least and min(width, height) >= 2 * at_least):
        return None
    try:
        return Image.frombytes("RGB", (width, height), data, "jpeg", "RGB", "")
    except (ValueError, OSError):
        return None


def decode(
    im: Image.Image, at_least: int | None = None, scale: Scale | None = None, wait: bool = False
) -> Image.Image:
    """Return what `open_picture` gives, of an open file and as Pillow's image, of mode "RGB".

    Args:
        im: the file.
        at_least: as for `open_picture`.
        scale: of gray values beyond 8 bits, of the whole set.
        wait: raise `ranges.DeepError` where it takes such a scale and there is none.
    """
    if at_least is not None:
        im.draft(None, (at_least, at_least))
    try:
        im.load()
    except OSError:
        whole = _without_end(im, at_least) if im.format == "JPEG" else None
        if whole is None:
            raise
        im = whole
    turn = UPRIGHT.get(orientation(im))
    upright = im if turn is None else im.transpose(turn)
    if ranges.is_deep(im.mode):
        if wait and scale is None:
            raise ranges.DeepError(ranges.measured(im))
        return Image.fromarray(ranges.to_eight_bits(upright, scale)).convert("RGB")
    upright = colours.to_srgb(upright)
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return upright if upright.mode == "RGB" else upright.convert("RGB")


def _check_pixels(im: Image.Image) -> None:
    """Raise ValueError where a PNG file's compressed pixels are not those that were written.

    They have checksums, of which Pillow looks at none.
    """
    begin = im.fp.tell()  # type: ignore[attr-defined]
    im.fp.seek(0)  # type: ignore[attr-defined]
    data = memoryview(im.fp.read())  # type: ignore[attr-defined]
    im.fp.seek(begin)  # type: ignore[attr-defined]
    at = len(PNG)
    while (end := at + 8 + int.from_bytes(data[at : at + 4])) + 4 <= len(data):
        said = int.from_bytes(data[end : end + 4])
        if data[at + 4 : at + 8] == b"IDAT" and zlib.crc32(data[at + 4 : end]) != said:
            raise ValueError("broken PNG file (the checksum of its pixels does not match)")
        at = end + 4


def _without_end(im: Image.Image, at_least: int | None) -> Image.Image | None:
    """Return a JPEG file of which the last two bytes alone are missing; None where more are.

    Where all pixels are there, what follows them changes none.
    """
    im.fp.seek(0)  # type: ignore[attr-defined]
    data = im.fp.read().rstrip(b"\xff")  # type: ignore[attr-defined]
    every = [Image.open(io.BytesIO(data + more + END)) for more in MORE]
    for each in every:
        if at_least is not None:
            each.draft(None, (at_least, at_least))
    return every[0] if len({each.tobytes() for each in every}) == 1 else None


def orientation(im: Image.Image) -> int:
    """EXIF's: 1 is upright, from 5 on width and height are exchanged."""
    try:
        return im.getexif().get(ORIENTATION, 1)
    except Exception:  # Damaged metadata does not make an image unreadable.
        return 1


def reason(error: Exception) -> str:
    """Why a file could not be read, in a few words, without its path."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image, or of an unknown format"
    if isinstance(error, BOMBS) and (pixels := re.search(r"\d+", str(error))):
        return _too_large(int(pixels[0]))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__


def _too_large(pixels: int) -> str:
    return f"has {-(-pixels // 10**6):,} megapixels, more than the {MEGAPIXELS} that are read"


def crop_square(picture: Picture) -> UInt8[np.ndarray, "s s 3"]:
    """Return the largest square in the middle: [h, w, 3] -> [s, s, 3], s = min(h, w)."""
    return np.array(_middle(Image.fromarray(picture)))


def resize(picture: Picture, resolution: int) -> UInt8[np.ndarray, "r r 3"]:
    """To [resolution, resolution, 3], whatever the aspect, antialiased (Lanczos, 3 lobes)."""
    return to_square(picture, resolution, "stretch")


def to_square(picture: Picture, resolution: int, crop: Crop) -> UInt8[np.ndarray, "r r 3"]:
    """[h, w, 3] -> [resolution, resolution, 3]: the middle square ("center") or all ("stretch")."""
    return np.array(square_of(Image.fromarray(picture), resolution, crop))


def square_of(im: Image.Image, resolution: int, crop: Crop) -> Image.Image:
    """`to_square` of Pillow's images."""
    if im.size == (resolution, resolution):
        return im
    # A block mean down to three times the size first: up to 5 times faster, hardly visible.
    return (_middle(im) if crop == "center" else im).resize(
        (resolution, resolution), Image.Resampling.LANCZOS, reducing_gap=3.0
    )


def _middle(im: Image.Image) -> Image.Image:
    # Cropped before it is resized: a box given to `resize` lets the filter look beyond it.
    side = min(im.size)
    left, top = (im.width - side) // 2, (im.height - side) // 2
    return im if im.width == im.height else im.crop((left, top, left + side, top + side))


def outlines(image: np.ndarray) -> Float32[np.ndarray, " 512"]:
    """Signed square roots of the steps right and down on a 17x17 gray reduction, with norm 1.

    The root keeps a few strong edges from deciding all. A flat image gives zeros.
    """
    return outlines_of(reduced(Image.fromarray(image))[None])[0]


def reduced(im: Image.Image) -> UInt8[np.ndarray, "17 17"]:
    """Return the gray reduction that `outlines` looks at."""
    side = (GRID + 1, GRID + 1)
    return np.asarray(im.convert("L").resize(side, Image.Resampling.BOX))


def outlines_of(grays: UInt8[np.ndarray, "n 17 17"]) -> Float32[np.ndarray, "n 512"]:
    """`outlines` of many images."""
    gray = grays.astype(np.float32)
    here = gray[:, :-1, :-1]
    steps = np.stack([gray[:, :-1, 1:] - here, gray[:, 1:, :-1] - here], axis=1)
    steps = steps.reshape(len(grays), -1)
    total = np.abs(steps).sum(axis=1, keepdims=True)  # Of whole numbers: exact.
    total[total < FLAT * steps.shape[1]] = np.inf
    return np.copysign(np.sqrt(np.abs(steps) / total), steps)


def digest(picture: Picture | bytes) -> bytes:
    """16 bytes that stand for the pixels, whatever file they came from."""
    pixels = picture if isinstance(picture, bytes) else picture.tobytes()
    return hashlib.blake2b(pixels, digest_size=16).digest()
