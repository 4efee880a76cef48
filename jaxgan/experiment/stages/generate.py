"""The generated side of an experiment: samples of GANs, of principal components and of folders."""

from collections.abc import Callable, Collection, Sequence

import numpy as np

from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.experiment.design.jobs import Job, Samples
from jaxgan.experiment.stages.fold_context import FoldContext, Made
from jaxgan.experiment.stages.gans import from_gans
from jaxgan.experiment.stages.principal_components import from_principal
from jaxgan.sampling import best_of_n
from jaxgan.types import Recipe


def generate(
    context: FoldContext,
    samples: Sequence[Job],
    gans: Callable[[], tuple[Source, Recipe]],
    gone: Collection[str] = (),
) -> Made:
    """Do some jobs that sample, after the trainings of GANs that they need.

    Args:
        context: where they are done.
        samples: the jobs.
        gans: returns all real images at the GANs' resolution, and their recipe.
        gone: names of GANs that failed before, which are not tried again.
    """
    of: dict[str, list[Job]] = {"gan": [], "pca": [], "folder": []}
    for job in samples:
        source = job.key.source
        of["gan" if source is None else "pca" if source == "pca" else "folder"].append(job)
    folders = _from_folders(context, of["folder"]) if of["folder"] else {}
    made = from_principal(context, of["pca"])
    if of["gan"]:
        found = from_gans(context, of["gan"], *gans(), gone)
        failed, seconds = made.failed + found.failed, made.seconds + found.seconds
        made = Made(made.samples | found.samples, found.about, failed, seconds)
    return made._replace(samples=folders | made.samples)


def _from_folders(context: FoldContext, samples: Sequence[Job]) -> Samples:
    """Return each seed's own samples of folders, without replacement."""
    config, real, train = context.config, context.plan.real, context.fold.sides.train
    pools = {
        (source, name): loader.in_memory(images)
        for source, sides in context.plan.outside.items()
        for name, images in sides.items()
    }
    found: Samples = {}
    for job in samples:
        counts, pool = context.fold.needed[job.key], pools[job.key.source or "", job.name]
        stream = [config.seed, config.seeds[job.seed or 0], sorted(counts).index(job.name)]
        order = np.random.default_rng(stream).permutation(len(pool))
        images = loader.Subset(pool, order[: job.images])
        if job.key.selected:
            own = train[real.labels[train] == real.classes.index(job.name)]
            reference = loader.Subset(real, own)
            images = best_of_n.best_of(images, counts[job.name], config.select.by, reference)
        found[job.output] = images
    return found
