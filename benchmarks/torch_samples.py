"""The GANs that this package reimplements, as published, in plain PyTorch: trained, and drawn from.

Written from the papers and the projects' descriptions; samples are those of the last weights, in
training mode, as PyTorch programs of the kind draw them. `samples.py` has them as torch:CONFIG.
"""

import math
import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ml_collections import ConfigDict
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

CRITIC_FIRST, CRITIC_EVERY = 100, 500  # WGAN's critic updates at times (section 4 of the paper).


def train(
    config: ConfigDict,
    images: np.ndarray,
    limits: tuple[float, int | None],
    seed: int,
    count: int,
) -> tuple[np.ndarray, int, int, float]:
    """Train on uint8 images [n, h, w, 3] up to `limits`: seconds of CPU time, real images seen.

    Returns:
        `count` samples, uint8; the generator's updates; real images seen; the seconds used.
    """
    seconds, most = limits
    torch.manual_seed(seed)
    model, batch = config.model, config.train.batch_size
    generator, critic = _generator(config), _critic(config)
    generator_tx, critic_tx = (
        _optimiser(net, config.optim[name])
        for net, name in ((generator, "generator"), (critic, "critic"))
    )
    real = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    mean, std = _normaliser(config, real)
    began, used, step, seen = time.process_time(), 0.0, 0, 0
    while used < seconds and seen < (most or math.inf):
        for _ in range(_critic_updates(config, step)):
            x = real[torch.randint(len(real), (batch,))].float() / 127.5 - 1
            if config.data.flip:
                x = torch.where(torch.rand(batch, 1, 1, 1) < 0.5, x.flip(3), x)
            with torch.no_grad():
                fake = generator(torch.randn(batch, model.latent_dim, 1, 1))
            see = lambda y: (y + _noise(config) * torch.randn_like(y) - mean) / std  # noqa: E731
            loss = _critic_loss(config, critic, see(x), see(fake))
            critic_tx.zero_grad()
            loss.backward()
            critic_tx.step()
            seen += batch
            if clip := config.optim.critic.get("clip"):
                with torch.no_grad():
                    for weight in critic.parameters():
                        weight.clamp_(-clip, clip)
        logits = critic(see(generator(torch.randn(batch, model.latent_dim, 1, 1))))
        wasserstein = config.loss.name == "wasserstein"
        loss = -logits.mean() if wasserstein else F.softplus(-logits).mean()
        generator_tx.zero_grad()
        loss.backward()
        generator_tx.step()
        _set_rate(critic_tx, config, step * batch / len(real))
        step += 1
        used = time.process_time() - began
    with torch.no_grad():
        drawn = [
            generator(torch.randn(batch, model.latent_dim, 1, 1))
            for _ in range(math.ceil(count / batch))
        ]
    pixels = ((torch.cat(drawn)[:count] + 1) * 127.5).round().clamp(0, 255).byte()
    return pixels.permute(0, 2, 3, 1).numpy(), step, seen, used


def _generator(config: ConfigDict) -> nn.Module:
    """Radford et al., 2015, figure 1; or with SELU (Klambauer et al., 2017)."""
    width, inputs, size = config.model.channels, config.model.latent_dim, 4
    layers: list[nn.Module] = []
    while size < config.data.resolution:
        stride, padding = (1, 0) if size == 4 else (2, 1)
        layers.append(nn.ConvTranspose2d(inputs, width, 4, stride, padding, bias=False))
        layers += [nn.SELU()] if config.model.selu else [nn.BatchNorm2d(width), nn.ReLU()]
        inputs, width, size = width, width // 2, 2 * size
    layers += [nn.ConvTranspose2d(inputs, 3, 4, 2, 1, bias=False), nn.Tanh()]
    return _started(nn.Sequential(*layers), config.model.selu)


def _critic(config: ConfigDict) -> nn.Module:
    model, size = config.model, config.data.resolution
    width, inputs, i = 4 * model.channels // (size // 2), 3, 0
    layers: list[nn.Module] = []
    wrap: Any = spectral_norm if model.spectral_norm else lambda layer: layer
    while size > 4:
        layers.append(nn.Conv2d(inputs, width, 4, 2, 1, bias=False))
        if model.norm and i and not model.selu:
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.SELU() if model.selu else nn.LeakyReLU(0.2))
        if model.dropout:
            layers.append(nn.Dropout2d(model.dropout[min(i, len(model.dropout) - 1)]))
        inputs, width, size, i = width, 2 * width, size // 2, i + 1
    layers += [nn.Conv2d(inputs, 1, 4, 1, 0, bias=False), nn.Flatten(0)]
    net = _started(nn.Sequential(*layers), model.selu)
    return nn.Sequential(*(wrap(x) if isinstance(x, nn.Conv2d) else x for x in net))


def _started(net: nn.Module, selu: bool) -> nn.Module:
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            taps = 16 if isinstance(layer, nn.Conv2d) else 16 / layer.stride[0] ** 2
            inputs = taps * layer.in_channels if layer.stride[0] == 2 else layer.in_channels
            nn.init.normal_(layer.weight, std=inputs**-0.5 if selu else 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
    return net


def _optimiser(net: nn.Module, optim: ConfigDict) -> torch.optim.Optimizer:
    if optim.get("name") == "rmsprop":
        return torch.optim.RMSprop(net.parameters(), optim.learning_rate, optim.b2)
    return torch.optim.Adam(net.parameters(), optim.learning_rate, (optim.b1, optim.b2))


def _normaliser(config: ConfigDict, real: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the critic sees is 0 and 1 in mean and deviation, or as it is."""
    if config.data.get("normalise") != "statistics":
        return torch.tensor(0.0), torch.tensor(1.0)
    x = real.float() / 127.5 - 1
    return x.mean((0, 2, 3))[None, :, None, None], x.std((0, 2, 3))[None, :, None, None]


def _noise(config: ConfigDict) -> float:
    return config.augment.noise or 0.0


def _critic_updates(config: ConfigDict, step: int) -> int:
    boost = config.train.boost
    often = step < (boost.first or 0) or (boost.every and step % boost.every == 0)
    return CRITIC_FIRST if often else config.train.n_critic


def _critic_loss(config: ConfigDict, critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    true, false = critic(real), critic(fake)
    if config.loss.name == "wasserstein":
        loss = false.mean() - true.mean()
        if config.loss.gradient_penalty:  # Gulrajani et al., 2017, eq. 3.
            t = torch.rand(len(real), 1, 1, 1)
            x = (t * real + (1 - t) * fake).requires_grad_()
            (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
            norms = slope.flatten(1).norm(dim=1)
            loss = loss + config.loss.gradient_penalty * ((norms - 1) ** 2).mean()
        return loss
    low, high = config.loss.get("real_labels", (1.0, 1.0))
    labels = low + (high - low) * torch.rand(len(true))
    one = F.binary_cross_entropy_with_logits
    return one(true, labels) + one(false, torch.zeros_like(false))


def _set_rate(tx: torch.optim.Optimizer, config: ConfigDict, epochs: float) -> None:
    """MeowGAN's: the critic's rate falls along a cosine for ten epochs and rises for ten."""
    optim = config.optim.critic
    if optim.get("schedule") == "cosine":
        length = float(str(optim.t_max).split()[0])
        wave = (1 + math.cos(math.pi * epochs / length)) / 2
        tx.param_groups[0]["lr"] = optim.final + wave * (optim.learning_rate - optim.final)
