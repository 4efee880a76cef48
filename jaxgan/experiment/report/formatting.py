"""The wording of an experiment's figures, an arm's style, and images, for the report."""

import re
import zlib
from collections.abc import Callable

from etils import epath
from PIL import Image

from jaxgan.config import arm_names
from jaxgan.data import images
from jaxgan.errors import FileError
from jaxgan.experiment import cheapest_arm, verdict
from jaxgan.reporting import html, plots
from jaxgan.types import InputError

COLOURS = (  # By kind of arm: the kinds of a colour differ in their marks.
    ("add", "weight", "pretrain"),
    ("replace",),
    ("pca",),
    ("generated", "balance"),
    ("copies", "oversample"),
    ("real", "reweight"),
)
MARKS = ("", "augmentation", "randaugment", "trivialaugment", "selection")  # Else the last one.
SENSIBLE = 0.3  # An interval, or a smallest effect, that is wider says nothing.


def style(arm: str) -> plots.Style:
    """Return an arm's colour and mark: by its name alone, so that all reports agree."""
    try:
        read = arm_names.parse(arm)
    except InputError:
        return plots.Style(*divmod(zlib.crc32(arm.encode()) % 36, 6))
    changes = "+".join(read.variants)
    mark = MARKS.index(changes) if changes in MARKS else len(MARKS)
    for colour, kinds in enumerate(COLOURS):
        if read.kind in kinds:
            return plots.Style(
                colour, (mark + 2 * kinds.index(read.kind) + 3 * read.everywhere) % len(plots.MARKS)
            )
    raise KeyError(read.kind)


def rung(arm: str) -> int:
    """Return an arm's place on the ladder, the last one for a name of another version."""
    try:
        return cheapest_arm.rung(arm)
    except (InputError, ValueError):
        return len(cheapest_arm.RUNGS)


def image(
    workdir: epath.Path,
    path: str | None,
    caption: str,
    most: int = 1024,
    cut: Callable[[Image.Image], Image.Image] = lambda whole: whole,
) -> html.Inlined | None:
    """Return what `cut` makes of an image of the workdir, at most `most` pixels wide; or None."""
    found = opened(workdir, path)
    if isinstance(found, str):
        return html.Inlined("", found)
    return found and html.inlined(cut(found), caption, most)


def opened(workdir: epath.Path, path: str | None) -> Image.Image | str | None:
    """Return an image of the workdir; a sentence where it cannot be read, None without a path."""
    if not path:
        return None
    try:
        return Image.fromarray(images.stored(workdir / path))
    except FileError:
        return f"{path} cannot be read"


def percent(x: float | None) -> str:
    """Return "98.8 %"."""
    return "–" if x is None else f"{100 * x:.1f} %"


def signed(x: float, share: bool = True) -> str:
    """Return a difference of fractions in points, "+2.1" or "−2.1"; of a loss as it is."""
    size = verdict.points(abs(x)) if share else f"{abs(x):.3f}"
    return f"{'+' if x > 0 else '−'}{size}" if float(size) else size


def between(
    low: float | None, high: float | None, share: bool = True, widest: float = SENSIBLE
) -> str:
    """Return an interval of a difference in words; of a share none above `widest`."""
    if low is None or high is None:
        return "no interval"
    if share and high - low > widest:
        return "too noisy to tell"
    return f"{signed(low, share)} to {signed(high, share)}"


def duration(seconds: float) -> str:
    """Return "1 h 2 min", "4 min 5 s" or "3.2 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def prose(sentence: str | None) -> str:
    """Return a sentence with a true minus before figures and a times sign between them."""
    minus = re.sub(r"(?<= )-(?=\d)", "−", sentence or "")
    return re.sub(r"(\d+ (?:seed|fold)s?) x (?=\d)", r"\1 × ", minus)
