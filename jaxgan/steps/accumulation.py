"""Loops inside a compiled step, and means over parts of a batch and over devices.

Loops are real ones on GPU and TPU, written out on a CPU, where XLA's convolutions are 16 times
slower inside a loop. Which of the two it is is settled when the step is lowered for a platform, not
when it is traced.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

Carry = TypeVar("Carry")
Gradient = Callable[..., Any]  # Of a part of a batch: what `accumulate` averages.


def repeat(turn: Callable[[Carry, Any], tuple[Carry, Any]], carry: Carry, xs: Any) -> Any:
    """`jax.lax.scan(turn, carry, xs)`."""
    # Traced once, however often it is called; inlined, or else the sums over devices of two turns
    # would share a channel, and independent turns could get each other's.
    turn = jax.jit(turn, inline=True)

    def written_out(carry: Carry, xs: Any) -> tuple[Carry, Any]:
        ys = []
        leaves, structure = jax.tree.flatten(xs)
        for parts in zip(*leaves, strict=True):
            carry, y = turn(carry, structure.unflatten(parts))
            ys.append(y)
        return carry, jax.tree.map(lambda *values: jnp.stack(values), *ys)

    def looped(carry: Carry, xs: Any) -> tuple[Carry, Any]:
        return jax.lax.scan(turn, carry, xs)

    return jax.lax.platform_dependent(carry, xs, cpu=written_out, default=looped)


def accumulate(mean: Callable[[Any, Array], Any], examples: Any, parts: int) -> Any:
    """Return the average of mean(part, i) over `parts` equal parts of the batch, one after the
    other.

    What is a mean over examples comes out as for the whole batch: losses, their gradients. Batch
    normalisation sees one part at a time, and its updated statistics are averaged.

    Args:
        mean: of the examples of a part and its number, the same tree for each.
        examples: arrays whose leading axis counts examples.
        parts: how many; divides the number of examples on each device.
    """
    if parts == 1:
        return mean(examples, jnp.int32(0))
    # Every parts-th example: a contiguous part would lie on a few of the devices only.
    split = jax.tree.map(lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), examples)
    numbers = jnp.arange(parts)

    def add(total: Any, part: tuple[Any, Array]) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, mean(*part)), None

    first = jax.tree.map(lambda x: x[0], (split, numbers))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(mean, *first))
    total, _ = repeat(add, zeros, (split, numbers))
    return jax.tree.map(lambda x: x / parts, total)


def parts(batch: int, microbatch: int | None, axis_name: str | None) -> int:
    """Return how many microbatches a device's part of the batch makes.

    Args:
        batch: examples on this device.
        microbatch: examples at a time on all devices together; None takes all at once.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global.

    Raises:
        ValueError: the microbatch does not divide the batch.
    """
    whole = batch * (jax.lax.axis_size(axis_name) if axis_name else 1)
    if whole % (microbatch or whole):
        raise ValueError(f"microbatch must divide the batch of {whole}, got {microbatch}")
    return whole // (microbatch or whole)


def mean_of_devices(
    grads: Any, aux: Any, axis_name: str | None, all_reduce: str = "float32"
) -> tuple[Any, Any]:
    """Return the means over devices of gradients and of what came with them.

    Args:
        grads: trees of float32 arrays.
        aux: of metrics, statistics and the like.
        axis_name: the `pmap` axis over which the batch is split; None where arrays are global, and
            means already.
        all_reduce: "bf16" halves what the devices exchange: their gradients are rounded to
            bfloat16, and added so.
    """
    if axis_name is None:
        return grads, aux
    mean = partial(jax.lax.pmean, axis_name=axis_name)
    sent = (lambda g: g.astype(jnp.bfloat16)) if all_reduce == "bf16" else (lambda g: g)
    got = mean(jax.tree.map(sent, grads))
    return jax.tree.map(lambda x, g: x.astype(g.dtype), got, grads), mean(aux)
