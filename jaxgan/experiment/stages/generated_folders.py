"""Samples from elsewhere: each seed's own of the folders of `config.generated`."""

from collections.abc import Sequence

import numpy as np

from jaxgan.data import loader
from jaxgan.experiment.design.jobs import Job, Samples
from jaxgan.experiment.stages.site import Site
from jaxgan.sampling import best_of_n


def from_folders(site: Site, samples: Sequence[Job]) -> Samples:
    """Return the samples of some jobs, of a seed without replacement."""
    config, real, train = site.config, site.plan.real, site.fold.sides.train
    pools = {
        (source, name): loader.in_memory(images)
        for source, sides in site.plan.outside.items()
        for name, images in sides.items()
    }
    found: Samples = {}
    for job in samples:
        counts, pool = site.fold.needed[job.key], pools[job.key.source, job.name]
        stream = [config.seed, config.seeds[job.seed], sorted(counts).index(job.name)]
        order = np.random.default_rng(stream).permutation(len(pool))
        images = loader.Subset(pool, order[: job.images])
        if job.key.selected:
            own = train[real.labels[train] == real.classes.index(job.name)]
            reference = loader.Subset(real, own)
            images = best_of_n.best_of(images, counts[job.name], config.select.by, reference)
        found[job.output] = images
    return found
