"""The signs that a GAN has collapsed, in what a run tells of itself."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

SATURATED = 10
"""Rows of the log in which the critic is never wrong, after which the loss counts as saturated."""


def mean_distance(images: UInt8[np.ndarray, "n h w c"]) -> float:
    """Return the mean distance between two images, root mean square over pixels, in gray levels.

    Of a single image it is 0.
    """
    x = images.reshape(len(images), -1).astype(np.float64)
    squares = np.einsum("ij,ij->i", x, x)
    distances = squares[:, None] + squares[None] - 2 * x @ x.T
    pairs = distances[np.triu_indices(len(x), 1)]
    return float(np.sqrt(np.maximum(pairs, 0) / x.shape[1]).sum()) / max(len(pairs), 1)


def make_alarm(
    min_diversity: float, saturates: bool
) -> Callable[[Sequence[dict[str, float]]], str | None]:
    """Return what is wrong by the last of a run's rows of metrics, in words; None where nothing is.

    Args:
        min_diversity: the samples' `diversity`, as a share of real images': an alarm where it is
            below and was above, or where it is below and falls, by a quarter of its best.
        saturates: whether the loss has nothing left to teach once the critic is never wrong
            (`real_accuracy` and `fake_accuracy` of 1), as all but Wasserstein's.
    """

    def alarm(rows: Sequence[dict[str, float]]) -> str | None:
        reached = [row["diversity"] for row in rows if "diversity" in row]
        best, last = max(reached, default=0.0), (reached or [1.0])[-1]
        if last < min_diversity and (best >= min_diversity or last < 0.75 * best):
            return (
                f"the samples' diversity is {last:.2f} of the real images', after {best:.2f} at "
                f"best and below {min_diversity:g}"
            )
        # The first row after a start is of one step, and has no rate: a resumed run has one more.
        told = [row for row in rows if "real_accuracy" in row and "images_per_second" in row]
        told = told[-SATURATED:]
        never_wrong = all(min(r["real_accuracy"], r["fake_accuracy"]) > 0.9995 for r in told)
        if saturates and len(told) == SATURATED and never_wrong:
            return "the critic is never wrong any more: the loss is saturated"
        return None

    return alarm
