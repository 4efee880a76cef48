"""VGG16 against torchvision's, with random weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from vision import models

from jaxgan.models.layers.imagenet import MEAN, STD
from jaxgan.models.vgg import VGG16
from jaxgan.weights import torchvision


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    net = models.vgg16(weights=None, num_classes=5, dropout=0.0)
    for module in net.modules():  # Logits and biases that count.
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return net.eval()


def convert(model, tensors):
    shape = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    ours = jax.eval_shape(lambda key, x: model.init(key, x, False), jax.random.key(0), shape)
    arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    return torchvision.convert("vgg16", arrays, ours, "its tensors")


def pictures(size):
    x = torch.rand(2, 3, *size) * 2 - 1
    return x, jnp.array(x.numpy().transpose(0, 2, 3, 1))


def assert_close(got, want, tolerance=1e-4):
    assert np.linalg.norm(got - want) <= tolerance * np.linalg.norm(want)


@pytest.mark.parametrize("size", [(64, 64), (40, 67)])
def test_logits(theirs, size):
    model = VGG16(5, imagenet=True)
    x, images = pictures(size)
    moments = [torch.tensor(v)[None, :, None, None] for v in (MEAN, STD)]
    with torch.no_grad():
        want = theirs(((x + 1) / 2 - moments[0]) / moments[1]).numpy()
    variables = convert(model, theirs.state_dict())
    assert_close(jax.jit(model.apply, static_argnums=2)(variables, images, False), want)


def test_gradients(theirs):
    model = VGG16(5, dropout=0.0)
    x, images = pictures((32, 32))
    theirs.zero_grad()
    weights = torch.randn(2, 5)
    (theirs(x) * weights).sum().backward()
    params = convert(model, theirs.state_dict())["params"]

    @jax.jit
    def gradients(params):
        return jax.grad(
            lambda p: (model.apply({"params": p}, images, True) * weights.numpy()).sum()
        )(params)

    want = convert(model, {name: p.grad for name, p in theirs.named_parameters()})["params"]
    for name, found in gradients(params).items():
        for leaf, got in found.items():
            assert_close(got, want[name][leaf], 1e-3)


def test_another_head_begins_anew(theirs):
    variables = convert(VGG16(3, hidden=(7,), grid=1), theirs.state_dict())["params"]
    assert variables["conv5_3"]["kernel"] is not None
    assert all(x is None for name in ("fc1", "fc2") for x in variables[name].values())
