"""The GAN step, on nets small enough to follow by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxgan import prng
from jaxgan.engine import sharding
from jaxgan.steps import gan, losses, penalties
from jaxgan.steps.state import GANState, new_net
from jaxgan.types import to_float

SIZE, Z = 8, 5


class Generator(nn.Module):
    axis_name: str | None = None
    norm: bool = True

    @nn.compact
    def __call__(self, z, train):
        x = nn.Dense(SIZE * SIZE * 3, use_bias=False)(z).reshape(-1, SIZE, SIZE, 3)
        if not self.norm:
            return jnp.tanh(x)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(x)
        return jnp.tanh(x)


class Critic(nn.Module):
    @nn.compact
    def __call__(self, images, train):
        x = nn.leaky_relu(nn.Conv(4, (3, 3))(images))
        return nn.Dense(1)(x.reshape(len(x), -1))[:, 0]


def make(axis_name=None, lr=1e-3, norm=True, **options):
    generator, critic = Generator(axis_name, norm), Critic()
    generator_tx, critic_tx = optax.adam(lr), optax.adam(lr)

    def init(key):
        variables = Generator(norm=norm).init(key, jnp.zeros((2, Z)), train=False)
        net = new_net(variables, generator_tx)
        return GANState(
            jnp.int32(0),
            net,
            new_net(critic.init(key, jnp.zeros((2, SIZE, SIZE, 3)), train=False), critic_tx),
            jax.tree.map(jnp.copy, net.variables),
        )

    options = {"n_critic": 2, "same_batch": True, "ema_decay": 0.99} | options
    step = gan.make_step(
        generator,
        critic,
        generator_tx,
        critic_tx,
        loss=losses.WASSERSTEIN,
        penalty=penalties.gradient_penalty(),
        latent_dim=Z,
        axis_name=axis_name,
        **options,
    )
    return init, step


def batch(b=8, turns=None, seed=0):
    shape = (b, SIZE, SIZE, 3) if turns is None else (turns, b, SIZE, SIZE, 3)
    return {"image": np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)}


def leaves_close(a, b, tolerance):
    for (path, x), (_, y) in zip(
        jax.tree_util.tree_leaves_with_path(a), jax.tree_util.tree_leaves_with_path(b), strict=True
    ):
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        error = np.linalg.norm(x - y) / max(np.linalg.norm(x), 1e-12)
        assert error < tolerance, (jax.tree_util.keystr(path), error)


@pytest.mark.slow
def test_jit_and_pmap_agree_in_every_leaf() -> None:
    states = []
    for mode in ("jit", "pmap"):
        devices = sharding.spread(mode)
        init, step = make(sharding.axis_name(mode), same_batch=False)
        state, compiled = devices.place(init(jax.random.key(0))), devices.compile(step)
        for i in range(3):
            parts = devices.shard(batch(turns=2, seed=i), 1)
            state, metrics = compiled(state, parts, jax.random.key(i))
        states.append((jax.device_get(devices.fetch(state)), jax.device_get(metrics)))
    leaves_close(*states, 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("axis_name", [None, sharding.AXIS])
def test_microbatches_change_nothing(axis_name: str | None) -> None:
    """Without batch normalisation, the one thing that sees more than an example."""
    devices = sharding.spread("pmap" if axis_name else "jit")
    states = []
    for microbatch in (None, 4, 2):
        init, step = make(axis_name, norm=False, microbatch=microbatch)
        state = devices.place(init(jax.random.key(0)))
        parts = devices.shard(batch(), 0)
        state, metrics = devices.compile(step)(state, parts, jax.random.key(1))
        states.append(jax.device_get((devices.fetch(state), metrics)))
    leaves_close(states[0], states[1], 1e-4)
    leaves_close(states[0], states[2], 1e-4)


def test_a_microbatch_divides_the_batch() -> None:
    init, step = make(microbatch=3)
    with pytest.raises(ValueError, match="must divide the batch of 8, got 3"):
        jax.eval_shape(step, init(jax.random.key(0)), batch(), jax.random.key(1))


def test_equals_the_algorithm_written_out() -> None:
    """One critic turn and one generator turn, with the paper's formulas and optax alone."""
    init, step = make(n_critic=1)
    state, images, key = init(jax.random.key(0)), batch(), jax.random.key(7)
    got, _ = jax.jit(step)(state, batch(), key)

    real = to_float(jnp.asarray(images["image"]))
    critic_key, generator_key = jax.random.split(key)
    z_key, _, _, _, penalty_key, _ = jax.random.split(jax.random.fold_in(critic_key, 0), 6)
    critic = lambda params, x: Critic().apply({"params": params}, x, train=True)  # noqa: E731

    def generate(params, key):
        z = prng.normal(key, (8, Z))
        variables = {"params": params, "batch_stats": state.generator.stats}
        return Generator().apply(variables, z, train=True, mutable=["batch_stats"])

    fake, _ = generate(state.generator.params, z_key)
    t = prng.uniform(penalty_key, (8, 1, 1, 1))

    def critic_loss(params):
        between = t * real + (1 - t) * fake
        slopes = jax.vmap(jax.grad(lambda x: critic(params, x[None])[0]))(between)
        norms = jnp.sqrt((slopes**2).sum((1, 2, 3)))
        wasserstein = critic(params, fake).mean() - critic(params, real).mean()
        return wasserstein + 10 * ((norms - 1) ** 2).mean()

    tx = optax.adam(1e-3)
    updates, critic_opt = tx.update(
        jax.grad(critic_loss)(state.critic.params), state.critic.opt_state
    )
    critic_params = optax.apply_updates(state.critic.params, updates)

    z_key = jax.random.split(generator_key, 5)[0]

    def generator_loss(params):
        fake, stats = generate(params, z_key)
        return -critic(critic_params, fake).mean(), stats

    grads, stats = jax.grad(generator_loss, has_aux=True)(state.generator.params)
    updates, generator_opt = tx.update(grads, state.generator.opt_state)
    expected = (critic_params, critic_opt, stats["batch_stats"], generator_opt)
    leaves_close(
        expected,
        (got.critic.params, got.critic.opt_state, got.generator.stats, got.generator.opt_state),
        1e-3,
    )


def test_critic_turns_move_only_the_critic() -> None:
    init, step = make(lr=0.0)
    state = init(jax.random.key(0))
    got, _ = jax.jit(step)(state, batch(), jax.random.key(1))
    assert got.step == 1
    leaves_close(state.generator.params, got.generator.params, 1e-9)
    leaves_close(state.critic.params, got.critic.params, 1e-9)
    counts = [net.opt_state[0].count for net in (got.critic, got.generator)]
    assert counts == [2, 1]  # n_critic turns, then one.


def test_fresh_batches_are_all_used() -> None:
    init, step = make(n_critic=3, same_batch=False)
    state, images = init(jax.random.key(0)), batch(turns=3)
    base, _ = jax.jit(step)(state, images, jax.random.key(1))
    for turn in range(3):
        changed = {"image": images["image"].copy()}
        changed["image"][turn] = 0
        other, _ = jax.jit(step)(state, changed, jax.random.key(1))
        assert not np.array_equal(*[s.critic.params["Dense_0"]["kernel"] for s in (base, other)])


def test_the_average_covers_weights_and_statistics() -> None:
    init, step = make()
    state = init(jax.random.key(0))
    got, _ = jax.jit(step)(state, batch(), jax.random.key(1))
    # At the first turn the warm-up keeps a tenth.
    expected = jax.tree.map(
        lambda old, new: 0.1 * old + 0.9 * new, state.ema, got.generator.variables
    )
    leaves_close(expected, got.ema, 1e-6)
    assert set(got.ema) == {"params", "batch_stats"}


def test_learns_a_colour() -> None:
    """The generator finds the one colour that all real pictures have."""
    init, step = make(lr=5e-3)
    state, compiled = init(jax.random.key(0)), jax.jit(step)
    real = {"image": np.full((16, SIZE, SIZE, 3), (220, 128, 30), np.uint8)}
    for i in range(150):
        state, _ = compiled(state, real, jax.random.key(i))
    latents = jax.random.normal(jax.random.key(9), (16, Z))
    images = Generator().apply(state.generator.variables, latents, train=False)
    target = to_float(jnp.array([[[[220, 128, 30]]]], jnp.uint8))
    assert np.abs(images.mean((0, 1, 2)) - target[0, 0, 0]).max() < 0.25


@pytest.mark.parametrize("n_critic", [1, 3])
def test_metrics_are_finite_scalars(n_critic: int) -> None:
    init, step = make(n_critic=n_critic)
    _, metrics = jax.jit(step)(init(jax.random.key(0)), batch(), jax.random.key(1))
    assert {"critic_loss", "generator_loss", "penalty"} <= set(metrics)
    assert all(m.shape == () and np.isfinite(m) for m in metrics.values())
