"""Folders of images that are to be compared: whether they can be."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxgan.data import images, loader
from jaxgan.data.folder import Source, in_threads
from jaxgan.data.layout import ARCHIVES
from jaxgan.errors import InputError
from jaxgan.system.paths import check_no_run, near

ALIKE = 0.1  # Share of a folder's images that are equal, from which on it is told.
HARDLY = 0.05  # Of the other side's variance of features, below which images hardly differ.
LOOKED_AT = 200  # Images of a folder, for their size and colours.
GRAY = 4.0  # Mean difference of an image's channels, of 255, below which it has no colours.


def check_apart(paths: dict[str, str]) -> None:
    """Raise InputError where one of the folders is none, is another one, or lies in it."""
    given = [(flag, Path(path).expanduser().resolve()) for flag, path in paths.items()]
    for i, (flag, path) in enumerate(given):
        if not path.is_dir() and not (path.is_file() and path.suffix.lower() in ARCHIVES):
            one = paths[flag]
            raise InputError(f"{flag} must be a folder of images, and {one} is none{near(one)}")
        check_no_run(paths[flag], flag)
        for other_flag, other in given[:i]:
            if path == other:
                raise InputError(f"{other_flag} and {flag} must differ, and both are {paths[flag]}")
            if path.is_relative_to(other) or other.is_relative_to(path):
                raise InputError(
                    f"{other_flag} and {flag} must not lie in each other, got {other} and {path}"
                )


def common_size(paths: dict[str, str]) -> int:
    """Return the side of the images in all folders: the median of the shorter sides.

    Raises:
        InputError: it differs, or a folder has no image.
    """
    sides = {flag: loader.usual_side(path) for flag, path in paths.items()}
    if len(set(sides.values())) > 1:
        got = ", ".join(f"{side} px in {flag}" for flag, side in sides.items())
        raise InputError(f"images must have one size in all folders, else give --resolution: {got}")
    return sides["--real"]


def check_counts(least: dict[str, int], sources: Mapping[str, Source]) -> None:
    """Raise InputError where there are fewer images than a metric of `least` needs."""
    concerned = {"copies": ("--real", "--train"), "entropy": ("--fake",)}
    for name, count in least.items():
        for flag in concerned.get(name, ("--real", "--fake")):
            if flag in sources and len(sources[flag]) < count:
                raise InputError(
                    f"{name} needs {count} images in {flag} (else leave it out of --metrics), "
                    f"got {len(sources[flag])}"
                )


def check_colours(sources: Mapping[str, Source]) -> None:
    """Raise InputError where images have one channel on one side, and three on the other."""
    kinds = {}
    for flag, source in sources.items():
        some = np.linspace(0, len(source) - 1, min(len(source), LOOKED_AT)).astype(int)
        spread = np.mean([np.ptp(source[int(i)]["image"], axis=2).mean() for i in some])
        kinds[flag] = "gray" if spread < GRAY else "in colours"
    if len(set(kinds.values())) > 1:
        got = ", ".join(f"{kind} in {flag}" for flag, kind in kinds.items())
        raise InputError(f"images must have as many channels in all folders, got them {got}")


def digests(source: Source) -> list[bytes]:
    """Equal for images that are equal, pixel by pixel."""
    return list(in_threads(lambda i: images.digest(source[i]["image"]), len(source)))


def alike(
    found: dict[str, list[bytes]],
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m d"],
) -> list[str]:
    """Sentences on folders whose images are equal, or hardly differ: no figure says much then.

    Args:
        found: `digests` of each folder, by its flag.
        real: features of the real images.
        fake: of the generated ones.
    """
    said, equal = [], {}
    for flag, each in found.items():
        equal[flag] = Counter(each).most_common(1)[0][1]
        if equal[flag] >= max(2, ALIKE * len(each)):
            said.append(f"{equal[flag]:,} of {len(each):,} images in {flag} are equal")
    spread = {"--real": float(real.var(axis=0).sum()), "--fake": float(fake.var(axis=0).sum())}
    for flag, other in (("--real", "--fake"), ("--fake", "--real")):
        if spread[flag] < HARDLY * spread[other] and equal[flag] < len(found[flag]):
            said.append(
                f"the images in {flag} hardly differ from each other: their features vary "
                f"{spread[flag] / spread[other]:.1%} as much as those in {other}"
            )
    return said


def check_disjoint(sources: Mapping[str, Source], found: dict[str, list[bytes]]) -> None:
    """Raise InputError where generated images are real ones, pixel by pixel."""
    seen = {flag: {d: i for i, d in enumerate(each)} for flag, each in found.items()}
    for flag in set(sources) - {"--fake"}:
        common = seen["--fake"].keys() & seen[flag].keys()
        if common:
            name = sources["--fake"].names[min(seen["--fake"][key] for key in common)]
            raise InputError(
                f"generated images must not be real ones, and {len(common):,} of --fake are in "
                f"{flag}, pixel by pixel, like {name}"
            )
