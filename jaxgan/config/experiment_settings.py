"""The sections of an experiment: see `settings`."""

from jaxgan.config.fields import (
    BETWEEN,
    SOME,
    maybe,
    positive,
    section,
    several,
    text,
    whole,
)
from jaxgan.config.names import OUTCOMES, SELECTED_BY
from jaxgan.config.settings import SPLIT, Data


@section
class ExperimentData(Data):
    split: tuple[float, float, float] = SPLIT
    folds: int = whole(1, 1000)
    subset: float = SOME


@section
class Replace:
    share: float = SOME
    classes: tuple[str, ...] = several(text(), 0, 100_000)


@section
class Add:
    ratio: float = positive(1000.0)
    amounts: tuple[float, ...] = several(positive(1000.0), 0, 100)


@section
class Select:
    by: str = text(*SELECTED_BY)
    surplus: int = whole(1, 1000)


@section
class Verdict:
    primary: tuple[str, str] = several(text(), 2, 2)
    outcome: str = text(*OUTCOMES)
    level: float = BETWEEN
    margin: float | None = maybe(BETWEEN)
    width: float | None = maybe(BETWEEN)
    looks: tuple[int, ...] = several(whole(1, 1000))
