"""FastGAN's nets against a plain PyTorch writing of the paper's figures 3 and 4."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn import functional as F

from jaxgan.models import fastgan

Z, CHANNELS, SIZE = 8, 32, 64


def weights(module, x, seed=0):
    """Its variables, everything that begins as a constant moved away from it."""
    variables = jax.jit(lambda key: module.init(key, x, False))(jax.random.key(seed))
    rng = np.random.default_rng(seed)

    def moved(path, leaf):
        name = jax.tree_util.keystr(path)
        if "'u'" in name:
            return leaf
        if "'var'" in name:
            return np.float32(rng.uniform(0.5, 2, leaf.shape))
        return np.float32(np.asarray(leaf) + 0.1 * rng.normal(size=leaf.shape))

    return jax.tree_util.tree_map_with_path(moved, variables)


class Plain:
    """Layers by their names in our trees, in evaluation mode; images are NCHW."""

    def __init__(self, variables, *path):
        self.params, self.stats = variables["params"], variables["batch_stats"]
        for name in path:
            self.params, self.stats = self.params[name], self.stats.get(name, {})

    def at(self, name):
        return Plain({"params": self.params, "batch_stats": self.stats}, name)

    def kernel(self):
        """Over its largest singular value, as one power iteration has it."""
        k, u = (np.asarray(x, np.float64) for x in (self.params["kernel"], self.stats["u"]))
        matrix = k.reshape(-1, k.shape[-1])
        v = matrix @ u
        v /= np.linalg.norm(v)
        return torch.tensor(k / np.linalg.norm(v @ matrix))

    def conv(self, name, x, stride=1, padding=0):
        own = self.at(name)
        bias = own.params.get("bias")
        bias = None if bias is None else torch.tensor(np.float64(bias))
        return F.conv2d(x, own.kernel().permute(3, 2, 0, 1), bias, stride, padding)

    def norm(self, name, x):
        own = self.at(name)
        mean, var, scale, bias = (
            torch.tensor(np.float64(tree[key]))
            for tree, key in (
                (own.stats, "mean"),
                (own.stats, "var"),
                (own.params, "scale"),
                (own.params, "bias"),
            )
        )
        return F.batch_norm(x, mean, var, scale, bias, eps=1e-5)

    def up(self, x, double):
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        for i in range(1 + double):
            x = F.glu(self.norm(f"norm{i}", self.conv(f"conv{i}", x, 1, 1)), dim=1)
        return x

    def excite(self, small, large):
        x = self.conv("conv0", F.adaptive_avg_pool2d(small, 4))
        return large * torch.sigmoid(self.conv("conv1", F.leaky_relu(x, 0.1)))

    def down(self, x):
        def layer(name, x, *how):
            return F.leaky_relu(self.norm(f"{name}_norm", self.conv(name, x, *how)), 0.2)

        straight = layer("conv1", layer("conv0", x, 2, 1), 1, 1)
        return (straight + layer("skip", F.avg_pool2d(x, 2))) / 2

    def decoder(self, x, count):
        for i in range(count):
            x = self.at(f"up{i}").up(x, False)
        return torch.tanh(self.conv("rgb", x, 1, 1))


def close(ours, theirs):
    np.testing.assert_allclose(np.asarray(ours), theirs.numpy(), atol=2e-4)


def test_the_generator_is_plain_pytorchs():
    z = np.random.default_rng(0).normal(size=(3, Z)).astype(np.float32)
    module = fastgan.Generator(SIZE, Z, CHANNELS)
    variables = weights(module, jnp.asarray(z))
    net = Plain(variables)
    start = net.at("start")
    x = torch.einsum("bz,zhwc->bchw", torch.tensor(np.float64(z)), start.kernel())
    f4 = F.glu(start.norm("norm", x), dim=1)
    x = f4
    for size, double in ((8, True), (16, False), (32, True), (64, False)):
        x = net.at(f"up{size}").up(x, double)
    x = torch.tanh(net.conv("rgb", net.at("excite64").excite(f4, x), 1, 1))
    close(jax.jit(lambda v, z: module.apply(v, z, False))(variables, z), x.permute(0, 2, 3, 1))


def test_the_critic_and_what_it_rebuilds_are_plain_pytorchs(monkeypatch):
    images = np.random.default_rng(1).uniform(-1, 1, (3, SIZE, SIZE, 3)).astype(np.float32)
    module = fastgan.Critic(SIZE, 16, rebuild=True)
    variables = weights(module, jnp.asarray(images), 1)
    # Quarters 0, 1 and 3.
    monkeypatch.setattr(
        fastgan.prng, "uniform", lambda key, shape, axis_name=None: jnp.array([0.1, 0.3, 0.9])
    )
    net, real = Plain(variables), torch.tensor(np.float64(images)).permute(0, 3, 1, 2)
    x = F.leaky_relu(net.conv("start", real, 1, 1), 0.2)
    at = {}
    for size in (32, 16, 8):
        at[size] = x = net.at(f"down{size}").down(x)
    x = F.leaky_relu(net.norm("norm", net.conv("mix", x)), 0.2)
    logits = net.conv("logits", x).reshape(3, -1)
    whole = (net.at("whole").decoder(at[8], 3) - real).abs().mean()
    places = ((0, 0), (0, 1), (1, 1))

    def cut(x, n):
        corners = zip(x, places, strict=True)
        return torch.stack(
            [one[:, n * i : n * i + n, n * j : n * j + n] for one, (i, j) in corners]
        )

    part = (net.at("part").decoder(cut(at[16], 8), 2) - cut(real, 32)).abs().mean()
    got, lost = jax.jit(
        lambda v, x: module.apply(v, x, False, rngs={"dropout": jax.random.key(0)})
    )(variables, images)
    close(got, logits)
    close(lost, whole + part)
