"""What all stages of a fold are given, and how its jobs go on when one fails."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from etils import epath

from jaxgan.config.typed import Experiment
from jaxgan.data.dataset import Dataset, Source
from jaxgan.data.loader import Subset
from jaxgan.errors import InputError
from jaxgan.experiment.design.jobs import Fold, Job, Samples, learned
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.remaining_time import RemainingTime
from jaxgan.experiment.stages import job_results
from jaxgan.system import checked_files

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


class Log(Protocol):
    """Where lines go: the experiment's log, or from a worker of Ray to it."""

    def line(self, text: str, kind: str = "line") -> None: ...


class FoldContext(NamedTuple):
    """What all stages of a fold are given.

    Attributes:
        plan: of the experiment.
        fold: of which the jobs are.
        folder: the experiment's workdir.
        log: the experiment's.
        outlook: of all jobs.
        failed: why jobs failed elsewhere, by their output: they are not tried here.
    """

    plan: Plan
    fold: Fold
    folder: epath.Path
    log: Log
    outlook: RemainingTime = RemainingTime((), epath.Path())
    failed: Mapping[str, str] = {}

    @property
    def config(self) -> Experiment:
        """Return the experiment's."""
        return self.plan.config

    def once(self, job: Job, work: Callable[[], dict]) -> dict:
        """Return a job's result: the kept one, or that of `work`; see `kept.once`.

        Raises:
            InputError: it failed elsewhere.
        """
        file = self.folder / job.output
        if job.output in self.failed and not file.exists():
            raise InputError(self.failed[job.output])
        return job_results.once(file, work)

    def spent(self, job: Job) -> float:
        """Return seconds of the attempts at a job that failed or were interrupted."""
        return job_results.spent(self.folder / job.output)

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
        if checked_files.ends_all(error):
            raise
        note(" ".join(str(error).split()) or type(error).__name__)
