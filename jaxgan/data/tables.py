"""Tables beside images: which label, or which other value, they give to each image."""

import codecs
import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jaxgan.errors import InputError

# Columns, in lower case and without spaces, "_" or "-".
FILE = ("filename", "file", "image", "imagepath", "filepath", "imagefile", "imagename", "path")
FILE += ("imageid", "img", "imgname", "id")
LABEL = ("label", "class", "category", "classname", "labels", "target", "breed", "species")
LABEL += ("labelname", "categoryname", "dx", "diagnosis")
ENDINGS = (".csv", ".tsv", ".jsonl", ".json")
MEANT = (".csv", ".tsv", "metadata.jsonl")  # Others are written by programs.
BESIDE = ".cls"  # A file for each image, as WebDataset has them.
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
        self._beside: dict[str, str] = {}
        for path in others:
            if path.endswith(BESIDE):
                self._beside[path.removesuffix(BESIDE)] = path
            if path.endswith(ENDINGS):
                self._of.setdefault(os.path.dirname(path), []).append(path)
        self._known: dict[str, list[tuple[int, dict[str, str]]] | None] = {}

    def folders(self) -> list[str]:
        """Return where there are any, the outermost first."""
        return sorted(self._of, key=lambda folder: (folder.count("/") + (folder != ""), folder))

    def at(self, folder: str) -> list[str]:
        """Return the tables of a folder."""
        return sorted(self._of.get(folder, ()))

    def with_labels(self, folder: str) -> list[str]:
        """Return those of a folder that have columns of files and labels."""
        return [table for table in self.at(folder) if self.rows(table)]

    def has_labels(self, folder: str) -> bool:
        """Return whether there is one of these."""
        return any(self.rows(table) for table in self.at(folder))

    def rows(self, table: str, columns: Sequence[str] = LABEL) -> Rows | None:
        """(row, file, value) of a table that has a column of files and one of these; or None."""
        records = self.records(table)
        if not records:
            return None
        there = {_plain(name): name for name in records[0][1]}
        file = next((there[name] for name in FILE if name in there), None)
        column = next((there[_plain(name)] for name in columns if _plain(name) in there), None)
        if file is None:
            return None
        if column is None:
            return _one_hot(records, file) if columns is LABEL else None
        return [(row, values.get(file, ""), values.get(column, "")) for row, values in records]

    def beside(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the label of each image that has one in a file beside it."""
        stems = {path: os.path.splitext(path)[0] for path in paths} if self._beside else {}
        files = {path: self._beside[stem] for path, stem in stems.items() if stem in self._beside}
        return {path: _text(self._read(file)).strip() for path, file in files.items()}

    def records(self, table: str) -> list[tuple[int, dict[str, str]]] | None:
        """Return the number of each row, as an editor counts lines, and its values by column."""
        if table not in self._known:
            try:
                self._known[table] = _records(table, self._read(table))
            except (ValueError, csv.Error):  # Some other file of this ending.
                self._known[table] = None
        return self._known[table]

    def unknown(self, folder: str) -> list[str]:
        """Return those of a folder that may be meant to give classes and do not, with their
        columns.
        """
        some = [t for t in self.at(folder) if t.endswith(MEANT)]
        rows = [(table, self.records(table) or []) for table in some]
        return [
            f"{table} with {', '.join(found[0][1])}"
            for table, found in rows
            if found and "left_eye_x" not in found[0][1]  # A table of points.
        ]

    def without_labels(self, folder: str) -> bool:
        """Return whether a folder's `dataset.json` says that its images have none."""
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
    """Return the value of each image below `folder` that a row names, by its path or its last part.

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
        file = file.replace("\\", "/")
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
    text = _text(data)
    last = table.rpartition("/")[2]
    if last.endswith(".json"):
        about = json.loads(text)
        read = {"dataset.json": _stylegan, "labels.json": _fiftyone}.get(last)
        if read is None or not isinstance(about, dict) or (lines := read(about)) is None:
            return None
    elif last.endswith(".jsonl"):
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        if not all(isinstance(line, dict) for line in lines):
            return None
    else:
        mark = max(",;\t", key=text.partition("\n")[0].count)
        lines = list(csv.DictReader(io.StringIO(text), delimiter=mark))
    first = 2 if last.endswith((".csv", ".tsv")) else 1
    return [
        (i, {_word(key): _word(value) for key, value in line.items()})
        for i, line in enumerate(lines, first)
    ]


def _text(data: bytes) -> str:
    """UTF-8 or, with its mark, UTF-16; else Latin-1: what spreadsheets write."""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.lower())


def _one_hot(records: list[tuple[int, dict[str, str]]], file: str) -> Rows | None:
    """Return rows of a table with a column of 0 and 1 for each class, one 1 in each row."""
    found: Rows = []
    for row, values in records:
        numbers = {name: value for name, value in values.items() if name != file}
        ones = [name for name, value in numbers.items() if value in ("1", "1.0")]
        zeros = sum(value in ("0", "0.0") for value in numbers.values())
        if len(ones) != 1 or not zeros or zeros + 1 < len(numbers):
            return None
        found.append((row, values[file], ones[0]))
    return found


def _stylegan(about: dict[str, Any]) -> list[dict[str, Any]] | None:
    labels = about.get("labels")
    if not isinstance(labels, list) or not all(
        isinstance(r, list) and len(r) == 2 and isinstance(r[1], int) for r in labels
    ):
        return None
    return [{"file": file, "label": label} for file, label in labels]


def _fiftyone(about: dict[str, Any]) -> list[dict[str, Any]] | None:
    names, labels = about.get("classes"), about.get("labels")
    if not isinstance(labels, dict):
        return None

    def name(label: Any) -> Any:
        known = isinstance(names, list) and isinstance(label, int) and 0 <= label < len(names)
        return names[label] if known else label  # type: ignore[index]

    if not all(isinstance(label, int | str) for label in labels.values()):
        return None
    return [{"file": file, "label": name(label)} for file, label in labels.items()]


def _word(value: object) -> str:
    return "" if value is None else str(value).strip()
