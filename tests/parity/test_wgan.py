"""The nets of WGAN-GP against plain PyTorch, written here from the published table.

In float64 on both sides: a ReLU's kink turns a rounding error of float32 into another gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from jaxgan.models.wgan import Critic, Generator


def torch_generator(latent_dim, channels, resolution):
    layers, size = [nn.ConvTranspose2d(latent_dim, channels, 4, 1, 0, bias=False)], 4
    while size < resolution:
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        out = 3 if 2 * size == resolution else channels // 2
        layers += [nn.ConvTranspose2d(channels, out, 4, 2, 1, bias=False)]
        size, channels = 2 * size, out
    return nn.Sequential(*layers, nn.Tanh())


def torch_critic(channels, resolution):
    layers, size, previous = [], resolution // 2, 3
    while size >= 4:
        features = channels * 4 // size
        layers += [
            nn.Conv2d(previous, features, 4, 2, 1, bias=False),
            nn.InstanceNorm2d(features, affine=True),
            nn.LeakyReLU(0.2),
        ]
        size, previous = size // 2, features
    return nn.Sequential(*layers, nn.Conv2d(previous, 1, 4, 1, 0, bias=False), nn.Flatten(0))


def randomise_norms(module):
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
            nn.init.normal_(layer.weight, 1, 0.1)
            nn.init.normal_(layer.bias, 0, 0.1)
    return module


def to_jax(layer, tensor=None):
    """A layer's weight (or what has its shape, a gradient) in our order of axes."""
    tensor = (layer.weight if tensor is None else tensor).detach().numpy()
    if isinstance(layer, nn.ConvTranspose2d):
        return tensor.transpose(2, 3, 0, 1)
    if isinstance(layer, nn.Conv2d):
        return tensor.transpose(2, 3, 1, 0)
    return tensor


def convert(module, sizes, gradients=False):
    """Our tree of a sequence's weights, or of their gradients; `sizes` names its convolutions."""
    params, sizes = {}, iter(sizes)
    for layer in module:
        if isinstance(layer, nn.ConvTranspose2d | nn.Conv2d):
            size = next(sizes)
            grad = layer.weight.grad if gradients else None
            params[f"conv{size}"] = {"kernel": to_jax(layer, grad)}
        elif isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
            pair = (layer.weight, layer.bias)
            scale, bias = ((p.grad if gradients else p).detach().numpy() for p in pair)
            params[f"norm{size}"] = {"scale": scale, "bias": bias}
    return jax.tree.map(jnp.array, params)


def nhwc(x):
    return jnp.array(x.detach().numpy().transpose(0, 2, 3, 1))


def assert_close(got, want, tolerance=1e-6):
    def compare(path, a, b):
        error, scale = np.linalg.norm(a - b), np.linalg.norm(b)
        assert error <= tolerance * scale, f"{jax.tree_util.keystr(path)}: {error} of {scale}"

    jax.tree_util.tree_map_with_path(compare, got, want)


def to_float32(tree):
    return jax.tree.map(lambda x: x.astype(jnp.float32), tree)


# XLA has no fast float64 convolution on a CPU: the full width would take many minutes.
@pytest.fixture(scope="module", params=[32, 128])
def nets(request):
    torch.manual_seed(0)
    channels, resolution, latent_dim = request.param, 64, 200
    generator = randomise_norms(torch_generator(latent_dim, channels, resolution))
    critic = randomise_norms(torch_critic(channels, resolution))
    ours = (
        Generator(resolution, latent_dim, channels, dtype=jnp.float64),
        Critic(resolution, channels, dtype=jnp.float64),
    )
    with jax.enable_x64(True):
        yield generator.double(), critic.double(), *ours


UP, DOWN = (4, 8, 16, 32, 64), (32, 16, 8, 4, 1)


def test_generator(nets):
    theirs, _, ours, _ = nets
    theirs.train()
    latents, batch = torch.randn(4, 200).double(), torch.randn(4, 3, 64, 64).double()
    layers = [layer for layer in theirs if isinstance(layer, nn.BatchNorm2d)]
    stats = {
        f"norm{size}": {"mean": layer.running_mean.numpy(), "var": layer.running_var.numpy()}
        for size, layer in zip(UP, layers, strict=False)
    }
    variables = {"params": convert(theirs, UP), "batch_stats": jax.tree.map(jnp.array, stats)}
    z, g = jnp.array(latents.numpy()), nhwc(batch)

    @jax.jit
    def loss(params):
        images, new = ours.apply({**variables, "params": params}, z, True, mutable="batch_stats")
        return (images * g).sum(), (images, new["batch_stats"])

    grads, (images, moved) = jax.grad(loss, has_aux=True)(variables["params"])
    want = theirs(latents[:, :, None, None])
    (want * batch).sum().backward()
    assert_close(images, nhwc(want))
    assert_close(grads, convert(theirs, UP, gradients=True))
    for size, layer in zip(UP, layers, strict=False):
        assert_close(moved[f"norm{size}"]["mean"], layer.running_mean.numpy())
        # PyTorch's running variance takes the unbiased one of the batch, n / (n - 1) times ours.
        n = len(latents) * size**2
        unbiased = (moved[f"norm{size}"]["var"] - 0.9) * n / (n - 1) + 0.9
        assert_close(unbiased, layer.running_var.numpy())

    theirs.eval()
    for size, layer in zip(UP, layers, strict=False):
        layer.running_mean.copy_(torch.from_numpy(np.array(moved[f"norm{size}"]["mean"])))
        layer.running_var.copy_(torch.from_numpy(np.array(moved[f"norm{size}"]["var"])))
    trained = {**variables, "batch_stats": moved}
    want = nhwc(theirs(latents[:, :, None, None]))
    assert_close(ours.apply(trained, z, False), want)
    single = ours.clone(dtype=jnp.float32)
    assert_close(single.apply(to_float32(trained), to_float32(z), False), want, 1e-4)


def test_critic_and_its_gradient_penalty(nets):
    _, theirs, _, ours = nets
    images = torch.randn(4, 3, 64, 64).double().tanh().requires_grad_()
    params, x = convert(theirs, DOWN), nhwc(images)

    def penalty(params):
        slopes, scores = jax.grad(
            lambda x: (lambda y: (y.sum(), y))(ours.apply({"params": params}, x, True)),
            has_aux=True,
        )(x)
        norms = jnp.sqrt((slopes**2).sum((1, 2, 3)))
        return ((norms - 1) ** 2).mean(), (scores, slopes)

    (value, (scores, slopes)), grads = jax.jit(jax.value_and_grad(penalty, has_aux=True))(params)
    want_scores = theirs(images)
    want_slopes = torch.autograd.grad(want_scores.sum(), images, create_graph=True)[0]
    want = ((want_slopes.flatten(1).norm(dim=1) - 1) ** 2).mean()
    theirs.zero_grad()
    want.backward()
    assert_close(scores, want_scores.detach().numpy())
    assert_close(slopes, nhwc(want_slopes))
    assert_close(value, want.detach().numpy())
    # The last bias moves no slope: PyTorch gives it no gradient.
    last = theirs[-4].bias
    last.grad = torch.zeros_like(last)
    assert_close(grads, convert(theirs, DOWN, gradients=True))
    single = ours.clone(dtype=jnp.float32)
    got = single.apply(to_float32({"params": params}), to_float32(x), True)
    assert_close(got, want_scores.detach().numpy(), 1e-4)
