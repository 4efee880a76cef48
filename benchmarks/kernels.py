"""Where a step's time goes: its largest operations, from a trace of JAX's profiler."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from measure import Program

ITERATIONS = 3


def largest(program: Program, count: int) -> list[dict[str, Any]]:
    """Return the operations that take the most time, as rows of figures.

    Args:
        program: warm.
        count: how many.

    Returns:
        Each one's "ms" a step, "rank", "name", "calls" a step and "share" of the time of all. On a
        GPU or TPU these are kernels, by their name. On a CPU, operations by the place in the
        program that they come from, each from its start to its end: some run side by side, so the
        times of all may add up to more than the step's.
    """
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            program.run(ITERATIONS)
        (file,) = Path(folder).rglob("*.xplane.pb")
        data = jax.profiler.ProfileData.from_file(str(file))
    nanoseconds, calls = Counter(), Counter()
    on_device = list(_device_events(data))
    sources = {} if on_device else _sources(program)
    for name, duration in on_device or _host_events(data):
        source = sources.get(name, name)
        nanoseconds[source] += duration
        calls[source] += 1
    whole = sum(nanoseconds.values())
    return [
        {
            "ms": ns / ITERATIONS / 1e6,
            "rank": rank,
            "name": name,
            "calls": calls[name] / ITERATIONS,
            "share": float(f"{ns / whole:.3g}"),
        }
        for rank, (name, ns) in enumerate(nanoseconds.most_common(count), 1)
    ]


def _device_events(data: Any) -> Iterator[tuple[str, float]]:
    for plane in data.planes:
        for line in plane.lines if plane.name.startswith("/device:") else ():
            if line.name.startswith(("Stream", "XLA Ops")):
                yield from ((event.name, event.duration_ns) for event in line.events)


def _host_events(data: Any) -> Iterator[tuple[str, float]]:
    """Operations of XLA's CPU client: one may end later than its event, on another thread."""
    begun, ends = [], {}
    for plane in data.planes:
        for line in plane.lines if plane.name == "/host:CPU" else ():
            for event in line.events:
                stats = dict(event.stats)
                if "hlo_op" in stats:
                    end = event.start_ns + event.duration_ns
                    begun.append((event.name, stats.get("_p"), event.start_ns, end))
                elif event.name.startswith("end: "):
                    ends[stats.get("_c")] = event.start_ns
    for name, number, start, end in begun:
        yield name, ends.get(number, end) - start


def _sources(program: Program) -> dict[str, str]:
    """Return the place in the program that each instruction of the compiled one comes from."""
    pattern = r'^\s*(?:ROOT )?%?([\w.-]+) = .*metadata={[^}]*op_name="([^"]+)"'
    found = re.findall(pattern, program.compiled.as_text(), re.MULTILINE)
    return {name: re.sub(r"^jit\(\w+\)/", "", source) for name, source in found}
