"""Augmentations: against the published tool's results, numpy, scipy and their distributions."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from scipy import special, stats

from jaxgan import prng, recipes
from jaxgan.augment import ada
from jaxgan.augment.ada_transforms import COLORS, PIXELS
from jaxgan.augment.diffaugment import color
from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.engine import sharding
from jaxgan.steps import gan
from jaxgan.types import InputError

KEY = jax.random.key(0)
PART = Path(__file__).parents[1] / "reference/ada_32_part.npz"
WHOLE = Path(__file__).parents[3] / "shared/reference/stylegan2_ada_32.npz"
# The published tool leaves the second rotation out where it fixes all draws.
PUBLISHED = {
    "xflip": ("flip",),
    "rotate90": ("turn",),
    "xint": ("shift",),
    "scale": ("scale",),
    "rotate": ("rotate",),
    "aniso": ("stretch",),
    "xfrac": ("move",),
    "brightness": ("brightness",),
    "contrast": ("contrast",),
    "lumaflip": ("luma_flip",),
    "hue": ("hue",),
    "saturation": ("saturation",),
    "imgfilter": ada.BANDS,
    "cutout": ("cutout",),
    "bgc": tuple(name for name in ada.GROUPS["bgc"] if name != "rotate_again"),
}
# One program for all tests of single transformations: the others' gates are closed.
run = jax.jit(partial(ada.apply, ada.ALL))


def only(names: tuple[str, ...], draws: ada.Draws) -> ada.Draws:
    return draws._replace(gates={n: g if n in names else g + 1 for n, g in draws.gates.items()})


def fixed(names: tuple[str, ...], percentile: float, shape: tuple[int, ...]) -> ada.Draws:
    """All draws at percentile q as the published tool fixes them, normal ones at erfinv(2q - 1)."""
    normal = special.erfinv(2 * percentile - 1)
    values = {n: jnp.full((k, shape[0]), percentile) for n, k in ada.UNIFORM.items()}
    values |= {n: jnp.full((k, shape[0]), normal) for n, k in ada.NORMAL.items()}
    gates = dict.fromkeys(ada.ALL, jnp.zeros(shape[0]))
    return only(names, ada.Draws(gates, values, jnp.zeros(shape)))


def test_a_part_of_the_published_results() -> None:
    part = np.load(PART)
    images = jnp.asarray(part["input"])
    assert len(part["names"]) == 2 * len(PUBLISHED)
    for name, expected in zip(part["names"], part["outputs"], strict=True):
        kind, percentile = name.split("_percentile")
        draws = fixed(PUBLISHED[kind], float(percentile), images.shape)
        out = np.asarray(run(images, jnp.float32(1), draws)).reshape(2, -1, 3)[:, part["pixels"]]
        np.testing.assert_allclose(out, expected, atol=2e-5, err_msg=name)


@pytest.mark.skipif(not WHOLE.exists(), reason="no shared/reference/stylegan2_ada_32.npz")
def test_the_published_results() -> None:
    whole = np.load(WHOLE)
    images = jnp.asarray(whole["augment_input"].transpose(0, 2, 3, 1))
    for kind, names in PUBLISHED.items():
        for percentile in (0.2, 0.7):
            out = run(images, jnp.float32(1), fixed(names, percentile, images.shape))
            expected = whole[f"augment_{kind}_percentile{percentile}"].transpose(0, 2, 3, 1)
            np.testing.assert_allclose(out, expected, atol=2e-5, err_msg=f"{kind} {percentile}")


@pytest.mark.parametrize(("channels", "dtype"), [(3, jnp.float32), (1, jnp.bfloat16)])
def test_p_0_is_the_identity(channels: int, dtype: jnp.dtype) -> None:
    images = jax.random.normal(KEY, (8, 16, 16, channels)).astype(dtype)
    out = jax.jit(ada.make("bgcfnc"))(images, jnp.float32(0), KEY)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out.view(jnp.uint8), images.view(jnp.uint8))
    slope = jax.jit(jax.grad(lambda x: ada.make("bgcfnc")(x, jnp.float32(0), KEY).sum()))(images)
    np.testing.assert_array_equal(slope, jnp.ones_like(images))


@pytest.mark.slow
def test_each_is_applied_to_a_share_p_of_the_pictures() -> None:
    shape = (100, 8, 8, 3)
    images = jax.random.uniform(KEY, shape, minval=-1)
    draws = ada.draw(shape, jax.random.key(1))
    # Draws that change something wherever they are applied.
    sure = {"flip": 0.7, "turn": 0.3, "shift": 0.9, "luma_flip": 0.7}
    values = {n: jnp.full_like(v, sure[n]) if n in sure else v for n, v in draws.values.items()}
    draws = draws._replace(values=values)
    for name in ada.ALL:
        out = run(images, jnp.float32(0.3), only((name,), draws))
        changed = np.asarray((out != images).any((1, 2, 3)))
        # Either rotation is open to as many as make their union p.
        chance = 1 - 0.7**0.5 if name.startswith("rotate") else 0.3
        np.testing.assert_array_equal(changed, draws.gates[name] < chance, err_msg=name)
    gates = []
    for name, gate in ada.draw((4000, 1, 1, 1), KEY).gates.items():
        hits = int((gate < 0.3).sum())
        assert stats.binomtest(hits, 4000, 0.3).pvalue > 1e-3, name
        gates.append(gate)
    correlations = np.corrcoef(gates) - np.eye(len(gates))
    assert abs(correlations).max() < 4.5 / 4000**0.5  # No two of them go together.


def test_distributions() -> None:
    """Of what the matrices do, by appendix B."""
    count = 4000
    values = ada.draw((count, 1, 1, 1), jax.random.key(1)).values

    def follows(sample: np.ndarray, law: stats.rv_continuous) -> None:
        assert stats.kstest(sample, law.cdf).pvalue > 1e-3, sample

    def pixels(name: str) -> np.ndarray:  # The paper's maps: ours are their inverses.
        return np.linalg.inv(np.asarray(PIXELS[name](values[name], (64, 128)), np.float64))

    def even(sample: np.ndarray, outcomes: list[float]) -> None:
        counts = [(abs(sample - outcome) < 1e-4).sum() for outcome in outcomes]
        assert sum(counts) == count
        assert stats.chisquare(counts).pvalue > 1e-3

    angle = lambda m: np.arctan2(m[:, 1, 0], m[:, 0, 0])  # noqa: E731
    even(pixels("flip")[:, 0, 0], [-1, 1])
    even(angle(pixels("turn")) % (2 * np.pi - 1e-5), [0, np.pi / 2, np.pi, 3 * np.pi / 2])
    for axis, reach in ((0, 16), (1, 8)):
        steps, counts = np.unique(pixels("shift")[:, axis, 2], return_counts=True)
        np.testing.assert_array_equal(steps, np.arange(-reach, reach + 1))
        halves = np.where(abs(steps) == reach, 0.5, 1)  # The outermost are rounded from one side.
        assert stats.chisquare(counts, count * halves / halves.sum()).pvalue > 1e-3
        follows(pixels("move")[:, axis, 2] / reach, stats.norm(0, 1))
    follows(np.log2(pixels("scale")[:, 0, 0]), stats.norm(0, 0.2))
    follows(np.log2(pixels("stretch")[:, 0, 0]), stats.norm(0, 0.2))
    np.testing.assert_allclose(np.linalg.det(pixels("stretch")), 1, rtol=1e-5)
    for name in ("rotate", "rotate_again"):
        follows(angle(pixels(name)), stats.uniform(-np.pi, 2 * np.pi))
    colors = {name: np.asarray(color(values[name])) for name, color in COLORS.items()}
    follows(colors["brightness"][:, 1, 3], stats.norm(0, 0.2))
    follows(np.log2(colors["contrast"][:, 2, 2]), stats.norm(0, 0.5))
    even(colors["luma_flip"][:, 0].sum(1), [-1, 1])
    hue = colors["hue"]
    sine = (hue[:, 1, 0] - hue[:, 0, 1]) * 3**0.5 / 2
    follows(np.arctan2(sine, (hue[:, 0, 0] * 3 - 1) / 2), stats.uniform(-np.pi, 2 * np.pi))
    saturation = colors["saturation"]
    follows(np.log2(saturation[:, 0, 0] - saturation[:, 0, 1]), stats.norm(0, 1))
    for name in (*ada.BANDS, "noise"):
        follows(np.asarray(values[name][0]), stats.norm(0, 1))
    for row in values["cutout"]:
        follows(np.asarray(row), stats.uniform(0, 1))


def test_colours_keep_what_they_should() -> None:
    values = ada.draw((50, 1, 1, 1), KEY).values
    gray = np.array([1, 1, 1, 0]) / 3**0.5
    for name in ("hue", "saturation"):
        np.testing.assert_allclose(
            COLORS[name](values[name]) @ gray, gray[None].repeat(50, 0), atol=1e-6
        )
    hue = np.asarray(COLORS["hue"](values["hue"]))
    np.testing.assert_allclose(hue @ hue.swapaxes(1, 2), np.eye(4)[None].repeat(50, 0), atol=1e-5)


def test_one_channel_is_a_gray_picture() -> None:
    gray = jax.random.uniform(KEY, (16, 16, 16, 1), minval=-1)
    draws = ada.draw((16, 16, 16, 3), KEY)
    draws = draws._replace(pixels=draws.pixels[..., :1])
    out = run(gray, jnp.float32(1), draws)
    draws = draws._replace(pixels=jnp.tile(draws.pixels, 3))
    colored = run(jnp.tile(gray, 3), jnp.float32(1), draws)
    np.testing.assert_allclose(out, colored.mean(3, keepdims=True), atol=2e-5)


def test_noise_and_cutout() -> None:
    shape = (100, 8, 8, 3)
    images, draws = jnp.ones(shape), ada.draw(shape, KEY)
    added = np.asarray(run(images, jnp.float32(1), only(("noise",), draws))) - 1
    deviations = added.std((1, 2, 3)) / abs(draws.values["noise"][0])
    assert deviations.mean() == pytest.approx(0.1, rel=0.02)
    out = np.asarray(run(images, jnp.float32(1), only(("cutout",), draws)))
    hole = (out == 0).all(3)
    assert ((out == 1) | hole[..., None]).all()
    rows, columns = hole.any(2), hole.any(1)
    assert (hole == rows[:, :, None] & columns[:, None]).all()
    for sides, middle in ((columns, draws.values["cutout"][0]), (rows, draws.values["cutout"][1])):
        # Half the side, less where it meets the border, about the middle.
        low, high = (np.clip(np.round((middle + d) * 8), 0, 8) for d in (-0.25, 0.25))
        np.testing.assert_array_equal(sides.sum(1), high - low)
        np.testing.assert_array_equal(sides.argmax(1)[high > low], low[high > low])


@pytest.mark.slow
def test_pictures_do_not_depend_on_neighbours_or_devices() -> None:
    images, keys = jax.random.uniform(KEY, (8, 16, 16, 3)), prng.example_keys(KEY, 8)
    augment, p = ada.make("bgcfnc"), jnp.float32(0.8)

    def both(images: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The augmented pictures, and what reaches the pictures of a loss of them."""
        out, pull = jax.vjp(lambda x: augment(x, p, keys), images)
        return out, pull(jnp.cos(out))[0]

    # A place of about 40 samples is known to some 1e-5 in float32, and where it is looked up
    # counts as much; with other draws pictures differ by .1 and more.
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-4)
    whole = jax.jit(both)(images, keys)
    assert (whole[0] != images).any((1, 2, 3)).all()
    jax.tree.map(close, jax.jit(both)(images[::-1], keys[::-1]), tuple(x[::-1] for x in whole))
    close(jax.jit(augment)(images, p, KEY), whole[0])

    mesh = jax.make_mesh((2,), (sharding.AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    spread = NamedSharding(mesh, PartitionSpec(sharding.AXIS))
    out = jax.jit(both, out_shardings=spread)(*jax.device_put((images, keys), spread))
    jax.tree.map(close, out, whole)

    def part(images: jax.Array) -> tuple[jax.Array, jax.Array]:
        return both(images, prng.example_keys(KEY, 4, sharding.AXIS))

    out = jax.pmap(part, sharding.AXIS)(images.reshape(2, 4, 16, 16, 3))
    jax.tree.map(lambda x, y: close(x.reshape(8, 16, 16, 3), y), out, whole)


def test_groups() -> None:
    assert ada.check(("color", "blit", "geom")) == ada.check("bgc") == ada.GROUPS["bgc"]
    assert ada.check(("cutout", "noise", "bgcf")) == ada.ALL
    known = "blit, geom, color, filter, noise, cutout, bg, bgc, bgcf, bgcfn, bgcfnc, got 'bcg'"
    with pytest.raises(InputError, match=known):
        ada.make(("blit", "bcg"))


def test_p_follows_the_signs() -> None:
    adjust = jax.jit(ada.adjust)
    p = jnp.float32(0)
    for _ in range(25):  # Of 500,000 pictures in all.
        assert adjust(p, jnp.float32(0.6), 20_000) == p
        p = adjust(p, jnp.float32(0.7), 20_000)
    assert p == pytest.approx(1)
    assert adjust(p, jnp.float32(1), 20_000) == 1
    assert adjust(p, jnp.float32(0.59), 20_000) == pytest.approx(0.96)
    assert adjust(jnp.float32(0.01), jnp.float32(-1), 20_000) == 0
    faster = jax.jit(partial(ada.adjust, target=0.2, speed_kimg=50.0))
    assert faster(p, jnp.float32(0.1), 128) == pytest.approx(1 - 128 / 50_000)
    assert faster(p, jnp.float32(0.3), 128) == 1


@pytest.mark.slow
def test_other_gans_take_the_groups_with_a_fixed_p(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configs.load(str(Path(__file__).parents[2] / "configs/dcgan64.py"), test=True)
    steps = {}
    monkeypatch.setattr(gan, "make_step", lambda *nets, **options: steps.update(options))
    images, one = jax.random.uniform(KEY, (8, 8, 8, 3)), jnp.float32(1)  # The step's p is 1.
    config.augment.policy = ("color", "bg")  # DiffAugment's color, and ADA's moves.
    for p in (0.0, 0.4):
        config.augment.p = p
        combinations.check_training(config)
        recipes.build(config)
        colored = color()(images, jnp.float32(p), prng.fold_in(KEY, 0))
        expected = ada.make("bg")(colored, jnp.float32(p), prng.fold_in(KEY, 1))
        out = steps["augment"](images, one, KEY)
        np.testing.assert_array_equal(out, images if p == 0 else expected)
