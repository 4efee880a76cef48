"""GoogLeNet against torchvision's, with random weights.

In float64 on both sides: a ReLU's kink turns a rounding error of float32 into another gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from vision import models

from jaxgan.models.googlenet import GoogLeNet
from jaxgan.weights import torchvision

MODEL = GoogLeNet(5, dropout=0.0, aux_dropout=0.0, dtype=jnp.float64)


def convert(tensors):
    """torchvision's names and layouts to our tree, for weights, statistics or gradients."""
    shape = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    ours = jax.eval_shape(lambda key, x: MODEL.init(key, x, False), jax.random.key(0), shape)
    arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
    return jax.tree.map(jnp.array, torchvision.convert("googlenet", arrays, ours, "its tensors"))


def assert_close(got, want, tolerance=1e-5):
    def compare(path, a, b):
        error, scale = np.linalg.norm(a - b), np.linalg.norm(b)
        assert error <= tolerance * scale, f"{jax.tree_util.keystr(path)}: {error} of {scale}"

    jax.tree_util.tree_map_with_path(compare, got, want)


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    options = {"transform_input": False, "init_weights": False}
    theirs = models.googlenet(
        weights=None, num_classes=5, aux_logits=True, dropout=0.0, dropout_aux=0.0, **options
    )
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.weight, 1, 0.1)
            torch.nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    with jax.enable_x64(True):
        variables = convert(theirs.double().state_dict())
        yield theirs, MODEL, variables


def pictures(size, count=4):
    images = torch.rand(count, 3, *size).double() * 2 - 1
    return images, jnp.array(images.numpy().transpose(0, 2, 3, 1))


@pytest.mark.parametrize("size", [(32, 32), (45, 67)])
def test_evaluation(nets, size):
    theirs, ours, variables = nets
    x, images = pictures(size)
    with torch.no_grad():
        want = theirs.eval()(x).numpy()
    assert_close(jax.jit(ours.apply, static_argnums=2)(variables, images, False), want)


def test_features_in_float32(nets):
    theirs, ours, variables = nets
    x, images = pictures((64, 64))
    with torch.no_grad():
        want = theirs.eval()(x).numpy()
    variables, images = jax.tree.map(lambda x: x.astype(jnp.float32), (variables, images))
    single = ours.clone(dtype=jnp.float32)
    features = jax.jit(lambda x: single.apply(variables, x, method="features"))(images)
    head = variables["params"]["fc"]
    assert_close(features @ head["kernel"] + head["bias"][None], want, 1e-4)


def test_training(nets):
    theirs, ours, variables = nets
    theirs.train()
    theirs.zero_grad()
    x, images = pictures((64, 64), 8)
    weights = torch.randn(3, 8, 5).double()

    @jax.jit
    def gradients(params):
        def loss(params):
            logits, new = ours.apply({**variables, "params": params}, images, True, mutable=True)
            total = sum((w * y).sum() for w, y in zip(weights.numpy(), logits, strict=True))
            return total, (logits, new["batch_stats"])

        return jax.grad(loss, has_aux=True)(params)

    grads, (logits, stats) = gradients(variables["params"])
    outputs = theirs(x)
    want = outputs.logits, outputs.aux_logits1, outputs.aux_logits2
    sum((w * y).sum() for w, y in zip(weights, want, strict=True)).backward()
    assert_close(logits, tuple(y.detach().numpy() for y in want))
    running = {name: b for name, b in theirs.named_buffers() if "running" in name}
    wanted = convert({name: p.grad for name, p in theirs.named_parameters()} | running)["params"]
    assert_close(grads, wanted)
    after = convert(theirs.state_dict())["batch_stats"]
    means = jax.tree_util.tree_map_with_path(
        lambda path, x: x if path[-1].key == "mean" else 0 * x + 1, (stats, after)
    )
    assert_close(*means)
