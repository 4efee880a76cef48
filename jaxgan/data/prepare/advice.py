"""What to do with a set of images, in sentences."""

from collections.abc import Sequence

import numpy as np

from jaxgan.data.prepare import doctor
from jaxgan.data.prepare.doctor import Diagnosis

FEW = 1000  # Images of a class below which a GAN needs all help there is.
POWERS = (16, 32, 64, 128, 256, 512, 1024)  # Sides at which GANs can be trained.
MANY = 10_000  # From which on it needs none.


def advise(
    diagnosis: Diagnosis, dropped: dict[int, str], resolutions: Sequence[int], aligned: bool
) -> list[str]:
    """Return what the images are good for, for each resolution.

    The penalty's weight is the rule of Karras et al., Training Generative Adversarial Networks with
    Limited Data, 2020: 0.0002 resolution^2 / batch.
    """
    table = diagnosis.rows.table
    kept = diagnosis.good[~np.isin(diagnosis.good, list(dropped))]
    said: list[str] = []
    several = len(resolutions) > 1
    for at, resolution in enumerate(resolutions):
        rows = kept[table["records"][kept, at] >= 0]
        if not len(rows):
            continue
        sides = table["side"][rows].astype(np.float64)
        if diagnosis.strangeness is not None:
            sides = np.minimum(sides, table["effective"][rows])
        where = f" at {resolution} px" if several else ""
        said += _of_detail(sides, resolution, where)
        # A smaller set has nothing to say of its own where the larger one loses no image.
        if at == len(resolutions) - 1 or (table["records"][rows, at + 1] < 0).any():
            counts = doctor.count(diagnosis.classes, table["label"][rows])
            said += _of_counts(counts, where if len(rows) < len(kept) else "")
    if said and not aligned:
        said.append(
            "Subject: frontal faces that fill the image are learned far better than whole "
            "animals; --align=landmarks crops them where the eyes are known."
        )
    return said


def of_classifiers_alone(resolutions: Sequence[int]) -> list[str]:
    """Return a line for each resolution at which no GAN can be trained, with the nearest ones."""
    return [
        f"warning: GANs need a power of two from {POWERS[0]} to {POWERS[-1]}, like "
        f"{' or '.join(map(str, _nearest(side)))}: at {side} px classifiers alone can be trained"
        for side in resolutions
        if side not in POWERS
    ]


def _nearest(side: int) -> list[int]:
    return [*[r for r in POWERS if r < side][-1:], *[r for r in POWERS if r > side][:1]]


def _of_detail(sides: np.ndarray, resolution: int, where: str) -> list[str]:
    powers = [r for r in POWERS if (sides >= 0.6 * r).mean() >= 0.8]
    best = powers[-1] if powers else 16
    if best < resolution:
        said = (
            f"Resolution: four in five images hold detail for {best} px; at {resolution} px a "
            f"GAN learns blur. Take {best}, or larger images."
        )
    elif best > resolution:
        said = f"Resolution: the detail would do for {best} px; {resolution} px trains faster."
    else:
        said = f"Resolution: {resolution} px is what the images' detail is good for."
    batch = 64 if resolution <= 64 else 32 if resolution <= 256 else 16
    gamma = 0.0002 * resolution**2 / batch
    return [said, f"Batch {batch}{where}; where R1 is used, its weight gamma {gamma:.3g}."]


def _of_counts(counts: dict[str, int], where: str) -> list[str]:
    least, most = min(counts, key=lambda c: counts[c]), max(counts, key=lambda c: counts[c])
    fewest = counts[least]
    if fewest < FEW:
        said = [
            f"Images{where}: {fewest:,} of {least} are few for a GAN. Use "
            "--config.augment.policy=\"('color','translation','cutout')\", flips where left and "
            "right may be exchanged, and --config.init_from of a run on similar images."
        ]
    elif fewest < MANY:
        said = [f"Images{where}: {fewest:,} of {least} do with DiffAugment and flips."]
    else:
        said = [f"Images{where}: {fewest:,} of {least} are enough without augmentation."]
    if len(counts) > 1 and counts[most] > 1.5 * fewest:
        said.append(
            f"Balance{where}: {most} has {counts[most]:,}, {least} {fewest:,}; compare the "
            "classes' recall, not accuracy alone."
        )
    return said
