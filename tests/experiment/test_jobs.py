"""The list of jobs: in order, each once, and as long as what is trained."""

from pathlib import Path

import pytest

from jaxgan.config import loading as configs
from jaxgan.experiment.design.plan import Plan, prepare

ROOT = Path(__file__).parents[2]
ARMS = ("real", "add:2", "add:best", "replace+selection", "pca:2", "real@6", "add:1x@6")


def planned(**changes: object) -> Plan:
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.arms, config.verdict.primary = ARMS, ("add:2", "real")
    config.update_from_flattened_dict(changes)
    return prepare(config)


@pytest.fixture(scope="module", params=[(1, 2), (2, 1)], ids=["retrained", "folds"])
def plan(request) -> Plan:
    folds, retrain = request.param
    return planned(**{"data.folds": folds, "gan.retrain": retrain})


def test_each_job_comes_once_after_those_that_it_needs(plan) -> None:
    done: set[str] = set()
    for job in plan.jobs:
        assert job.output not in done and {given.output for given in job.inputs} <= done
        done.add(job.output)
    assert {job.fold for job in plan.jobs} == {fold.number for fold in plan.folds}


def test_every_arm_and_seed_has_its_classifiers(plan) -> None:
    choices = {f"add:best/{amount}x" for amount in ("0.5", "1", "2")}
    for fold in plan.folds:
        for seed in range(2):
            mine = plan.pick("classifier", fold=fold.number, seeds=(seed,))
            assert {job.arm.name for job in mine} == {*ARMS, *choices} - {"add:best"}
            (chosen,) = plan.pick("choice", fold=fold.number, seeds=(seed,))
            assert {job.arm.name for job in chosen.inputs} == choices
    assert len({job.steps for job in plan.pick("classifier")}) == 1


def test_gans_are_retrained_for_every_size_and_trained_on_what_their_seeds_draw(plan) -> None:
    retrain = 1 if len(plan.folds) > 1 else 2
    for fold in plan.folds:
        gans = plan.pick("gan", fold=fold.number)
        assert {(job.key.size, job.name, job.gan) for job in gans} == {
            (size, name, gan)
            for size in (None, 6)
            for name in ("cat", "dog")
            for gan in range(retrain)
        }
        for job in gans:
            learned = fold.draws[job.key.size][job.gan].learned[job.name]
            assert job.images == len(learned)
        for job in plan.pick("samples", fold=fold.number):
            (gan,) = job.inputs or (None,)
            assert (gan is None) == (job.key.source == "pca")
            assert gan is None or (gan.name, gan.gan) == (job.name, job.seed % retrain)


def test_selected_samples_are_drawn_in_surplus() -> None:
    plan = planned(**{"select.surplus": 3})
    for job in plan.pick("samples"):
        kept = plan.folds[0].needed[job.key][job.name]
        assert job.images == kept * (3 if job.key.selected else 1)
        assert (job.looks > 0) == job.key.selected


@pytest.mark.parametrize("length", [{"steps": 7}, {"epochs": 3}, {"kimg": 1}])
@pytest.mark.parametrize("first", [0, 2])
def test_steps_of_a_gan_follow_from_its_images(length, first) -> None:
    """With `boost`, extra critic updates take batches of the same epochs."""
    none = dict.fromkeys(("steps", "epochs", "kimg"))
    config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
    config.arms, config.verdict.primary = ("real", "add"), ("add", "real")
    train = config.gan.train
    with train.unlocked():
        train.update(none | length)
        train.boost.first, train.boost.n_critic = first, 3 * train.n_critic
    for job in prepare(config).pick("gan"):
        batches = job.steps + 2 * min(first, job.steps)
        if "steps" in length:
            assert job.steps == 7
        else:
            images = 3 * job.images if "epochs" in length else 1000
            assert abs(batches - images / job.batch) <= 3


def test_one_gan_for_all_classes_trains_as_long_as_one_of_each() -> None:
    def gans(conditional: bool | None) -> list:
        config = configs.load(str(ROOT / "configs" / "quickstart.py"), test=True)
        config.gan = configs.load(str(ROOT / "configs" / "drifted64.py"), test=True)
        config.gan.retrain, config.gan.model.conditional = 1, conditional
        train = config.gan.train
        train.steps, train.kimg, train.batch_size = None, 0.16, 8
        plan = prepare(config)
        said = [line for line in plan.account if "one GAN, which is told the class" in line]
        assert len(said) == (conditional is not False)
        assert {job.inputs[0].name for job in plan.pick("samples")} == {
            job.name for job in plan.pick("gan")
        }
        return plan.pick("gan")

    (one,), each = gans(None), gans(False)
    assert one.name == "" and [job.name for job in each] == ["cat", "dog"]
    assert [one.steps] * 2 == [job.steps for job in each] and one.steps == 20
    assert one.batch == sum(job.batch for job in each) == 16
    assert one.images == sum(job.images for job in each)
    (asked,) = gans(True)  # Then its length is taken as it is.
    assert asked.steps == 20 and asked.batch == 8
