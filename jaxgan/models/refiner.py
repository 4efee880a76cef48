"""A sample of the images' principal components, refined by a U-net."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from jaxgan.models.layers.conv_layer import Conv
from jaxgan.models.layers.gating import gated
from jaxgan.models.layers.normalisation import BatchNorm
from jaxgan.models.layers.shapes import check_latents
from jaxgan.models.layers.upsampling import enlarged
from jaxgan.models.pca import Fit
from jaxgan.types import Images, InputError, Latents

BOTTOM = 8  # The side of the U-net's smallest maps.
SLOPE = 0.1  # Beyond [-1, 1]: the gradient there is not lost.


class Generator(nn.Module):
    """Latents to images: mean + z B, a normal draw of the training images' subspace, plus U(it).

    It starts where principal components end: the last convolution begins at 0, so that the first
    image is the sample itself. The mean and the basis B are in the collection `pca`, which
    `basis` makes; nothing of it is trained or averaged.

    Attributes:
        resolution: of the images, a power of two from 32 to 256.
        latent_dim: components, at most; where there are fewer, the rest of z is not used.
        channels: features at half the resolution, doubled with each halving, to at most fourfold.
        dtype: of the convolutions; weights, statistics, components and images stay float32.
        axis_name: the mapped axis over which batch statistics are averaged, if any.
        num_classes: that have components of their own; 0: all images have the same.
    """

    resolution: int
    latent_dim: int = 128
    channels: int = 32
    dtype: Any = jnp.float32
    axis_name: str | None = None
    num_classes: int = 0

    @nn.compact
    def __call__(
        self, latents: Latents, train: bool, labels: Int[Array, " b"] | None = None
    ) -> Images:
        """Draw images [b, resolution, resolution, 3], float32, hardly beyond [-1, 1].

        `latents` are standard normal; training normalises by the batch and updates `batch_stats`.
        `labels` are the images' classes, in turn where None. Other sizes than the generator's are
        an InputError.
        """
        sizes = widths(self.resolution, self.channels)
        check_latents(latents, self.latent_dim)
        norm = partial(
            BatchNorm,
            use_running_average=not train,
            axis_name=self.axis_name,
            dtype=self.dtype,
        )

        def conv(x: Array, features: int, window: int, stride: int, name: str) -> Array:
            kind = {"kernel_init": nn.initializers.he_normal(), "dtype": self.dtype, "name": name}
            return Conv(features, window, stride, 1, use_bias=name == "down0", **kind)(x, train)

        sample = self._sample(latents, labels)
        x, skips = sample, []
        for i, (size, features) in enumerate(sizes.items()):
            x = conv(x, features, 4, 2, f"down{i}")
            x = nn.leaky_relu(norm(name=f"down{i}_norm")(x) if i else x, 0.2)
            skips.append((size, x))
        for size, skip in reversed(skips):
            x = x if size == BOTTOM else enlarged(x)
            x = conv(x, 2 * skip.shape[3], 3, 1, f"up{size}")
            x = skip + gated(norm(name=f"up{size}_norm")(x))
        x = jnp.concatenate([enlarged(x), sample.astype(x.dtype)], axis=3)
        x = gated(norm(name="last_norm")(conv(x, 2 * self.channels, 3, 1, "last")))
        zeros = nn.initializers.zeros
        x = Conv(3, 3, 1, 1, kernel_init=zeros, dtype=self.dtype, name="residual")(x, train)
        return _soft_clip(sample + x.astype(sample.dtype))

    def _sample(self, latents: Latents, labels: Int[Array, " b"] | None) -> Images:
        shape, count = (self.resolution, self.resolution, 3), self.num_classes
        each = (count,) if count else ()
        mean = self.variable("pca", "mean", jnp.zeros, (*each, *shape)).value
        rows = self.variable("pca", "basis", jnp.zeros, (*each, self.latent_dim, *shape)).value
        means = mean[None]
        if count:  # Latents in the place of their class, among zeros: no rows are gathered.
            labels = jnp.arange(latents.shape[0]) % count if labels is None else labels
            own = jax.nn.one_hot(labels, count, dtype=latents.dtype)
            latents = (own[:, :, None] * latents[:, None, :]).reshape(own.shape[0], -1)
            means = (own @ mean.reshape(count, -1)).reshape(-1, *shape)
        flat = latents @ rows.reshape(latents.shape[1], -1)
        return means + flat.reshape(-1, *shape)


def widths(resolution: int, channels: int) -> dict[int, int]:
    """Return the U-net's features at each size, {resolution / 2: channels, ..., 8: ...}.

    Raises:
        InputError: the resolution is no power of two from 32 to 256.
    """
    if resolution not in (32, 64, 128, 256):
        raise InputError(f"a refiner's resolution must be 32, 64, 128 or 256, got {resolution}")
    halvings = (resolution // BOTTOM).bit_length() - 1
    return {resolution >> (i + 1): channels << min(i, 2) for i in range(halvings)}


def basis(fit: Fit, latent_dim: int) -> dict[str, Array]:
    """Return the collection `pca` of a fit: images in [-1, 1], rows of unit latents."""
    rows = fit.components * jnp.sqrt(fit.variances)[:, None, None, None] / 127.5
    missing = latent_dim - len(rows)
    rows = jnp.pad(rows, ((0, missing), (0, 0), (0, 0), (0, 0)))
    return {"mean": jnp.asarray(fit.mean) / 127.5 - 1, "basis": rows}


def _soft_clip(x: Images) -> Images:
    inside = jnp.clip(x, -1, 1)
    return inside + SLOPE * (x - inside)
