"""Processes that scan parts. What they import is little: they start in half a second."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import connection
from typing import Any, NamedTuple

from jaxgan.data.prepare import scan
from jaxgan.errors import InputError
from jaxgan.system import machine

Say = Callable[[str], None]
# As `scan_all`, of certain workers.
ReadAll = Callable[[Sequence[int], Callable[[int], tuple], int, Say], None]
AHEAD = 2  # Tasks that wait for each worker.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_count: Any = None  # In a worker: the images done by all of them.


class Workers(NamedTuple):
    """As many processes as there are cores; none where there is one core."""

    pool: ProcessPoolExecutor | None
    count: Any


@contextmanager
def workers() -> Iterator[Workers]:
    """Start the processes, which come up while the caller goes on, and end them."""
    if machine.cores() == 1:
        yield Workers(None, None)
        return
    context = multiprocessing.get_context("spawn")  # Others do not go with JAX's threads.
    count = context.Value("q", 0)
    pool = ProcessPoolExecutor(machine.cores(), context, _begin, (count,))
    # They never hear of Ctrl-C, not even before `_begin`: the parent ends them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    with _alone():
        for _ in range(machine.cores()):
            pool.submit(int)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield Workers(pool, count)
    finally:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        # Python's own end of a pool whose thread still lives may fail on a closed pipe.
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _alone() -> Iterator[None]:
    """Processes that start here have a thread for numpy's products each, and no script.

    They are as many as the cores: more threads would only wait for each other. The script is of no
    use to them, and takes a tenth of a second.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    script = vars(sys.modules["__main__"])
    file = script.pop("__file__", None)
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        if file is not None:
            script["__file__"] = file


def progress(pictures: int, say: Say) -> Callable[[int, float], None]:
    """Say how many are done, how fast, and how long the rest takes.

    Args:
        pictures: in all.
        say: takes a line.

    Returns:
        A function of how many are done and how many seconds there shall be between lines.
    """
    start = told = time.monotonic()

    def tell(done: int, pause: float) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= pause:
            told, rate = now, done / max(now - start, 1e-3)
            eta = (pictures - done) / rate if rate else 0
            say(f"{done:,} of {pictures:,} images  {rate:,.0f}/s  eta {eta:,.0f} s")

    return tell


def scan_all(
    those: Workers, todo: Sequence[int], task: Callable[[int], tuple], pictures: int, say: Say
) -> None:
    """Does the tasks, and tells how far it is.

    Args:
        those: who does it.
        todo: the parts.
        task: the arguments of `scan.scan` for one of them; made when it is its turn.
        pictures: in all of them.
        say: takes a line of progress.

    Raises:
        InputError: a process was ended from outside.
        OSError: a disk that is full or read-only.
    """
    pause = 1 if sys.stderr.isatty() else 10
    tell = progress(pictures, say)
    if those.pool is None or len(todo) < 2:
        done = 0
        for part in todo:
            arguments = task(part)
            scan.scan(*arguments)
            done += len(arguments[1])
            tell(done, 0 if done == pictures else pause)
        return
    left = iter(todo)
    pending: set[Future] = set()
    try:
        while True:
            for part in islice(left, AHEAD * machine.cores() - len(pending)):
                pending.add(those.pool.submit(_do, task(part)))
            if not pending:
                break
            finished, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
            tell(those.count.value, pause)
        tell(those.count.value, 0)
    except BrokenProcessPool as error:
        raise InputError(
            "a process that reads images was ended from outside, perhaps for lack of memory; "
            "what was finished is kept: run the same again"
        ) from error


def _begin(count: Any) -> None:
    global _count
    _count = count
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent ends this process.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def die_with_it() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=die_with_it, daemon=True).start()


def _do(task: tuple) -> None:
    scan.scan(*task, count=_count)
