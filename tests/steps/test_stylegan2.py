"""The StyleGAN2 step, on nets small enough to follow by hand."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxgan import prng
from jaxgan.engine import sharding
from jaxgan.steps import optimizers, stylegan2
from jaxgan.steps.state import StyleGAN2State, new_net
from jaxgan.steps.stylegan2 import Adaptation, Lazy
from jaxgan.types import to_float

SIZE, Z, W, LAYERS, CLASSES = 4, 5, 6, 3, 2
R1, PATH = Lazy(3.0, 16), Lazy(2.0, 4)
RATE, B1, B2 = 0.01, 0.3, 0.9
softplus = jax.nn.softplus


class Mapping(nn.Module):
    @nn.compact
    def __call__(self, z, labels, beta=None):
        x = z if labels is None else jnp.concatenate([z, jax.nn.one_hot(labels, CLASSES)], 1)
        w = nn.tanh(nn.Dense(W)(x))
        mean = self.variable("batch_stats", "w_avg", jnp.zeros, W)
        if beta is not None and not self.is_initializing():
            mean.value = beta * mean.value + (1 - beta) * w.mean(0)
        return w


class Generator(nn.Module):
    num_ws = LAYERS

    def setup(self):
        self.mapping = Mapping()
        self.out = nn.Dense(SIZE * SIZE * 3)
        self.const = self.variable("batch_stats", "const", jnp.ones, 3)

    def __call__(self, z, train, labels=None):
        return self.synthesise(self.to_ws(z, labels))

    def to_ws(self, z, labels=None):
        return self.w_average(z, labels, None)

    def w_average(self, z, labels=None, beta=0.995):
        w = self.mapping(z, labels, beta)
        return jnp.broadcast_to(w[:, None], (len(w), LAYERS, W))

    def synthesise(self, ws, noise="const", key=None):
        x = jnp.tanh(self.out(ws.reshape(len(ws), -1))).reshape(-1, SIZE, SIZE, 3)
        return x if key is None else x + 0.1 * pixels(key)


def pixels(keys):
    return prng.normal(keys, (len(keys), SIZE, SIZE, 3))


class Critic(nn.Module):
    @nn.compact
    def __call__(self, images, train, labels=None):
        x = nn.Dense(4)(images.reshape(len(images), -1))
        if labels is not None:
            x *= 1 + labels[:, None]
        return nn.Dense(1)(jnp.tanh(x))[:, 0]


def darken(images, p, key):
    """An augmentation that p and the examples' keys decide over."""
    return images * (1 - p * prng.uniform(key, (len(images), 1, 1, 1)))


def make(axis_name=None, critic=None, conditional=False, tx=None, **options):
    generator, critic = Generator(), critic or Critic()
    txs = tx or [optimizers.lazy_adam(RATE, B1, B2, lazy.every) for lazy in (PATH, R1)]
    labels = jnp.zeros(2, int) if conditional else None

    def init(key):
        net = new_net(generator.init(key, jnp.zeros((2, Z)), False, labels), txs[0])
        images = jnp.zeros((2, SIZE, SIZE, 3))
        return StyleGAN2State(
            step=jnp.int32(0),
            generator=net,
            critic=new_net(critic.init(key, images, False, labels), txs[1]),
            ema=jax.tree.map(jnp.copy, net.variables),
            path_mean=jnp.float32(0.5),
            p=jnp.float32(0.4),
            signs=jnp.float32(0),
        )

    options = {"augment": darken, "r1_gamma": R1, "path": PATH} | options
    turns = stylegan2.make_turns(
        generator,
        critic,
        *txs,
        latent_dim=Z,
        conditional=conditional,
        axis_name=axis_name,
        **options,
    )
    return init, turns


def batch(b=8, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (b, SIZE, SIZE, 3), dtype=np.uint8)
    return {"image": images, "label": rng.integers(0, CLASSES, b).astype(np.int32)}


def leaves_close(a, b, tolerance):
    for (path, x), (_, y) in zip(
        jax.tree_util.tree_leaves_with_path(a), jax.tree_util.tree_leaves_with_path(b), strict=True
    ):
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        error = np.linalg.norm(x - y) / max(np.linalg.norm(x), 1e-6)
        assert error < tolerance, (jax.tree_util.keystr(path), error)


class Adam:
    """Its algorithm as printed, in float64, with the correction for a lazy term."""

    def __init__(self, params, every):
        c = every / (every + 1)
        self.rate, self.b1, self.b2, self.t = c * RATE, B1**c, B2**c, 0
        self.m = self.v = jax.tree.map(np.zeros_like, params)

    def __call__(self, params, grads):
        self.t += 1
        b1, b2, t = self.b1, self.b2, self.t
        self.m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * np.float64(g), self.m, grads)
        self.v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * np.float64(g) ** 2, self.v, grads)

        def moved(p, m, v):
            return p - self.rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + 1e-8)

        return jax.tree.map(moved, params, self.m, self.v)


def test_a_whole_step_equals_its_formulas() -> None:
    """Losses, lazy terms times their distance, path lengths by whole Jacobians, Adam, averages."""
    init, turns = make(ema_kimg=0.012, style_mixing=0.5)
    state, key = init(jax.random.key(0)).replace(step=jnp.int32(3)), jax.random.key(7)
    got, metrics = jax.jit(stylegan2.whole(turns))(state, batch(), key)

    real = to_float(jnp.asarray(batch()["image"]))
    g, d = state.generator.params, state.critic.params
    w_avg, p = np.zeros(W), 0.4
    stats = state.generator.stats

    def keys(turn, count=8):
        pair = jax.random.split(jax.random.fold_in(key, turn))
        return [jax.vmap(partial(jax.random.fold_in, k))(jnp.arange(count)) for k in pair]

    fold = jax.vmap(jax.random.fold_in, (0, None))
    mapped = lambda g, z: Generator().apply({"params": g, "batch_stats": stats}, z, method="to_ws")  # noqa: E731

    def styles(g, k):
        z, other = (prng.normal(fold(k, i), (len(k), Z)) for i in range(2))
        u = prng.uniform(fold(k, 2), (len(k), 2))
        rows = []
        for i in range(len(k)):
            a, b = mapped(g, z[i : i + 1])[0], mapped(g, other[i : i + 1])[0]
            cut = 1 + int(u[i, 1] * (LAYERS - 1)) if u[i, 0] < 0.5 else LAYERS
            rows.append(jnp.concatenate([a[:cut], b[cut:]]))
        return jnp.stack(rows), mapped(g, z)[:, 0].mean(0)

    def dense(x, layer):
        return x @ layer["kernel"] + layer["bias"][None]

    def synthesise(g, ws, k):
        x = jnp.tanh(dense(ws.reshape(len(ws), -1), g["out"]))
        return x.reshape(-1, SIZE, SIZE, 3) + 0.1 * pixels(fold(k, 3))

    def score(d, x, k):
        x = darken(x, p, fold(k, 4)).reshape(len(x), -1)
        return dense(jnp.tanh(dense(x, d["Dense_0"])), d["Dense_1"])[:, 0]

    generator_adam, critic_adam = Adam(g, 4), Adam(d, 16)

    _, k = keys(0)
    loss = lambda g: softplus(-score(d, synthesise(g, styles(g, k)[0], k), k)).mean()  # noqa: E731
    assert metrics["generator_loss"] == pytest.approx(float(loss(g)), rel=1e-5)
    w_avg = 0.995 * w_avg + 0.005 * styles(g, k)[1]
    g = generator_adam(g, jax.grad(loss)(g))

    _, k = keys(1, 4)  # Half of the batch.

    def path(g):
        ws, _ = styles(g, k)
        y = prng.normal(fold(k, 5), (4, SIZE, SIZE, 3)) / SIZE
        rows = []
        for i in range(4):
            one = lambda w, i=i: synthesise(g, w[None], k[i : i + 1])[0]  # noqa: E731
            product = jnp.einsum("hwc,hwcld->ld", y[i], jax.jacobian(one)(ws[i]))
            rows.append(jnp.sqrt((product**2).sum(1).mean()))
        lengths = jnp.stack(rows)
        mean = 0.5 + 0.01 * (lengths.mean() - 0.5)
        return 4 * 2 * ((lengths - mean[None]) ** 2).mean(), (mean, lengths.mean())

    grads, (path_mean, length) = jax.grad(path, has_aux=True)(g)
    w_avg = 0.995 * w_avg + 0.005 * styles(g, k)[1]
    g = generator_adam(g, grads)
    assert metrics["path_length"] == pytest.approx(float(length), rel=1e-4)
    assert got.path_mean == pytest.approx(float(path_mean), rel=1e-4)

    real_k, k = keys(2)
    fake = synthesise(g, styles(g, k)[0], k)
    w_avg = 0.995 * w_avg + 0.005 * styles(g, k)[1]
    loss = lambda d: (softplus(score(d, fake, k)) + softplus(-score(d, real, real_k))).mean()  # noqa: E731
    assert metrics["critic_loss"] == pytest.approx(float(loss(d)), rel=1e-5)
    assert metrics["r_t"] == pytest.approx(float(np.sign(score(d, real, real_k)).mean()))
    d = critic_adam(d, jax.grad(loss)(d))

    real_k, _ = keys(3)

    def r1(d):
        one = lambda x, k: score(d, x[None], k[None])[0]  # noqa: E731
        slopes = jax.vmap(jax.grad(one))(real, real_k)  # By pictures before augmentation.
        return 3.0 / 2 * (slopes**2).sum((1, 2, 3)).mean()

    assert metrics["r1"] == pytest.approx(float(r1(d)), rel=1e-4)
    d = critic_adam(d, jax.grad(lambda d: 16 * r1(d))(d))

    leaves_close(g, got.generator.params, 1e-5)
    leaves_close(d, got.critic.params, 1e-5)
    np.testing.assert_allclose(got.generator.stats["mapping"]["w_avg"], w_avg, rtol=1e-4)
    old, kept = state.ema["params"], 0.5 ** (8 / 12)
    leaves_close(
        jax.tree.map(lambda a, b: kept * a + (1 - kept) * b, old, g), got.ema["params"], 1e-5
    )
    jax.tree.map(np.testing.assert_array_equal, got.ema["batch_stats"], got.generator.stats)
    assert got.step == 4


def test_computing_again_changes_nothing() -> None:
    runs = []
    for remat in (False, True):
        init, turns = make(remat=remat)
        step = jax.jit(stylegan2.whole(turns))
        runs.append(step(init(jax.random.key(0)), batch(), jax.random.key(1)))
        program = str(
            jax.make_jaxpr(turns.critic)(init(jax.random.key(0)), batch(), jax.random.key(1))
        )
        assert ("remat" in program or "checkpoint" in program) == remat
    leaves_close(*runs, 1e-5)


def remember():
    """Keeps the last gradients in the optimiser's state: Adam hides a wrong factor."""
    return optax.GradientTransformation(optax.tree.zeros_like, lambda g, state, params: (g, g))


@pytest.fixture(scope="module")
def alone():
    """Three steps on one device, conditional."""
    return several(None, jax.jit, lambda state: state, lambda parts, axis: parts)


def several(axis_name, compiled, place, shard, **options):
    tx = [optax.chain(remember(), optimizers.adam(1e-2)) for _ in range(2)]
    options = {"adaptation": Adaptation(0.6, 0.1), "conditional": True, "tx": tx} | options
    init, turns = make(axis_name, **options)
    state, step = place(init(jax.random.key(0))), compiled(stylegan2.whole(turns))
    for i in range(3):
        state, metrics = step(state, shard(batch(seed=i), 0), jax.random.key(i))
    return jax.device_get(state), jax.device_get(metrics)


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_two_devices_are_one(mode: str, alone) -> None:
    devices = sharding.spread(mode)
    parts = several(sharding.axis_name(mode), devices.compile, devices.place, devices.shard)
    state = jax.tree.map(np.asarray, parts[0])
    leaves_close(alone, (state, parts[1]), 1e-4)


@pytest.mark.parametrize("mode", ["jit", "pmap"])
def test_microbatches_change_nothing(mode: str) -> None:
    """But the path length's target, which is not moved here."""
    devices = sharding.spread(mode)
    runs = [
        several(
            *(sharding.axis_name(mode), devices.compile, devices.place, devices.shard),
            microbatch=microbatch,
            path_decay=0.0,
        )
        for microbatch in (None, 4)
    ]
    leaves_close(*runs, 1e-4)


@pytest.mark.parametrize("turn", ["generator", "path_length"])
def test_each_device_draws_its_own_part(turn: str) -> None:
    """Though nothing that is drawn depends on the batch, which lies on the devices."""
    devices = sharding.spread("jit")
    init, turns = make()
    state, parts = devices.place(init(jax.random.key(0))), devices.shard(batch(16), 0)
    lowered = devices.compile(getattr(turns, turn)).lower(state, parts, jax.random.key(0))
    program, whole = lowered.compile().as_text(), 8 if turn == "path_length" else 16
    assert f"f32[{whole // 2},{SIZE * SIZE * 3}]" in program
    assert f"f32[{whole},{SIZE * SIZE * 3}]" not in program


class Sure(nn.Module):
    """A critic that takes a share of the pictures for real, by their mean, as they are."""

    @nn.compact
    def __call__(self, images, train, labels=None):
        weight = self.param("weight", nn.initializers.ones, ())
        return weight * images.mean((1, 2, 3))


def grays(*levels):
    image = np.array(levels, np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    return {"image": image, "label": np.zeros(len(levels), np.int32)}


@pytest.mark.parametrize(
    ("levels", "moves"),
    [((255,) * 10, 1), ((255,) * 9 + (0,), 1), ((255,) * 7 + (0,) * 3, -1), ((0,) * 10, -1)],
    ids=["r_t 1", "r_t .8", "r_t .4", "r_t -1"],
)
def test_p_moves_with_the_sign_of_r_t_less_its_target(levels: tuple, moves: int) -> None:
    """In every fourth step, by four batches' share of the speed."""
    tx = [optimizers.adam(0.0)] * 2
    init, turns = make(critic=Sure(), tx=tx, augment=None, adaptation=Adaptation(0.6, 2.0))
    state, step = init(jax.random.key(0)), jax.jit(turns.critic)
    seen = []
    for i in range(9):
        state, metrics = step(state, grays(*levels), jax.random.key(i))
        seen.append(float(state.p) - 0.4)
    change = moves * 4 * 10 / 2000
    np.testing.assert_allclose(seen, [0] * 3 + [change] * 4 + [2 * change] * 2, atol=1e-6)
    assert metrics["r_t"] == pytest.approx(np.sign(np.array(levels) - 127.5).mean(), abs=1e-6)


def test_a_fixed_p_stays() -> None:
    init, turns = make(critic=Sure(), tx=[optimizers.adam(0.0)] * 2, augment=None)
    state, step = init(jax.random.key(0)), jax.jit(turns.critic)
    for i in range(5):
        state, _ = step(state, grays(255, 255), jax.random.key(i))
    assert state.p == jnp.float32(0.4) and state.signs == 0


class Broken(nn.Module):
    """A critic with a weight whose gradient is not finite, and one whose is."""

    @nn.compact
    def __call__(self, images, train, labels=None):
        root = jnp.sqrt(self.param("root", nn.initializers.zeros, ()) ** 2)
        return root + self.param("bias", nn.initializers.ones, ()) * images.mean((1, 2, 3))


def test_gradients_that_are_not_finite_are_0() -> None:
    tx = [optax.sgd(1.0)] * 2
    init, turns = make(critic=Broken(), tx=tx, augment=None)
    state = init(jax.random.key(0))
    after, metrics = jax.jit(turns.critic)(state, grays(255, 255), jax.random.key(0))
    assert after.critic.params["root"] == 0
    assert np.isfinite(after.critic.params["bias"]) and after.critic.params["bias"] != 1
    assert np.isfinite(metrics["critic_grad_norm"])


def test_which_turns_are_due() -> None:
    _, turns = make()
    due = stylegan2.due(turns, R1, PATH)
    whole = [turns.generator, turns.path_length, turns.critic, turns.r1]
    assert due(0) == due(16) == whole
    assert due(4) == due(12) == whole[:3]
    assert due(1) == due(15) == [turns.generator, turns.critic]
    _, turns = make(r1_gamma=Lazy(0.0, 16), path=Lazy(0.0, 4))
    due = stylegan2.due(turns, Lazy(0.0, 16), Lazy(0.0, 4))
    assert due(0) == due(16) == [turns.generator, turns.critic]


def test_half_of_the_average_is_forgotten_in_its_half_life() -> None:
    old, new, value = jnp.zeros(1), jnp.ones(1), []
    for step in range(10):  # 10 turns of 16 pictures.
        old = optimizers.average_by_images(new, old, jnp.int32(step), 16, 160.0, None)
        value.append(float(old[0]))
    assert value[-1] == pytest.approx(0.5, rel=1e-5)


def test_the_ramp_forgets_the_start() -> None:
    """With a share of 1 / 2, half is forgotten in half of what was seen."""
    average = partial(optimizers.average_by_images, jnp.ones(1), jnp.zeros(1))
    assert average(jnp.int32(0), 16, 1e4, 0.5)[0] == 1  # Nothing was seen.
    assert average(jnp.int32(2), 16, 1e4, 0.5)[0] == pytest.approx(0.5)
    assert average(jnp.int32(2), 16, 16.0, 0.5)[0] == pytest.approx(0.5)
    assert average(jnp.int32(10**6), 16, 32.0, 0.5)[0] == pytest.approx(1 - 0.5**0.5)
