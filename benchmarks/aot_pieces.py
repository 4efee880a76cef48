"""Compile pieces of steps for a v5e on a machine that has none: what an alternative would save.

    python benchmarks/aot_pieces.py --pieces warp,norm

Each piece is a row of `--out` in the form that the nets have, and in the one that was, or is not,
taken. The keys are those of `aot.py`; estimated times are the compiler's cycles at the clock, in
which look-ups (gathers) and sums by place (scatters) are not.
"""

import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import aot
from absl import flags

from jaxgan.cli import command

DEVICE = "v5e by libtpu's estimate, not run"
# Turns of ADA's loops for the most demanding map of a batch, which needs four rows of samples where
# an image is made smaller by one to two times, as one of 32 nearly always is.
TURNS = {"warp": 3, "warp_transposed": 1}

flags.DEFINE_list("pieces", [], "Which, of PIECES; all by default.")
flags.DEFINE_string("pieces_out", "benchmarks/results/aot_pieces.jsonl", "File of the rows.")
FLAGS = flags.FLAGS


Form = tuple[Callable, list[tuple]]  # A function, and its arguments' shapes and types.


def warps(transposed: bool) -> dict[str, Form]:
    """ADA's affine maps of 32 images of 128 px, or the gradient of them."""
    import jax

    from jaxgan.augment import ada_resampling

    def of(form: Callable) -> Callable:
        def moved(images: Any, maps: Any, *slopes: Any) -> Any:
            with mock.patch.object(ada_resampling, "_by_products", form):  # What a TPU gets.
                result, back = jax.vjp(lambda x: ada_resampling.warp(x, maps), images)
                return back(*slopes)[0] if slopes else result

        return moved

    image = ((32, 128, 128, 3), "float32")
    shapes = [image, ((32, 3, 3), "float32"), *([image] if transposed else [])]
    forms = {"products": ada_resampling._by_products, "look-ups": ada_resampling._by_look_up}
    return {name: (of(form), shapes) for name, form in forms.items()}


def first_layer(size: int, features: int) -> dict[str, Form]:
    """A WGAN-GP critic's first convolution and its gradients, batch 64: as it is, or of 2 x 2
    pixels as one of 12 features.
    """
    import jax
    import jax.numpy as jnp

    from jaxgan.models.layers.convolution import conv

    def parted(x: Any, k: Any) -> Any:
        side = size // 2 + 1
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(64, side, 2, side, 2, 3)
        k = k.reshape(2, 2, 2, 2, 3, features).transpose(0, 2, 1, 3, 4, 5)
        x = x.transpose(0, 1, 3, 2, 4, 5).reshape(64, side, side, 12)
        return conv(x, k.reshape(2, 2, 12, features), 1, 0)

    def of(form: Callable) -> Callable:
        def whole(x: Any, k: Any, slopes: Any) -> Any:
            y, pull = jax.vjp(form, x, k)
            return y, *pull(slopes)

        return whole

    sides = (64, size, size, 3), (4, 4, 3, features), (64, size // 2, size // 2, features)
    shapes = [(side, "bfloat16") for side in sides]
    forms = {"strided": lambda x, k: conv(x, k, 2, 1), "space to depth": parted}
    return {name: (of(form), shapes) for name, form in forms.items()}


def norm() -> dict[str, Form]:
    """The first block of wgan128's critic with instance normalisation of one pass or of two: the
    gradient of its output and of a penalty of its slope, batch 64.
    """
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    from jaxgan.models.layers.convolution import conv
    from jaxgan.models.layers.normalisation import InstanceNorm

    def of(layer: nn.Module) -> Callable:
        def loss(k: Any, weights: dict, x: Any) -> Any:
            def score(x: Any) -> Any:
                y: Any = layer.apply({"params": weights}, conv(x, k, 2, 1))
                return (nn.leaky_relu(y, 0.2).astype(jnp.float32) ** 3).sum()

            slopes = jax.grad(score)(x).astype(jnp.float32)
            return ((jnp.sqrt((slopes**2).sum((1, 2, 3))) - 1) ** 2).mean() + score(x)

        def gradient(k: Any, scale: Any, bias: Any, x: Any) -> Any:
            return jax.grad(loss, argnums=(0, 1))(k, {"scale": scale, "bias": bias}, x)

        return gradient

    shapes = [((4, 4, 3, 64), "bfloat16"), ((64,), "float32"), ((64,), "float32")]
    shapes.append(((64, 128, 128, 3), "bfloat16"))
    flax = functools.partial(nn.InstanceNorm, epsilon=1e-5, dtype=jnp.bfloat16)
    forms = {
        "one pass": InstanceNorm(dtype=jnp.bfloat16),
        "two passes": flax(use_fast_variance=False),
    }
    return {name: (of(layer), shapes) for name, layer in forms.items()}


def max_pooling(size: int, features: int, stride: int) -> dict[str, Form]:
    """GoogLeNet's max pooling of 3 x 3 windows and its gradient, batch 32."""
    import jax
    from jax import lax

    from jaxgan.models.layers.pooling import max_pool

    pool = functools.partial(max_pool, window=3, stride=stride, padding=stride % 2, ceil=True)

    def of(platform: str) -> Callable:
        def both(x: Any, slopes: Any) -> Any:
            chosen = lambda *arguments, **forms: forms[platform](*arguments)  # noqa: E731
            with mock.patch.object(lax, "platform_dependent", chosen):
                y, pull = jax.vjp(pool, x)
                return y, pull(slopes)[0]

        return both

    sides = (32, size, size, features), (32, size // stride, size // stride, features)
    shapes = [(side, "bfloat16") for side in sides]
    return {"places": (of("default"), shapes), "XLA's own": (of("tpu"), shapes)}


PIECES: dict[str, Callable[[], dict[str, Form]]] = {
    "warp": functools.partial(warps, False),
    "warp_transposed": functools.partial(warps, True),
    "first_layer_512": functools.partial(first_layer, 512, 16),
    "first_layer_128": functools.partial(first_layer, 128, 64),
    "norm": norm,
    "max_pooling_112": functools.partial(max_pooling, 112, 64, 2),
    "max_pooling_28": functools.partial(max_pooling, 28, 256, 1),
}


def main() -> None:
    chip, devices = aot.topology("v5e-1")
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    place = NamedSharding(Mesh(np.asarray(devices), ("data",)), PartitionSpec())
    for piece in FLAGS.pieces or PIECES:
        for form, (function, shapes) in PIECES[piece]().items():
            like = [jax.ShapeDtypeStruct(*shape, sharding=place) for shape in shapes]
            start = time.perf_counter()
            compiled = jax.jit(function).lower(*like).compile()
            row = {"piece": piece, "form": form, "device": DEVICE, "jax": jax.__version__}
            row["compile_s"] = time.perf_counter() - start
            row |= aot.figures(compiled, (), chip, TURNS.get(piece, 1))
            kept = {k: v for k, v in row.items() if not k.startswith(("state", "aliased", "peak"))}
            short = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in kept.items()}
            with Path(FLAGS.pieces_out).open("a") as file:
                file.write(json.dumps(short) + "\n")
            print(json.dumps(short), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    command.run(main)
