"""`--gan`: another GAN than the config's; `auto` chooses one by resolution, device and weights."""

from typing import Any

import jax
from ml_collections import ConfigDict

from jaxgan.config import loading
from jaxgan.errors import InputError
from jaxgan.models import backbones

AUTO = "auto"
BACKBONE = "vgg16"
# Up to which side. Why these, and what is not measured: docs/configs.md.
SIZES = ((32, "drifted32", {}), (64, "drifted64", {}), (128, "drifted128", {}))
LARGE = (256, "drifted128", {"data.resolution": 256, "model.backbone_size": 128})


def load(name: str, side: int, retrain: int) -> tuple[ConfigDict, str]:
    """Load another GAN for an experiment.

    Args:
        name: of a GAN's config, like "meowgan64" or "wgan512:dog"; or "auto".
        side: of what the classifier sees, in px.
        retrain: how many each class has.

    Returns:
        The GAN's config, and a sentence for the log.

    Raises:
        InputError: no such config, or one that is no GAN's.
    """
    values: dict[str, Any] = {}
    spec, line = name, f"GAN: {name}, by --gan"
    if name == AUTO:
        device = jax.default_backend()
        spec, values = choose(side, device)
    gan = loading.load(loading.find(spec, "--gan"))
    if gan.get("model") is None or gan.model.name not in loading.GANS:
        raise InputError(f"--gan must name a GAN's config, like refined64, or auto, got {spec}")
    gan.update_from_flattened_dict(values)
    if name == AUTO:
        line = (
            f"GAN: {spec} at {gan.data.resolution} px on features of "
            f"{gan.model.backbone}, chosen for a classifier of {side} px on {device}"
        )
        line += f"; {backbones.INSTALL} brings better features" * ("model.backbone" in values)
    gan.retrain = retrain
    return gan, line


def choose(side: int, device: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a GAN's config, and values that differ in it.

    Args:
        side: of what the classifier sees, in px.
        device: where the GAN trains, "cpu" or another; a CPU has no time for 256 px.
    """
    rows = SIZES if device == "cpu" else (*SIZES, LARGE)
    _, spec, values = next((row for row in rows if side <= row[0]), rows[-1])
    if not backbones.available(BACKBONE):
        values = {**values, "model.backbone": "random"}
    return spec, values
