"""The account of images at every start: per class and side, what was left out, what stands out."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from jaxgan.data import dataset, loader, quality, walk
from jaxgan.data.dataset import Source
from jaxgan.data.given_splits import SIDES
from jaxgan.data.splits import Split

FEW = 50  # Images of a class to train with.
HARMFUL = (
    f"below 20 to {FEW} a class GANs have been found to harm classifiers (Gupta and Brown, When "
    "generative augmentation hurts, arXiv 2603.16134, 2026)"
)
FAR = 4.0  # Standard deviations by which a class's share on a side is off
TIMES = 1.5  # and times as large or small.
LOPSIDED = 3  # Times as many images in a class as in another.
SHOWN = 3
ROWS = 40  # Classes in a table; further ones share a row.


def lines(source: Source, split: Split | None = None, gan: bool = False) -> list[str]:
    """Return the account of a source.

    Args:
        source: images.
        split: its sides; None: those that it has itself, if any.
        gan: whether generators learn from the images to train with.
    """
    of = dataset.of(source)
    sides = of.sides
    if split is not None:
        sides = np.full(len(of), -1)
        for side, positions in enumerate(split):
            sides[positions] = side
    found = table(of.labels, of.classes, sides)
    if of.groups is not None:
        count = len(np.unique(of.groups))
        found.append(f"{count:,} groups of images that stay on one side each")
    unreadable = Counter(why for _, why in of.unreadable)
    found += left_out(of.left_out, of.kinds, unreadable)
    found += oddities(of.oddities)
    if sides is not None:
        found += uneven(of.labels, of.classes, sides)
    if not gan:
        return found
    return found + few(source.labels, source.classes, None if split is None else sides)


def describe_data(source: Source) -> dict:
    """Return what `run.json` says of a set of images."""
    counts = np.bincount(source.labels, minlength=len(source.classes)).tolist()
    known = dataset.of(source)
    return {
        "fingerprint": loader.fingerprint(source),
        **({} if known.content is None else {"content": known.content}),
        "counts": dict(zip(source.classes, counts, strict=True)),
        "unreadable": [list(pair) for pair in known.unreadable],
        "left_out": dict(known.left_out),
        "scale": known.scale,
    }


def table(
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    sides: Int[np.ndarray, " n"] | None = None,
) -> list[str]:
    """Return images per class and side; of many classes the first ones, and all together."""
    columns: dict[str, np.ndarray] = {}
    if sides is not None:
        columns |= {name: sides == side for side, name in enumerate(SIDES)}
    columns["all" if columns else "images"] = np.ones(len(labels), bool)
    counts = {
        name: np.bincount(labels[mine], minlength=len(classes)).tolist()
        for name, mine in columns.items()
    }
    rows = [("images" if sides is not None else "class", *columns)]
    rows += [
        (name, *(f"{of[i]:,}" for of in counts.values()))
        for i, name in enumerate(classes[:ROWS] if len(classes) > ROWS + 1 else classes)
    ]
    if len(classes) > ROWS + 1:
        left = f"{len(classes) - ROWS:,} more"
        rows.append((left, *(f"{sum(of[ROWS:]):,}" for of in counts.values())))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(name: str, *cells: str) -> str:
        return "  ".join(
            [name.ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells, widths[1:], strict=True))]
        )

    return [line(*row) for row in rows]


def left_out(
    counts: Mapping[str, int], kinds: Mapping[str, int], unreadable: Mapping[str, int]
) -> list[str]:
    """Return what was left out, by reason and extension, in one line; nothing where nothing was."""
    said = walk.told(kinds)
    said += [f"{n:,} {what}" for what, n in sorted(counts.items()) if n and what != "no picture"]
    said += [f"{n:,} unreadable: {why}" for why, n in sorted(unreadable.items())]
    return [f"left out: {'; '.join(said)}"] if said else []


def oddities(counts: Mapping[str, int]) -> list[str]:
    """Return what was done about images that are not plain, in one line."""
    said = [
        f"{n:,} {quality.NOTES[what]}"
        for what, n in sorted(counts.items())
        if what in quality.NOTES
    ]
    return [f"odd: {'; '.join(said)}"] if said else []


def uneven(
    labels: Int[np.ndarray, " n"], classes: Sequence[str], sides: Int[np.ndarray, " n"]
) -> list[str]:
    """Return the classes whose share on a side is far from that on the others, more than by chance;
    of many the first ones.
    """
    found = []
    for side, where in enumerate(SIDES):
        here = sides == side
        if not here.any() or here.all():
            continue
        # At once for all classes: there may be thousands.
        n, others = int(here.sum()), int((~here).sum())
        shares = np.bincount(labels[~here], minlength=len(classes)) / others
        own = np.bincount(labels[here], minlength=len(classes)) / n
        for name, share, mine in zip(classes, shares.tolist(), own.tolist(), strict=True):
            error = np.sqrt(max(share * (1 - share), 1e-9) * (1 / n + 1 / others))
            far = abs(mine - share) > FAR * error
            if far and max(mine, share) > TIMES * min(mine, share):
                found.append(
                    f"warning: {name} is {mine:.0%} of {where} and {share:.0%} of the other sides"
                )
    if len(found) > ROWS + 1:
        found[ROWS:] = [f"warning: {len(found) - ROWS:,} more such shares"]
    return found


def lopsided(
    labels: Int[np.ndarray, " n"],
    classes: Sequence[str],
    outcome: str,
    arms: Sequence[str],
) -> list[str]:
    """Return what an experiment on classes of unequal size does not measure or try yet."""
    counts = np.bincount(labels, minlength=len(classes))
    if counts.max() < LOPSIDED * counts.min():
        return []
    ends = int(counts.argmax()), int(counts.argmin())
    most, least = (f"{classes[i]} {counts[i]:,}" for i in ends)
    further = []
    if outcome == "accuracy":
        further.append("--config.verdict.outcome=balanced_accuracy counts each class the same")
    if not any(arm.partition("+")[0] == "balance" for arm in arms):
        further.append("the arm balance fills up the smaller classes")
    told = f"warning: unequal classes, {most} against {least}: see the rows per class"
    return ["; ".join([told, *further])]


def few(
    labels: Int[np.ndarray, " n"], classes: Sequence[str], sides: Int[np.ndarray, " n"] | None
) -> list[str]:
    """Classes with so few images to train with that a GAN may do harm."""
    train = labels if sides is None else labels[sides == 0]
    counts = np.bincount(train, minlength=len(classes)).tolist()
    short = [f"{name} {n:,}" for name, n in zip(classes, counts, strict=True) if n < FEW]
    if not short:
        return []
    more = f" and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
    return [f"warning: few images to train with: {', '.join(short[:SHOWN])}{more}; {HARMFUL}"]
