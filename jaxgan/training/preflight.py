"""What is asked before a training begins: devices, precision, and what it begins with."""

import logging
import os
import re

import jax

from jaxgan import recipes
from jaxgan.config.settings import Train
from jaxgan.config.typed import GAN, Classifier, Network
from jaxgan.engine import sharding
from jaxgan.errors import InputError
from jaxgan.weights import imagenet, init_from


def make_deterministic(wanted: bool) -> None:
    """Ask XLA for the same bits each time on a GPU, too; before JAX looks for devices."""
    if wanted:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def check_start(config: Network, name: str = "config") -> None:
    """Raise InputError where what a run is to begin with is not there or does not fit."""
    model = config.model.name
    if config.init_from is not None:
        known = not isinstance(config, Classifier) or config.model.num_classes is not None
        init_from.check(config.init_from, model, recipes.build(config) if known else None, name)
    elif isinstance(config, Classifier) and config.model.pretrained is not None:
        imagenet.read(model, config.model.pretrained, recipes.build(config))
    if isinstance(config, GAN):
        recipes.build_projection(config.model, config.vision)


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
