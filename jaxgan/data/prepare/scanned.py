"""All parts, taken together: what is known of the images, and the images where they lie."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from jaxgan.data import duplicates, prepared
from jaxgan.data.npy_rows import Stored
from jaxgan.data.prepare import scan
from jaxgan.data.prepare.decode import Options
from jaxgan.data.prepare.table import Rows, row_type
from jaxgan.data.sources.entries import Entries
from jaxgan.data.tf_example import decode_example

SOME = 4096  # Images that are summed over at once.


class Scanned(NamedTuple):
    """All parts as one; arrays are of `good`, the positions of the rows that have an image."""

    work: Path
    options: Options
    keys: list[str]  # Of the parts.
    ends: Int64[np.ndarray, " parts"]  # Rows up to the end of each part.
    checksums: list[dict[str, str]]  # Of the parts' files, by name.
    rows: Rows
    good: Int64[np.ndarray, " n"]
    vectors: Stored | None  # Outlines, float16 [n, 512]; None where the doctor did not look.
    features: Stored | None  # By which images are strange, float32 [n, d]; None as before.
    moments: Stored  # `channel_stats.sums` at each resolution, one after another, float64 [n, 6 s].

    def but(self, problems: Mapping[int, str]) -> "Scanned":
        """Return the same, but that these rows have a problem."""
        left = ~np.isin(self.good, list(problems))
        return self._replace(
            rows=self.rows.but(problems),
            good=self.good[left],
            vectors=None if self.vectors is None else self.vectors.only(left),
            features=None if self.features is None else self.features.only(left),
            moments=self.moments.only(left),
        )

    def total(self, wanted: Bool[np.ndarray, " n"], at: int) -> Float64[np.ndarray, "2 3"]:
        """Return the sum of the moments of these, at the resolution of that position."""
        total, rows = np.zeros((2, 3)), np.flatnonzero(wanted)
        for start in range(0, len(rows), SOME):
            sums = self.moments[rows[start : start + SOME]][:, 6 * at : 6 * at + 6]
            total += sums.sum(axis=0).reshape(2, 3)
        return total

    def details(self, positions: Int64[np.ndarray, " m"]) -> Float32[np.ndarray, "m d"]:
        """Of some of `good`, sorted: what tells copies, from images of 64 px or more."""
        large = [at for at, r in enumerate(self.options.resolutions) if r >= duplicates.SIDE]
        places = self.rows.table["records"][self.good]
        at = next((at for at in large if (places[:, at] >= 0).all()), 0)
        return np.stack([*map(duplicates.detail, self.pictures(self.good[positions], at))])

    def part_of(self, rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        return np.searchsorted(self.ends, rows, side="right")

    def picture(self, index: int, at: int = 0) -> UInt8[np.ndarray, "r r 3"]:
        """Return the square of a row that has one, at the resolution of that position."""
        return next(self.pictures([index], at))

    def pictures(
        self, indices: Sequence[int] | Int64[np.ndarray, " n"], at: int = 0
    ) -> Iterator[UInt8[np.ndarray, "r r 3"]]:
        """Of several rows, sorted: each part's shard is opened once."""
        rows = np.asarray(indices, np.int64)
        resolution, encoding = self.options.resolutions[at], self.options.encoding
        of = self.part_of(rows)
        for part in np.unique(of).tolist():
            shard = reader(scan.shard_file(self.work, self.keys[part], resolution))
            for place in self.rows.table["records"][rows[of == part], at].tolist():
                (record,) = shard.read([place])
                image = decode_example(record)["image"]
                yield prepared.decode(image, encoding, resolution)  # type: ignore[arg-type]


def together(work: Path, keys: list[str], entries: Entries, size: int, options: Options) -> Scanned:
    """Return the parts with these keys, of `size` entries each."""
    parts = [scan.read_part(work, key) for key in keys]
    ends = np.cumsum([part.rows for part in parts])
    table = np.empty(ends[-1], row_type(len(options.resolutions)))
    problems: dict[int, str] = {}
    for i, (key, part, end) in enumerate(zip(keys, parts, ends.tolist(), strict=True)):
        start = end - part.rows
        table[start:end] = np.load(scan.array_file(work, key, "table"))
        table["entry"][start:end] += i * size
        problems |= {start + row: problem for row, problem in part.problems.items()}
    good = np.flatnonzero(table["good"])
    vectors, features = (
        stored(work, keys, name, good, ends) if options.doctor else None for name in scan.LOOKED
    )
    return Scanned(
        *(work, options, keys, ends, [part.checksums for part in parts]),
        *(Rows(table, entries, problems), good, vectors, features),
        stored(work, keys, "moments", good, ends),
    )


def stored(
    work: Path,
    keys: Sequence[str],
    name: str,
    good: Int64[np.ndarray, " n"],
    ends: Int64[np.ndarray, " parts"],
) -> Stored:
    """Return that array of all parts; `good` are all rows that have an image."""
    files = [scan.array_file(work, key, name) for key in keys]
    return Stored(files, np.searchsorted(good, ends), np.arange(len(good)))


def reader(file: Path) -> ArrayRecordReader:
    return ArrayRecordReader(str(file), "readahead_buffer_size:0")
