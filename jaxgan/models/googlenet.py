"""GoogLeNet (Inception v1) with batch normalisation, as torchvision builds it.

References:
    Szegedy et al., Going Deeper with Convolutions, 2014 (table 1).
    Ioffe and Szegedy, Batch Normalization, 2015.
"""

import itertools
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.models.layers.conv_layer import Conv, uniform
from jaxgan.models.layers.dropout import Dropout
from jaxgan.models.layers.normalisation import BatchNorm
from jaxgan.models.layers.perceptron import perceptron
from jaxgan.models.layers.pooling import adaptive_avg_pool, max_pool
from jaxgan.models.layers.shapes import check_side
from jaxgan.types import ClassLogits, Images

# torchvision's init, a normal distribution cut off only at 200 standard deviations.
NORMAL = nn.initializers.normal(0.01)


def dense(features: int, fan_in: int, name: str | None = None) -> nn.Dense:
    """Return a layer of a head, in float32."""
    return nn.Dense(features, kernel_init=NORMAL, bias_init=uniform(fan_in), name=name)


class BasicConv(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    features: int
    window: int
    stride: int = 1
    padding: int = 0
    dtype: Any = jnp.float32
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"], train: bool) -> Float[Array, "b h2 w2 o"]:
        """x [b, h, w, i] to [b, h2, w2, features]."""
        x = Conv(
            self.features,
            self.window,
            self.stride,
            self.padding,
            kernel_init=NORMAL,
            dtype=self.dtype,
            name="conv",
        )(x)
        x = BatchNorm(
            use_running_average=not train,
            epsilon=1e-3,
            axis_name=self.axis_name,
            dtype=self.dtype,
            name="norm",
        )(x)
        return nn.relu(x)


class Inception(nn.Module):
    """Four branches side by side (figure 2b of the paper).

    The third is 5 x 5 in the paper; torchvision has 3 x 3 there by an old mistake that its
    published weights keep, and so do we.
    """

    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce5x5: int
    conv5x5: int
    pool: int
    block: Any  # BasicConv with all but its features and window.

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"], train: bool) -> Float[Array, "b h w o"]:
        """x [b, h, w, i] to the four branches' features, in their order."""
        one = self.block(self.conv1x1, 1, name="branch1")(x, train)
        three = self.block(self.reduce3x3, 1, name="branch2_0")(x, train)
        three = self.block(self.conv3x3, 3, padding=1, name="branch2_1")(three, train)
        five = self.block(self.reduce5x5, 1, name="branch3_0")(x, train)
        five = self.block(self.conv5x5, 3, padding=1, name="branch3_1")(five, train)
        pooled = max_pool(x, 3, 1, 1, ceil=True)
        pooled = self.block(self.pool, 1, name="branch4_1")(pooled, train)
        return jnp.concatenate([one, three, five, pooled], axis=3)


class AuxiliaryHead(nn.Module):
    """A classifier on the features half way, which helps the gradient on its way down."""

    num_classes: int
    channels: int
    hidden: int
    dropout: float
    block: Any
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> ClassLogits:
        """x [b, h, w, c] to logits [b, num_classes]."""
        x = adaptive_avg_pool(x.astype(jnp.float32), 4)
        x = self.block(self.channels, 1, name="conv")(x, train).reshape(len(x), -1)
        x = dense(self.hidden, x.shape[1], "fc1")(x)
        x = Dropout(self.dropout, self.axis_name)(nn.relu(x), train)
        return dense(self.num_classes, self.hidden, "fc2")(x)


class GoogLeNet(nn.Module):
    """Images to class logits.

    Attributes:
        num_classes: any count.
        aux_heads: with the two auxiliary heads, which only training uses.
        hidden: features of layers with a ReLU before the last one, which see the dropout's output.
        width: factor on every layer's features, for small machines.
        dropout: before the head.
        aux_dropout: before the last layer of each auxiliary head.
        dtype: of the computation; weights, statistics and logits stay float32.
        axis_name: the mapped axis over which batch statistics are averaged, if any.
    """

    num_classes: int
    aux_heads: bool = True
    hidden: tuple[int, ...] = ()
    width: float = 1.0
    dropout: float = 0.2
    aux_dropout: float = 0.7
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def setup(self) -> None:
        def wide(*features: int) -> list[int]:
            return [max(round(n * self.width), 1) for n in features]

        block: Any = partial(BasicConv, dtype=self.dtype, axis_name=self.axis_name)
        inception = partial(Inception, block=block)
        self.conv1 = block(*wide(64), 7, 2, 3)
        self.conv2 = block(*wide(64), 1)
        self.conv3 = block(*wide(192), 3, padding=1)
        self.inception3a = inception(*wide(64, 96, 128, 16, 32, 32))
        self.inception3b = inception(*wide(128, 128, 192, 32, 96, 64))
        self.inception4a = inception(*wide(192, 96, 208, 16, 48, 64))
        self.inception4b = inception(*wide(160, 112, 224, 24, 64, 64))
        self.inception4c = inception(*wide(128, 128, 256, 24, 64, 64))
        self.inception4d = inception(*wide(112, 144, 288, 32, 64, 64))
        self.inception4e = inception(*wide(256, 160, 320, 32, 128, 128))
        self.inception5a = inception(*wide(256, 160, 320, 32, 128, 128))
        self.inception5b = inception(*wide(384, 192, 384, 48, 128, 128))
        if self.aux_heads:
            head = partial(
                AuxiliaryHead,
                self.num_classes,
                *wide(128, 1024),
                self.aux_dropout,
                block,
                self.axis_name,
            )
            self.aux1 = head()
            self.aux2 = head()
        self.drop = Dropout(self.dropout, self.axis_name)
        sizes = [sum(wide(384, 384, 128, 128)), *self.hidden]
        self.layers = [
            dense(n, fan_in, f"hidden{i}")
            for i, (fan_in, n) in enumerate(itertools.pairwise(sizes), 1)
        ]
        self.fc = dense(self.num_classes, sizes[-1])

    def __call__(
        self, images: Images, train: bool
    ) -> ClassLogits | tuple[ClassLogits, ClassLogits, ClassLogits]:
        """Classify.

        Args:
            images: [b, h, w, c] in [-1, 1], of any size from 32 px.
            train: normalise by the batch, update `batch_stats`, and drop out (rng "dropout").

        Returns:
            Logits [b, num_classes], float32; in training with auxiliary heads (logits, aux1's,
            aux2's).

        Raises:
            InputError: the images are smaller than 32 px.
        """
        pooled, halfway = self._trunk(images, train)
        logits = self.head(pooled, train)
        # Initialised whole even where init is called without training.
        if self.aux_heads and (train or self.is_initializing()):
            heads = self.aux1(halfway[0], train), self.aux2(halfway[1], train)
            return (logits, *heads) if train else logits
        return logits

    def head(self, x: Float[Array, "b f"], train: bool) -> ClassLogits:
        """Return the logits [b, num_classes] of the trunk's features [b, f]."""
        return perceptron(self.drop(x, train), [*self.layers, self.fc])

    def trunk(self, images: Images, train: bool = False) -> Float[Array, "b f"]:
        """Return what the head sees: 1024 numbers an image (times `width`), float32.

        Args:
            images: [b, h, w, c] in [-1, 1], of any size from 32 px.
            train: as in `__call__`.

        Raises:
            InputError: the images are smaller than 32 px.
        """
        return self._trunk(images, train)[0]

    features = trunk

    def _trunk(self, images: Array, train: bool) -> tuple[Array, tuple[Array, Array]]:
        check_side(images)
        x = max_pool(self.conv1(images, train), 3, 2, ceil=True)
        x = self.conv3(self.conv2(x, train), train)
        x = max_pool(x, 3, 2, ceil=True)
        x = self.inception3b(self.inception3a(x, train), train)
        x = max_pool(x, 3, 2, ceil=True)
        x = first = self.inception4a(x, train)
        x = self.inception4c(self.inception4b(x, train), train)
        x = second = self.inception4d(x, train)
        x = self.inception4e(x, train)
        x = max_pool(x, 2, 2, ceil=True)
        x = self.inception5b(self.inception5a(x, train), train)
        return x.astype(jnp.float32).mean((1, 2)), (first, second)
