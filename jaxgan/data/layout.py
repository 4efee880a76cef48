"""Layouts: what folders, tables and names say of classes and sides; for folders and archives."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jaxgan.data.labels import Look, classes_of, instead, prefixes
from jaxgan.data.tables import Tables
from jaxgan.errors import InputError

TOOLS = {"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini"}  # Of no user: they never count.
SIDES = {
    **dict.fromkeys(("train", "training", "training_set", "train_set"), 0),
    **dict.fromkeys(("val", "valid", "validation", "dev", "validation_set", "valid_set"), 1),
    **dict.fromkeys(("test", "testing", "test_set"), 2),
}
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
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
    """Return whether a file, or a folder above it, is hidden or a tool's own."""
    return any(part.startswith(".") or part in TOOLS for part in path.split("/"))


def named_sides(kinds: Sequence[str]) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
    """Return the sides that the splits of a set are, and a sentence; None where not all of them
    are.
    """
    sides = tuple(SIDES.get(kind.lower(), -1) for kind in kinds)
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
    look = Look(paths, tables)
    given: dict[str, int] | None = None
    if reading == "one":
        left, depth = list(paths), 0
    else:
        left, depth = _unwrapped(list(paths), look, wanted, reading)
    if reading == "auto":
        found = _sided(left, depth, look, stem, wanted)
        of, given = found or _plain(left, depth, look, stem)
    else:
        of = dict.fromkeys(left, stem) if reading == "one" else {}
        of = of or _as_asked(left, depth, look, reading)
    archives = [p for p in others if p.lower().endswith(ARCHIVES)]
    if archives:
        look.told.append(
            f"left out {len(archives)} archive{'s' * (len(archives) > 1)} inside, like "
            f"{archives[0]}: unpack what is needed"
        )
    return _laid_out(paths, of, given, look)


def _unwrapped(
    left: list[str], look: Look, wanted: Sequence[str] | None, reading: str
) -> tuple[list[str], int]:
    """Return the images inside the folders that hold all the rest, and how many of
    those there are.
    """
    depth = 0
    while reading != "folders":
        tops = look.tops(left, depth)
        direct = tops.pop("", [])
        name = next(iter(tops), "")
        root = look.folder(left, depth)
        if len(tops) != 1 or name in (wanted or ()) or look.tables.has_labels(root):
            break
        inner = look.tops(tops[name], depth + 1)
        inner.pop("", None)
        below = tops[name]
        while len(inner) == 1 and not look.tables.has_labels(look.folder(below, depth + 1)):
            depth += 1
            inner = look.tops(below, depth + 1)
            if inner.pop("", None):
                break
        at = look.folder(below, depth + 1)
        flat = None if inner else prefixes(below)
        if len(inner) < 2 and flat is None and not look.tables.has_labels(at):
            depth = 0
            break
        look.left_out += direct
        look.told.append(
            f"everything lies in {at}: classes are looked for inside it"
            + (f" (classes={name} or {instead('folders')} takes it as one class)" if inner else "")
        )
        left, depth = below, depth + 1
    return left, depth


def _sided(
    left: list[str], depth: int, look: Look, stem: str, wanted: Sequence[str] | None
) -> tuple[dict[str, str], dict[str, int] | None] | None:
    """Classes and sides where the folders are sides of a split."""
    tops = look.tops(left, depth)
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
    look.left_out += direct
    table = look.table(look.folder(left, depth), [p for name in sides for p in tops[name]])
    found = {
        name: {p: c for p in tops[name] if (c := table.get(p))}
        if table
        else classes_of(tops[name], depth + 1, look)
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
    return of, given if len(set(given.values())) > 1 else None


def _plain(
    left: list[str], depth: int, look: Look, stem: str
) -> tuple[dict[str, str], dict[str, int] | None]:
    """Classes, and sides where each class has folders of these."""
    of = classes_of(left, depth, look) or dict.fromkeys(left, stem)
    tops = look.tops(left, depth)
    tops.pop("", None)
    second = {tuple(sorted(look.tops(files, depth + 1))) for files in tops.values()}
    names = next(iter(second)) if len(second) == 1 else ()
    if len(tops) < 2 or len(names) < 2 or "" in names or of.get(left[0]) not in tops:
        return of, None
    if all(n.lower() in SIDES for n in names) and any(SIDES[n.lower()] == 0 for n in names):
        look.told.append(
            f"the folders {', '.join(names)} in each class are sides of a split "
            f"({instead('inner')} takes them as the classes)"
        )
        return of, {path: SIDES[look.parts[path][depth + 1].lower()] for path in of}
    look.told.append(
        f"all of {', '.join(sorted(tops))} hold folders {', '.join(names)}: the outer are read as "
        f"the classes; for the inner ones: {instead('inner')}"
    )
    return of, None


def _as_asked(left: list[str], depth: int, look: Look, reading: str) -> dict[str, str]:
    """Classes by the reading that was asked for."""
    tops = look.tops(left, depth)
    if reading == "table":
        found = look.table(look.folder(left, depth), left)
        if not found:
            raise InputError(
                "data.layout=table needs a table with columns of files and labels, like "
                "csv with file,label, beside the images or their folders"
            )
        return found
    if reading == "names":
        found = prefixes(left)
        if found is None:
            raise InputError(
                "data.layout=names needs names like cat.0.jpg, two or more of each class, and "
                f"there are others, like {left[0]}"
            )
        return found
    level = depth + (reading == "inner")
    deep = [path for path in left if len(look.parts[path]) > level + 1]
    if not deep:
        raise InputError(
            f"data.layout={reading} needs images in "
            + ("folders inside folders" if reading == "inner" else "folders")
            + f", and {left[0]} lies in none (folders here: {', '.join(filter(None, tops)) or '-'})"
        )
    inside = set(deep)
    look.left_out += [path for path in left if path not in inside]
    return {path: look.parts[path][level] for path in deep}


def _laid_out(
    paths: Sequence[str], of: dict[str, str], given: dict[str, int] | None, look: Look
) -> Layout:
    raw, told = sorted(set(of.values())), look.told
    named = {name: unicodedata.normalize("NFC", name) for name in raw}
    classes = sorted(set(named.values()))
    twice = [name for name, n in Counter(named.values()).items() if n > 1]
    told += [f"class {name} is written in two Unicode forms: read as one" for name in twice]
    folded: dict[str, list[str]] = {}
    for name in classes:
        folded.setdefault(_folded(name), []).append(name)
    told += [
        f"the classes {', '.join(alike)} differ in case or accents alone: is it so?"
        for alike in folded.values()
        if len(alike) > 1
    ]
    number = {name: at for at, name in enumerate(classes)}
    label = {name: number[named[name]] for name in raw}
    numbered = [(label[of[path]], i) for i, path in enumerate(paths) if path in of]
    numbered.sort()
    sides = None if given is None else [given[paths[i]] for _, i in numbered]
    return Layout(
        tuple(classes),
        [i for _, i in numbered],
        [n for n, _ in numbered],
        sides,
        look.left_out,
        told,
        look.used,
    )


def _folded(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c)) or name
