"""Reading by threads, in order."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from jaxgan.system import machine, screen

T = TypeVar("T")
SOME, MANY = 8, 1000  # Images that a thread reads at a time, where there are many for each core.
PAUSE = 4.0  # Seconds between two lines.


def in_threads(function: Callable[[int], T], count: int) -> Iterator[T]:
    """Yield function(0) ... function(count - 1) in order, by threads; show progress after 2 s.

    No more than a few results a thread wait to be fetched. Of many images a thread reads some at
    a time: handing over each costs a tenth of what reading a small one does.
    """
    threads = ThreadPoolExecutor(machine.cores())
    some = SOME if count > MANY * machine.cores() else 1
    parts, ahead = range(0, count, some), max(2, 8 // some) * machine.cores()
    waiting: deque[Future[list[T]]] = deque()
    start = shown = time.monotonic()
    try:
        with screen.stage("reading images", "images") as stage:
            for i in range(ahead + len(parts)):
                if i < len(parts):
                    part = range(parts[i], min(parts[i] + some, count))
                    waiting.append(threads.submit(lambda p=part: [function(k) for k in p]))
                if i < ahead:
                    continue
                yield from waiting.popleft().result()
                now, done = time.monotonic(), min((i - ahead + 1) * some, count)
                stage.at(done, count)
                if not screen.is_live() and now - shown > (2 if shown == start else PAUSE):
                    shown = now
                    rate = f"{done / (now - start):.0f}/s"
                    print(f"images read: {done} of {count} ({rate})", file=sys.stderr)
    finally:
        threads.shutdown(cancel_futures=True)
