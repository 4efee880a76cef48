"""What is wrong with a set of pictures, what to leave out, and what to do with the rest."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64

from jaxgan.data import look, splits
from jaxgan.data.scan import Row
from jaxgan.errors import InputError

Decision = Literal["keep", "drop"]
# Why a picture is doubtful, in the order in which one reason is told, and what is suggested.
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
COLUMNS = ("file", "reason", "decision", "suggestion", "applied")
FEW = 1000  # Pictures of a class below which a GAN needs all help there is.
MANY = 10_000  # From which on it needs none.


class Diagnosis(NamedTuple):
    """Of all rows; arrays are of `good`, the positions of the rows that have a picture."""

    rows: list[Row]
    classes: tuple[str, ...]
    good: Int64[np.ndarray, " n"]
    group: Int64[np.ndarray, " n"]  # As in `splits.Duplicates`: the first that is the same picture.
    strangeness: Float64[np.ndarray, " n"] | None  # None where nobody looked.
    reasons: dict[int, str]  # By position in `rows`: the first of REASONS that holds.
    found: dict[str, list[int]]  # All for which each of REASONS holds.


def same_pictures(
    rows: Sequence[Row], vectors: Float[np.ndarray, "n 512"]
) -> Int64[np.ndarray, " n"]:
    """The first of `rows`, which all have a picture, that is the same as each.

    Args:
        rows: those without a problem.
        vectors: their outlines; where nobody looked, none, and only equal pixels count.
    """
    looked = len(vectors) == len(rows)
    outlines = vectors if looked else np.zeros((len(rows), 512), np.float16)
    if not rows:
        return np.zeros(0, np.int64)
    return splits.group_copies([_content(row).encode() for row in rows], outlines).group


def diagnose(
    rows: list[Row],
    classes: Sequence[str],
    good: Int64[np.ndarray, " n"],
    group: Int64[np.ndarray, " n"],
    strangeness: Float64[np.ndarray, " n"] | None,
    resolution: int,
    strangest: int = 0,
) -> Diagnosis:
    """Puts together what was seen.

    Args:
        rows: of all pictures.
        classes: their names.
        good: the positions of those without a problem.
        group: of these; see `same_pictures`.
        strangeness: of these, by `outliers.strangeness`; None where nobody looked at the pictures.
        resolution: the one wanted, in pixels.
        strangest: how many count as "strange".
    """
    reasons = {
        i: "unusable" if row.width else "unreadable"  # It could be decoded.
        for i, row in enumerate(rows)
        if row.problem is not None
    }
    looked = strangeness is not None
    strange = set(np.argsort(-strangeness)[:strangest].tolist()) if looked else set()  # type: ignore[operator]
    found: dict[str, set[int]] = {reason: set() for reason in REASONS}
    seen: set[str] = set()
    for place, i in enumerate(good.tolist()):
        row = rows[i]
        found["exact duplicate"] |= {i} if _content(row) in seen else set()
        seen.add(_content(row))
        found["tiny"] |= {i} if row.side < resolution / 2 else set()
        found["strange"] |= {i} if place in strange else set()
        if looked and row.contrast < look.BLANK:
            found["blank"].add(i)
        elif looked:
            found["blurred"] |= {i} if row.sharpness < look.BLURRED else set()
            found["enlarged"] |= {i} if row.effective < look.SOFT * row.side else set()
    for members in _members(group):
        positions = good[members].tolist()
        if len({rows[i].label for i in positions}) > 1:
            found["across classes"].update(positions)
        found["near duplicate"].update(set(positions) - {_best(rows, positions)})
    for reason in REASONS:
        for i in sorted(found[reason]):
            reasons.setdefault(i, reason)
    lists = {reason: sorted(positions) for reason, positions in found.items()}
    return Diagnosis(rows, tuple(classes), good, group, strangeness, reasons, lists)


def _members(group: Int64[np.ndarray, " n"]) -> list[Int64[np.ndarray, " m"]]:
    """The groups of two and more, by their first position."""
    order = np.argsort(group, kind="stable")
    first, start = np.unique(group[order], return_index=True)
    return [m for m in np.split(order, start[1:]) if len(m) > 1] if len(first) else []


def decide(
    diagnosis: Diagnosis, clean: bool, human: dict[str, tuple[str, Decision]]
) -> dict[int, str]:
    """The rows that are left out, with the reason: unreadable ones, and what else was decided.

    Args:
        diagnosis: see there.
        clean: whether suggestions are followed.
        human: (reason, decision) by file, which counts for more than a suggestion.
    """
    dropped = {}
    for i, row in enumerate(diagnosis.rows):
        reason = diagnosis.reasons.get(i)
        said = human.get(row.name) or human.get(row.file)
        if row.problem is not None:
            dropped[i] = row.problem
        elif said is not None:
            if said[1] == "drop":
                dropped[i] = reason or said[0] or "decided"
        elif reason is not None and clean and REASONS[reason] == "drop":
            dropped[i] = reason
    for members in _members(diagnosis.group):
        positions = diagnosis.good[members].tolist()
        spare = [i for i in positions if i in dropped and _is_copy(dropped[i])]
        by_hand = [i for i in set(positions) - set(spare) if diagnosis.rows[i].name in human]
        if spare and by_hand and all(i in dropped for i in positions):
            # A human dropped the one that was kept: the next best takes its place.
            del dropped[_best(diagnosis.rows, spare)]
    return dropped


def _is_copy(reason: str) -> bool:
    return reason in ("exact duplicate", "near duplicate")


def _best(rows: Sequence[Row], positions: Sequence[int]) -> int:
    """Of equal pictures the largest; of equally large ones the first."""
    return max(positions, key=lambda i: (rows[i].side, -i))


def read_decisions(text: str, file: str) -> dict[str, tuple[str, Decision]]:
    """What a human decided: rows of `decisions.csv` whose decision is not the one that was applied.

    Raises:
        InputError: a table without the columns, or a decision that is neither keep nor drop.
    """
    table = csv.DictReader(io.StringIO(text))
    missing = {"file", "decision"} - set(table.fieldnames or ())
    if missing:
        raise InputError(
            f"{file} must have the columns {', '.join(COLUMNS[:3])}, and has no "
            f"{' and no '.join(sorted(missing))}"
        )
    decided: dict[str, tuple[str, Decision]] = {}
    for row in table:
        if not row["file"]:
            continue
        decision = (row["decision"] or "").strip().lower()
        if decision not in ("keep", "drop", ""):
            raise InputError(
                f"a decision in {file} must be keep or drop, got {decision!r} for {row['file']}"
            )
        if decision and decision != (row.get("applied") or "").strip().lower():
            decided[row["file"]] = (row.get("reason") or "", decision)  # type: ignore[assignment]
    return decided


def write_decisions(
    diagnosis: Diagnosis, dropped: dict[int, str], human: dict[str, tuple[str, Decision]]
) -> str:
    """`decisions.csv`: a row for each doubtful picture and for each that a human decided on.

    The last column has what was done by itself, and is empty where a human decided: so a decision
    is a human's where both differ, now and later.
    """
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(COLUMNS)
    unmatched = dict(human)
    for i, row in enumerate(diagnosis.rows):
        said = human.get(row.name) or human.get(row.file)
        unmatched.pop(row.name, None)
        unmatched.pop(row.file, None)
        reason = diagnosis.reasons.get(i)
        if row.problem is not None or (reason is None and said is None):
            continue  # What cannot be read cannot be kept.
        done = "drop" if i in dropped else "keep"
        suggestion = REASONS[reason] if reason else "keep"
        mine = (said[1], suggestion, "") if said else (done, suggestion, done)
        table.writerow((row.name, reason or (said and said[0]), *mine))
    for name, (reason, decision) in unmatched.items():
        table.writerow((name, reason, decision, "", ""))
    return buffer.getvalue()


def findings(diagnosis: Diagnosis, dropped: dict[int, str]) -> dict[str, Any]:
    """All that was found, by file name, for JSON; `counts` are of what is kept."""
    rows, good = diagnosis.rows, diagnosis.good
    groups = [good[m].tolist() for m in _members(diagnosis.group)]
    exact: dict[str, list[str]] = {}
    for i in good.tolist():
        exact.setdefault(_content(rows[i]), []).append(rows[i].name)
    distinct = [g for g in groups if len({_content(rows[i]) for i in g}) > 1]
    oddities: dict[str, list[str]] = {}
    for row in rows:
        for what in row.oddities:
            oddities.setdefault(what, []).append(row.name)
    score = diagnosis.strangeness
    order = [] if score is None else np.argsort(-score, kind="stable").tolist()
    label = [rows[i].label for i in good.tolist() if i not in dropped]
    problems = {"unreadable": {}, "unusable": {}}
    for i, row in enumerate(rows):
        if row.problem is not None:
            problems[diagnosis.reasons[i]][row.name] = row.problem
    return {
        **problems,
        "exact_duplicates": [names for names in exact.values() if len(names) > 1],
        "near_duplicates": [[rows[i].name for i in g] for g in distinct],
        "across_classes": [
            [rows[i].name for i in g] for g in groups if len({rows[i].label for i in g}) > 1
        ],
        "outliers": {rows[good[k]].name: round(float(score[k]), 4) for k in order},  # type: ignore[index]
        **{
            reason: [rows[i].name for i in diagnosis.found[reason]]
            for reason in ("blank", "tiny", "enlarged", "blurred")
        },
        "oddities": oddities,
        "sizes": {
            rows[i].name: {
                "width": rows[i].width,
                "height": rows[i].height,
                "side": rows[i].side,
                "effective": round(rows[i].effective, 1),
            }
            for i in good.tolist()
        },
        "dropped": {rows[i].name: reason for i, reason in sorted(dropped.items())},
        "found": count(diagnosis.classes, [row.label for row in rows]),
        "counts": count(diagnosis.classes, label),
    }


def count(classes: Sequence[str], labels: Sequence[int]) -> dict[str, int]:
    counts = Counter(labels)
    return {name: counts[i] for i, name in enumerate(classes)}


def mean_and_std(
    moments: Float64[np.ndarray, "n 2 3"], resolution: int
) -> tuple[list[float], list[float]]:
    """Of each channel over all pixels, of values in [0, 1], from `look.moments`."""
    total, squares = moments.sum(axis=0) / max(1, len(moments) * resolution**2) / 255
    return total.tolist(), np.sqrt(np.maximum(squares / 255 - total**2, 1e-6)).tolist()


def advise(
    diagnosis: Diagnosis, dropped: dict[int, str], resolution: int, aligned: bool
) -> list[str]:
    """What to do with these pictures, in sentences.

    The penalty's weight is the rule of Karras et al., Training Generative Adversarial Networks with
    Limited Data, 2020: 0.0002 resolution^2 / batch.
    """
    kept = [diagnosis.rows[i] for i in diagnosis.good.tolist() if i not in dropped]
    if not kept:
        return []
    looked = diagnosis.strangeness is not None
    sides = np.array([min(row.side, row.effective if looked else row.side) for row in kept])
    powers = [r for r in (16, 32, 64, 128, 256, 512, 1024) if (sides >= 0.6 * r).mean() >= 0.8]
    best = powers[-1] if powers else 16
    counts = count(diagnosis.classes, [row.label for row in kept])
    least, most = min(counts, key=lambda c: counts[c]), max(counts, key=lambda c: counts[c])
    fewest = counts[least]
    batch = 64 if resolution <= 64 else 32 if resolution <= 256 else 16
    said = []
    if best < resolution:
        said.append(
            f"Resolution: four in five pictures hold detail for {best} px; at {resolution} px a "
            f"GAN learns blur. Take {best}, or larger pictures."
        )
    elif best > resolution:
        said.append(
            f"Resolution: the detail would do for {best} px; {resolution} px trains faster."
        )
    else:
        said.append(f"Resolution: {resolution} px is what the pictures' detail is good for.")
    gamma = 0.0002 * resolution**2 / batch
    said.append(f"Batch {batch}; where R1 is used, its weight gamma {gamma:.3g}.")
    if fewest < FEW:
        said.append(
            f"Pictures: {fewest:,} of {least} are few for a GAN. Use "
            "--config.augment.policy=\"('color','translation','cutout')\", flips where left and "
            "right may be exchanged, and --config.init_from of a run on similar pictures."
        )
    elif fewest < MANY:
        said.append(f"Pictures: {fewest:,} of {least} do with DiffAugment and flips.")
    else:
        said.append(f"Pictures: {fewest:,} of {least} are enough without augmentation.")
    if len(counts) > 1 and counts[most] > 1.5 * fewest:
        said.append(
            f"Balance: {most} has {counts[most]:,}, {least} {fewest:,}; compare the classes' "
            "recall, not accuracy alone."
        )
    if not aligned:
        said.append(
            "Subject: frontal faces that fill the picture are learned far better than whole "
            "animals; --align=landmarks crops them where the eyes are known."
        )
    return said


def _content(row: Row) -> str:
    """What pictures with the same pixels have in common: all, or those of the square."""
    return row.content or row.digests[0]
