"""FastGAN's nets: a light generator, and a critic that also learns to rebuild real images.

The generator doubles the size by gated units, and lets features of small sizes weigh the channels
of large ones (skip-layer excitation). The critic's features of real images must be such that small
decoders can rebuild the image, and a part of it, from them: it cannot overfit to a few traits.

References:
    Liu et al., Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image
    Synthesis, 2021; sections 3.1 and 3.2, figures 3 and 4.
    Sauer et al., Projected GANs Converge Faster, 2021: the lite version, in their code.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxgan import prng
from jaxgan.models.layers.conv_layer import Conv
from jaxgan.models.layers.gating import gated
from jaxgan.models.layers.normalisation import batch_norm
from jaxgan.models.layers.shapes import check_images, check_latents
from jaxgan.models.layers.spectral_norm import largest_singular_value, power_iteration
from jaxgan.models.layers.upsampling import enlarged
from jaxgan.types import Images, InputError, Latents, Scalar

RESOLUTIONS = (64, 128, 256, 512)
# Features at each size, in sixteenths of those at 4 x 4: the published ones.
SIXTEENTHS = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5, 512: 0.25}
EXCITED = {64: 4, 128: 8, 256: 16, 512: 32}  # By features of which size.
PART = 8  # Side of the features from which a part, or the whole, is rebuilt.
DECODED = (128, 64, 64, 32)  # Features of a decoder's sizes from 16 on, for 512 at 8 x 8.
LARGEST = 128  # Side of what a decoder rebuilds, at most.
INIT = nn.initializers.normal(0.02)

Feature = Float[Array, "b h w c"]
Changed = Float[Array, "b h2 w2 c2"]  # Of other sizes than what goes in.


def check_resolution(resolution: int) -> None:
    """Raise InputError for a resolution without a published generator."""
    if resolution not in RESOLUTIONS:
        raise InputError(
            f"fastgan must have a resolution of its published generator, one of "
            f"{', '.join(map(str, RESOLUTIONS))}, got {resolution}"
        )


def widths(resolution: int, channels: int) -> dict[int, int]:
    """Return the generator's features at each size up to `resolution`.

    Raises:
        InputError: a resolution without a published generator.
    """
    check_resolution(resolution)
    return {
        size: max(1, int(share * channels / 16))
        for size, share in SIXTEENTHS.items()
        if size <= resolution
    }


def shrunk(x: Feature, side: int) -> Changed:
    """Means over equal squares; as it is where it is no larger."""
    b, h, w, c = x.shape
    if h <= side:
        return x
    return x.reshape(b, side, h // side, side, w // side, c).mean(axis=(2, 4))


def quarter(x: Feature, part: Int[Array, " b"]) -> Changed:
    """Return one of each example's four quarters, in reading order."""
    b, h, w, c = x.shape
    parts = x.reshape(b, 2, h // 2, 2, w // 2, c).swapaxes(2, 3).reshape(b, 4, h // 2, w // 2, c)
    return jnp.take_along_axis(parts, part[:, None, None, None, None], axis=1)[:, 0]


class Start(nn.Module):
    """Latents to gated features at 4 x 4."""

    features: int
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, latents: Latents, train: bool) -> Changed:
        shape = (latents.shape[1], 4, 4, 2 * self.features)
        kernel = self.param("kernel", INIT, shape)
        first = lambda: power_iteration(kernel, self.make_rng("params"))  # noqa: E731
        u = self.variable("batch_stats", "u", first)
        moved, sigma = largest_singular_value(kernel, u.value)
        if train and not self.is_initializing():
            u.value = moved
        kernel = (kernel / sigma).astype(self.dtype)
        x = jnp.einsum("bz,zhwc->bhwc", latents.astype(self.dtype), kernel)
        return gated(batch_norm(train, self.dtype, self.axis_name, name="norm")(x))


class Up(nn.Module):
    """Twice the size, by one gated convolution, or two with noise.

    Attributes:
        features: that come out.
        noisy: whether there are two, each with noise per pixel, weighed by a learned number.
    """

    features: int
    noisy: bool = False
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Feature, train: bool) -> Changed:
        x = enlarged(x)
        for i in range(1 + self.noisy):
            x = _conv(2 * self.features, 3, 1, 1, self.dtype, name=f"conv{i}")(x, train)
            if self.noisy:
                weight = self.param(f"noise{i}", nn.initializers.zeros, ())
                if train:
                    key = self.make_rng("dropout")
                    added = prng.normal(key, (*x.shape[:3], 1), self.axis_name)
                    x = x + (weight * added).astype(x.dtype)
            x = gated(batch_norm(train, self.dtype, self.axis_name, name=f"norm{i}")(x))
        return x


class Excitation(nn.Module):
    """Weighs the channels of large features by what small ones say (eq. 2)."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, small: Feature, large: Changed, train: bool) -> Changed:
        features = large.shape[3]
        x = _conv(features, 4, 1, 0, self.dtype, name="conv0")(shrunk(small, 4), train)
        x = _conv(features, 1, 1, 0, self.dtype, name="conv1")(nn.leaky_relu(x, 0.1), train)
        return large * nn.sigmoid(x)


class Generator(nn.Module):
    """Latents to images.

    All convolutions are spectrally normalised and have no bias but the last one's. Evaluation mode
    leaves the noise out, so that a latent has one image.

    Attributes:
        resolution: of the images, one of RESOLUTIONS.
        latent_dim: size of a latent.
        channels: features at 4 x 4; the published ones are 1024.
        lite: one convolution at each size, no noise.
        dtype: of the computation; weights, statistics and images stay float32.
        axis_name: the mapped axis over which batch statistics are averaged, if any.
    """

    resolution: int
    latent_dim: int = 256
    channels: int = 1024
    lite: bool = False
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, latents: Latents, train: bool) -> Images:
        """Draw images [b, resolution, resolution, 3] in [-1, 1], float32.

        Args:
            latents: [b, latent_dim], standard normal.
            train: normalise by the batch, update `batch_stats`, and add noise.

        Raises:
            InputError: a resolution without a published generator, or latents of another size.
        """
        sizes = widths(self.resolution, self.channels)
        check_latents(latents, self.latent_dim)
        how = {"dtype": self.dtype, "axis_name": self.axis_name}
        at = {4: Start(sizes[4], **how, name="start")(latents, train)}
        for i, (size, features) in enumerate([*sizes.items()][1:]):
            noisy = not self.lite and i % 2 == 0
            x = Up(features, noisy, **how, name=f"up{size}")(at[size // 2], train)
            if size in EXCITED:
                x = Excitation(self.dtype, name=f"excite{size}")(at[EXCITED[size]], x, train)
            at[size] = x
        x = _conv(3, 3, 1, 1, self.dtype, use_bias=True, name="rgb")(at[self.resolution], train)
        return jnp.tanh(x.astype(jnp.float32))


class Down(nn.Module):
    """Half the size: the mean of two convolutions and of one on averaged squares."""

    features: int
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Feature, train: bool) -> Changed:
        def layer(x: Feature, window: int, stride: int, padding: int, name: str) -> Changed:
            x = _conv(self.features, window, stride, padding, self.dtype, name=name)(x, train)
            x = batch_norm(train, self.dtype, self.axis_name, name=f"{name}_norm")(x)
            return nn.leaky_relu(x, 0.2)

        straight = layer(layer(x, 4, 2, 1, "conv0"), 3, 1, 1, "conv1")
        return (straight + layer(shrunk(x, x.shape[1] // 2), 1, 1, 0, "skip")) / 2


class Decoder(nn.Module):
    """Features at 8 x 8 to an image of `size` px."""

    size: int
    features: tuple[int, ...]
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Feature, train: bool) -> Changed:
        for i, features in enumerate(self.features):
            x = Up(features, False, self.dtype, self.axis_name, name=f"up{i}")(x, train)
        x = _conv(3, 3, 1, 1, self.dtype, name="rgb")(x, train)
        return jnp.tanh(x.astype(jnp.float32))


class Critic(nn.Module):
    """Images to logits of overlapping parts, 5 x 5 of them.

    Attributes:
        resolution: of the images, one of RESOLUTIONS.
        channels: features at 8 x 8; the published ones are 512.
        rebuild: return (logits, loss), too: how far the decoders' images of the whole and of a
            random quarter are from the images, as a mean of absolute differences (eq. 4; the
            published code takes LPIPS, which would put VGG16 into the critic).
        dtype: of the computation; weights, statistics and logits stay float32.
        axis_name: the mapped axis over which batch statistics are averaged, if any.
    """

    resolution: int
    channels: int = 512
    rebuild: bool = False
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, images: Images, train: bool
    ) -> Float[Array, "b 25"] | tuple[Float[Array, "b 25"], Scalar]:
        """Judge images [b, resolution, resolution, 3] in [-1, 1]: higher is more real.

        Args:
            images: that are judged.
            train: normalise by the batch and update `batch_stats`.

        Raises:
            InputError: a resolution without a published generator, or not the images'.
        """
        check_resolution(self.resolution)
        check_images(images, self.resolution)
        how = {"dtype": self.dtype, "axis_name": self.axis_name}
        side = min(self.resolution, 256)
        window, stride = (4, 2) if self.resolution > side else (3, 1)
        first = _conv(self._width(side), window, stride, 1, self.dtype, name="start")
        x = nn.leaky_relu(first(images, train), 0.2)
        at = {side: x}
        while side > PART:
            side //= 2
            at[side] = x = Down(self._width(side), **how, name=f"down{side}")(x, train)
        x = _conv(self._width(16), 1, 1, 0, self.dtype, name="mix")(x, train)
        x = nn.leaky_relu(batch_norm(train, self.dtype, self.axis_name, name="norm")(x), 0.2)
        logits = _conv(1, 4, 1, 0, self.dtype, name="logits")(x, train)
        logits = logits.reshape(len(images), -1).astype(jnp.float32)
        if not self.rebuild:
            return logits
        return logits, self._rebuilt(images, at, train)

    def _width(self, side: int) -> int:
        return max(1, self.channels * PART // side)

    def _rebuilt(self, images: Images, at: dict[int, Array], train: bool) -> Scalar:
        """Return how far what the decoders make of features is from the images (eq. 4)."""

        def distance(features: Array, target: Array, name: str) -> Scalar:
            size = min(target.shape[1], LARGEST)
            count = (size // PART).bit_length() - 1
            sizes = tuple(max(1, n * self.channels // 512) for n in DECODED[:count])
            decoder = Decoder(size, sizes, self.dtype, self.axis_name, name=name)
            return jnp.abs(decoder(features, train) - shrunk(target, size)).mean()

        if self.is_initializing():
            part = jnp.zeros(len(images), jnp.int32)
        else:
            u = prng.uniform(self.make_rng("dropout"), (len(images),), self.axis_name)
            part = jnp.minimum(jnp.floor(4 * u).astype(jnp.int32), 3)
        whole = distance(at[PART], images, "whole")
        return whole + distance(quarter(at[2 * PART], part), quarter(images, part), "part")


def _conv(
    features: int, window: int, stride: int, padding: int, dtype: Any, name: str, **more: Any
) -> nn.Module:
    return Conv(
        features,
        window,
        stride,
        padding,
        kernel_init=INIT,
        dtype=dtype,
        spectral_norm=True,
        name=name,
        **more,
    )
