"""A trace holds the steps that were asked for, as far as the run comes to them."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from jaxgan.engine.log import Log
from jaxgan.engine.profiler import tracer


def run(folder: Path, profile: range, steps: range, stop: int = 0) -> None:
    square: Callable = jax.jit(lambda x: x @ x)
    state = jnp.eye(4)
    with Log(folder) as log, tracer(profile, log) as trace:
        for step in steps:
            trace(step, state)
            state = square(state)
            if step == stop:
                raise KeyboardInterrupt


def traced(folder: Path) -> int:
    """How many steps are in the trace, by the marks that TensorBoard's profiler goes by."""
    count = 0
    for file in folder.glob("tensorboard/plugins/profile/*/*.xplane.pb"):
        data = jax.profiler.ProfileData.from_file(str(file))  # Whose parts do not keep it alive.
        for plane in data.planes:
            for line in plane.lines:
                # The marks' numbers stay unread: JAX 0.12 aborts there.
                count += sum(event.name == "train" for event in line.events)
    return count


@pytest.mark.parametrize(
    ("profile", "steps", "expected"),
    [
        (range(3, 5), range(1, 8), [3, 4]),
        (range(6, 12), range(1, 8), [6, 7]),  # It ends with the run,
        (range(2, 6), range(5, 8), [5]),  # and begins where the run goes on.
    ],
)
def test_the_steps_in_a_trace(tmp_path: Path, profile: range, steps: range, expected) -> None:
    run(tmp_path, profile, steps)
    assert traced(tmp_path) == len(expected)
    text = (tmp_path / "log.txt").read_text()
    assert f"steps {expected[0]} to {expected[-1]} were traced: tensorboard --logdir" in text


@pytest.mark.parametrize("profile", [range(0), range(1, 3), range(9, 12)])
def test_no_trace_of_steps_that_are_not_run(tmp_path: Path, profile: range) -> None:
    run(tmp_path, profile, range(5, 8))
    assert traced(tmp_path) == 0 and not (tmp_path / "tensorboard" / "plugins").exists()
    told = tmp_path / "log.txt"
    assert ("no trace" in told.read_text()) if profile else not told.exists()


def test_an_object_store_gets_the_trace(store, tmp_path: Path) -> None:
    run("gs://bucket/run", range(3, 5), range(1, 8))  # type: ignore[arg-type]
    store.get("gs://bucket/run/tensorboard", str(tmp_path / "tensorboard"), recursive=True)
    assert traced(tmp_path) == 2


def test_a_run_that_is_stopped_leaves_its_trace(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, range(2, 9), range(1, 8), stop=3)
    assert traced(tmp_path) == 2
    with jax.profiler.trace(tmp_path / "next"):  # Which is an error where one goes on.
        pass
