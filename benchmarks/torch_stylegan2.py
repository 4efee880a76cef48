"""StyleGAN2 in plain PyTorch, from the papers that `jaxgan.models.stylegan2` names.

No compiled operators: filters are convolutions of each channel, modulation scales what goes into
and comes out of one convolution for the batch.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT2 = math.sqrt(2)
TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8


def _filter(x: Tensor, low: int, high: int, gain: float = 1.0, stride: int = 1) -> Tensor:
    """Return the filter in both directions, one after the other."""
    channels = x.shape[1]
    taps = (TAPS.to(x) * math.sqrt(gain))[None, None].expand(channels, 1, 4)
    x = F.pad(x, (low, high, low, high))
    x = F.conv2d(x, taps[:, :, :, None], stride=(stride, 1), groups=channels)
    return F.conv2d(x, taps[:, :, None], stride=(1, stride), groups=channels)


def upsample(x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    spread = x.new_zeros(b, c, h, 2, w, 2)
    spread[:, :, :, 0, :, 0] = x
    return _filter(spread.reshape(b, c, 2 * h, 2 * w), 2, 1, 4.0)


def activate(x: Tensor, bias: Tensor, clamp: float | None = None, gain: float = 1.0) -> Tensor:
    bias = bias.to(x.dtype).reshape(-1, *(1,) * (x.ndim - 2))
    x = F.leaky_relu(x + bias, 0.2) * (ROOT2 * gain)
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


class Dense(nn.Module):
    """A matrix with equalised learning rate."""

    def __init__(
        self, inputs: int, features: int, rate: float = 1.0, bias: float = 0.0, active: bool = False
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, inputs) / rate)
        self.bias = nn.Parameter(torch.full((features,), bias))
        self.rate, self.gain, self.active = rate, rate / math.sqrt(inputs), active

    def forward(self, x: Tensor) -> Tensor:
        x, bias = x @ (self.weight * self.gain).t(), self.bias * self.rate
        return activate(x, bias) if self.active else x + bias


class Mapping(nn.Module):
    """Latents [b, z] to styles [b, w]."""

    def __init__(self, latent_dim: int, w_dim: int, layers: int):
        super().__init__()
        sizes = [latent_dim, *[w_dim] * layers]
        self.layers = nn.Sequential(
            *(Dense(i, o, 0.01, active=True) for i, o in itertools.pairwise(sizes))
        )
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt())


class Modulated(nn.Module):
    """A modulated convolution; 3 x 3 with noise and activation, or 1 x 1 to colours."""

    def __init__(
        self, inputs: int, features: int, w_dim: int, size: int, up: bool, clamp: float | None
    ):
        super().__init__()
        self.rgb = features == 3
        window = 1 if self.rgb else 3
        self.weight = nn.Parameter(torch.randn(features, inputs, window, window))
        self.bias = nn.Parameter(torch.zeros(features))
        self.affine = Dense(w_dim, inputs, bias=1.0)
        if not self.rgb:
            self.noise_strength = nn.Parameter(torch.zeros(()))
            self.register_buffer("noise_const", torch.randn(size, size))
        self.up, self.clamp = up, clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w)
        if self.rgb:
            styles = styles / math.sqrt(styles.shape[1])
            x = F.conv2d(x * styles[:, :, None, None], self.weight) + self.bias[:, None, None]
            return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
        scales = (styles.square() @ self.weight.square().sum((2, 3)).t() + 1e-8).rsqrt()
        x = x * styles[:, :, None, None]
        if self.up:
            x = _filter(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2), 1, 1, 4.0)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        noise = torch.randn(x.shape[0], 1, *x.shape[2:], device=x.device) * self.noise_strength
        return activate(x * scales[:, :, None, None] + noise, self.bias, self.clamp)


class Generator(nn.Module):
    """Styles [b, layers, w] to images [b, 3, h, w]; `mapping` makes styles."""

    def __init__(
        self,
        widths: dict[int, int],
        latent_dim: int,
        w_dim: int,
        mapping_layers: int,
        clamp: float | None,
    ):
        super().__init__()
        self.mapping = Mapping(latent_dim, w_dim, mapping_layers)
        self.const = nn.Parameter(torch.randn(widths[4], 4, 4))
        self.layers, self.colours = nn.ModuleList(), nn.ModuleList()
        inputs = widths[4]
        for size, features in widths.items():
            if size > 4:
                self.layers.append(Modulated(inputs, features, w_dim, size, True, clamp))
            self.layers.append(Modulated(features, features, w_dim, size, False, clamp))
            self.colours.append(Modulated(features, 3, w_dim, size, False, clamp))
            inputs = features

    @property
    def num_ws(self) -> int:
        return len(self.layers) + 1

    def forward(self, ws: Tensor) -> Tensor:
        x = self.const.expand(len(ws), -1, -1, -1)
        if _channels_last(self.layers[0].weight):
            x = x.contiguous(memory_format=torch.channels_last)
        image = None
        for i, layer in enumerate(self.layers):
            x = layer(x, ws[:, i])
            if i % 2 == 0:
                rgb = self.colours[i // 2](x, ws[:, i + 1])
                image = rgb if image is None else upsample(image) + rgb
        return image


def _channels_last(weight: Tensor) -> bool:
    return weight.is_contiguous(memory_format=torch.channels_last)


class Conv(nn.Module):
    """A convolution with equalised learning rate; `down` to half the size."""

    def __init__(
        self,
        inputs: int,
        features: int,
        window: int,
        clamp: float | None,
        down: bool = False,
        active: bool = True,
        gain: float = 1.0,
    ):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, inputs, window, window))
        self.bias = nn.Parameter(torch.zeros(features)) if active else None
        self.scale = 1 / math.sqrt(inputs * window**2)
        self.down, self.clamp, self.gain = down, clamp, gain

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight * self.scale
        three = weight.shape[2] == 3
        if self.down and three:
            x = F.conv2d(_filter(x, 2, 2), weight, stride=2)
        elif self.down:
            x = F.conv2d(_filter(x, 1, 1, stride=2), weight)
        else:
            x = F.conv2d(x, weight, padding=1 if three else 0)
        if self.bias is not None:
            return activate(x, self.bias, self.clamp, self.gain)
        x = x * self.gain
        return x if self.clamp is None else x.clamp(-self.clamp * self.gain, self.clamp * self.gain)


class Block(nn.Module):
    """Two convolutions to half the size, beside one of 1 x 1."""

    def __init__(self, inputs: int, features: int, first: bool, clamp: float | None):
        super().__init__()
        half = math.sqrt(0.5)
        self.fromrgb = Conv(3, inputs, 1, clamp) if first else nn.Identity()
        self.conv0 = Conv(inputs, inputs, 3, clamp)
        self.conv1 = Conv(inputs, features, 3, clamp, down=True, gain=half)
        self.skip = Conv(inputs, features, 1, clamp, down=True, active=False, gain=half)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fromrgb(x)
        return self.skip(x) + self.conv1(self.conv0(x))


class Discriminator(nn.Module):
    """Images [b, 3, h, w] to logits [b]."""

    def __init__(self, widths: dict[int, int], clamp: float | None, group_size: int = 4):
        super().__init__()
        sizes = sorted(widths, reverse=True)
        self.blocks = nn.Sequential(
            *(Block(widths[s], widths[s // 2], s == sizes[0], clamp) for s in sizes[:-1])
        )
        features = widths[4]
        self.conv = Conv(features + 1, features, 3, clamp)
        self.fc = Dense(16 * features, features, active=True)
        self.out = Dense(features, 1)
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x)
        groups = x.reshape(self.group_size, -1, *x.shape[1:])
        deviations = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        each = deviations.repeat(self.group_size)[:, None, None, None].expand(-1, 1, 4, 4)
        x = self.conv(torch.cat([x, each], 1))
        return self.out(self.fc(x.flatten(1)))[:, 0]
