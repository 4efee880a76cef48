"""Groups: images of the same animal, patient, video or photographer, which stay on one side."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Int64

from jaxgan.data.tables import Tables, match
from jaxgan.errors import InputError

RULES = "folder, column:NAME, name:PATTERN or path:PATTERN"


def check(rule: str | None, name: str = "data.groups") -> None:
    """Refuse a rule that is none.

    Args:
        rule: "folder", "column:NAME" of a table, or "name:PATTERN" or "path:PATTERN", a regular
            expression with one group in parentheses; None or "" groups nothing.
        name: of the setting.

    Raises:
        InputError: says what is wrong with it.
    """
    kind, _, value = (rule or "folder").partition(":")
    if kind not in ("folder", "column", "name", "path") or (kind == "folder") == bool(value):
        raise InputError(f"{name} must be {RULES}, got {rule!r}")
    if kind in ("name", "path"):
        try:
            parts = re.compile(value).groups
        except re.error as error:
            raise InputError(f"{name} must be a regular expression, got {value!r}: {error}")  # noqa: B904
        if parts != 1:
            raise InputError(
                f"{name} must have one group in parentheses, like name:^([^_]+)_, and {value!r} "
                f"has {parts}"
            )


def find(
    rule: str, paths: Sequence[str], tables: Tables, known: Sequence[str] | None = None
) -> dict[str, str]:
    """Return the group of each image.

    Args:
        rule: see `check`. By folder, images are of one group where the folders that they lie in
            have the same name.
        paths: of the images, with "/".
        tables: those beside them.
        known: of these and others that a table may name; None: there are no others.

    Raises:
        InputError: an image without a group, with two, or a table or pattern that does not fit.
    """
    check(rule)
    kind, _, value = rule.partition(":")
    if kind == "column":
        found = _column(rule, value.strip().lower(), known or paths, tables)
    elif kind == "folder":
        found = {path: path.split("/")[-2] for path in paths if "/" in path}
    else:
        pattern = re.compile(value)
        matches = {path: pattern.search(_part(path, kind)) for path in paths}
        found = {path: m[1] or "" for path, m in matches.items() if m}
    without = [path for path in paths if not found.get(path)]
    if len(without) == len(paths):
        raise InputError(
            f"data.groups={rule} must fit the images, and it fits none: not {paths[0]}"
        )
    if without:
        raise InputError(
            f"data.groups={rule} must give every image a group, and {len(without):,} of "
            f"{len(paths):,} have none, like {without[0]}"
        )
    return found


def _part(path: str, kind: str) -> str:
    return path.rpartition("/")[2] if kind == "name" else path


def _column(rule: str, column: str, paths: Sequence[str], tables: Tables) -> dict[str, str]:
    found: dict[str, str] = {}
    there = []
    for folder in tables.folders():
        below = [path for path in paths if path.startswith(folder and folder + "/")]
        for table in tables.at(folder):
            records = tables.records(table)
            rows = tables.rows(table, (column,)) if records else None
            if rows is not None and below:
                found = match(table, rows, folder, below, column) | found
            elif records:
                there.append(f"{table} with {', '.join(records[0][1])}")
    if not found:
        raise InputError(
            f"data.groups={rule} needs a table with a column of files and the column {column}, and "
            f"there is {'; '.join(there[:3]) or 'no table'}"
        )
    return found


def numbered(names: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """Return the groups as numbers."""
    return np.unique(np.asarray(names, object).astype(str), return_inverse=True)[1].astype(np.int64)


def check_classes(
    groups: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"], classes: Sequence[str]
) -> None:
    """Refuse groups where a class is one of them.

    Raises:
        InputError: names it.
    """
    for label, name in enumerate(classes):
        mine = labels == label
        if mine.sum() > 1 and len(np.unique(groups[mine])) == 1:
            raise InputError(
                f"data.groups must part each class into several groups, and all {mine.sum():,} "
                f"images of {name} are one"
            )


def check_sides(
    groups: Int[np.ndarray, " n"], sides: Int[np.ndarray, " n"], names: Sequence[str]
) -> None:
    """Refuse given sides that a group stands on two of.

    Raises:
        InputError: names two images of it.
    """
    first: dict[int, int] = {}
    for i, (group, side) in enumerate(zip(groups.tolist(), sides.tolist(), strict=True)):
        other = first.setdefault(group, i)
        if sides[other] != side:
            raise InputError(
                f"a group must stay on one side, and data.groups puts {names[other]} and {names[i]}"
                f" in one, which the folders put on two: data.given_sides=merge parts them anew"
            )


def joined(
    copies: Int[np.ndarray, " n"], groups: Int[np.ndarray, " n"] | None
) -> Int[np.ndarray, " n"]:
    """Return what must stay together: copies, groups, and all that these tie to each other.

    Args:
        copies: `splits.Duplicates.group`.
        groups: numbers, or None.

    Returns:
        As `copies`: the first position of each.
    """
    if groups is None or not len(groups):
        return copies
    from scipy.sparse import coo_array  # It takes a fifth of a second.
    from scipy.sparse.csgraph import connected_components

    n = len(groups)
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    ends = np.concatenate([copies, first[inverse]]), np.tile(np.arange(n), 2)
    graph = coo_array((np.ones(2 * n, bool), ends), shape=(n, n))
    _, component = connected_components(graph, directed=False)
    start = np.full(n, n)
    np.minimum.at(start, component, np.arange(n))
    return start[component]
