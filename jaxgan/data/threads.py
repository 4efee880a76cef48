"""Reading by threads, in order."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from jaxgan.system import machine

T = TypeVar("T")


def in_threads(function: Callable[[int], T], count: int) -> Iterator[T]:
    """Yield function(0) ... function(count - 1) in order, by threads; show progress after 2 s.

    No more than a few results a thread wait to be fetched.
    """
    threads = ThreadPoolExecutor(machine.cores())
    ahead = 8 * machine.cores()
    waiting: deque[Future[T]] = deque()
    start = shown = time.monotonic()
    pause = 0.5 if sys.stderr.isatty() else 10
    end = "\r" if sys.stderr.isatty() else "\n"
    try:
        for i in range(ahead + count):
            if i < count:
                waiting.append(threads.submit(function, i))
            if i < ahead:
                continue
            yield waiting.popleft().result()
            now, done = time.monotonic(), i - ahead + 1
            if now - start > 2 and (now - shown > pause or shown == start):
                shown = now
                rate = f"{done / (now - start):.0f}/s"
                print(f"pictures read: {done} of {count} ({rate})", end=end, file=sys.stderr)
    finally:
        threads.shutdown(cancel_futures=True)
        if shown > start and end == "\r":
            print(file=sys.stderr)
