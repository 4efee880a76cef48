"""The network of FID: Inception v3 as Google published it on 2015-12-05, for looking only.

Names are those of torchvision's Inception3, whose weights it takes. What differs from torchvision's
nets: means over 3 x 3 windows leave the padding out, the last block pools by maxima, and there are
1,008 classes. Batch normalisation is folded into the convolutions, so each has a bias.

References:
    Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015, table 1.
    Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017, section 3: the FID.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgan.models.layers.conv_layer import Conv
from jaxgan.models.layers.convolution import Pair, pair
from jaxgan.models.layers.pooling import max_pool
from jaxgan.types import Images, InputError

# The port of Google's weights by the project pytorch-fid; SHA-256, as its users' code has it.
URL = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
URL += "pt_inception-2015-12-05-6726825d.pth"
CHECKSUM = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SIZE = 299  # Side of the images that it sees.
DIMENSION = 2048
CLASSES = 1008
EPSILON = 1e-3  # Of batch normalisation.


def convolved(
    x: Array, name: str, features: int, window: int | Pair = 1, stride: int = 1, pad: bool = True
) -> Array:
    """Convolution with a bias, ReLU; `pad` keeps the size where the stride is 1."""
    height, width = pair(window) if pad else (1, 1)
    padding = height // 2, width // 2
    return nn.relu(Conv(features, window, stride, padding, use_bias=True, name=name)(x))


def chain(x: Array, name: str, *layers: tuple[int, int | Pair]) -> Array:
    """Convolutions of stride 1 one after the other, `name`_1 and so on."""
    for i, (features, window) in enumerate(layers):
        x = convolved(x, f"{name}_{i + 1}", features, window)
    return x


def mean_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
    """Means of 3 x 3 windows, of what of them lies in the image."""
    for axis in (1, 2):
        size = x.shape[axis]
        edges = [(1, 1) if i == axis else (0, 0) for i in range(4)]
        padded = jnp.pad(x, edges)
        parts = [jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(3)]
        counts = np.full(size, 3.0, np.float32)
        counts[0] -= 1
        counts[-1] -= 1
        x = sum(parts[1:], parts[0]) / np.expand_dims(counts, [i for i in range(4) if i != axis])
    return x


class A(nn.Module):
    """Figure 5, at 35 x 35."""

    pool: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h w o"]:
        """x [b, h, w, i] to [b, h, w, 224 + pool]."""
        one = convolved(x, "branch1x1", 64)
        five = chain(x, "branch5x5", (48, 1), (64, 5))
        three = chain(x, "branch3x3dbl", (64, 1), (96, 3), (96, 3))
        pooled = convolved(mean_pool(x), "branch_pool", self.pool)
        return jnp.concatenate([one, five, three, pooled], axis=3)


class B(nn.Module):
    """From 35 x 35 to 17 x 17."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
        """x [b, h, w, i] to [b, h / 2, w / 2, 480 + i], rounded down."""
        one = convolved(x, "branch3x3", 384, 3, 2, pad=False)
        three = chain(x, "branch3x3dbl", (64, 1), (96, 3))
        three = convolved(three, "branch3x3dbl_3", 96, 3, 2, pad=False)
        return jnp.concatenate([one, three, max_pool(x, 3, 2)], axis=3)


class C(nn.Module):
    """Figure 6, at 17 x 17; the windows are 7 wide or high."""

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h w 768"]:
        """x [b, h, w, i] to [b, h, w, 768]."""
        n, row, column = self.width, (1, 7), (7, 1)
        one = convolved(x, "branch1x1", 192)
        seven = chain(x, "branch7x7", (n, 1), (n, row), (192, column))
        double = chain(
            x, "branch7x7dbl", (n, 1), (n, column), (n, row), (n, column), (192, row)
        )  # fmt: skip
        pooled = convolved(mean_pool(x), "branch_pool", 192)
        return jnp.concatenate([one, seven, double, pooled], axis=3)


class D(nn.Module):
    """From 17 x 17 to 8 x 8."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h2 w2 o"]:
        """x [b, h, w, i] to [b, h / 2, w / 2, 512 + i], rounded down."""
        three = convolved(x, "branch3x3_1", 192)
        three = convolved(three, "branch3x3_2", 320, 3, 2, pad=False)
        seven = chain(x, "branch7x7x3", (192, 1), (192, (1, 7)), (192, (7, 1)))
        seven = convolved(seven, "branch7x7x3_4", 192, 3, 2, pad=False)
        return jnp.concatenate([three, seven, max_pool(x, 3, 2)], axis=3)


class E(nn.Module):
    """Figure 7, at 8 x 8; the pooled branch has means or maxima."""

    maxima: bool

    @nn.compact
    def __call__(self, x: Float[Array, "b h w i"]) -> Float[Array, "b h w 2048"]:
        """x [b, h, w, i] to [b, h, w, 2048]."""
        one = convolved(x, "branch1x1", 320)
        three = convolved(x, "branch3x3_1", 384)
        double = chain(x, "branch3x3dbl", (448, 1), (384, 3))
        parts = [one]
        for y, name in ((three, "branch3x3_2"), (double, "branch3x3dbl_3")):
            parts += [convolved(y, f"{name}a", 384, (1, 3)), convolved(y, f"{name}b", 384, (3, 1))]
        pooled = max_pool(x, 3, 1, 1) if self.maxima else mean_pool(x)
        return jnp.concatenate([*parts, convolved(pooled, "branch_pool", 192)], axis=3)


class InceptionV3(nn.Module):
    """Images to features and logits."""

    @nn.compact
    def __call__(self, images: Images) -> tuple[Float[Array, "b 2048"], Float[Array, "b 1008"]]:
        """The means of the last block, and the classes' logits, float32.

        Four levels of features, finest first, are sown into the collection "levels".

        Args:
            images: [b, 299, 299, 3] of values (x - 128) / 128 for x in [0, 255]; at least 75 px.
        """
        valid = partial(convolved, pad=False)
        x = valid(images, "Conv2d_1a_3x3", 32, 3, 2)
        x = valid(x, "Conv2d_2a_3x3", 32, 3)
        x = max_pool(convolved(x, "Conv2d_2b_3x3", 64, 3), 3, 2)
        self.sow("levels", "levels", x)
        x = valid(x, "Conv2d_3b_1x1", 80, 1)
        x = max_pool(valid(x, "Conv2d_4a_3x3", 192, 3), 3, 2)
        self.sow("levels", "levels", x)
        for letter, pool in zip("bcd", (32, 64, 64), strict=True):
            x = A(pool, name=f"Mixed_5{letter}")(x)
        x = B(name="Mixed_6a")(x)
        for letter, width in zip("bcde", (128, 160, 160, 192), strict=True):
            x = C(width, name=f"Mixed_6{letter}")(x)
        self.sow("levels", "levels", x)
        x = D(name="Mixed_7a")(x)
        x = E(False, name="Mixed_7b")(x)
        x = E(True, name="Mixed_7c")(x)
        self.sow("levels", "levels", x)
        x = x.mean((1, 2))
        return x, nn.Dense(CLASSES, name="fc")(x)


def from_torch(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the parameters of `InceptionV3` from torchvision's names and layouts.

    Args:
        tensors: of the state dict; heads for training, and counts of batches, are left out.

    Raises:
        InputError: a tensor is missing, or of another shape.
    """
    abstract = jax.eval_shape(
        InceptionV3().init, jax.random.key(0), jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), np.float32)
    )["params"]

    def get(name: str) -> np.ndarray:
        if name not in tensors:
            raise InputError(f"weights of Inception v3 must hold {name}, and it is missing")
        return np.asarray(tensors[name], np.float64)

    def of(path: tuple[str, ...], want: jax.ShapeDtypeStruct) -> np.ndarray:
        *module, leaf = path
        name = ".".join(module)
        if module == ["fc"]:
            found = get("fc.weight").T if leaf == "kernel" else get("fc.bias")
        else:
            scale = get(f"{name}.bn.weight") / np.sqrt(get(f"{name}.bn.running_var") + EPSILON)
            if leaf == "kernel":
                found = get(f"{name}.conv.weight").transpose(2, 3, 1, 0) * scale
            else:
                found = get(f"{name}.bn.bias") - scale * get(f"{name}.bn.running_mean")
        if found.shape != want.shape:
            raise InputError(
                f"weights of Inception v3 must have a {leaf} of {want.shape} in {name}, "
                f"got {found.shape}"
            )
        return found.astype(np.float32)

    return jax.tree_util.tree_map_with_path(
        lambda path, want: of(tuple(key.key for key in path), want), abstract
    )
