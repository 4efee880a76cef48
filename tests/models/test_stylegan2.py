"""StyleGAN2's nets: the published tool's results, counts, and properties."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.mlir import ir
from jax.interpreters.mlir import make_ir_context

from jaxgan.engine import sharding
from jaxgan.models.layers import resampling
from jaxgan.models.stylegan2 import (
    Dense,
    Discriminator,
    Generator,
    SynthesisLayer,
    ToRGB,
    minibatch_deviation,
    widths,
)
from jaxgan.types import InputError
from jaxgan.weights import stylegan2_ada

KEY = jax.random.key(0)
PART = Path(__file__).parents[1] / "reference/stylegan2_32_part.npz"
WHOLE = Path(__file__).parents[3] / "shared/reference/stylegan2_ada_32.npz"
NUMBERS: dict = {"channel_base": 1024, "channel_max": 64}


def count(tree: Any) -> int:
    return sum(math.prod(x.shape) for x in jax.tree.leaves(tree))


def params(module: Any, *shapes: tuple[int, ...]) -> Any:
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.eval_shape(lambda *a: module.init(KEY, *a, True), *arguments)["params"]


@pytest.mark.parametrize(
    ("resolution", "base", "layers", "generator", "discriminator"),
    [
        (128, 16384, 2, 22_949_277, 23_882_369),
        (256, 16384, 2, 23_191_522, 24_001_089),
        (512, 32768, 2, 28_700_647, 28_982_849),
        (1024, 32768, 8, 30_370_060, 29_012_513),
    ],
)
def test_counts(
    resolution: int, base: int, layers: int, generator: int, discriminator: int
) -> None:
    drawer = Generator(resolution, channel_base=base, mapping_layers=layers)
    found = params(drawer, (2, 512))
    assert count(found) == generator
    assert count(found["mapping"]) == 262_656 * layers
    judge = Discriminator(resolution, channel_base=base)
    assert count(params(judge, (4, resolution, resolution, 3))) == discriminator


def test_sizes() -> None:
    assert widths(1024, 32768, 512) == {
        **dict.fromkeys((4, 8, 16, 32, 64), 512), 128: 256, 256: 128, 512: 64, 1024: 32,
    }  # fmt: skip
    for resolution, layers in ((8, 4), (32, 8), (64, 10), (1024, 18)):
        assert Generator(resolution).num_ws == layers
    for module, shape in ((Generator, (1, 512)), (Discriminator, (1, 48, 48, 3))):
        with pytest.raises(InputError, match="a power of two from 8 to 1024, got 48"):
            params(module(48), shape)
    with pytest.raises(InputError, match="must be of 32 px, got 16 x 16"):
        params(Discriminator(32), (1, 16, 16, 3))
    with pytest.raises(InputError, match="must be of 512, got 100"):
        params(Generator(32), (1, 100))


def test_labels_are_for_networks_with_classes() -> None:
    labels, z = jnp.zeros(2, jnp.int32), jnp.zeros((2, 16))
    images = jnp.zeros((2, 8, 8, 3))
    for classes, given in ((0, labels), (3, None)):
        modules = (Generator(8, 16, classes, **NUMBERS), Discriminator(8, classes, **NUMBERS))
        for module, x in zip(modules, (z, images), strict=True):
            with pytest.raises(InputError, match=f"labels must .* of {classes} classes"):
                jax.eval_shape(lambda m=module, x=x, g=given: m.init(KEY, x, True, g))


def loaded(file: Path) -> tuple[dict, dict[str, dict]]:
    """The results, and the variables of G and D."""
    arrays = np.load(file)
    nets = {
        net: stylegan2_ada.to_ours(
            {name[2:]: arrays[name] for name in arrays.files if name.startswith(f"{net}.")}, net
        )
        for net in "GD"
    }
    results = {name: arrays[name] for name in arrays.files if name[:2] not in ("G.", "D.")}
    return results, jax.tree.map(jnp.asarray, nets)


def pictures(array: np.ndarray) -> jax.Array:
    """NCHW, as the reference has them."""
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def test_a_part_of_the_published_results() -> None:
    """The last layers of one picture, from what goes into them; and the truncated style."""
    part, nets = loaded(PART)
    block = {kind: tree["synthesis"]["b32"] for kind, tree in nets["G"].items() if tree}
    inside = lambda name: {kind: t[name] for kind, t in block.items() if name in t}  # noqa: E731
    ws = jnp.asarray(part["w"])
    x = SynthesisLayer(32, False, None).apply(
        inside("conv1"), jnp.asarray(part["features"]), ws[:, 6], "const", None
    )
    rgb = ToRGB(None).apply(inside("torgb"), x, ws[:, 7])
    image = rgb + resampling.upsample(jnp.asarray(part["image_16"]))
    np.testing.assert_allclose(image, pictures(part["image_const"]), atol=1e-4)

    class Mapped(Generator):
        """Whose mapping is known."""

        def _ws(self, z: Any, labels: Any, beta: Any = None) -> Any:
            return ws

    variables = {"batch_stats": {"mapping": nets["G"]["batch_stats"]["mapping"]}}
    found = Mapped(32, 8, **NUMBERS).apply(variables, jnp.zeros((1, 8)), None, 0.7, method="to_ws")
    np.testing.assert_allclose(found, part["w_psi0.7"], atol=1e-5)


@pytest.fixture(scope="module")
def reference() -> tuple[dict, dict[str, dict]]:
    if not WHOLE.exists():
        pytest.skip(f"only a part of the published results is here: no {WHOLE}")
    return loaded(WHOLE)


def test_generator_of_the_published_tool(reference) -> None:
    results, nets = reference
    generator = Generator(32, mapping_layers=2, clamp=None, **NUMBERS)
    apply = partial(generator.apply, nets["G"])
    to_ws = partial(apply, method="to_ws")
    synthesise = jax.jit(partial(apply, method="synthesise"), static_argnums=1)
    z = jnp.asarray(results["z"])
    ws, truncated = to_ws(z), to_ws(z, None, 0.7)
    np.testing.assert_allclose(ws, results["w"], atol=1e-4)
    np.testing.assert_allclose(truncated, results["w_psi0.7"], atol=1e-4)
    coarse = to_ws(z, None, 0.7, 3)
    np.testing.assert_array_equal(coarse[:, :3], truncated[:, :3])
    np.testing.assert_array_equal(coarse[:, 3:], ws[:, 3:])
    for w, noise, name in (
        (ws, "const", "image_const"),
        (ws, "none", "image_none"),
        (truncated, "const", "image_const_psi0.7"),
    ):
        np.testing.assert_allclose(synthesise(w, noise), pictures(results[name]), atol=1e-4)
    # Path lengths: noise of deviation 1 / side keeps them independent of the resolution.
    noise = pictures(results["path_noise"]) / 32
    drawn = lambda ws: (synthesise(ws, "const") * noise).sum()  # noqa: E731
    lengths = jnp.sqrt((jax.grad(drawn)(ws) ** 2).sum(axis=2).mean(axis=1))
    np.testing.assert_allclose(lengths, results["path_lengths"], rtol=1e-3)


def test_discriminator_of_the_published_tool(reference) -> None:
    results, nets = reference
    discriminator, real = Discriminator(32, **NUMBERS), pictures(results["real"])

    @jax.jit
    def judged(variables: Any) -> Any:
        def r1(variables: Any) -> jax.Array:
            judge = lambda x: discriminator.apply(variables, x, True).sum()  # noqa: E731
            return (jax.grad(judge)(real) ** 2).sum(axis=(1, 2, 3))

        slopes = jax.grad(lambda v: 0.5 * r1(v).mean())(variables)
        return discriminator.apply(variables, real, True), r1(variables), slopes

    logits, r1, slopes = jax.device_get(judged(nets["D"]))
    np.testing.assert_allclose(logits, results["logits"][:, 0], atol=1e-4)
    np.testing.assert_allclose(r1, results["r1_per_image"], rtol=1e-3)
    slope = stylegan2_ada.to_published({"params": slopes["params"]}, "D")["b4.fc.weight"]
    want = results["grad_of_half_mean_r1_wrt_D.b4.fc.weight"]
    np.testing.assert_allclose(slope, want, atol=1e-3 * np.abs(want).max())


def test_dense_layers_learn_at_one_rate() -> None:
    rng = np.random.default_rng(0)
    x, weight, bias = (rng.normal(size=shape) for shape in ((3, 8), (8, 5), (5,)))
    given = {"params": {"weight": jnp.float32(weight), "bias": jnp.float32(bias)}}
    for rate in (1.0, 0.01):
        want = x @ weight * rate / math.sqrt(8) + bias * rate
        found = Dense(5, rate).apply(given, jnp.float32(x))
        np.testing.assert_allclose(found, want, atol=1e-6)
        active = Dense(5, rate, active=True).apply(given, jnp.float32(x))
        want = np.where(want > 0, want, 0.2 * want) * math.sqrt(2)
        np.testing.assert_allclose(active, want, atol=1e-6)
    begun = Dense(400, 0.01, bias=1.0).init(KEY, jnp.zeros((1, 100)))["params"]
    assert np.std(begun["weight"]) == pytest.approx(100, rel=0.02)
    assert np.all(np.asarray(begun["bias"]) == 1)


@pytest.mark.parametrize(("batch", "group"), [(8, 4), (12, 4), (6, 3), (2, 2), (5, 1)])
def test_minibatch_deviation(batch: int, group: int) -> None:
    x = np.random.default_rng(0).normal(size=(batch, 3, 4, 5))
    found = minibatch_deviation(jnp.float32(x))
    np.testing.assert_array_equal(found[..., :5], np.float32(x))
    for i in range(batch):
        mine = x[i % (batch // group) :: batch // group]
        assert len(mine) == group
        want = np.sqrt(mine.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(found[i, ..., 5], want, rtol=1e-5, atol=1e-7)


# The smallest nets: 8 px and few features, two classes.
CLASSES = 2
SMALL: dict = {"num_classes": CLASSES, "channel_base": 64, "channel_max": 8, "mapping_layers": 2}


def small(axis_name: str | None = None) -> tuple[Generator, Discriminator]:
    generator = Generator(8, 16, w_dim=16, axis_name=axis_name, **SMALL)
    return generator, Discriminator(8, axis_name=axis_name, **SMALL)


@pytest.fixture(scope="module")
def begun() -> tuple[Any, Any]:
    generator, discriminator = small()
    labels = jnp.zeros(2, jnp.int32)
    z, images = jnp.zeros((2, 16)), jnp.zeros((2, 8, 8, 3))
    variables, judge = jax.jit(
        lambda: (
            generator.init(KEY, z, True, labels),
            discriminator.init(KEY, images, True, labels),
        )
    )()
    for block in variables["params"]["synthesis"].values():  # Noise begins at 0.
        for name in block.keys() & {"conv0", "conv1"}:
            block[name]["noise_strength"] += 0.5
    return variables, judge


def turn(axis_name: str | None, state: Any, batch: dict, key: jax.Array) -> tuple[Any, dict]:
    """Slopes of the logits, of R1 and of path lengths, with what each picture draws."""
    generator, discriminator = small(axis_name)
    mean = partial(jax.lax.pmean, axis_name=axis_name) if axis_name else lambda tree: tree

    def objective(state: tuple[Any, Any]) -> tuple[jax.Array, Any]:
        drawer, judge = state
        z, labels = batch["z"], batch["label"]
        ws, moved = generator.apply(drawer, z, labels, method="w_average", mutable=["batch_stats"])
        draw = lambda ws: generator.apply(drawer, ws, "random", key, method="synthesise")  # noqa: E731
        images = draw(ws)
        lengths = jax.grad(lambda ws: draw(ws).sum())(ws)
        score = lambda x: discriminator.apply(judge, x, True, labels)  # noqa: E731
        r1 = (jax.grad(lambda x: score(x).sum())(images) ** 2).sum() / len(z)
        total = jax.nn.softplus(score(images)).mean() + r1 + (lengths**2).sum() / len(z)
        return total, moved["batch_stats"]["mapping"]

    (total, moved), slopes = jax.value_and_grad(objective, has_aux=True)(state)
    return mean((slopes[0]["params"], slopes[1]["params"])), mean({"total": total, **moved})


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_two_devices_are_one(mode: str, begun: Any) -> None:
    """Groups of the minibatch, the average of w and the noise are those of the whole batch."""
    assert jax.device_count() == 2
    rng = np.random.default_rng(0)
    batch = {"z": rng.normal(size=(8, 16)).astype(np.float32)}
    batch["label"] = (np.arange(8) // 3 % CLASSES).astype(np.int32)
    wanted = jax.jit(partial(turn, None))(begun, jax.tree.map(jnp.asarray, batch), KEY)
    devices = sharding.spread(mode)
    axis_name = sharding.axis_name(mode)
    step = devices.compile(lambda state, *more: (state, turn(axis_name, state, *more)))
    _, found = step(devices.place(begun), devices.shard(batch, 0), KEY)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        a, b = np.asarray(a).reshape(b.shape), np.asarray(b)
        np.testing.assert_allclose(a, b, atol=1e-4 * max(np.abs(b).max(), 1e-3))


def test_classes_and_noise_change_pictures(begun: Any) -> None:
    generator, discriminator = small()
    drawer, judge = begun
    z = jax.random.normal(KEY, (2, 16))
    zero, one = jnp.zeros(2, jnp.int32), jnp.ones(2, jnp.int32)
    ws = generator.apply(drawer, z, zero, method="to_ws")
    synthesise = jax.jit(
        partial(generator.apply, drawer, method="synthesise"), static_argnames="noise"
    )
    assert np.abs(ws - generator.apply(drawer, z, one, method="to_ws")).max() > 0.1
    draw = lambda noise, key=None: synthesise(ws, noise=noise, key=key)  # noqa: E731
    first, same, other = (draw("random", jax.random.key(i)) for i in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.01
    assert np.abs(draw("const") - draw("none")).max() > 0.01
    np.testing.assert_allclose(generator.apply(drawer, z, True, zero), draw("const"), atol=1e-5)
    # A picture's noise is its key's, whatever stands beside it.
    keys = jax.random.split(KEY, 2)
    pair = draw("random", keys)
    alone = synthesise(ws[1:], noise="random", key=keys[1:])
    np.testing.assert_allclose(pair[1:], alone, atol=1e-5)
    logits = [discriminator.apply(judge, first, True, labels) for labels in (zero, one)]
    assert np.abs(logits[0] - logits[1]).max() > 1e-3


def test_the_average_of_w_moves_and_truncation_goes_there(begun: Any) -> None:
    generator, drawer = small()[0], begun[0]
    z, labels = jax.random.normal(KEY, (64, 16)), jnp.zeros(64, jnp.int32)
    apply = partial(generator.apply, drawer, z, labels)
    ws, moved = apply(0.25, method="w_average", mutable=["batch_stats"])
    average = moved["batch_stats"]["mapping"]["w_avg"]
    np.testing.assert_allclose(average, 0.75 * ws[:, 0].mean(axis=0), atol=1e-6)
    stats = drawer["batch_stats"] | {"mapping": {"w_avg": average}}
    mean = generator.apply(
        {"params": drawer["params"], "batch_stats": stats}, z, labels, 0.0, method="to_ws"
    )
    np.testing.assert_allclose(mean, np.broadcast_to(average, mean.shape), atol=1e-6)


def test_low_precision_is_close() -> None:
    """In the highest blocks only, and what comes out is float32."""
    numbers = {"channel_base": 256, "channel_max": 32}
    z, real = jax.random.normal(KEY, (4, 16)), jax.random.normal(KEY, (4, 16, 16, 3))
    wanted = given = None
    for blocks in (0, 1, 9):
        generator = Generator(16, 16, w_dim=16, mapping_layers=1, bf16_blocks=blocks, **numbers)
        discriminator = Discriminator(16, bf16_blocks=blocks, **numbers)
        begin = lambda g=generator, d=discriminator: (g.init(KEY, z, True), d.init(KEY, real, True))  # noqa: E731
        given = given or jax.jit(begin)()

        @jax.jit
        def both(given: Any, g: Generator = generator, d: Discriminator = discriminator) -> Any:
            return g.apply(given[0], z, True), d.apply(given[1], real, True)

        found = both(given)
        wanted = wanted or found
        for a, b in zip(found, wanted, strict=True):
            assert a.dtype == jnp.float32
            assert np.abs(a - b).max() < 0.05 * np.abs(b).max()
            assert np.array_equal(a, b) == (blocks == 0)


def test_clamping_bounds_what_a_convolution_puts_out() -> None:
    layer = SynthesisLayer(4, False, 0.5)
    x, w = 100 * jax.random.normal(KEY, (1, 8, 8, 4)), jnp.ones((1, 4))
    variables = layer.init(KEY, x, w, "none", None)
    assert np.abs(layer.apply(variables, x, w, "none", None)).max() == 0.5
    free = SynthesisLayer(4, False, None).apply(variables, x, w, "none", None)
    np.testing.assert_array_equal(layer.apply(variables, x, w, "none", None), free.clip(-0.5, 0.5))


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowers_for_every_platform(platform: str, begun: Any) -> None:
    """One convolution for the batch, and on a CPU none with zeros between the inputs."""
    batch = {"z": jax.ShapeDtypeStruct((8, 16), np.float32)}
    batch["label"] = jax.ShapeDtypeStruct((8,), np.int32)
    exported = jax.export.export(jax.jit(partial(turn, None)), platforms=[platform])(
        jax.eval_shape(lambda: begun), batch, KEY
    )
    convolutions: list = []

    def note(operation: Any) -> Any:
        if operation.name == "stablehlo.convolution":
            convolutions.append(operation)
        return ir.WalkResult.ADVANCE

    with make_ir_context():
        ir.Module.parse(exported.mlir_module()).operation.walk(note)
        assert len(convolutions) > 20
        for operation in convolutions:
            about = operation.attributes
            for name in ("feature_group_count", "batch_group_count"):
                assert ir.IntegerAttr(about[name]).value == 1
            if platform == "cpu" and "lhs_dilation" in about:
                assert list(ir.DenseI64ArrayAttr(about["lhs_dilation"])) == [1, 1]


def test_names_are_the_published_ones(begun: Any) -> None:
    """There and back, with classes."""
    for variables, net in zip(begun, "GD", strict=True):
        arrays = stylegan2_ada.to_published(jax.device_get(variables), net)
        again = stylegan2_ada.to_ours(arrays, net)
        for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(variables), strict=True):
            np.testing.assert_array_equal(a, b)
