"""Arms with principal components, weights, named sources, chosen amounts and pretraining."""

from pathlib import Path

import numpy as np
import pytest

from jaxgan.config import arm_names
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.experiment.design import arms, training_set
from jaxgan.experiment.design.plan_arms import plan_arms
from jaxgan.experiment.stages import classify
from jaxgan.types import InputError

ROOT = Path(__file__).parents[2]
COUNTS = {"cat": 10, "dog": 20}


def twin(**changes):
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.update_from_flattened_dict(changes)
    return config


def planned(*names, counts=COUNTS, **changes):
    config = twin(**changes)
    config.arms = names
    return {arm.name: arm for arm in plan_arms(parse(config), counts)}


def frozen(*names, **changes):
    """Arms of a classifier whose trunk stays as it is."""
    config = twin(**changes)
    config.classifier = configs.load(str(ROOT / "configs" / "vgg16_frozen.py"))
    config.arms = names
    return {arm.name: arm for arm in plan_arms(parse(config), COUNTS)}


def test_what_generates_is_told_by_source() -> None:
    given = {"generated": "{'drawn': 'a', 'other': 'b'}"}
    names = ("real", "pca:3", "pca:2x", "add:7", "add[drawn]:1x", "replace[other]:0.5")
    found = planned(*names, **given)
    assert arms.needed(found.values()) == {
        (None, False, "pca"): {"cat": 20, "dog": 40},
        (None, False, None): {"cat": 7, "dog": 7},
        (None, False, "drawn"): {"cat": 10, "dog": 20},
        (None, False, "other"): {"cat": 5, "dog": 10},
    }
    assert [*arms.of_gans(arms.needed(found.values()))] == [(None, False, None)]
    assert not arms.of_gans(arms.needed([found["real"], found["pca:3"]]))
    plain = planned("real", "add", generated="folder/of/classes")
    assert [*arms.needed(plain.values())] == [(None, False, arms.GIVEN)]
    assert "drawn" in found["add[drawn]:1x"].description


def test_variants_set_the_way_of_training() -> None:
    names = ("real", "real+trivialaugment", "real+cutmix", "real+augmentation", "real+mixup+cutmix")
    found = planned(*names, **{"classifier.train.augment": ("flip",)})
    assert [arm.way for arm in found.values()] == [
        ((), 0, 0, 0),
        (("trivialaugment",), 0, 0, 0),
        ((), 0, 1.0, 0),
        (("flip",), 0, 0, 0),
        ((), 0.2, 1.0, 0),
    ]
    train = parse(twin()).classifier.changed(classify.way(found["real+mixup+cutmix"])).train
    assert (train.augment, train.mixup, train.cutmix, train.feature_noise) == ((), 0.2, 1.0, 0)
    own = planned("real", "real+cutmix", **{"classifier.train.cutmix": 0.5})
    assert own["real+cutmix"].cutmix == 0.5 and own["real"].cutmix == 0
    assert frozen("real", "real+features")["real+features"].way == ((), 0.2, 0, 0.1)


def test_weights_of_classes_are_those_of_equal_sums() -> None:
    arm = planned("real", "reweight")["reweight"]
    sums = {name: arm.weights[name][0] * arm.pictures[name]["real"] for name in COUNTS}
    assert sums["cat"] == pytest.approx(sums["dog"]) == pytest.approx(15)
    with pytest.raises(InputError, match="reweight would train the same as real"):
        planned("real", "reweight", counts={"cat": 10, "dog": 10})


def assembled(name, steps=0):
    """The pictures of an arm, and which of them are real."""
    real = ToySource(8, count=6)
    fresh = {c: ToySource(8, count=9, classes=(c,), seed=5) for c in ("cat", "dog")}
    arm = planned("real", name, counts={"cat": 6, "dog": 6})[name]
    given = {"cat": np.arange(6), "dog": np.arange(6, 12)}
    source = loader.in_memory(training_set.assemble(arm, real, given, fresh, 0, steps))
    mine = {real[i]["image"].tobytes() for i in range(len(real))}
    return source, np.array([image.tobytes() in mine for image in source.images])


def test_batches_hold_weights_where_an_arm_has_them() -> None:
    source, own = assembled("weight:0.3")
    batch = next(loader.make_batches(source, batch_size=24, seed=1, shuffle=False))
    assert batch["weight"].dtype == np.float32
    np.testing.assert_allclose(batch["weight"], np.where(own, 1, 0.3), rtol=1e-6)
    assert sum(own) == 12
    plain = next(loader.make_batches(assembled("add")[0], batch_size=4, seed=1))
    assert set(plain) == {"image", "label"}


@pytest.mark.parametrize("start", [0, 2, 3, 5])
def test_generated_pictures_come_first_from_any_position_on(start) -> None:
    """Seven steps: three of generated pictures, four of real ones, each in whole epochs."""
    source, own = assembled("pretrain:1x", steps=7)
    place = {image.tobytes(): i for i, image in enumerate(source.images)}

    def drawn(first):
        batches = loader.make_batches(source, batch_size=8, seed=4, start=first)
        return [[place[image.tobytes()] for image in next(batches)["image"]] for _ in range(7)]

    whole = drawn(0)
    assert drawn(start)[: 7 - start] == whole[start:]
    assert not own[np.concatenate(whole[:3])].any() and own[np.concatenate(whole[3:])].all()
    for part in (whole[:3], whole[3:6]):  # Two epochs of 12 pictures.
        assert set(np.bincount(np.concatenate(part))) <= {0, 2}


@pytest.mark.parametrize(
    ("names", "changes", "words"),
    [
        (("weight",), {}, r"like :0.3, in \(0, 1\), got 'weight'"),
        (("weight:1.5",), {}, r"like :0.3, in \(0, 1\)"),
        (("weight:2x",), {}, r"like :0.3, in \(0, 1\)"),
        (("copies:best",), {}, "only add, pca can have the best of some amounts"),
        (("real[drawn]",), {}, "only an arm with generated images can name"),
        (("pca[drawn]:1",), {}, "only an arm with generated images can name"),
        (("add[pca]:1",), {}, "an arm of their own, pca"),
        (("reweight:2",), {}, "can have an amount"),
        (("add[drawn]",), {}, r"'add\[drawn\]' must name a source .* and it names none"),
        (
            ("add[drawn]",),
            {"generated": "{'a': 'x', 'b': 'y'}"},
            "must name a source of config.generated, and they are a, b",
        ),
        (("add",), {"generated": "{'a': 3}"}, "must be a folder or like"),
        (("add",), {"generated": "{'a'"}, "must be a folder or like"),
        (("add",), {"generated": "{'pca': 'x'}"}, "and not pca or folder, got 'pca'"),
        (("add:best",), {"add.amounts": (1.0,)}, "two or more different numbers above 0"),
        (("add:best",), {"add.amounts": (1.0, -1.0)}, "two or more different numbers above 0"),
        (("real+features",), {}, "needs a pretrained trunk that stays as it is"),
        (
            ("real+cutmix",),
            {"classifier.train.batch_size": 3},
            r"must be even with arm 'real\+cutmix', got 3",
        ),
        (("add:1x", "weight:0.5", "pretrain", "add"), {}, "add would train the same as add:1x"),
    ],
)
def test_arms_that_cannot_be(names, changes, words) -> None:
    changes = dict(changes)
    amounts = changes.pop("add.amounts", None)
    config = twin(**changes)
    if amounts:
        with config.unlocked():
            config.add.amounts = amounts
    config.arms = names
    with pytest.raises(InputError, match=words):
        plan_arms(parse(config), COUNTS)


def test_principal_components_need_three_pictures() -> None:
    with pytest.raises(InputError, match=r"needs 3 real .* there are 2 of cat$"):
        planned("pca:2x", counts={"cat": 2, "dog": 20})


def test_rectangles_of_features_are_refused() -> None:
    with pytest.raises(InputError, match="features have no rectangles"):
        frozen("real+cutmix")


def test_names_are_read() -> None:
    read = arm_names.parse("pretrain[my.gan-2]:0.5x@20+cutmix+trivialaugment")
    assert (read.kind, read.source, read.ratio, read.size) == ("pretrain", "my.gan-2", 0.5, 20)
    assert read.variants == ("trivialaugment", "cutmix")
    assert arm_names.parse("add:best").best and arm_names.parse("weight:0.3").weight == 0.3
    assert arm_names.parse("pca:2x").source == "pca" and arm_names.parse("pca:2x").generates
