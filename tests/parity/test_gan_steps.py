"""Three optimiser steps of the published systems, and what they are made of, in plain PyTorch.

In float64 on both sides: Adam takes the sign of a small gradient, rounding error or not.
"""

import copy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
import torch
from torch.nn import functional as F
from torch.optim import Adam, RMSprop

from jaxgan import prng, recipes
from jaxgan.config import loading as configs
from jaxgan.models import dcgan
from jaxgan.recipes import networks
from jaxgan.steps import losses, penalties

CONFIGS = Path(__file__).parents[2] / "configs"
RESOLUTION, CHANNELS, LATENT_DIM, BATCH, STEPS = 32, 16, 8, 8, 3

pytestmark = pytest.mark.usefixtures("quick_compiler")


def cross_entropy(logits, labels):
    """Goodfellow et al., 2014, eq. 1."""
    return F.binary_cross_entropy(torch.sigmoid(logits), labels)


def wasserstein(real, fake):
    """Arjovsky et al., 2017, eq. 2."""
    return fake.mean() - real.mean(), -fake.mean()


def non_saturating(real, fake, labels=None, fake_labels=None):
    ones, zeros = torch.ones_like(real), torch.zeros_like(real)
    real_labels = ones if labels is None else labels
    fake_labels = zeros if fake_labels is None else fake_labels
    critic = cross_entropy(real, real_labels) + cross_entropy(fake, fake_labels)
    return critic, cross_entropy(fake, ones)


def least_squares(real, fake, a=0, b=1, c=1):
    """Mao et al., 2017, eq. 2."""
    critic = 0.5 * ((real - b) ** 2).mean() + 0.5 * ((fake - a) ** 2).mean()
    return critic, 0.5 * ((fake - c) ** 2).mean()


def relativistic_pairing(real, fake):
    """Jolicoeur-Martineau, 2018, eq. 5 and 6."""
    log_sigmoid = lambda x: torch.log(torch.sigmoid(x)).mean()  # noqa: E731
    return -log_sigmoid(real - fake), -log_sigmoid(fake - real)


def relativistic_average(real, fake):
    """Jolicoeur-Martineau, 2018, algorithm 2."""
    above, below = torch.sigmoid(real - fake.mean()), torch.sigmoid(fake - real.mean())
    critic = -torch.log(above).mean() - torch.log(1 - below).mean()
    return critic, -torch.log(below).mean() - torch.log(1 - above).mean()


def slopes(critic, x):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0].flatten(1)


def gradient_penalty(critic, real, fake):
    """Gulrajani et al., 2017, eq. 3, with lambda = 10."""
    t = torch.tensor(plain.uniform((len(real), 1, 1, 1)))
    norms = slopes(critic, t * real + (1 - t) * fake).norm(dim=1)
    return 10 * ((norms - 1) ** 2).mean()


def r1(critic, real, fake):
    """Mescheder et al., 2018, eq. 9, with gamma = 1."""
    return slopes(critic, real).square().sum(1).mean() / 2


def r2(critic, real, fake):
    return r1(critic, fake, real)


LOSSES = {
    "wasserstein": (losses.WASSERSTEIN, wasserstein),
    "non-saturating": (losses.NON_SATURATING, non_saturating),
    "least squares": (losses.LEAST_SQUARES, least_squares),
    "least squares, -1 1 0": (
        losses.least_squares(-1.0, 1.0, 0.0),
        partial(least_squares, a=-1, c=0),
    ),
    "relativistic pairing": (losses.relativistic_pairing(), relativistic_pairing),
    "relativistic average": (losses.relativistic_average(), relativistic_average),
}


def compare_losses(ours, theirs, key):
    logits = [3 * torch.randn(BATCH).double() for _ in range(2)]
    for player, name in enumerate(("critic", "generator")):
        want = [x.clone().requires_grad_() for x in logits]
        value = theirs(*want)[player]
        slopes = torch.autograd.grad(value, want, allow_unused=True)
        slopes = [torch.zeros(BATCH) if g is None else g for g in slopes]
        loss = jax.value_and_grad(getattr(ours, name), (0, 1))
        got = loss(*(jnp.array(x.numpy(), jnp.float32) for x in logits), key)
        wanted = value.detach().numpy(), tuple(g.numpy() for g in slopes)
        plain.assert_close(got, wanted, 1e-5)


@pytest.mark.parametrize(("ours", "theirs"), LOSSES.values(), ids=LOSSES)
def test_losses(ours, theirs):
    torch.manual_seed(0)
    compare_losses(ours, theirs, jax.random.key(0))


def test_smooth_and_flipped_labels():
    torch.manual_seed(0)
    key = jax.random.key(0)
    keys = key, prng.fold_in(key, 1), prng.fold_in(key, 2)
    u, swap, swap_fake = (torch.tensor(np.array(prng.uniform(k, (BATCH,)))) for k in keys)
    labels = torch.where(swap < 0.3, 0, 0.8 + 0.2 * u).double()
    fake_labels = torch.where(swap_fake < 0.3, 0.8 + 0.2 * u, 0).double()
    assert 0 in labels and any(fake_labels > 0)
    theirs = partial(non_saturating, labels=labels, fake_labels=fake_labels)
    compare_losses(losses.non_saturating((0.8, 1.0), flipped=0.3), theirs, key)


@pytest.mark.parametrize("selu", [False, True], ids=["leaky relu", "selu"])
def test_penalties(selu, fixed_draws):
    torch.manual_seed(0)
    activation = {"activation": torch.nn.SELU} if selu else {}
    theirs = plain.discriminator(16, CHANNELS, norm=False, **activation).double()
    real, fake = (torch.randn(4, 3, 16, 16).double().tanh() for _ in range(2))
    with jax.enable_x64(True):
        ours = dcgan.Discriminator(16, CHANNELS, selu, norm=False, dtype=jnp.float64)
        kinds = penalties.gradient_penalty(), penalties.r1(1.0), penalties.r2(1.0)

        @jax.jit
        def found(params, real, fake):
            def value(params, kind):
                critic = lambda x: ours.apply({"params": params}, x, True)  # noqa: E731
                return kind(critic, real, fake, jax.random.key(0))

            return [jax.value_and_grad(value)(params, kind) for kind in kinds]

        sizes = plain.down(16)
        got = found(plain.convert(theirs, sizes), plain.nhwc(real), plain.nhwc(fake))
        for pair, kind in zip(got, (gradient_penalty, r1, r2), strict=True):
            theirs.zero_grad()
            want = kind(theirs, real, fake)
            want.backward()
            want = want.detach().numpy(), plain.convert(theirs, sizes, gradients=True)
            plain.assert_close(pair, want)


class System(NamedTuple):
    """What a published system is, but for its nets' common form and its size."""

    loss: Any
    generator_tx: Any
    critic_tx: Any
    penalty: Any = None
    clip: float | None = None
    turns: int = 1
    noise: float = 0.0  # Of the discriminator's inputs.
    t_max: int | None = None  # Steps of the discriminator's cosine, to 1.8e-4.
    critic: dict = {}  # noqa: RUF012


def meow_labels(real, fake):
    return non_saturating(real, fake, 0.8 + 0.2 * torch.tensor(plain.uniform((BATCH,))))


# Radford et al., 2015, and the repositories Deep-learning-with-cats and MeowGAN.
adam = partial(partial, Adam, betas=(0.5, 0.999))
wgangp_adam = partial(Adam, lr=1e-4, betas=(0.0, 0.9))
rmsprop = partial(RMSprop, lr=5e-5)
SYSTEMS = {
    "dcgan64": System(non_saturating, adam(lr=2e-4), adam(lr=5e-5)),
    "wgan64": System(wasserstein, rmsprop, rmsprop, clip=0.01, turns=3),
    "wgangp64": System(
        wasserstein, wgangp_adam, wgangp_adam, gradient_penalty, turns=2, critic={"norm": False}
    ),
    "lsgan64": System(least_squares, adam(lr=1e-4), adam(lr=1e-4)),
    "meowgan64": System(
        meow_labels,
        adam(lr=2e-4),
        adam(lr=3e-4),
        noise=0.05,
        t_max=10,
        critic={"spectral_norm": True, "dropout": (0.1, 0.1, 0.2, 0.2)},
    ),
}


def initialise(module):
    """Radford et al., 2015, section 4, and its published code."""
    for layer in module.modules():
        if isinstance(layer, plain.CONV):
            torch.nn.init.normal_(getattr(layer, "weight_orig", layer.weight), 0, 0.02)
        elif isinstance(layer, plain.BATCH_NORM):
            torch.nn.init.normal_(layer.weight, 1, 0.02)
            torch.nn.init.zeros_(layer.bias)
    return module.double().train()


def train(system, generator, critic, batches):
    """The iteration that all of them share; each of `batches` has a real one for each turn."""
    generator_tx = system.generator_tx(generator.parameters())
    critic_tx = system.critic_tx(critic.parameters())
    schedule = None
    if system.t_max:
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(critic_tx, system.t_max, 1.8e-4)
    latents = torch.tensor(plain.normal((BATCH, LATENT_DIM)))[:, :, None, None]
    added = system.noise * plain.nchw(plain.normal((BATCH, RESOLUTION, RESOLUTION, 3)))
    for reals in batches:
        for real in reals:
            # Ours keeps the averages that the generator's own turns make: of a copy, none.
            fake = copy.deepcopy(generator)(latents).detach() + added
            real = plain.nchw(real.astype(np.float32) / 127.5 - 1) + added
            loss, _ = system.loss(critic(real), critic(fake))
            if system.penalty:
                loss = loss + system.penalty(critic, real, fake)
            critic_tx.zero_grad()
            loss.backward()
            critic_tx.step()
            for p in critic.parameters() if system.clip else ():
                p.data.clamp_(-system.clip, system.clip)
        fake = critic(generator(latents) + added)
        _, loss = system.loss(fake, fake)
        generator_tx.zero_grad()
        loss.backward()
        generator_tx.step()
        if schedule:
            schedule.step()


def tiny(name, turns):
    """The system's config, smaller; an epoch is a step."""
    config = configs.load(str(CONFIGS / f"{name}.py"))
    config.data.resolution = RESOLUTION
    config.model.latent_dim, config.model.channels = LATENT_DIM, CHANNELS
    config.train.batch_size, config.train.n_critic = BATCH, turns
    config.train.boost.first = config.train.boost.every = 0
    return config


@pytest.mark.parametrize("name", SYSTEMS)
def test_three_steps(name, fixed_draws, monkeypatch):
    torch.manual_seed(0)
    system = SYSTEMS[name]
    generator = initialise(plain.generator(RESOLUTION, LATENT_DIM, CHANNELS))
    critic = initialise(plain.discriminator(RESOLUTION, CHANNELS, **system.critic))
    pictures = (STEPS, system.turns, BATCH, RESOLUTION, RESOLUTION, 3)
    batches = np.random.default_rng(0).integers(0, 256, pictures, np.uint8)
    sizes = plain.up(RESOLUTION), plain.down(RESOLUTION)

    def variables():
        return [
            (plain.convert(net, names), plain.statistics(net, names, BATCH))
            for net, names in zip((generator, critic), sizes, strict=True)
        ]

    with jax.enable_x64(True):
        monkeypatch.setattr(networks, "dtype", lambda precision: jnp.float64)
        config = tiny(name, system.turns)
        recipe = recipes.build(config, stats=recipes.ImageStats(count=BATCH))

        def zeros(like):
            exact = jnp.issubdtype(like.dtype, jnp.floating)
            return jnp.zeros(like.shape, jnp.float64 if exact else like.dtype)

        state = jax.tree.map(zeros, jax.eval_shape(recipe.init, jax.random.key(0)))
        start = variables()
        nets = [
            net.replace(params=params, stats=stats)
            for net, (params, stats) in zip((state.generator, state.critic), start, strict=True)
        ]
        state = state.replace(generator=nets[0], critic=nets[1])
        step = jax.jit(recipe.step)
        for i, reals in enumerate(batches):
            images = reals[0] if config.train.same_batch else reals
            state, _ = step(state, {"image": jnp.array(images)}, jax.random.key(i))
        train(system, generator, critic, batches)
        for net, (before, _), (after, stats) in zip(
            (state.generator, state.critic), start, variables(), strict=True
        ):
            plain.assert_close(net.params, after, 1e-3)
            plain.assert_close(net.stats, stats, 1e-3)
            # What three steps moved is a small part of most weights: stricter.
            moved = partial(jax.tree.map, lambda new, old: new - old)
            plain.assert_close(moved(net.params, before), moved(after, before), 1e-3)
