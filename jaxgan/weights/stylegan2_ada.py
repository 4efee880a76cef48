"""Network files of the published StyleGAN2-ADA (PyTorch): read without running them; and back.

A network of theirs is a dict of arrays by name, like "synthesis.b8.conv0.weight", in PyTorch's
layout. Ours is the variables of `jaxgan.models.stylegan2`.
"""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import safe_open

from jaxgan.errors import InputError
from jaxgan.system.lazy_reads import File
from jaxgan.weights.pickles import Allowed, Dtype, members, tree
from jaxgan.weights.torch_files import TENSORS, Tensor, load, opened, read_arrays, read_weights

NETS = ("G", "D", "G_ema")
KIND = "a StyleGAN2-ADA network of the PyTorch tool"
GROUP = 4  # Images in a group of the discriminator's, where a file does not say.
FILTER = np.outer((1, 3, 3, 1), (1, 3, 3, 1)).astype(np.float32) / 64

Arrays = dict[str, np.ndarray]


class Published(NamedTuple):
    """What a network file holds.

    Attributes:
        nets: the arrays of "G", "D" and "G_ema", by their names there.
        clamp: the bound of what a convolution puts out; None where there is none.
        group_size: images whose deviation the discriminator sees together.
    """

    nets: dict[str, Arrays]
    clamp: float | None
    group_size: int


class Sizes(NamedTuple):
    """The numbers of a network, as `stylegan2.Generator` takes them."""

    resolution: int
    latent_dim: int
    w_dim: int
    num_classes: int
    channel_base: int
    channel_max: int
    mapping_layers: int


class Module(NamedTuple):
    """A network or a layer of one, of whose source nothing is kept."""

    state: dict


def _module(about: Any) -> Module:
    kinds = ("_parameters", "_buffers", "_modules")
    state = about.get("state") if isinstance(about, dict) else None
    if not isinstance(state, dict) or not all(isinstance(state.get(k, {}), dict) for k in kinds):
        raise ValueError("a module without its arrays")
    return Module(state)


def _scalar(dtype: Any, data: Any) -> float:
    if type(dtype) is not Dtype or type(data) is not bytes or len(data) != dtype.kind.itemsize:
        raise ValueError("a number of another type")
    return np.frombuffer(data, dtype.kind)[0].item()


ALLOWED: Allowed = {
    **TENSORS,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _module,
    ("dnnlib.util", "EasyDict"): tree,
    ("dnnlib", "EasyDict"): tree,
    ("numpy", "dtype"): Dtype,
    ("numpy.core.multiarray", "scalar"): _scalar,  # Before numpy 2,
    ("numpy._core.multiarray", "scalar"): _scalar,  # and since.
    ("builtins", "set"): members,  # Python's before 3.8.
    ("__builtin__", "set"): members,
}
"""All that such a file names."""


def read(file: str | os.PathLike) -> Published:
    """Return the networks of a `.pkl` file of the published tool, or of a `.safetensors` one of
    ours.

    Raises:
        InputError: it cannot be read, is damaged, of another kind, or names anything that such a
            file does not need, of which nothing is run.
    """
    path = Path(file).expanduser()
    if path.suffix == ".safetensors":
        found = _read_safetensors(path)
    else:
        found = _read_pickle(path)
    for net, arrays in found.nets.items():
        _check_settings(path, net, arrays)
    return found


def _read_safetensors(path: Path) -> Published:
    named = read_weights(path)
    with safe_open(path, "numpy") as opened:
        about = opened.metadata() or {}
    nets: dict[str, Arrays] = {net: {} for net in NETS}
    for name, array in named.items():
        net, _, rest = name.partition(".")
        if net not in nets:
            raise InputError(
                f"--source must be a file that jaxgan convert made of a StyleGAN2's run, and "
                f"{path} has {name}"
            )
        nets[net][rest] = array
    try:
        clamp = float(about.get("clamp") or "inf")
        group = int(about.get("group_size", GROUP))
    except ValueError as error:
        raise InputError(
            f"--source must be as it was written, and {path} is not: {error}"
        ) from error
    return Published(nets, clamp if clamp < np.inf else None, group)


def _read_pickle(path: Path) -> Published:
    try:
        with opened(path) as content:
            return _of_pickle(content, path)
    except OSError as error:
        raise InputError(
            f"--source must be a file that can be read, got {path}: {error.strerror}"
        ) from error


def _of_pickle(content: File, path: Path) -> Published:
    try:
        found = load(content, str(path), ALLOWED)
    except InputError as error:
        raise InputError(f"--source must be {KIND}: {error}") from error
    modules: Any = [found.get(net) for net in NETS] if isinstance(found, dict) else []
    if not modules or not all(isinstance(module, Module) for module in modules):
        raise InputError(
            f"--source must be {KIND}, a dict with {', '.join(NETS)}, and {path} is not"
        )
    try:
        tensors = {net: _flatten(module, []) for net, module in zip(NETS, modules, strict=True)}
        clamps = {_setting(module, "conv_clamp", float) for module in modules}
        group = _setting(modules[NETS.index("D")], "group_size", int)
    except (RecursionError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"--source must be {KIND}, and {path} has other parts") from error
    size = sum(math.prod(each.shape) for found in tensors.values() for each in found.values())
    if size > os.fstat(content.fileno()).st_size:
        raise InputError(f"--source must be {KIND}, and {path} grows when it is read")
    if len(clamps) != 1:
        raise InputError(f"--source must have one conv_clamp for all its nets, and {path} has more")
    nets = {net: read_arrays(found, str(path)) for net, found in tensors.items()}
    return Published(nets, clamps.pop(), group or GROUP)


def _flatten(module: Module, seen: list[Module], prefix: str = "") -> dict[str, Tensor]:
    """Return the arrays of a network. Parts in several places could be more than there
    is time for.
    """
    if any(module is other for other in seen):
        raise ValueError("a part is in two places")
    seen.append(module)
    found = {}
    for kind in ("_parameters", "_buffers"):
        for name, array in module.state[kind].items():
            if isinstance(array, Tensor):
                found[prefix + name] = array
    for name, part in module.state["_modules"].items():
        found |= _flatten(part, seen, f"{prefix}{name}.")
    return found


def _setting(module: Module, name: str, kind: Callable[[Any], Any]) -> Any:
    """Return the number of the first layer that has one under this name."""
    if module.state.get(name) is not None:
        return kind(module.state[name])
    found = (_setting(part, name, kind) for part in module.state["_modules"].values())
    return next((number for number in found if number is not None), None)


def _check_settings(path: Path, net: str, arrays: Arrays) -> None:
    """Raise InputError for what all networks of the tool have in common, and this one has not."""
    for name, array in arrays.items():
        if name.endswith("resample_filter") and not np.allclose(array, FILTER, atol=1e-6):
            raise InputError(
                f"--source must have filters [1, 3, 3, 1] as {KIND} does, and {net}.{name} of "
                f"{path} is another one"
            )
        if not np.isfinite(array).all():
            raise InputError(f"--source must hold finite numbers, {net}.{name} of {path} does not")


def sizes(published: Published, file: str | os.PathLike) -> Sizes:
    """Return the numbers of a network, from the shapes of its arrays.

    Raises:
        InputError: no network of this kind.
    """
    arrays = published.nets["G_ema"]
    try:
        blocks = sorted(int(n.split(".")[1][1:]) for n in arrays if n.endswith(".torgb.bias"))
        resolution = blocks[-1]
        if blocks != [4 << i for i in range(len(blocks))]:
            raise ValueError(f"blocks of {blocks}")
        widths = {size: arrays[f"synthesis.b{size}.conv1.weight"].shape[0] for size in blocks}
        layers = sum(name.startswith("mapping.fc") and name.endswith(".bias") for name in arrays)
        (w_dim,) = arrays["mapping.w_avg"].shape
        embed = arrays.get("mapping.embed.weight")
        inputs, classes = arrays["mapping.fc0.weight"].shape[1], 0
        if embed is not None:
            inputs, classes = inputs - w_dim, embed.shape[1]
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"--source must be {KIND}, and {file} has other parts") from error
    most = max(widths.values())
    # Where the widest are all there is, any base from this on says the same.
    base = widths[resolution] * resolution
    if any(width != min(base // size, most) for size, width in widths.items()):
        raise InputError(
            f"--source must have min(base / size, max) features at each size, and {file} has "
            f"{widths}"
        )
    return Sizes(
        resolution=resolution,
        latent_dim=inputs,
        w_dim=w_dim,
        num_classes=classes,
        channel_base=base,
        channel_max=most,
        mapping_layers=layers,
    )


def to_ours(arrays: Arrays, net: str) -> dict:
    """Return the variables of one of our modules: {"params": ..., "batch_stats": ...}.

    Args:
        arrays: of one network, by their published names.
        net: "G", "D" or "G_ema".
    """
    trees: dict[str, dict] = {"params": {}, "batch_stats": {}}
    for name, array in arrays.items():
        last = name.rsplit(".", 1)[-1]
        if last == "resample_filter":
            continue
        kind = "batch_stats" if last in ("w_avg", "noise_const") else "params"
        trees[kind][name.replace(".", "/")] = _turned(name, net, np.asarray(array, np.float32))
    return {kind: unflatten_dict(tree, sep="/") for kind, tree in trees.items()}


def _turned(name: str, net: str, array: np.ndarray) -> np.ndarray:
    if name.endswith("const") and array.ndim == 3:
        return np.array(array.transpose(1, 2, 0), order="C")
    if not name.endswith("weight"):
        return np.array(array, order="C")
    if array.ndim == 4:
        return np.array(array.transpose(2, 3, 1, 0), order="C")
    if net == "D" and name == "b4.fc.weight":  # Its inputs are 4 x 4 features: c, h, w there.
        out, inputs = array.shape
        array = array.reshape(out, inputs // 16, 4, 4).transpose(0, 2, 3, 1).reshape(out, inputs)
    return np.array(array.T, order="C")


def to_published(variables: dict, net: str) -> Arrays:
    """Return the inverse of `to_ours`, with the filters that all their layers hold."""
    found = {}
    for part in (variables["params"], variables.get("batch_stats", {})):
        for path, array in flatten_dict(part, sep=".").items():
            found[path] = _returned(path, net, np.asarray(array))
    found |= dict.fromkeys(_filtered(found), FILTER)
    return {name: found[name] for name in sorted(found)}


def _returned(name: str, net: str, array: np.ndarray) -> np.ndarray:
    if name.endswith("const") and array.ndim == 3:
        return np.array(array.transpose(2, 0, 1), order="C")
    if not name.endswith("weight"):
        return array
    if array.ndim == 4:
        return np.array(array.transpose(3, 2, 0, 1), order="C")
    array = array.T
    if net == "D" and name == "b4.fc.weight":
        out, inputs = array.shape
        array = array.reshape(out, 4, 4, inputs // 16).transpose(0, 3, 1, 2).reshape(out, inputs)
    return np.array(array, order="C")


def _filtered(names: Any) -> set[str]:
    """Return the filters of their blocks and convolutions; torgb and matrices have none."""
    blocks, layers = set(), set()
    for name in names:
        parts = name.split(".")
        if parts[-1] == "weight" and parts[-2] in ("conv", "conv0", "conv1", "skip", "fromrgb"):
            layers.add(".".join(parts[:-1]))
            blocks.add(".".join(parts[:-2]))
    blocks = {block for block in blocks if block != "b4"}  # The discriminator's last one.
    return {f"{place}.resample_filter" for place in blocks | layers}
