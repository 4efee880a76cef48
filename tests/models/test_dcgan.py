import math
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.models import wgan
from jaxgan.models.dcgan import Discriminator, Generator
from jaxgan.models.layers.conv_layer import Conv
from jaxgan.models.layers.dropout import Dropout
from jaxgan.types import InputError

KEY = jax.random.key(0)
CONFIGS = Path(__file__).parents[2] / "configs"


def inputs(module: nn.Module, b: int) -> jax.Array:
    """Latents or pictures, standard normal."""
    size = module.resolution
    shape = (module.latent_dim,) if hasattr(module, "latent_dim") else (size, size, 3)
    return jax.random.normal(jax.random.key(1), (b, *shape))


def shapes(module: nn.Module, b: int = 2):
    start = lambda: module.init_with_output(KEY, inputs(module, b), False)  # noqa: E731
    return jax.eval_shape(start)


def start(module: nn.Module, b: int = 2) -> dict:
    return jax.jit(partial(module.init, train=False))(KEY, inputs(module, b))


def layer_outputs(module: nn.Module, x: jax.Array, train: bool) -> dict[str, np.ndarray]:
    """What each layer puts out at the start, by its name."""

    @jax.jit
    def run(x):
        keys = {"params": KEY, "dropout": KEY}
        captured = module.init(keys, x, train, mutable=True, capture_intermediates=True)
        return captured["intermediates"]

    outputs = run(x)
    return {n: np.asarray(outputs[n]["__call__"][0]) for n in outputs if n != "__call__"}


@pytest.mark.parametrize(
    ("name", "generator", "critic"),
    [
        ("dcgan64", 12_658_432, 11_036_160),
        ("dcgan128_selu", 12_782_592, 11_160_576),
        ("dcgan64_paper", 3_576_704, 2_765_568),
        ("meowgan64", 3_576_704, 2_765_568),
        ("lsgan64", 12_658_432, 11_036_160),
        ("wgan64", 12_658_432, 11_036_160),
        ("wgangp64", 12_658_432, 11_032_576),
        ("r3gan64", 12_658_432, 11_032_576),
    ],
)
def test_published_counts(name: str, generator: int, critic: int) -> None:
    config = configs.load(str(CONFIGS / f"{name}.py"))
    state = jax.eval_shape(recipes.build(config).init, KEY)
    for net, expected in ((state.generator, generator), (state.critic, critic)):
        assert sum(math.prod(p.shape) for p in jax.tree.leaves(net.params)) == expected


@pytest.mark.parametrize("resolution", [32, 64, 128, 256, 512])
def test_shapes_at_every_resolution(resolution: int) -> None:
    images, variables = shapes(Generator(resolution, 8, channels=resolution), 3)
    assert images.shape == (3, resolution, resolution, 3)
    kernel = lambda size: variables["params"][f"conv{size}"]["kernel"].shape  # noqa: E731
    assert kernel(4) == (4, 4, 8, resolution)  # h resolution / 8 at 4 x 4,
    assert kernel(resolution) == (4, 4, 8, 3)  # and h = 8 before the picture.
    logits, _ = shapes(Discriminator(resolution, channels=resolution), 3)
    assert logits.shape == (3,)


@pytest.mark.parametrize("model", [Generator, Discriminator])
def test_bad_resolution(model: type[nn.Module]) -> None:
    with pytest.raises(InputError, match="a power of two from 16 to 1024, got 48"):
        shapes(model(48))


def test_input_of_another_size() -> None:
    with pytest.raises(InputError, match="latents must be of 100, got 7"):
        Generator(16).init(KEY, jnp.zeros((1, 7)), False)
    with pytest.raises(InputError, match="images must be of 16 px, got 16 x 32"):
        Discriminator(16).init(KEY, jnp.zeros((1, 16, 32, 3)), False)


@pytest.mark.parametrize("model", [partial(Generator, latent_dim=100), Discriminator])
def test_selu_keeps_unit_variance(model: partial) -> None:
    """At the start, wherever a layer sees no padding; zeros around it take up to a quarter."""
    module = model(32, channels=128, selu=True)
    outputs = layer_outputs(module, inputs(module, 16), False)
    names = [name for name in outputs if name.startswith("conv") and name != "conv1"]
    assert len(names) == (4 if model is not Discriminator else 3)
    for name in names:
        x = np.asarray(nn.selu(outputs[name]))
        margin = x.shape[1] // 4
        inside = x[:, margin:-margin, margin:-margin]
        assert inside.var() == pytest.approx(1, abs=0.15), name
        assert inside.mean() == pytest.approx(0, abs=0.05), name
        assert 0.7 < x.var() < 1.15, name


@pytest.mark.parametrize(
    "module",
    [
        Generator(16, 8, channels=64),
        Discriminator(16, channels=128),
        wgan.Generator(16, 8, channels=64, normal_init=True),
        wgan.Critic(16, channels=64, normal_init=True),
    ],
    ids=lambda m: f"{type(m).__module__.split('.')[-1]}.{type(m).__name__}",
)
def test_weights_start_as_in_dcgan(module: nn.Module) -> None:
    """N(0, .02), scales of normalisations N(1, .02), and no bias but in these."""
    scales = []
    for name, layer in start(module)["params"].items():
        if name.startswith("norm"):
            scales.append(layer["scale"])
            assert (layer["bias"] == 0).all()
            continue
        (kernel,) = layer.values()
        few = 1 / math.sqrt(kernel.size)
        assert kernel.std() == pytest.approx(0.02, rel=4 * few)
        assert kernel.mean() == pytest.approx(0, abs=4 * 0.02 * few)
    scales = np.concatenate(scales)
    assert scales.mean() == pytest.approx(1, abs=0.01)
    assert scales.std() == pytest.approx(0.02, rel=0.4)


def test_selu_and_no_norm_leave_out_normalisation() -> None:
    nets = [m(16, channels=16, selu=True) for m in (Generator, Discriminator)]
    for module in (*nets, Discriminator(16, channels=16, norm=False)):
        _, variables = shapes(module)
        assert set(variables) == {"params"}
        assert not [name for name in variables["params"] if name.startswith("norm")]


@pytest.mark.parametrize(
    ("options", "alone"), [({"selu": True}, True), ({"norm": False}, True), ({}, False)]
)
def test_without_normalisation_each_logit_is_its_pictures_own(options: dict, alone: bool) -> None:
    module = Discriminator(16, channels=16, **options)
    first = lambda x: module.init_with_output(KEY, x, True)[0][0]  # noqa: E731
    slopes = np.abs(jax.jit(jax.grad(first))(inputs(module, 4))).max((1, 2, 3))
    assert slopes[0] > 0
    assert (slopes[1:].max() == 0) == alone


def largest(layer: Conv, variables: dict) -> float:
    """The largest singular value of the kernel that the layer applies: each tap's picture."""
    taps = jnp.eye(4 * 4 * 3).reshape(-1, 4, 4, 3)
    matrix = layer.apply(variables, taps, False)[:, 0, 0]
    return np.linalg.svd(matrix, compute_uv=False)[0]


def test_spectral_norm_is_1() -> None:
    layer, x = Conv(8, 4, spectral_norm=True), jnp.ones((2, 4, 4, 3))
    variables = jax.jit(partial(layer.init, train=True))(KEY, x)
    assert largest(layer, variables) == pytest.approx(1, rel=0.02)
    layer.apply(variables, x, False)  # Would raise if it moved u.
    move = jax.jit(lambda variables: layer.apply(variables, x, True, mutable="batch_stats")[1])
    moved = variables
    for _ in range(50):
        moved = {**variables, **move(moved)}
    assert not np.array_equal(moved["batch_stats"]["u"], variables["batch_stats"]["u"])
    assert largest(layer, moved) == pytest.approx(1, rel=1e-4)


def test_spectral_norm_is_of_every_convolution() -> None:
    _, variables = shapes(Discriminator(32, channels=16, spectral_norm=True))
    convs = {name for name in variables["params"] if name.startswith("conv")}
    assert convs == {name for name, stats in variables["batch_stats"].items() if "u" in stats}


def test_dropout_of_whole_channels() -> None:
    drop = Dropout(0.3, channels=True)
    out = np.asarray(drop.apply({}, jnp.ones((40, 3, 3, 50)), True, rngs={"dropout": KEY}))
    assert (out == out[:, :1, :1]).all()
    np.testing.assert_allclose(np.unique(out), [0, 1 / 0.7], rtol=1e-6)
    assert (out == 0).mean() == pytest.approx(0.3, abs=0.04)
    assert not np.array_equal(out[0], out[1])


def test_the_discriminators_blocks_have_rates_of_their_own() -> None:
    module = Discriminator(32, channels=64, norm=False, dropout=(0.1, 0.5))
    outputs = layer_outputs(module, inputs(module, 32), True)
    drops = [x for name, x in sorted(outputs.items()) if name.startswith("Dropout")]
    zeros = [(x == 0).all((1, 2)).mean() for x in drops]
    assert zeros == pytest.approx([0.1, 0.5, 0.5], abs=0.08)


def test_dropout_in_the_generator() -> None:
    module = Generator(16, 8, channels=32, slope=0.2, dropout=0.5)
    outputs = layer_outputs(module, inputs(module, 16), True)
    for name in ("Dropout_0", "Dropout_1"):
        assert (outputs[name] == 0).mean() == pytest.approx(0.5, abs=0.03)
        assert (outputs[name] < 0).any()  # The slope of the LeakyReLU.
