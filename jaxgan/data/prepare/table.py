"""What is known of all images, in columns: some hundred bytes of each."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Int, Shaped

from jaxgan.data import colours
from jaxgan.data.faces.align import crop_name
from jaxgan.data.prepare.decode import Row
from jaxgan.data.sources.entries import Entries

ODDITIES = (
    *("wrong extension", "animated", "CMYK", "16-bit", "alpha", "gray", "long and narrow"),
    *(colours.CONVERTED, colours.UNUSABLE, "16-bit colour"),
)


Table = Shaped[np.ndarray, " rows"]  # Of `row_type`.


def row_type(resolutions: int) -> np.dtype:
    """Return a row as numbers; its strings are those of its entry, and its problem is kept
    elsewhere.
    """
    return np.dtype(
        [
            *(("entry", np.int32), ("face", np.int16), ("label", np.int32), ("good", np.bool)),
            *((name, np.int32) for name in ("width", "height", "side")),
            *((name, np.float64) for name in ("contrast", "sharpness", "effective")),
            *(("oddities", np.uint16), ("source", "V16"), ("content", "V16")),
            *(("records", np.int32, (resolutions,)), ("digests", "V16", (resolutions,))),
        ]
    )


def table_of(rows: Sequence[Row], entries: Sequence[int], resolutions: int) -> Table:
    """Return the rows, of these entries, in their order."""
    nowhere, nothing = (-1,) * resolutions, (bytes(16),) * resolutions
    return np.array(
        [
            (
                *(entry, int(row.name[len(row.file) + 1 :] or 0), row.label, row.problem is None),
                *(row.width, row.height, row.side, row.contrast, row.sharpness, row.effective),
                sum(1 << ODDITIES.index(what) for what in row.oddities),
                *(row.source, row.content, row.records or nowhere, row.digests or nothing),
            )
            for entry, row in zip(entries, rows, strict=True)
        ],
        row_type(resolutions),
    )


class Rows:
    """The rows of all parts.

    Args:
        table: of all; `entry` counts in `entries`.
        entries: the files.
        problems: of the rows that have one.
    """

    def __init__(self, table: Table, entries: Entries, problems: Mapping[int, str]):
        self.table, self.entries, self.problems = table, entries, problems

    def __len__(self) -> int:
        return len(self.table)

    def name(self, index: int) -> str:
        """Return the image's name."""
        return next(self.names([index]))

    def names(self, indices: Sequence[int] | Int[np.ndarray, " n"]) -> Iterator[str]:
        """The names of these images."""
        rows = np.asarray(indices, np.int64)
        numbers = (self.table[name][rows].tolist() for name in ("entry", "face"))
        for entry, face in zip(*numbers, strict=True):
            yield crop_name(self.entries.name(entry), face)

    def called(self, names: Collection[str]) -> dict[int, str]:
        """Return the images that have one of these names, or whose file has, and which it is."""
        found = {}
        if names:
            for i, name in enumerate(self.names(range(len(self)))):
                file = name.rpartition("#")[0] if self.table["face"][i] else name
                if name in names or file in names:
                    found[i] = name if name in names else file
        return found

    def but(self, problems: Mapping[int, str]) -> "Rows":
        """Return the same, but that these have a problem."""
        table = self.table.copy()
        table["good"][list(problems)] = False
        return Rows(table, self.entries, {**self.problems, **problems})
