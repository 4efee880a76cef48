"""Held-out images, or changed copies of them, among those that something was trained on."""

from collections.abc import Mapping
from typing import NamedTuple

from jaxgan.data import changed_copies, dataset, splits
from jaxgan.data.folder import Source
from jaxgan.types import InputError

SHOWN = 5  # Names in a sentence.


class Overlap(NamedTuple):
    """Held-out images that are like some that were learned from.

    Attributes:
        pairs: names of what was learned from and of what is held out.
        said: what was not looked at or could not be told; nothing if all was.
        told: whether changed copies could be told from ordinary images.
    """

    pairs: list[tuple[str, str]]
    said: str
    told: bool


def overlap(learned: Source, held_out: Source) -> Overlap:
    """Pairs of an image that something learned from and a held-out one that are the same.

    Exact copies, re-encoded and resized ones, by outlines (`splits.near_duplicates`), and changed
    ones by their details (`leaks.find`).
    """
    if not len(learned) or not len(held_out):
        return Overlap([], "", True)
    group = splits.near_duplicates(dataset.concat([learned, held_out])).group
    ours, theirs = group[: len(learned)], group[len(learned) :]
    first = {g: i for i, g in reversed(list(enumerate(ours.tolist())))}
    found = {i: first[g] for i, g in enumerate(theirs.tolist()) if g in first}
    changed = changed_copies.find(learned, held_out)
    found = {theirs: ours for ours, theirs in changed.pairs.tolist()} | found
    said = ""
    if changed.looked != (len(learned), len(held_out)):
        ours, theirs = changed.looked
        said = (
            f"; for changed copies a random part was looked at: {ours:,} of {len(learned):,} "
            f"images learned from, {theirs:,} of {len(held_out):,} held out"
        )
    if not changed.told:
        said = (
            "; changed copies cannot be told here, since different images are as like each other "
            f"as copies are (distance {changed.ordinary:.2f})"
        )
    pairs = [(learned.names[found[i]], held_out.names[i]) for i in sorted(found)]
    return Overlap(pairs, said, changed.told)


def leakage(learned: Mapping[str, Source], held_out: Source) -> dict:
    """Return whether a held-out image, or a changed copy of one, is among those that were learned
    from.

    Args:
        learned: by what they are: real training images, generated ones.
        held_out: images to validate and to test with.
    """
    found = {kind: overlap(source, held_out) for kind, source in learned.items()}
    pairs = [(kind, *pair) for kind, these in found.items() for pair in these.pairs]
    told = all(these.told for these in found.values())
    sentence = "no validation or test image is like one that was learned from"
    if pairs:
        some = "; ".join(f"{a} ({kind}) and {b}" for kind, a, b in pairs[:SHOWN])
        sentence = f"{len(pairs):,} validation or test images are like ones learned from: {some}"
    said = "".join(dict.fromkeys(these.said for these in found.values()))
    sentence += f"{said}; looked for: {changed_copies.LOOKED_FOR}; {changed_copies.UNSEEN}"
    return {
        "name": "leakage",
        "passed": False if pairs else True if told else None,
        "sentence": sentence,
        "pairs": [list(pair) for pair in pairs],
    }


def check_folder(generated: Source, held_out: Source) -> None:
    """Raise InputError where images from elsewhere are like some that are held out."""
    if pairs := overlap(generated, held_out).pairs:
        a, b = pairs[0]
        raise InputError(
            f"config.generated must not hold validation or test images, or changed copies of "
            f"them, and {len(pairs):,} are like these, such as {a} and {b}"
        )
