"""One experiment in several processes, on other devices or hosts: each does its share of the work.

They have nothing in common but the workdir, where each finds what the others have finished.
"""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from etils import epath

from jaxgan.errors import InputError
from jaxgan.system import lock, sealed

T = TypeVar("T")
POLL = 2.0  # Seconds between two looks for another's result.
BEAT = 10.0  # Seconds between two signs of life.
SILENCE = 60.0  # Seconds without one, after which whoever waits says so.
STARTED = int(time.time())  # Errors of an earlier attempt do not count; epath's times are whole.


class Share(NamedTuple):
    """Which pieces of work are this process's.

    Attributes:
        index: of the process.
        count: of processes.
        workers: folder of their signs of life; None: there are none.
    """

    index: int = 0
    count: int = 1
    workers: epath.Path | None = None

    def order(self, jobs: Iterable[T]) -> list[tuple[int, T]]:
        """Numbered jobs; this process's come first, so that it waits for others last."""
        return sorted(enumerate(jobs), key=lambda job: not self._mine(job[0]))

    def once(self, number: int, file: epath.Path, work: Callable[[], dict]) -> dict:
        """Return the result kept in `file`, or that of `work`, kept there from now on.

        Where the job of this number is another process's, its result is waited for.

        Its "seconds" are those of all attempts: where `work` fails or is interrupted they are kept
        beside `file`. A kill -9 loses those of the attempt that it ends.

        Raises:
            InputError: another process failed with it.
        FileError: what is kept is damaged.
        """
        if file.exists():
            return _read(file)
        wrong = file.with_name(file.name + ".error")
        if not self._mine(number):
            return self._wait(number, file, wrong)
        wrong.unlink(missing_ok=True)
        spent, before = file.with_name(file.name + ".seconds"), self.spent(file)
        begin = time.perf_counter() - before
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            result = work()
        except BaseException as error:
            with contextlib.suppress(OSError):  # A full disk must not hide an interruption.
                sealed.save(spent, {"seconds": round(time.perf_counter() - begin, 3)})
            if self.count > 1 and isinstance(error, Exception):
                with contextlib.suppress(OSError):
                    sealed.write(wrong, f"{error}\n")
            raise
        own = result.get("seconds")  # Of one of several that were trained at once.
        took = time.perf_counter() - begin if own is None else before + own
        result["seconds"] = round(took, 1)
        sealed.save(file, result)
        spent.unlink(missing_ok=True)
        return result

    def spent(self, file: epath.Path) -> float:
        """Return seconds of the attempts at `file` that failed or were interrupted."""
        kept = file.with_name(file.name + ".seconds")
        return float(_read(kept).get("seconds", 0)) if kept.exists() else 0.0

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Meanwhile gives the others a sign of life every `BEAT` seconds: a file in `workers`."""
        if self.workers is None or self.count == 1:
            yield
            return
        file, done = self.workers / str(self.index), threading.Event()
        file.parent.mkdir(parents=True, exist_ok=True)
        _beat(file)

        def beats() -> None:
            while not done.wait(BEAT):
                _beat(file)

        thread = threading.Thread(target=beats, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    @contextlib.contextmanager
    def locked(self, folder: epath.Path) -> Iterator[None]:
        """Meanwhile no other process does this share in a folder, nor any the whole.

        Raises:
            InputError: another one is at it.
        """
        with contextlib.ExitStack() as held:
            held.enter_context(lock.held(folder, shared=self.count > 1))
            if self.count > 1:
                held.enter_context(lock.held(folder / "workers", f"{self.index}.lock"))
            yield

    def _mine(self, number: int) -> bool:
        return number % self.count == self.index

    def _wait(self, number: int, file: epath.Path, wrong: epath.Path) -> dict:
        other = number % self.count
        print(f"waiting for {file} of worker {other}", flush=True)
        # The times of files, all by one clock: those of two hosts may differ.
        mine, its = (self.workers and self.workers / str(i) for i in (self.index, other))
        begin, told = _time(mine), False
        while not file.exists():
            if wrong.exists() and _time(wrong) >= _started(its, begin):
                raise InputError(wrong.read_bytes().decode(errors="replace").strip())
            silent = _time(mine) - max(begin, _time(its)) > SILENCE
            if silent and not told:
                print(
                    f"worker {other} of {self.count} has not been heard of for {SILENCE:.0f} s: "
                    f"if it is not running, start it with --worker {other}/{self.count}",
                    flush=True,
                )
            told = silent
            time.sleep(POLL)
        return _read(file)


def _read(file: epath.Path) -> dict:
    """Return what a stage left; without it the same command does that stage again, to the same
    result.
    """
    return sealed.load(file, f"delete {file} and run the same command again")


def _beat(file: epath.Path) -> None:
    with contextlib.suppress(OSError):  # The next one may come through.
        sealed.write(file, f"{STARTED}\n")


def _started(file: epath.Path | None, begin: float) -> int:
    """Return the time from which errors of the process of `file` count: where it lives, its own
    start.
    """
    if file and _time(file) > begin:
        with contextlib.suppress(ValueError):
            return min(STARTED, int(file.read_text()))
    return STARTED


def _time(file: epath.Path | None) -> float:
    """When a file was written; 0 where there is none."""
    return file.stat().mtime if file and file.exists() else 0.0


def parse(text: str) -> Share:
    """Read K/N: the share of worker K of N, counted from 0."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    index, count = map(int, found.groups()) if found else (0, 0)
    if index >= count:
        raise InputError(f"--worker must be K/N with K from 0 to N - 1, like 0/4, got {text!r}")
    return Share(index, count)
