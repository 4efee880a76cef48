"""Files of more than 8 bits: what they hold, before anything else is read of the set."""

import os
from collections.abc import Sequence

from jaxgan.data import images, ranges
from jaxgan.data.ranges import Deep, Scale
from jaxgan.data.sources import discover
from jaxgan.data.sources.entries import Entry, Files
from jaxgan.data.threads import in_threads
from jaxgan.system.paths import TFDS

MAY_BE = {".png", ".tif", ".tiff", ".pgm", ".pnm", ""}
PNG = b"\x89PNG\r\n"
LEAST = 26  # Bytes, up to the kind of colour.
SOME = 256  # Files that a thread looks at together.


def scale(found: Files) -> tuple[Scale | None, str]:
    """Return the scale of all gray images beyond 8 bits, and a sentence; None and "" without any.

    Of a PNG file the first bytes tell; others that may be such are opened.
    """
    if found.root.startswith(TFDS):  # Their whole numbers have 16 bits; floats none has.
        return None, ""
    some = [e for e in found.entries if os.path.splitext(f"/{e.name}")[1].lower() in MAY_BE]
    parts = [some[i : i + SOME] for i in range(0, len(some), SOME)]
    deep: list[Deep] = []
    for of_part in in_threads(lambda i: _deep(found.root, parts[i]), len(parts)):
        deep += of_part
    if not deep:
        return None, ""
    floats = sum(d.floats for d in deep)
    chosen = ranges.chosen(deep)
    return chosen, ranges.describe(chosen, (len(deep) - floats, floats))


def _deep(root: str, entries: Sequence[Entry]) -> list[Deep]:
    found = []
    for entry in entries:
        if not LEAST <= entry.size <= discover.LARGEST:  # A pipe has none, and would make wait.
            continue
        try:
            begin = discover.start(root, entry.place)
            # Bit depth and kind of colour: gray of 16 bits.
            if begin.startswith(PNG) and begin[24:26] != b"\x10\0":
                continue
            with images.open_file(discover.read(root, entry.place)) as im:
                if ranges.is_deep(im.mode):
                    im.load()
                    found.append(ranges.measured(im))
        except Exception:  # Reading it for good will say what is wrong.
            continue
    return found
