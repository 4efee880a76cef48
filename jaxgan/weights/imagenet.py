"""Published weights of classifiers as a start."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.metrics import features
from jaxgan.steps.state import ClassifierState
from jaxgan.types import Recipe
from jaxgan.weights import download, torch_files, torchvision


def read(name: str, where: str, recipe: Recipe) -> Any:
    """Published weights, as far as they fit a classifier.

    Args:
        name: of its model.
        where: what `config.model.pretrained` names.
        recipe: of the classifier, whose number of classes is set.

    Returns:
        A tree like the model's variables, with None where a layer begins anew: a head for other
        classes, or one with layers of its own.

    Raises:
        InputError: no such file, not to be had, damaged, or of another architecture.
    """
    if where == "features":
        tensors: Mapping[str, np.ndarray] = _lpips()
    else:
        if where == "imagenet":
            folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
            flag = "--config.model.pretrained"
            published = torchvision.PUBLISHED[name]
            where = str(download.fetch(*published, folder / "jaxgan" / "weights", flag))
        tensors = torch_files.read_weights(where)
    return torchvision.convert(name, tensors, recipe.abstract.net.variables, str(where))


def start(
    name: str, where: str, recipe: Recipe, tell: Callable[[str], None]
) -> Callable[[ClassifierState], ClassifierState]:
    """From a fresh state to one with published weights; see `read`."""
    found = read(name, where, recipe)

    def begin(state: ClassifierState) -> ClassifierState:
        fresh = []

        def choose(path: tuple, ours: jax.Array, theirs: np.ndarray | None) -> jax.Array:
            if theirs is None:
                fresh.append("/".join(str(entry.key) for entry in path[1:]))
                return ours
            return jnp.asarray(theirs, ours.dtype)

        variables = jax.tree_util.tree_map_with_path(choose, state.net.variables, found)
        taken = len(jax.tree.leaves(variables)) - len(fresh)
        begun = f"; begun anew: {', '.join(fresh)}" if fresh else ""
        tell(f"{taken} arrays from {where}{begun}")
        net = state.net.replace(params=variables["params"], stats=variables["batch_stats"])
        # Donated buffers must not be shared.
        return state.replace(net=net).averaged(lambda new, _: jax.tree.map(jnp.copy, new))

    return begin


def _lpips() -> dict[str, np.ndarray]:
    """VGG16's convolutions of the `features` extra, by torchvision's names."""
    tensors = {}
    for b, block in enumerate(features.vgg16(features.SIZES[0]).weights, 1):
        for i, (kernel, bias) in enumerate(block, 1):
            name = torchvision.theirs("vgg16", (f"conv{b}_{i}", "bias")).removesuffix("bias")
            tensors[f"{name}weight"] = np.asarray(kernel).transpose(3, 2, 0, 1)
            tensors[f"{name}bias"] = np.asarray(bias)
    return tensors
