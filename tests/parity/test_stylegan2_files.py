"""Network files that PyTorch itself pickles, and a generator in plain PyTorch that draws from them.

The generator is written from the papers: weights are modulated and demodulated for each picture,
and filters are convolutions over zeros between pixels. Names are the published ones.
"""

import pickle
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from network_files import EasyDict, _reconstruct_persistent_obj, places
from safetensors.torch import load_file
from torch import nn

from jaxgan.models import stylegan2
from jaxgan.sampling import sample
from jaxgan.sampling.stylegan2 import Style
from jaxgan.weights import convert, stylegan2_ada

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs" / "stylegan2_ada128.py")
REFERENCE = ROOT.parent / "shared" / "reference" / "stylegan2_ada_32.npz"
TAPS = torch.tensor([1.0, 3, 3, 1])
FILTER = TAPS[:, None] * TAPS / 64


class Persistent(nn.Module):
    """Pickled as the published tool's networks: a call with its source and state."""

    def __reduce__(self):
        meta = EasyDict(type="class", version=6, module_src="raise SystemExit", class_name="Net")
        return _reconstruct_persistent_obj, (EasyDict(meta, state=dict(self.__dict__)),)


class Dense(Persistent):
    def __init__(self, inputs, outputs, rate=1.0, bias=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter((torch.randn(outputs) * 0.2 + bias) / rate)
        self.scale, self.rate = np.float64(rate / np.sqrt(inputs)), rate

    def forward(self, x):
        return x @ (self.weight * float(self.scale)).T + self.bias * self.rate


def active(x):
    return F.leaky_relu(x, 0.2) * 2**0.5


def normalised(x):
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


class Mapping(Persistent):
    def __init__(self, z, w, layers, classes):
        super().__init__()
        self.layers = layers
        if classes:
            self.embed = Dense(classes, w)
        for i in range(layers):
            inputs = z + w * (classes > 0) if i == 0 else w
            self.add_module(f"fc{i}", Dense(inputs, w, rate=0.01))
        self.register_buffer("w_avg", torch.randn(w) * 0.3)

    def forward(self, z, labels):
        x = normalised(z)
        if labels is not None:
            one_hot = F.one_hot(labels, self.embed.weight.shape[1]).float()
            x = torch.cat([x, normalised(self.embed(one_hot))], dim=1)
        for i in range(self.layers):
            x = active(getattr(self, f"fc{i}")(x))
        return x


def filtered(x, padding, gain):
    b, c, h, w = x.shape
    x = F.pad(x.reshape(b * c, 1, h, w), padding)
    return F.conv2d(x, FILTER[None, None] * gain).reshape(b, c, *x.shape[2:] - np.array(3))


def modulated(x, weight, style, demodulate, up=False):
    """A group of the convolution for each picture."""
    b, o = len(x), len(weight)
    weight = weight[None] * style[:, None, :, None, None]
    if demodulate:
        weight = weight / (weight.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()
    x = x.reshape(1, -1, *x.shape[2:])
    if up:
        weight = weight.transpose(1, 2).flatten(0, 1)
        x = F.conv_transpose2d(x, weight, stride=2, groups=b)
        return filtered(x.reshape(b, o, *x.shape[2:]), [1] * 4, 4)
    x = F.conv2d(x, weight.flatten(0, 1), padding=weight.shape[-1] // 2, groups=b)
    return x.reshape(b, o, *x.shape[2:])


class Layer(Persistent):
    def __init__(self, inputs, outputs, size, w_dim, up, clamp):
        super().__init__()
        self.up, self.conv_clamp = up, clamp
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.noise_strength = nn.Parameter(torch.randn([]) * 0.3)
        self.bias = nn.Parameter(torch.randn(outputs) * 0.2)
        self.register_buffer("resample_filter", FILTER)
        self.register_buffer("noise_const", torch.randn(size, size))
        self.affine = Dense(w_dim, inputs, bias=1.0)

    def forward(self, x, w, noise):
        x = modulated(x, self.weight, self.affine(w), True, self.up)
        x = x + self.noise_const * self.noise_strength if noise else x
        x = active(x + self.bias[:, None, None])
        return x if self.conv_clamp is None else x.clamp(-self.conv_clamp, self.conv_clamp)


class Colours(Persistent):
    def __init__(self, inputs, w_dim, clamp):
        super().__init__()
        self.conv_clamp = clamp
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.randn(3) * 0.2)
        self.affine = Dense(w_dim, inputs, bias=1.0)

    def forward(self, x, w):
        style = self.affine(w) / self.weight.shape[1] ** 0.5
        x = modulated(x, self.weight, style, False) + self.bias[:, None, None]
        return x if self.conv_clamp is None else x.clamp(-self.conv_clamp, self.conv_clamp)


class Block(Persistent):
    def __init__(self, inputs, outputs, size, w_dim, clamp):
        super().__init__()
        self.register_buffer("resample_filter", FILTER)
        if inputs:
            self.conv0 = Layer(inputs, outputs, size, w_dim, True, clamp)
        else:
            self.const = nn.Parameter(torch.randn(outputs, 4, 4))
        self.conv1 = Layer(outputs, outputs, size, w_dim, False, clamp)
        self.torgb = Colours(outputs, w_dim, clamp)

    def forward(self, x, image, ws, noise):
        if x is None:
            x = self.const.expand(len(ws), -1, -1, -1)
        else:
            x = self.conv0(x, ws[:, -3], noise)
            zeros = torch.zeros_like(image)
            b, c, h, w = image.shape
            rows = torch.stack([image, zeros], 4).reshape(b, c, h, 2 * w)
            image = torch.stack([rows, torch.zeros_like(rows)], 3).reshape(b, c, 2 * h, 2 * w)
            image = filtered(image, [2, 1, 2, 1], 4)
        x = self.conv1(x, ws[:, -2], noise)
        y = self.torgb(x, ws[:, -1])
        return x, y if image is None else image + y


class Generator(Persistent):
    def __init__(self, resolution, z, w, base, most, layers, classes, clamp):
        super().__init__()
        self.sizes = [4 << i for i in range(resolution.bit_length() - 2)]
        self.mapping, self.synthesis, before = Mapping(z, w, layers, classes), Persistent(), 0
        for size in self.sizes:
            block = Block(before, before := min(base // size, most), size, w, clamp)
            self.synthesis.add_module(f"b{size}", block)

    def forward(self, z, labels=None, psi=1.0, cutoff=None, noise=True):
        w = self.mapping(z, labels)
        ws = w[:, None].repeat(1, 2 * len(self.sizes), 1)
        mean = self.mapping.w_avg
        ws[:, :cutoff] = mean + psi * (ws[:, :cutoff] - mean)
        x = image = None
        for i, size in enumerate(self.sizes):
            block = getattr(self.synthesis, f"b{size}")
            x, image = block(x, image, ws[:, max(2 * i - 1, 0) : 2 * i + 2], noise)
        return image


class Empty(Persistent):
    """Arrays by their names, as a network that computes nothing."""

    def __init__(self, arrays):
        super().__init__()
        for name, array in arrays.items():
            here, (*path, last) = self, name.split(".")
            for part in path:
                if part not in here._modules:
                    here.add_module(part, Persistent())
                here = here._modules[part]
            here.register_parameter(last, nn.Parameter(torch.tensor(array)))
            here.conv_clamp = None


# As `Generator` takes them, and how to draw.
NETWORKS = {
    "64 px, 8 layers": ((64, 512, 512, 1024, 48, 8, 0, 256.0), Style(0.7)),
    "32 px, classes": ((32, 24, 16, 512, 32, 2, 3, None), Style(0.3, 3, "const", "2")),
    "16 px, bounds that are met": ((16, 8, 12, 4096, 96, 4, 0, 1.5), Style(noise="none")),
}


def network(numbers):
    """A random one, and what PyTorch pickles of it and of a discriminator beside it."""
    torch.manual_seed(0)
    resolution, *_, base, most, _, classes, clamp = numbers
    other, generator = (Generator(*numbers).requires_grad_(False) for _ in range(2))
    judge = stylegan2.Discriminator(resolution, classes, base, most)
    images = jax.numpy.zeros((2, resolution, resolution, 3))
    labels = jax.numpy.zeros(2, int) if classes else None
    shapes = jax.eval_shape(lambda key: judge.init(key, images, False, labels), jax.random.key(0))
    zeros = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), shapes)
    critic = Empty(stylegan2_ada.to_published(zeros, "D"))
    for module in critic.modules():
        if "conv_clamp" in module.__dict__:
            module.conv_clamp = clamp
    with places("torch_utils.persistence", "dnnlib.util"):
        content = pickle.dumps({"G": other, "D": critic, "G_ema": generator, "augment_pipe": None})
    return other, generator, content


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_same_seeds_are_the_same_pictures(kind: str, tmp_path: Path, quick_compiler) -> None:
    numbers, style = NETWORKS[kind]
    other, generator, content = network(numbers)
    (tmp_path / "net.pkl").write_bytes(content)
    convert.run(tmp_path / "net.pkl", tmp_path / "run")
    seeds = [0, 7, 2**32 - 1]
    z = np.concatenate([np.random.RandomState(seed).randn(1, numbers[1]) for seed in seeds])
    labels = None if style.label is None else torch.full((3,), int(style.label))
    drawn = generator(
        torch.tensor(z).float(), labels, style.truncation, style.cutoff, style.noise == "const"
    )
    rounded = (drawn.permute(0, 2, 3, 1) * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    found = sample.images(sample.restore(tmp_path / "run", style=style), seeds, 3)
    difference = np.abs(np.stack(list(found)).astype(int) - rounded.numpy())
    assert difference.max() <= 1 and difference.mean() < 0.01 and rounded.numpy().std() > 20

    # And back: PyTorch takes what comes out by the published names.
    convert.run(tmp_path / "run", tmp_path / "net.safetensors")
    tensors = load_file(tmp_path / "net.safetensors")
    for net, module in (("G", other), ("G_ema", generator)):
        mine = {n.removeprefix(f"{net}."): x for n, x in tensors.items() if n.startswith(f"{net}.")}
        fresh = Generator(*numbers)
        fresh.load_state_dict(mine, strict=True)
        for name, tensor in module.state_dict().items():
            assert torch.equal(fresh.state_dict()[name], tensor), name


@pytest.mark.skipif(not REFERENCE.exists(), reason="no ../shared/reference")
def test_this_generator_draws_what_the_published_one_does() -> None:
    generator = Generator(32, 512, 512, 1024, 64, 2, 0, 256.0).requires_grad_(False)
    with np.load(REFERENCE) as file:
        state = {n[2:]: torch.tensor(file[n]) for n in file.files if n.startswith("G.")}
        generator.load_state_dict(state, strict=True)
        for name, options in (
            ("const", {}),
            ("none", {"noise": False}),
            ("const_psi0.7", {"psi": 0.7}),
        ):
            drawn = generator(torch.tensor(file["z"]), **options)
            np.testing.assert_allclose(drawn, file[f"image_{name}"], atol=1e-4)
