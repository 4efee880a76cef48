"""The turns of `jaxgan.steps.stylegan2` in plain PyTorch, without augmentation and classes."""

import copy
from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
import torch_stylegan2 as nets
from ml_collections import ConfigDict
from torch import Tensor, nn
from torch_steps import floats, prepare, to_float

from jaxgan.models.stylegan2 import widths
from jaxgan.system import machine

Turn = Callable[[], Tensor]


def make_turns(config: ConfigDict, batch: Mapping[str, np.ndarray], mode: str) -> dict[str, Turn]:
    """By name, each player's turn and those of the lazy terms, on uint8 images [b, h, w, 3].

    Args:
        config: of a StyleGAN2.
        batch: as `measure.make_batch` gives it.
        mode: "eager" or "channels_last".
    """
    torch.manual_seed(0)
    torch.set_num_threads(machine.cores())
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images = torch.from_numpy(batch["image"]).to(device).permute(0, 3, 1, 2)
    if mode == "eager":
        images = images.contiguous()
    model, loss, b = config.model, config.loss, len(images)
    sizes = widths(config.data.resolution, model.channel_base, model.channel_max)
    mapped = model.latent_dim, model.w_dim, model.mapping_layers
    generator = prepare(nets.Generator(sizes, *mapped, model.clamp), mode, device)
    critic = prepare(nets.Discriminator(sizes, model.clamp, model.group_size), mode, device)
    ema = copy.deepcopy(generator)
    averaged, current = floats(ema), floats(generator)
    generator_adam = lazy_adam(generator, config.optim.generator, loss.path_every)
    critic_adam = lazy_adam(critic, config.optim.critic, loss.r1_every)
    path_mean = torch.zeros((), device=device)

    def styles(count: int) -> Tensor:
        """Return those of `count` latents, some of two mixed; their mean joins the average."""
        w, other = (
            generator.mapping(torch.randn(count, model.latent_dim, device=device)) for _ in range(2)
        )
        generator.mapping.w_avg.lerp_(w.detach().mean(0), 1 - 0.995)
        layers = generator.num_ws
        cut = torch.randint(1, layers, (count, 1, 1), device=device)
        mixed = torch.rand(count, 1, 1, device=device) < loss.style_mixing
        first = ~mixed | (torch.arange(layers, device=device)[None, :, None] < cut)
        return torch.where(first, w[:, None], other[:, None])

    def descend(objective: Tensor, adam: torch.optim.Optimizer) -> Tensor:
        adam.zero_grad()
        objective.backward()
        adam.step()
        return objective.detach()

    def generator_turn() -> Tensor:
        critic.requires_grad_(False)
        logits = critic(generator(styles(b)))
        found = descend(F.softplus(-logits).mean(), generator_adam)
        critic.requires_grad_(True)
        return found

    def path_turn() -> Tensor:
        ws = styles(b // 2)
        drawn = generator(ws)
        noise = torch.randn_like(drawn) / config.data.resolution
        (slopes,) = torch.autograd.grad((drawn * noise).sum(), ws, create_graph=True)
        lengths = slopes.square().sum(2).mean(1).sqrt()
        target = path_mean.lerp(lengths.mean(), loss.path_decay)
        path_mean.copy_(target.detach())
        weight = loss.path_every * loss.path_length
        return descend(weight * (lengths - target).square().mean(), generator_adam)

    def critic_turn() -> Tensor:
        with torch.no_grad():
            fake = generator(styles(b))
        objective = F.softplus(critic(fake)).mean() + F.softplus(-critic(to_float(images))).mean()
        found = descend(objective, critic_adam)
        torch._foreach_lerp_(averaged, current, 0.01)
        return found

    def r1_turn() -> Tensor:
        real = to_float(images).requires_grad_()
        (slopes,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
        penalty = slopes.square().sum((1, 2, 3)).mean()
        return descend(loss.r1_every * loss.r1 / 2 * penalty, critic_adam)

    return {
        "generator": generator_turn,
        "path_length": path_turn,
        "critic": critic_turn,
        "r1": r1_turn,
    }


def lazy_adam(net: nn.Module, optim: ConfigDict, every: int) -> torch.optim.Optimizer:
    """Adam for a player whose lazy term has a step of its own in every so manieth iteration."""
    share = every / (every + 1)
    betas = (optim.b1**share, optim.b2**share)
    return torch.optim.Adam(net.parameters(), optim.learning_rate * share, betas, fused=True)
