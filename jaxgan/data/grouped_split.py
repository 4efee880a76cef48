"""The split of a source, with what must be known of it: copies, groups, and sides as given."""

import logging

import numpy as np

from jaxgan.data import dataset, groups, splits
from jaxgan.data.duplicates import sentence
from jaxgan.data.folder import Source
from jaxgan.errors import InputError


def check_classes(source: Source) -> None:
    """Raise InputError where there is nothing to tell apart."""
    if len(source.classes) < 2:
        raise InputError(
            f"a classifier needs two classes or more, got only {', '.join(source.classes)}"
        )


def split(
    source: Source,
    fractions: tuple[float, float, float],
    duplicates: splits.Duplicates | None = None,
    rule: str | float = "auto",
) -> splits.Split:
    """Train, validation and test, after a look at what the classes share; or as prepared.

    Args:
        source: images.
        fractions: of the parts.
        duplicates: `copies(source, rule)`, where it is at hand.
        rule: by which images are the same, see `duplicates.near_duplicates`.

    Raises:
        InputError: a tenth or more of the images stand in two classes, or there are too few.
    """
    known = dataset.of(source)
    sides = known.sides
    if sides is not None:
        prepared = known.digests is None  # Which has compared them before.
        if known.given is not None and not prepared:
            found = copies(source, rule)
            _say(found, source)
            group = found.group
            across = np.flatnonzero(sides != sides[group])
            if len(across):
                a, b = source.names[group[across[0]]], source.names[across[0]]
                logging.getLogger("jaxgan").warning(
                    "%d images are like one on another given side, such as %s and %s: "
                    "data.given_sides=merge parts them anew",
                    *(len(across), a, b),
                )
        elif known.fractions != tuple(fractions):
            logging.getLogger("jaxgan").warning(
                "the split is that of the prepared set, %s, not data.split", known.fractions
            )
        return splits.Split(*(np.flatnonzero(sides == side) for side in range(3)))
    return splits.split(source, fractions, duplicates=kept_together(source, duplicates, rule))


def kept_together(
    source: Source, duplicates: splits.Duplicates | None = None, rule: str | float = "auto"
) -> splits.Duplicates:
    """Return which images must stay on one side: copies, and those of a group.

    Args:
        source: images.
        duplicates: `copies(source, rule)`, where it is at hand.
        rule: by which copies are found, see `duplicates`.

    Raises:
        InputError: as `copies`; or a class whose images are one group.
    """
    found = duplicates
    if found is None:
        found = copies(source, rule)
        _say(found, source)
    grouped = dataset.of(source).groups
    if grouped is None:
        return found
    groups.check_classes(grouped, source.labels, source.classes)
    return found._replace(group=groups.joined(found.group, grouped), copies=found.group)


def _say(duplicates: splits.Duplicates, source: Source) -> None:
    logging.getLogger("jaxgan").warning("%s", sentence(duplicates, source.names.__getitem__))


def copies(source: Source, rule: str | float = "auto") -> splits.Duplicates:
    """Return which images are the same by a rule, after a look at what the classes share.

    Raises:
        InputError: a tenth or more of the images stand in two classes.
    """
    duplicates = splits.near_duplicates(source, rule)
    pairs = splits.across_classes(source, duplicates=duplicates)
    if len(pairs):
        a, b = (source.names[i] for i in pairs[0])
        text = f"{len(pairs):,} images stand in two classes, like {a} and {b}"
        if len(pairs) >= len(source) / 10:
            raise InputError(f"classes must hold different images: {text}")
        logging.getLogger("jaxgan").warning("%s: their labels contradict each other", text)
    return duplicates
