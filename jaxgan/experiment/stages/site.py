"""Where the jobs of a fold are done, and how the others go on when one fails."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from etils import epath

from jaxgan.config.typed import Experiment
from jaxgan.data.dataset import Dataset, Source
from jaxgan.data.loader import Subset
from jaxgan.engine.log import Log
from jaxgan.experiment.design.jobs import Fold, Job, Samples, learned
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.outlook import Outlook
from jaxgan.experiment.stages.workers import Share
from jaxgan.system import sealed

STRIDE = 10**6  # Between the first latents of two seeds: more of a seed's images move no other's.


class Made(NamedTuple):
    """What came of some jobs.

    Attributes:
        samples: the images.
        about: what results.json says of each GAN and class.
        failed: of each that could not be trained or sampled; `samples` lacks its images.
        seconds: of sampling.
    """

    samples: Samples
    about: list[dict]
    failed: list[dict]
    seconds: float


class Site(NamedTuple):
    """What all stages of a fold are given.

    Attributes:
        config: the experiment's.
        plan: of the experiment.
        fold: of which the jobs are.
        folder: the experiment's workdir.
        log: the experiment's.
        share: of the jobs, which is this process's.
        outlook: of all jobs.
    """

    config: Experiment
    plan: Plan
    fold: Fold
    folder: epath.Path
    log: Log
    share: Share = Share()
    outlook: Outlook = Outlook((), epath.Path())

    def latents(self, job: Job) -> range:
        """Return the latents' seeds of a sample's images, below 2**32; other folds have others."""
        assert job.seed is not None
        first = (job.seed + 100 * self.fold.number) % 4096 * STRIDE
        return range(first, first + job.images)

    @property
    def label(self) -> str:
        """What lines of the log begin with, where there are several folds."""
        return f"fold {self.fold.number} " if len(self.plan.folds) > 1 else ""

    def learned(self, job: Job, images: Source) -> Dataset:
        """Return what the images of a class come from; `images` are all real ones."""
        positions = learned(self.fold, job.key, job.name, job.gan)
        return Subset(images, self.fold.sides.train[positions])


def listed(out: epath.Path, manifest: str) -> dict:
    """Return what a result says of the images that were written to `out`."""
    checksum = hashlib.sha256((out / manifest).read_bytes()).hexdigest()
    return {"manifest": {"manifest": manifest, "checksum": checksum}}


@contextlib.contextmanager
def going_on(note: Callable[[str], None]) -> Iterator[None]:
    """Give `note` what went wrong, in one line, unless it ends the whole experiment."""
    try:
        yield
    except Exception as error:
        if sealed.ends_all(error):
            raise
        note(" ".join(str(error).split()) or type(error).__name__)
