"""Layouts: what folders, tables and names say of classes and sides; for folders and archives."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from jaxgan.data.tables import Tables, match
from jaxgan.errors import InputError

TOOLS = {"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini"}  # Of no user: they never count.
SIDES = {
    **dict.fromkeys(("train", "training", "training_set", "train_set"), 0),
    **dict.fromkeys(("val", "valid", "validation", "dev", "validation_set", "valid_set"), 1),
    **dict.fromkeys(("test", "testing", "test_set"), 2),
}
IMAGES = {"images", "image", "imgs", "img", "jpegimages"}
MASKS = {"masks", "mask", "segmentationclass", "segmentations", "groundtruth", "ground_truth"}
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
Parts = dict[str, list[str]]  # The folders and the name of each path.
# What may be chosen where a layout is ambiguous: the outermost folders are the classes, whatever
# they are called; those inside them are; a table's, the files' names', or all is one class.
READINGS = ("auto", "folders", "inner", "table", "names", "one")


class Layout(NamedTuple):
    """What was recognised."""

    classes: tuple[str, ...]
    pictures: list[int]  # Positions in what was given, by class, then as given.
    labels: list[int]  # Of these.
    given: list[int] | None  # The side of each: 0 train, 1 validation, 2 test.
    beside: list[str]  # Left out: beside the class folders.
    told: list[str]  # Sentences: all that was merged, skipped or guessed.
    used: list[str]  # Tables that gave the classes.


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder above it, is hidden or a tool's own."""
    return any(part.startswith(".") or part in TOOLS for part in path.split("/"))


def named_sides(kinds: Sequence[str]) -> tuple[list[int] | None, tuple[str, ...]]:
    """The sides that the splits of a set are, and a sentence; None where not all of them are."""
    sides = [SIDES.get(kind.lower(), -1) for kind in kinds]
    if min(sides) == 0 and max(sides) > 0:  # One is to train with.
        return sides, (f"the splits {', '.join(kinds)} are the given sides",)
    together = f"the splits {', '.join(kinds)} are read together: not all of them are sides"
    return None, (together,) if len(kinds) > 1 else ()


def recognise(
    paths: Sequence[str],
    others: Sequence[str],
    stem: str,
    tables: Tables,
    wanted: Sequence[str] | None = None,
    reading: str = "auto",
) -> Layout:
    """Find classes and sides.

    Args:
        paths: of the images, with "/", one or more.
        others: of the other files that are not hidden.
        stem: the class of images that have no other.
        tables: of `others`.
        wanted: classes; a folder that is one of them is gone through for no other.
        reading: one of `READINGS`.

    Raises:
        InputError: a table that contradicts itself or the images, or a reading that does not fit.
    """
    told: list[str] = []
    look = _Look(tables, told)
    parts = {path: path.split("/") for path in paths}
    beside: list[str] = []
    given: dict[str, int] | None = None
    if reading == "one":
        left, depth = list(paths), 0
    else:
        left, depth = _unwrapped(list(paths), parts, look, beside, wanted, reading)
    if reading == "auto":
        found = _sided(left, parts, depth, look, beside, stem, wanted)
        of, given = found or _plain(left, parts, depth, look, beside, stem)
    else:
        of = dict.fromkeys(left, stem) if reading == "one" else {}
        of = of or _as_asked(left, parts, depth, look, beside, reading)
    archives = [p for p in others if p.lower().endswith(ARCHIVES)]
    if archives:
        told.append(f"left out {len(archives)} archives inside, like {archives[0]}: unpack them")
    return _laid_out(paths, of, given, beside, look)


def instead(reading: str) -> str:
    """The setting that chooses another reading; of `scripts/prepare.py` it is --layout."""
    return f"data.layout={reading}"


def _unwrapped(
    left: list[str],
    parts: Parts,
    look: "_Look",
    beside: list[str],
    wanted: Sequence[str] | None,
    reading: str,
) -> tuple[list[str], int]:
    """The images inside the folders that hold all the rest, and how many of those there are."""
    depth = 0
    while reading != "folders":
        tops = _tops(left, parts, depth)
        direct = tops.pop("", [])
        name = next(iter(tops), "")
        root = _folder(left, parts, depth)
        if len(tops) != 1 or name in (wanted or ()) or look.tables.has_labels(root):
            break
        inner = _tops(tops[name], parts, depth + 1)
        inner.pop("", None)
        below = tops[name]
        while len(inner) == 1 and not look.tables.has_labels(_folder(below, parts, depth + 1)):
            depth += 1
            inner = _tops(below, parts, depth + 1)
            if inner.pop("", None):
                break
        at = "/".join(parts[below[0]][: depth + 1])
        flat = None if inner else _prefixes(below)
        if len(inner) < 2 and flat is None and not look.tables.has_labels(at):
            depth = 0
            break
        beside += direct
        look.told.append(
            f"everything lies in {at}: classes are looked for inside it"
            + (f" (classes={name} or {instead('folders')} takes it as one class)" if inner else "")
        )
        left, depth = below, depth + 1
    return left, depth


def _sided(
    left: list[str],
    parts: Parts,
    depth: int,
    look: "_Look",
    beside: list[str],
    stem: str,
    wanted: Sequence[str] | None,
) -> tuple[dict[str, str], dict[str, int]] | None:
    """Classes and sides where the folders are sides of a split."""
    tops = _tops(left, parts, depth)
    direct = tops.pop("", [])
    low = {name: name.lower() for name in tops}
    sides = {name: SIDES[low[name]] for name in tops if low[name] in SIDES}
    if len(set(sides.values())) < 2 or 0 not in sides.values() or set(sides) & set(wanted or ()):
        return None
    if strange := sorted(set(tops) - set(sides)):
        look.told.append(
            f"left out {', '.join(strange)} beside the sides {', '.join(sorted(sides))}; to read "
            f"all of them as classes instead: {instead('folders')}"
        )
    beside += direct
    table = look.table(_folder(left, parts, depth), [p for name in sides for p in tops[name]])
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
        look.told.append(f"left out {', '.join(flat)}: no classes are inside, and the others have")
    of: dict[str, str] = {}
    given: dict[str, int] = {}
    for name, classes in found.items():
        of |= classes
        given |= dict.fromkeys(classes, sides[name])
    look.told.append(
        f"the folders {', '.join(sorted(sides))} are sides of a split, not classes "
        f"({instead('folders')} takes them as classes)"
    )
    return of, given


def _plain(
    left: list[str], parts: Parts, depth: int, look: "_Look", beside: list[str], stem: str
) -> tuple[dict[str, str], dict[str, int] | None]:
    """Classes, and sides where each class has folders of these."""
    of = _classes(left, parts, depth, look, beside) or dict.fromkeys(left, stem)
    tops = _tops(left, parts, depth)
    tops.pop("", None)
    second = {tuple(sorted(_tops(files, parts, depth + 1))) for files in tops.values()}
    names = next(iter(second)) if len(second) == 1 else ()
    if len(tops) < 2 or len(names) < 2 or "" in names or of.get(left[0]) not in tops:
        return of, None
    if all(n.lower() in SIDES for n in names) and any(SIDES[n.lower()] == 0 for n in names):
        look.told.append(
            f"the folders {', '.join(names)} in each class are sides of a split "
            f"({instead('inner')} takes them as the classes)"
        )
        return of, {path: SIDES[parts[path][depth + 1].lower()] for path in of}
    look.told.append(
        f"all of {', '.join(sorted(tops))} hold folders {', '.join(names)}: the outer are read as "
        f"the classes; for the inner ones: {instead('inner')}"
    )
    return of, None


def _as_asked(
    left: list[str], parts: Parts, depth: int, look: "_Look", beside: list[str], reading: str
) -> dict[str, str]:
    """Classes by the reading that was asked for."""
    tops = _tops(left, parts, depth)
    if reading == "table":
        found = look.table(_folder(left, parts, depth), left)
        if not found:
            raise InputError(
                "data.layout=table needs a table with columns of files and labels, like "
                "labels.csv with file,label, beside the images or their folders"
            )
        return found
    if reading == "names":
        found = _prefixes(left)
        if found is None:
            raise InputError(
                "data.layout=names needs names like cat.0.jpg, two or more of each class, and "
                f"there are others, like {left[0]}"
            )
        return found
    level = depth + (reading == "inner")
    deep = [path for path in left if len(parts[path]) > level + 1]
    if not deep:
        raise InputError(
            f"data.layout={reading} needs images in "
            + ("folders inside folders" if reading == "inner" else "folders")
            + f", and {left[0]} lies in none (folders here: {', '.join(filter(None, tops)) or '-'})"
        )
    inside = set(deep)
    beside += [path for path in left if path not in inside]
    return {path: parts[path][level] for path in deep}


def _laid_out(
    paths: Sequence[str],
    of: dict[str, str],
    given: dict[str, int] | None,
    beside: list[str],
    look: "_Look",
) -> Layout:
    raw, told = sorted(set(of.values())), look.told
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
        tuple(classes),
        [i for _, i in numbered],
        [n for n, _ in numbered],
        sides,
        beside,
        told,
        look.used,
    )


def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)) or name


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
    if numbered and tops and look.tables.without_labels(root):
        look.told.append(
            "dataset.json has no labels: its folders are numbers, and all is one class"
        )
        return {}
    if len(images) == 1 and len(tops) > 1 and all(n in MASKS for n in low if n not in IMAGES):
        masks = sorted(set(tops) - set(images))
        n = sum(len(tops[name]) for name in masks)
        look.told.append(
            f"left out {n} images in {', '.join(masks)}: masks of {images[0]} "
            f"({instead('folders')} takes them as classes)"
        )
        return dict.fromkeys(tops[images[0]], images[0])
    if tops:
        beside += direct
        return {path: name for name, files in tops.items() for path in files}
    if found := _prefixes(direct):
        names = ", ".join(sorted(set(found.values())))
        look.told.append(
            f"the classes {names} are those that the files' names begin with "
            f"({instead('one')} takes all as one class)"
        )
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
    """What tables and names say, and what is told of it."""

    def __init__(self, tables: Tables, told: list[str]):
        self.tables, self.told = tables, told
        self.used: list[str] = []

    def alike(self, paths: Iterable[str]) -> bool:
        """Whether several names start with letters: classes may have been meant."""
        starts = Counter(re.match(r"[^\W\d]*", p.rpartition("/")[2])[0] for p in paths)  # type: ignore
        return sum(n > 1 for start, n in starts.items() if start) > 1

    def table(self, folder: str, paths: Sequence[str], strong: bool = True) -> dict[str, str]:
        """The class of each image below `folder`, by the table there."""
        tables = self.tables.with_labels(folder)
        if not tables:
            return {}
        name = next((t for t in tables if t.rpartition("/")[2].startswith("metadata.")), tables[0])
        rows = self.tables.rows(name) or []
        if not strong and not name.rpartition("/")[2].startswith("metadata."):
            of = {p.rpartition("/")[2]: p.removeprefix(f"{folder}/").split("/")[0] for p in paths}
            if any(of.get(f.rpartition("/")[2], label) != label for _, f, label in rows):
                self.told.append(
                    f"{name} gives other classes than the folders: the folders are used; to use "
                    f"the table: {instead('table')}"
                )
            return {}
        if len(tables) > 1:
            self.told.append(f"{len(tables)} tables have labels: {name} is used")
        found = match(name, rows, folder, paths, "label")
        self.used.append(name)
        self.told.append(f"the classes are those of {name}")
        if len(found) < len(paths):
            without = next(path for path in paths if path not in found)
            self.told.append(
                f"left out {len(paths) - len(found)} images without a label in {name}, {without} "
                f"the first"
            )
        return found
