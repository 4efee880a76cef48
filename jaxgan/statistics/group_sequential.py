"""Stopping seeds early: looks at the interval on the way, paid for by wider intervals.

The error allowed, alpha = 1 - level, is spent over the looks, twice as much at each as at the one
before: with looks after 3, 5 and 10 seeds at 95 % the intervals have 99.3, 98.6 and 97.1 %. They
cover together with probability 95 % by Bonferroni's inequality, whatever depends on whatever, so
that one may stop at any look and for any reason: the interval of that look is the one to report.

References:
    Lan, DeMets, Discrete sequential boundaries for clinical trials, 1983 (spending alpha).
    Jennison, Turnbull, Group Sequential Methods, 2000, chapter 9 (repeated intervals).
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from jaxgan.statistics.clusters import Groups
from jaxgan.statistics.crossed import Interval, paired_difference
from jaxgan.statistics.variance_components import Tables, as_tables
from jaxgan.types import InputError

FIRST = 2  # From this many seeds up there is an interval.


def check_looks(looks: Sequence[int], seeds: int) -> None:
    """Raise InputError unless looks rise strictly from at least 2 to below the number of seeds."""
    rising = all(a < b for a, b in itertools.pairwise(looks))
    if looks and not (rising and looks[0] >= FIRST and looks[-1] < seeds):
        raise InputError(
            f"verdict.looks must be rising numbers of seeds from {FIRST} to below {seeds}, the "
            f"number of seeds, got {tuple(looks)}"
        )


def level_at(done: int, looks: Sequence[int], seeds: int, level: float = 0.95) -> float:
    """Return the level of the interval after `done` of `seeds` seeds, the last look being at the
    end.

    Between looks it is that of the next one.
    """
    ends = [*looks, seeds]
    share = 2.0 ** np.arange(len(ends))
    at = min(int(np.searchsorted(ends, done)), len(ends) - 1)
    return float(1 - (1 - level) * share[at] / share.sum())


def decided(
    a: Tables | np.ndarray,
    b: Tables | np.ndarray,
    looks: Sequence[int],
    seeds: int,
    level: float = 0.95,
    *,
    decides: Callable[[Interval], bool],
    others: Sequence[Tables | np.ndarray] = (),
    groups: Groups | None = None,
) -> bool:
    """Return whether to stop now: so many seeds are a look, and its interval gives a verdict.

    Args:
        a: [seeds so far, images] of each fold, of the primary contrast's first arm.
        b: the same of its second.
        looks: numbers of seeds in each fold to look after.
        seeds: planned in each fold.
        level: probability that the reported interval covers, whenever one stops.
        decides: whether an interval gives a verdict.
        others: as in `crossed.paired_difference`.
        groups: likewise.
    """
    done = min(len(t) for t in as_tables(a))
    if done not in looks:
        return False
    at = level_at(done, looks, seeds, level)
    return decides(paired_difference(a, b, at, others, groups=groups))
