"""Test images that come in groups, of patients or videos: the variance of a mean over them."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

Tables = Sequence[Shaped[np.ndarray, "*n _ _"]]
# Which images of each fold belong together, by number: they count as drawn group by group.
Groups = Sequence[Shaped[np.ndarray, " _"]]


def clustered(
    by_image: Sequence[np.ndarray], groups: Groups
) -> tuple[np.ndarray, np.ndarray | float] | None:
    """Return the variance of the mean outcome where images come in groups, and its degrees of
    freedom.

    Images of a patient, an animal or a video resemble each other: as if drawn one by one they would
    tell more than they do. With the sum S_g of a group's n_g deviations from its fold's mean over T
    images, the variance of that mean is

        sum over g of S_g^2 / (1 - n_g / T) / T^2,

    without bias where images within a group are independent (CR2), and with groups of equal size
    the usual one of their means. The degrees are Satterthwaite's for independent images, of groups
    of equal size one less than there are groups.

    Args:
        by_image: [..., images] of each fold.
        groups: of these images. Where a fold has a single group, deviations are from the mean of
            all folds.

    Returns:
        None where all images are one group.

    References:
        Bell, McCaffrey, Bias reduction in standard errors for linear regression with multi-stage
        samples, 2002.
        Imbens, Kolesar, Robust standard errors in small samples: some practical advice, 2016.
    """
    folds = _folds(by_image, groups)
    if folds is None:
        return None
    images = sum(len(of) for _, of in folds)
    total, noise = np.zeros(()), 0.0
    for means, of in folds:
        size, weight = _weights(of)
        sums = _sums(means - means.mean(-1, keepdims=True), of)
        total = total + (weight * sums**2).sum(-1) / images**2
        each = weight * size**2
        noise += (size**2).sum() + (each.sum() ** 2 - (each**2).sum()) / len(of) ** 2
    return total, max(images**2 / noise, 1.0)


def clustered_rest(tables: Tables, groups: Groups) -> np.ndarray:
    """Return what `clustered` counts of the chance that is neither the seeds' nor the
    images' own.
    """
    rest = list[np.ndarray]()
    for t in tables:
        r = t - t.mean(-1, keepdims=True) - t.mean(-2, keepdims=True)
        rest.append(r + t.mean((-2, -1), keepdims=True))
    seeds = [t.shape[-2] for t in tables]
    images = sum(t.shape[-1] for t in tables)
    total = np.zeros(())
    for r, of, n in zip(rest, groups, seeds, strict=True):
        if n < 2 or of.max() == of.min():
            continue
        of = np.unique(of, return_inverse=True)[1]
        weight = _weights(of)[1]
        total = total + (weight * _sums(r, of) ** 2).sum((-2, -1)) / (n * (n - 1) * images**2)
    return total


def _folds(
    by_image: Sequence[np.ndarray], groups: Groups
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Return each fold's images and the numbers of their groups from 0 on; all as one where it must
    be.
    """
    numbered = [np.unique(of, return_inverse=True)[1] for of in groups]
    if all(of.max() for of in numbered):
        return list(zip(by_image, numbered, strict=True))
    starts = np.cumsum([0, *(int(of.max()) + 1 for of in numbered)])
    every = np.concatenate([of + start for of, start in zip(numbered, starts, strict=False)])
    return [(np.concatenate(by_image, -1), every)] if every.max() else None


def _weights(of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the size of each group, and the inverse of the share that is in the others."""
    size = np.bincount(of).astype(np.float64)
    return size, 1 / (1 - size / len(of))


def _sums(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """[..., images] -> [..., groups]."""
    order = np.argsort(of, kind="stable")
    starts = np.searchsorted(of[order], np.arange(int(of.max()) + 1))
    return np.add.reduceat(values[..., order], starts, axis=-1)
