"""VGG16 without batch normalisation, as torchvision builds it.

References:
    Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition,
    2015 (table 1, column D).
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.models.layers.conv_layer import Conv
from jaxgan.models.layers.dropout import Dropout
from jaxgan.models.layers.imagenet import standardised
from jaxgan.models.layers.pooling import adaptive_avg_pool, max_pool
from jaxgan.models.layers.shapes import check_side
from jaxgan.types import ClassLogits, Images

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

# He et al., Delving Deep into Rectifiers, 2015, eq. 14, by the fan out, as torchvision has it.
HE = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class VGG16(nn.Module):
    """Images to class logits.

    Attributes:
        num_classes: any count.
        hidden: features of the head's hidden layers.
        grid: the head sees grid x grid means of the last block's features; 7 is the published
            one. With 1, for small images, it sees the mean over the whole image.
        width: factor on every layer's features, for small machines.
        dropout: after each hidden layer.
        imagenet: normalise by ImageNet's moments, which weights trained there expect.
        dtype: of the convolutions; weights, the head and logits stay float32.
        axis_name: the mapped axis over which the batch is split, if any.
    """

    num_classes: int
    hidden: tuple[int, ...] = (4096, 4096)
    grid: int = 7
    width: float = 1.0
    dropout: float = 0.5
    imagenet: bool = False
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def setup(self) -> None:
        def wide(features: int) -> int:
            return max(round(features * self.width), 1)

        conv = partial(
            Conv,
            window=3,
            padding=1,
            use_bias=True,
            kernel_init=HE,
            bias_init=nn.initializers.zeros,
            dtype=self.dtype,
        )
        self.convs = [
            [conv(wide(n), name=f"conv{b}_{i}") for i, n in enumerate(block, 1)]
            for b, block in enumerate(BLOCKS, 1)
        ]
        normal = nn.initializers.normal(0.01)
        sizes = [*map(wide, self.hidden), self.num_classes]
        self.layers = [
            nn.Dense(n, kernel_init=normal, name=f"fc{i + 1}") for i, n in enumerate(sizes)
        ]
        self.drop = Dropout(self.dropout, self.axis_name)

    def __call__(self, images: Images, train: bool) -> ClassLogits:
        """Classify.

        Args:
            images: [b, h, w, 3] in [-1, 1], of any size from 32 px.
            train: drop out (rng "dropout").

        Returns:
            Logits [b, num_classes], float32.

        Raises:
            InputError: the images are smaller than 32 px.
        """
        return self.head(self.trunk(images, train), train)

    def trunk(self, images: Images, train: bool = False) -> Float[Array, "b f"]:
        """Return what the head sees: grid x grid x 512 numbers an image (times
        `width`), float32.
        """
        x = self._convolved(images)
        x = adaptive_avg_pool(x, self.grid) if self.grid > 1 else x.mean((1, 2))
        return x.reshape(len(x), -1)

    def head(self, x: Float[Array, "b f"], train: bool) -> ClassLogits:
        """Return the trunk's features [b, f] to logits [b, num_classes]."""
        for layer in self.layers[:-1]:
            x = self.drop(nn.relu(layer(x)), train)
        return self.layers[-1](x)

    def features(self, images: Images, train: bool = False) -> Float[Array, "b f"]:
        """Return the last block's 512 features (times `width`), averaged over the
        image, float32.
        """
        return self._convolved(images).mean((1, 2))

    def _convolved(self, images: Images) -> Float[Array, "b h2 w2 f"]:
        check_side(images)
        x = standardised((images + 1) / 2) if self.imagenet else images
        for block in self.convs:
            for conv in block:
                x = nn.relu(conv(x))
            x = max_pool(x, 2, 2)
        return x.astype(jnp.float32)
