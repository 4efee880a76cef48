"""How long the rest of an experiment takes, and what it is at, for the terminal's live line."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from etils import epath

from jaxgan.experiment.design.jobs import Job
from jaxgan.system import screen

TIMED = ("gan", "samples", "classifier")


class RemainingTime:
    """Titles of jobs, and the seconds of open ones, which follow from those of finished ones.

    Args:
        jobs: all of the experiment.
        folder: its workdir.
        ends: `time.perf_counter()` when a budget is over; None: there is none.
    """

    def __init__(self, jobs: Sequence[Job], folder: epath.Path, ends: float | None = None):
        kept = {None, "pca"}  # Samples of folders stay in memory.
        self._jobs = [job for job in jobs if job.kind in TIMED and job.key.source in kept]
        self._folder, self._ends, self._folds = folder, ends, len({job.fold for job in jobs})
        self._took: dict[str, list[tuple[float, int]]] = defaultdict(list)
        self._done: set[str] = set()

    def finished(self) -> tuple[int, int]:
        """Return how many jobs have a result from before, and how many there are."""
        self._done |= {j.output for j in self._jobs if (self._folder / j.output).exists()}
        return self.count()

    def count(self) -> tuple[int, int]:
        """Return how many jobs are known to be done, and how many there are."""
        return sum(job.output in self._done for job in self._jobs), len(self._jobs)

    @contextmanager
    def doing(self, job: Job, name: str) -> Iterator[None]:
        """Show a job while it is done, and say in a line how it went.

        Args:
            job: one of the jobs, or one beside them.
            name: of what is trained or generated.
        """
        title = f"{name}{self.number(job)}"
        with screen.stage(title, left=lambda: self._left(job)) as stage:
            yield
            seconds = time.monotonic() - stage.begin
        self._took[job.kind].append((max(0.0, seconds - stage.once), _size(job)))
        self._done.add(job.output)
        how = f"{job.steps:,} steps in " if job.steps else ""
        words = f"  {stage.words}" if stage.words else ""
        screen.say(f"{title}: {how}{screen.duration(seconds)}{words}", "summary")

    def note(self, job: Job, seconds: float) -> None:
        """Note that a job was done elsewhere."""
        self._took[job.kind].append((seconds, _size(job)))
        self._done.add(job.output)

    def left(self, at_once: int) -> float | None:
        """Return the seconds that so many jobs at once take for what is open; None: unknown."""
        open_jobs = [job for job in self._jobs if job.output not in self._done]
        if any(job.kind not in self._took for job in open_jobs):
            return None
        longest = max((self._takes(job) for job in open_jobs), default=0.0)
        return max(longest, sum(map(self._takes, open_jobs)) / at_once)

    def _takes(self, job: Job) -> float:
        """Return the seconds of a job, by those of its kind that are done."""
        took = self._took[job.kind]
        return sum(s for s, _ in took) / sum(size for _, size in took) * _size(job)

    def number(self, job: Job) -> str:
        """Return " 2/2": of a fold's GANs, and of all classifiers unless time ends them."""
        if job.kind == "samples":
            return ""
        alike = [one for one in self._jobs if one.kind == job.kind]
        if job.kind == "gan":
            alike = [one for one in alike if one.fold == job.fold]
        if job not in alike or (self._ends is not None and job.kind != "gan"):
            return ""
        comma = "" if job.kind == "gan" else ","
        return f"{comma} {alike.index(job) + 1}/{len(alike)}"

    def _left(self, now: Job) -> float | str:
        if self._ends is not None:
            return f"{screen.duration(max(0.0, self._ends - time.perf_counter()))} in all"
        seconds, unknown, count = 0.0, False, 0
        for job in self._jobs:
            if job.output in self._done or job == now:
                continue
            count += 1
            if job.kind in self._took:
                seconds += self._takes(job)
            else:
                unknown = True
        if unknown:
            return f"then {count} jobs"
        return seconds if count else ""


def _size(job: Job) -> int:
    return max(1, job.steps or job.images)
