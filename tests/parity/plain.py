"""What parity tests share: DCGAN's nets in plain PyTorch, from the paper, and weights as our trees.

The nets are `nn.Sequential`; `sizes` names its convolutions, by the size of what they put out.
"""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

BATCH_NORM, CONV = nn.BatchNorm2d, nn.ConvTranspose2d | nn.Conv2d
NORM = BATCH_NORM | nn.InstanceNorm2d


def up(resolution):
    """The sizes of a generator's convolutions."""
    return [2**i for i in range(2, resolution.bit_length())]


def down(resolution):
    """The sizes of a discriminator's convolutions."""
    return [*reversed(up(resolution)[:-1]), 1]


def uniform(shape):
    """Numbers from U[0, 1), the same for the same shape."""
    return np.random.default_rng(shape).random(shape)


def normal(shape):
    """Standard normal numbers, the same for the same shape."""
    return np.random.default_rng(shape).standard_normal(shape)


class Dropout(nn.Module):
    """`nn.Dropout`, or with `channels` `nn.Dropout2d`, with the draws of `uniform`."""

    def __init__(self, rate, channels):
        super().__init__()
        self.rate, self.channels = rate, channels

    def forward(self, x):
        if not self.training:
            return x
        b, c, h, w = x.shape
        kept = uniform((b, 1, 1, c) if self.channels else (b, h, w, c)) >= self.rate
        return x * nchw(kept) / (1 - self.rate)


def generator(resolution, latent_dim, channels, *, norm=True, activation=nn.ReLU, dropout=0.0):
    layers, size = [nn.ConvTranspose2d(latent_dim, channels, 4, 1, 0, bias=False)], 4
    while size < resolution:
        layers += [nn.BatchNorm2d(channels)] if norm else []
        layers += [activation()]
        layers += [Dropout(dropout, channels=False)] if dropout else []
        out = 3 if 2 * size == resolution else channels // 2
        layers += [nn.ConvTranspose2d(channels, out, 4, 2, 1, bias=False)]
        size, channels = 2 * size, out
    return nn.Sequential(*layers, nn.Tanh())


def discriminator(
    resolution,
    channels,
    *,
    norm=True,
    activation=lambda: nn.LeakyReLU(0.2),
    spectral_norm=False,
    dropout=(),
):
    # The older of PyTorch's two takes the vectors in the order of the paper's algorithm 1.
    wrap = nn.utils.spectral_norm if spectral_norm else lambda layer: layer
    layers, previous = [], 3
    for i, size in enumerate(down(resolution)[:-1]):
        features = channels * 4 // size
        layers += [wrap(nn.Conv2d(previous, features, 4, 2, 1, bias=False))]
        layers += [nn.BatchNorm2d(features)] if norm and i > 0 else []
        layers += [activation()]
        layers += [Dropout(dropout[min(i, len(dropout) - 1)], channels=True)] if dropout else []
        previous = features
    last = wrap(nn.Conv2d(previous, 1, 4, 1, 0, bias=False))
    return nn.Sequential(*layers, last, nn.Flatten(0))


def randomise_norms(module):
    for layer in module.modules():
        if isinstance(layer, NORM):
            nn.init.normal_(layer.weight, 1, 0.1)
            nn.init.normal_(layer.bias, 0, 0.1)
    return module


def to_jax(layer, tensor):
    """A convolution's weight (or what has its shape, a gradient) in our order of axes."""
    axes = (2, 3, 0, 1) if isinstance(layer, nn.ConvTranspose2d) else (2, 3, 1, 0)
    return tensor.detach().numpy().transpose(axes)


def named(module, sizes):
    """Its convolutions and normalisations by our names."""
    sizes = iter(sizes)
    for layer in module:
        if isinstance(layer, CONV):
            size = next(sizes)
            yield f"conv{size}", layer
        elif isinstance(layer, NORM):
            yield f"norm{size}", layer


def convert(module, sizes, gradients=False):
    """Our tree of a sequence's weights, or of their gradients."""
    params = {}
    for name, layer in named(module, sizes):
        # Spectral norm renames the weight that is trained.
        weight = getattr(layer, "weight_orig", layer.weight)
        if isinstance(layer, CONV):
            params[name] = {"kernel": to_jax(layer, weight.grad if gradients else weight)}
        else:
            scale, bias = (p.grad if gradients else p for p in (weight, layer.bias))
            params[name] = {"scale": scale.detach().numpy(), "bias": bias.detach().numpy()}
    return jax.tree.map(jnp.array, params)


def statistics(module, sizes, batch):
    """Our tree of a sequence's running statistics, of batches of so many pictures."""
    stats = {}
    for name, layer in named(module, sizes):
        if isinstance(layer, BATCH_NORM):
            # PyTorch's running variance takes the unbiased one of a batch, n / (n - 1) times ours;
            # what is left of its start, 1, is the same.
            n, left = batch * int(name.removeprefix("norm")) ** 2, 0.9**layer.num_batches_tracked
            var = (layer.running_var - left) * (n - 1) / n + left
            stats[name] = {"mean": layer.running_mean.numpy(), "var": var.numpy()}
        elif hasattr(layer, "weight_u"):
            stats[name] = {"u": layer.weight_u.numpy()}
    return jax.tree.map(jnp.array, stats)


def nhwc(x):
    return jnp.array(x.detach().numpy().transpose(0, 2, 3, 1))


def nchw(x):
    return torch.from_numpy(np.array(x, np.float64)).permute(0, 3, 1, 2)


def assert_close(got, want, tolerance=1e-6):
    """The same trees, each leaf to `tolerance` of its norm."""

    def compare(path, a, b):
        error, scale = np.linalg.norm(a - b), np.linalg.norm(b)
        assert error <= tolerance * scale, f"{jax.tree_util.keystr(path)}: {error} of {scale}"

    jax.tree_util.tree_map_with_path(compare, got, want)


def to_float32(tree):
    return jax.tree.map(lambda x: x.astype(jnp.float32), tree)
