"""Compile pieces of steps for a v5e on a machine that has none: what an alternative would save.

    python benchmarks/aot_pieces.py --pieces warp,warp_transposed,first_layer,norm

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

import aot
from absl import flags

from jaxgan.cli import command

DEVICE = "v5e by libtpu's estimate, not run"
# ADA's loop has as many turns as the most demanding map of a batch needs, beyond the first: three
# where an image is made smaller by one to two times, as one of 32 nearly always is.
TURNS = 3

flags.DEFINE_list("pieces", ["warp", "warp_transposed", "first_layer", "norm"], "Which.")
flags.DEFINE_string("pieces_out", "benchmarks/results/aot_pieces.jsonl", "File of the rows.")
FLAGS = flags.FLAGS


def warps(transposed: bool) -> dict[str, tuple[Callable, list]]:
    """ADA's affine maps of 32 images of 128 px, or the gradient of them."""
    import jax

    from jaxgan.augment import ada_resampling

    def of(form: Callable) -> Callable:
        def back(slopes: Any, maps: Any) -> Any:
            zeros = jax.numpy.zeros((32, 3, 128, 128))
            return jax.vjp(lambda planes: form(planes, maps), zeros)[1](slopes)[0]

        return back if transposed else form

    side = 266 if transposed else 128
    shapes = [((32, 3, side, side), "float32"), ((32, 3, 3), "float32")]
    forms = {"products": ada_resampling._by_products, "look-ups": ada_resampling._by_look_up}
    return {name: (of(form), shapes) for name, form in forms.items()}


PIECES = {
    "warp": functools.partial(warps, False),
    "warp_transposed": functools.partial(warps, True),
}


def main() -> None:
    chip, devices = aot.topology("v5e-1")
    import jax
    import numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    place = NamedSharding(Mesh(np.asarray(devices), ("data",)), PartitionSpec())
    for piece in FLAGS.pieces:
        for form, (function, shapes) in PIECES[piece]().items():
            like = [jax.ShapeDtypeStruct(*shape, sharding=place) for shape in shapes]
            start = time.perf_counter()
            compiled = jax.jit(function).lower(*like).compile()
            row = {"piece": piece, "form": form, "device": DEVICE, "jax": jax.__version__}
            row["compile_s"] = time.perf_counter() - start
            row |= aot.figures(compiled, (), chip, TURNS)
            kept = {k: v for k, v in row.items() if not k.startswith(("state", "aliased", "peak"))}
            short = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in kept.items()}
            with Path(FLAGS.pieces_out).open("a") as file:
                file.write(json.dumps(short) + "\n")
            print(json.dumps(short), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    command.run(main)
