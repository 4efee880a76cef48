"""StyleGAN2-ADA by config: named settings, bad values, what stays, what is begun with."""

from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.combinations import check_training
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.recipes import stylegan2
from jaxgan.training import run
from jaxgan.types import InputError
from jaxgan.weights import convert, init_from, stylegan2_ada

CONFIGS = Path(__file__).parents[2] / "configs"
ADA128 = str(CONFIGS / "stylegan2_ada128.py")


def twin(**changes: object) -> ConfigDict:
    config = configs.load(ADA128, test=True)
    config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize(
    ("name", "resolution", "expected"),
    [
        # Batch, R1, features at 4 x 4's base, rate, EMA in kimg, mapping layers, group.
        ("auto", 128, (32, 0.1024, 16384, 0.0025, 10, 2, 4)),
        ("auto", 1024, (4, 52.4288, 32768, 0.002, 1.25, 2, 4)),
        ("auto:8", 1024, (32, 6.5536, 32768, 0.002, 10, 2, 4)),
        ("auto:2", 256, (32, 0.4096, 16384, 0.0025, 10, 2, 4)),
        ("auto:8", 512, (64, 0.8192, 32768, 0.0025, 20, 2, 4)),
        ("auto:32", 128, (64, 0.0512, 16384, 0.0025, 20, 2, 2)),
        ("auto:128", 128, (128, 0.0256, 16384, 0.0025, 40, 2, 1)),
        ("paper256", 256, (64, 1, 16384, 0.0025, 20, 8, 8)),
        ("stylegan2", 1024, (32, 10, 32768, 0.002, 10, 8, 4)),
    ],
)
def test_settings_of_the_published_tool(name: str, resolution: int, expected: tuple) -> None:
    config = stylegan2.choose(configs.load(ADA128), name, resolution)
    batch, r1, base, rate, ema, layers, group = expected
    assert config.train.batch_size == batch
    assert config.loss.r1 == pytest.approx(r1)
    assert config.model.channel_base == base and config.model.channel_max == 512
    assert config.optim.generator.learning_rate == config.optim.critic.learning_rate == rate
    assert config.train.ema_kimg == ema
    assert config.train.ema_ramp == (0.05 if name.startswith("auto") else None)
    assert config.model.mapping_layers == layers and config.model.group_size == group


@pytest.mark.parametrize("name", ["auto", "paper256", "stylegan2", "small", "auto:3"])
@pytest.mark.parametrize("size", [64, 128, 256, 512])
def test_all_settings_are_valid_at_all_sizes(name: str, size: int) -> None:
    config = configs.load(f"{CONFIGS}/stylegan2_ada{size}.py:{name}")
    assert config.data.resolution == size and config.train.kimg == 1000
    check_training(config)


@pytest.mark.parametrize("name", ["papier", "small:2", "auto:0", "auto:x"])
def test_unknown_settings_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="the argument must be"):
        configs.load(f"{ADA128}:{name}")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"augment.policy": ("bgcx",)}, r"augment\.policy must be one of blit, geom.*got 'bgcx'"),
        ({"augment.policy": ("flip",)}, r"must be one of blit, geom, color, filter, noise, cutout"),
        ({"augment.p": 1.5}, r"config\.augment\.p must be within \[0, 1\], got 1\.5"),
        ({"augment.target": 1.0}, r"augment\.target must be within \(-1, 1\), got 1\.0"),
        ({"augment.speed_kimg": 0.0}, r"augment\.speed_kimg must be above 0, got 0"),
        ({"data.resolution": 96}, "must be a power of two from 16 to 1024, got 96"),
        ({"train.batch_size": 6}, r"even and a multiple of config\.model\.group_size \(4\), got 6"),
        ({"train.microbatch": 1}, r"config\.train\.microbatch must be even and .* got 1"),
        ({"optim.critic.frozen": 8}, r"frozen must be within \[0, 7\].* got 8"),
        ({"loss.style_mixing": -0.1}, r"style_mixing must be within \[0, 1\], got -0\.1"),
        ({"loss.r1": -1.0}, r"config\.loss\.r1 must not be negative, got -1"),
        ({"loss.path_every": 0}, r"config\.loss\.path_every must be above 0, got 0"),
        ({"train.ema_kimg": 0.0}, r"config\.train\.ema_kimg must be above 0, got 0"),
        ({"optim.generator.b2": 1.0}, r"config\.optim\.generator\.b2 must be within \[0, 1\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_values_are_named(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_training(twin(**changes))


def test_it_begins_outside_of_pmap() -> None:
    recipe = recipes.build(twin(parallel="pmap"), "data")
    begun, plain = (
        jax.eval_shape(r.init, jax.random.key(0)) for r in (recipe, recipes.build(twin()))
    )
    assert jax.tree.structure(begun) == jax.tree.structure(plain)


def test_conditioning_needs_classes(tmp_path: Path) -> None:
    config = twin(**{"model.conditional": True, "data.classes": ("cat",), "data.limit": 4})
    with pytest.raises(InputError, match=r"model\.conditional must be false.*got only cat"):
        run.run(config, tmp_path)


@pytest.mark.slow
def test_layers_are_frozen_from_the_pictures_on() -> None:
    assert stylegan2.frozen_layers(16)[:5] == [
        *("b16/fromrgb/", "b16/conv0/", "b16/conv1/", "b16/skip/", "b8/conv0/"),
    ]
    recipe = recipes.build(twin(**{"optim.critic.frozen": 5}))
    state = jax.eval_shape(recipe.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    drawn = lambda x: rng.normal(size=x.shape).astype(x.dtype)  # noqa: E731
    params = [jax.tree.map(drawn, net.params) for net in (state.generator, state.critic)]
    state = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), state)
    nets = [
        net.replace(params=p)
        for net, p in zip((state.generator, state.critic), params, strict=True)
    ]
    state = state.replace(generator=nets[0], critic=nets[1], step=np.int32(1))
    images = rng.integers(0, 256, (8, 16, 16, 3), np.uint8)
    critic_turn = recipe.turns(1)[1]  # type: ignore[misc]
    batch = {"image": images, "label": np.zeros(8, np.int32)}
    after, _ = jax.jit(critic_turn)(state, batch, jax.random.key(0))
    stays = {
        "/".join(entry.key for entry in path)
        for (path, a), b in zip(
            jax.tree_util.tree_leaves_with_path(state.critic.params),
            jax.tree.leaves(after.critic.params),
            strict=True,
        )
        if np.array_equal(a, b)
    }
    layers = ("b16/fromrgb/", "b16/conv0/", "b16/conv1/", "b16/skip/", "b8/conv0/")
    assert {layer.rpartition("/")[0] for layer in stays} == {x.rstrip("/") for x in layers}


@pytest.mark.slow
def test_a_larger_one_begins_with_a_smaller_ones_layers(tmp_path: Path) -> None:
    """And neither forgets the average with a ramp, nor begins with its p."""
    there = recipes.build(twin()).init(jax.random.key(1)).replace(p=np.float32(0.3))
    configs.claim(tmp_path, twin())
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(3, there, {}, {})
    config, told = twin(**{"data.resolution": 32, "init_from": str(tmp_path)}), []
    mine = recipes.build(config).init(jax.random.key(2))
    start = init_from.start(config.init_from, "stylegan2", recipes.build(config), told.append)
    begun = start(mine)
    for name in ("generator", "critic"):
        ours, theirs, got = (
            dict(jax.tree_util.tree_leaves_with_path(getattr(state, name).params))
            for state in (mine, there, begun)
        )
        for path, x in got.items():
            new = "b32" in str(path)
            np.testing.assert_array_equal(x, (ours if new else theirs)[path])
    average = begun.ema["batch_stats"]["mapping"]["w_avg"]
    np.testing.assert_array_equal(average, there.ema["batch_stats"]["mapping"]["w_avg"])
    assert begun.p == 0 and len(told) == 3


def test_it_begins_with_a_converted_network(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    abstract = jax.eval_shape(recipes.build(twin()).init, jax.random.key(0))
    drawn = lambda x: rng.normal(size=x.shape).astype(x.dtype)  # noqa: E731
    variables = {
        "G": jax.tree.map(drawn, abstract.generator.variables),
        "D": jax.tree.map(drawn, abstract.critic.variables),
        "G_ema": jax.tree.map(drawn, abstract.ema),
    }
    nets = {name: stylegan2_ada.to_published(tree, name) for name, tree in variables.items()}
    found, file = stylegan2_ada.Published(nets, 256.0, 4), tmp_path / "net.pkl"
    file.write_bytes(b"")
    convert.to_run(found, stylegan2_ada.sizes(found, file), tmp_path / "run", file)

    config = twin(init_from=str(tmp_path / "run"))
    init_from.check(config.init_from, "stylegan2", recipes.build(config))
    fresh = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), abstract)
    told: list[str] = []
    start = init_from.start(config.init_from, "stylegan2", recipes.build(config), told.append)
    begun = start(fresh)
    for got, name in zip(
        (begun.generator.variables, begun.critic.variables, begun.ema), nets, strict=True
    ):
        jax.tree.map(np.testing.assert_array_equal, got, variables[name])
    assert len(told) == 3 and not any("anew" in line for line in told)


def test_configs_of_users_find_it_where_it_was() -> None:
    from jaxgan import stylegan2 as before
    from jaxgan.recipes import stylegan2 as now

    assert before is now
