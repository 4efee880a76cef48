"""Reading by threads, in order."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from jaxgan.system import machine, screen

T = TypeVar("T")
PAUSE = 4.0  # Seconds between two lines.


def in_threads(function: Callable[[int], T], count: int) -> Iterator[T]:
    """Yield function(0) ... function(count - 1) in order, by threads; show progress after 2 s.

    No more than a few results a thread wait to be fetched.
    """
    threads = ThreadPoolExecutor(machine.cores())
    ahead = 8 * machine.cores()
    waiting: deque[Future[T]] = deque()
    start = shown = time.monotonic()
    try:
        with screen.stage("reading images", "images") as stage:
            for i in range(ahead + count):
                if i < count:
                    waiting.append(threads.submit(function, i))
                if i < ahead:
                    continue
                yield waiting.popleft().result()
                now, done = time.monotonic(), i - ahead + 1
                stage.at(done, count)
                if not screen.is_live() and now - shown > (2 if shown == start else PAUSE):
                    shown = now
                    rate = f"{done / (now - start):.0f}/s"
                    print(f"images read: {done} of {count} ({rate})", file=sys.stderr)
    finally:
        threads.shutdown(cancel_futures=True)
