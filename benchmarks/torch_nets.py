"""The package's nets in plain PyTorch, for the benchmarks' other side.

`torchvision` has the same GoogLeNet, but not in every width, and no build for a CPU; its names are
kept, so that its weights load.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def generator(resolution: int, latent_dim: int, channels: int) -> nn.Module:
    """WGAN-GP's: latents [b, z, 1, 1] to images [b, 3, h, w] in [-1, 1]."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(latent_dim, channels, 4, 1, 0, bias=False)]
    size = 4
    while size < resolution:
        layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        size, previous = 2 * size, channels
        channels = 3 if size == resolution else max(channels // 2, 1)
        layers.append(nn.ConvTranspose2d(previous, channels, 4, 2, 1, bias=False))
    return nn.Sequential(*layers, nn.Tanh())


def critic(resolution: int, channels: int) -> nn.Module:
    """WGAN-GP's: images [b, 3, h, w] to scores [b]."""
    layers: list[nn.Module] = []
    size, previous = resolution // 2, 3
    while size >= 4:
        features = max(channels * 4 // size, 1)
        layers += [
            nn.Conv2d(previous, features, 4, 2, 1, bias=False),
            nn.InstanceNorm2d(features, affine=True),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        size, previous = size // 2, features
    return nn.Sequential(*layers, nn.Conv2d(previous, 1, 4, 1, 0, bias=False), nn.Flatten(0))


class BasicConv(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, features: int, window: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.conv = nn.Conv2d(inputs, features, window, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(features, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs: int, *features: int):
        super().__init__()
        one, reduce3, three, reduce5, five, pool = features
        self.branch1 = BasicConv(inputs, one, 1)
        self.branch2 = nn.Sequential(
            BasicConv(inputs, reduce3, 1), BasicConv(reduce3, three, 3, padding=1)
        )
        self.branch3 = nn.Sequential(
            BasicConv(inputs, reduce5, 1), BasicConv(reduce5, five, 3, padding=1)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), BasicConv(inputs, pool, 1))
        self.features = one + three + five + pool

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class AuxiliaryHead(nn.Module):
    """A classifier on the features half way."""

    def __init__(self, inputs: int, channels: int, hidden: int, classes: int, dropout: float):
        super().__init__()
        self.conv = BasicConv(inputs, channels, 1)
        self.fc1 = nn.Linear(16 * channels, hidden)
        self.fc2 = nn.Linear(hidden, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4))).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


class GoogLeNet(nn.Module):
    """Images [b, 3, h, w] to a list of logits [b, classes]: the head's, the auxiliary heads'."""

    def __init__(
        self,
        classes: int,
        aux_heads: bool = True,
        width: float = 1.0,
        dropout: float = 0.2,
        aux_dropout: float = 0.7,
    ):
        super().__init__()

        def wide(*features: int) -> list[int]:
            return [max(round(n * width), 1) for n in features]

        stem, third = wide(64, 192)
        self.conv1 = BasicConv(3, stem, 7, 2, 3)
        self.conv2 = BasicConv(stem, stem, 1)
        self.conv3 = BasicConv(stem, third, 3, padding=1)
        features, outputs = third, {}
        for name, row in TABLE.items():
            block = Inception(features, *wide(*row))
            self.add_module(f"inception{name}", block)
            features = outputs[name] = block.features
        if aux_heads:
            head = partial(AuxiliaryHead, classes=classes, dropout=aux_dropout)
            self.aux1 = head(outputs["4a"], *wide(128, 1024))
            self.aux2 = head(outputs["4d"], *wide(128, 1024))
        self.aux_heads = aux_heads
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(features, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)

    def forward(self, x: Tensor) -> list[Tensor]:
        pool = partial(F.max_pool2d, kernel_size=3, stride=2, ceil_mode=True)
        x = pool(self.conv3(self.conv2(pool(self.conv1(x)))))
        heads = []
        for name in TABLE:
            x = self.get_submodule(f"inception{name}")(x)
            if self.training and self.aux_heads and name in ("4a", "4d"):
                heads.append((self.aux1 if name == "4a" else self.aux2)(x))
            if name == "3b":
                x = pool(x)
            elif name == "4e":
                x = F.max_pool2d(x, 2, 2, ceil_mode=True)
        return [self.fc(self.dropout(x.mean((2, 3)))), *heads]


TABLE = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Features of each Inception (Szegedy et al., Going Deeper with Convolutions, 2014, table 1)."""
