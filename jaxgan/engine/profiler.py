"""Traces of a few steps, for TensorBoard's profiler."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import jax

from jaxgan.engine.log import Log


@contextmanager
def tracer(steps: range, log: Log) -> Iterator[Callable[[int, Any], None]]:
    """Yield before(step, state), to be called before each step: it begins and ends the trace.

    Args:
        steps: those to trace, as far as this run comes to them.
        log: whose run folder gets the trace, from the first process of several.
    """
    steps = steps if jax.process_index() == 0 else range(0)
    traced: list[int] = []
    running, mark = False, ExitStack()

    def stop() -> None:
        jax.profiler.stop_trace()
        log.flush()
        log.line(
            f"steps {traced[0]:,} to {traced[-1]:,} were traced: tensorboard --logdir {log.folder} "
            f"shows them under Profile (after pip install xprof)"
        )

    def before(step: int, state: Any) -> None:
        nonlocal running
        mark.close()
        if (step in steps) != running:
            jax.block_until_ready(state)  # The steps before are not in it, and its own are.
            stop() if running else jax.profiler.start_trace(log.here / "tensorboard")
            running = not running
        if running:
            traced.append(step)
            mark.enter_context(jax.profiler.StepTraceAnnotation("train", step_num=step))

    try:
        yield before
    finally:
        mark.close()
        if running:
            stop()
        elif steps and not traced:
            log.line(f"no trace: this run did not come to steps {steps[0]:,} to {steps[-1]:,}")
