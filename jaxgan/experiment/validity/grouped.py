"""Whether groups of images stayed on one side: what `guards` says of `data.groups`."""

import numpy as np

from jaxgan.data import dataset
from jaxgan.data.folder import Source
from jaxgan.data.splits import Split


def respected(real: Source, parts: Split) -> list[dict]:
    """Return the guard of the groups; nothing where there are none.

    Args:
        real: the images, with `groups` where these were asked for.
        parts: the sides of a split.
    """
    groups = dataset.of(real).groups
    if groups is None:
        return []
    on = {name: set(groups[getattr(parts, name)].tolist()) for name in parts._fields}
    torn = (on["train"] & (on["validation"] | on["test"])) | (on["validation"] & on["test"])
    counts = ", ".join(f"{len(of):,} to {name}" for name, of in on.items())
    sentence = f"every group of images is on one side: {counts}"
    if torn:
        first = min(torn)
        images = [real.names[i] for i in np.flatnonzero(groups == first)[:3]]
        sentence = f"{len(torn):,} groups are on two sides, like that of {', '.join(images)}"
    return [{"name": "groups", "passed": not torn, "sentence": sentence}]
