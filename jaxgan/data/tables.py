"""Tables beside images: which label, or which other value, they give to each image."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence

from jaxgan.errors import InputError

FILE = ("file_name", "filename", "file", "image", "image_path", "path", "image_id", "img", "id")
LABEL = ("label", "class", "category", "class_name", "labels", "target", "breed", "species")
ENDINGS = (".csv", ".jsonl", ".json")
LARGEST = 2**29  # Bytes of a table.
Read = Callable[[str], bytes]
Rows = list[tuple[int, str, str]]  # The number of the row, the file and the value.


class Tables:
    """The tables of a folder or archive, each read once.

    Args:
        others: paths of the files that are no images.
        read: the bytes of one of them.
    """

    def __init__(self, others: Iterable[str], read: Read):
        self._read = read
        self._of: dict[str, list[str]] = {}
        for path in others:
            if path.endswith(ENDINGS):
                self._of.setdefault(os.path.dirname(path), []).append(path)
        self._known: dict[str, list[tuple[int, dict[str, str]]] | None] = {}

    def folders(self) -> list[str]:
        """Where there are any, the outermost first."""
        return sorted(self._of, key=lambda folder: (folder.count("/") + (folder != ""), folder))

    def at(self, folder: str) -> list[str]:
        """The tables of a folder."""
        return sorted(self._of.get(folder, ()))

    def with_labels(self, folder: str) -> list[str]:
        """Those of a folder that have columns of files and labels."""
        return [table for table in self.at(folder) if self.rows(table)]

    def has_labels(self, folder: str) -> bool:
        """Whether there is one of these."""
        return any(self.rows(table) for table in self.at(folder))

    def rows(self, table: str, columns: Sequence[str] = LABEL) -> Rows | None:
        """(row, file, value) of a table that has a column of files and one of these; or None."""
        records = self.records(table)
        if not records:
            return None
        there = records[0][1]
        file = next((name for name in FILE if name in there), None)
        column = next((name for name in columns if name in there), None)
        if file is None or column is None:
            return None
        return [(row, values.get(file, ""), values.get(column, "")) for row, values in records]

    def records(self, table: str) -> list[tuple[int, dict[str, str]]] | None:
        """The number of each row, as an editor counts lines, and its values by column."""
        if table not in self._known:
            try:
                self._known[table] = _records(table, self._read(table))
            except (ValueError, csv.Error):  # Some other file of this ending.
                self._known[table] = None
        return self._known[table]

    def without_labels(self, folder: str) -> bool:
        """Whether a folder's `dataset.json` says that its images have none."""
        for table in self.at(folder):
            if table.rpartition("/")[2] == "dataset.json":
                try:
                    about = json.loads(self._read(table))
                except ValueError:
                    continue
                if isinstance(about, dict) and about.get("labels", 0) is None:
                    return True
        return False


def match(table: str, rows: Rows, folder: str, paths: Sequence[str], what: str) -> dict[str, str]:
    """The value of each image below `folder` that a row names, by its path or its last part.

    Args:
        table: its name.
        rows: of it.
        folder: where it lies.
        paths: of the images.
        what: the values are, "label" for instance.

    Raises:
        InputError: a row that names no image or several, or has no value; two values of an image.
    """
    start, known = folder and folder + "/", set(paths)
    short: dict[str, list[str]] = {}
    for path in paths:
        last = path.rpartition("/")[2]
        for key in {last, os.path.splitext(last)[0]}:
            short.setdefault(key, []).append(path)
    found: dict[str, tuple[str, int]] = {}
    for row, file, value in rows:
        path = start + file.removeprefix("./")
        if path not in known:
            called = short.get(file.rpartition("/")[2], [])
            if len(called) > 1:
                raise InputError(
                    f"each row of {table} must name one image, and row {row}, {file}, names "
                    f"{len(called)}, like {called[0]}"
                )
            if not called:
                raise InputError(
                    f"every image that {table} names must be there, and that of row {row}, "
                    f"{file}, is not"
                )
            path = called[0]
        if not value:
            raise InputError(f"every row of {table} must have a {what}, and row {row} has none")
        before, at = found.setdefault(path, (value, row))
        if before != value:
            raise InputError(
                f"an image must have one {what}, and {table} gives {file} two: {before} in row "
                f"{at}, {value} in row {row}"
            )
    return {path: value for path, (value, _) in found.items()}


def _records(table: str, data: bytes) -> list[tuple[int, dict[str, str]]] | None:
    if len(data) > LARGEST:
        return None
    text = data.decode("utf-8-sig")
    last = table.rpartition("/")[2]
    if last.endswith(".json"):
        about = json.loads(text) if last == "dataset.json" else None
        labels = about.get("labels") if isinstance(about, dict) else None
        if not isinstance(labels, list) or not all(
            isinstance(r, list) and len(r) == 2 and isinstance(r[1], int) for r in labels
        ):
            return None
        lines = [{"file": file, "label": label} for file, label in labels]
    elif last.endswith(".jsonl"):
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        if not all(isinstance(line, dict) for line in lines):
            return None
    else:
        lines = list(csv.DictReader(io.StringIO(text)))
    first = 2 if last.endswith(".csv") else 1
    return [
        (i, {_word(key).lower(): _word(value) for key, value in line.items()})
        for i, line in enumerate(lines, first)
    ]


def _word(value: object) -> str:
    return "" if value is None else str(value).strip()
