"""ResNet of basic blocks, as torchvision builds its resnet18.

References:
    He et al., Deep Residual Learning for Image Recognition, 2016 (table 1; section 4.2 for the
    first layer of small images).
"""

import itertools
from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxgan.models.layers.conv_layer import Conv, uniform
from jaxgan.models.layers.dropout import Dropout
from jaxgan.models.layers.imagenet import standardised
from jaxgan.models.layers.normalisation import BatchNorm
from jaxgan.models.layers.perceptron import perceptron
from jaxgan.models.layers.pooling import max_pool
from jaxgan.models.layers.shapes import check_side
from jaxgan.models.vgg import HE
from jaxgan.types import ClassLogits, Images

FEATURES = (64, 128, 256, 512)
STEMS = {
    "imagenet": (7, 2, 3),
    "strided": (3, 2, 1),
    "cifar": (3, 1, 1),
}  # Window, stride, padding.
SMALL = 96  # Pixels: from this size on a net begins as for ImageNet.


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions, and what came in is added.

    Attributes:
        features: that come out.
        stride: of the first convolution; what came in is then projected.
        conv: `Conv` with all but its features, window, stride and padding.
        norm: `BatchNorm` with all but `use_running_average`.
    """

    features: int
    stride: int
    conv: Any
    norm: Any

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"], train: bool) -> Float[Array, "b h2 w2 o"]:
        """x [b, h, w, i] to [b, h2, w2, features]."""
        norm = partial(self.norm, use_running_average=not train)
        y = self.conv(self.features, 3, self.stride, 1, name="conv1")(x)
        y = nn.relu(norm(name="bn1")(y))
        y = norm(name="bn2")(self.conv(self.features, 3, 1, 1, name="conv2")(y))
        if self.stride > 1 or x.shape[3] != self.features:
            x = self.conv(self.features, 1, self.stride, 0, name="downsample_conv")(x)
            x = norm(name="downsample_norm")(x)
        return nn.relu(x + y)


class ResNet(nn.Module):
    """Images to class logits.

    Attributes:
        num_classes: any count.
        blocks: in each of the four stages; two each make ResNet-18, one each ResNet-10.
        hidden: features of layers with a ReLU before the last one, which see the dropout's output.
        width: factor on every layer's features, for small machines.
        stem: how it begins. "imagenet": a 7 x 7 convolution, strided and pooled, to a quarter of
            the side; "strided": a 3 x 3 one, to a half; "cifar": a 3 x 3 one at full size.
        dropout: before the head.
        imagenet: normalise by ImageNet's moments, which weights trained there expect.
        dtype: of the computation; weights, statistics and logits stay float32.
        axis_name: the mapped axis over which batch statistics are averaged, if any.
    """

    num_classes: int
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    hidden: tuple[int, ...] = ()
    width: float = 1.0
    stem: str = "imagenet"
    dropout: float = 0.0
    imagenet: bool = False
    dtype: Any = jnp.float32
    axis_name: str | None = None

    def setup(self) -> None:
        wide = [max(round(n * self.width), 1) for n in FEATURES]
        conv = partial(Conv, kernel_init=HE, dtype=self.dtype)
        norm = partial(BatchNorm, axis_name=self.axis_name, dtype=self.dtype)
        self.conv1 = conv(wide[0], *STEMS[self.stem])
        self.bn1 = norm()
        self.stages = [
            BasicBlock(n, 2 if j == 0 and i > 1 else 1, conv, norm, name=f"layer{i}_{j}")
            for i, (n, count) in enumerate(zip(wide, self.blocks, strict=True), 1)
            for j in range(count)
        ]
        self.drop = Dropout(self.dropout, self.axis_name)
        sizes = [wide[-1], *self.hidden]
        self.layers = [
            nn.Dense(n, bias_init=uniform(fan_in), name=f"hidden{i}")
            for i, (fan_in, n) in enumerate(itertools.pairwise(sizes), 1)
        ]
        init = uniform(sizes[-1])
        self.fc = nn.Dense(self.num_classes, kernel_init=init, bias_init=init)

    def __call__(self, images: Images, train: bool) -> ClassLogits:
        """Classify.

        Args:
            images: [b, h, w, 3] in [-1, 1], of any size from 32 px.
            train: normalise by the batch, update `batch_stats`, and drop out (rng "dropout").

        Returns:
            Logits [b, num_classes], float32.

        Raises:
            InputError: the images are smaller than 32 px.
        """
        return self.head(self.trunk(images, train), train)

    def head(self, x: Float[Array, "b f"], train: bool) -> ClassLogits:
        """Return the logits [b, num_classes] of the trunk's features [b, f]."""
        return perceptron(self.drop(x, train), [*self.layers, self.fc])

    def trunk(self, images: Images, train: bool = False) -> Float[Array, "b f"]:
        """Return what the head sees: 512 numbers an image (times `width`), float32.

        Args:
            images: [b, h, w, 3] in [-1, 1], of any size from 32 px.
            train: as in `__call__`.

        Raises:
            InputError: the images are smaller than 32 px.
        """
        check_side(images)
        x = standardised((images + 1) / 2) if self.imagenet else images
        x = nn.relu(self.bn1(self.conv1(x), use_running_average=not train))
        if self.stem == "imagenet":
            x = max_pool(x, 3, 2, 1)
        for block in self.stages:
            x = block(x, train)
        return x.astype(jnp.float32).mean((1, 2))

    features = trunk
