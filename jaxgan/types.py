"""The shapes and small types that everything else speaks in.

Shape letters: `b` batch, `h` height, `w` width, `c` channels, `z` latent size, `k` classes.
Images are NHWC: uint8 in [0, 255] outside a model, float32 in [-1, 1] inside it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt8

from jaxgan.errors import InputError as InputError

Images = Float[Array, "b h w c"]
Latents = Float[Array, "b z"]
Logits = Float[Array, " b"]  # A critic's or discriminator's: one number an image.
ClassLogits = Float[Array, "b k"]
Scalar = Float[Array, ""]
PRNGKey = Key[Array, ""]
Keys = PRNGKey | Key[Array, " b"]  # A batch's key, or its examples' own: see prng.py.

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
Critic = Callable[[Images], Logits]  # Closed over its weights.
Penalty = Callable[[Critic, Images, Images, Keys], Scalar]  # (critic, real, fake, key)
Augment = Callable[[Images, Scalar, Keys], Images]  # (images, p, key)
State = Any
Step = Callable[[State, Batch, PRNGKey], tuple[State, Metrics]]


class Prelude(NamedTuple):
    """What comes before some of the steps: `count(step)` updates of `step`, each on its own batch.

    `count` gets the steps done so far. It is for WGAN's extra critic updates.
    """

    step: Step
    count: Callable[[int], int]


class Recipe(NamedTuple):
    """A way to train something, as pure functions (the shape of optax's transformations).

    Where a step has parts that are not always due, `turns(step)` are those of the step after so
    many, one after the other on its batch and with its key: each is compiled apart, once. They are
    not chosen within one program, since what XLA's conditionals hold is 30 times slower on a CPU.
    `step` is then all of them.
    """

    init: Callable[[PRNGKey], State]  # Weights, optimisers, averages.
    step: Step
    prelude: Prelude | None = None
    turns: Callable[[int], Sequence[Step]] | None = None

    @property
    def abstract(self) -> State:
        """Return the shapes and types of its state."""
        return jax.eval_shape(self.init, jax.random.key(0))


def to_float(images: UInt8[Array, "*b h w c"]) -> Float[Array, "*b h w c"]:
    """uint8 in [0, 255] to float32 in [-1, 1]."""
    return images.astype(jnp.float32) / 127.5 - 1


def standardise(
    images: Images, mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[Array, "b h w c"]:
    """Return images in [-1, 1] to mean 0 and deviation 1 per channel of their set.

    It is what a critic sees, of real and drawn images alike. The generator stays within [-1, 1],
    all of which tanh reaches: nothing lies outside, and a sample is drawn as ever. Instance noise
    and augmentations come after it, in units of the set's deviation.

    Args:
        images: real or drawn ones.
        mean: of each channel, of values in [0, 1].
        std: of each channel, likewise.
    """
    middle, scale = (jnp.array(x, images.dtype)[None, None, None] for x in (mean, std))
    return ((images + 1) / 2 - middle) / scale


def to_uint8(images: Float[Array, "*b h w c"]) -> UInt8[Array, "*b h w c"]:
    """float32 in [-1, 1] to uint8 in [0, 255], rounded; values outside are clipped."""
    return jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8)
