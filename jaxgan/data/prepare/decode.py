"""A file becomes squares: it is read and decoded once, and what is seen of it goes into a row."""

import io
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from jaxgan.data import images, quality
from jaxgan.data.faces import align, landmarks
from jaxgan.data.faces.align import Border
from jaxgan.data.faces.landmarks import Landmarks
from jaxgan.data.images import reason
from jaxgan.data.ranges import Scale
from jaxgan.data.sources import discover
from jaxgan.data.sources.entries import Entry


class Options(NamedTuple):
    """How images become records."""

    resolutions: tuple[int, ...]
    crop: Literal["center", "stretch", "none"] = "center"
    encoding: str = "raw"
    quality: int = 95  # Of JPEG.
    align: bool = False
    border: Border = "reflect"
    doctor: bool = True
    scale: Scale | None = None  # Of gray values beyond 8 bits, of the whole set.


class Row(NamedTuple):
    """What is known of one image; of a file with several aligned faces there are several."""

    name: str
    file: str
    label: int
    problem: str | None = None  # Why there is no record of it.
    width: int = 0  # Of the file, in pixels.
    height: int = 0
    side: int = 0  # Of the square that was cut out, in pixels of the file.
    oddities: tuple[str, ...] = ()
    source: bytes = bytes(16)  # Stands for the file's bytes, at any resolution.
    content: bytes = bytes(16)  # Stands for all pixels, or for those of the square.
    records: tuple[
        int, ...
    ] = ()  # Its place in the part's shard of each resolution; -1: too small.
    digests: tuple[bytes, ...] = ()  # Of its pixels at each resolution.
    contrast: float = 0.0  # These three as in `quality.Measures`.
    sharpness: float = 0.0
    effective: float = 0.0


class Square(NamedTuple):
    """An image at one of the resolutions."""

    image: Image.Image  # As the record gives it back.
    pixels: bytes  # The same, RGB.
    encoded: bytes  # As the record has them.
    whole: bool  # It is the image as it was decoded, and nothing else was done to it.


def read(
    root: str, entry: Entry, marks: Sequence[Landmarks], options: Options
) -> Iterator[tuple[Row, Image.Image | None]]:
    """Rows of an entry, with what squares are cut from; without it where there is a problem."""
    row = Row(entry.name, entry.name, entry.label)
    try:
        if entry.size > discover.LARGEST:
            raise ValueError(f"larger than {discover.LARGEST // 1024**2} MiB")
        data = discover.read(root, entry.place)
        at_least = None if options.align else 2 * max(options.resolutions)
        head, picture = quality.decoded(data, at_least, options.scale)
        row = row._replace(
            width=head.width,
            height=head.height,
            side=min(head.width, head.height),
            oddities=tuple(quality.oddities(entry.name, head)),
            source=images.digest(data),
        )
        if options.align:
            yield from _faces(root, entry, marks, options, row, picture)
            return
        if options.crop == "none" and head.width != head.height:
            raise ValueError(f"not square, {head.width} x {head.height}")
        if len(options.resolutions) > 1 and row.side < min(options.resolutions):
            raise ValueError(f"only {row.side} px")
        if options.doctor and picture.size != (head.width, head.height):
            # Different images may look alike when they are reduced; so may the same one differ.
            row = row._replace(content=_content(row, images.digest(data)))
        yield row, picture
    except Exception as error:  # Pillow's decoders raise nearly anything.
        yield row._replace(problem=reason(error), side=0), None


def _faces(
    root: str,
    entry: Entry,
    marks: Sequence[Landmarks],
    options: Options,
    row: Row,
    picture: Image.Image,
) -> Iterator[tuple[Row, Image.Image | None]]:
    if not marks and entry.side_file is not None:
        data = discover.read(root, entry.side_file)
        is_xml = data.lstrip()[:1] == b"<"
        marks = landmarks.read_voc(data) if is_xml else [landmarks.read_cat(data)]
    if not marks:
        raise ValueError("no landmarks")
    for number, face in enumerate(marks, 1):
        name = align.crop_name(entry.name, number if len(marks) > 1 else 0)
        one = row._replace(name=name, side=0)
        try:
            crop = align.aligned(np.asarray(picture), face, options.border)
            side = align.published_side(align.place(face), row.width, row.height)
            if side < min(options.resolutions):
                raise ValueError(f"the face is only {side} px")
            yield one._replace(side=side), Image.fromarray(crop)
        except ValueError as error:
            yield one._replace(problem=reason(error)), None


def cut(row: Row, picture: Image.Image, options: Options) -> tuple[Row, list[Square]]:
    """Return the squares of an image that `read` gave, and its row with what stands for
    the pixels.
    """
    crop = "stretch" if options.crop == "stretch" else "center"
    squares = []
    for resolution in options.resolutions:
        square = images.square_of(picture, resolution, crop)
        squares.append(_square(square, square is picture, options))
    digests = tuple(images.digest(square.pixels) for square in squares)
    content = row.content
    if options.align or not options.doctor:
        content = digests[0]
    elif content == bytes(16):
        as_it_is = [d for d, square in zip(digests, squares, strict=True) if square.whole]
        content = _content(row, as_it_is[0] if as_it_is else images.digest(picture.tobytes()))
    return row._replace(digests=digests, content=content), squares


def _content(row: Row, pixels: bytes) -> bytes:
    return images.digest(f"{row.width}x{row.height} ".encode() + pixels)


def _square(image: Image.Image, whole: bool, options: Options) -> Square:
    if options.encoding == "raw":
        pixels = image.tobytes()
        return Square(image, pixels, pixels, whole)
    buffer = io.BytesIO()
    if options.encoding == "jpeg":
        image.save(buffer, "JPEG", quality=options.quality, subsampling=0)
        image, whole = Image.open(buffer).convert("RGB"), False
    else:
        lossless = {"png": {"compress_level": 6}, "webp": {"lossless": True}}[options.encoding]
        image.save(buffer, options.encoding, **lossless)
    return Square(image, image.tobytes(), buffer.getvalue(), whole)
