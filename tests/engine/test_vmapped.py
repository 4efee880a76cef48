"""Several trainings at once are what each is alone, whatever becomes of the others."""

import json
import os
import signal
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine import loop, vmapped
from jaxgan.engine.checkpoint import Best, Checkpoints
from jaxgan.engine.log import Log, read_metrics
from jaxgan.engine.loop import Evaluation, TrainOptions
from jaxgan.training import frozen_features, run
from jaxgan.types import Prelude, Recipe

ROOT = Path(__file__).parents[2]
SEEDS = (0, 3, 5)
BEST = Best("score", "max")
OPTIONS = TrainOptions(
    steps=7, images_a_step=4, log_every=3, sample_every=2, checkpoint_every=5, best=BEST
)


class State(struct.PyTreeNode):
    step: jax.Array
    weight: jax.Array


def recipe(explodes: int | None = None, what: str = "loss") -> Recipe:
    """Of one weight; that of a seed becomes NaN at step 4, or its loss alone does."""

    def init(key):
        weight = jax.random.normal(key, (3,))
        if explodes is None:
            return State(jnp.int32(0), weight)
        mine = jax.random.split(jax.random.key(explodes))[0]
        marked = (jax.random.key_data(key) == jax.random.key_data(mine)).all()
        return State(jnp.int32(0), jnp.append(weight, marked))

    def step(state, batch, key):
        mean = batch["image"].astype(jnp.float32).mean((0, 1, 2)) / 255
        new = 0.9 * state.weight[:3] + mean + 0.1 * jax.random.normal(key, (3,))
        bad = (state.weight[3:] > 0) & (state.step == 3)
        loss, poison = new.sum(), jnp.where(bad, jnp.nan, 0).sum()
        if what == "loss":
            loss += poison
        else:
            new += poison
        return State(state.step + 1, jnp.append(new, state.weight[3:])), {"loss": loss}

    return Recipe(init, step)


def score(state: State) -> Evaluation:
    return Evaluation({"score": float(jnp.sin(9 * state.weight[0]))}, {})


def batches(seed: int):
    source = loader.in_memory(ToySource(8, count=5, seed=seed))
    return loader.make_batches(source, batch_size=4, seed=seed)


def at_once(folder: Path, recipe_: Recipe, evaluate=score, options=OPTIONS, seeds=SEEDS) -> list:
    folders = [folder / str(seed) for seed in seeds]
    logs = [Log(each, "all") for each in folders]
    try:
        return vmapped.train(
            recipe_,
            [batches(seed) for seed in seeds],
            [options._replace(seed=seed, config={"seed": seed}) for seed in seeds],
            folders,
            logs=logs,
            evaluate=evaluate,
        )
    finally:
        for each in logs:
            each.close()


def alone(folder: Path, seed: int, recipe_: Recipe, evaluate=score) -> None:
    options = OPTIONS._replace(seed=seed, config={"seed": seed})
    with Log(folder / str(seed)) as told:
        loop.train(recipe_, batches(seed), options, folder / str(seed), log=told, evaluate=evaluate)


def kept(folder: Path, recipe_: Recipe, best: Best = BEST) -> dict:
    """What the best and the last checkpoint hold."""
    abstract = jax.eval_shape(recipe_.init, jax.random.key(0))
    with Checkpoints(folder, best, read_only=True) as checkpoints:
        steps = {"best": checkpoints.best, "last": checkpoints.latest}
        return {name: checkpoints.restore(abstract, step) for name, step in steps.items()}


def rows(folder: Path) -> list[dict]:
    timing = ("images_per_second", "waiting_share")
    return [{k: v for k, v in row.items() if k not in timing} for row in read_metrics(folder)]


def assert_same(one: Path, other: Path, recipe_: Recipe, best: Best = BEST) -> None:
    for a, b in zip(rows(one), rows(other), strict=True):
        assert a == pytest.approx(b, rel=1e-5, abs=1e-6)
    a, b = kept(one, recipe_, best), kept(other, recipe_, best)
    for name in ("best", "last"):
        assert (a[name].step, a[name].config) == (b[name].step, b[name].config)
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6),
            *(jax.device_get(each[name].state) for each in (a, b)),
        )


def test_it_is_a_recipe() -> None:
    """With a leading axis of all, its prelude and its turns, too."""
    one = recipe()
    one = one._replace(prelude=Prelude(one.step, lambda step: 1), turns=lambda step: [one.step])
    both = vmapped.vmapped(one, 2)
    assert both is vmapped.vmapped(one, 2) and both.turns(0) == [both.step]
    keys = jax.random.split(jax.random.key(4), 2)
    drawn = [next(batches(seed)) for seed in SEEDS[:2]]
    states = both.init(keys)
    for step, several in ((one.step, both.step), (one.prelude.step, both.prelude.step)):
        moved, metrics = several(states, jax.tree.map(lambda *x: np.stack(x), *drawn), keys)
        for i, (key, batch) in enumerate(zip(keys, drawn, strict=True)):
            state, alone = step(one.init(key), batch, key)
            np.testing.assert_allclose(moved.weight[i], state.weight, rtol=1e-6)
            np.testing.assert_allclose(metrics["loss"][i], alone["loss"], rtol=1e-6)
    with pytest.raises(ValueError):
        vmapped.vmapped(one, 3).step(states, drawn[0], keys)


@pytest.mark.parametrize("what", ["moves", "ties"])
def test_each_is_as_alone(tmp_path: Path, what: str) -> None:
    one = recipe()
    evaluate = score if what == "moves" else lambda state: Evaluation({"score": 0.5}, {})
    assert at_once(tmp_path / "all", one, evaluate) == [None] * 3
    best = set()
    for seed in SEEDS:
        alone(tmp_path / "one", seed, one, evaluate)
        assert_same(tmp_path / "all" / str(seed), tmp_path / "one" / str(seed), one)
        best.add(kept(tmp_path / "all" / str(seed), one)["best"].step)
    assert len(best) > 1 if what == "moves" else best == {7}
    lines = (tmp_path / "all" / "0" / "log.txt").read_text().splitlines()
    assert sum("/7  " in line for line in lines) == 7


@pytest.mark.parametrize(
    ("what", "words"),
    [("loss", "loss must be finite, got nan at step 4"), ("weights", "not after step 4")],
)
def test_one_that_fails_leaves_the_others_as_they_are(tmp_path: Path, what, words) -> None:
    one = recipe(explodes=3, what=what)
    fine, bad, also = at_once(tmp_path / "all", one)
    assert fine is also is None and words in str(bad)
    assert [row["step"] for row in rows(tmp_path / "all" / "3")][-1] < 5
    assert not (tmp_path / "all" / "3" / "checkpoints").exists()
    for seed in (0, 5):
        alone(tmp_path / "one", seed, one)
        assert_same(tmp_path / "all" / str(seed), tmp_path / "one" / str(seed), one)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_interrupted_and_begun_anew_it_is_the_same(tmp_path: Path, number, code) -> None:
    one, calls = recipe(), []

    def kill(state: State) -> Evaluation:
        calls.append(int(state.step))
        if len(calls) == 4:  # The first of step 4.
            os.kill(os.getpid(), number)
        return score(state)

    at_once(tmp_path / "whole", one)
    alone(tmp_path / "twice", 3, one)  # Of a training of its own something is left.
    for row in (tmp_path / "twice" / "3" / "checkpoints").iterdir():
        if row.name == "7":
            row.rename(tmp_path / "gone")
    with pytest.raises(SystemExit) as ended:
        at_once(tmp_path / "twice", one, kill)
    assert ended.value.code == code and calls[-1] == 4
    assert at_once(tmp_path / "twice", one) == [None] * 3
    for seed in SEEDS:
        a, b = (kept(tmp_path / name / str(seed), one) for name in ("whole", "twice"))
        assert rows(tmp_path / "whole" / str(seed)) == rows(tmp_path / "twice" / str(seed))
        for name in ("best", "last"):
            jax.tree.map(np.testing.assert_array_equal, a[name].state, b[name].state)


def test_what_is_trained_is_not_trained_again(tmp_path: Path) -> None:
    one = recipe()
    at_once(tmp_path, one, seeds=(0, 3))
    before = rows(tmp_path / "0")

    def only_new(state: State) -> Evaluation:
        judged.append(int(state.step))
        return score(state)

    judged: list[int] = []
    assert at_once(tmp_path, one, only_new) == [None] * 3
    assert judged == [2, 4, 6, 7] and rows(tmp_path / "0") == before
    assert at_once(tmp_path, one, lambda state: pytest.fail("judged")) == [None] * 3


def test_frozen_heads_at_once_are_as_alone(tmp_path: Path) -> None:
    """On features of two views of each picture, with dropout and mixup."""
    config = configs.load(str(ROOT / "configs" / "vgg16_small.py"), test=True)
    config.update_from_flattened_dict(
        {"model.num_classes": 2, "model.hidden": (16,), "optim.trunk": 0.0, "train.steps": 3}
    )

    def of(seed: int, count: int) -> frozen_features.Views:
        source = ToySource(32, count=count, seed=seed)
        views = np.random.default_rng(seed).normal(size=(len(source), 2, 49 * 8))
        return frozen_features.Views(source, views.astype(np.float32))

    each = [parse(config).changed({"seed": seed}) for seed in SEEDS[:2]]
    one, validation, sources = recipes.build(config), of(9, 4), [of(m.seed, 6) for m in each]
    folders = [tmp_path / "all" / str(mine.seed) for mine in each]
    wrong = run.train_classifiers(each, sources, validation, folders, label="a", recipe=one)
    assert wrong == [None, None]
    for mine, source, folder in zip(each, sources, folders, strict=True):
        other = tmp_path / "one" / str(mine.seed)
        run.train_classifier(mine, source, validation, other, recipe=one, label="b")
        assert_same(folder, other, one, run.BEST)
        about = [json.loads((at / "run.json").read_text())["data"] for at in (folder, other)]
        assert about[0] == about[1]
        assert (folder / "parameters.txt").read_text() == (other / "parameters.txt").read_text()
