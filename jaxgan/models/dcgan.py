"""DCGAN's nets, with the choices that its descendants made: SELU, spectral norm, dropout.

References:
    Radford et al., Unsupervised Representation Learning with Deep Convolutional Generative
    Adversarial Networks, 2015.
    Klambauer et al., Self-Normalizing Neural Networks, 2017.
"""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.models.layers.conv_layer import Conv, ConvTranspose
from jaxgan.models.layers.dropout import Dropout
from jaxgan.models.layers.normalisation import batch_norm
from jaxgan.models.layers.shapes import check_images, check_latents
from jaxgan.models.wgan import widths
from jaxgan.types import Images, Latents, Logits


class Generator(nn.Module):
    """Latents to images: transposed convolutions that double the size and halve the width.

    No convolution has a bias. Weights are N(0, .02), those of normalisation N(1, .02); with SELU
    they are LeCun's, N(0, 1 / inputs), which keeps activations at unit variance.

    Attributes:
        resolution: of the images, a power of two from 16 to 1024.
        latent_dim: size of a latent.
        channels: features at 4 x 4, the paper's width h times resolution / 8.
        image_channels: 3 for RGB.
        selu: SELU, and no batch normalisation, in place of batch normalisation and ReLU.
        slope: of ReLU below zero; above 0 it is a LeakyReLU.
        dropout: the share of features that training sets to 0 after each activation.
        dtype: of the computation; weights, statistics and images stay float32.
        axis_name: the mapped axis over which batch statistics are averaged, if any.
    """

    resolution: int
    latent_dim: int = 100
    channels: int = 512
    image_channels: int = 3
    selu: bool = False
    slope: float = 0.0
    dropout: float = 0.0
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, latents: Latents, train: bool) -> Images:
        """Draw images [b, resolution, resolution, image_channels] in [-1, 1], float32.

        `latents` are standard normal; training normalises by the batch, updates `batch_stats` and
        drops features. Other sizes than the generator's are an InputError.
        """
        sizes = widths(self.resolution, self.channels)
        check_latents(latents, self.latent_dim)
        x = latents[:, None, None]
        for size, features in sizes.items():
            stride, padding = (1, 0) if size == 4 else (2, 1)
            # Of the 16 taps of a kernel each position meets one at the first layer, then 4.
            init = _kernel_init(self.selu, (1 if size == 4 else 4) * x.shape[3])
            x = ConvTranspose(features, 4, stride, padding, self.dtype, init, name=f"conv{size}")(x)
            if self.selu:
                x = nn.selu(x)
            else:
                x = batch_norm(train, self.dtype, self.axis_name, name=f"norm{size}")(x)
                x = nn.leaky_relu(x, self.slope)
            x = Dropout(self.dropout, self.axis_name)(x, train)
        init = _kernel_init(self.selu, 4 * x.shape[3])
        name = f"conv{self.resolution}"
        x = ConvTranspose(self.image_channels, 4, 2, 1, self.dtype, init, name=name)(x)
        return jnp.tanh(x.astype(jnp.float32))


class Discriminator(nn.Module):
    """Images to logits: the generator's mirror. The first block is never normalised.

    Attributes:
        resolution: of the images, a power of two from 16 to 1024.
        channels: features at 4 x 4.
        selu: SELU, and no batch normalisation, in place of batch normalisation and LeakyReLU .2.
        norm: batch normalisation; without it each logit depends on its own image alone, which
            gradient penalties ask for.
        spectral_norm: of every convolution (Miyato et al., 2018).
        dropout: of whole channels after each block, the first rate after the first; the blocks
            that are left have the last one.
        dtype: of the computation; weights, statistics and logits stay float32.
        axis_name: the mapped axis over which batch statistics are averaged, if any.
    """

    resolution: int
    channels: int = 512
    selu: bool = False
    norm: bool = True
    spectral_norm: bool = False
    dropout: tuple[float, ...] = ()
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: Images, train: bool) -> Logits:
        """Judge.

        Args:
            images: [b, resolution, resolution, c] in [-1, 1].
            train: normalise by the batch, update `batch_stats`, and drop channels.

        Returns:
            Logits [b], float32: higher is more real.

        Raises:
            InputError: the resolution is no power of two from 16 to 1024, or not the images'.
        """
        sizes = widths(self.resolution, self.channels)
        check_images(images, self.resolution)

        def conv(x: Float[Array, "b h w c"], features: int, stride: int, name: str) -> Array:
            init = _kernel_init(self.selu, 16 * x.shape[3])
            return Conv(
                features,
                4,
                stride,
                stride - 1,
                kernel_init=init,
                dtype=self.dtype,
                spectral_norm=self.spectral_norm,
                name=name,
            )(x, train)

        x = images
        for i, (size, features) in enumerate(reversed(sizes.items())):
            x = conv(x, features, 2, f"conv{size}")
            if self.selu:
                x = nn.selu(x)
            else:
                if self.norm and i > 0:
                    x = batch_norm(train, self.dtype, self.axis_name, name=f"norm{size}")(x)
                x = nn.leaky_relu(x, 0.2)
            if self.dropout:
                rate = self.dropout[min(i, len(self.dropout) - 1)]
                x = Dropout(rate, self.axis_name, channels=True)(x, train)
        return conv(x, 1, 1, "conv1")[:, 0, 0, 0].astype(jnp.float32)


def _kernel_init(selu: bool, inputs: int) -> nn.initializers.Initializer:
    return nn.initializers.normal(1 / math.sqrt(inputs) if selu else 0.02)
