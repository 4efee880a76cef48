"""Generated images beside real ones, from any folders: what `evaluate.py --real --fake` does."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8

from jaxgan.data import class_counts, duplicates, images, loader, splits
from jaxgan.data.folder import Source, in_threads
from jaxgan.errors import InputError
from jaxgan.evaluation import inputs
from jaxgan.metrics import feature_cache, inception_score, intervals, judges, memorization, networks
from jaxgan.metrics import features as nets
from jaxgan.metrics.features import Features
from jaxgan.metrics.memorization import View, find_copies

# The metrics, and the images a side without which each cannot be had with its interval.
LEAST = {
    "frechet": 4,
    "kid": 20,
    **dict.fromkeys(intervals.SHARES, 12),
    "copies": memorization.LEAST,
    "entropy": 2 * inception_score.SPLITS,
}
WORST = 32  # Pairs of a generated image and its nearest training image.


class Pair(NamedTuple):
    """A generated image and the training image that is nearest to it."""

    image: UInt8[np.ndarray, "r r 3"]
    match: UInt8[np.ndarray, "r r 3"]
    fake: str  # Their names.
    train: str
    ratio: float  # See `memorization.Nearest`.


def evaluate(
    real: str,
    fake: str,
    train: str | None = None,
    *,
    features: str | None = None,
    allow_seen: bool = False,
    metrics: Sequence[str] | None = None,
    weights: str | None = None,
    resize: str = "clean",
    resolution: int | None = None,
    seed: int = 0,
    keep: str | os.PathLike | None = None,
) -> tuple[dict[str, Any], list[Pair]]:
    """Compare generated images with real ones.

    Args:
        real: a folder or a prepared set; with `train`, of images that the generator did not see.
        fake: of generated images.
        train: of those that it learned from; None: `real` is.
        features: a name, `weights` and `resize` with it: see `networks.by_name`; None: vgg16, or
            another where the critic behind the images was trained on it (see `judges`).
        allow_seen: take features that the critic was trained on.
        metrics: of LEAST, those that are wanted; None takes all that these features have.
        weights: see `features`.
        resize: see `features`.
        resolution: the side in px at which all are seen; None takes the sets' own.
        seed: of all that is drawn.
        keep: folder in which features of real images are kept, see `feature_cache.kept`.

    Returns:
        The generated images that are nearest to a training image, with these; and before them
        what the JSON file holds: `metrics` with `frechet`, `kid`, `precision`, `recall`, `density`,
        `coverage` and `copies`, or those of them that are wanted, each with `value`, `low`, `high`
        and `interval` (of what: see `intervals.compare`); how they were computed; and `warnings`,
        sentences.

    Raises:
        InputError: folders that cannot be compared, too few images, features that cannot be had
            or that the critic was trained on.
    """
    critics = judges.of_folder(fake)
    if features is None:
        features = next(name for name in judges.USUAL if name not in (critics or ()))
    elif not allow_seen:
        judges.check(features, critics or (), "--features", "--allow_seen")
    check_metrics(metrics, features)
    paths = {"--real": real, "--fake": fake} | ({"--train": train} if train else {})
    inputs.check_apart(paths)
    resolution = inputs.common_size(paths) if resolution is None else resolution
    net = networks.by_name(features, resolution, weights, resize)
    names = [
        name
        for name in LEAST
        if name in (LEAST if metrics is None else metrics)
        and (name != "entropy" or net.head is not None)
    ]
    sources = {
        flag: loader.open_source(path, resolution, given_sides="merge")
        for flag, path in paths.items()
    }
    try:
        inputs.check_counts({name: LEAST[name] for name in names}, sources)
    except InputError:  # Perhaps for what was left out.
        for flag, source in sources.items():
            for line in class_counts.left_out(source.left_out, source.kinds, {}):
                logging.getLogger("jaxgan").warning("%s: %s", flag, line)
        raise
    inputs.check_colours(sources)
    digests = {flag: inputs.digests(source) for flag, source in sources.items()}
    inputs.check_disjoint(sources, digests)

    wanted = [("--real", False), ("--fake", False)]
    if "copies" in names:
        wanted += [("--fake", True), *([("--train", False), ("--real", True)] if train else [])]
    found = {
        (flag, mirror): _features(
            net, sources[flag], mirror, flag, None if flag == "--fake" else keep
        )
        for flag, mirror in wanted
    }
    if net.name == "light":  # Of several units: those of the real images' deviations.
        real_ones = found["--real", False]
        mean, std = real_ones.mean(axis=0), np.maximum(real_ones.std(axis=0), 1e-6)
        found = {key: (x - mean) / std for key, x in found.items()}
    both = found["--real", False], found["--fake", False]
    results = intervals.compare(*both, seed, names)
    if "frechet" in results:
        results["frechet"]["name"] = frechet_name(net)
    pairs = []
    if "copies" in names:
        results["copies"], pairs = _copies(sources, digests, found)
    if "entropy" in names and net.head is not None:
        score = inception_score.inception_score(both[1], net.head, seed)
        results["entropy"] = score._asdict() | {"interval": intervals.AT_SIZES}
    about = net._asdict()
    result = {
        "metrics": results,
        "features": {k: about[k] for k in ("name", "dimension", "size", "resize", "checksum")},
        "resolution": resolution,
        "seed": seed,
        "sets": {
            flag[2:]: {
                "path": paths[flag],
                "pictures": len(source),
                "fingerprint": loader.fingerprint(source),
                "account": class_counts.lines(source),
            }
            for flag, source in sources.items()
        },
    }
    result["judge"] = {
        "features": net.name,
        "critic": None if critics is None else list(critics),
        "sentence": judges.sentence(net.name, critics),
    }
    alike = inputs.alike(digests, found["--real", False], found["--fake", False])
    return result | {"warnings": alike + _warnings(result)}, pairs


def check_metrics(metrics: Sequence[str] | None, features: str) -> None:
    """Raise InputError for metrics that there are not, or not on these features."""
    for name in metrics or ():
        if name not in LEAST:
            raise InputError(f"--metrics must be of {', '.join(LEAST)}, got {name!r}")
    if metrics is not None and not metrics:
        raise InputError(f"--metrics must name one or more of {', '.join(LEAST)}, got none")
    if "entropy" in (metrics or ()) and features != "inception":
        raise InputError(f"entropy needs the classes of --features inception, got {features}")


def frechet_name(net: Features) -> str:
    """FID is the distance on one network only."""
    if net.name == "inception":
        return "FID"
    return f"Fréchet distance ({net.name.upper() if net.name == 'vgg16' else net.name})"


def _copies(
    sources: Mapping[str, Source],
    digests: dict[str, list[bytes]],
    found: dict[tuple[str, bool], np.ndarray],
) -> tuple[dict[str, Any], list[Pair]]:
    """`copies` of the result, and the most copy-like pairs."""
    train = "--train" if "--train" in sources else "--real"
    views = {
        (flag, mirror): View(x, _outlines(sources[flag], mirror))
        for (flag, mirror), x in found.items()
    }
    flags = [train] if train == "--real" else [train, "--real"]
    groups = splits.group_copies(
        [digest for flag in flags for digest in digests[flag]],
        np.concatenate([views[flag, False].outlines for flag in flags]),
        duplicates.reader(*(sources[flag] for flag in flags)),
    ).group
    groups, rest = groups[: len(sources[train])], groups[len(sources[train]) :]
    held_out, left_out = None, 0
    if train != "--real":
        new = ~np.isin(rest, groups)
        left_out = int((~new).sum())
        if new.sum() < memorization.LEAST:
            raise InputError(
                f"--real must hold {memorization.LEAST} images that are not in --train, "
                f"mirrored, encoded anew or as they are, got {new.sum()} of {len(new)}"
            )
        held_out = [
            View(*(part[new] for part in views["--real", mirror])) for mirror in (False, True)
        ]
    generated = [views["--fake", mirror] for mirror in (False, True)]
    result = find_copies(generated, views[train, False], held_out, groups)
    pairs = [
        Pair(
            sources["--fake"][i]["image"],
            sources[train][int(result.fake.match[i])]["image"],
            sources["--fake"].names[i],
            sources[train].names[result.fake.match[i]],
            float(result.fake.ratio[i]),
        )
        for i in np.argsort(result.fake.ratio, kind="stable")[:WORST].tolist()
    ]
    return {
        "value": result.share,
        "low": result.low,
        "high": result.high,
        "interval": intervals.BESIDE,
        "authenticity": result.authenticity,
        "p": result.p,
        "exact": held_out is not None,
        "held_out": len(result.held_out.ratio),
        "left_out": left_out,  # Held-out images that are copies of training images.
        "nearest": [
            {"fake": pair.fake, "train": pair.train, "ratio": pair.ratio} for pair in pairs
        ],
    }, pairs


def _warnings(result: dict[str, Any]) -> list[str]:
    """Return what a reader of the figures must know."""
    found, metrics = [], result["metrics"]
    if result["features"]["name"] in (result["judge"]["critic"] or ()):
        found.append(result["judge"]["sentence"])
    dimension = result["features"]["dimension"]
    least = min(about["pictures"] for name, about in result["sets"].items() if name != "train")
    if "frechet" in metrics and least < intervals.ENOUGH:
        found.append(
            f"below {intervals.ENOUGH:,} images a side a Fréchet distance depends on their "
            "number: compare it only with one of as many images, and with its floor"
        )
    if "frechet" in metrics and least <= dimension:
        found.append(
            f"with fewer images than features, {least:,} against {dimension:,}, a covariance is "
            "singular: the Fréchet distance says less than the kernel distance"
        )
    if "copies" in metrics and not metrics["copies"]["exact"]:
        found.append(
            "the test on copies is not exact: give --train and, as --real, images it did not see"
        )
    return found


def _features(
    net: Features, source: Source, mirror: bool, flag: str, keep: str | os.PathLike | None
) -> Float[np.ndarray, "n d"]:
    """Of each image, or of each one mirrored."""
    step = -1 if mirror else 1

    def pictures() -> Iterator[np.ndarray]:
        for i in range(len(source)):
            yield np.ascontiguousarray(source[i]["image"][:, ::step])

    about = net._replace(function=None, weights=None, head=None)._asdict()  # type: ignore[arg-type]
    about |= {"pictures": loader.fingerprint(source), "mirrored": mirror}
    about |= {"jax": jax.__version__, "device": jax.devices()[0].device_kind}
    found = feature_cache.kept(keep, about, len(source), lambda: nets.extract(net, pictures()))
    finite = np.isfinite(found).all(axis=1)
    if not finite.all():
        raise InputError(
            f"features must be finite, and those of {net.name} are not for "
            f"{source.names[finite.argmin()]} in {flag}, one of {(~finite).sum():,}"
        )
    return found


def _outlines(source: Source, mirror: bool) -> Float[np.ndarray, "n 512"]:
    step = -1 if mirror else 1

    def of(i: int) -> np.ndarray:
        return images.outlines(np.ascontiguousarray(source[i]["image"][:, ::step]))

    return np.array(list(in_threads(of, len(source))))
