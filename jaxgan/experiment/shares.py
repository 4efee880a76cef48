"""One experiment in several processes, on other devices or hosts: each does its share of the work.

They have nothing in common but the workdir, where each finds what the others have finished.
"""

import json
import re
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

from etils import epath

from jaxgan import config as configs
from jaxgan.errors import InputError

T = TypeVar("T")
POLL = 2.0  # Seconds between two looks for another's result.
STARTED = time.time()  # Errors of an earlier attempt do not count.


class Share(NamedTuple):
    """Which pieces of work are this process's.

    Attributes:
        index: of the process.
        count: of processes.
    """

    index: int = 0
    count: int = 1

    def order(self, jobs: Iterable[T]) -> list[tuple[int, T]]:
        """Numbered jobs; this process's come first, so that it waits for others last."""
        return sorted(enumerate(jobs), key=lambda job: not self._mine(job[0]))

    def once(self, number: int, file: epath.Path, work: Callable[[], dict]) -> dict:
        """The result kept in `file`, or that of `work`, kept there from now on.

        Where the job of this number is another process's, its result is waited for.

        Raises:
            InputError: another process failed with it.
        """
        if file.exists():
            return json.loads(file.read_text())
        wrong = file.with_name(file.name + ".error")
        if not self._mine(number):
            return self._wait(number, file, wrong)
        wrong.unlink(missing_ok=True)
        begin = time.perf_counter()
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            result = work()
        except Exception as error:
            if self.count > 1:
                configs.write(wrong, f"{error}\n")
            raise
        result.setdefault("seconds", round(time.perf_counter() - begin, 1))
        configs.write(file, json.dumps(result) + "\n")
        return result

    def _mine(self, number: int) -> bool:
        return number % self.count == self.index

    def _wait(self, number: int, file: epath.Path, wrong: epath.Path) -> dict:
        print(f"waiting for {file} of worker {number % self.count}", flush=True)
        while not file.exists():
            if wrong.exists() and wrong.stat().mtime >= STARTED:
                raise InputError(wrong.read_text().strip())
            time.sleep(POLL)
        return json.loads(file.read_text())


def parse(text: str) -> Share:
    """Reads K/N: the share of worker K of N, counted from 0."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    index, count = map(int, found.groups()) if found else (0, 0)
    if index >= count:
        raise InputError(f"--worker must be K/N with K from 0 to N - 1, like 0/4, got {text!r}")
    return Share(index, count)
