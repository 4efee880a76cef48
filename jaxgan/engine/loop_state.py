"""What the training loop goes by, and what moves with every step."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxgan.engine.checkpoint import Restored
from jaxgan.engine.log import Log
from jaxgan.engine.options import Evaluation, TrainOptions
from jaxgan.engine.progress import Progress
from jaxgan.engine.sharding import Devices
from jaxgan.engine.updates import Updates
from jaxgan.types import PRNGKey, Recipe, State

Evaluate = Callable[[State], Evaluation]
Measure = Callable[[State, int], dict[str, float]]
Found = dict[int, dict[str, float]]  # What evaluations found, by the training.


class Members(NamedTuple):
    """What is trained in one state: a training alone, or several on a leading axis.

    Attributes:
        keys: those of the weights and of the training, one or several of each.
        seeds: from which they are.
        logs: each one's; the first one's has the lines of all.
        part: (state, i) -> the state of training i.
        restore: the latest checkpoint, or None.
        save: (step, state, data, found) -> None; may go on in the background
        wait: until it is done.
        kept: what a user has where a run ends by itself.
        then: what the same command does after a stop.
    """

    keys: tuple[PRNGKey, PRNGKey]
    seeds: Sequence[int]
    logs: Sequence[Log]
    part: Callable[[State, int], State]
    restore: Callable[[State], Restored | None]
    save: Callable[[int, State, dict, Found], None]
    wait: Callable[[], None]
    kept: Callable[[], str]
    then: str = "goes on from there"


class Training(NamedTuple):
    """What stays the same from the first step to the last."""

    recipe: Recipe
    options: TrainOptions
    members: Members
    devices: Devices
    updates: Updates
    evaluate: Evaluate | None
    measure: Measure | None
    stopped: Callable[[], int]
    trace: Callable[[int, State], None]


@dataclasses.dataclass
class LoopState:
    """Where a training is.

    Attributes:
        step: the steps done.
        state: on the devices.
        rolled: how often it was rolled back.
        first, saved: the steps at which it began, and was saved last.
        clock: the time of that.
        progress: since it began.
    """

    step: int
    state: State
    rolled: int
    first: int = 0
    saved: int = 0
    clock: float = 0.0
    progress: Progress = None  # type: ignore[assignment]  # From `begin` on.
