"""Layouts: what folders, tables and names say of classes and sides; for folders and archives."""

import csv
import io
import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from jaxgan.errors import InputError

TOOLS = {"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini"}  # Of no user: they never count.
SIDES = {
    **dict.fromkeys(("train", "training", "training_set", "train_set"), 0),
    **dict.fromkeys(("val", "valid", "validation", "dev", "validation_set", "valid_set"), 1),
    **dict.fromkeys(("test", "testing", "test_set"), 2),
}
IMAGES = {"images", "image", "imgs", "img", "jpegimages"}
MASKS = {"masks", "mask", "segmentationclass", "segmentations", "groundtruth", "ground_truth"}
FILE = ("file_name", "filename", "file", "image", "image_path", "path", "image_id", "img", "id")
LABEL = ("label", "class", "category", "class_name", "labels", "target", "breed", "species")
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
Parts = dict[str, list[str]]  # The folders and the name of each path.
Read = Callable[[str], bytes]
LARGEST = 2**29  # Bytes of a table.


class Layout(NamedTuple):
    """What was recognised."""

    classes: tuple[str, ...]
    pictures: list[int]  # Positions in what was given, by class, then as given.
    labels: list[int]  # Of these.
    given: list[int] | None  # The side of each: 0 train, 1 validation, 2 test.
    beside: list[str]  # Left out: beside the class folders.
    told: list[str]  # Sentences: all that was merged, skipped or guessed.


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder above it, is hidden or a tool's own."""
    return any(part.startswith(".") or part in TOOLS for part in path.split("/"))


def recognise(
    paths: Sequence[str],
    others: Sequence[str],
    stem: str,
    read: Read,
    wanted: Sequence[str] | None = None,
) -> Layout:
    """Finds classes and sides.

    Args:
        paths: of the pictures, with "/", one or more.
        others: of the other files that are not hidden.
        stem: the class of pictures that have no other.
        read: the bytes of one of `others`.
        wanted: classes; a folder that is one of them is gone through for no other.

    Raises:
        InputError: a table that contradicts itself or the pictures.
    """
    told: list[str] = []
    tables = _by_folder(path for path in others if path.endswith((".csv", ".jsonl", ".json")))
    look = _Look(tables, read, told)
    parts = {path: path.split("/") for path in paths}
    depth, beside = 0, []
    left: list[str] = list(paths)
    while True:
        tops = _tops(left, parts, depth)
        direct = tops.pop("", [])
        name = next(iter(tops), "")
        if len(tops) != 1 or name in (wanted or ()) or look.has_table(_folder(left, parts, depth)):
            break
        inner = _tops(tops[name], parts, depth + 1)
        inner.pop("", None)
        below = tops[name]
        while len(inner) == 1 and not look.has_table(_folder(below, parts, depth + 1)):
            depth += 1
            inner = _tops(below, parts, depth + 1)
            if inner.pop("", None):
                break
        at = "/".join(parts[below[0]][: depth + 1])
        flat = None if inner else _prefixes(below)
        if len(inner) < 2 and flat is None and not look.has_table(at):
            depth = 0
            break
        beside += direct
        told.append(
            f"everything lies in {at}: classes are looked for inside it"
            + (f" (classes={name} takes it as one class)" if inner else "")
        )
        left, depth = below, depth + 1
    tops = _tops(left, parts, depth)
    direct = tops.pop("", [])
    low = {name: name.lower() for name in tops}
    sides = {name: SIDES[low[name]] for name in tops if low[name] in SIDES}
    given: dict[str, int] | None = None
    of: dict[str, str] = {}
    root = _folder(left, parts, depth)
    if len(set(sides.values())) > 1 and 0 in sides.values() and not set(sides) & set(wanted or ()):
        strange = sorted(set(tops) - set(sides))
        if strange:
            told.append(
                f"left out {', '.join(strange)} beside the sides {', '.join(sorted(sides))}; to "
                f"read all of them as classes instead, name them: classes={','.join(sorted(tops))}"
            )
        beside += direct
        table = look.table(root, [p for name in sides for p in tops[name]])
        found = {
            name: {p: c for p in tops[name] if (c := table.get(p))}
            if table
            else _classes(tops[name], parts, depth + 1, look, beside)
            for name in sorted(sides)
        }
        flat = [name for name in found if not found[name]]
        if len(flat) == len(found):
            found = {name: dict.fromkeys(tops[name], stem) for name in found}
        elif flat:
            told.append(f"left out {', '.join(flat)}: no classes are inside, and the others have")
        given = {}
        for name, classes in found.items():
            of |= classes
            given |= dict.fromkeys(classes, sides[name])
        told.append(
            f"the folders {', '.join(sorted(sides))} are sides of a split, not classes "
            f"(classes={','.join(sorted(sides))} takes them as classes)"
        )
    else:
        of = _classes(left, parts, depth, look, beside) or dict.fromkeys(left, stem)
        second = {tuple(sorted(_tops(files, parts, depth + 1))) for files in tops.values()}
        names = next(iter(second)) if len(second) == 1 else ()
        if len(tops) > 1 and len(names) > 1 and "" not in names and of.get(left[0]) in tops:
            if all(n.lower() in SIDES for n in names) and any(SIDES[n.lower()] == 0 for n in names):
                given = {path: SIDES[parts[path][depth + 1].lower()] for path in of}
                told.append(f"the folders {', '.join(names)} in each class are sides of a split")
            else:
                told.append(
                    f"all of {', '.join(sorted(tops))} hold folders {', '.join(names)}: the outer "
                    f"are read as the classes; for the inner ones, put them outermost"
                )
    archives = [p for p in others if p.lower().endswith(ARCHIVES)]
    if archives:
        told.append(f"left out {len(archives)} archives inside, like {archives[0]}: unpack them")
    return _laid_out(paths, of, given, beside, told)


def _laid_out(
    paths: Sequence[str],
    of: dict[str, str],
    given: dict[str, int] | None,
    beside: list[str],
    told: list[str],
) -> Layout:
    raw = sorted(set(of.values()))
    named = {name: unicodedata.normalize("NFC", name) for name in raw}
    classes = sorted(set(named.values()))
    twice = [name for name, n in Counter(named.values()).items() if n > 1]
    told += [f"class {name} is written in two Unicode forms: read as one" for name in twice]
    for name, n in Counter(_folded(name) for name in classes).items():
        if n > 1:
            alike = [c for c in classes if _folded(c) == name]
            told.append(
                f"the classes {', '.join(alike)} differ in case or accents alone: is it so?"
            )
    label = {name: classes.index(named[name]) for name in raw}
    numbered = [(label[of[path]], i) for i, path in enumerate(paths) if path in of]
    numbered.sort()
    sides = None if given is None else [given[paths[i]] for _, i in numbered]
    return Layout(
        tuple(classes), [i for _, i in numbered], [n for n, _ in numbered], sides, beside, told
    )


def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)) or name


def _by_folder(paths: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(os.path.dirname(path), []).append(path)
    return found


def _folder(paths: Sequence[str], parts: Parts, depth: int) -> str:
    return "/".join(parts[paths[0]][:depth])


def _tops(paths: Iterable[str], parts: Parts, depth: int) -> dict[str, list[str]]:
    """The files of each folder at this depth; "" has those that lie in none."""
    found: dict[str, list[str]] = {}
    for path in paths:
        split = parts[path]
        found.setdefault(split[depth] if len(split) > depth + 1 else "", []).append(path)
    return found


def _classes(
    paths: Sequence[str], parts: Parts, depth: int, look: "_Look", beside: list[str]
) -> dict[str, str]:
    """The class of each picture; nothing where there is one class only, without a name."""
    root, tops = _folder(paths, parts, depth), _tops(paths, parts, depth)
    direct = tops.pop("", [])
    low = {name.lower(): name for name in tops}
    images = [low[name] for name in low if name in IMAGES]
    numbered = all(re.fullmatch(r"\d{5}", name) for name in tops)
    strong = not tops or len(tops) == 1 or numbered or (images and len(tops) == 1)
    if found := look.table(root, paths, strong=bool(strong)):
        return found
    if numbered and tops and look.without_labels(root):
        look.told.append(
            "dataset.json has no labels: its folders are numbers, and all is one class"
        )
        return {}
    if len(images) == 1 and len(tops) > 1 and all(n in MASKS for n in low if n not in IMAGES):
        masks = sorted(set(tops) - set(images))
        n = sum(len(tops[name]) for name in masks)
        look.told.append(f"left out {n} pictures in {', '.join(masks)}: masks of {images[0]}")
        return dict.fromkeys(tops[images[0]], images[0])
    if tops:
        beside += direct
        return {path: name for name, files in tops.items() for path in files}
    if found := _prefixes(direct):
        names = ", ".join(sorted(set(found.values())))
        look.told.append(f"the classes {names} are those that the files' names begin with")
        return found
    if look.alike(direct):
        look.told.append(
            "all pictures are one class: for more, put each class in a folder of its own, call "
            "the files like cat.0.jpg, or add labels.csv with the columns file,label"
        )
    return {}


def _prefixes(paths: Iterable[str]) -> dict[str, str] | None:
    """Classes by names like `cat.0.jpg`: all of them, two prefixes, two pictures of each."""
    found = {}
    for path in paths:
        match = re.fullmatch(r"([^\W\d].*?)[._\- ]+\d+\.\w+", path.rpartition("/")[2])
        if match is None:
            return None
        found[path] = match[1]
    counts = Counter(found.values())
    return found if len(counts) > 1 and min(counts.values()) > 1 else None


class _Look:
    """Tables, read once."""

    def __init__(self, tables: dict[str, list[str]], read: Read, told: list[str]):
        self._tables, self._read, self.told = tables, read, told
        self._known: dict[str, list[tuple[int, str, str]] | None] = {}

    def alike(self, paths: Iterable[str]) -> bool:
        """Whether several names start with letters: classes may have been meant."""
        starts = Counter(re.match(r"[^\W\d]*", p.rpartition("/")[2])[0] for p in paths)  # type: ignore
        return sum(n > 1 for start, n in starts.items() if start) > 1

    def has_table(self, folder: str) -> bool:
        return any(self._rows(table) for table in self._tables.get(folder, ()))

    def without_labels(self, folder: str) -> bool:
        for table in self._tables.get(folder, ()):
            if table.rpartition("/")[2] == "dataset.json":
                try:
                    about = json.loads(self._read(table))
                except ValueError:
                    continue
                if isinstance(about, dict) and about.get("labels", 0) is None:
                    return True
        return False

    def _rows(self, table: str) -> list[tuple[int, str, str]] | None:
        """(row, file, label) of a table that has such columns."""
        if table not in self._known:
            try:
                self._known[table] = _rows(table, self._read(table))
            except (ValueError, csv.Error):  # Some other file of this ending.
                self._known[table] = None
        return self._known[table]

    def table(self, folder: str, paths: Sequence[str], strong: bool = True) -> dict[str, str]:
        """The class of each picture below `folder`, by the table there."""
        tables = [t for t in sorted(self._tables.get(folder, ())) if self._rows(t)]
        if not tables:
            return {}
        name = next((t for t in tables if t.rpartition("/")[2].startswith("metadata.")), tables[0])
        first = name.rpartition("/")[2]
        if not strong and not first.startswith("metadata."):
            of = {p.rpartition("/")[2]: p.removeprefix(f"{folder}/").split("/")[0] for p in paths}
            rows = self._rows(name) or []
            if any(of.get(f.rpartition("/")[2], label) != label for _, f, label in rows):
                self.told.append(
                    f"{name} gives other classes than the folders: the folders are used; to use "
                    f"the table, call it metadata.csv"
                )
            return {}
        if len(tables) > 1:
            self.told.append(f"{len(tables)} tables have labels: {name} is used")
        start = folder and folder + "/"
        known = set(paths)
        short: dict[str, list[str]] = {}
        for path in paths:
            last = path.rpartition("/")[2]
            for key in {last, os.path.splitext(last)[0]}:
                short.setdefault(key, []).append(path)
        found: dict[str, tuple[str, int]] = {}
        for row, file, label in self._rows(name) or []:
            path = start + file.removeprefix("./")
            if path not in known:
                called = short.get(file.rpartition("/")[2], [])
                if len(called) > 1:
                    raise InputError(
                        f"each row of {name} must name one picture, and row {row}, {file}, names "
                        f"{len(called)}, like {called[0]}"
                    )
                if not called:
                    raise InputError(
                        f"every picture that {name} names must be there, and that of row {row}, "
                        f"{file}, is not"
                    )
                path = called[0]
            if not label:
                raise InputError(f"every row of {name} must have a label, and row {row} has none")
            before, at = found.setdefault(path, (label, row))
            if before != label:
                raise InputError(
                    f"a picture must have one label, and {name} gives {file} two: {before} in row "
                    f"{at}, {label} in row {row}"
                )
        self.told.append(f"the classes are those of {name}")
        if len(found) < len(paths):
            without = next(path for path in paths if path not in found)
            self.told.append(
                f"left out {len(paths) - len(found)} pictures without a label in {name}, {without} "
                f"the first"
            )
        return {path: label for path, (label, _) in found.items()}


def _rows(table: str, data: bytes) -> list[tuple[int, str, str]] | None:
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
        return [(i, str(file), str(label)) for i, (file, label) in enumerate(labels, 1)]
    if last.endswith(".jsonl"):
        lines = [json.loads(line) for line in text.splitlines() if line.strip()]
        if not all(isinstance(line, dict) for line in lines):
            return None
    else:
        lines = list(csv.DictReader(io.StringIO(text)))
    if not lines:
        return None
    columns = {str(key).strip().lower(): key for key in lines[0]}
    file = next((columns[name] for name in FILE if name in columns), None)
    label = next((columns[name] for name in LABEL if name in columns), None)
    if file is None or label is None:
        return None
    first = 1 if last.endswith(".jsonl") else 2  # As an editor counts lines.
    return [
        (i, str(line.get(file) or "").strip(), _word(line.get(label)))
        for i, line in enumerate(lines, first)
    ]


def _word(value: object) -> str:
    return "" if value is None else str(value).strip()
