"""Generated images against real ones: noise, and copies of training images."""

import itertools
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy import spatial

from jaxgan.data import dataset, images, loader, outliers, splits
from jaxgan.data.folder import Source
from jaxgan.metrics import features, judges, memorization, networks

FEW = 10  # Images of a class that say how far they lie.
MANY = 2000  # So many are asked.
NOISE = 2.0  # Times as far as real ones from each other: generated images look like noise.


def samples_shared(sides: Sequence[Mapping[str, Source]]) -> float:
    """Share of generated images that two seeds have in common, by names; 0 of a single seed.

    Where it is large, a verdict says nothing of other samples of the generated images. The mean
    over all pairs of seeds; of two different counts the smaller one is the whole.

    Args:
        sides: of each seed, by class.
    """
    shares = []
    for one, other in itertools.combinations(sides, 2):
        names = [{(c, n) for c, s in side.items() for n in s.names} for side in (one, other)]
        if least := min(map(len, names)):
            shares.append(len(names[0] & names[1]) / least)
    return float(np.mean(shares)) if shares else 0.0


def fidelity(
    real: Mapping[str, Float[np.ndarray, "n d"]],
    generated: Mapping[str, Float[np.ndarray, "m d"]],
) -> dict:
    """Return whether generated images lie among the real ones of their class, or far off, like
    noise.

    The median distance of a generated image's features to the nearest real one, as a multiple
    of that of a real image to the nearest other one. Features are standardised by real ones.

    Args:
        real: features of real images, by class, see `looks`.
        generated: likewise, of the classes that have any.
    """
    times = {
        name: _times_farther(real[name], some)
        for name, some in generated.items()
        if min(len(real[name]) - 1, len(some)) >= FEW
    }
    if not times:
        sentence = f"fewer than {FEW + 1} real or {FEW} generated images of each class"
        return {"name": "fidelity", "passed": None, "sentence": sentence, "times": {}}
    said = [
        f"generated images of {name} "
        + (
            f"look like noise: they lie {t:.1f} times as far from real ones as real ones do from "
            f"each other"
            if t > NOISE
            else f"lie {t:.1f} times as far from real ones as real ones do from each other"
        )
        for name, t in times.items()
    ]
    passed = max(times.values()) <= NOISE
    return {"name": "fidelity", "passed": passed, "sentence": "; ".join(said), "times": times}


def _times_farther(real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"]) -> float:
    rng = np.random.default_rng(0)
    real, made = (side[rng.permutation(len(side))[:MANY]] for side in (real, made))
    mean, std = real.mean(axis=0), real.std(axis=0)
    std = np.maximum(std, 1e-3 * std.max() + 1e-6)
    real, made = (real - mean) / std, (made - mean) / std
    own = spatial.distance.cdist(real, real)
    np.fill_diagonal(own, np.inf)
    ordinary = np.median(own.min(axis=1))
    return float(np.median(spatial.distance.cdist(made, real).min(axis=1)) / max(ordinary, 1e-6))


def looks(source: Source, critics: Collection[str] = ()) -> Float[np.ndarray, "n d"]:
    """Return features to tell images apart by: VGG16's, or light ones where its weights are
    missing.

    Args:
        source: images.
        critics: networks that GANs were trained with, which do not judge: see `judges`.
    """
    images = (source[i]["image"] for i in range(len(source)))
    judge = judges.unseen(critics)
    if judge != "light":
        return features.extract(networks.by_name(judge, source.resolution), images)
    return np.stack([outliers.descriptor(image) for image in images])


def copied(
    generated: Source, learned: Source, held_out: Source, called: str = "", tests: int = 1
) -> dict:
    """Return whether generated images are copies of training images more often than real ones are.

    Args:
        generated: of one class.
        learned: what its generator learned from.
        held_out: real images of the class that it did not see.
        called: by this name in the report; the class by default.
        tests: how many of this kind there are: all together err in 5 %.
    """
    name = f"copies of {called or learned.classes[int(learned.labels[0])]}"
    group = splits.near_duplicates(dataset.concat([learned, held_out])).group
    new = np.flatnonzero(~np.isin(group[len(learned) :], group[: len(learned)]))
    if min(len(learned), len(new)) < memorization.LEAST:
        sentence = f"too few real images for the test: {len(learned)} and {len(new)} held out"
        return {"name": name, "passed": None, "sentence": sentence}
    fake, real = (
        [_view(side), _view(dataset.of(side).mirrored())]
        for side in (generated, loader.Subset(held_out, new))
    )
    own = _view(learned)
    found = memorization.find_copies(fake, own, real, group[: len(learned)])
    passed = found.p * tests >= 0.05
    sentence = (
        f"{'no more' if passed else 'more'} generated images are copies of training images "
        f"than chance lets real ones be (exact test, p = {found.p:.2g})"
    )
    return {"name": name, "passed": bool(passed), "sentence": sentence, "p": float(found.p)}


def _view(source: Source) -> memorization.View:
    """Outlines alone without VGG16's weights: the light features change with a copy's sharpness."""
    outlines = np.stack([images.outlines(source[i]["image"]) for i in range(len(source))])
    return memorization.View(looks(source) if features.available() else outlines, outlines)
