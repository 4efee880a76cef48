"""What is asked before a training begins: devices, precision, and what it begins with."""

import logging
import os
import re

import jax

from jaxgan.config.model_settings import ClassifierModel, Model
from jaxgan.config.settings import Train
from jaxgan.engine import sharding
from jaxgan.errors import InputError
from jaxgan.types import Recipe
from jaxgan.weights import imagenet, init_from


def make_deterministic(wanted: bool) -> None:
    """Ask XLA for the same bits each time on a GPU, too; before JAX looks for devices."""
    if wanted:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def check_start(recipe: Recipe, model: Model, folder: str | None, name: str = "config") -> None:
    """Raise InputError where what a run is to begin with is not there or does not fit.

    Args:
        recipe: of the training; to build it asks for the weights of frozen networks.
        model: its section.
        folder: its `init_from`.
        name: of the config, for errors.
    """
    if folder is not None:
        init_from.check(folder, model.name, recipe, name)
    elif isinstance(model, ClassifierModel) and model.pretrained is not None:
        imagenet.read(model.name, model.pretrained, recipe)


def check_batches(train: Train, model: str, prefix: str = "") -> None:
    """Raise InputError where the devices do not divide the batches of a training.

    Args:
        train: the section.
        model: the name of the model.
        prefix: of the settings' names: `gan.` or `classifier.` in an experiment's.
    """
    for key in ("batch_size", "microbatch"):
        count, name = getattr(train, key) or 0, f"{prefix}train.{key}"
        sharding.check_batch(count, name)
        if model == "stylegan2":  # Half of a batch is for path lengths.
            sharding.check_batch(count // 2, f"half of {name}")


def check_precision(precision: str) -> None:
    """Say that bf16 is slow on a CPU, which only imitates it.

    Raises:
        InputError: bf16 on an NVIDIA GPU that has none.
    """
    device = jax.local_devices()[0]
    if precision != "bf16":
        return
    if device.platform == "cpu":
        logging.getLogger("jaxgan").warning("precision=bf16 is slower than float32 on a CPU")
    capability = str(getattr(device, "compute_capability", ""))
    # Before Ampere XLA computes it in float32, more slowly; AMD's capabilities are no numbers.
    if re.fullmatch(r"\d+\.\d+", capability) and float(capability) < 8:
        raise InputError(
            f"precision=bf16 must have a GPU of compute capability 8.0 or more (take float32), "
            f"got {capability} ({device.device_kind})"
        )
