"""What is printed cannot control the terminal, whatever names are in it."""

import re
import sys
from collections.abc import Sequence
from typing import Any, TextIO

# All control characters but tab, new line and carriage return; those that change the direction.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Printable:
    """A text stream that writes control characters as escapes."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(CONTROL.sub(lambda found: ascii(found[0])[1:-1], text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def protect() -> None:
    """Make standard output and error such streams, which take any text."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, Printable):
            continue
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # A name need not be in UTF-8.
        setattr(sys, name, Printable(stream))


def few(names: Sequence[str], most: int = 8) -> str:
    """Return names with commas between them; of many the first ones, and how many more."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most:,} more"


def printable(name: str) -> str:
    """Return the name with all that a terminal or JSON may choke on written as an escape."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
