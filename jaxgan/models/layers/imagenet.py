"""Images as the networks of ImageNet take them."""

import jax.numpy as jnp
from jaxtyping import Array, Float

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # Of the channels, in [0, 1].


def standardised(images: Float[Array, "b h w 3"]) -> Float[Array, "b h w 3"]:
    """Return images in [0, 1] with ImageNet's mean at 0 and its deviation at 1."""
    mean, std = (jnp.array(values, images.dtype)[None, None, None] for values in (MEAN, STD))
    return (images - mean) / std
