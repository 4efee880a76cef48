"""Samples of principal components, which train nothing, drawn and kept as a GAN's are."""

import hashlib
from collections.abc import Sequence

import numpy as np
from etils import epath

from jaxgan.config.typed import PCA
from jaxgan.data import loader
from jaxgan.data.folder import FolderSource, Source
from jaxgan.experiment.design.jobs import Job, Samples
from jaxgan.experiment.stages.fold_context import FoldContext, Made, going_on, listed
from jaxgan.models import pca
from jaxgan.sampling import best_of_n, files, sample

PICTURES = "pictures"  # The folder of those that are drawn.


def from_principal(context: FoldContext, samples: Sequence[Job]) -> Made:
    """Draw samples from the principal components of what a GAN would be trained on."""
    found: Samples = {}
    failed: list[dict] = []
    config, seconds = context.config, 0.0
    for job in samples:
        workdir = context.folder / job.folder
        source = context.learned(job, context.plan.real)

        def work(
            job: Job = job,
            source: Source = source,
            workdir: epath.Path = workdir,
            manifest: str = f"manifest_{job.images}_{job.seed}.jsonl",
        ) -> dict:
            context.log.line(
                f"drawing {job.images:,} images from the principal components of {workdir.name}",
                "detail",
            )
            with context.outlook.doing(job, f"{context.label}principal components of {job.name}"):
                principal(source, context.latents(job), workdir, manifest)
            return {"seeds": [*context.latents(job)]} | listed(workdir / PICTURES, manifest)

        def note(why: str, job: Job = job, called: str = workdir.name) -> None:
            about = {"class": job.name, "name": f"{job.name} (principal components)", "gan": None}
            failed.append(about | {"error": why, "seconds": context.spent(job), "fold": job.fold})
            context.log.line(f"the principal components of {called} failed: {why}")

        with going_on(note):
            made = context.once(job, work)
            files.verify(workdir / PICTURES, **made["manifest"])
            seconds += made["seconds"]
            images = drawn(workdir, made["seeds"], context.plan.real.resolution)
            if job.key.selected:
                count = context.fold.needed[job.key][job.name]
                images = best_of_n.best_of(images, count, config.select.by, source)
            found[job.output] = images
    return Made(found, [], failed, seconds)


def principal(
    source: Source,
    seeds: Sequence[int],
    workdir: epath.PathLike,
    manifest: str = "manifest.jsonl",
) -> Source:
    """Return the image of each seed, from the principal components of a class's images.

    `workdir` keeps the components, which are found anew for other images only, and the drawn
    images, named and listed as `files.save` does.

    Args:
        source: images of one class to learn from.
        seeds: below 2**32, each once; in the order of the images that come back.
        workdir: a folder of this class's own.
        manifest: the name of the list.

    Raises:
        InputError: see `pca.fit`.
    """
    folder = epath.Path(workdir)
    fit = components(source, folder)
    sampler = sample.Sampler(PCA(), 0, _checksum(source), fit, pca.draw)
    files.save(sampler, seeds, folder / PICTURES, manifest=manifest)
    return drawn(folder, seeds, source.resolution)


def components(source: Source, workdir: epath.PathLike) -> pca.Fit:
    """Return the principal components of a class's images, kept in `workdir`.

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
    """Return the image of each seed that `principal` drew before."""
    source = FolderSource(epath.Path(workdir) / PICTURES, resolution)
    place = {epath.Path(name).stem: i for i, name in enumerate(source.names)}
    return loader.Subset(source, np.array([place[f"seed{seed:08d}"] for seed in seeds]))
