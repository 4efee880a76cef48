"""Three steps of a projected GAN beside the paper's formulas in plain PyTorch, in float64.

Sauer et al., Projected GANs Converge Faster, 2021: eq. 3 and 4, and sections 3.2 and 3.3.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen as nn
from torch.nn import functional as F

from jaxgan import prng
from jaxgan.models import backbones, projected
from jaxgan.steps import gan, losses, optimizers, second_critic
from jaxgan.steps import projected as steps
from jaxgan.steps.state import AidedGANState, GANState, new_net

pytestmark = pytest.mark.usefixtures("quick_compiler")

SIDE, Z, BATCH, STEPS, RATE, B2 = 32, 6, 4, 3, 1e-3, 0.99
RNG = np.random.default_rng(0)


class Generator(nn.Module):
    @nn.compact
    def __call__(self, z, train):
        x = nn.Dense(SIDE * SIDE * 3, param_dtype=jnp.float64)(z)
        return jnp.tanh(x).reshape(-1, SIDE, SIDE, 3)


def kernel(array):
    """HWIO to PyTorch's OIHW."""
    return torch.tensor(np.ascontiguousarray(np.asarray(array, np.float64).transpose(3, 2, 0, 1)))


def frozen(x):
    """The random network: strided convolutions of He's weights, LeakyReLU .2."""
    rng, found, before = np.random.RandomState(0), [], 3
    for features in backbones.RANDOM:
        weights = np.sqrt(2 / (16 * before)) * rng.randn(4, 4, before, features)
        x = F.leaky_relu(F.conv2d(x, kernel(weights.astype("f4")), stride=2, padding=1), 0.2)
        found.append(x)
        before = features
    return found


def mixing(width, seed):
    rng, wide = np.random.RandomState(seed), [width, 2 * width, 4 * width]

    def he(window, i, o):
        weights = np.sqrt(2 / (window**2 * i)) * rng.randn(window, window, i, o)
        return kernel(weights.astype("f4"))

    across = [he(1, i, o) for i, o in zip(backbones.RANDOM, wide, strict=True)]
    scales = [(he(1, c, f), he(3, f, f)) for f, c in pairwise(wide)]
    return across, scales


def project(x, across, scales, factors=None):
    """Cross-channel, then from the coarsest level up cross-scale; factors by unit variance."""
    known = [] if factors is None else None
    taken = iter(() if factors is None else factors)

    def unit(level):
        factor = 1 / level.std(correction=0) if known is not None else next(taken)
        if known is not None:
            known.append(float(factor))
        return level * factor

    x = F.interpolate(x, (16, 16), mode="bilinear", antialias=True)
    levels = [unit(F.conv2d(level, k)) for level, k in zip(frozen(x), across, strict=True)]
    mixed, x = [unit(levels[-1])], levels[-1]
    for level, (rise, own) in reversed(list(zip(levels, scales, strict=False))):
        x = F.conv2d(x, rise)
        x = F.interpolate(x, level.shape[2:], mode="bilinear", align_corners=False)
        x = (x + level) / 2**0.5
        x = (x + F.conv2d(F.relu(x), own, padding=1)) / 2**0.5
        mixed.append(unit(x))
    return mixed[::-1], known


def in_order(factors):
    """Ours are by level; those of the mixed levels above come coarsest first."""
    return np.array([*factors[:3], *factors[:2:-1]])


class Layer:
    """A convolution by its kernel over the kernel's largest singular value."""

    def __init__(self, params, stats):
        self.weight = kernel(params["kernel"]).requires_grad_()
        self.bias = torch.tensor(np.asarray(params["bias"], np.float64), requires_grad=True)
        self.u = torch.tensor(np.asarray(stats["u"], np.float64))

    def __call__(self, x, stride, padding):
        matrix = self.weight.permute(0, 2, 3, 1).flatten(1)  # [o, h * w * i].
        with torch.no_grad():
            v = F.normalize(matrix.T @ self.u, dim=0)
            self.new = F.normalize(matrix @ v, dim=0)
        sigma = self.new @ matrix @ v
        return F.conv2d(x, self.weight / sigma, self.bias, stride, padding)


def heads(layers, views):
    """The patch critic, where there is one, and a head a level: 8, 4 and 2 px."""
    logits, levels = [], views
    if "patch_0" in layers:
        image, *levels = views
        x = F.leaky_relu(layers["patch_0"](image, 2, 1), 0.2)
        logits = [layers["patch_out"](x, 1, 1)]
    for i, x in enumerate(levels):
        if x.shape[2] > 5:
            x = F.leaky_relu(layers[f"head{i}_0"](x, 2, 1), 0.2)
        x = F.leaky_relu(layers[f"head{i}_last"](x, 1, 1), 0.2)
        logits.append(layers[f"head{i}_out"](x, 1, 0))
    return logits


def test_three_steps_are_the_papers(monkeypatch) -> None:
    monkeypatch.setattr(steps, "to_float", lambda x: x.astype(jnp.float64) / 127.5 - 1)
    with jax.enable_x64(True):
        projection = projected.make_projection(backbones.make("random"), 16, 4, 5)
        views = projected.make_views(projection)
        generator, net = Generator(), projected.Heads((4,), 4, jnp.float64)
        real = [RNG.integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8) for _ in range(STEPS)]
        scale = projected.calibrate(projection, jnp.asarray(real[0]) / 127.5 - 1)
        shapes = jax.eval_shape(views, jnp.zeros((1, SIDE, SIDE, 3)), scale)
        blank = [jnp.zeros(x.shape) for x in shapes]
        tx = optimizers.adam(RATE, 0.0, B2)
        variables = generator.init(jax.random.key(0), jnp.zeros((1, Z)), False)
        critic = jax.tree.map(
            lambda x: x.astype(jnp.float64), net.init(jax.random.key(1), blank, False)
        )
        critic["batch_stats"]["scale"] = scale
        variables = {"batch_stats": {}, "params": variables["params"]}
        state = GANState(jnp.int32(0), new_net(variables, tx), new_net(critic, tx), variables)
        step = jax.jit(
            steps.make_step(
                generator,
                net,
                views,
                tx,
                tx,
                loss=losses.hinge(),
                augment=None,
                latent_dim=Z,
                average=lambda new, old, step: new,
            )
        )
        before, z, keys = state, [], jax.random.split(jax.random.key(2), STEPS)
        for key, batch in zip(keys, real, strict=True):
            z.append(np.asarray(prng.normal(jax.random.split(key, 5)[0], (BATCH, Z))))
            state, _ = step(state, {"image": batch}, key)

    fixed = mixing(4, 5)
    nchw = [torch.tensor(x.astype(np.float64) / 127.5 - 1).permute(0, 3, 1, 2) for x in real]
    _, found = project(nchw[0], *fixed)
    np.testing.assert_allclose(scale, in_order(found), rtol=1e-4)
    stats = before.critic.stats
    layers = {name: Layer(x, stats[name]) for name, x in before.critic.params.items()}
    dense = {
        name: torch.tensor(np.asarray(x, np.float64), requires_grad=True)
        for name, x in before.generator.params["Dense_0"].items()
    }
    weights = [w for layer in layers.values() for w in (layer.weight, layer.bias)]
    players = [list(dense.values()), weights]
    tools = [torch.optim.Adam(p, RATE, (0.0, B2), eps=1e-8) for p in players]
    for image, latents in zip(nchw, z, strict=True):
        flat = torch.tanh(torch.tensor(latents) @ dense["kernel"] + dense["bias"])
        fake = flat.reshape(-1, SIDE, SIDE, 3).permute(0, 3, 1, 2)
        seen = [[x, *project(x, *fixed, found)[0]] for x in (image, fake)]
        true, false = (heads(layers, x) for x in seen)
        kept = heads(layers, [x.detach() for x in seen[1]])
        critic_loss = sum(
            F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(true, kept, strict=True)
        )
        generator_loss = -sum(f.mean() for f in false)
        grads = [
            torch.autograd.grad(value, player)
            for value, player in ((generator_loss, players[0]), (critic_loss, players[1]))
        ]
        for player, tool, grad in zip(players, tools, grads, strict=True):
            for weight, g in zip(player, grad, strict=True):
                weight.grad = g
            tool.step()
        for layer in layers.values():
            layer.u = layer.new

    def close(ours, theirs, start):
        ours, theirs, start = (np.asarray(x, np.float64) for x in (ours, theirs, start))
        # A hinge does not move the last biases, as long as all logits are within its margins.
        assert np.linalg.norm(ours - theirs) < 1e-3 * np.linalg.norm(theirs - start) + 1e-9

    for name, x in dense.items():
        ours, start = (s.generator.params["Dense_0"][name] for s in (state, before))
        close(ours, x.detach(), start)
    for name, layer in layers.items():
        ours, start = (s.critic.params[name] for s in (state, before))
        close(ours["kernel"], layer.weight.detach().permute(2, 3, 1, 0), start["kernel"])
        close(ours["bias"], layer.bias.detach(), start["bias"])


class Linear(nn.Module):
    """A first critic."""

    @nn.compact
    def __call__(self, images, train):
        return nn.Dense(1, param_dtype=jnp.float64)(images.reshape(len(images), -1))[:, 0]


def test_a_second_critics_term_and_update(monkeypatch) -> None:
    """Kumari et al., 2022, eq. 2: the sum of both critics' losses, the second one's weighed."""
    monkeypatch.setattr(gan, "to_float", lambda x: x.astype(jnp.float64) / 127.5 - 1)
    weight = 0.7
    with jax.enable_x64(True):
        projection = projected.make_projection(backbones.make("random"), 16, 4, 5)
        views = projected.make_views(projection, whole=False)
        generator, first, net = Generator(), Linear(), projected.Heads((), 4, jnp.float64)
        real = RNG.integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8)
        scale = projected.calibrate(projection, jnp.asarray(real) / 127.5 - 1)
        shapes = jax.eval_shape(views, jnp.zeros((1, SIDE, SIDE, 3)), scale)
        blank = [jnp.zeros(x.shape) for x in shapes]
        tx = optimizers.sgd(1.0, 0.0)  # What it moves are the gradients.
        begun = generator.init(jax.random.key(0), jnp.zeros((1, Z)), False)
        linear = first.init(jax.random.key(1), jnp.zeros((1, SIDE, SIDE, 3)), False)
        second = jax.tree.map(
            lambda x: x.astype(jnp.float64), net.init(jax.random.key(2), blank, False)
        )
        second["batch_stats"]["scale"] = scale
        nets = [new_net(variables, tx) for variables in (begun, linear)]
        before = AidedGANState(jnp.int32(0), *nets, nets[0].variables, new_net(second, tx))
        step = gan.make_step(
            generator,
            first,
            tx,
            tx,
            loss=losses.WASSERSTEIN,
            penalty=None,
            n_critic=1,
            same_batch=True,
            latent_dim=Z,
            ema_decay=0.0,
            second=second_critic.make(net, views, tx, weight=weight, augment=None),
        )
        key = jax.random.key(3)
        after, metrics = jax.jit(step)(before, {"image": real}, key)
        latents = prng.normal(jax.random.split(jax.random.split(key)[1], 5)[0], (BATCH, Z))

    stats, fixed = before.second.stats, mixing(4, 5)
    layers = {name: Layer(x, stats[name]) for name, x in before.second.params.items()}
    dense, critic = (
        {
            name: torch.tensor(np.asarray(x, np.float64), requires_grad=True)
            for name, x in net.params["Dense_0"].items()
        }
        for net in (before.generator, after.critic)  # The first critic's update comes before.
    )
    image = torch.tensor(real.astype(np.float64) / 127.5 - 1).permute(0, 3, 1, 2)
    _, found = project(image, *fixed)
    latents = torch.tensor(np.asarray(latents, np.float64))
    flat = torch.tanh(latents @ dense["kernel"] + dense["bias"])
    levels = project(flat.reshape(-1, SIDE, SIDE, 3).permute(0, 3, 1, 2), *fixed, found)[0]
    term = -sum(f.mean() for f in heads(layers, levels))
    generator_loss = weight * term - (flat @ critic["kernel"] + critic["bias"]).mean()
    true = heads(layers, project(image, *fixed, found)[0])
    kept = heads(layers, [x.detach() for x in levels])
    second_loss = sum(
        F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(true, kept, strict=True)
    )
    for name, value in (("generator_loss", generator_loss), ("second_critic_loss", second_loss)):
        assert float(metrics[name]) == pytest.approx(value.item(), rel=1e-3)

    weights = [w for layer in layers.values() for w in (layer.weight, layer.bias)]
    moved = [*torch.autograd.grad(generator_loss, list(dense.values()))]
    moved += torch.autograd.grad(second_loss, weights)
    nets = [(s.generator.params, s.second.params) for s in (before, after)]
    dense_moved, heads_moved = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), *nets)
    ours = [dense_moved["Dense_0"][name] for name in dense]
    for name in layers:
        ours += [heads_moved[name]["kernel"].transpose(3, 2, 0, 1), heads_moved[name]["bias"]]
    for got, want in zip(ours, moved, strict=True):
        assert np.linalg.norm(got - want.numpy()) < 1e-3 * np.linalg.norm(want) + 1e-9
