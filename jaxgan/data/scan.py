"""A part of the pictures: each is read once, looked at, and written as records. In any process."""

import errno
import hashlib
import io
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter
from jaxtyping import Float16, Float32, Float64, UInt8
from PIL import Image

from jaxgan.data import align, files, look, outliers, transforms
from jaxgan.data.align import Border, Landmarks
from jaxgan.data.example import encode_example
from jaxgan.data.files import Entry
from jaxgan.data.transforms import reason

VERSION = 2  # Of what a part holds: those of other versions are not taken up again.
UNCOMPRESSED = "group_size:1,uncompressed"  # Pixels hardly shrink, and the packing is slow.


class Options(NamedTuple):
    """How pictures become records."""

    resolutions: tuple[int, ...]
    crop: Literal["center", "stretch", "none"] = "center"
    encoding: str = "raw"
    quality: int = 95  # Of JPEG.
    align: bool = False
    border: Border = "reflect"
    doctor: bool = True


class Row(NamedTuple):
    """What is known of one picture; of a file with several aligned faces there are several."""

    name: str
    file: str
    label: int
    problem: str | None = None  # Why there is no record of it.
    records: tuple[
        int, ...
    ] = ()  # Its place in the part's shard of each resolution; -1: too small.
    digests: tuple[str, ...] = ()  # Of its pixels at each resolution.
    content: str = ""  # Stands for all its pixels.
    source: str = ""  # Stands for the file's bytes, at any resolution.
    format: str = ""
    mode: str = ""
    width: int = 0  # Of the file.
    height: int = 0
    side: int = 0  # Of the square that was cut out, in pixels of the file.
    oddities: tuple[str, ...] = ()
    contrast: float = 0.0  # These three as in `look.Measures`.
    sharpness: float = 0.0
    effective: float = 0.0


class Part(NamedTuple):
    """What a part came to; `vectors` and `descriptors` are of the rows with records, in order."""

    rows: list[Row]
    vectors: Float16[np.ndarray, "n 512"]
    descriptors: Float32[np.ndarray, "n d"]
    moments: Float64[np.ndarray, "n s 2 3"]  # Of its square at each resolution; `look.moments`.


def part_key(entries: Sequence[Entry], marks: dict[str, list[Landmarks]], options: Options) -> str:
    """Stands for all that a part depends on."""
    known = repr((VERSION, options, entries, sorted(marks.items(), key=lambda m: m[0])))
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def is_done(folder: Path, key: str) -> bool:
    return (folder / f"{key}.json").is_file()


def shard_file(folder: Path, key: str, resolution: int) -> Path:
    return folder / f"{key}-{resolution}.array_record"


def read_part(folder: Path, key: str) -> Part:
    """What `scan` wrote."""
    rows = [_row(values) for values in json.loads((folder / f"{key}.json").read_text())]
    with np.load(folder / f"{key}.npz") as arrays:
        return Part(rows, arrays["vectors"], arrays["descriptors"], arrays["moments"])


def _row(values: list) -> Row:
    row = Row(*values)
    return row._replace(
        records=tuple(row.records), digests=tuple(row.digests), oddities=tuple(row.oddities)
    )


def scan(
    root: str,
    entries: Sequence[Entry],
    marks: dict[str, list[Landmarks]],
    options: Options,
    folder: Path,
    key: str,
    count: Any = None,
) -> None:
    """Reads the entries and writes their part: shards first, what makes it valid last.

    Args:
        root: of `Files`.
        entries: the part's files.
        marks: landmarks that are not in files beside the pictures, by name.
        options: see there.
        folder: where the part goes.
        key: the part's name.
        count: a shared counter of pictures done.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    temporary = [shard_file(folder, f"{key}.tmp", r) for r in options.resolutions]
    writers = [_Writer(file) for file in temporary]
    rows: list[Row] = []
    vectors, descriptors, moments = [], [], []
    done = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            for entry in entries:
                for row, picture in _pictures(root, entry, marks.get(entry.name, []), options):
                    if picture is not None:
                        row, squares = _write(row, picture, options, writers)
                        if options.doctor:
                            vectors.append(transforms.outlines(squares[0]).astype(np.float16))
                            descriptors.append(outliers.descriptor(squares[0]))
                        moments.append([look.moments(square) for square in squares])
                    rows.append(row)
                done += 1
                if count is not None and (done % 16 == 0 or done == len(entries)):
                    with count.get_lock():
                        count.value += 16 if done % 16 == 0 else done % 16
    finally:
        for writer in writers:
            writer.close()
    arrays = {
        "vectors": np.array(vectors, np.float16).reshape(-1, 512),
        "descriptors": np.array(descriptors or np.zeros((0, 0)), np.float32),
        "moments": np.array(moments, np.float64).reshape(-1, len(writers), 2, 3),
    }
    for file, resolution in zip(temporary, options.resolutions, strict=True):
        os.replace(file, shard_file(folder, key, resolution))
    np.savez(folder / f"{key}.npz", **arrays)
    unfinished = folder / f"{key}.json.tmp"
    unfinished.write_text(json.dumps([list(row) for row in rows]))
    os.replace(unfinished, folder / f"{key}.json")


class _Writer:
    """An ArrayRecord file; what goes wrong is an OSError, and it says what."""

    def __init__(self, file: Path):
        self.file, self.records = file, 0
        self._writer = ArrayRecordWriter(str(file), UNCOMPRESSED)

    def write(self, record: bytes) -> int:
        try:
            self._writer.write(record)
        except RuntimeError as error:
            raise disk_error(error, self.file) from error
        self.records += 1
        return self.records - 1

    def close(self) -> None:
        try:
            if self._writer.is_open():
                self._writer.close()
        except RuntimeError as error:
            raise disk_error(error, self.file) from error


def disk_error(error: RuntimeError, file: Path) -> OSError:
    """What ArrayRecord says in words alone, with its number and the file."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.ENOENT)
    code = next((c for c in codes if os.strerror(c) in str(error)), errno.EIO)
    return OSError(code, os.strerror(code), str(file))


def _pictures(
    root: str, entry: Entry, marks: list[Landmarks], options: Options
) -> list[tuple[Row, Image.Image | None]]:
    """Rows of an entry with what there is to write; without it where there is a problem."""
    row = Row(entry.name, entry.name, entry.label)
    try:
        if entry.size > files.LARGEST:
            raise ValueError(f"larger than {files.LARGEST // 1024**2} MiB")
        data = files.read(root, entry.place)
        with transforms.open_file(data) as im:
            head = look.header_of(im)
            at_least = None if options.align else 2 * max(options.resolutions)
            picture = transforms.decode(im, at_least)
        row = row._replace(
            format=head.format,
            mode=head.mode,
            width=head.width,
            height=head.height,
            oddities=tuple(look.oddities(entry.name, head)),
            source=transforms.digest(data).hex(),
        )
        if options.doctor:
            # Different pictures may look alike when they are reduced; so may the same one differ.
            whole = picture.size == (head.width, head.height)
            same = transforms.digest(picture.tobytes() if whole else data)
            row = row._replace(content=f"{head.width}x{head.height} {same.hex()}")
        if options.align:
            return _faces(root, entry, marks, options, row, picture)
        if options.crop == "none" and head.width != head.height:
            raise ValueError(f"not square, {head.width} x {head.height}")
        side = min(head.width, head.height)
        if len(options.resolutions) > 1 and side < min(options.resolutions):
            raise ValueError(f"only {side} px")
        return [(row._replace(side=side), picture)]
    except Exception as error:  # Pillow's decoders raise nearly anything.
        return [(row._replace(problem=reason(error)), None)]


def _faces(
    root: str,
    entry: Entry,
    marks: list[Landmarks],
    options: Options,
    row: Row,
    picture: Image.Image,
) -> list[tuple[Row, Image.Image | None]]:
    if not marks and entry.side_file is not None:
        data = files.read(root, entry.side_file)
        marks = align.read_voc(data) if data.lstrip()[:1] == b"<" else [align.read_cat(data)]
    if not marks:
        return [(row._replace(problem="no landmarks"), None)]
    found = []
    for name, face in zip(align.crop_names(entry.name, len(marks)), marks, strict=True):
        one = row._replace(name=name)
        try:
            crop = align.aligned(np.asarray(picture), face, options.border)
            side = align.published_side(align.place(face), row.width, row.height)
            if side < min(options.resolutions):
                raise ValueError(f"the face is only {side} px")
            found.append((one._replace(side=side, content=""), Image.fromarray(crop)))
        except ValueError as error:
            found.append((one._replace(problem=reason(error)), None))
    return found


def _write(
    row: Row, picture: Image.Image, options: Options, writers: Sequence[_Writer]
) -> tuple[Row, list[UInt8[np.ndarray, "r r 3"]]]:
    """The row with what was measured, and the squares; those that are large enough are written."""
    squares, records, digests = [], [], []
    crop = "stretch" if options.crop == "stretch" else "center"
    for resolution, writer in zip(options.resolutions, writers, strict=True):
        data, pixels = _encode(transforms.square_of(picture, resolution, crop), options)
        squares.append(np.frombuffer(pixels, np.uint8).reshape(resolution, resolution, 3))
        digests.append(transforms.digest(pixels).hex())
        if len(writers) > 1 and row.side < resolution:  # Several sets: by size.
            records.append(-1)
        else:
            records.append(writer.write(encode_example(data, row.label, row.name)))
    row = row._replace(records=tuple(records), digests=tuple(digests))
    if options.doctor:
        scale = 1.0 if options.align else min(row.width, row.height) / min(picture.size)
        measured = look.measure(np.asarray(picture), scale)
        # What was enlarged is blurred as it is, but may be sharp at the resolution wanted.
        sharp = max(measured.sharpness, look.sharpness(squares[0] @ look.GRAY))
        row = row._replace(**measured._replace(sharpness=sharp)._asdict())
    return row, squares


def _encode(square: Image.Image, options: Options) -> tuple[bytes, bytes]:
    """The bytes of a record's picture, and the pixels that they give."""
    if options.encoding == "raw":
        pixels = square.tobytes()
        return pixels, pixels
    buffer = io.BytesIO()
    if options.encoding == "jpeg":
        square.save(buffer, "JPEG", quality=options.quality, subsampling=0)
        square = Image.open(buffer).convert("RGB")
    else:
        lossless = {"png": {"compress_level": 6}, "webp": {"lossless": True}}[options.encoding]
        square.save(buffer, options.encoding, **lossless)
    return buffer.getvalue(), square.tobytes()
