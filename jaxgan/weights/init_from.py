"""Warm starts: another run's weights, as far as they fit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.engine.checkpoint import Best, Checkpoints, has_checkpoints
from jaxgan.steps.state import Net
from jaxgan.types import InputError, Recipe, State


def check(folder: str, model: str, recipe: Recipe, name: str = "config") -> State:
    """Return the shapes of the state of the run in `folder`.

    Args:
        folder: the config's `init_from`.
        model: the name of the model that begins.
        recipe: its own.
        name: of the config, for errors.

    Raises:
        InputError: no run, or one of another kind of model.
    """
    try:
        there = configs.read_claim(folder)
    except InputError as error:
        raise InputError(f"{name}.init_from must be the folder of a run, got {folder}") from error
    kind = None if configs.is_experiment(there) else there.model.name
    if kind != model:
        raise InputError(
            f"{name}.init_from must be a run of the same kind of model, {model}, "
            f"got {folder}, which is {'an experiment' if kind is None else f'of {kind}'}"
        )
    if not has_checkpoints(folder):
        raise InputError(f"{name}.init_from must hold a checkpoint, and there is none in {folder}")
    abstract = recipes.build(there).abstract
    ours, theirs = _shapes(recipe.abstract), _shapes(abstract)
    for net, shapes in ours.items():
        if net != "second" and not shapes & theirs[net]:
            raise InputError(
                f"{name}.init_from must have something that fits the {net}, and {folder} has not"
            )
    return abstract


def _shapes(state: State) -> dict[str, set]:
    """Return the names and shapes of each net's weights."""
    nets = {name: net.params for name, net in vars(state).items() if isinstance(net, Net)}
    return {
        name: {(_name(path), x.shape) for path, x in jax.tree_util.tree_leaves_with_path(params)}
        for name, params in nets.items()
    }


def start(
    folder: str,
    model: str,
    recipe: Recipe,
    tell: Callable[[str], None],
    best: Best | None = None,
) -> Callable[[State], State]:
    """From a fresh state to one with the weights of the run in `folder`.

    Weights, batch statistics and averages of equal name and shape are taken; optimisers begin anew.
    Layers are named by their size, so a larger resolution takes all but the layers at the images.

    Args:
        folder: the config's `init_from`.
        model: the name of the model that begins.
        recipe: its own.
        tell: is told what was taken and what was not.
        best: the metric whose best checkpoint is taken; the latest where None.

    Raises:
        InputError: no run there, of another kind, without a whole checkpoint, or nothing fits.
    """
    abstract = check(folder, model, recipe)
    with Checkpoints(folder, best, read_only=True) as checkpoints:
        restored = checkpoints.restore(abstract, checkpoints.best if best else None)
    assert restored is not None

    def begin(state: State) -> State:
        changed = {}
        for name, new in vars(state).items():
            old = getattr(restored.state, name, None)
            if isinstance(new, Net) and old is not None:
                variables = take(name, new.variables, old.variables)
                changed[name] = new.replace(
                    params=variables["params"], stats=variables["batch_stats"]
                )
            elif name == "ema":
                kept = restored.state.net.variables if old is None else old
                changed[name] = take("average", new, kept)
        return state.replace(**changed)

    def take(net: str, new: Any, old: Any) -> Any:
        """`new`, with all of `old` that fits."""
        theirs = {_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(old)}
        taken, fresh = [], []

        def choose(path: tuple, ours: jax.Array) -> jax.Array:
            found = theirs.get(_name(path))
            if found is None or found.shape != ours.shape:
                fresh.append(_name(path))
                return ours
            taken.append(_name(path))
            return jnp.copy(found)  # Donated buffers must not be shared.

        tree = jax.tree_util.tree_map_with_path(choose, new)
        begun = f"; begun anew: {', '.join(fresh)}" if fresh else ""
        count = f"{len(taken)} of {len(taken) + len(fresh)}"
        tell(f"{net}: {count} arrays from {folder}, step {restored.step:,}{begun}")
        return tree

    return begin


def _name(path: tuple) -> str:
    return "/".join(str(entry.key) for entry in path)
