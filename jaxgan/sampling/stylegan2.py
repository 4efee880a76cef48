"""What only a StyleGAN2 can be asked for: truncation, noise, a class, a mix of two styles."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from jaxgan.types import InputError, to_uint8

NOISES = ("const", "random", "none")

Generator = Any  # jaxgan.models.stylegan2.Generator, a module of flax.
Ws = Float[Array, "b layers d"]


class Style(NamedTuple):
    """How a StyleGAN2 draws.

    Attributes:
        truncation: psi; 1 changes nothing, 0 draws the mean image.
        cutoff: layers that are truncated, counted from the coarsest; all where None.
        noise: of each pixel: "const", the network's own; "random", drawn from the seed; "none".
        label: the class, by name or number, for networks with classes; all in turn where None.

    References:
        Karras et al., A Style-Based Generator Architecture for Generative Adversarial Networks,
        2019, appendix B.
    """

    truncation: float = 1.0
    cutoff: int | None = None
    noise: str = "const"
    label: str | None = None


def check(
    name: str, generator: Generator, count: int, classes: Sequence[str], style: Style
) -> None:
    """Raise InputError for what a run's generator cannot do.

    Args:
        name: of its model.
        generator: the run's.
        count: classes that it is told; 0 where it is told none.
        classes: that it trained on.
        style: what is asked for.
    """
    asked = [flag for flag, mine in zip(FLAGS, style, strict=True) if mine != FLAGS[flag]]
    if name != "stylegan2":
        if asked and not (count and asked == ["--class"]):
            raise InputError(f"{asked[0]} needs the run of a stylegan2, got a {name}")
        labels(count, classes, style.label, [])
        return
    if not math.isfinite(style.truncation):
        raise InputError(f"--truncation must be a finite number, got {style.truncation}")
    layers = generator.num_ws
    if style.cutoff is not None and not 0 <= style.cutoff <= layers:
        raise InputError(
            f"--truncation_cutoff must be from 0 to {layers}, the layers of this network, "
            f"got {style.cutoff}"
        )
    if style.noise not in NOISES:
        raise InputError(f"--noise must be one of {', '.join(NOISES)}, got {style.noise!r}")
    labels(count, classes, style.label, [])


FLAGS = {"--truncation": 1.0, "--truncation_cutoff": None, "--noise": "const", "--class": None}


def labels(
    count: int, classes: Sequence[str], label: str | None, seeds: Sequence[int]
) -> Int[np.ndarray, " n"] | None:
    """Return the classes of some images; None for a network without.

    Args:
        count: classes of the network; 0 where it has none.
        classes: their names, if these are known.
        label: one class for all, by its name or number; None takes the classes in turn, each
            seed's being what is left of it by their number.
        seeds: of the images.

    Raises:
        InputError: a class without conditioning, or an unknown one.
    """
    if not count:
        if label is not None:
            raise InputError(f"--class needs a network with classes, got {label!r} for one without")
        return None
    if label is None:
        return (np.array(seeds, np.int64) % count).astype(np.int32)
    names = [str(name) for name in classes or ()]
    names = names if len(names) == count else []
    known = ", ".join(names) or f"0 to {count - 1}"
    if label in names:
        number = names.index(label)
    elif label.isdecimal() and int(label) < count:
        number = int(label)
    else:
        raise InputError(f"--class must be one of this network's, {known}, got {label!r}")
    return np.full(len(seeds), number, np.int32)


@lru_cache
def make_to_ws(generator: Generator, truncation: float = 1.0, cutoff: int | None = None) -> Any:
    """Return the compiled mapping: (variables, latents [b, z], labels [b] or None) -> ws [b,
    layers, w].

    Args:
        generator: a StyleGAN2's.
        truncation: psi.
        cutoff: layers that are truncated; all where None.
    """

    @jax.jit
    def to_ws(variables: Any, latents: Float[Array, "b z"], labels: Int[Array, " b"] | None) -> Ws:
        return generator.apply(variables, latents, labels, truncation, cutoff, method="to_ws")

    return to_ws


@lru_cache
def make_synthesise(generator: Generator, noise: str) -> Any:
    """Return the compiled synthesis: (variables, ws [b, layers, w], seeds [b]) -> uint8 images.

    Args:
        generator: a StyleGAN2's.
        noise: of each pixel; "random" is drawn from the image's seed.
    """

    @jax.jit
    def synthesise(variables: Any, ws: Ws, seeds: Int[Array, " b"]) -> UInt8[Array, "b h w c"]:
        keys = jax.vmap(lambda seed: jax.random.fold_in(jax.random.key(seed), 1))(seeds)
        key = keys if noise == "random" else None
        return to_uint8(generator.apply(variables, ws, noise, key, method="synthesise"))

    return synthesise


def layer_numbers(text: str | None, count: int) -> list[int]:
    """Layers from "0-3,5"; the coarsest two of five where None.

    Raises:
        InputError: malformed, or layers that are not there.
    """
    if text is None:
        return list(range(count * 2 // 5))
    found = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < count):
            raise InputError(
                f"--layers must be numbers and ranges from 0 to {count - 1} like 0-3,5, "
                f"got {text!r}"
            )
        found += range(int(first), int(last) + 1)
    return found
