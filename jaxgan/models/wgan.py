"""The nets of WGAN-GP in DCGAN's form, at any power-of-two resolution.

References:
    Gulrajani et al., Improved Training of Wasserstein GANs, 2017.
    Radford et al., Unsupervised Representation Learning with Deep Convolutional Generative
    Adversarial Networks, 2015.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from jaxgan.models.layers.conv_layer import Conv, ConvTranspose
from jaxgan.models.layers.normalisation import BatchNorm, InstanceNorm, around_one
from jaxgan.models.layers.shapes import check_images, check_latents
from jaxgan.types import Images, InputError, Latents, Logits


def widths(resolution: int, channels: int) -> dict[int, int]:
    """Return the features at each hidden size, {4: channels, 8: channels / 2, ...} to resolution /
    2.

    Raises:
        InputError: the resolution is no power of two from 16 to 1024.
    """
    if resolution not in (16, 32, 64, 128, 256, 512, 1024):
        raise InputError(f"resolution must be a power of two from 16 to 1024, got {resolution}")
    blocks = resolution.bit_length() - 3
    return {4 << i: max(channels >> i, 1) for i in range(blocks)}


class Generator(nn.Module):
    """Latents to images: transposed convolutions that double the size and halve the width.

    Attributes:
        resolution: of the images, a power of two from 16 to 1024.
        latent_dim: size of a latent.
        channels: features at 4 x 4.
        image_channels: 3 for RGB.
        dtype: of the computation; weights, statistics and images stay float32.
        axis_name: the mapped axis over which batch statistics are averaged, if any.
        normal_init: DCGAN's weights, N(0, .02) and N(1, .02), in place of PyTorch's.
    """

    resolution: int
    latent_dim: int = 200
    channels: int = 1024
    image_channels: int = 3
    dtype: Any = jnp.float32
    axis_name: str | None = None
    normal_init: bool = False

    @nn.compact
    def __call__(self, latents: Latents, train: bool) -> Images:
        """Draw images [b, resolution, resolution, image_channels] in [-1, 1], float32.

        `latents` are standard normal; training normalises by the batch, not by the running
        averages, and updates these. Other sizes than the generator's are an InputError.
        """
        sizes = widths(self.resolution, self.channels)
        kernel_init, scale_init = _inits(self.normal_init)
        check_latents(latents, self.latent_dim)
        x = latents[:, None, None]
        for size, features in sizes.items():
            stride, padding = (1, 0) if size == 4 else (2, 1)
            x = ConvTranspose(
                features, 4, stride, padding, self.dtype, kernel_init, name=f"conv{size}"
            )(x)
            x = BatchNorm(
                use_running_average=not train,
                axis_name=self.axis_name,
                dtype=self.dtype,
                scale_init=scale_init,
                name=f"norm{size}",
            )(x)
            x = nn.relu(x)
        name = f"conv{self.resolution}"
        x = ConvTranspose(self.image_channels, 4, 2, 1, self.dtype, kernel_init, name=name)(x)
        return jnp.tanh(x.astype(jnp.float32))


class Critic(nn.Module):
    """Images to scores: the generator's mirror, with instance normalisation.

    Its normalisation sees one image at a time, so that the gradient penalty, which holds for
    each image alone, stays valid (section 4 of the WGAN-GP paper).

    Attributes:
        resolution: of the images, a power of two from 16 to 1024.
        channels: features at 4 x 4.
        dtype: of the computation; weights and scores stay float32.
        normal_init: as the generator's.
    """

    resolution: int
    channels: int = 1024
    dtype: Any = jnp.float32
    normal_init: bool = False

    @nn.compact
    def __call__(self, images: Images, train: bool) -> Logits:
        """Scores.

        Args:
            images: [b, resolution, resolution, c] in [-1, 1].
            train: without effect here, part of every model's signature.

        Returns:
            Scores [b], float32, unbounded: higher is more real.

        Raises:
            InputError: the resolution is no power of two from 16 to 1024, or not the images'.
        """
        sizes = widths(self.resolution, self.channels)
        check_images(images, self.resolution)
        kernel_init, scale_init = _inits(self.normal_init)
        conv = partial(Conv, window=4, kernel_init=kernel_init, dtype=self.dtype)
        x = images
        for size, features in reversed(sizes.items()):
            x = conv(features, stride=2, padding=1, name=f"conv{size}")(x)
            x = InstanceNorm(dtype=self.dtype, scale_init=scale_init, name=f"norm{size}")(x)
            x = nn.leaky_relu(x, 0.2)
        x = conv(1, name="conv1")(x)
        return x[:, 0, 0, 0].astype(jnp.float32)


def _inits(normal: bool) -> tuple[nn.initializers.Initializer | None, nn.initializers.Initializer]:
    """Of the convolutions' kernels (None: PyTorch's) and of the normalisations' scales."""
    return (nn.initializers.normal(0.02), around_one) if normal else (None, nn.initializers.ones)
