"""Published StyleGAN2-ADA networks as run folders, and run folders as safetensors."""

import hashlib
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.tree_util import keystr, tree_leaves_with_path
from safetensors.numpy import save

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import GAN, StyleGAN2, parse
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.engine.provenance import environment
from jaxgan.errors import InputError, naming
from jaxgan.recipes import stylegan2
from jaxgan.system import checked_files, lock
from jaxgan.types import Recipe, State
from jaxgan.weights import stylegan2_ada
from jaxgan.weights.stylegan2_ada import NETS, Published, Sizes

BASE = "stylegan2_ada256.py"  # All but a network's numbers.


def run(source: epath.PathLike, out: epath.PathLike, resolution: int | None = None) -> None:
    """A network file to a run folder, or a run folder to a `.safetensors` file.

    Args:
        source: a `.pkl` of the published tool, a `.safetensors` of ours, or a run's folder.
        out: a new folder; or a `.safetensors` file, for a folder.
        resolution: which the network must have; any where None.

    Raises:
        InputError: a source of another kind or resolution, or an `out` that will not do.
    """
    if epath.Path(source).is_dir():
        if epath.Path(out).suffix != ".safetensors":
            raise InputError(f"--out must be a .safetensors file for a run's folder, got {out}")
        with naming("--source", "--workdir"):
            size = configs.read_claim(source).given["data"].get("resolution")
        if resolution not in (None, size):
            raise InputError(f"--resolution must be that of {source}, {size}, got {resolution}")
        to_safetensors(source, out)
        return
    if not epath.Path(source).exists():
        raise InputError(f"--source must be a network file or a run's folder, and {source} is not")
    found = stylegan2_ada.read(source)
    numbers = stylegan2_ada.sizes(found, source)
    if resolution not in (None, numbers.resolution):
        raise InputError(
            f"--resolution must be that of {source}, {numbers.resolution}, got {resolution}"
        )
    to_run(found, numbers, out, source)


def values(numbers: Sizes, found: Published) -> dict[str, Any]:
    """Return what makes a StyleGAN2's config that of a published network, which draws as its tool
    does.

    It computes in float32. Classes have their numbers as names.
    """
    own = {
        "data.classes": tuple(str(i) for i in range(numbers.num_classes)),
        "model.conditional": numbers.num_classes > 0,
        "model.latent_dim": numbers.latent_dim,
        "model.w_dim": numbers.w_dim,
        "model.channel_base": numbers.channel_base,
        "model.channel_max": numbers.channel_max,
        "model.mapping_layers": numbers.mapping_layers,
        "model.group_size": found.group_size,
        "model.bf16_blocks": 0,
        "model.clamp": found.clamp,
        "sample.latents": "numpy",
    }
    return stylegan2.chosen("auto", numbers.resolution) | own


def to_run(found: Published, numbers: Sizes, out: epath.PathLike, source: epath.PathLike) -> None:
    """Write a run folder with the networks as the checkpoint of step 0, optimisers at their start.

    Raises:
        InputError: the arrays are not those of such a network, or `out` holds another run.
    """
    base = parse(configs.load(str(configs.folder("configs") / BASE)))
    config: StyleGAN2 = base.changed(values(numbers, found))
    recipe = recipes.build(config)
    abstract = recipe.abstract
    nets = {name: stylegan2_ada.to_ours(arrays, name) for name, arrays in found.nets.items()}
    wanted = {"G": abstract.generator.variables, "D": abstract.critic.variables}
    for name, variables in nets.items():
        _check_shapes(variables, wanted.get(name, abstract.ema), name, source)
    state = recipe.init(jax.random.key(0))
    state = state.replace(
        generator=_filled(state.generator, nets["G"]),
        critic=_filled(state.critic, nets["D"]),
        ema=nets["G_ema"],
    )
    digest = hashlib.sha256(epath.Path(source).read_bytes()).hexdigest()
    about = environment() | {"source": {"file": epath.Path(source).name, "sha256": digest}}
    with lock.held(out):
        configs.claim(out, config)
        with Checkpoints(out) as checkpoints:
            checkpoints.save(0, state, config.given, {})
            checkpoints.wait()
        checked_files.save(epath.Path(out) / "run.json", about, indent=2)
    count = sum(x.size for x in jax.tree.leaves(nets["G_ema"]["params"]))
    print(f"generator of {config.data.resolution} px, {count:,} parameters: {out}")


def _filled(net: Any, variables: dict) -> Any:
    return net.replace(params=variables["params"], stats=variables["batch_stats"])


def _check_shapes(variables: dict, wanted: dict, net: str, source: epath.PathLike) -> None:
    ours, theirs = (
        {"/".join(e.key for e in path): x.shape for path, x in tree_leaves_with_path(tree)}
        for tree in (wanted, variables)
    )
    for name in sorted({*ours, *theirs}):
        a, b = (str(shapes.get(name, "no such array")) for shapes in (ours, theirs))
        if a != b:
            raise InputError(
                f"--source must be {stylegan2_ada.KIND}, whose {net} has {name} {a}, and "
                f"{source} has {b}"
            )


def to_safetensors(workdir: epath.PathLike, out: epath.PathLike) -> None:
    """Write the latest checkpoint's generator, critic and averaged generator as one file.

    A StyleGAN2's arrays have the published names and layout, "G_ema.synthesis.b4.const" and so on,
    which `load_state_dict` of the published tool takes; those of others our names and layout,
    "ema/params/conv4/kernel".

    Raises:
        InputError: no GAN's run, or no checkpoint.
    """
    config = configs.read_claim(workdir)
    if not isinstance(config, GAN):
        raise InputError(f"--source must hold the run of a GAN, and {workdir} does not")
    state = _restored(recipes.build(config), workdir)
    named: dict[str, np.ndarray] = {}
    about = {"step": str(int(state.step))}
    for name, variables in zip(
        NETS, (state.generator.variables, state.critic.variables, state.ema), strict=True
    ):
        variables = jax.device_get(variables)
        if isinstance(config, StyleGAN2):
            arrays = stylegan2_ada.to_published(variables, name)
            named |= {f"{name}.{key}": array for key, array in arrays.items()}
            about["clamp"] = str(config.model.clamp or "")
            about["group_size"] = str(config.model.group_size)
        else:
            ours = {"G": "generator", "D": "critic", "G_ema": "ema"}[name]
            for path, array in tree_leaves_with_path(variables):  # Components are in tuples.
                key = keystr(path, simple=True, separator="/")
                named[f"{ours}/{key}"] = np.asarray(array)
    file = epath.Path(out)
    file.parent.mkdir(parents=True, exist_ok=True)
    checked_files.write(file, save(named, metadata={"format": "pt", **about}))
    print(f"{len(named)} arrays of step {about['step']}: {out}")


def _restored(recipe: Recipe, workdir: epath.PathLike) -> State:
    with Checkpoints(workdir, read_only=True) as checkpoints:
        restored = checkpoints.restore(recipe.abstract)
    if restored is None:
        raise InputError(f"--source must hold a checkpoint, and there is none in {workdir}")
    return restored.state
