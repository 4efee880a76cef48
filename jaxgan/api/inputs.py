"""Images as a caller has them, as a folder."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.engine import log
from jaxgan.errors import InputError


def as_folder(images: Any, place: Path) -> str:
    """Return a folder with the images: itself, or one of links to files or of an array's images."""
    if isinstance(images, str | Path) and not Path(images).expanduser().is_file():
        return str(images)
    place.mkdir(parents=True, exist_ok=True)
    if isinstance(images, str | Path):
        images = [images]
    if isinstance(images, np.ndarray):
        if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not len(images):
            raise InputError(
                f"an array of images must be uint8 [n, h, w, 3], got {images.dtype} "
                f"{list(images.shape)}"
            )
        for i, image in enumerate(images):
            (place / f"{i:08d}.png").write_bytes(log.png(image))
        return str(place)
    for i, file in enumerate(images):
        source = Path(file).expanduser().resolve()
        if not source.is_file():
            raise InputError(f"{file} must be an image file, and it is none")
        (place / f"{i:08d}_{source.name}").symlink_to(source)
    return str(place)


def called(name: str, folder: str, images: Any) -> str:
    """Return an image's name: as given, or within its folder, or its number in an array."""
    own = name.removeprefix(f"{Path(folder).name}/")  # A plain folder is read as a class.
    if str(images) == folder:
        return own
    if isinstance(images, str | Path):
        return str(images)
    number = int(own[:8])
    return str(number if isinstance(images, np.ndarray) else images[number])
