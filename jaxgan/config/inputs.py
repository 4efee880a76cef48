"""The images that a config's `data` section names."""

from jaxgan.config.settings import PCAData, TrainingData
from jaxgan.data import loader, ranges
from jaxgan.data.folder import Source
from jaxgan.errors import InputError
from jaxgan.system import paths


def open_source(
    data: TrainingData | PCAData, seed: int = 0, scale: ranges.Scale | None = None
) -> Source:
    """Return the images of a config's `data` section.

    Args:
        data: the section.
        seed: chooses the images where there is a limit.
        scale: of gray values beyond 8 bits; None: that of these images.
    """
    if not loader.exists(data.path):
        raise InputError(
            f"data.path must be a folder of images, or toy for drawn ones, and {data.path} does "
            f"not exist: --config.data.path=DIR sets it{paths.near(data.path)}"
        )
    return loader.open_source(
        data.path,
        data.resolution,
        classes=data.classes or None,
        crop=data.crop,
        on_error=data.on_error,
        count=data.limit,
        seed=seed,
        given_sides=data.given_sides,
        reading=data.layout,
        grouped=data.groups,
        scale=scale,
    )
