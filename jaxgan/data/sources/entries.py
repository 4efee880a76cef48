"""Files that may hold images, in columns: a tuple for each would take 250 bytes more."""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, overload

import numpy as np
from jaxtyping import Int32

# Of files that have no name, by their first bytes.
EXTENSION = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"GI": ".gif", b"BM": ".bmp"}
EXTENSION |= {b"RI": ".webp", b"P5": ".pgm", b"P6": ".ppm"}
# A path or a member's name; in a tar, where its bytes are; of a set, the split and the position.
Place = str | tuple[int, int]


class Entry(NamedTuple):
    """A file that may hold an image."""

    name: str  # Printable, like "cat/001.jpg".
    label: int
    place: Place
    size: int  # In bytes.
    changed: int  # When, in nanoseconds; in an archive, when that was.
    side_file: Place | None = None  # Its landmarks.


class Entries:
    """Entries that are put together when they are asked for: some 60 bytes each and the name.

    Where a file has another place than its name, or landmarks beside it, these take 200 more.
    """

    def __init__(self, entries: Iterable[Entry]):
        self._names, self._ends = bytearray(), array("q", [0])
        self._labels, self._sizes, self._changed = array("i"), array("q"), array("q")
        self._places: dict[int, Place] = {}
        self._side_files: dict[int, Place] = {}
        for i, entry in enumerate(entries):
            self._names += entry.name.encode()
            self._ends.append(len(self._names))
            self._labels.append(entry.label)
            self._sizes.append(entry.size)
            self._changed.append(entry.changed)
            if entry.place != entry.name:
                self._places[i] = entry.place
            if entry.side_file is not None:
                self._side_files[i] = entry.side_file

    def __len__(self) -> int:
        return len(self._labels)

    def digest(self, start: int, stop: int) -> bytes:
        """Stands for all that is known of these, wherever among the others they stand."""
        start, stop, _ = slice(start, stop).indices(len(self))
        ends = self._ends[start : stop + 1]
        columns = (self._labels, self._sizes, self._changed)
        odd = [
            [(i - start, places[i]) for i in (range(start, stop) if places else ()) if i in places]
            for places in (self._places, self._side_files)
        ]
        known = hashlib.sha256(repr((stop - start, odd)).encode())
        known.update(np.diff(ends).tobytes())
        for column in columns:
            known.update(column[start:stop].tobytes())
        known.update(self._names[ends[0] : ends[-1]])
        return known.digest()

    def name(self, index: int) -> str:
        return self._names[self._ends[index] : self._ends[index + 1]].decode()

    def place(self, index: int) -> Place:
        return self._places.get(index) or self.name(index)

    def size(self, index: int) -> int:
        return self._sizes[index]

    def labels(self) -> Int32[np.ndarray, " n"]:
        return np.array(self._labels, np.int32)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Entry, ...]: ...

    def __getitem__(self, index: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(len(self))[index])
        i = range(len(self))[index]
        name = self.name(i)
        place, side_file = self._places.get(i, name), self._side_files.get(i)
        return Entry(name, self._labels[i], place, self._sizes[i], self._changed[i], side_file)

    def __iter__(self) -> Iterator[Entry]:
        return (self[i] for i in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entries) and self[:] == other[:]


class Files(NamedTuple):
    """What was found: classes in order, and the files, class by class, sorted by name."""

    root: str
    classes: tuple[str, ...]
    entries: Entries
    # How many files were "hidden", "no picture", "beside the class folders", "without a label" or,
    # in an archive, a "link" that is not followed.
    left_out: Counter[str]
    tables: tuple[Place, ...] = ()  # CSV files at the top: of points, perhaps.
    told: tuple[str, ...] = ()  # What was merged, skipped or guessed of the layout.
    kinds: Mapping[str, int] | None = None  # How many of "no picture" have each extension.
    given: tuple[int, ...] | None = None  # The side of each by its folder, if any.
    groups: tuple[int, ...] | None = None  # Which stay together, if that was asked for.
