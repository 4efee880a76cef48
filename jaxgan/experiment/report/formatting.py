"""The wording of an experiment's figures, and its pictures, for the report."""

import io
import re

from etils import epath
from PIL import Image

from jaxgan.experiment import verdict
from jaxgan.reporting.html import count as count
from jaxgan.reporting.html import inlined, text
from jaxgan.reporting.html import whole as whole


def picture(workdir: epath.Path, path: str | None, caption: str, most: int = 1024) -> str:
    """A picture of the workdir, inlined and at most `most` pixels wide; "" where there is none."""
    if not path:
        return ""
    try:
        image = Image.open(io.BytesIO((workdir / path).read_bytes())).convert("RGB")
    except OSError:
        return f"<figure><p class='note'>{text(path)} cannot be read</p></figure>"
    image.thumbnail((most, 4 * most))
    return inlined(image, caption)


def percent(x: float) -> str:
    return f"{100 * x:.1f} %"


def signed(x: float) -> str:
    """A difference of fractions in points, "+2.1" or "−2.1"."""
    size = verdict.points(abs(x))
    return f"{'+' if x > 0 else '−'}{size}" if float(size) else size


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def prose(sentence: str) -> str:
    """Escaped, with a true minus before figures and a times sign between them."""
    minus = re.sub(r"(?<= )-(?=\d)", "−", text(sentence))
    return re.sub(r"(\d+ seeds?) x (?=\d)", r"\1 × ", minus)
