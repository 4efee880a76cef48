"""Parts that were scanned, taken together; and the prepared set that is made of them."""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from jaxtyping import Float16, Float32, Float64, Int64, UInt8

from jaxgan.data import doctor, records, scan
from jaxgan.data.example import decode_example
from jaxgan.data.scan import Options, Row
from jaxgan.errors import InputError

SHARD = "pictures-full.array_record-{:05d}-of-{:05d}"  # As tensorflow-datasets names them.
AT_ONCE = 64  # Records that are copied together.


class Scanned(NamedTuple):
    """All parts as one."""

    work: Path
    options: Options
    keys: list[str]  # Of the parts.
    ends: Int64[np.ndarray, " parts"]  # Rows up to the end of each part.
    rows: list[Row]
    good: Int64[np.ndarray, " n"]  # Positions of the rows that have a picture; the rest is theirs.
    vectors: Float16[np.ndarray, "n 512"]
    descriptors: Float32[np.ndarray, "n d"]
    moments: Float64[np.ndarray, "n s 2 3"]

    @classmethod
    def of(cls, work: Path, keys: list[str], options: Options) -> "Scanned":
        parts = [scan.read_part(work, key) for key in keys]
        rows = [row for part in parts for row in part.rows]
        some = [part for part in parts if len(part.moments)] or parts[:1]
        return cls(
            *(work, options, keys, np.cumsum([len(part.rows) for part in parts])),
            rows,
            np.array([i for i, row in enumerate(rows) if row.problem is None], np.int64),
            *(
                np.concatenate([getattr(part, name) for part in some])
                for name in ("vectors", "descriptors", "moments")
            ),
        )

    def without(self, problems: dict[int, str]) -> "Scanned":
        """The same, but that these rows have a problem."""
        rows = [
            row._replace(problem=problems[i]) if i in problems else row
            for i, row in enumerate(self.rows)
        ]
        left = ~np.isin(self.good, list(problems))
        looked = left if len(self.vectors) == len(self.good) else slice(None)
        return self._replace(
            rows=rows,
            good=self.good[left],
            vectors=self.vectors[looked],
            descriptors=self.descriptors[looked],
            moments=self.moments[left],
        )

    def picture(self, index: int, at: int = 0) -> UInt8[np.ndarray, "r r 3"]:
        """The square of a row that has one, at the resolution of that position."""
        resolution = self.options.resolutions[at]
        key = self.keys[int(np.searchsorted(self.ends, index, side="right"))]
        reader = _reader(scan.shard_file(self.work, key, resolution))
        record = reader.read([self.rows[index].records[at]])[0]
        encoding: Any = self.options.encoding
        return records.decode(decode_example(record)["image"], encoding, resolution)


def _reader(file: Path) -> ArrayRecordReader:
    return ArrayRecordReader(str(file), "readahead_buffer_size:0")


def write_set(
    folder: Path,
    scanned: Scanned,
    at: int,
    classes: tuple[str, ...],
    dropped: dict[int, str],
    sides: Int64[np.ndarray, " rows"],
    about: dict[str, Any],
) -> tuple[int, str]:
    """Makes a prepared set, or makes it anew: `dataset.json` goes first and comes last.

    Args:
        folder: where.
        scanned: the pictures.
        at: which of the resolutions.
        classes: their names.
        dropped: the rows to leave out.
        sides: of the split, for each row.
        about: what else `dataset.json` says.

    Returns:
        How many pictures there are, and their fingerprint.

    Raises:
        InputError: a class without a picture.
        OSError: a disk that is full or read-only.
    """
    resolution = scanned.options.resolutions[at]
    folder.mkdir(parents=True, exist_ok=True)
    kept = [i for i in scanned.good.tolist() if i not in dropped]
    kept = [i for i in kept if scanned.rows[i].records[at] >= 0]
    rows = [scanned.rows[i] for i in kept]
    for label, name in enumerate(classes):
        if not any(row.label == label for row in rows):
            raise InputError(
                f"every class must have a picture that is at least {resolution} px and not "
                f"dropped, and {name} has none"
            )
    if (folder / records.INFO).exists():
        os.replace(folder / records.INFO, folder / records.PREVIOUS)
    for old in folder.glob("pictures-full.array_record-*"):
        old.unlink()
    shards = _write_shards(folder, scanned, at, kept)
    names, labels = [row.name for row in rows], [row.label for row in rows]
    digests = [row.digests[at] for row in rows]
    place = {i: k for k, i in enumerate(scanned.good.tolist())}
    moments = scanned.moments[[place[i] for i in kept], at]
    mean, std = doctor.mean_and_std(moments, resolution)
    info = {
        "format": records.FORMAT,
        "fingerprint": records.fingerprint(classes, resolution, names, labels, digests),
        "resolution": resolution,
        "encoding": scanned.options.encoding,
        "classes": list(classes),
        "counts": doctor.count(classes, labels),
        "mean": mean,
        "std": std,
        **about,
        "shards": shards,
        "pictures": {
            "name": names,
            "label": labels,
            "digest": digests,
            "side": sides[kept].tolist(),  # 0 train, 1 validation, 2 test.
        },
        "sides": {scanned.rows[i].source: int(sides[i]) for i in scanned.good.tolist()},
    }
    info["checksum"] = records.checksum(info)
    for name, text in records.tfds_files(info):
        records.write(folder / name, text)
    records.write(folder / records.INFO, json.dumps(info) + "\n")
    (folder / records.PREVIOUS).unlink(missing_ok=True)
    return len(rows), info["fingerprint"]


def _write_shards(folder: Path, scanned: Scanned, at: int, kept: list[int]) -> list[dict[str, Any]]:
    """A shard for each part: the part's own where all of it is kept."""
    resolution = scanned.options.resolutions[at]
    of_part = np.searchsorted(scanned.ends, np.array(kept), side="right")
    parts = np.unique(of_part).tolist()
    shards = []
    for number, part in enumerate(parts):
        source = scan.shard_file(scanned.work, scanned.keys[part], resolution)
        target = folder / SHARD.format(number, len(parts))
        wanted = [scanned.rows[kept[k]].records[at] for k in np.flatnonzero(of_part == part)]
        reader = _reader(source)
        if len(wanted) == reader.num_records():
            _link(source, target)
        else:
            _copy(reader, wanted, target)
        shards.append(
            {
                "file": target.name,
                "pictures": len(wanted),
                "bytes": target.stat().st_size,
                "sha256": records.file_hash(target),
            }
        )
    return shards


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # A file system without links.
        target.write_bytes(source.read_bytes())


def _copy(reader: ArrayRecordReader, wanted: list[int], target: Path) -> None:
    writer = ArrayRecordWriter(str(target), scan.UNCOMPRESSED)
    try:
        for first in range(0, len(wanted), AT_ONCE):
            for record in reader.read(wanted[first : first + AT_ONCE]):
                writer.write(record)
        writer.close()
    except RuntimeError as error:
        raise scan.disk_error(error, target) from error
