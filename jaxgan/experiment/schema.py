"""What `results.json` holds, key by key: format 3.

They are plain dictionaries, as they lie in the file; the types are for those who read them.
Files of earlier formats lack some keys, and those of failed experiments, too: readers that may meet
these ask with `get`.
"""

from typing import Any, NotRequired, TypedDict

Number = Any  # A float, or None where there were too few seeds.


class Sentence(TypedDict):
    """Something that is said with one sentence, and a command where one helps."""

    sentence: str
    command: NotRequired[str]


class Limits(TypedDict):
    """An interval; no ends where there is none."""

    low: Number
    high: Number


class Difference(Limits):
    """The difference of two arms, a minus b."""

    difference: float


class Contrast(Difference):
    """A difference with how it was found; `holm` is the p-value adjusted for all contrasts."""

    a: str
    b: str
    se: Number
    df: Number
    p: Number
    level: float
    holm: NotRequired[float]
    primary: NotRequired[bool]


class Further(Limits):
    """Another interval of the verdict, in a sentence."""

    value: float
    se: Number
    df: Number
    sentence: str
    outcome: NotRequired[str]


class McNemar(TypedDict):
    """McNemar's test of one seed: images that one of two arms alone gets right."""

    fold: int
    seed: int
    only_a: int
    only_b: int
    p: float


class Power(TypedDict):
    """The smallest effect that is found with a probability: by plan, and as observed."""

    probability: float
    assumed: dict[str, float]
    planned: Number
    observed: dict[str, float] | None
    seen: Number


class Verdict(TypedDict):
    """The primary contrast and what it says; without an arm's runs no more than the word."""

    primary: list[str]
    word: str
    sentence: str
    difference: Number
    outcome: str
    margin: Number
    width: Number
    looks: list[int]
    seeds: int
    planned_seeds: int
    folds: int
    low: Number
    high: Number
    level: float
    se: Number
    df: Number
    p: Number
    images: int
    groups: int | None
    gans: int
    conditions: str
    beside: Further
    elsewhere: Further | None
    mcnemar: list[McNemar]
    per_class: dict[str, Difference]
    power: Power


class Recall(Limits):
    """The recall of a class."""

    recall: float


class ArmResult(Limits):
    """What came of an arm; "pictures" are its training images by class and kind."""

    accuracy: float
    description: str
    pictures: dict[str, dict[str, int]]
    augment: bool
    base: NotRequired[str]
    size: int
    ratio: float
    outcomes: dict[str, float]
    seeds: int
    ensemble: Number
    per_class: dict[str, Recall]
    worst_class: dict[str, Any]
    calibration_error: float
    auroc: Number


class Ladder(TypedDict):
    """The best arm, and the cheapest that cannot be told from it."""

    best: str
    cheapest: str
    accuracies: dict[str, float]
    sentence: str


class Best(TypedDict):
    """The arm that `--arm best` takes, and why: see `ensemble.best`."""

    arm: str
    sentence: str


class Guard(TypedDict):
    """A check that the verdict holds; `passed` is None where it was not made."""

    name: str
    passed: bool | None
    sentence: str


class Gate(TypedDict):
    """The GANs' samples beside those of principal components."""

    passed: bool
    sentence: str
    judged: str


class Worth(TypedDict):
    """What an arm is worth in real images."""

    arm: str
    sizes: list[int]
    accuracies: list[float]
    sentence: str


class Data(TypedDict):
    """The images: their folder, what was read and how they were split, by class."""

    path: str
    fingerprint: str
    duplicates: str
    folds: int
    own_sides: NotRequired[bool]  # Folders or a table gave them.
    counts: dict[str, dict[str, int]]


class Curve(TypedDict):
    """A classifier's rows of steps, losses and accuracies."""

    train: list[dict[str, float]]
    validation: list[dict[str, float]]


class Run(TypedDict):
    """A classifier that was tested; `probabilities` are of its fold's test images, by class."""

    arm: str
    seed: int
    steps: int
    best_step: int
    validation_accuracy: float
    test_accuracy: float
    probabilities: list[list[float]]
    curve: Curve
    seconds: float
    fold: int
    gan: int


class FailedRun(TypedDict):
    """A classifier that failed."""

    arm: str
    seed: int
    error: str
    seconds: float
    fold: int


class FailedGenerator(TypedDict):
    """A GAN that failed."""

    name: str
    error: str


class HeldOut(TypedDict):
    """The test images, in the order of each run's probabilities, fold by fold."""

    names: list[str]
    labels: list[int]
    fold: list[int]
    group: list[int] | None


class Cost(TypedDict):
    """What the experiment took: see `report.cost`."""

    hours: dict[str, float]
    devices: list[str]
    pictures: dict[str, int]
    seconds_a_classifier: float
    further_seeds: int
    ensemble: dict[str, Any] | None
    augmentation: dict[str, Any]
    rows: list[dict[str, Any]]
    sentences: list[str]


class Judged(TypedDict):
    """What `analysis.judge` makes of all runs."""

    verdict: Verdict
    arms: dict[str, ArmResult]
    contrasts: list[Contrast]
    ladder: Ladder | None
    worth: Worth | None


class Results(Judged):
    """The whole file.

    Attributes:
        format: its number; it rises with a change that a reader notices.
        jaxgan: the version.
        verdict, arms, contrasts, ladder, worth: see `analysis.judge`.
        best: see `ensemble.best`.
        guards: see `validity.audit.checks`.
        gate: see `validity.gate.about`.
        runs, failed, generators, failed_generators, seconds, ended: see `results.Record`.
        figures: files in the workdir, by kind and class.
        environment: versions and devices.
    """

    format: int
    jaxgan: str
    config: dict[str, Any]
    classes: list[str]
    best: Best
    guards: list[Guard]
    gate: Gate | None
    data: Data
    test: HeldOut
    runs: list[Run]
    failed: list[FailedRun]
    generators: list[dict[str, Any]]
    failed_generators: list[FailedGenerator]
    figures: dict[str, dict[str, str]]
    environment: dict[str, Any]
    seconds: dict[str, float]
    ended: str
    cost: Cost
    next: list[Sentence]
    checksum: NotRequired[str]
