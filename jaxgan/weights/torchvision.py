"""torchvision's names and layouts of weights, and ours.

Its published GoogLeNet wants images normalised by ImageNet's moments and turns them back to
[-1, 1] first (`transform_input`); that is what our models get anyway. Its VGG16 and ResNet-18 want
ImageNet's moments: our `imagenet=True`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgan.models.vgg import BLOCKS
from jaxgan.recipes.classifier import HEADS
from jaxgan.types import InputError

LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}


RESNET = {"downsample_conv": "downsample.0", "downsample_norm": "downsample.1"}


class Published(NamedTuple):
    """A network's weights on torchvision's site.

    Attributes:
        url: of a state dict.
        checksum: its SHA-256; the file's name ends in its first digits.
    """

    url: str
    checksum: str


SITE = "https://download.pytorch.org/models/"
PUBLISHED = {
    "googlenet": Published(
        SITE + "googlenet-1378be20.pth",
        "1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef",
    ),
    "vgg16": Published(
        SITE + "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "resnet": Published(
        SITE + "resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    ),
}


def theirs(name: str, path: tuple[str, ...]) -> str:
    """torchvision's name of one of our arrays; "" where it has none.

    Args:
        name: "googlenet", "resnet" or "vgg16".
        path: of the array in our tree, without its collection: ("conv1", "norm", "scale").
    """
    *layers, leaf = path
    if name == "vgg16":
        convolutions = _vgg_convolutions()
        if layers[0] not in convolutions and layers[0] not in ("fc1", "fc2", "fc3"):
            return ""
        module = convolutions.get(layers[0], f"classifier.{(int(layers[0][-1]) - 1) * 3}")
        return f"{module}.{LEAVES[leaf]}"
    if layers[0].startswith("hidden"):
        return ""
    if layers[0].startswith("inception"):  # Our branch2_0/conv is branch2.0.conv.
        layers[1] = layers[1].replace("_", ".")
    if name == "resnet":  # Our layer1_0/downsample_norm is layer1.0.downsample.1.
        layers = [RESNET.get(layer, layer.replace("_", ".")) for layer in layers]
    modules = ["bn" if layer == "norm" else layer for layer in layers]
    return ".".join([*modules, LEAVES[leaf]])


def _vgg_convolutions() -> dict[str, str]:
    found, index = {}, 0
    for b, block in enumerate(BLOCKS, 1):
        for i in range(1, len(block) + 1):
            found[f"conv{b}_{i}"] = f"features.{index}"
            index += 2  # A ReLU follows.
        index += 1  # Pooling follows.
    return found


def to_ours(name: str, path: tuple[str, ...], x: np.ndarray) -> np.ndarray:
    """Return an array in our layout; `path` as for `theirs`."""
    if x.ndim == 4:
        return x.transpose(2, 3, 1, 0)
    if x.ndim != 2:
        return x
    if side := _flattened(name, path):  # They flatten with channels first, we with them last.
        x = x.reshape(len(x), -1, side, side).transpose(0, 2, 3, 1).reshape(len(x), -1)
    return x.T


def _flattened(name: str, path: tuple[str, ...]) -> int:
    """Return the side of the grid that a dense layer sees, where it sees one."""
    if name == "vgg16":
        return 7 * (path[0] == "fc1")
    return 4 * (path[0] in ("aux1", "aux2") and path[1] == "fc1")


def convert(name: str, tensors: Mapping[str, np.ndarray], ours: Any, file: str) -> Any:
    """Return what of a state dict fits a tree of ours.

    A head for other classes does not fit; everything else must.

    Args:
        name: "googlenet", "resnet" or "vgg16".
        tensors: the state dict.
        ours: variables (params and batch_stats, or shapes of them) of the model.
        file: where the tensors are from, for the error.

    Returns:
        A tree like `ours`, with None where nothing fits.

    Raises:
        InputError: the tensors are of another architecture.
    """
    wanted, found = list(_leaves(ours)), {}
    for path, leaf in wanted:
        source = theirs(name, path[1:])
        if source in tensors:
            x = to_ours(name, path[1:], np.asarray(tensors[source]))
            if x.shape == leaf.shape:
                found[path] = x
                continue
        if not _in_head(name, path[1]):
            got = "nothing" if source not in tensors else f"{list(tensors[source].shape)}"
            raise InputError(
                f"pretrained weights must be of {name}, whose {source} is "
                f"{list(_their_shape(leaf.shape))}, and {file} has {got} there"
            )
    tree: dict = {collection: {} for collection in ours}
    for path, _ in wanted:
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = found.get(path)
    return tree


def _their_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Ours back to theirs: HWIO to OIHW, [in, out] to [out, in]."""
    order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(len(shape), range(len(shape)))
    return tuple(shape[i] for i in order)


def _in_head(name: str, module: str) -> bool:
    return module.startswith(HEADS[name])


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value
