"""The quickstart's twin, from pictures to the verdict."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import splits
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine.progress import NotFiniteError
from jaxgan.errors import FileError
from jaxgan.experiment import pipeline, verdict
from jaxgan.experiment.design import arms, jobs, training_set
from jaxgan.experiment.design.draws import draw
from jaxgan.experiment.design.plan import Plan
from jaxgan.experiment.design.plan_arms import plan_arms
from jaxgan.experiment.stages import classify
from jaxgan.experiment.stages.fold_context import FoldContext
from jaxgan.experiment.validity import audit
from jaxgan.metrics.networks import load_classifier
from jaxgan.statistics import crossed
from jaxgan.training import run
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]


def twin():
    return configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)


def test_no_test_picture_is_ever_learned_from(quickstart) -> None:
    test = set(quickstart.results["test"]["names"])
    assert test and len(quickstart.gans) == 2 and len(quickstart.learned) == 8
    gans = {classes: set(source.names) for classes, source in quickstart.gans}
    for names in gans.values():
        assert names and not names & test
    for both in quickstart.learned.values():
        training, validation = (set(source.names) for source in both)
        assert not training & test and not validation & test
        assert not training & validation
        for classes, names in gans.items():
            assert not names & validation, classes


def test_each_gan_sees_its_class_alone(quickstart) -> None:
    for (name,), source in quickstart.gans:
        assert all(n.startswith(f"toy/{name}/") for n in source.names)


def test_equal_steps_and_every_arm_with_every_seed(quickstart) -> None:
    runs = quickstart.results["runs"]
    assert {(r["arm"], r["seed"]) for r in runs} == {
        (arm, seed) for arm in twin().arms for seed in (0, 1)
    }
    assert len({r["steps"] for r in runs}) == 1


def test_every_statistic_can_be_recomputed_from_the_file(quickstart) -> None:
    folder, _, results, *_ = quickstart
    assert json.loads((folder / "results.json").read_text()) == json.loads(json.dumps(results))
    labels = np.array(results["test"]["labels"])

    def correct(arm):
        rows = [r["probabilities"] for r in results["runs"] if r["arm"] == arm]
        return np.array(rows).argmax(2) == labels

    for r in results["runs"]:
        hits = np.array(r["probabilities"]).argmax(1) == labels
        assert r["test_accuracy"] == pytest.approx(hits.mean())
        np.testing.assert_allclose(np.sum(r["probabilities"], 1), 1, atol=1e-4)
    a, b = results["verdict"]["primary"]
    others = [correct(arm) for arm in twin().arms if arm not in (a, b)]
    interval = crossed.paired_difference(correct(a), correct(b), 0.95, others)
    assert results["verdict"]["difference"] == pytest.approx(interval.value)
    assert results["verdict"]["low"] == pytest.approx(interval.low)
    assert results["verdict"]["word"] == verdict.word(interval)


def test_the_report_and_its_figures_are_there(quickstart) -> None:
    folder, _, results, *_ = quickstart
    page = (folder / "report.html").read_text()
    assert results["verdict"]["sentence"].split(":")[0] in page
    for kind in ("real", "generated"):
        for file in results["figures"][kind].values():
            assert (folder / file).exists()
    for generator in results["generators"]:
        assert all((folder / grid).exists() for grid in generator["grids"])


def test_what_was_done_is_what_was_planned(quickstart) -> None:
    folder, _, results, gans, _ = quickstart
    plan = pipeline.prepare(twin())
    kept = {str(p.relative_to(folder)) for p in folder.rglob("*/result.json")}
    kept |= {
        f"{name}/{p.name}" for name in ("gan", "generated") for p in (folder / name).glob("*.json")
    }
    assert kept == {job.output for job in plan.jobs}
    trainings, classifiers = plan.pick("gan"), plan.pick("classifier")
    assert [g["steps"] for g in results["generators"]] == [job.steps for job in trainings]
    assert [len(source) for _, source in gans] == [job.images for job in trainings]
    assert [(r["arm"], r["steps"]) for r in results["runs"]] == [
        (job.arm.name, job.steps) for job in classifiers
    ]


def test_running_again_trains_nothing_and_says_the_same(quickstart, monkeypatch) -> None:
    folder, _, results, *_ = quickstart

    def never(*args, **more):
        pytest.fail("a finished stage was run again")  # No Exception: those are caught.

    monkeypatch.setattr(run, "train_gan", never)
    monkeypatch.setattr(run, "train_classifier", never)
    again = pipeline.run(twin(), folder)
    for key in ("verdict", "arms", "contrasts", "runs", "test", "data"):
        assert again[key] == results[key]
    assert {guard["name"]: guard for guard in again["guards"]}["planned"]["passed"] is True


def test_another_verdict_after_the_first_is_told(quickstart, tmp_path) -> None:
    folder = shutil.copytree(quickstart.folder, tmp_path / "run")
    config = twin()
    config.verdict.margin = 0.01
    found = {guard["name"]: guard for guard in pipeline.run(config, folder)["guards"]}["planned"]
    assert found["passed"] is False and "margin was None and is 0.01" in found["sentence"]


def test_another_config_is_refused(quickstart) -> None:
    config = twin()
    config.add.ratio = 2.0
    with pytest.raises(InputError, match=r"add\.ratio is 1\.0 there and 2\.0 here"):
        pipeline.run(config, quickstart.folder)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config.json", '"seed": 0', '"seed": 1'),
        ("data.json", None, None),
        ("classifiers/add/0/result.json", '"probabilities": [[0.', '"probabilities": [[1.'),
        ("classifiers/real/1/result.json", '"best_step": ', '"best_step": 1'),
        ("classifiers/real/0/test_opened.jsonl", '"arm": "real"', '"arm": "rial"'),
        ("verdicts.jsonl", '"level": 0.95', '"level": 0.96'),
        ("gan/dog.json", '"steps": ', '"steps": 1'),
        ("generated/cat/seed00000000.png", None, None),
        ("generated/cat/manifest_0.jsonl", '"seed": 0', '"seed": 5'),
    ],
)
def test_one_changed_digit_is_no_other_verdict(quickstart, tmp_path, name, old, new) -> None:
    folder = shutil.copytree(quickstart.folder, tmp_path / "run")
    data = (folder / name).read_bytes()
    middle = len(data) // 2
    changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    if old is not None:
        changed = data.replace(old.encode(), new.encode(), 1)
    assert changed != data
    (folder / name).write_bytes(changed)
    with pytest.raises(FileError, match=rf"{folder / name} must be .* delete ") as found:
        pipeline.run(twin(), folder)
    assert "\n" not in str(found.value)


def begun_anew(folder, there, *arms):
    """A copy of a run, in which the classifiers of these arms are not yet trained."""
    shutil.copytree(folder, there)
    for arm in arms:
        shutil.rmtree(there / "classifiers" / arm)


@pytest.mark.slow
def test_seeds_at_once_come_to_what_each_does(quickstart, tmp_path, monkeypatch) -> None:
    folder, _, results, *_ = quickstart
    begun_anew(folder, tmp_path / "run", "real+augmentation")
    config = twin()
    config.vmap_seeds = 2
    with pytest.raises(InputError, match=r"vmap_seeds must be 1 on several devices .*got 2 on 2$"):
        pipeline.run(config, tmp_path / "run")
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(run, "train_classifier", lambda *a, **b: pytest.fail("one by one"))
    again = pipeline.run(config, tmp_path / "run")
    for one, other in zip(results["runs"], again["runs"], strict=True):
        if one["arm"] != "real+augmentation":
            assert one == other
            continue
        assert other["seconds"] > 0
        assert (one["arm"], one["seed"], one["gan"]) == (other["arm"], other["seed"], other["gan"])
        assert (one["steps"], one["best_step"]) == (other["steps"], other["best_step"])
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=2e-3)
        for part in ("train", "validation"):
            for a, b in zip(one["curve"][part], other["curve"][part], strict=True):
                assert a == pytest.approx(b, abs=2e-3)
    workdir = tmp_path / "run" / "classifiers" / "real+augmentation" / "1"
    assert load_classifier(workdir).step == again["runs"][-1]["best_step"]


@pytest.mark.slow
def test_a_seed_that_fails_among_others_is_left_out(quickstart, tmp_path, monkeypatch) -> None:
    folder, _, results, *_ = quickstart
    begun_anew(folder, tmp_path / "run")
    for seed in ("0", "1"):
        (tmp_path / "run" / "classifiers" / "add" / seed / "result.json").unlink()
    config = twin()
    config.vmap_seeds = 3
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    wrong = [None, NotFiniteError("loss must be finite")]
    with monkeypatch.context() as patch:
        patch.setattr(run, "train_classifiers", lambda *given, **more: wrong)
        again = pipeline.run(config, tmp_path / "run")
    (failed,) = again["failed"]
    assert failed.pop("seconds") >= 0
    assert failed == {"arm": "add", "seed": 1, "error": "loss must be finite", "fold": 0}
    untimed = lambda runs: [{k: v for k, v in r.items() if k != "seconds"} for r in runs]  # noqa: E731
    order = lambda runs: sorted(untimed(runs), key=lambda r: (r["arm"], r["seed"]))  # noqa: E731
    missing = [r for r in results["runs"] if (r["arm"], r["seed"]) != ("add", 1)]
    assert order(again["runs"]) == order(missing)
    again = pipeline.run(config, tmp_path / "run")  # Its checkpoints are there.
    assert not again["failed"] and order(again["runs"]) == order(results["runs"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vmap_seeds": 0}, "vmap_seeds must be above 0, got 0"),
        ({"vmap_seeds": 3, "parallel": "pmap"}, "vmap_seeds must be 1 with config.parallel=pmap"),
        (
            {"vmap_seeds": 2, "classifier.train.microbatch": 2},
            r"must be 1 with .*microbatch, got 2",
        ),
        ({"vmap_seeds": 2, "classifier.train.profile": "1:1"}, r"must be 1 with .*profile, got 2"),
    ],
)
def test_what_cannot_be_at_once(tmp_path, changes, words) -> None:
    config = twin()
    config.update_from_flattened_dict(changes)
    with pytest.raises(InputError, match=words):
        pipeline.run(config, tmp_path)


COUNTS = {"cat": 10, "dog": 20}


def planned(*names, **changes):
    config = twin()
    config.update_from_flattened_dict({"data.subset": 1.0} | changes)
    config.arms = names
    return {arm.name: arm for arm in plan_arms(parse(config), COUNTS)}


def numbers(arm):
    return {name: tuple(n.values()) for name, n in arm.pictures.items()}


def test_arms_hold_what_they_say() -> None:
    half = {"replace.share": 0.5, "replace.classes": ("cat",), "add.ratio": 2.0}
    want = {  # Real, generated, copies of cats and of dogs.
        "real": [(10, 0, 0), (20, 0, 0)],
        "replace": [(5, 5, 0), (20, 0, 0)],
        "replace:0.8": [(2, 8, 0), (20, 0, 0)],
        "replace-all": [(5, 5, 0), (10, 10, 0)],
        "add": [(10, 20, 0), (20, 40, 0)],
        "add:7": [(10, 7, 0), (20, 7, 0)],
        "add:0.5x@4+selection": [(4, 2, 0), (4, 2, 0)],
        "generated": [(0, 10, 0), (0, 20, 0)],
        "balance": [(10, 10, 0), (20, 0, 0)],
        "copies:7": [(10, 0, 7), (20, 0, 7)],
        "real@4+augmentation": [(4, 0, 0), (4, 0, 0)],
        "oversample": [(10, 0, 10), (20, 0, 0)],
    }
    found = planned(*want, **half)
    assert {name: [*numbers(arm).values()] for name, arm in found.items()} == want
    assert [name for name, arm in found.items() if arm.augment] == ["real@4+augmentation"]
    assert [name for name, arm in found.items() if arm.selected] == ["add:0.5x@4+selection"]
    assert arms.needed(found.values()) == {
        (None, False, None): {"cat": 20, "dog": 40},
        (4, True, None): {"cat": 2, "dog": 2},
    }
    assert arms.needed([found["real"], found["copies:7"]]) == {}
    about = arms.about([*found.values()])
    assert about["add"]["base"] == "real" and about["add:0.5x@4+selection"]["base"] == "real"
    assert (about["add"]["size"], about["add"]["ratio"]) == (30, 2)
    assert not {"size", "ratio"} & {*about["copies:7"], *about["replace"], *about["balance"]}


def test_rivals_have_what_their_names_say() -> None:
    names = ("real", "real+randaugment", "real+mixup", "add+mixup", "add+augmentation")
    found = planned(*names, **{"classifier.train.augment": ("flip",)})
    assert [(a.policy, a.mixup) for a in found.values()] == [
        ((), 0), (("randaugment",), 0), ((), 0.2), ((), 0.2), (("flip",), 0)
    ]  # fmt: skip
    about = arms.about([*found.values()])
    assert about["add+mixup"]["base"] == "real+mixup"
    assert about["add+augmentation"]["base"] == about["real+mixup"]["base"] == "real"


@pytest.mark.parametrize("name", ["real+augmentation", "add:0x", "copies:0"])
def test_an_arm_equal_to_its_base_is_refused(name) -> None:
    with pytest.raises(InputError, match=r"train differently, and .* the same as real "):
        planned("real", name, **{"classifier.train.augment": ()})


def test_a_subset_makes_every_arm_smaller() -> None:
    found = planned("real", "add", **{"data.subset": 0.8, "add.ratio": 1.0})
    assert numbers(found["add"]) == {"cat": (8, 8, 0), "dog": (16, 16, 0)}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fake", "must be one of real, replace"),
        ("add:x", "must be one of"),
        ("real:3", "can have an amount"),
        ("add-all", "only replace can be of -all"),
        ("add:1.5", "like :1000 or :2x"),
        ("replace:2", r"share within \(0, 1\]"),
        ("add@0", "at least 1 image"),
        ("add+selection+selection", "can stand once"),
        ("copies+selection", "needs generated images"),
        ("add@11", "needs 11 real images a class to train with, and there are 10 of cat"),
    ],
)
def test_arms_that_cannot_be(name, words) -> None:
    with pytest.raises(InputError, match=words):
        planned(name)


def test_a_size_that_leaves_the_seeds_nothing_to_draw() -> None:
    with pytest.raises(InputError, match=r"needs 12 real images a class, for each seed .* 80%"):
        planned("real@9", **{"data.subset": 0.8})
    assert planned("real@8", **{"data.subset": 0.8})


LABELS = np.repeat([0, 1], [10, 20])


def draws(seeds=(0, 1, 2), **how):
    how = {"share": 0.8, "retrain": 1, "seed": 0} | how
    return draw(LABELS, ("cat", "dog"), seeds, **how)


def test_each_seed_draws_its_own_pictures_of_what_the_gan_saw() -> None:
    drawn = draws()
    assert [d.gan for d in drawn] == [0, 0, 0]
    for d in drawn:
        for name, label, n in (("cat", 0, 10), ("dog", 1, 20)):
            assert d.learned[name].tolist() == np.flatnonzero(label == LABELS).tolist()
            given = d.given[name]
            assert len(given) == len(set(given.tolist())) == n * 8 // 10
            assert set(given) <= set(d.learned[name])
    assert len({tuple(sorted(d.given["dog"])) for d in drawn}) == 3
    # A seed's draw does not depend on the other seeds.
    assert draws((2, 7))[0].given["dog"].tolist() == drawn[2].given["dog"].tolist()


def test_retrained_gans_know_no_picture_that_their_seeds_are_not_given() -> None:
    drawn = draws((5, 6, 7, 8), retrain=2)
    assert [d.gan for d in drawn] == [0, 1, 0, 1]
    for d in drawn:
        assert d.learned["dog"].tolist() == d.given["dog"].tolist()
    assert drawn[0].given["dog"].tolist() == drawn[2].given["dog"].tolist()
    assert set(drawn[0].given["dog"]) != set(drawn[1].given["dog"])


def test_small_arms_have_gans_of_their_own_size() -> None:
    for d in draws(size=4, share=0.5):
        assert len(d.given["dog"]) == 4 and len(d.learned["dog"]) == 8
        assert set(d.given["dog"]) <= set(d.learned["dog"])
    assert all(len(d.learned["cat"]) == 4 for d in draws(size=4, retrain=3))


def test_assembled_pictures_are_labelled_and_counted() -> None:
    real = ToySource(8, count=6)
    generated = {
        "dog": ToySource(8, count=9, classes=("dog",), seed=5),
        "cat": ToySource(8, count=9, classes=("cat",), seed=5),
    }
    given = {"cat": np.array([3, 1, 0]), "dog": np.arange(11, 5, -1)}
    pictures = {
        "cat": {"real": 2, "generated": 4, "copies": 5},
        "dog": {"real": 6, "generated": 3, "copies": 0},
    }
    source = training_set.assemble(arms.Arm("arm", pictures), real, given, generated, seed=0)
    assert np.bincount(source.labels).tolist() == [11, 9]
    dogs = [source[i]["image"] for i in np.flatnonzero(source.labels == 1)[-3:]]
    for i, dog in enumerate(dogs):
        np.testing.assert_array_equal(dog, generated["dog"][i]["image"])
    names = source.names[:7]
    assert set(names) == {real.names[1], real.names[3]}  # No other cat is given or copied.
    assert len(names) == 7 and names.count(real.names[1]) in (3, 4)


def test_a_class_that_is_not_there() -> None:
    with pytest.raises(InputError, match="must be of cat, dog, got 'bird'"):
        planned("replace", **{"replace.classes": ("bird",)})


def answered(monkeypatch, config, tmp_path, skill):
    """An experiment whose classifiers are right by chance, an arm's with its probability."""
    rng, begun = np.random.default_rng(0), []
    plan = pipeline.prepare(config)

    def train(self, positions):
        labels, runs = plan.real.labels[plan.folds[self.fold].sides.test], []
        for i in positions:
            for arm in self.arms:
                said = np.where(rng.random(len(labels)) < skill[arm.name], labels, 1 - labels)
                begun.append((self.fold, config.seeds[i], arm.name))
                run = {"arm": arm.name, "seed": config.seeds[i], "seconds": 10.0}
                runs.append(run | {"probabilities": np.eye(2)[said]})
        return runs, []

    monkeypatch.setattr(classify.Classifiers, "train", train)
    monkeypatch.setattr(classify.Classifiers, "finished", lambda self, position: False)
    monkeypatch.setattr(pipeline._Experiment, "_generate", lambda self, k, positions: None)
    monkeypatch.setattr(
        pipeline._Experiment, "_finish", lambda self, about: {"ended": self.record.ended}
    )
    return begun


@pytest.mark.parametrize(("real", "seeds"), [(0.0, 3), (1.0, 6)])  # A plain difference, and none.
def test_a_clear_look_is_the_end(monkeypatch, tmp_path, real, seeds) -> None:
    config = twin()
    config.arms = ("real", "add")
    config.seeds, config.verdict.looks = tuple(range(6)), (3,)
    begun = answered(monkeypatch, config, tmp_path, {"real": real, "add": 1.0})
    told = pipeline.run(config, tmp_path)["ended"]
    assert [seed for _, seed, arm in begun if arm == "real"] == list(range(seeds))
    assert told == ("the verdict is clear after 3 of 6 seeds" if seeds == 3 else "")


def test_a_width_that_is_reached_is_the_end(monkeypatch, tmp_path) -> None:
    config = twin()
    config.arms = ("real", "add")
    config.seeds, config.verdict.width = tuple(range(8)), 0.4
    skill = {"real": 0.9, "add": 0.9}
    begun = answered(monkeypatch, config, tmp_path, skill)
    assert "as narrow as asked for" in pipeline.run(config, tmp_path)["ended"]
    seeds = {seed for _, seed, _ in begun}
    assert 2 <= len(seeds) < 8


def test_all_seeds_of_a_fold_come_before_the_time_is_asked_again(monkeypatch, tmp_path) -> None:
    """Over before it begins, the first seed of the first fold is trained nevertheless."""
    config = twin()
    config.arms = ("real", "add")
    config.data.folds, config.seeds = 3, (0, 1, 2)
    begun = answered(monkeypatch, config, tmp_path, {"real": 0.5, "add": 0.5})
    told = pipeline.run(config, tmp_path, until=0.0)["ended"]
    assert {(fold, seed) for fold, seed, _ in begun} == {(0, 0)}
    assert told.startswith("the time is over after 1")


def test_looks_must_be_at_fewer_seeds_than_there_are(tmp_path) -> None:
    config = twin()
    config.verdict.looks = (3,)
    with pytest.raises(InputError, match="rising numbers of seeds from 2 to below 2"):
        pipeline.run(config, tmp_path)


def test_every_gan_is_looked_at_for_copies_of_what_it_saw() -> None:
    config, real = twin(), ToySource(8, count=20)
    parts = splits.Split(np.arange(5, 35), np.arange(5), np.arange(35, 40))
    config.seeds, config.gan.retrain, config.data.subset = (0, 1, 2), 2, 0.5
    config.arms = ("add:3", "add:3@4")
    labels = real.labels[parts.train]
    how = {"share": 0.5, "seed": 0, "retrain": 2}
    drawn = {size: draw(labels, real.classes, (0, 1, 2), size=size, **how) for size in (None, 4)}

    def audited() -> tuple[FoldContext, list]:
        planned = plan_arms(parse(config), {"cat": 15, "dog": 15})
        fold = jobs.Fold(0, "", parts, planned, drawn, planned[0])
        plan = Plan(real, None, [fold], {}, parse(config))
        context = FoldContext(plan, fold, None, None)
        return context, audit.generators(context, plan.pick("samples"))

    context, found = audited()
    assert [called for called, _ in found] == [
        f"{name}{size} of GAN {gan}"
        for size in ("", "@4")
        for gan in (0, 1)
        for name in real.classes
    ]
    for _, job in found[4:]:
        source = audit._sources(context, job)
        wanted = parts.train[drawn[4][job.seed].learned[job.name]]
        assert source.names == tuple(real.names[i] for i in wanted) and len(source) == 4
        assert {real.classes[i] for i in source.labels} == {job.name}

    config.gan.retrain, config.generated, config.arms = 1, "elsewhere", ("add:3",)
    context, found = audited()
    assert [called for called, _ in found] == ["cat", "dog"]
    sources = [audit._sources(context, job).names for _, job in found]
    assert sorted(sum(sources, ())) == sorted(real.names[i] for i in parts.train)
