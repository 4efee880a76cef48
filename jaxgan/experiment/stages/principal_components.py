"""Pictures of what trains nothing, drawn and kept as a GAN's are."""

import hashlib
from collections.abc import Sequence

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxgan.data import loader
from jaxgan.data.folder import FolderSource, Source
from jaxgan.models import pca
from jaxgan.sampling import sample

PICTURES = "pictures"  # The folder of those that are drawn.


def principal(
    source: Source,
    seeds: Sequence[int],
    workdir: epath.PathLike,
    manifest: str = "manifest.jsonl",
) -> Source:
    """The picture of each seed, from the principal components of a class's pictures.

    `workdir` keeps the components, which are found anew for other pictures only, and the drawn
    pictures, named and listed as `sample.save` does.

    Args:
        source: pictures of one class to learn from.
        seeds: below 2**32, each once; in the order of the pictures that come back.
        workdir: a folder of this class's own.
        manifest: the name of the list.

    Raises:
        InputError: see `pca.fit`.
    """
    folder = epath.Path(workdir)
    fit = components(source, folder)
    sampler = sample.Sampler(ConfigDict(), 0, _checksum(source), fit, pca.draw)
    sample.save(sampler, seeds, folder / PICTURES, manifest=manifest)
    return drawn(folder, seeds, source.resolution)


def components(source: Source, workdir: epath.PathLike) -> pca.Fit:
    """The principal components of a class's images, kept in `workdir`.

    Raises:
        InputError: see `pca.fit`.
    """
    file = epath.Path(workdir) / f"pca-{_checksum(source)}.npz"
    if not file.exists():
        pca.save(pca.fit(source), file)
    return pca.load(file)


def _checksum(source: Source) -> str:
    return hashlib.sha256(loader.fingerprint(source).encode()).hexdigest()[:16]


def drawn(workdir: epath.PathLike, seeds: Sequence[int], resolution: int) -> Source:
    """The picture of each seed that `principal` drew before."""
    source = FolderSource(epath.Path(workdir) / PICTURES, resolution)
    place = {epath.Path(name).stem: i for i, name in enumerate(source.names)}
    return loader.Subset(source, np.array([place[f"seed{seed:08d}"] for seed in seeds]))
