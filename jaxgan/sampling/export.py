"""A generator for other programs: one call that needs JAX alone, its weights, and a model card."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import export
from jaxtyping import Array, UInt8
from ml_collections import ConfigDict
from safetensors.numpy import save

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.engine.log import read_metrics
from jaxgan.errors import FileError
from jaxgan.sampling.sample import Sampler
from jaxgan.system import sealed
from jaxgan.types import to_uint8

PLATFORMS = ("cpu", "cuda", "tpu")
FILES = ("sampler.jax", "weights.safetensors", "model_card.md")

Weights = dict[str, Array]


def run(
    sampler: Sampler, workdir: epath.PathLike, out: epath.PathLike, licence: str | None = None
) -> None:
    """Writes `sampler.jax`, `weights.safetensors` and `model_card.md` to `out`.

    Args:
        sampler: any run's.
        workdir: that run's folder, for the card.
        out: a folder.
        licence: of the pictures that it learned from, as the user states it.
    """
    folder = epath.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    named = flat(sampler.variables)
    about = card(sampler, workdir, licence)  # First: it may be refused.
    sealed.write(folder / FILES[0], bytes(program(sampler.config, named).serialize()))
    sealed.write(folder / FILES[1], save(named))
    sealed.write(folder / FILES[2], about)
    print(f"step {sampler.step:,} as {', '.join(FILES)}: {folder}")


def flat(variables: Any) -> dict[str, np.ndarray]:
    """A tree of weights as arrays by name, like "params/conv4/kernel"."""
    named = flatten_dict(jax.device_get(variables), sep="/")
    return {name: np.asarray(named[name]) for name in sorted(named)}


def program(config: ConfigDict, weights: dict[str, np.ndarray]) -> export.Exported:
    """The generator for any number of pictures, on a CPU, an NVIDIA GPU or a TPU.

    Returns:
        (weights, latents [b, z]) -> uint8 pictures [b, h, w, 3]; of a StyleGAN2 (weights, latents,
        truncation []) and, where it has classes, (weights, latents, truncation, classes int32 [b]).
    """
    generator: Any = recipes.build_generator(config)
    of_style = config.model.name == "stylegan2"
    with_classes = of_style and generator.num_classes > 0

    def paint(weights: Weights, latents: Array, *more: Array) -> UInt8[Array, "b h w c"]:
        variables = unflatten_dict(weights, sep="/")
        if not of_style:
            return to_uint8(generator.apply(variables, latents, False))
        truncation, label = more[0], more[1] if with_classes else None
        ws = generator.apply(variables, latents, label, method="to_ws")
        average = variables["batch_stats"]["mapping"]["w_avg"][None, None]
        ws = average + truncation * (ws - average)
        return to_uint8(generator.apply(variables, ws, "const", None, method="synthesise"))

    (b,) = export.symbolic_shape("b")
    shapes = [
        {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in weights.items()},
        jax.ShapeDtypeStruct((b, config.model.latent_dim), jnp.float32),
    ]
    if of_style:
        shapes.append(jax.ShapeDtypeStruct((), jnp.float32))
    if with_classes:
        shapes.append(jax.ShapeDtypeStruct((b,), jnp.int32))
    return export.export(jax.jit(paint), platforms=PLATFORMS)(*shapes)


def card(sampler: Sampler, workdir: epath.PathLike, licence: str | None = None) -> str:
    """The model card, as Markdown: what it is, what it learned from, how good it is, how to use it.

    Figures come from the run's files; what they do not say, the card says it does not know.
    """
    config = sampler.config
    file = epath.Path(workdir) / "run.json"
    about = configs.read_run(workdir) if file.exists() else {}
    data = about.get("data", {})
    counts = ", ".join(f"{n:,} of {name}" for name, n in data.get("counts", {}).items())
    resolution = config.data.resolution
    versions = about.get("versions") or {}
    source = about.get("source")  # Of a converted network: run.json tells of the conversion.
    made = "trained" if source is None else "converted"
    origin = f"`{config.data.path}`" if source is None else "not known"
    intro = "A generator of pictures, trained with jaxgan."
    if source is not None:
        digest = source["sha256"]
        intro = f"A published generator of pictures, `{source['file']}` (SHA-256 {digest})."
    rows = [
        ("pictures", f"{resolution} x {resolution} px, RGB"),
        ("latents", f"{config.model.latent_dim} numbers, standard normal"),
        ("weights", f"step {sampler.step:,}, averaged over training"),
        (made, about.get("started", "not known")),
        ("on", ", ".join(sorted(set(about.get("devices", [])))) or "not known"),
        ("command", f"`{about['command']}`" if about.get("command") else "not known"),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items()) or "not known"),
        ("commit", about.get("git") or "not known"),
    ]
    parts = [
        f"# {config.model.name}, {resolution} px, {epath.Path(workdir).resolve().name}",
        f"{intro} It draws what its training pictures made likely, and nothing that it draws is a "
        "photograph.",
        _table(("", ""), rows),
        "## Training pictures",
        _table(
            ("", ""),
            [
                ("from", origin),
                ("number", counts or "not known"),
                ("fingerprint", data.get("fingerprint", "not known")),
                ("licence", licence or "not stated: ask before you publish what it draws"),
            ],
        ),
        "## Measured",
        _measured(workdir, sampler.step),
        "## Use",
        _use(config),
        "## Config",
        "```json\n" + json.dumps(configs.to_dict(config), indent=2) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _use(config: ConfigDict) -> str:
    more, note = "", "Wherever JAX runs, with `flatbuffers` and `safetensors`, without jaxgan."
    if config.model.name == "stylegan2":
        more = ", np.float32(0.7)"
        note += " The third argument is the truncation psi (1 for none)."
        if recipes.build_generator(config).num_classes:  # type: ignore[attr-defined]
            more += ", np.zeros(8, np.int32)"
            note += " The fourth are the classes' numbers."
    draw = f"np.random.default_rng(0).standard_normal((8, {config.model.latent_dim}), np.float32)"
    if config.get("sample", {}).get("latents") == "numpy":
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


def _measured(workdir: epath.PathLike, step: int) -> str:
    """The last values of the run's metrics up to `step`, and what evaluations lie in its folder."""
    values: dict[str, tuple[float, int]] = {}
    for row in read_metrics(workdir):
        if row["step"] <= step:
            values |= {k: (v, row["step"]) for k, v in row.items() if k != "step"}
    rows = [
        (name, f"{value:.5g}", f"{at:,}")
        for name, (value, at) in sorted(values.items())
        if not name.startswith(("time", "seconds", "images_per", "memory"))
    ]
    parts = [_table(("metric", "value", "at step"), rows)] if rows else []
    known = {"config.json", "run.json", "data.json"}
    files = sorted(epath.Path(workdir).glob("*.json"))
    parts += [f"`{f.name}`:\n\n```json\n{_read(f)}\n```" for f in files if f.name not in known]
    return "\n\n".join(parts) or "Nothing: `scripts/evaluate.py --real DIR --fake DIR` measures it."


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in x) + " |" for x in lines
    )


def _read(file: epath.Path) -> str:
    """The JSON of an evaluation, as the user put it there."""
    try:
        return json.dumps(json.loads(file.read_bytes()), indent=2)
    except (ValueError, RecursionError) as error:
        why = str(error).splitlines()[0][:100]
        raise FileError(f"{file} must be JSON, and is not ({why}): restore or delete it") from None
