"""How much memory a compiled step needs, and what to lower where a device has less."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import jax

from jaxgan.system import machine, screen
from jaxgan.types import InputError

GIB = 2**30


class Needs(NamedTuple):
    """What a step takes of each device, in bytes.

    Attributes:
        arguments: the state and the batch.
        temporaries: what comes and goes in a step; about proportional to the microbatch.
    """

    arguments: int
    temporaries: int

    def __str__(self) -> str:
        unit, name = (GIB, "GiB") if sum(self) >= GIB / 10 else (2**20, "MiB")
        total, *parts = (f"{x / unit:.1f}" for x in (sum(self), *self))
        return f"{total} {name} a device (arguments {parts[0]}, temporaries {parts[1]})"


class Settings(NamedTuple):
    """The settings that decide over it.

    Attributes:
        batch_size: images in a turn, on all devices.
        microbatch: images at a time, on all devices; all where None.
        remat: whether activations are computed again for the gradients.
        bf16: whether convolutions are computed in bfloat16.
        prefix: of the settings' names in the config: `gan.` or `classifier.` in an experiment's.
    """

    batch_size: int
    microbatch: int | None = None
    remat: bool = False
    bf16: bool = False
    prefix: str = ""


class OutOfMemoryError(InputError):
    """A device has less memory than the step needs."""


@contextmanager
def watch_memory(
    settings: Settings, tell: Callable[[str], None]
) -> Iterator[Callable[..., Callable]]:
    """Yield compile(step, *arguments) -> the compiled step, which tells what memory it needs.

    Args:
        settings: what the advice starts from.
        tell: takes a line about each step that is compiled.

    Raises:
        OutOfMemoryError: in place of JAX's own error, from anything inside; says what to lower.
    """
    needed = has = None

    def advise() -> str:
        platform = jax.local_devices()[0].platform
        return advice(needed, has, settings, jax.device_count(), platform)

    def compile_step(step: jax.stages.Wrapped, *arguments: Any) -> Callable:
        nonlocal needed, has
        has, begin = limit(arguments), time.perf_counter()
        leaves, structure = jax.tree.flatten(arguments)
        # An array that may go anywhere, like a key, has no place in the program.
        placed = (x.sharding if getattr(x, "committed", False) else None for x in leaves)
        forms = zip((x.shape for x in leaves), (x.dtype for x in leaves), placed, strict=True)
        with screen.stage("compiling", once=True):
            compiled = _compile(step, structure, tuple(forms))
        text = f"the step was compiled in {time.perf_counter() - begin:.1f} s"
        needed = needs(compiled)
        tell(text if needed is None else f"{text} and needs about {needed}")
        if needed is not None and has is not None and sum(needed) > has:
            text = advise()
            logging.getLogger("jaxgan").warning("this may run out of memory: %s", text)
        return compiled

    try:
        yield compile_step
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        text = advise()
        raise OutOfMemoryError(f"out of memory: {text}; what was saved stays") from error


@lru_cache(maxsize=8)  # The seeds and arms of an experiment share a step.
def _compile(step: jax.stages.Wrapped, structure: Any, forms: tuple) -> jax.stages.Compiled:
    shapes = [jax.ShapeDtypeStruct(shape, dtype, sharding=s) for shape, dtype, s in forms]
    return step.lower(*structure.unflatten(shapes)).compile()


def needs(compiled: jax.stages.Compiled) -> Needs | None:
    """Return what the compiler says; None where it does not."""
    about: Any = compiled.memory_analysis()
    if about is None:
        return None
    new = about.output_size_in_bytes - about.alias_size_in_bytes  # Donated buffers are reused.
    return Needs(about.argument_size_in_bytes, about.temp_size_in_bytes + new)


def limit(arguments: Any = ()) -> int | None:
    """Return the bytes that a program may take of one device, with `arguments`, which are there
    already.

    None where it is not known.
    """
    device = jax.local_devices()[0]
    if device.platform != "cpu":
        return (device.memory_stats() or {}).get("bytes_limit")
    free = machine.free_memory()
    if free is None:
        return None
    placed = (x for x in jax.tree.leaves(arguments) if isinstance(x, jax.Array))
    there = sum(shard.data.nbytes for x in placed for shard in x.addressable_shards)
    return (free + there) // jax.local_device_count()


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory was wanting, of the device or of the host."""
    ours = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    return ours or isinstance(error, MemoryError)


def fitting(
    needed: Needs | None, available: int | None, now: int, counts: Iterable[int]
) -> int | None:
    """Return the most images at a time, of these counts and fewer than now, that should fit.

    Args:
        needed: by the step as it is.
        available: bytes a device; a tenth of them is left for what else is there.
        now: images at a time.
        counts: those that will do.

    Returns:
        None where none fits.
    """
    for count in sorted((c for c in counts if c < now), reverse=True):
        if needed is None or available is None:
            return count
        if needed.arguments + needed.temporaries * count / now <= 0.9 * available:
            return count
    return None


def advice(
    needed: Needs | None, available: int | None, settings: Settings, devices: int, platform: str
) -> str:
    """Return what does not fit, and what to lower and to what.

    On a CPU that is the batch: XLA's program for one needs as much or more with microbatches,
    `remat` or bfloat16.
    """
    batch, prefix = settings.batch_size, settings.prefix
    at = f"{prefix}train.batch_size={batch}"
    if settings.microbatch:
        at = f"{prefix}train.microbatch={settings.microbatch}"
    has = f"the device's {available / GIB:.1f} GiB" if available else "the device's memory"
    need = f" and needs about {sum(needed) / GIB:.1f} GiB" if needed else ""
    multiples = range(devices, batch, devices)
    if platform == "cpu":
        whole = (c for c in multiples if c % (settings.microbatch or 1) == 0)
        count = fitting(needed, available, batch, whole)
        ways = [f"{prefix}train.batch_size={count}"] if count else []
    else:
        divisors = (c for c in multiples if batch % c == 0)
        count = fitting(needed, available, settings.microbatch or batch, divisors)
        ways = [f"{prefix}train.microbatch={count}"] if count else []
        ways += [] if settings.remat else [f"{prefix}train.remat=true"]
        ways += [] if settings.bf16 else [f"{prefix}precision=bf16"]
    ways = ways or [f"a lower {prefix}data.resolution", "a narrower model"]
    return f"the step at {at} must fit into {has}{need}: set {', or '.join(ways)}"
