"""Arrays that lie in several files, of which only the rows that are asked for are read."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Int64

from jaxgan.system import checked_files


class Stored:
    """The rows of `.npy` files, one file after another, indexed like an array.

    They are copied, not mapped: what was read once is not held.

    Args:
        files: of one width and type each.
        ends: how many rows there are up to the end of each file.
        rows: which of these rows it has, in which order.
    """

    def __init__(
        self, files: Sequence[Path], ends: Int64[np.ndarray, " files"], rows: Int[np.ndarray, " n"]
    ):
        self._files, self._ends, self._rows = files, ends, rows
        first = np.load(files[0], mmap_mode="r")
        self._width, self._type = first.shape[1], first.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: slice | Int[np.ndarray, " m"]) -> Float[np.ndarray, "m d"]:
        rows = self._rows[index]
        found = np.empty((len(rows), self._width), self._type)
        of = np.searchsorted(self._ends, rows, side="right")
        for file in np.unique(of).tolist():
            here = np.flatnonzero(of == file)
            start = self._ends[file - 1] if file else 0
            found[here] = np.load(self._files[file], mmap_mode="r")[rows[here] - start]
        return found

    def only(self, wanted: Bool[np.ndarray, " n"]) -> "Stored":
        """Without the other rows."""
        return Stored(self._files, self._ends, self._rows[wanted])


def save(file: Path, array: np.ndarray) -> None:
    """Write a `.npy` file as a whole or not at all."""
    buffer = io.BytesIO()  # Written by numpy itself, a full disk would be an error without number.
    np.save(buffer, array)
    checked_files.write(file, buffer.getbuffer())
