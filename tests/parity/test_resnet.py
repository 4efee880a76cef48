"""ResNet-18 against torchvision's, with random weights.

In float64 on both sides: a ReLU's kink turns a rounding error of float32 into another gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from vision import models

from jaxgan.models.resnet import ResNet
from jaxgan.weights import torchvision

MODEL = ResNet(5, dtype=jnp.float64)


def convert(tensors):
    """torchvision's names and layouts to our tree, for weights, statistics or gradients."""
    shape = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    ours = jax.eval_shape(lambda key, x: MODEL.init(key, x, False), jax.random.key(0), shape)
    arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    return jax.tree.map(jnp.array, torchvision.convert("resnet", arrays, ours, "its tensors"))


def assert_close(got, want, tolerance=1e-5):
    def compare(path, a, b):
        error, scale = np.linalg.norm(a - b), np.linalg.norm(b)
        assert error <= tolerance * scale, f"{jax.tree_util.keystr(path)}: {error} of {scale}"

    jax.tree_util.tree_map_with_path(compare, got, want)


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    theirs = models.resnet18(weights=None, num_classes=5)
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1, 0.1)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    with jax.enable_x64(True):
        yield theirs, convert(theirs.double().state_dict())


def pictures(size, count=4):
    images = torch.rand(count, 3, *size).double() * 2 - 1
    return images, jnp.array(images.numpy().transpose(0, 2, 3, 1))


@pytest.mark.parametrize("size", [(32, 32), (45, 67)])
def test_evaluation(nets, size):
    theirs, variables = nets
    x, images = pictures(size)
    with torch.no_grad():
        want = theirs.eval()(x).numpy()
    assert_close(jax.jit(MODEL.apply, static_argnums=2)(variables, images, False), want)


def test_training(nets):
    theirs, variables = nets
    theirs.train()
    theirs.zero_grad()
    x, images = pictures((64, 64), 8)
    weights = torch.randn(8, 5).double()

    @jax.jit
    def gradients(params):
        def loss(params):
            logits, new = MODEL.apply({**variables, "params": params}, images, True, mutable=True)
            return (weights.numpy() * logits).sum(), (logits, new["batch_stats"])

        return jax.grad(loss, has_aux=True)(params)

    grads, (logits, stats) = gradients(variables["params"])
    want = theirs(x)
    (weights * want).sum().backward()
    assert_close(logits, want.detach().numpy())
    running = {name: b for name, b in theirs.named_buffers() if "running" in name}
    wanted = convert({name: p.grad for name, p in theirs.named_parameters()} | running)["params"]
    assert_close(grads, wanted)
    after = convert(theirs.state_dict())["batch_stats"]
    means = jax.tree_util.tree_map_with_path(  # Their running variance is the unbiased one.
        lambda path, x: x if path[-1].key == "mean" else 0 * x + 1, (stats, after)
    )
    assert_close(*means)
