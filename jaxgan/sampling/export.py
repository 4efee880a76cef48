"""A generator for other programs: one call that needs JAX alone, its weights, and a model card."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import export
from jaxtyping import Array, UInt8
from safetensors.numpy import save

from jaxgan.sampling import cards
from jaxgan.sampling.sample import Sampler
from jaxgan.system import checked_files
from jaxgan.types import to_uint8

PLATFORMS = ("cpu", "cuda", "tpu")
FILES = ("sampler.jax", "weights.safetensors", "model_card.md")

Weights = dict[str, Array]


def run(
    sampler: Sampler,
    workdir: epath.PathLike,
    out: epath.PathLike,
    data_licence: str | None = None,
    licence: str | None = None,
) -> str:
    """Write `sampler.jax`, `weights.safetensors` and `model_card.md` to `out`.

    Args:
        sampler: any run's.
        workdir: that run's folder, for the card.
        out: a folder.
        data_licence: of the training images, as the user states it.
        licence: of the weights, see `cards.front_matter`.

    Returns:
        What was written, and where.
    """
    cards.check_licence(licence)
    folder = epath.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    named = flat(sampler.variables)
    about = card(sampler, workdir, data_licence, licence)  # First: it may be refused.
    checked_files.write(folder / FILES[0], bytes(program(sampler, named).serialize()))
    checked_files.write(folder / FILES[1], save(named))
    checked_files.write(folder / FILES[2], about)
    return f"step {sampler.step:,} as {', '.join(FILES)}: {folder}"


def flat(variables: Any) -> dict[str, np.ndarray]:
    """Return a tree of weights as arrays by name, like "params/conv4/kernel"."""
    named = flatten_dict(jax.device_get(variables), sep="/")
    return {name: np.asarray(named[name]) for name in sorted(named)}


def program(sampler: Sampler, weights: dict[str, np.ndarray]) -> export.Exported:
    """Return the generator for any number of images, on a CPU, an NVIDIA GPU or a TPU.

    Returns:
        (weights, latents [b, z]) -> uint8 images [b, h, w, 3]; of a StyleGAN2 (weights, latents,
        truncation []). Where it has classes their numbers, int32 [b], come last.
    """
    generator, model = sampler.generator, sampler.config.model
    of_style = model.name == "stylegan2"
    with_classes = sampler.config.num_classes > 0

    def paint(weights: Weights, latents: Array, *more: Array) -> UInt8[Array, "b h w c"]:
        variables = unflatten_dict(weights, sep="/")
        if not of_style:
            return to_uint8(generator.apply(variables, latents, False, *more))
        truncation, label = more[0], more[1] if with_classes else None
        ws = generator.apply(variables, latents, label, method="to_ws")
        average = variables["batch_stats"]["mapping"]["w_avg"][None, None]
        ws = average + truncation * (ws - average)
        return to_uint8(generator.apply(variables, ws, "const", None, method="synthesise"))

    (b,) = export.symbolic_shape("b")
    shapes = [
        {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in weights.items()},
        jax.ShapeDtypeStruct((b, model.latent_dim), jnp.float32),
    ]
    if of_style:
        shapes.append(jax.ShapeDtypeStruct((), jnp.float32))
    if with_classes:
        shapes.append(jax.ShapeDtypeStruct((b,), jnp.int32))
    return exported(paint, *shapes)


def exported(function: Callable[..., Array], *shapes: Any) -> export.Exported:
    """Return a function for `PLATFORMS`, without the folders that this machine's code lies in."""
    name = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, name)
    jax.config.update(name, ".*/")  # What it matches is taken off names of source files.
    try:
        return export.export(jax.jit(function), platforms=PLATFORMS)(*shapes)
    finally:
        jax.config.update(name, before)


def card(
    sampler: Sampler,
    workdir: epath.PathLike,
    data_licence: str | None = None,
    licence: str | None = None,
) -> str:
    """Return the model card: what it is, what it was trained on, how good it is, how to use it.

    Figures come from the run's files; what they do not say, the card says it does not know.
    """
    config = sampler.config
    about = cards.read_about(workdir)
    resolution = config.data.resolution
    source = about.get("source")  # Of a converted network: run.json is about the conversion.
    origin = cards.folder(config.data.path) if source is None else "not known"
    intro = "A generator of images, trained with jaxgan."
    if source is not None:
        digest = source["sha256"]
        intro = f"A published generator of images, `{source['file']}` (SHA-256 {digest})."
    rows = [
        ("images", f"{resolution} x {resolution} px, RGB"),
        ("latents", f"{config.model.latent_dim} numbers, standard normal"),
        ("weights", f"step {sampler.step:,}, averaged over training"),
        *cards.made(about, "trained" if source is None else "converted"),
    ]
    known = cards.curves(workdir, sampler.step) + cards.evaluations(workdir)
    nothing = "Nothing: `jaxgan evaluate REAL GENERATED` measures it."
    parts = [
        cards.front_matter("gan", config.model.name, licence),
        f"# {config.model.name}, {resolution} px, {epath.Path(workdir).resolve().name}",
        f"{intro} It draws what its training images made likely, and nothing that it draws is a "
        "photograph.",
        cards.table(("", ""), rows),
        "## Training images",
        cards.images(about, origin, data_licence, "publish what it draws"),
        "## Measured",
        "\n\n".join(known) or nothing,
        "## Use",
        _use(sampler),
        "## Config",
        cards.settings(config.given),
    ]
    return "\n\n".join(parts) + "\n"


def _use(sampler: Sampler) -> str:
    config = sampler.config
    more, note = "", "Wherever JAX runs, with `flatbuffers` and `safetensors`, without jaxgan."
    if config.model.name == "stylegan2":
        more = ", np.float32(0.7)"
        note += " The third argument is the truncation psi (1 for none)."
    if config.num_classes:
        more += ", np.zeros(8, np.int32)"
        note += " The last argument is the images' classes, by number."
    draw = f"np.random.default_rng(0).standard_normal((8, {config.model.latent_dim}), np.float32)"
    if config.numpy_latents:
        size = config.model.latent_dim
        draw = f"np.random.RandomState(0).randn(8, {size}).astype(np.float32)"
    return f"""{note}

```python
import numpy as np, jax.export, pathlib, safetensors.numpy
sampler = jax.export.deserialize(pathlib.Path("sampler.jax").read_bytes())
weights = safetensors.numpy.load_file("weights.safetensors")
latents = {draw}
images = sampler.call(weights, latents{more})  # uint8 [8, h, w, 3]
```"""
