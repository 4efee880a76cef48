"""What drifts: vectors that a frozen network makes of an image, by place and of the whole image.

References:
    Deng et al., Generative Modeling via Drifting, 2026, appendix A.5.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.models.backbones import Backbone, Level
from jaxgan.types import Images

Sets = list[Float[Array, "b places _"]]

CELLS = 4  # Places along a side of a level, and
FINE_CELLS = 8  # of the finest level at full size, whose vectors tell of texture.


def make_feature_sets(backbone: Backbone, size: int) -> Callable[[Images], Sets]:
    """Return the function from images in [-1, 1] to sets of vectors.

    Of each level of the network's view of a copy of `size` px: means over 4 x 4 places, the mean
    and the standard deviation over all; and the same, over 8 x 8 places, of its finest level's view
    of the images as they are, without which a checkerboard would go unseen.

    Args:
        backbone: from `backbones.make`.
        size: side in px of the copy.
    """

    def sets(images: Images) -> Sets:
        side = images.shape[1]
        copy = images
        if side != size:
            shape = (len(images), size, size, 3)
            copy = jax.image.resize(images, shape, "linear", antialias=True)
        levels = backbone(copy)
        found = [_places(level, CELLS) for level in levels]
        fine = levels[0] if side == size else backbone(images)[0]  # Further ones are not computed.
        for level in levels if side == size else [*levels, fine]:
            mean = level.mean(axis=(1, 2), keepdims=True)
            variance = ((level - mean) ** 2).mean(axis=(1, 2))
            found += [mean[:, 0], jnp.sqrt(variance + 1e-6)[:, None]]
        return [*found, _places(fine, FINE_CELLS)]

    return sets


def _places(level: Level, count: int) -> Float[Array, "b places c"]:
    """Return means over `count` x `count` parts, or fewer where the level has fewer positions."""
    b, h, w, c = level.shape
    count = next(n for n in range(min(count, h), 0, -1) if h % n == 0 and w % n == 0)
    parts = level.reshape(b, count, h // count, count, w // count, c)
    return parts.mean(axis=(2, 4)).reshape(b, count * count, c)
