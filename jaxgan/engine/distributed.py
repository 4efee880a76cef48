"""Several hosts: the same program runs on each, as one process or more, and all work together.

Every process has its own devices and its own slice of each batch; process 0 alone prints and
writes. Everything here does nothing, or the obvious, where there is one process only.
"""

import hashlib
import itertools
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

# Private: the public `jax.distributed.initialize()` does not say that there is but one host, and
# nothing public waits without a collective.
from jax._src import distributed
from jax._src.clusters import GceTpuCluster, GkeTpuCluster, SlurmCluster
from jax.experimental import multihost_utils

from jaxgan.types import InputError

START = 60  # Seconds in which all processes must have come.
HEARTBEAT = 30  # Seconds of silence after which a process counts as dead, and the others end.
GRACE = 10  # Seconds that a process which failed waits for the others to fail, too.
ALONE = 7 * 24 * 3600  # Seconds that the others give process 0 for what it does alone.
SENTENCE = 1000  # Bytes of an error that processes tell each other.

Tree = TypeVar("Tree")
_calls = itertools.count(1)
_meetings = itertools.count(1)


def cluster() -> Any:
    """Return the pod or Slurm step of several processes that this one belongs to, as JAX sees it,
    or None.

    A lone TPU host or Slurm task is none; nor is a shell in an allocation for several tasks.
    """
    if os.environ.get("SLURM_STEP_NUM_TASKS") == "1":
        return None
    try:
        envs = (SlurmCluster, GkeTpuCluster, GceTpuCluster)
        env = next((env for env in envs if env.is_env_present()), None)
        return env if env is not None and env.get_process_count() > 1 else None
    except OSError:  # A TPU without Google's metadata server is in no pod.
        return None


def start(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Join the processes of several hosts; call it before anything asks JAX for devices.

    Args:
        coordinator: HOST:PORT where process 0 runs; without it a Cloud TPU pod or a Slurm step is
            looked for, and where there is neither this process is the only one.
        num_processes: how many there are.
        process_id: which of them this is, from 0.

    Ends the program with a sentence and exit code 1 where they do not all come within `START`
    seconds. Other processes than the first print errors only.
    """
    method = "deactivate"
    if coordinator is None:
        found = cluster()
        if found is None:
            return
        method, process_id = found.name, found.get_process_id()
        num_processes = found.get_process_count()
        port = os.environ.get("JAX_COORDINATOR_PORT")
        coordinator = found.get_coordinator_address(START, port)

    address = str(coordinator)

    def give_up() -> None:
        name = Path(sys.argv[0]).name
        print(f"{name}: {_absent(address, num_processes, process_id)}", file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)

    if process_id:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Gloo prints from C++.
        logging.disable(logging.WARNING)
    timer = _timer(START, give_up)  # JAX aborts the process where its own time is up.
    jax.distributed.initialize(
        coordinator,
        num_processes,
        process_id,
        cluster_detection_method=method,
        initialization_timeout=10 * START,
        heartbeat_timeout_seconds=HEARTBEAT,
    )
    timer.cancel()


def _absent(coordinator: str, num_processes: int | None, process_id: int | None) -> str:
    host, _, port = coordinator.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except OSError:
        return (
            f"the coordinator must answer within {START} s, and {coordinator} did not: process 0 "
            f"must run there, with this port open"
        )
    return (
        f"all {num_processes} processes must start within {START} s, and not all of them came to "
        f"{coordinator}; this is process {process_id}"
    )


def _timer(seconds: float, ring: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    return timer


def end_soon(code: int) -> None:
    """End this process within `GRACE` seconds: its exit waits for others that may never come."""
    if jax.distributed.is_initialized():
        _timer(GRACE, lambda: os._exit(code))


@contextmanager
def agreed() -> Iterator[None]:
    """What one process refuses, all refuse: all processes wait for each other at the end of it.

    Raises:
        InputError: of this process; or else, with its number, of the first that has one.
    """
    mine = None
    try:
        yield
    except (InputError, OSError) as error:
        mine = error
    said = np.frombuffer(str(mine or "").encode()[:SENTENCE].ljust(SENTENCE, b"\0"), np.uint8)
    everyone = multihost_utils.process_allgather(said).reshape(-1, SENTENCE)
    if mine is not None:
        raise mine
    for i, said in enumerate(everyone):
        text = said.tobytes().rstrip(b"\0").decode(errors="ignore")
        if text:
            raise InputError(f"process {i}: {text}")


def check_same(**texts: str) -> None:
    """Raise InputError, on all processes, where a process has another text than process 0."""
    mine = [hashlib.sha256(text.encode()).digest() for text in texts.values()]
    mine = np.frombuffer(b"".join(mine), np.uint8).reshape(len(texts), -1)
    everyone = multihost_utils.process_allgather(mine).reshape(-1, *mine.shape)
    for i, name in np.argwhere((everyone != everyone[0]).any(-1)):
        raise InputError(
            f"all processes must have process 0's {list(texts)[name]}, and process {i} has not"
        )


def meet() -> None:
    """Wait for all processes, however long process 0 works alone; a dead one is noticed as ever.

    To be called before the next step: a CPU's collectives give up after half an hour of waiting.
    """
    if jax.process_count() > 1:
        client: Any = distributed.global_state.client
        client.wait_at_barrier(f"jaxgan_meeting_{next(_meetings)}", ALONE * 1000)


def from_first(tree: Tree) -> Tree:
    """Process 0's arrays on all processes, to the bit, as NumPy's; all have the same shapes."""
    if jax.process_count() == 1:
        return tree
    leaves, structure = jax.tree.flatten(jax.tree.map(np.asarray, tree))
    # As bytes: JAX broadcasts by adding zeros, which loses a zero's sign.
    packed = np.frombuffer(b"".join(x.tobytes() for x in leaves), np.uint8)
    packed = multihost_utils.broadcast_one_to_all(packed)
    parts = np.split(packed, np.cumsum([x.nbytes for x in leaves])[:-1])
    pairs = zip(parts, leaves, strict=True)
    return jax.tree.unflatten(
        structure, [np.frombuffer(p.tobytes(), x.dtype).reshape(x.shape) for p, x in pairs]
    )


@contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """SIGTERM, SIGHUP and Ctrl-C are noted, and answered between two steps; a second Ctrl-C is not.

    Yields:
        What returns the signal's number, or 0; to be called after every step. Where there are
        several processes, a signal to one of them is answered by all of them after the same step.
    """
    several = jax.distributed.is_initialized()
    caught: list[int] = []

    def note(number: int, frame: Any) -> None:
        if caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        caught.append(number)
        if several:
            os.kill(os.getpid(), signal.SIGTERM)

    def stopped() -> int:
        # Not the step: a signal before the first call is answered at call 1.
        if several and not multihost_utils.reached_preemption_sync_point(next(_calls)):
            return 0
        return caught[0] if caught else several * signal.SIGTERM

    mine = threading.current_thread() is threading.main_thread()  # Others get no signals.
    # JAX's own handler of SIGTERM tells the other processes, and all agree on a step.
    noted = [signal.SIGINT, signal.SIGHUP] + [signal.SIGTERM] * (not several)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # By nohup.
        noted.remove(signal.SIGHUP)
    before = {s: signal.signal(s, note) for s in noted if mine}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
