"""Generated pictures beside real ones, from any folders: what `evaluate.py --real --fake` does."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from jaxgan import page
from jaxgan.data import loader, records, splits, transforms
from jaxgan.data.folder import Source
from jaxgan.errors import InputError
from jaxgan.metrics import features as nets
from jaxgan.metrics.comparison import compare
from jaxgan.metrics.copies import View, find_copies
from jaxgan.metrics.features import Features

LOOKED_AT = 200  # Pictures of a folder, for their size.
WORST = 32  # Pairs of a generated picture and its nearest training picture.


class Pair(NamedTuple):
    """A generated picture and the training picture that is nearest to it."""

    image: UInt8[np.ndarray, "r r 3"]
    match: UInt8[np.ndarray, "r r 3"]
    fake: str  # Their names.
    train: str
    ratio: float  # See `copies.Nearest`.


def evaluate(
    real: str,
    fake: str,
    train: str | None = None,
    *,
    resolution: int | None = None,
    seed: int = 0,
) -> tuple[dict[str, Any], list[Pair]]:
    """Compares generated pictures with real ones.

    Args:
        real: a folder or a prepared set; with `train`, of pictures that the generator did not see.
        fake: of generated pictures.
        train: of those that it learned from; None: `real` is.
        resolution: the side in px at which all are seen; None takes the sets' own.
        seed: of all that is drawn.

    Returns:
        The generated pictures that are nearest to a training picture, with these; and before them
        what the JSON file holds: `metrics` with `frechet`, `kid`, `precision`, `recall`, `density`,
        `coverage` and `copies`, each with `value`, `low` and `high`; how they were computed.

    Raises:
        InputError: folders that cannot be compared, or too few pictures.
    """
    paths = {"--real": real, "--fake": fake} | ({"--train": train} if train else {})
    _check_apart(paths)
    resolution = _common_size(paths) if resolution is None else resolution
    sources = {flag: loader.open_source(path, resolution) for flag, path in paths.items()}
    _check_disjoint(sources)
    net = nets.vgg16(nets.input_size(resolution))
    found = {flag: _look(net, source) for flag, source in sources.items()}
    mirrored = {flag: _look(net, sources[flag], mirror=True) for flag in ("--fake", "--real")}
    metrics = compare(found["--real"].features, found["--fake"].features, seed)
    learned = sources["--train" if train else "--real"]
    held_out, left_out = None, 0
    if train:
        both = _groups(learned, sources["--real"])
        groups, others = both[: len(learned)], both[len(learned) :]
        new = ~np.isin(others, groups)
        left_out = int((~new).sum())
        held_out = [View(*(part[new] for part in v["--real"])) for v in (found, mirrored)]
    else:
        groups = _groups(learned)
    copies = find_copies(
        [found["--fake"], mirrored["--fake"]],
        found["--train" if train else "--real"],
        held_out,
        groups,
    )
    worst = np.argsort(copies.fake.ratio, kind="stable")[:WORST].tolist()
    pairs = [
        Pair(
            sources["--fake"][i]["image"],
            learned[int(copies.fake.match[i])]["image"],
            sources["--fake"].names[i],
            learned.names[copies.fake.match[i]],
            float(copies.fake.ratio[i]),
        )
        for i in worst
    ]
    metrics["copies"] = {
        "value": copies.share,
        "low": copies.low,
        "high": copies.high,
        "authenticity": copies.authenticity,
        "p": copies.p,
        "exact": train is not None,
        "held_out": len(copies.held_out.ratio),
        "left_out": left_out,  # Held-out pictures that are copies of training pictures.
        "nearest": [
            {"fake": pair.fake, "train": pair.train, "ratio": pair.ratio} for pair in pairs
        ],
    }
    result = {
        "metrics": metrics,
        "features": {
            "name": net.name,
            "dimension": net.dimension,
            "size": net.size,
            "resize": net.resize,
            "checksum": net.checksum,
        },
        "resolution": resolution,
        "seed": seed,
        "sets": {
            flag[2:]: {
                "path": paths[flag],
                "pictures": len(source),
                "fingerprint": loader.fingerprint(source),
            }
            for flag, source in sources.items()
        },
    }
    return result, pairs


def html(result: dict[str, Any], pairs: list[Pair]) -> str:
    """The table and the nearest pairs as a page."""
    figures = []
    for pair in pairs:
        images = np.concatenate([pair.image, pair.match], axis=1)
        caption = f"{pair.fake} and, of the training pictures, {pair.train} ({pair.ratio:.2f})"
        figures.append(page.inlined(Image.fromarray(images), caption))
    return page.whole(
        "Generated and real pictures",
        "<header><p class='question'>How near are these pictures to real ones?</p></header>"
        f"<section class='wide'><pre>{page.text(table(result))}</pre></section>"
        "<section class='wide'><h2>The nearest pairs</h2><p>Left the generated picture, right the "
        f"training picture that is nearest to it, mirrored or not.</p>"
        f"<div class='grids'>{''.join(figures)}</div></section>",
    )


def table(result: dict[str, Any]) -> str:
    """The result as a person reads it."""
    metrics, sets, net = (result[key] for key in ("metrics", "sets", "features"))
    counts = ", ".join(f"{about['pictures']:,} {name}" for name, about in sets.items())
    lines = [
        f"{counts} pictures at {result['resolution']} px; {net['name']} sees {net['size']} px",
        f"{'':32}{'value':>10}   95 % interval",
    ]
    titles = {"frechet": f"Fréchet distance ({net['name'].upper()})"}
    titles["kid"] = "kernel distance x 1000"
    for name, found in metrics.items():
        factor = 1000 if name == "kid" else 1
        value, low, high = (factor * found[key] for key in ("value", "low", "high"))
        digits = 1 if name == "frechet" else 3
        floor = f"  floor {factor * found['floor']:.{digits}f}" if "floor" in found else ""
        lines.append(
            f"{titles.get(name, name):<32}{value:>10.{digits}f}   "
            f"[{low:.{digits}f}, {high:.{digits}f}]{floor}"
        )
    copies = metrics["copies"]
    lines.append(f"{'authenticity':<32}{copies['authenticity']:>10.3f}")
    says = "more" if copies["p"] < 0.05 else "no more"
    lines.append(f"{says} copies than among real pictures (p = {copies['p']:.2g})")
    if not copies["exact"]:
        lines.append("that is no exact test: give --train and, as --real, pictures it did not see")
    if not metrics["frechet"]["enough"]:
        lines.append(
            "below 2,048 pictures a side a Fréchet distance depends on their number: "
            "compare it only with one of as many pictures, and with its floor"
        )
    return "\n".join(lines)


def _check_apart(paths: dict[str, str]) -> None:
    given = [(flag, Path(path).expanduser().resolve()) for flag, path in paths.items()]
    for i, (flag, path) in enumerate(given):
        if not path.is_dir():
            raise InputError(f"{flag} must be a folder of pictures, and {paths[flag]} is none")
        for other_flag, other in given[:i]:
            if path == other:
                raise InputError(f"{other_flag} and {flag} must differ, and both are {paths[flag]}")
            if path.is_relative_to(other) or other.is_relative_to(path):
                raise InputError(
                    f"{other_flag} and {flag} must not lie in each other, got {other} and {path}"
                )


def _common_size(paths: dict[str, str]) -> int:
    """The side of the pictures in all folders: the median of the shorter sides."""
    sides = {flag: _side(path) for flag, path in paths.items()}
    if len(set(sides.values())) > 1:
        got = ", ".join(f"{side} px in {flag}" for flag, side in sides.items())
        raise InputError(
            f"pictures must have one size in all folders, else give --resolution: {got}"
        )
    return sides["--real"]


def _side(path: str) -> int:
    if records.is_prepared(path):
        return int(records.read_info(path)["resolution"])
    found = []
    for folder, _, names in os.walk(Path(path).expanduser()):
        for name in sorted(names):
            try:
                with transforms.open_file(os.path.join(folder, name)) as image:
                    found.append(min(image.size))
            except (OSError, ValueError):
                continue
            if len(found) >= LOOKED_AT:
                return int(np.median(found))
    if not found:
        raise InputError(f"a folder must hold pictures, and {path} has none that can be read")
    return int(np.median(found))


def _check_disjoint(sources: dict[str, Source]) -> None:
    """Raises InputError where generated pictures are real ones, pixel by pixel."""
    seen = {
        flag: {transforms.digest(source[i]["image"]): i for i in range(len(source))}
        for flag, source in sources.items()
    }
    for flag in set(sources) - {"--fake"}:
        common = seen["--fake"].keys() & seen[flag].keys()
        if common:
            name = sources["--fake"].names[min(seen["--fake"][key] for key in common)]
            raise InputError(
                f"generated pictures must not be real ones, and {len(common):,} of --fake are in "
                f"{flag}, pixel by pixel, like {name}"
            )


def _look(net: Features, source: Source, mirror: bool = False) -> View:
    step = -1 if mirror else 1
    outlines = []

    def pictures() -> Iterator[np.ndarray]:
        for i in range(len(source)):
            image = np.ascontiguousarray(source[i]["image"][:, ::step])
            outlines.append(transforms.outlines(image))
            yield image

    features = nets.extract(net, pictures())
    return View(features, np.array(outlines))


def _groups(*sources: Source) -> Int64[np.ndarray, " n"]:
    """Which pictures of all these are the same: see `splits.group_copies`."""
    images = [source[i]["image"] for source in sources for i in range(len(source))]
    vectors = np.array([transforms.outlines(image) for image in images])
    return splits.group_copies([transforms.digest(image) for image in images], vectors).group
