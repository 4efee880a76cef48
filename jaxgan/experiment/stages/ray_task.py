"""What a worker of Ray does: some jobs of an experiment, as one process alone would do them."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import jax
from etils import epath

from jaxgan.data.folder import Source
from jaxgan.errors import InputError
from jaxgan.experiment.design.jobs import Job, Samples
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.remaining_time import RemainingTime
from jaxgan.experiment.stages import job_results
from jaxgan.experiment.stages.classify import Classifiers
from jaxgan.experiment.stages.fold_context import FoldContext, going_on
from jaxgan.experiment.stages.gans import UNDRAWN, as_gans_see
from jaxgan.experiment.stages.generate import generate
from jaxgan.system import lock, screen
from jaxgan.types import Recipe

PATIENCE = 60.0  # Seconds in which a process that lost its driver lets go of a job's folder.


class Order(NamedTuple):
    """What all jobs of an experiment have in common.

    Attributes:
        plan: of the experiment.
        workdir: the experiment's.
        place: the folder from which other paths start.
        environment: variables of XLA and JAX.
        settings: of JAX.
        cpus: of each job; None: a GPU or TPU does the work.
    """

    plan: Plan
    workdir: str
    place: str
    environment: dict[str, str]
    settings: dict[str, Any]
    cpus: int | None


class Part(NamedTuple):
    """Jobs that are done together, in one task.

    Attributes:
        name: for the log.
        jobs: samples of one GAN or of one class's principal components; or an arm's classifiers.
        alone: they are no arm of the verdict: see `Classifiers.learn_from`.
    """

    name: str
    jobs: tuple[Job, ...]
    alone: bool = False

    @property
    def each(self) -> list[Job]:
        """Return all jobs that have a result: GANs and amounts, too."""
        own = self.jobs[0].kind == "samples", self.jobs[0].kind == "choice"
        inputs = [one for job in self.jobs for one in job.inputs if any(own)]
        return [*{job.output: job for job in [*inputs, *self.jobs]}.values()]

    @property
    def samples(self) -> list[Job]:
        """Return the samples that classifiers need."""
        found, left = {}, list(self.jobs)
        while left:
            job = left.pop(0)
            if job.kind == "samples":
                found[job.output] = job
            else:
                left += job.inputs
        return [*found.values()]


class Done(NamedTuple):
    """What came of a part.

    Attributes:
        failed: what went wrong, by the job's output.
        seconds: by the job's output.
        devices: on which it was done.
    """

    failed: dict[str, str]
    seconds: dict[str, float]
    devices: list[str]


_workers: dict[Any, "_Worker"] = {}  # This process's: what it has read serves its next task.


def do(order: Sequence[Any], part: Part, lines: Any, *before: Done) -> Done:
    """Do a part; one that was begun goes on.

    Args:
        order: a reference to the `Order`, in a list, so that it is not fetched for each task.
        part: the jobs.
        lines: an actor that takes lines and their kinds.
        before: what came of the parts that it needs.
    """
    if order[0] not in _workers:
        import ray

        _workers.clear()
        _workers[order[0]] = _Worker(ray.get(order[0]))
    screen.send(lines.add.remote)
    return _workers[order[0]].do(part, before)


class _Worker:
    def __init__(self, order: Order):
        os.environ.update(order.environment)
        if order.cpus is not None:
            os.environ.setdefault("NPROC", str(order.cpus))  # XLA's threads.
        for name, value in order.settings.items():
            if name in jax.config.values and jax.config.values[name] != value:
                jax.config.update(name, value)
        with contextlib.suppress(OSError):
            os.chdir(order.place)
        self.plan, self.folder = order.plan, epath.Path(order.workdir)
        self.outlook = RemainingTime(self.plan.jobs, self.folder)
        self.failed: dict[str, str] = {}
        self.samples: dict[int, Samples] = {}
        self.classifiers: dict[int, Classifiers] = {}

    def do(self, part: Part, before: Sequence[Done]) -> Done:
        for done in before:
            self.failed |= done.failed
        for job in part.each:
            self.failed.pop(job.output, None)  # It was tried in vain, and is asked for again.
        places = [job.folder for job in part.each if job.kind != "samples" or not job.inputs]
        with _alone([self.folder / place for place in places]):
            failed = self._generate(part) if part.jobs[0].kind == "samples" else self._train(part)
        seconds = {}
        for job in part.each:
            if (file := self.folder / job.output).exists():
                seconds[job.output] = float(job_results.read(file)["seconds"])
        return Done(failed, seconds, [f"{d.platform} {d.device_kind}" for d in jax.devices()])

    def _generate(self, part: Part) -> dict[str, str]:
        made = generate(self._context(part), part.jobs, lambda: self._gans)
        why = made.failed[0]["error"].removeprefix(UNDRAWN) if made.failed else "it was not made"
        return {j.output: why for j in part.each if not (self.folder / j.output).exists()}

    def _train(self, part: Part) -> dict[str, str]:
        fold = part.jobs[0].fold
        samples = self.samples.setdefault(fold, {})
        missing = [job for job in part.samples if job.output not in samples]
        samples |= generate(self._context(part), missing, lambda: self._gans).samples
        if fold not in self.classifiers:
            first = next(iter(self.classifiers.values()), None)
            self.classifiers[fold] = Classifiers(self._context(part), samples, first)
        mine, failed = self.classifiers[fold], {}
        if part.alone:
            (job,) = part.jobs
            assert job.arm is not None
            with going_on(lambda why: failed.update({job.output: why})):
                mine.learn_from(job.arm)
            return failed
        found = mine.group(part.jobs)
        return {j.output: r["error"] for j, r in zip(part.jobs, found, strict=True) if "error" in r}

    def _context(self, part: Part) -> FoldContext:
        fold = self.plan.folds[part.jobs[0].fold]
        return FoldContext(self.plan, fold, self.folder, _Details(), self.outlook, self.failed)

    @cached_property
    def _gans(self) -> tuple[Source, Recipe]:
        return as_gans_see(self.plan)


class _Details:
    """A log; what failed is said by whoever asked for the jobs."""

    def line(self, text: str, kind: str = "line") -> None:
        if kind == "detail":
            screen.say(text, kind)


@contextlib.contextmanager
def _alone(folders: Sequence[epath.Path]) -> Iterator[None]:
    """Lock folders; a process of a driver that was killed may need a while to let go of them."""
    end = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as held:
        for folder in dict.fromkeys(folders):
            while True:
                try:
                    held.enter_context(lock.held(folder))
                    break
                except InputError:
                    if time.monotonic() > end:
                        raise
                time.sleep(1)
        yield
