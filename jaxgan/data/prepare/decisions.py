"""`decisions.csv`: what was decided on doubtful images, for a human to overrule."""

import csv
import io
from pathlib import Path

from jaxgan.data.prepare.doctor import Decision, Diagnosis
from jaxgan.errors import InputError
from jaxgan.system import paths, spreadsheet

FILE = "decisions.csv"
COLUMNS = ("file", "reason", "decision", "suggestion", "applied")
Decisions = dict[str, tuple[str, Decision]]  # (reason, decision) by the image's name.


def read(folder: Path | None) -> Decisions:
    """Return what a human decided: rows whose decision is not the one that was applied.

    Raises:
        InputError: a table without the columns, or not in UTF-8; a decision that is neither keep
            nor drop.
    """
    file = None if folder is None else folder / FILE
    if file is None or not file.exists():
        return {}
    decided: Decisions = {}
    try:
        # Spreadsheets put a mark at its start.
        table = csv.DictReader(io.StringIO(paths.read(file).decode("utf-8-sig")))
        missing = {"file", "decision"} - set(table.fieldnames or ())
        if missing:
            raise InputError(
                f"{file} must have the columns {', '.join(COLUMNS[:3])}, and has no "
                f"{' and no '.join(sorted(missing))}"
            )
        for row in table:
            if not row["file"]:
                continue
            decision = (row["decision"] or "").strip().lower()
            if decision not in ("keep", "drop", ""):
                raise InputError(
                    f"a decision in {file} must be keep or drop, got {decision!r} for {row['file']}"
                )
            if decision and decision != (row.get("applied") or "").strip().lower():
                decided[spreadsheet.text(row["file"])] = (row.get("reason") or "", decision)  # type: ignore[assignment]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} must be a table in UTF-8, and is not: {error}") from error
    return decided


def table(diagnosis: Diagnosis, dropped: dict[int, str], human: Decisions) -> str:
    """Return a row for each doubtful image and for each that a human decided on.

    The last column has what was done by itself, and is empty where a human decided: so a decision
    is a human's where both differ, now and later.
    """
    rows, lines = diagnosis.rows, []
    called = rows.called(human)
    for i in sorted({*diagnosis.reasons, *called} - rows.problems.keys()):
        # What cannot be read cannot be kept.
        said = human.get(called.get(i, ""))
        reason = diagnosis.reasons.get(i)
        done = "drop" if i in dropped else "keep"
        suggestion = diagnosis.suggested(reason) if reason else "keep"
        mine = (said[1], suggestion, "") if said else (done, suggestion, done)
        lines.append((rows.name(i), reason or (said and said[0]), *mine))
    lines += [(name, *human[name], "", "") for name in unmatched(diagnosis, human)]
    return spreadsheet.table(COLUMNS, lines)


def unmatched(diagnosis: Diagnosis, human: Decisions) -> list[str]:
    """Return what a human decided on and is not there."""
    rows = diagnosis.rows
    called = rows.called(human)
    there = {*map(rows.name, called), *called.values()}
    return [name for name in human if name not in there]
