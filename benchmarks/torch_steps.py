"""The training steps of recipes.py in plain PyTorch: same nets, batch, optimiser and average.

Three modes: "eager", "channels_last" and "compile" (channels last too; the optimiser, the average
and the random draws stay outside the compiled part).
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torch_nets
from ml_collections import ConfigDict
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from jaxgan.system import machine

Step = Callable[[], Tensor]  # One iteration; returns its loss.


def make_step(config: ConfigDict, batch: Mapping[str, np.ndarray], mode: str) -> Step:
    """Return one iteration of a training config, on the batch that `measure.make_batch` gives.

    Raises:
        KeyError: a model that has no counterpart here.
    """
    torch.manual_seed(0)
    torch.set_num_threads(machine.cores())
    torch.backends.cudnn.benchmark = True
    # What JAX does where no other precision is asked for.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tensors = {name: torch.from_numpy(x).to(device) for name, x in batch.items()}
    order = (*range(batch["image"].ndim - 3), -1, -3, -2)
    tensors["image"] = tensors["image"].permute(order)  # A view: channels last, as loaders give it.
    if mode == "eager":
        tensors["image"] = tensors["image"].contiguous()
    return STEPS[config.model.name](config, tensors, mode, device)


def wait(loss: Tensor) -> None:
    """Until the device has done what it was asked for."""
    if loss.is_cuda:
        torch.cuda.synchronize()


class _Counter(TorchDispatchMode):
    """PyTorch's FlopCounterMode stumbles over a gradient inside a loss; its formulas do not."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=out)
        return out


def flops(step: Step) -> int:
    """Of one iteration's convolutions and matrix products, as PyTorch counts them."""
    with _Counter() as counter:
        step()
    return counter.total


def to_float(images: Tensor) -> Tensor:
    return images.float() / 127.5 - 1


def penalty(critic: nn.Module, real: Tensor, fake: Tensor, t: Tensor) -> Tensor:
    """Return mean of (|gradient| - 1)^2 between real and fake (WGAN-GP, eq. 3)."""
    x = t * real + (1 - t) * fake
    if torch.compiler.is_compiling():  # The one way to a second derivative in a compiled graph.
        slopes = torch.func.grad(lambda x: critic(x).sum())(x)
    else:
        x.requires_grad_()
        slopes = torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]
    return ((slopes.float().flatten(1).norm(dim=1) - 1) ** 2).mean()


def adam(net: nn.Module, optim: ConfigDict) -> torch.optim.Optimizer:
    betas = (optim.b1, optim.b2)
    return torch.optim.Adam(net.parameters(), optim.learning_rate, betas, fused=True)


def floats(net: nn.Module) -> list[Tensor]:
    """Weights and batch statistics."""
    return [x for x in net.state_dict().values() if x.is_floating_point()]


def prepare(net: nn.Module, mode: str, device: torch.device) -> nn.Module:
    channels_last = torch.contiguous_format if mode == "eager" else torch.channels_last
    return net.to(device, memory_format=channels_last).train()


def wgan(config: ConfigDict, batch: dict[str, Tensor], mode: str, device: torch.device) -> Step:
    train, model, size = config.train, config.model, config.data.resolution
    generator = torch_nets.generator(size, model.latent_dim, model.channels)
    critic = torch_nets.critic(size, model.channels)
    generator, critic = (prepare(net, mode, device) for net in (generator, critic))
    ema = copy.deepcopy(generator)
    averaged, current = floats(ema), floats(generator)
    generator_adam = adam(generator, config.optim.generator)
    critic_adam = adam(critic, config.optim.critic)
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")
    done = 0

    @mixed
    def critic_loss(real: Tensor, latents: Tensor, t: Tensor) -> Tensor:
        with torch.no_grad():
            fake = generator(latents).float()
        difference = critic(fake).float().mean() - critic(real).float().mean()
        return difference + weight * penalty(critic, real, fake, t)

    @mixed
    def generator_loss(latents: Tensor) -> Tensor:
        return -critic(generator(latents)).float().mean()

    weight = config.loss.gradient_penalty
    if mode == "compile":
        critic_loss, generator_loss = torch.compile(critic_loss), torch.compile(generator_loss)

    def draw() -> Tensor:
        return torch.randn(train.batch_size, model.latent_dim, 1, 1, device=device)

    def step() -> Tensor:
        nonlocal done
        for turn in range(train.n_critic):
            images = batch["image"] if train.same_batch else batch["image"][turn]
            t = torch.rand(train.batch_size, 1, 1, 1, device=device)
            loss = critic_loss(to_float(images), draw(), t)
            critic_adam.zero_grad()
            loss.backward()
            critic_adam.step()
        critic.requires_grad_(False)
        loss = generator_loss(draw())
        generator_adam.zero_grad()
        loss.backward()
        generator_adam.step()
        critic.requires_grad_(True)
        decay = min(train.ema_decay, (1 + done) / (10 + done))
        torch._foreach_lerp_(averaged, current, 1 - decay)
        done += 1
        return loss.detach()

    return step


def googlenet(
    config: ConfigDict, batch: dict[str, Tensor], mode: str, device: torch.device
) -> Step:
    model, train = config.model, config.train
    net = torch_nets.GoogLeNet(model.num_classes, model.aux_heads, model.width)
    net = prepare(net, mode, device)
    optimiser = adam(net, config.optim)
    mixed = torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")

    @mixed
    def objective(images: Tensor, labels: Tensor) -> Tensor:
        losses = [
            F.cross_entropy(logits.float(), labels, label_smoothing=train.label_smoothing)
            for logits in net(images)
        ]
        return losses[0] + 0.3 * sum(losses[1:])

    if mode == "compile":
        objective = torch.compile(objective)
    labels = batch["label"].long()

    def step() -> Tensor:
        images = to_float(batch["image"])
        loss = objective(augment(images) if train.augment else images, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.detach()

    return step


def augment(images: Tensor, padding: float = 0.125) -> Tensor:
    """Flip every second image and shift each by up to `padding` of the side, mirrored."""
    b, _, h, w = images.shape
    pad_h, pad_w = max(1, round(h * padding)), max(1, round(w * padding))
    flipped = torch.rand(b, 1, 1, 1, device=images.device) < 0.5
    images = torch.where(flipped, images.flip(3), images)
    padded = F.pad(images, (pad_w, pad_w, pad_h, pad_h), mode="reflect")
    tops = torch.randint(2 * pad_h + 1, (b,)).tolist()
    lefts = torch.randint(2 * pad_w + 1, (b,)).tolist()
    cut = [x[:, i : i + h, j : j + w] for x, i, j in zip(padded, tops, lefts, strict=True)]
    return torch.stack(cut).contiguous(memory_format=_format(images))


def _format(images: Tensor) -> Any:
    last = images.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


STEPS = {"wgan": wgan, "googlenet": googlenet}
