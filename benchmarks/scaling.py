"""What more devices, or more processes, cost for the same global batch.

    python benchmarks/scaling.py --config F [--config.a.b=v] --devices 1,2,4,8 [--processes 1,2]

Each count is a program of its own; they stay warm and take turns. On a CPU the devices are made up
(XLA's), so all share the same cores: the ideal overhead is 1. On GPUs the first N are used. Prints
one JSON object per figure.
"""

import os
import socket
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from typing import NamedTuple

import measure
from absl import flags
from measure import FLAGS, report

from jaxgan.cli import command
from jaxgan.engine import distributed
from jaxgan.types import InputError

measure.define_flags()
command.host_flags()
flags.DEFINE_list("devices", ["1", "2", "4", "8"], "Counts of devices.")
flags.DEFINE_list("processes", ["1"], "Counts of processes among which the devices are shared out.")
flags.DEFINE_bool("contender", False, "Internal: take turns as standard input says.")


ANSWER = "seconds "


class Contender(NamedTuple):
    devices: int
    processes: list[subprocess.Popen]


def main() -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    config, name = measure.read_config()
    if FLAGS.contender:
        return take_turns(measure.build(config))
    about = measure.describe(config, name)
    counts = [(d, p) for p in _numbers("processes") for d in _numbers("devices") if d % p == 0]
    contenders = []
    try:
        for count in counts:
            contenders.append(start(*count))
            _turn(contenders[-1])  # Waits until it is warm.
        times = [[_turn(each) for each in contenders] for _ in range(FLAGS.rounds)]
    finally:
        end([process for each in contenders for process in each.processes])
    first = statistics.median(turn[0] for turn in times)
    for each, seconds in zip(contenders, zip(*times, strict=True), strict=True):
        more = {"devices": each.devices, "processes": len(each.processes)}
        median = statistics.median(seconds)
        bounds = {"low": min(seconds) * 1e3, "high": max(seconds) * 1e3, "rounds": len(seconds)}
        report(about, "ms_per_step", median * 1e3, "ms", **more, **bounds)
        report(about, "overhead", median / first, "1", **more)


def start(devices: int, processes: int) -> Contender:
    """Start a program for these devices, shared out among so many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    each = devices // processes
    xla = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={each}"
    started = []
    for i in range(processes):
        visible = ",".join(str(i * each + j) for j in range(each))
        env = os.environ | {"XLA_FLAGS": xla.strip(), "CUDA_VISIBLE_DEVICES": visible}
        host = [f"--coordinator={coordinator}", f"--num_processes={processes}", f"--process_id={i}"]
        command_line = [sys.executable, *sys.argv, "--contender", *(host if processes > 1 else [])]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command_line, env=env, **pipes))
    return Contender(devices, started)


def end(processes: list[subprocess.Popen]) -> None:
    """The end of its input ends each; those of several hosts wait for each other."""
    for process in processes:
        with suppress(BrokenPipeError):
            process.stdin.close()
    for process in processes:
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def _turn(contender: Contender) -> float:
    """Let it take a turn; the seconds of one iteration."""
    with suppress(BrokenPipeError):
        for process in contender.processes:
            process.stdin.write("go\n")
            process.stdin.flush()
    for line in contender.processes[0].stdout:  # JAX's network library prints there, too.
        if line.startswith(ANSWER):
            return float(line.removeprefix(ANSWER))
    raise InputError(f"{contender.devices} devices did not start: see above")


def take_turns(program: measure.Program) -> None:
    """Run one turn for each line that comes in, and print the seconds of an iteration."""
    program.run(1)
    start = time.perf_counter()
    program.run(1)
    count = FLAGS.seconds / (time.perf_counter() - start)
    count = max(1, round(float(distributed.from_first(count))))  # All processes run as many.
    for _ in sys.stdin:
        start = time.perf_counter()
        program.run(count)
        print(f"{ANSWER}{(time.perf_counter() - start) / count}", flush=True)


def _numbers(flag: str) -> list[int]:
    values = FLAGS[flag].value
    if not all(value.isdecimal() and int(value) for value in values):
        raise InputError(f"--{flag} must be whole numbers above 0, got {','.join(values)}")
    return [int(value) for value in values]


if __name__ == "__main__":
    command.run(main)
