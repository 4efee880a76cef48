"""Groups: images that stay on one side, in splits, folds, prepared sets, guards and intervals."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan.config import loading as configs
from jaxgan.data import folds, groups, layout, splits
from jaxgan.data import prepared as records
from jaxgan.data.duplicates import sentence
from jaxgan.data.folder import FolderSource
from jaxgan.data.given_splits import to_learn_from
from jaxgan.data.grouped_split import kept_together
from jaxgan.data.loader import Subset, open_source
from jaxgan.data.prepare.decode import Options
from jaxgan.data.prepare.options import Request
from jaxgan.data.prepare.pipeline import prepared
from jaxgan.data.tables import Tables
from jaxgan.errors import InputError
from jaxgan.experiment import pipeline
from jaxgan.experiment.stages import classify
from jaxgan.experiment.validity import grouped
from jaxgan.statistics import clusters, variance_components
from jaxgan.statistics.crossed import crossed_interval, p_value, paired_difference
from jaxgan.training import run


def draw(root: Path, names: list[str]) -> Path:
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(root / name)
    return root


PATIENTS = [f"{c}/p{p:02d}_{i}.png" for c in ("ill", "well") for p in range(12) for i in range(4)]


def patient(name: str) -> str:
    return name.partition("/")[2].partition("_")[0]


def by_table(root: Path) -> str:
    rows = "".join(f"{name},{patient(name)}\n" for name in PATIENTS)
    (root / "patients.csv").write_text("File,Patient\n" + rows)
    return "column:patient"


def sides_of(source, split) -> dict[str, set[int]]:
    """The sides on which each patient is."""
    found: dict[str, set[int]] = {}
    for side, positions in enumerate(split):
        for i in positions.tolist():
            found.setdefault(patient(source.names[i]), set()).add(side)
    return found


@pytest.mark.parametrize("rule", ["column", r"name:^(p\d+)_", r"path:/(p\d+)_", "folder"])
def test_a_patient_stays_on_one_side(tmp_path: Path, rule: str) -> None:
    """Whichever way the patients are told, the same are one group, over classes too."""
    if rule == "folder":
        draw(tmp_path, [name.replace("_", "/_") for name in PATIENTS])
    else:
        draw(tmp_path, PATIENTS)
    rule = by_table(tmp_path) if rule == "column" else rule
    source = open_source(tmp_path, 8, grouped=rule)
    assert source.groups is not None and len(np.unique(source.groups)) == 12
    names = tuple(name.replace("/_", "_") for name in source.names)
    source = dataclasses.replace(source, names=names)
    split = run.split(source, (0.6, 0.2, 0.2))
    found = sides_of(source, split)
    assert len(found) == 12 and all(len(of) == 1 for of in found.values())
    (guard,) = grouped.respected(source, split)
    assert guard["passed"] and "every group of images is on one side" in guard["sentence"]
    together = run.kept_together(source)
    for part in folds.folds(source, 3, 0.2, together):
        assert all(len(of) == 1 for of in sides_of(source, part).values())
        assert len(part.test) == 32
        assert grouped.respected(source, part)[0]["passed"]
    some = Subset(source, np.arange(48, 96))
    assert some.groups is not None and len(np.unique(some.groups)) == 12


def test_the_guard_can_fail(tmp_path: Path) -> None:
    source = open_source(draw(tmp_path, PATIENTS), 8, grouped=r"name:^(p\d+)")
    torn = splits.Split(np.arange(50), np.arange(50, 51), np.arange(51, 96))
    (guard,) = grouped.respected(source, torn)
    assert (
        not guard["passed"] and "groups are on two sides, like that of ill/p" in guard["sentence"]
    )
    assert grouped.respected(open_source(tmp_path, 8), torn) == []


def test_copies_tie_groups_together() -> None:
    copies = np.array([0, 1, 2, 3, 1, 5])  # The fifth is a copy of the second.
    tied = groups.joined(copies, np.array([7, 7, 8, 8, 9, 4]))
    assert tied.tolist() == [0, 0, 2, 2, 0, 5]
    assert groups.joined(copies, None) is copies


def test_images_of_a_group_are_not_called_duplicates(tmp_path: Path, caplog) -> None:
    draw(tmp_path, [f"{c}/p{p}_{i}.png" for c in "ab" for p in range(4) for i in range(2)])
    source = open_source(tmp_path, 8, grouped=r"name:^(p\d)_")
    found = kept_together(source)
    assert len(set(found.group.tolist())) == 4
    assert "none among 16 images" in sentence(found, source.names.__getitem__)


def test_large_groups_are_dealt_evenly(tmp_path: Path) -> None:
    """Largest first: no fold has twice its share of a class, whatever the groups' sizes."""
    sizes = [20, 12, 9, 7, 5, 4, 3, 2, 2, 1, 1, 1]
    names = [f"{c}/g{g}_{i}.png" for c in "ab" for g, n in enumerate(sizes) for i in range(n)]
    source = open_source(draw(tmp_path, names), 8, grouped=r"name:(g\d+)_")
    parts = folds.folds(source, 3, 0.2, run.kept_together(source))
    assert max(len(part.test) for part in parts) <= 1.2 * len(names) / 3


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("column:vet", "needs a table with a column of files and the column vet, and there is pat"),
        (r"name:^(\d+)-", r"must fit the images, and it fits none: not ill/p00_0\.png"),
        (r"name:^(p0\d)", "must give every image a group, and 16 of 96 have none, like ill/p10_0"),
        ("folder", "must part each class into several groups, and all 48 images of ill are one"),
        (r"name:p\d+", "must have one group in parentheses"),
        ("name:(", "must be a regular expression"),
        ("patient", "must be folder, column:NAME, name:PATTERN or path:PATTERN, got 'patient'"),
        ("column:", "must be folder"),
    ],
)
def test_groups_that_do_not_fit_are_one_sentence(tmp_path: Path, rule: str, sentence: str) -> None:
    by_table(draw(tmp_path, PATIENTS))
    with pytest.raises(InputError, match=sentence) as caught:
        open_source(tmp_path, 8, grouped=rule)
    assert "data.groups" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("ill/p99_0.png,p99", "that patients.csv names must be there, and that of row 98, ill/p99"),
        ("ill/p00_0.png,p11", "an image must have one patient, and .* two: p00 in row 2, p11 in"),
        ("well/p00_0.png,", "every row of patients.csv must have a patient, and row 98 has none"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path: Path, row: str, sentence: str) -> None:
    rule = by_table(draw(tmp_path, PATIENTS))
    with open(tmp_path / "patients.csv", "a") as table:
        table.write(row + "\n")
    with pytest.raises(InputError, match=sentence):
        open_source(tmp_path, 8, grouped=rule)


def test_groups_must_not_straddle_given_sides(tmp_path: Path) -> None:
    names = [f"{s}/{c}/p{p}_{s}.png" for s in ("train", "test") for c in "ab" for p in range(4)]
    draw(tmp_path, names)
    rule = r"name:^(p\d)_"
    with pytest.raises(InputError, match=r"one side, and data.groups puts .*a/p0_\w+\.png and"):
        open_source(tmp_path, 8, grouped=rule)
    assert open_source(tmp_path, 8, grouped=rule, given_sides="merge").sides is None
    with (
        pytest.raises(InputError, match=r"one side, and --groups puts"),
        prepared(
            Request(str(tmp_path), tmp_path.parent / "out", Options((8,)), grouped=rule), print
        ),
    ):
        pass


def test_validation_of_given_sides_takes_whole_groups(tmp_path: Path) -> None:
    names = [f"train/{c}/p{p:02d}_{i}.png" for c in "ab" for p in range(20) for i in range(3)]
    draw(tmp_path, [*names, *(f"test/{c}/q{p}_0.png" for c in "ab" for p in range(4))])
    source = open_source(tmp_path, 8, grouped=r"name:^([pq]\d+)_")
    assert source.sides is not None and set(source.sides.tolist()) == {0, 1, 2}
    of = {}
    for group, side in zip(source.groups.tolist(), source.sides.tolist(), strict=True):
        assert of.setdefault(group, side) == side


def prepare(source: Path, out: Path, **more) -> list[str]:
    said: list[str] = []
    with prepared(Request(str(source), out, Options((8,), doctor=False), **more), said.append):
        return said


def test_a_prepared_set_keeps_groups_and_sides(tmp_path: Path) -> None:
    by_table(draw(tmp_path / "raw", PATIENTS))
    said = prepare(tmp_path / "raw", tmp_path / "set", grouped="column:patient")
    assert any(line.split() == ["images", "train", "validation", "test", "all"] for line in said)
    source = open_source(tmp_path / "set", 8)
    assert source.groups is not None and len(np.unique(source.groups)) == 12
    split = run.split(source, source.fractions)
    assert all(len(of) == 1 for of in sides_of(source, split).values())
    with pytest.raises(InputError, match="needs a table, which a prepared set has not"):
        open_source(tmp_path / "set", 8, grouped="column:patient")
    prepare(tmp_path / "raw", tmp_path / "plain")
    plain = open_source(tmp_path / "plain", 8)
    assert plain.groups is None
    with pytest.raises(InputError, match=r"one side, and data\.groups puts"):
        open_source(tmp_path / "plain", 8, grouped=r"name:^(p\d+)_")


def test_given_sides_are_those_of_a_prepared_set(tmp_path: Path) -> None:
    for sides in (("train", "val", "test"), ("train", "test")):
        raw = tmp_path / sides[1]
        names = [f"{s}/{c}/{s}{i}.png" for s in sides for c in ("cat", "dog") for i in range(20)]
        said = "\n".join(prepare(draw(raw, names), tmp_path / f"{sides[1]}.set"))
        assert "--layout=folders takes them as classes" in said and "given sides" in said
        info = records.read_info(tmp_path / f"{sides[1]}.set")
        assert info["given_sides"] and abs(sum(info["fractions"]) - 1) < 1e-9
        source = open_source(tmp_path / f"{sides[1]}.set", 8)
        split = run.split(source, (0.7, 0.15, 0.15))
        assert {source.names[i].partition("/")[0] for i in split.test} == {"test"}
        assert {source.names[i].partition("/")[0] for i in split.train} == {"train"}
        assert {source.names[i].partition("/")[0] for i in split.validation} == {
            "val" if len(sides) == 3 else "train"
        }
        alone, told = to_learn_from(source)  # What a GAN does.
        assert set(alone.names) == {source.names[i] for i in split.train} and "of train" in told
        every = open_source(tmp_path / f"{sides[1]}.set", 8, given_sides="merge")
        assert len(to_learn_from(every)[0]) == len(source)
        merged = "\n".join(prepare(raw, tmp_path / f"{sides[1]}.set", given_sides="merge"))
        assert "the given sides are merged" in merged
        assert not records.read_info(tmp_path / f"{sides[1]}.set")["given_sides"]
    one = draw(tmp_path / "one", ["train/a/0.png", "train/b/0.png", "test/a/1.png"])
    with pytest.raises(InputError, match="every given side must hold every class, and test has no"):
        prepare(one, tmp_path / "one.set")


READINGS = {
    "folders": ("train", "val"),
    "inner": ("cat", "dog"),
    "one": ("pets",),
}


@pytest.mark.parametrize("reading", READINGS)
def test_a_setting_chooses_the_reading(tmp_path: Path, reading: str) -> None:
    names = [
        f"pets/{s}/{c}/{i}.png" for s in ("train", "val") for c in ("cat", "dog") for i in "01"
    ]
    draw(tmp_path, names)
    source = FolderSource(tmp_path / "pets", 8, reading=reading)
    assert source.classes == READINGS[reading] and source.sides is None and len(source) == 8
    said = prepare(tmp_path / "pets", tmp_path / "set", reading=reading, dry_run=True)
    assert any(f"files of {', '.join(READINGS[reading])}" in line for line in said)


@pytest.mark.parametrize(
    ("reading", "sentence"),
    [
        ("table", "needs a table with columns of files and labels"),
        ("names", r"names like cat\.0\.jpg, .* and there are others, like 0\.png"),
        ("folders", r"needs images in folders, and 0\.png lies in none"),
        ("inner", r"needs images in folders inside folders, and 0\.png lies in none"),
    ],
)
def test_a_reading_that_does_not_fit_is_refused(tmp_path: Path, reading, sentence) -> None:
    with pytest.raises(InputError, match=f"data.layout={reading} {sentence}|{sentence}"):
        FolderSource(draw(tmp_path, ["0.png", "1.png"]), 8, reading=reading)


def test_a_table_is_read_where_it_is_asked_for() -> None:
    text = b"file,label\n0.png,x\n1.png,y\n"
    found = layout.recognise(
        ["a/0.png", "b/1.png"], ["labels.csv"], "s", Tables(["labels.csv"], lambda n: text),
        None, "table",
    )  # fmt: skip
    assert found.classes == ("x", "y") and found.used == ["labels.csv"]


SIZES = [3, 8, 12, 15, 15, 20, 25, 6, 10, 18, 9, 14, 11, 7, 16, 13, 5, 22, 19, 4]


@pytest.mark.parametrize("alike", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("count", [1, 2])
def test_clustered_intervals_cover(alike: float, count: int) -> None:
    """Where images of a group are alike, the plain interval is far too narrow and this is not."""
    rng, draws, seeds, tables, of = np.random.default_rng(0), 3000, 3, [], []
    for k in range(count):
        members = np.repeat(np.arange(len(SIZES[k::count])), SIZES[k::count])
        images, number = len(members), members.max() + 1
        own = rng.standard_normal((draws, 1, number))[..., members] * np.sqrt(alike)
        crossed = rng.standard_normal((draws, seeds, number))[..., members] * np.sqrt(alike / 4)
        rest = rng.standard_normal((draws, 1, images)) + rng.standard_normal((draws, seeds, images))
        tables.append(own + crossed + rest + 0.05 * rng.standard_normal((draws, seeds, 1)))
        of.append(members)
    means = variance_components.mean_of(tables)

    def coverage(groups) -> float:
        parts = variance_components.squares(tables, groups=groups)
        return float((np.abs(means) <= variance_components.spread(parts, 0.95).half).mean())

    assert 0.935 <= coverage(of) <= (0.97 if alike else 0.98)  # The seeds' guard makes it wider.
    assert coverage(None) < 0.9 or not alike


def test_differences_of_answers_are_covered() -> None:
    """Paired arms, answers right or wrong, whole groups easy or hard for one arm alone."""
    rng, draws, hit = np.random.default_rng(1), 400, 0
    members = np.repeat(np.arange(len(SIZES)), SIZES)
    for _ in range(draws):
        skill = rng.normal(0.8, 0.15, (2, 1, len(SIZES)))[..., members].clip(0, 1)
        own = rng.random((1, 1, len(members)))
        answers = rng.random((2, 3, len(members))) * 0.4 + own * 0.6 < skill
        found = paired_difference(*answers, groups=[members])
        hit += found.low <= 0 <= found.high
    assert 0.925 <= hit / draws <= 0.99


def test_groups_of_one_change_nothing() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 4, 50)) < [[[0.8]], [[0.7]]]
    each = [np.arange(50)]
    for plain, own in (
        (paired_difference(a, b), paired_difference(a, b, groups=each)),
        (crossed_interval(a), crossed_interval(a, groups=each)),
    ):
        np.testing.assert_allclose(plain[:4], own[:4], rtol=1e-9)
    assert abs(p_value(a, b) - p_value(a, b, groups=each)) < 1e-9


def test_equal_groups_are_their_means() -> None:
    """The clustered variance is that of the groups' means, taken as the images."""
    rng = np.random.default_rng(3)
    y = rng.standard_normal((1, 60)) + np.repeat(rng.standard_normal(12), 5)
    variance, df = clusters.clustered([y[0]], [np.repeat(np.arange(12), 5)])
    means = y.reshape(12, 5).mean(1)
    assert abs(variance - means.var(ddof=1) / 12) < 1e-12 and abs(df - 11) < 1e-9


def test_one_group_has_no_interval_and_folds_of_one_share_theirs() -> None:
    y = np.random.default_rng(4).random((3, 20))
    assert crossed_interval(y, groups=[np.zeros(20, int)]).low is None
    found = crossed_interval([y, y + 1, y + 3], groups=[np.full(20, k) for k in range(3)])
    assert found.low is not None and 1 <= found.df <= 3


def test_right_answers_alone_leave_room_for_whole_groups() -> None:
    right = np.ones((3, 60), bool)
    groups_ = [np.repeat(np.arange(6), 10)]
    plain, own = crossed_interval(right), crossed_interval(right, groups=groups_)
    assert own.low < plain.low and own.high == plain.high == 1


class Labels:
    """A source of labels alone."""

    classes = ("good", "defect")

    def __init__(self, labels: np.ndarray):
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)


@pytest.mark.parametrize("seed", range(20))
def test_a_small_class_has_its_share_on_each_side(seed: int) -> None:
    """500 against 40 images: by chance alone one set in ten has two of a class or fewer to test."""
    labels = np.repeat([0, 1], [500, 40])
    digests = [bytes(d) for d in np.random.default_rng(seed).integers(0, 256, (540, 16), np.uint8)]
    alone = splits.Duplicates(np.arange(540), digests)
    sides = splits.assign(labels, ("good", "defect"), (0.7, 0.15, 0.15), alone)
    counts = np.bincount(sides[labels == 1], minlength=3)
    assert (counts >= (14, 3, 3)).all()
    for part in folds.folds(Labels(labels), 4, 0.2, alone):
        assert (labels[part.test] == 1).sum() == 10
        assert (labels[part.validation] == 1).sum() == 6


@pytest.mark.slow
def test_an_experiment_counts_group_by_group(tmp_path: Path, monkeypatch) -> None:
    """From the folder to the report, with answers that are drawn and no training."""
    config = configs.load(str(Path(__file__).parents[2] / "configs/quickstart.py"), test=True)
    config.data.path, config.data.groups = str(draw(tmp_path / "raw", PATIENTS)), r"name:^(p\d+)_"
    config.data.folds, config.data.limit, config.seeds = 2, None, (0, 1, 2)
    config.arms, config.verdict.primary = ("real", "add"), ("add", "real")
    plan, rng = pipeline.prepare(config), np.random.default_rng(0)

    def train(self, positions):
        labels = plan.real.labels[plan.folds[self.fold].sides.test]
        runs = [
            {"arm": arm.name, "seed": config.seeds[i], "seconds": 1.0, "steps": 1, "gan": None}
            | {"curve": {"train": [], "validation": []}, "validation_accuracy": 0.5}
            | {"test_accuracy": 0.5, "predictions": []}
            | {"probabilities": rng.dirichlet((2, 2), len(labels)).round(6).tolist(), "step": 1}
            for i in positions
            for arm in self.arms
        ]
        self.lines = [{key: one[key] for key in ("arm", "seed", "step")} for one in runs]
        return runs, []

    monkeypatch.setattr(pipeline._Experiment, "_generate", lambda self, k, positions: None)
    monkeypatch.setattr(classify.Classifiers, "train", train)
    monkeypatch.setattr(classify.Classifiers, "opened", lambda self: self.lines)
    results = pipeline.run(config, tmp_path / "work")
    verdict, guard = results["verdict"], next(g for g in results["guards"] if g["name"] == "groups")
    assert verdict["groups"] == 12 and "96 test images of 12 groups" in verdict["sentence"]
    assert "of new groups" in verdict["conditions"] and guard["passed"]
    named = dict(zip(results["test"]["names"], results["test"]["group"], strict=True))
    assert len({(patient(name), group) for name, group in named.items()}) == 12
    told = (tmp_path / "work/log.txt").read_text()
    assert "12 groups of images that stay on one side each" in told
    assert "To train with (first fold)" in (tmp_path / "work/report.html").read_text()
