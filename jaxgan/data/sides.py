"""The sides of the split: decided once, and kept by later runs into the same folder."""

import numpy as np
from jaxtyping import Bool, Int64

from jaxgan.data import duplicates, records, splits
from jaxgan.data.doctor import Diagnosis
from jaxgan.data.duplicates import Duplicates
from jaxgan.data.parts import Scanned
from jaxgan.data.request import Request
from jaxgan.data.workers import Say
from jaxgan.errors import InputError

TIES = "like pictures of two sides of the split"


def before(request: Request, say: Say) -> dict[bytes, int]:
    """The sides that an earlier run into the same folder decided, by what stands for each file."""
    if request.out is None:
        return {}
    folders = [request.out, *(request.out / str(r) for r in request.options.resolutions)]
    before = next((info for folder in folders if (info := records.before(folder))), None)
    if before is None:
        return {}
    if before["fractions"] != list(request.fractions):
        say("the shares of the split are others than before: all pictures are parted anew")
        return {}
    return {bytes.fromhex(source): side for source, side in before["sides"].items()}


def untied(
    scanned: Scanned, decided: dict[bytes, int], rule: str | float, say: Say
) -> tuple[Scanned, Duplicates]:
    """Without new pictures that are like some of two sides; and which of the rest are the same."""
    while True:
        table = scanned.rows.table[scanned.good]
        read = scanned.details
        same = duplicates.group_copies(table["content"], scanned.vectors, read, rule)
        if not decided:
            return scanned, same
        group = same.group
        own = np.array([decided.get(source, -1) for source in table["source"].tolist()], np.int64)
        touched = np.zeros((len(group), 3), bool)
        touched[group[own >= 0], own[own >= 0]] = True
        new = np.flatnonzero((touched.sum(axis=1) > 1)[group] & (own < 0))
        if not len(new):  # What was there before stays where it is.
            return scanned, same
        say(f"left out {len(new):,} new pictures that tie two sides of the split together")
        scanned = scanned.but(dict.fromkeys(scanned.good[new].tolist(), TIES))


def assigned(
    request: Request,
    diagnosis: Diagnosis,
    kept: Bool[np.ndarray, " n"],
    dropped: dict[int, str],
    decided: dict[bytes, int],
) -> Int64[np.ndarray, " n"]:
    """The side of each picture, also of one that is dropped; -1 of what goes nowhere.

    It hangs on the files' bytes: it is the same at any resolution, and in any crop.
    """
    if not kept.any():
        raise InputError(
            f"a picture must be left, and of {len(diagnosis.rows):,} none is: "
            + "; ".join(sorted(set(dropped.values()))[:3])
        )
    table = diagnosis.rows.table
    same = Duplicates(diagnosis.group, table["source"][diagnosis.good])
    labels = table["label"][diagnosis.good]
    return splits.assign(labels, diagnosis.classes, request.fractions, same, decided, kept)


def tell_gaps(
    request: Request,
    diagnosis: Diagnosis,
    sides: Int64[np.ndarray, " n"],
    rows: Int64[np.ndarray, " n"],
    say: Say,
) -> None:
    """Says where a side that was decided before has lost its last picture of a class."""
    labels = diagnosis.rows.table["label"][rows]
    for side, name in enumerate(records.SIDES):
        for label, of_class in enumerate(diagnosis.classes):
            if request.fractions[side] and not (labels[sides == side] == label).any():
                say(f"no picture of {of_class} is left to {name}: another --out is parted anew")
