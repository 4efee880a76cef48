"""From the names of an augmentation policy to the function that changes images."""

from collections.abc import Sequence

import jax.numpy as jnp

from jaxgan.augment import ada, diffaugment
from jaxgan.augment.randaugment import randaugment, trivialaugment
from jaxgan.types import Augment


def build_augment(policy: Sequence[str]) -> Augment | None:
    """Random changes of images, one after the other, then ADA's; None where there are none."""
    kinds = {
        "flip": diffaugment.flip,
        "crop": diffaugment.crop,
        "color": diffaugment.color,
        "translation": diffaugment.translation,
        "cutout": diffaugment.cutout,
        "randaugment": randaugment,
        "trivialaugment": trivialaugment,
    }
    changes = [kinds[name]() for name in policy if name in kinds]
    groups = [name for name in policy if name not in kinds]
    return diffaugment.chain(*changes, *([ada.make(groups)] if groups else [])) if policy else None


def fixed(policy: Sequence[str], p: float) -> Augment | None:
    """Return the same with a fixed probability, whatever that of the call is."""
    change = build_augment(policy)
    return change and (lambda images, _, key: change(images, jnp.float32(p), key))
