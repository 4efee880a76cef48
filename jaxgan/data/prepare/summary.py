"""All that was found, by file name, for JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from jaxgan.data import channel_stats
from jaxgan.data.prepare import doctor
from jaxgan.data.prepare.doctor import Diagnosis
from jaxgan.data.prepare.scanned import Scanned
from jaxgan.data.prepare.table import ODDITIES


def findings(diagnosis: Diagnosis, dropped: dict[int, str], scanned: Scanned) -> dict[str, Any]:
    """Return what is kept, as a whole, and what is not as it should be.

    `counts`, `mean` and `std` are those of the smallest set; `sets` has those of all, by
    resolution.
    """
    rows, good, table = diagnosis.rows, diagnosis.good, diagnosis.rows.table
    content = table["content"]
    groups = diagnosis.groups()
    distinct = [group for group in groups if len(np.unique(content[group])) > 1]
    problems: dict[str, dict[str, str]] = {"unreadable": {}, "unusable": {}}
    for reason, of_it in problems.items():
        for i in diagnosis.found[reason].tolist():
            of_it[rows.name(i)] = rows.problems[i]
    sets = _sets(diagnosis, dropped, scanned)
    return {
        **problems,
        "exact_duplicates": [[*rows.names(good[m])] for m in _equal(content[good])],
        "near_duplicates": [[*rows.names(group)] for group in distinct],
        "across_classes": [
            [*rows.names(group)] for group in groups if len(np.unique(table["label"][group])) > 1
        ],
        **{
            reason: [*rows.names(diagnosis.found[reason])]
            for reason in ("blank", "tiny", "enlarged", "blurred")
        },
        "oddities": {
            what: [*rows.names(found)]
            for bit, what in enumerate(ODDITIES)
            if len(found := np.flatnonzero(table["oddities"] >> bit & 1))
        },
        "dropped": {rows.name(i): reason for i, reason in sorted(dropped.items())},
        "found": doctor.count(diagnosis.classes, table["label"]),
        "sets": sets,
        **next(iter(sets.values())),
    }


def _equal(content: np.ndarray) -> list[np.ndarray]:
    """Return positions of each value that is there several times, by the first one."""
    _, first, inverse = np.unique(content, return_index=True, return_inverse=True)
    order, starts = doctor.several(first[inverse])
    return np.split(order, starts[1:]) if len(starts) else []


def _sets(
    diagnosis: Diagnosis, dropped: dict[int, str], scanned: Scanned
) -> dict[str, dict[str, Any]]:
    """Count, mean and deviation at each resolution, of what is kept and large enough for it."""
    table, found = diagnosis.rows.table, {}
    kept = ~np.isin(scanned.good, list(dropped))
    for at, resolution in enumerate(scanned.options.resolutions):
        there = kept & (table["records"][scanned.good, at] >= 0)
        pixels = int(there.sum()) * resolution**2
        mean, std = channel_stats.mean_and_std(scanned.total(there, at), pixels)
        counts = doctor.count(diagnosis.classes, table["label"][scanned.good[there]])
        found[str(resolution)] = {"counts": counts, "mean": mean, "std": std}
    return found


def of_each(diagnosis: Diagnosis) -> dict[str, Iterable[tuple[str, Any]]]:
    """Return what there is to say of every image: (name, value) by name of the list."""
    rows, good, score = diagnosis.rows, diagnosis.good, diagnosis.strangeness
    order = diagnosis.strangest()

    def outliers() -> Iterator[tuple[str, float]]:
        for k, name in zip(order.tolist(), rows.names(good[order]), strict=True):
            yield name, round(float(score[k]), 4)  # type: ignore[index]

    def sizes() -> Iterator[tuple[str, dict[str, float]]]:
        for i, name in zip(good.tolist(), rows.names(good), strict=True):
            row = rows.table[i]
            sides = {key: row[key].item() for key in ("width", "height", "side")}
            yield name, sides | {"effective": round(float(row["effective"]), 1)}

    return {"outliers": outliers(), "sizes": sizes()}


def lines(found: Mapping[str, Any], each: Mapping[str, Iterable[tuple[str, Any]]]) -> Iterator[str]:
    """One JSON object of both, a line for each value, made line by line."""
    yield "{\n"
    for key, values in each.items():
        between = ""
        yield f"  {json.dumps(key)}: {{"
        for name, value in values:
            yield f"{between}\n    {json.dumps(name)}: {json.dumps(value)}"
            between = ","
        yield "\n  },\n"
    yield json.dumps(found, indent=2)[2:] + "\n"
