"""The sides of the split: decided once, and kept by later runs into the same folder."""

import numpy as np
from jaxtyping import Bool, Int64

from jaxgan.data import duplicates, given_splits, groups, prepared, splits
from jaxgan.data.duplicates import Duplicates
from jaxgan.data.prepare.doctor import Diagnosis
from jaxgan.data.prepare.options import Request
from jaxgan.data.prepare.scanned import Scanned
from jaxgan.data.prepare.workers import Say
from jaxgan.data.sources.entries import Files
from jaxgan.errors import InputError

TIES = "like images of two sides of the split"


def before(request: Request, say: Say, are_given: bool = False) -> dict[bytes, int]:
    """Return the sides that an earlier run into the same folder decided, by what stands for each
    file.

    Where folders give the sides, no earlier decision counts.
    """
    if request.out is None or are_given:
        return {}
    folders = [request.out, *(request.out / str(r) for r in request.options.resolutions)]
    before = next((info for folder in folders if (info := prepared.before(folder))), None)
    if before is None:
        return {}
    if before["fractions"] != list(request.fractions):
        say("the shares of the split are others than before: all images are parted anew")
        return {}
    return {bytes.fromhex(source): side for source, side in before["sides"].items()}


def untied(
    scanned: Scanned,
    decided: dict[bytes, int],
    rule: str | float,
    say: Say,
    grouped: tuple[int, ...] | None = None,
) -> tuple[Scanned, Duplicates]:
    """Without new images that are like some of two sides; and which of the rest are the same."""
    while True:
        table = scanned.rows.table[scanned.good]
        read = scanned.details
        same = duplicates.group_copies(table["content"], scanned.vectors, read, rule)
        if not decided:
            return scanned, same
        group = same.group
        tied = groups.joined(group, None if grouped is None else np.array(grouped)[table["entry"]])
        own = np.array([decided.get(source, -1) for source in table["source"].tolist()], np.int64)
        touched = np.zeros((len(group), 3), bool)
        touched[tied[own >= 0], own[own >= 0]] = True
        new = np.flatnonzero((touched.sum(axis=1) > 1)[tied] & (own < 0))
        if not len(new):  # What was there before stays where it is.
            return scanned, same
        say(f"left out {len(new):,} new images that tie two sides of the split together")
        scanned = scanned.but(dict.fromkeys(scanned.good[new].tolist(), TIES))


def assigned(
    request: Request,
    found: Files,
    diagnosis: Diagnosis,
    kept: Bool[np.ndarray, " n"],
    dropped: dict[int, str],
    decided: dict[bytes, int],
    say: Say,
) -> Int64[np.ndarray, " n"]:
    """Return the side of each image, also of one that is dropped; -1 of what goes nowhere.

    Sides that folders give are used, unless they are to be merged. Else it depends on the files'
    bytes alone: it is the same at any resolution, and in any crop.
    """
    if not kept.any():
        raise InputError(
            f"an image must be left, and of {len(diagnosis.rows):,} none is: "
            + "; ".join(sorted(set(dropped.values()))[:3])
        )
    table = diagnosis.rows.table[diagnosis.good]
    labels, group = table["label"], diagnosis.group
    grouped = None if found.groups is None else np.array(found.groups)[table["entry"]]
    if grouped is not None:
        groups.check_classes(grouped[kept], labels[kept], diagnosis.classes)
    if found.given is None or request.given_sides == "merge":
        if found.given is not None:
            say("the given sides are merged: the split is decided anew")
        same = Duplicates(groups.joined(group, grouped), table["source"])
        return splits.assign(
            *(labels, diagnosis.classes, request.fractions, same, decided, kept),
            called="images" if grouped is None else "groups",
        )
    there = np.array(found.given, np.int32)[table["entry"]]
    if grouped is not None:
        groups.check_sides(grouped, there, [*diagnosis.rows.names(diagnosis.good)])
    every = np.full(len(there), -1, np.int64)
    said, every[kept] = given_splits.settled(
        *(there[kept], labels[kept], diagnosis.classes, table["source"][kept].tolist()),
        groups.numbered(groups.joined(group, grouped)[kept].tolist()),
    )
    say(said)
    across = np.flatnonzero((every != every[group]) & (every >= 0) & (every[group] >= 0))
    if len(across):
        a, b = diagnosis.rows.names(diagnosis.good[[group[across[0]], across[0]]])
        say(
            f"{len(across):,} images are like one on another given side, like {a} and {b}: "
            f"--given_sides=merge parts them anew"
        )
    return np.where(every < 0, there, every)


def tell_gaps(
    request: Request,
    diagnosis: Diagnosis,
    sides: Int64[np.ndarray, " n"],
    rows: Int64[np.ndarray, " n"],
    say: Say,
) -> None:
    """Say where a side that was decided before has lost its last image of a class."""
    labels = diagnosis.rows.table["label"][rows]
    for side, name in enumerate(prepared.SIDES):
        counts = np.bincount(labels[sides == side], minlength=len(diagnosis.classes))
        for label in np.flatnonzero(counts == 0) if request.fractions[side] else ():
            of_class = diagnosis.classes[label]
            say(f"no image of {of_class} is left to {name}: another --out is parted anew")
