"""How long a training is: by steps, epochs or thousands of images; and which steps are traced."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ml_collections import ConfigDict

from jaxgan.config.fields import MOST_STEPS
from jaxgan.errors import InputError

if TYPE_CHECKING:
    from jaxgan.config.settings import Train

LENGTHS = ("steps", "epochs", "kimg")


def settle_length(train: ConfigDict, overridden: Sequence[str], prefix: str) -> None:
    """Leave one of steps, epochs and kimg set: the one given on the command line, if any."""
    given = [name for name in LENGTHS if f"{prefix}{name}" in overridden]
    if len(given) > 1:
        raise InputError(f"set one of {', '.join(f'{prefix}{n}' for n in given)}, not {len(given)}")
    for name in LENGTHS:
        if given and name != given[0]:
            train[name] = None


def total_steps(
    train: "Train",
    images: int,
    images_a_step: int,
    prelude: Callable[[int], int] | None = None,
) -> int:
    """Return steps of a training, whichever way its length is given.

    Args:
        train: the section, with one of steps, epochs and kimg (thousands of images) set.
        images: how many there are in an epoch.
        images_a_step: how many real ones are in a batch.
        prelude: batches besides its own that a step takes, by the steps before it.

    Raises:
        InputError: it is longer than can be counted.
    """
    if train.steps is not None:
        return train.steps
    shown = (train.kimg or 0) * 1000 if train.epochs is None else train.epochs * images
    batches, steps = round(shown / images_a_step), 0
    if batches > MOST_STEPS:
        length = "epochs" if train.epochs is not None else "kimg"
        raise InputError(
            f"a training must have at most {MOST_STEPS:,} steps, and {getattr(train, length):,} "
            f"{length} of {images:,} images are {batches:,}"
        )
    if prelude is None:
        return max(1, batches)
    while batches > 0:
        batches -= 1 + prelude(steps)
        steps += 1
    return max(1, steps)


def profile_steps(profile: str | None, name: str = "config") -> range:
    """Return the steps to trace, from FIRST:COUNT; none where it is None.

    Raises:
        InputError: it is not two whole numbers above 0 with a colon between them.
    """
    if profile is None:
        return range(0)
    first, _, count = profile.partition(":")
    short = max(len(first), len(count)) < 10  # Python reads 4,300 digits at most.
    if not (short and first.isdecimal() and count.isdecimal() and int(first) and int(count)):
        raise InputError(
            f"{name}.train.profile must be FIRST:COUNT, two whole numbers above 0, got "
            f"{profile[:100]!r}"
        )
    return range(int(first), int(first) + int(count))
