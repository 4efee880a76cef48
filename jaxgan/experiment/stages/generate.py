"""The generated side of an experiment: samples of GANs, of principal components and of folders."""

from collections.abc import Callable, Collection, Sequence

from jaxgan.data.folder import Source
from jaxgan.experiment.design.jobs import Job
from jaxgan.experiment.stages.gans import from_gans
from jaxgan.experiment.stages.generated_folders import from_folders
from jaxgan.experiment.stages.principal_components import from_principal
from jaxgan.experiment.stages.site import Made, Site
from jaxgan.types import Recipe


def generate(
    site: Site,
    samples: Sequence[Job],
    gans: Callable[[], tuple[Source, Recipe]],
    gone: Collection[str] = (),
) -> Made:
    """Do some jobs that sample, after the trainings of GANs that they need.

    Args:
        site: where they are done.
        samples: the jobs.
        gans: returns all real images at the GANs' resolution, and their recipe.
        gone: names of GANs that failed before, which are not tried again.
    """
    of: dict[str, list[Job]] = {"gan": [], "pca": [], "folder": []}
    for job in samples:
        source = job.key.source
        of["gan" if source is None else "pca" if source == "pca" else "folder"].append(job)
    folders = from_folders(site, of["folder"]) if of["folder"] else {}
    made = from_principal(site, of["pca"])
    if of["gan"]:
        found = from_gans(site, of["gan"], *gans(), gone)
        failed, seconds = made.failed + found.failed, made.seconds + found.seconds
        made = Made(made.samples | found.samples, found.about, failed, seconds)
    return made._replace(samples=folders | made.samples)
