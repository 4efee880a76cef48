"""A prepared set, made of the parts that were scanned: shards and `dataset.json`."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from jaxtyping import Bool, Int64, Shaped

from jaxgan.data import channel_stats, prepared
from jaxgan.data.prepare import doctor, scan
from jaxgan.data.prepare.scanned import Scanned, reader
from jaxgan.data.sources import discover
from jaxgan.errors import InputError
from jaxgan.system import checked_files

SHARD = "pictures-full.array_record-{:05d}-of-{:05d}"  # As tensorflow-datasets names them.
AT_ONCE = 64  # Records that are copied together.
SOME = 4096  # Images whose JSON is made at once.

Column = Callable[[slice], list | dict]  # What there is to write of some images.


def write_set(
    folder: Path,
    scanned: Scanned,
    at: int,
    classes: tuple[str, ...],
    kept: Bool[np.ndarray, " n"],
    sides: Int64[np.ndarray, " n"],
    about: dict[str, Any],
    groups: Int64[np.ndarray, " n"] | None = None,
) -> dict[str, Any]:
    """Make a prepared set, or replace one: `dataset.json` goes first and comes last.

    Args:
        folder: where.
        scanned: the images.
        at: which of the resolutions.
        classes: their names.
        kept: which of `scanned.good` are not left out.
        sides: of the split, for each of them.
        about: what else `dataset.json` says.
        groups: which of them stay together, where that was asked for.

    Returns:
        What `dataset.json` says of the set as a whole.

    Raises:
        InputError: a class without an image.
        OSError: a disk that is full or read-only.
    """
    resolution = scanned.options.resolutions[at]
    table = scanned.rows.table
    kept = kept & (table["records"][scanned.good, at] >= 0)
    rows = scanned.good[kept]
    labels = table["label"][rows]
    for name, number in doctor.count(classes, labels).items():
        if not number:
            raise InputError(
                f"every class must have an image that is at least {resolution} px and not "
                f"dropped, and {name} has none"
            )
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / prepared.INFO).exists():
        os.replace(folder / prepared.INFO, folder / prepared.PREVIOUS)
    for old in folder.glob("pictures-full.array_record-*"):
        old.unlink()
    shards = _write_shards(folder, scanned, at, rows)
    digests = table["digests"][:, at]
    fingerprint = prepared.fingerprint(
        *(classes, resolution, scanned.rows.names(rows), labels), _hex(digests[rows])
    )
    mean, std = channel_stats.mean_and_std(scanned.total(kept, at), len(rows) * resolution**2)
    info = {
        "format": prepared.FORMAT,
        "fingerprint": fingerprint,
        "resolution": resolution,
        "encoding": scanned.options.encoding,
        "classes": list(classes),
        "counts": doctor.count(classes, labels),
        "mean": mean,
        "std": std,
        **about,
        "shards": shards,
    }
    for name, text in prepared.tfds_files(info):
        checked_files.write(folder / name, text)
    side = sides[kept]
    columns: dict[str, Column] = {
        "digest": lambda some: [*_hex(digests[rows[some]])],
        "label": lambda some: labels[some].tolist(),
        "name": lambda some: [*scanned.rows.names(rows[some])],
        "side": lambda some: side[some].tolist(),  # 0 train, 1 validation, 2 test.
    }
    if groups is not None:
        group = groups[kept]
        columns["group"] = lambda some: group[some].tolist()
    sources, first = np.unique(table["source"][scanned.good], return_index=True)

    def side_of(some: slice) -> dict[str, int]:
        return dict(zip(_hex(sources[some]), sides[first[some]].tolist(), strict=True))

    text = _json(info, columns, len(rows), side_of, len(sources))
    checked_files.write(folder / prepared.INFO, _checked(text))
    (folder / prepared.PREVIOUS).unlink(missing_ok=True)
    return info


def _hex(digests: Shaped[np.ndarray, " n"]) -> Iterator[str]:
    return (digest.hex() for digest in digests.tolist())


def _json(
    info: dict[str, Any], columns: dict[str, Column], pictures: int, side_of: Column, sources: int
) -> Iterator[str]:
    """`dataset.json` in pieces, with sorted keys: as a whole it is larger than all else here."""
    between = "{"
    for key in sorted([*info, "pictures", "sides"]):
        yield f"{between}{json.dumps(key)}: "
        if key == "pictures":
            for i, name in enumerate(sorted(columns)):
                yield f"{', ' if i else '{'}{json.dumps(name)}: ["
                yield from _pieces(columns[name], pictures)
                yield "]"
            yield "}"
        elif key == "sides":
            yield from ("{", *_pieces(side_of, sources), "}")
        else:
            yield json.dumps(info[key], sort_keys=True)
        between = ", "
    yield "}"


def _pieces(column: Column, count: int) -> Iterator[str]:
    """What stands between the brackets."""
    for start in range(0, count, SOME):
        yield ", " * (start > 0) + json.dumps(column(slice(start, start + SOME)))[1:-1]


def _checked(text: Iterable[str]) -> Iterator[str]:
    """An object's JSON, with `checked_files.checksum` as its last value."""
    digest, last = hashlib.sha256(), ""
    for piece in text:
        digest.update(piece.encode())
        yield last
        last = piece
    yield f', "checksum": "{digest.hexdigest()}"' + last + "\n"


def _write_shards(
    folder: Path, scanned: Scanned, at: int, rows: Int64[np.ndarray, " n"]
) -> list[dict[str, Any]]:
    """Return a shard for each part: the part's own where all of it is kept."""
    resolution = scanned.options.resolutions[at]
    of_part = scanned.part_of(rows)
    parts = np.unique(of_part).tolist()
    shards = []
    for number, part in enumerate(parts):
        source = scan.shard_file(scanned.work, scanned.keys[part], resolution)
        target = folder / SHARD.format(number, len(parts))
        wanted = scanned.rows.table["records"][rows[of_part == part], at].tolist()
        shard = reader(source)
        if len(wanted) == shard.num_records():
            _link(source, target)
            checksum = scanned.checksums[part][source.name]
        else:
            _copy(shard, wanted, target)
            checksum = discover.checksum(target)
        shards.append(
            {
                "file": target.name,
                "pictures": len(wanted),
                "bytes": target.stat().st_size,
                "sha256": checksum,
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
