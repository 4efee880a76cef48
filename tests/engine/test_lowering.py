"""Every training config's step is lowered for GPU and TPU, too: nothing runs, nothing is needed."""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.mlir import ir
from jax.interpreters.mlir import make_ir_context

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.models.layers import convolution

ROOT = Path(__file__).parents[2]
FAST = ("dcgan64",)
HEAVY = {"stablehlo.convolution", "stablehlo.dot_general"}


def twins() -> dict:
    """The configs' twins, each once, with a loop in each step that can have one."""
    found: dict = {}
    for file in sorted(ROOT.glob("configs/*.py")):
        config = configs.load(str(file), test=True)
        if (
            not configs.is_experiment(config) and "train" in config
        ):  # Principal components have none.
            if config.model.name in configs.CLASSIFIERS:
                config.model.num_classes = 2
            # A drifting model's images repel each other: it takes no microbatches.
            if config.train.get("n_critic", 1) == 1 and config.model.name != "drifting":
                config.train.microbatch = 2
            if config not in found.values():
                found[file.stem] = config
    return found


TWINS = twins()


def operations(root) -> list:
    """All operations in it."""
    found: list = []

    def note(operation):
        found.append(operation)
        return ir.WalkResult.ADVANCE

    root.operation.walk(note)
    return found


def loops(module) -> int:
    """Loops with convolutions or products of matrices in them, directly or in what they call."""
    functions = {ir.StringAttr(f.attributes["sym_name"]).value: f for f in module.body.operations}

    @cache
    def heavy(name: str) -> bool:
        return reaches(functions[name])

    def reaches(root) -> bool:
        inside = operations(root)
        return any(op.name in HEAVY for op in inside) or any(
            heavy(ir.FlatSymbolRefAttr(op.attributes["callee"]).value)
            for op in inside
            if op.name == "func.call"
        )

    return sum(reaches(op) for op in operations(module) if op.name == "stablehlo.while")


def lowered(step, arguments: tuple, platform: str):
    exported = jax.export.export(step, platforms=[platform])(*arguments)
    with make_ir_context():
        return ir.Module.parse(exported.mlir_module())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in TWINS]
)
def test_steps_lower_for_every_platform(name: str) -> None:
    """With a real loop over turns and microbatches on GPU and TPU, written out on a CPU."""
    config = TWINS[name]
    recipe, key = recipes.build(config), jax.random.key(0)
    b, n = config.train.batch_size, config.data.resolution
    batch = {"image": jax.ShapeDtypeStruct((b, n, n, 3), np.uint8)}
    if config.train.get("same_batch", True):
        batch["label"] = jax.ShapeDtypeStruct((b,), np.int32)
    else:
        batch["image"] = jax.ShapeDtypeStruct((config.train.n_critic, b, n, n, 3), np.uint8)
    arguments = (jax.eval_shape(recipe.init, key), batch, key)
    step = jax.jit(recipe.step)
    loop = config.model.name != "drifting"
    assert {p: loops(lowered(step, arguments, p)) > 0 for p in ("cpu", "cuda", "tpu")} == {
        "cpu": False,
        "cuda": loop,
        "tpu": loop,
    }


def test_full_float32_can_be_asked_for() -> None:
    """JAX_DEFAULT_MATMUL_PRECISION reaches every convolution, of second derivatives too."""

    def slope(x, kernel, kernel_t):
        y = convolution.conv(x, kernel, 2, 1)
        return convolution.conv_transpose(jnp.tanh(y), kernel_t, 2, 1).sum()

    def penalty(x, *kernels):
        return (jax.grad(slope)(x, *kernels) ** 2).sum()

    def precisions() -> list[str]:
        step = jax.jit(jax.grad(lambda *a: penalty(*a), argnums=(0, 1, 2)))  # To be traced anew.
        heavy = [op for op in operations(lowered(step, arguments, "cuda")) if op.name in HEAVY]
        name = "precision_config"
        return [str(op.attributes[name]) if name in op.attributes else "" for op in heavy]

    shapes = ((2, 8, 8, 3), (4, 4, 3, 5), (4, 4, 5, 3))
    arguments = tuple(jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes)
    default = precisions()
    with jax.default_matmul_precision("float32"):
        full = precisions()
    assert len(full) == len(default) >= 8
    assert not any("HIGHEST" in p for p in default) and all(p.count("HIGHEST") == 2 for p in full)


def test_sees_loops_through_calls() -> None:
    def body(carry, _):
        return jax.jit(lambda x: jnp.tanh(x @ x))(carry), None

    x = jax.ShapeDtypeStruct((4, 4), np.float32)
    looped = jax.jit(lambda x: jax.lax.scan(body, x, None, length=3)[0])
    light = jax.jit(lambda x: jax.lax.fori_loop(0, 3, lambda i, x: x + 1, x @ x))
    assert [loops(lowered(f, (x,), "cuda")) for f in (looped, light)] == [1, 0]
