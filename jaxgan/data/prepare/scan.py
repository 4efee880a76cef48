"""A part of the images: each is read once, looked at, and written as records. In any process."""

import errno
import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from jaxgan.data import npy_rows, quality
from jaxgan.data.faces.landmarks import Landmarks
from jaxgan.data.prepare import decode
from jaxgan.data.prepare.decode import Options, Row, Square
from jaxgan.data.prepare.measure import Seen
from jaxgan.data.prepare.table import table_of
from jaxgan.data.sources import discover
from jaxgan.data.sources.entries import Entry
from jaxgan.data.tf_example import encode_example
from jaxgan.system import checked_files

LOOKED = ("vectors", "descriptors")  # float16 [n, 512], `outlines`; float32 [n, 22].
VERSION = 5  # Of what a part holds: those of other versions are not taken up again.
UNCOMPRESSED = "group_size:1,uncompressed"  # Pixels hardly shrink, and the packing is slow.


class Part(NamedTuple):
    """What a part came to, but for its images and what lies in `array_file`s."""

    rows: int
    problems: dict[int, str]  # By row.
    checksums: dict[str, str]  # SHA-256 of its files, by name.


def part_key(digest: bytes, marks: Mapping[str, list[Landmarks]], options: Options) -> str:
    """Stands for all that a part depends on; `digest` for its entries."""
    known = repr((VERSION, options, digest, sorted(marks.items(), key=lambda m: m[0])))
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def is_done(folder: Path, key: str) -> bool:
    return (folder / f"{key}.json").is_file()


def is_whole(folder: Path, key: str) -> bool:
    """Return whether a part is done, and as it was written: an earlier run may be long ago."""
    try:
        said = read_part(folder, key).checksums.items()
        return all(discover.checksum(folder / name) == checksum for name, checksum in said)
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def shard_file(folder: Path, key: str, resolution: int) -> Path:
    return folder / f"{key}-{resolution}.array_record"


def array_file(folder: Path, key: str, name: str) -> Path:
    """Return an array of a part: its `table.Table` "table", or with a row for each image "moments"
    and, of the doctor, `LOOKED`."""
    return folder / f"{key}.{name}.npy"


def read_part(folder: Path, key: str) -> Part:
    """Return what `scan` wrote."""
    about = checked_files.load(folder / f"{key}.json", f"delete {folder}")
    problems = {int(i): problem for i, problem in about["problems"].items()}
    return Part(about["rows"], problems, about["checksums"])


def scan(
    root: str,
    entries: Sequence[Entry],
    marks: Mapping[str, list[Landmarks]],
    options: Options,
    folder: Path,
    key: str,
    count: Any = None,
) -> None:
    """Read the entries and write their part: shards first, what makes it valid last.

    Args:
        root: of `Files`.
        entries: the part's files.
        marks: landmarks that are not in files beside the images, by name.
        options: see there.
        folder: where the part goes.
        key: the part's name.
        count: a shared counter of images done.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    temporary = [shard_file(folder, f"{key}.tmp", r) for r in options.resolutions]
    writers = [_Writer(*each) for each in zip(temporary, options.resolutions, strict=True)]
    rows: list[Row] = []
    of: list[int] = []  # Positions of their entries.
    seen = Seen(options)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            for done, entry in enumerate(entries, 1):
                found = decode.read(root, entry, marks.get(entry.name, ()), options)
                for row, picture in found:
                    if picture is not None:
                        row, cut = decode.cut(row, picture, options)
                        row = row._replace(records=_write(row, cut, writers))
                        seen.add(row, picture, cut)
                    rows.append(row)
                    of.append(done - 1)
                if count is not None and (done % 16 == 0 or done == len(entries)):
                    with count.get_lock():
                        count.value += 16 if done % 16 == 0 else done % 16
    finally:
        for writer in writers:
            writer.close()
    table = table_of(rows, of, len(writers))
    arrays = seen.arrays()
    written = [shard_file(folder, key, r) for r in options.resolutions]
    for unfinished, file in zip(temporary, written, strict=True):
        os.replace(unfinished, file)
    if options.doctor:
        for name in quality.Measures._fields:
            table[name][table["good"]] = arrays[name]
    arrays["table"] = table
    for name in ("table", "moments", *(LOOKED if options.doctor else ())):
        written.append(array_file(folder, key, name))
        npy_rows.save(written[-1], arrays[name])
    about = {
        "rows": len(rows),
        "problems": {i: row.problem for i, row in enumerate(rows) if row.problem is not None},
        "checksums": {file.name: discover.checksum(file) for file in written},
    }
    checked_files.save(folder / f"{key}.json", about)


def _write(row: Row, cut: Sequence[Square], writers: Sequence["_Writer"]) -> tuple[int, ...]:
    """Return where the squares went; those that are larger than what they are cut from do not."""
    places = []
    for square, writer in zip(cut, writers, strict=True):
        if len(writers) > 1 and row.side < writer.resolution:  # Several sets: by size.
            places.append(-1)
        else:
            places.append(writer.write(encode_example(square.encoded, row.label, row.name)))
    return tuple(places)


class _Writer:
    """An ArrayRecord file; what goes wrong is an OSError, and it says what."""

    def __init__(self, file: Path, resolution: int):
        self.file, self.resolution, self.records = file, resolution, 0
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
    """Return what ArrayRecord says in words alone, with its number and the file."""
    codes = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.ENOENT)
    code = next((c for c in codes if os.strerror(c) in str(error)), errno.EIO)
    return OSError(code, os.strerror(code), str(file))
