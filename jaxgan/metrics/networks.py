"""The networks that may look at images, by name; `features.vgg16` is one of them."""

import hashlib
import json
import os
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from jaxtyping import Array, Float, Float32, UInt8

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config import typed
from jaxgan.data.outliers import SIDE, descriptor
from jaxgan.engine.checkpoint import Best, Checkpoints, has_checkpoints
from jaxgan.engine.checkpoint_items import checksums
from jaxgan.errors import FileError
from jaxgan.metrics import features
from jaxgan.metrics.features import Features
from jaxgan.models import inception as fid
from jaxgan.models.inception import CHECKSUM, URL
from jaxgan.steps.classifier import Predict, make_predict
from jaxgan.system import paths
from jaxgan.system.machine import cache_folder
from jaxgan.types import InputError
from jaxgan.weights.download import fetch
from jaxgan.weights.torch_files import read_weights

BEST = Best("validation_accuracy", "max")
CLIPPED = "cubic (a = -0.5), antialiased, in float32, clipped"
RULES = {
    "clean": f"clean: {CLIPPED}",
    "original": "original: bilinear, not antialiased, corners at corners of pixels (TensorFlow 1)",
}


def by_name(
    name: str, resolution: int, weights: str | None = None, resize: str = "clean"
) -> Features:
    """Return the network called `name`.

    Args:
        name: "vgg16", "alexnet", "inception", "light", or "classifier:" with the folder of a run.
        resolution: side of the images in px; for the first two, which take them as they are.
        weights: file of those of "inception"; None: it is fetched once.
        resize: how images become those that "inception" sees: "clean" or "original".

    Raises:
        InputError: no such network, or its weights cannot be had.
    """
    kind, _, workdir = name.partition(":")
    if kind != "inception" and (weights is not None or resize != "clean"):
        raise InputError(f"--weights and --resize go with --features inception, got {name}")
    if name in ("vgg16", "alexnet"):
        return getattr(features, name)(features.input_size(resolution))
    if name == "inception":
        return inception(weights, resize)
    if name == "light":
        return light()
    if kind == "classifier" and workdir:
        return classifier(workdir)
    raise InputError(
        f"--features must be vgg16, alexnet, inception, light or classifier:WORKDIR, got {name!r}"
    )


@lru_cache
def inception(file: str | None = None, resize: str = "clean") -> Features:
    """Return the network of FID: the 2,048 means of Inception v3's last block.

    Args:
        file: of the weights, a state dict of PyTorch; None fetches it once.
        resize: to 299 px as clean-fid does, "clean", or as FID's authors did, "original".

    Raises:
        InputError: no such rule, no network to fetch it by, or another file than the published one.

    References:
        Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017. Parmar et al., On Aliased
        Resizing and Surprising Subtleties in GAN Evaluation, 2022: "clean".
    """
    if resize not in RULES:
        raise InputError(f"--resize must be one of {', '.join(RULES)}, got {resize!r}")
    path = fetch(URL, CHECKSUM, cache_folder("weights"), "--weights") if file is None else file
    params = fid.from_torch(read_weights(path, CHECKSUM))
    function = jax.jit(partial(_look, resize=resize))
    head = params["fc"]["kernel"]
    return Features(
        "inception", fid.DIMENSION, fid.SIZE, RULES[resize], function, params, CHECKSUM, head
    )


def _look(params: Any, images: UInt8[Array, "b h w 3"], resize: str) -> Float32[Array, "b d"]:
    with jax.default_matmul_precision("highest"):
        x = images.astype(jnp.float32)
        x = cubic(x, fid.SIZE) if resize == "clean" else bilinear(x, fid.SIZE)
        return fid.InceptionV3().apply({"params": params}, (x - 128) / 128)[0]


def cubic(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b n n c"]:
    """Return images of values in [0, 255] at `size` px; as they are where they have it."""
    if x.shape[1:3] == (size, size):
        return x
    shape = (len(x), size, size, x.shape[3])
    return jnp.clip(jax.image.resize(x, shape, "cubic", antialias=True), 0, 255)


def bilinear(x: Float[Array, "b h w c"], size: int) -> Float[Array, "b n n c"]:
    """TensorFlow 1's `resize_bilinear`: pixel i of the new image is at i * old / new."""

    def weights(n: int) -> np.ndarray:
        at = np.arange(size, dtype=np.float32) * np.float32(n / size)
        left = np.minimum(at.astype(int), n - 1)
        matrix = np.zeros((size, n), np.float32)
        np.add.at(matrix, (np.arange(size), left), 1 - (at - left))
        np.add.at(matrix, (np.arange(size), np.minimum(left + 1, n - 1)), at - left)
        return matrix

    rows, columns = (jnp.asarray(weights(n)) for n in x.shape[1:3])
    return jnp.einsum("ih,jw,bhwc->bijc", rows, columns, x)


def light() -> Features:
    """Sharpness, colours and directions, without a network: see `outliers.descriptor`."""

    def describe(weights: None, images: UInt8[Array, "b h w 3"]) -> Any:
        return np.stack([descriptor(image) for image in np.asarray(images)])

    return Features("light", 22, SIDE, "means, or bilinear where enlarged", describe, None, "")


class Trained(NamedTuple):
    """A classifier from a run's folder.

    Attributes:
        config: the run's.
        step: the checkpoint's.
        variables: weights and batch statistics.
    """

    config: typed.Classifier
    step: int
    variables: Any


def restore(
    workdir: str | os.PathLike, step: int | None = None, flag: str = "--workdir"
) -> Trained:
    """Return a classifier; by default of the checkpoint with the best validation accuracy.

    Raises:
        InputError: no classifier's run in `workdir`, which `flag` gave, or no checkpoint.
    """
    paths.checked(os.fspath(workdir), flag, remote=True)
    try:
        config = configs.read_claim(workdir)
    except FileError:  # It is there, and damaged.
        raise
    except InputError as error:
        raise InputError(str(error).replace("--workdir", flag)) from error
    if not isinstance(config, typed.Classifier):
        model = None if configs.is_experiment(config) else config.model.name
        raise InputError(
            f"{flag} must hold the run of a classifier, and {configs.holds(workdir, model)}"
        )
    if len(config.data.classes or ()) != config.model.num_classes:
        raise InputError(
            f"config.json must name as many classes as the model tells apart, "
            f"{config.model.num_classes}, and that of {workdir} names "
            f"{len(config.data.classes or ())}"
        )
    if not has_checkpoints(workdir):
        raise InputError(f"{flag} must hold a checkpoint, and there is none in {workdir}")
    with Checkpoints(workdir, BEST, read_only=True) as checkpoints:
        restored = checkpoints.restore(
            recipes.build(config).abstract, checkpoints.best if step is None else step
        )
    if restored is None:
        raise InputError(f"{flag} must hold a checkpoint, and there is none in {workdir}")
    return Trained(config, restored.step, restored.state.variables)


def classifier(workdir: str) -> Features:
    """Return what a classifier that was trained here has before its last layer, at its own
    resolution.

    Raises:
        InputError: see `restore`.
    """
    trained = restore(workdir, flag="--features classifier:WORKDIR")
    config = trained.config.changed({"train.remat": False})
    model, size = recipes.build_classifier(config), config.data.resolution

    @jax.jit
    def function(variables: Any, images: UInt8[Array, "b h w 3"]) -> Float32[Array, "b d"]:
        with jax.default_matmul_precision("highest"):
            x = cubic(images.astype(jnp.float32), size)
            return cast(Array, model.apply(variables, x / 127.5 - 1, method="features"))

    some = jax.ShapeDtypeStruct((1, size, size, 3), np.uint8)
    words = json.dumps(checksums(trained.variables), sort_keys=True)
    return Features(
        f"classifier ({trained.config.model.name} of {os.path.basename(os.path.abspath(workdir))})",
        jax.eval_shape(function, trained.variables, some).shape[1],
        *(size, CLIPPED, function, trained.variables),
        hashlib.sha256(words.encode()).hexdigest(),
    )


class Classifier(NamedTuple):
    """A trained classifier, ready to judge.

    Attributes:
        config: the run's, its classes in `data.classes`.
        step: the checkpoint's.
        variables: weights and batch statistics.
        predict: (variables, uint8 images) -> log-probabilities of the classes.
    """

    config: typed.Classifier
    step: int
    variables: Any
    predict: Predict

    def __repr__(self) -> str:  # Without the weights.
        return f"Classifier({self.config.model.name}, step {self.step:,})"


def load_classifier(
    workdir: epath.PathLike, step: int | None = None, flag: str = "--workdir"
) -> Classifier:
    """Return the best checkpoint of a classifier's run, or that of a certain step.

    Raises:
        InputError: no run of a classifier, or no checkpoint, in `workdir`, which is `flag`'s.
    """
    config, step, variables = restore(workdir, step, flag)
    predictor = make_predict(recipes.build_classifier(config))
    return Classifier(config, step, variables, predictor)
