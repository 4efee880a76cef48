"""A classifier, or several as one, for other programs: one call that needs JAX alone, and a card.

Images come in as uint8 [b, r, r, 3], probabilities go out.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from flax.traverse_util import unflatten_dict
from jax import export
from jaxtyping import Array, Float, UInt8
from safetensors.numpy import save

from jaxgan import recipes
from jaxgan.engine.log import read_metrics
from jaxgan.evaluation import onnx
from jaxgan.metrics import classification
from jaxgan.metrics.networks import Classifier
from jaxgan.sampling import cards
from jaxgan.sampling.export import Weights, exported, flat
from jaxgan.steps.classifier import make_predict
from jaxgan.system import checked_files
from jaxgan.system.terminal import few

FILES = ("classifier.jax", "weights.safetensors", "model_card.md")
MEMBERS = "members/"  # What stands before weights that have a row for each classifier.


def run(
    members: Sequence[Classifier],
    workdir: epath.PathLike,
    out: epath.PathLike,
    measured: dict[str, Any] | None = None,
    about: dict[str, Any] | None = None,
    data_licence: str | None = None,
    licence: str | None = None,
    with_onnx: bool = False,
) -> str:
    """Write `classifier.jax`, `weights.safetensors` and `model_card.md` to `out`.

    Args:
        members: one classifier, or those of an ensemble.
        workdir: of the run or the experiment, for the card.
        out: a folder.
        measured: on images that they did not train on, see `classification.summarise`.
        about: versions, devices and images; None: what `run.json` says.
        data_licence: of the training images, as the user states it.
        licence: of the weights, see `cards.front_matter`.
        with_onnx: write `classifier.onnx`, too: see `onnx.write`.

    Returns:
        What was written, and where.
    """
    cards.check_licence(licence)
    if with_onnx:
        onnx.check()
    folder = epath.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    written = card(members, workdir, measured, about, data_licence, licence)
    weights = joined(members)
    checked_files.write(folder / FILES[0], bytes(program(members[0], weights).serialize()))
    checked_files.write(folder / FILES[1], save(weights))
    checked_files.write(folder / FILES[2], written)
    what = "a classifier" if len(members) == 1 else f"{len(members)} classifiers"
    said = f"{what} as {', '.join(FILES)}: {folder}"
    if with_onnx:
        side = members[0].config.data.resolution
        said = f"{onnx.write(jax.jit(say(members[0])), weights, side, folder)}\n{said}"
    return said


def joined(members: Sequence[Classifier]) -> dict[str, np.ndarray]:
    """Return the weights of all members by name.

    Those in which they differ have a first axis for the members, and `MEMBERS` before their names;
    the others, like those of a frozen trunk, stand there once.
    """
    each = [flat(member.variables) for member in members]
    found = {}
    for name, first in each[0].items():
        if all(np.array_equal(first, other[name]) for other in each[1:]):
            found[name] = first
        else:
            found[MEMBERS + name] = np.stack([other[name] for other in each])
    return found


def say(one: Classifier) -> Any:
    """Return the function (weights of `joined`, uint8 images) -> probabilities."""
    config = one.config.changed({"train.remat": False})
    predict = make_predict(recipes.build_classifier(config))

    def probabilities(weights: Weights, images: UInt8[Array, "b r r 3"]) -> Float[Array, "b k"]:
        same = {name: x for name, x in weights.items() if not name.startswith(MEMBERS)}
        own = {name: x for name, x in weights.items() if name.startswith(MEMBERS)}

        def judge(mine: Weights) -> Float[Array, "b k"]:
            mine = {name.removeprefix(MEMBERS): x for name, x in mine.items()}
            return predict(unflatten_dict(same | mine, sep="/"), images)

        log_p = jax.lax.map(judge, own) if own else judge({})[None]
        return jnp.exp(classification.together(log_p))

    return probabilities


def program(one: Classifier, weights: dict[str, np.ndarray]) -> export.Exported:
    """Return `say` of these weights for any number of images, on a CPU, an NVIDIA GPU or a TPU."""
    side = one.config.data.resolution
    (b,) = export.symbolic_shape("b")
    shapes = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in weights.items()}
    images = jax.ShapeDtypeStruct((b, side, side, 3), jnp.uint8)
    return exported(say(one), shapes, images)


def card(
    members: Sequence[Classifier],
    workdir: epath.PathLike,
    measured: dict[str, Any] | None = None,
    about: dict[str, Any] | None = None,
    data_licence: str | None = None,
    licence: str | None = None,
) -> str:
    """Return the model card: what it is, what it was trained on, how good it is, how to use it."""
    config = members[0].config
    about = cards.read_about(workdir) if about is None else about
    classes, side = list(config.data.classes), config.data.resolution
    called = epath.Path(workdir).resolve().name
    arm = (measured or {}).get("arm")
    names = few(classes, cards.MANY)
    intro = f"A {config.model.name} that tells {names} apart, trained with jaxgan."
    if arm is not None:
        intro = (
            f"{len(members)} classifiers ({config.model.name}) as one, the arm `{arm}` of an "
            f"experiment of jaxgan; they tell {names} apart."
        )
    rows = [
        ("images", f"{side} x {side} px, RGB, uint8"),
        ("classes", names),
        ("weights", ", ".join(f"step {member.step:,}" for member in members)),
        *cards.made(about),
    ]
    named = {} if measured is None else {"accuracy": measured["accuracy"]["value"]}
    parts = [
        cards.front_matter("classifier", config.model.name, licence, named, called),
        f"# {config.model.name}, {side} px, {called}",
        f"{intro} It gives every image one of its classes: it does not know what is none of them.",
        cards.table(("", ""), rows),
        "## Training images",
        cards.images(about, cards.folder(config.data.path), data_licence, "use it commercially"),
        "## Measured",
        *_measured(members, workdir, measured),
        "## Use",
        _use(members),
        "## Config",
        cards.settings(config.given),
    ]
    return "\n\n".join(parts) + "\n"


def _measured(
    members: Sequence[Classifier], workdir: epath.PathLike, measured: dict[str, Any] | None
) -> list[str]:
    parts = []
    if measured is not None:
        about = ""
        if measured.get("folds", 1) > 1:
            about = "Each image was judged by the classifiers of its own fold alone. "
        on = measured.get("data", "the held-out test images")
        parts = [f"On {on}. {about}", f"```\n{classification.table(measured)}\n```"]
    if len(members) > 1:
        return parts
    for row in read_metrics(workdir):
        if row["step"] == members[0].step and "validation_accuracy" in row:
            parts.append(
                f"On the validation images {row['validation_accuracy']:.1%}, by which the step was "
                "chosen: a little too good."
            )
    return parts + cards.evaluations(workdir) or ["Nothing: `jaxgan evaluate RUN DIR` measures it."]


def _use(members: Sequence[Classifier]) -> str:
    config = members[0].config
    side = config.data.resolution
    fit = f"image.resize(({side}, {side}), Image.LANCZOS, reducing_gap=3.0)"
    if config.data.crop == "center":
        fit = f"ImageOps.fit(image, ({side}, {side}), Image.LANCZOS)"
    return f"""Wherever JAX runs, with `flatbuffers`, `safetensors` and `pillow`, without jaxgan.

```python
import numpy as np, jax.export, pathlib, safetensors.numpy
from PIL import Image, ImageOps
classifier = jax.export.deserialize(pathlib.Path("classifier.jax").read_bytes())
weights = safetensors.numpy.load_file("weights.safetensors")
image = ImageOps.exif_transpose(Image.open("image.png")).convert("RGB")
images = np.asarray({fit})[None]
probabilities = classifier.call(weights, images)  # float32 [1, {len(config.data.classes)}]
classes = {list(config.data.classes)!r}
```"""
