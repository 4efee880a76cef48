"""Tables as CSV that a spreadsheet opens without computing anything."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # How what a spreadsheet computes begins.
MARK = "'"  # What comes after it is text.


def cell(value: Any) -> Any:
    """Mark a text that would be a formula; `text` is the inverse. Numbers stay numbers."""
    if isinstance(value, str) and value.lstrip(MARK).startswith(FORMULAS):
        return MARK + value
    return value


def text(value: str) -> str:
    """Return what `cell` made this of, or what a spreadsheet did that dropped the mark."""
    marked = value.startswith(MARK) and value.lstrip(MARK).startswith(FORMULAS)
    return value[1:] if marked else value


def table(columns: Sequence[str], rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> str:
    """Return a table with a header; rows are sequences, or dicts of which other keys are left out.

    Args:
        columns: their names.
        rows: None, or nothing, is an empty cell.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values = [row.get(name) for name in columns] if isinstance(row, Mapping) else row
        writer.writerow([cell(value) for value in values])
    return out.getvalue()
