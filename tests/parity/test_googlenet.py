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

LEAVES = {
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
    "bias": ("params", "bias"),
}


def convert(tensors):
    """torchvision's names and layouts to our tree, for weights, statistics or gradients."""
    tree = {"params": {}, "batch_stats": {}}
    for name, tensor in tensors.items():
        *path, leaf = name.split(".")
        if leaf == "num_batches_tracked":
            continue
        x = tensor.detach().numpy()
        collection, ours = LEAVES.get(leaf, ("params", "scale" if x.ndim == 1 else "kernel"))
        if x.ndim == 4:
            x = x.transpose(2, 3, 1, 0)
        elif path[-1] == "fc1" and leaf == "weight":  # Flattened from channels first.
            x = x.reshape(len(x), -1, 4, 4).transpose(2, 3, 1, 0).reshape(-1, len(x))
        elif x.ndim == 2:
            x = x.T
        if path[0].startswith("inception"):  # branch2.0.conv is our branch2_0/conv.
            branch, *rest = path[1:]
            if rest[0].isdigit():
                branch, rest = f"{branch}_{rest[0]}", rest[1:]
            path = [path[0], branch, *rest]
        node = tree[collection]
        for key in path:
            node = node.setdefault("norm" if key == "bn" else key, {})
        node[ours] = jnp.array(x)
    return tree


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
        yield theirs, GoogLeNet(5, dropout=0.0, aux_dropout=0.0, dtype=jnp.float64), variables


def pictures(size, count=4):
    images = torch.rand(count, 3, *size).double() * 2 - 1
    return images, jnp.array(images.numpy().transpose(0, 2, 3, 1))


def test_same_tree(nets):
    _, ours, variables = nets
    images = jnp.zeros((1, 32, 32, 3))
    made = jax.eval_shape(lambda key: ours.init(key, images, False), jax.random.key(0))
    assert jax.tree.map(lambda x: x.shape, variables) == jax.tree.map(lambda x: x.shape, made)


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
    wanted = convert({name: p.grad for name, p in theirs.named_parameters()})["params"]
    assert_close(grads, wanted)
    after = convert(theirs.state_dict())["batch_stats"]
    means = jax.tree_util.tree_map_with_path(
        lambda path, x: x if path[-1].key == "mean" else 0 * x + 1, (stats, after)
    )
    assert_close(*means)
