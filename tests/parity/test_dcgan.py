"""DCGAN's nets against plain PyTorch: outputs, gradients, statistics.

In float64 on both sides: a ReLU's kink turns a rounding error of float32 into another gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
import plain
import pytest
import torch
from torch import nn

from jaxgan.models import dcgan

pytestmark = pytest.mark.usefixtures("quick_compiler", "fixed_draws")
LATENT_DIM, CHANNELS, BATCH = 20, 16, 4


def compare(theirs, ours, x, sizes, to_theirs, to_ours):
    """Training, gradients by the weights, and evaluation; then all outputs in float32.

    `to_theirs` takes the input x to PyTorch's order of axes, `to_ours` PyTorch's output back.
    """
    stats = plain.statistics(theirs, sizes, BATCH)
    variables = {"params": plain.convert(theirs, sizes), "batch_stats": stats}
    want = theirs.train()(to_theirs(x))
    weights = torch.randn(want.shape).double()
    (want * weights).sum().backward()
    want, w = to_ours(want), to_ours(weights)
    rngs = {"dropout": jax.random.key(0)}

    @jax.jit
    def gradients(variables, x):
        def loss(params):
            parts = {**variables, "params": params}
            out, new = ours.apply(parts, x, True, mutable="batch_stats", rngs=rngs)
            return (out * w).sum(), (out, new)

        grads, (out, new) = jax.grad(loss, has_aux=True)(variables["params"])
        return grads, out, new.get("batch_stats", {})

    grads, out, moved = gradients(variables, x)
    plain.assert_close(out, want)
    plain.assert_close(grads, plain.convert(theirs, sizes, gradients=True))
    plain.assert_close(moved, plain.statistics(theirs, sizes, BATCH))

    with torch.no_grad():
        for name, layer in plain.named(theirs, sizes):
            if hasattr(layer, "weight_u"):
                # At rest: in evaluation ours take half a turn more, as they keep no v.
                u, _, v = torch.linalg.svd(layer.weight_orig.flatten(1), full_matrices=False)
                layer.weight_u.copy_(u[:, 0])
                layer.weight_v.copy_(v[0])
            elif isinstance(layer, nn.BatchNorm2d):  # Ours is not the unbiased variance.
                layer.running_var.copy_(torch.tensor(np.array(moved[name]["var"])))
        after = plain.statistics(theirs, sizes, BATCH)
        settled = moved | {k: v for k, v in after.items() if "u" in v}
        want_evaluated = to_ours(theirs.eval()(to_theirs(x)))

    @jax.jit
    def outputs(variables, settled, x):
        single = ours.clone(dtype=jnp.float32)
        trained, _ = single.apply(variables, x, True, mutable="batch_stats", rngs=rngs)
        return trained, single.apply({**variables, "batch_stats": settled}, x, False)

    got = outputs(*plain.to_float32((variables, settled, x)))
    plain.assert_close(got, (want, want_evaluated), 1e-4)


GENERATORS = {
    "bn": (64, {}, {}),
    "selu": (64, {"norm": False, "activation": nn.SELU}, {"selu": True}),
    "leaky": (
        64,
        {"activation": lambda: nn.LeakyReLU(0.2), "dropout": 0.3},
        {"slope": 0.2, "dropout": 0.3},
    ),
    "bn 16 px": (16, {}, {}),
}


@pytest.mark.parametrize(("resolution", "theirs", "ours"), GENERATORS.values(), ids=GENERATORS)
def test_generator(resolution, theirs, ours):
    torch.manual_seed(0)
    net = plain.generator(resolution, LATENT_DIM, CHANNELS, **theirs)
    with jax.enable_x64(True):
        compare(
            plain.randomise_norms(net).double(),
            dcgan.Generator(resolution, LATENT_DIM, CHANNELS, **ours, dtype=jnp.float64),
            jnp.array(plain.normal((BATCH, LATENT_DIM))),
            plain.up(resolution),
            lambda z: plain.nchw(z[:, None, None]),
            plain.nhwc,
        )


MEOW = {"spectral_norm": True, "dropout": (0.1, 0.1, 0.2, 0.2)}
DISCRIMINATORS = {
    "bn": (64, {}, {}),
    "selu": (64, {"norm": False, "activation": nn.SELU}, {"selu": True}),
    "none": (64, {"norm": False}, {"norm": False}),
    "spectral norm": (64, MEOW, MEOW),
    "spectral norm 32 px": (32, MEOW, MEOW),
}


@pytest.mark.parametrize(
    ("resolution", "theirs", "ours"), DISCRIMINATORS.values(), ids=DISCRIMINATORS
)
def test_discriminator(resolution, theirs, ours):
    torch.manual_seed(0)
    net = plain.discriminator(resolution, CHANNELS, **theirs)
    with jax.enable_x64(True):
        compare(
            plain.randomise_norms(net).double(),
            dcgan.Discriminator(resolution, CHANNELS, **ours, dtype=jnp.float64),
            jnp.tanh(jnp.array(plain.normal((BATCH, resolution, resolution, 3)))),
            plain.down(resolution),
            plain.nchw,
            lambda logits: jnp.array(logits.detach().numpy()),
        )
