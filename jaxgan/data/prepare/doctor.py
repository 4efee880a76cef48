"""What is wrong with a set of images, and what to leave out."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float64, Int, Int64

from jaxgan.data import quality
from jaxgan.data.prepare.table import Rows

Decision = Literal["keep", "drop"]
# Why an image is doubtful, in the order in which one reason is told, and what is suggested.
REASONS: dict[str, Decision] = {
    "unreadable": "drop",
    "unusable": "drop",
    "across classes": "drop",
    "exact duplicate": "drop",
    "near duplicate": "drop",
    "blank": "drop",
    "tiny": "drop",
    "strange": "drop",
    "blurred": "drop",
    "enlarged": "keep",
}
# What holds for more than half of a class, of ENOUGH, says what the class is like: keep them.
ENOUGH = 10
OF_SETS = {"across classes", "blank", "tiny", "blurred"}


class Diagnosis(NamedTuple):
    """Of all rows; arrays are of `good`, the positions of the rows that have an image."""

    rows: Rows
    classes: tuple[str, ...]
    good: Int64[np.ndarray, " n"]
    group: Int64[np.ndarray, " n"]  # As in `Duplicates`: the first that is the same image.
    strangeness: Float64[np.ndarray, " n"] | None  # None where nobody looked.
    reasons: dict[int, str]  # By position in `rows`: the first of REASONS that holds.
    found: dict[str, Int64[np.ndarray, " m"]]  # All rows for which each of REASONS holds.
    usual: frozenset[str] = frozenset()  # Those of OF_SETS that hold for most of a class.

    def suggested(self, reason: str) -> Decision:
        return "keep" if reason in self.usual else REASONS[reason]

    def strangest(self) -> Int64[np.ndarray, " n"]:
        """Return positions in `good`, strangest first."""
        score = np.zeros(0) if self.strangeness is None else self.strangeness
        return np.argsort(-score, kind="stable")

    def groups(self) -> list[Int64[np.ndarray, " m"]]:
        """Return the rows of each image that there is more than once, by the first one."""
        order, starts = several(self.group)
        return [self.good[m] for m in np.split(order, starts[1:])] if len(starts) else []


def diagnose(
    rows: Rows,
    classes: Sequence[str],
    good: Int64[np.ndarray, " n"],
    group: Int64[np.ndarray, " n"],
    strangeness: Float64[np.ndarray, " n"] | None,
    resolution: int,
    strangest: int = 0,
) -> Diagnosis:
    """Put together what was seen.

    Args:
        rows: of all images.
        classes: their names.
        good: the positions of those without a problem.
        group: of these; see `duplicates.group_copies`.
        strangeness: of these, by `outliers.strangeness`; None where nobody looked at the images.
        resolution: the smallest one wanted, in pixels.
        strangest: how many count as "strange".
    """
    table = rows.table
    label, side, content = (table[name][good] for name in ("label", "side", "content"))
    _, first = np.unique(content, return_index=True)
    again = np.ones(len(good), bool)
    again[first] = False
    order, starts = several(group)
    labels = label[order]
    torn = np.minimum.reduceat(labels, starts) < np.maximum.reduceat(labels, starts)
    sizes = np.diff(starts, append=len(order))
    # Of equal images the largest is the best one; of equally large ones the first.
    by_size = np.lexsort((order, -side[order], np.repeat(np.arange(len(starts)), sizes)))
    found = {
        "across classes": good[order[np.repeat(torn, sizes)]],
        "exact duplicate": good[again],
        "near duplicate": good[np.delete(order[by_size], starts)],
        "tiny": good[side < resolution / 2],
    }
    if strangeness is not None:
        contrast, sharpness, effective = (table[name][good] for name in quality.Measures._fields)
        blank = contrast < quality.BLANK
        found |= {
            "blank": good[blank],
            "strange": good[np.argsort(-strangeness, kind="stable")[:strangest]],
            "blurred": good[~blank & (sharpness < quality.BLURRED)],
            "enlarged": good[~blank & (effective < quality.SOFT * side)],
        }
    found = {reason: np.sort(found.get(reason, good[:0])) for reason in REASONS}
    bad = np.flatnonzero(~table["good"])
    decoded = table["width"][bad] > 0
    found |= {"unreadable": bad[~decoded], "unusable": bad[decoded]}
    reasons = {i: reason for reason in reversed(REASONS) for i in found[reason].tolist()}
    reasons = dict(sorted(reasons.items()))
    counts = np.bincount(label, minlength=len(classes))
    most = np.where(counts < ENOUGH, counts, counts / 2)
    usual = frozenset(
        reason
        for reason in OF_SETS
        if (np.bincount(table["label"][found[reason]], minlength=len(classes)) > most).any()
    )
    return Diagnosis(rows, tuple(classes), good, group, strangeness, reasons, found, usual)


def several(group: Int64[np.ndarray, " n"]) -> tuple[Int64[np.ndarray, " m"], ...]:
    """Return the positions in groups of two and more, group by group; and where each
    group starts.
    """
    number = np.bincount(group, minlength=len(group))
    order = np.argsort(group, kind="stable")
    order = order[number[group[order]] > 1]
    return order, np.flatnonzero(np.diff(group[order], prepend=-1))


def decide(
    diagnosis: Diagnosis, clean: bool, human: dict[str, tuple[str, Decision]]
) -> dict[int, str]:
    """Return the rows that are left out, with the reason: unreadable ones, and what else was
    decided.

    Args:
        diagnosis: see there.
        clean: whether suggestions are followed.
        human: (reason, decision) by file, which counts for more than a suggestion.
    """
    said = {i: human[name] for i, name in diagnosis.rows.called(human).items()}
    dropped = {}
    for i in sorted({*diagnosis.reasons, *said}):
        reason = diagnosis.reasons.get(i)
        if i in diagnosis.rows.problems:
            dropped[i] = diagnosis.rows.problems[i]
        elif i in said:
            why, decision = said[i]
            if decision == "drop":
                dropped[i] = reason or why or "decided"
        elif reason is not None and clean and diagnosis.suggested(reason) == "drop":
            dropped[i] = reason
    for i in list(_instead(diagnosis, dropped, set(said))):
        del dropped[i]
    return dropped


def _instead(diagnosis: Diagnosis, dropped: dict[int, str], said: set[int]) -> Iterator[int]:
    """Where a human dropped the one of equal images that was kept: the next best."""
    for group in diagnosis.groups() if said & dropped.keys() else ():
        members = group.tolist()
        spare = [i for i in members if dropped.get(i) in ("exact duplicate", "near duplicate")]
        if spare and said & (set(members) - set(spare)) and all(i in dropped for i in members):
            yield spare[int(diagnosis.rows.table["side"][spare].argmax())]


def count(classes: Sequence[str], labels: Int[np.ndarray, " n"]) -> dict[str, int]:
    """Return how many images each class has."""
    numbers = np.bincount(labels, minlength=len(classes)).tolist()
    return dict(zip(classes, numbers, strict=True))
