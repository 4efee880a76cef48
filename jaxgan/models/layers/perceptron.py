"""The head of a classifier: layers with ReLU between them."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float


def perceptron(
    x: Float[Array, "b f"], layers: Sequence[Callable[[Any], Any]]
) -> Float[Array, "b k"]:
    """Return what the last of the layers makes of x [b, f]."""
    for layer in layers[:-1]:
        x = nn.relu(layer(x))
    return layers[-1](x)
