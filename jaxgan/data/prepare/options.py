"""What `scripts/prepare.py` is asked for, checked before anything is read."""

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, UInt8

from jaxgan.data import duplicates, groups
from jaxgan.data.prepare.decode import Options
from jaxgan.errors import InputError
from jaxgan.system import paths

Features = Callable[[Iterator[UInt8[np.ndarray, "r r 3"]]], Float32[np.ndarray, "n d"]]


class Request(NamedTuple):
    """What `scripts/prepare.py` is asked for."""

    source: str
    out: Path | None  # None in a dry run that keeps nothing.
    options: Options
    clean: str = "report"  # or "drop" or "quarantine"
    dry_run: bool = False
    strangest: int = 0  # It is suggested to drop so many of the strangest images.
    fractions: tuple[float, ...] = (0.7, 0.15, 0.15)
    features: Features | None = None  # None: the light descriptor.
    features_name: str = "light"
    duplicates: str | float = "auto"  # By which rule copies are found, see `duplicates`.
    beam: tuple[str, ...] = ()  # Arguments of Apache Beam where that is to read the images.
    given_sides: str = "use"  # Of folders like train and test, or "merge".
    reading: str = "auto"  # Of the layout: see `layout.READINGS`.
    grouped: str | None = None  # Which images stay on one side: see `groups.check`.


def of_flags(
    flags: dict[str, Any],
    features: Callable[[int], Features | None],
    of_beam: Sequence[str] = (),
) -> Request:
    """Return the flags of `scripts/prepare.py`, checked; `of_beam` are those that it does not know.

    Raises:
        InputError: a value that will not do.
    """
    sides = sorted(_number(text, int, "--resolution") for text in flags["resolution"])
    if not sides or min(sides) < 8 or max(sides) > 4096 or len(set(sides)) < len(sides):
        got = ",".join(map(str, sides))
        raise InputError(f"--resolution must be pixels from 8 to 4096, each once, got {got}")
    out = Path(flags["out"]).expanduser() if flags["out"] else None
    if out is not None and any("\ud800" <= c <= "\udfff" for c in str(out)):
        raise InputError(
            f"--out must be a name in UTF-8, which ArrayRecord wants, got {str(out)!r}"
        )
    if out is not None:
        paths.check_folder(str(out), "--out", of_set=True)
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(f"--out must be a folder, and {out} is a file")
    kind = next((kind for kind in paths.NAMED if flags["source"].startswith(kind)), "")
    source = Path(flags["source"].removeprefix(kind)).expanduser()
    if out is not None and source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise InputError(f"--out must not lie in --source, and {out} lies in {source}")
    if out is not None:
        paths.check_no_images(str(out), "--out", deep=True)
    fractions = tuple(_number(text, float, "--split") for text in flags["split"])
    whole = len(fractions) == 3 and min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-6
    if not whole or not fractions[0]:
        raise InputError(
            "--split must be three shares >= 0 with sum 1, the first (to train) above 0, got "
            f"{','.join(flags['split'])}"
        )
    if flags["crop"] == "none" and flags["align"] != "none":
        raise InputError("--crop=none and --align exclude each other: aligned faces are cropped")
    encoding = flags["encoding"]
    if encoding == "auto":
        encoding = "raw" if max(sides) <= 128 else "png"
    options = Options(
        resolutions=tuple(sides),
        crop=flags["crop"],
        encoding=encoding,
        quality=flags["quality"],
        align=flags["align"] == "landmarks",
        border=flags["border"],
        doctor=flags["doctor"],
    )
    runner = flags.get("runner")
    if runner and importlib.util.find_spec("apache_beam") is None:
        raise InputError(
            f"--runner needs apache-beam, which has an environment of its own (make beam): {runner}"
        )
    if runner and out is None:
        raise InputError(f"--runner needs --out, a folder that all workers see: {runner}")
    groups.check(flags.get("groups"), "--groups")
    rule = duplicates.parse(flags.get("duplicates", "auto"), "--duplicates")
    net = features(min(sides))
    return Request(
        *(flags["source"], out, options, flags["clean"], flags["dry_run"], flags["strangest"]),
        *(fractions, net, "light" if net is None else "vgg16", rule),
        (f"--runner={runner}", *of_beam) if runner else (),
        *(flags.get("given_sides", "use"), flags.get("layout", "auto"), flags.get("groups")),
    )


def _number(text: str, kind: Callable[[str], Any], flag: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise InputError(f"{flag} must be numbers, got {text!r}") from error
