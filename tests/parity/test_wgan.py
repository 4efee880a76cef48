"""The nets of WGAN-GP against plain PyTorch, written here from the published table.

In float64 on both sides: a ReLU's kink turns a rounding error of float32 into another gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
import torch
from plain import assert_close, convert, nhwc, randomise_norms, to_float32
from torch import nn

from jaxgan.models.wgan import Critic, Generator


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


# XLA has no fast float64 convolution on a CPU: the full width would take many minutes.
@pytest.fixture(scope="module", params=[32, 128])
def nets(request):
    torch.manual_seed(0)
    channels, resolution, latent_dim = request.param, 64, 200
    generator = randomise_norms(plain.generator(resolution, latent_dim, channels))
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
