"""Images as a caller has them, as a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from jaxgan.engine import log
from jaxgan.errors import InputError


def as_folder(images: Any, place: Path) -> str:
    """Return a folder with the images: itself, or one of links to files and of images in memory."""
    if isinstance(images, str | Path) and not Path(images).expanduser().is_file():
        return str(images)
    place.mkdir(parents=True, exist_ok=True)
    if isinstance(images, np.ndarray) and images.ndim != 4:
        raise _no_images(images)
    if isinstance(images, str | Path | Image.Image):
        images = [images]
    if not len(images):
        raise InputError("there must be images, got none")
    for i, one in enumerate(images):
        if isinstance(one, str | Path):
            source = Path(one).expanduser().resolve()
            if not source.is_file():
                raise InputError(f"{one} must be an image file, and it is none")
            (place / f"{i:08d}_{source.name}").symlink_to(source)
        else:
            (place / f"{i:08d}.png").write_bytes(log.png(_pixels(one)))
    return str(place)


def _pixels(image: Any) -> UInt8[np.ndarray, "h w 3"]:
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    if not isinstance(image, np.ndarray):
        raise InputError(f"images must be files, arrays or Pillow's, got {type(image).__name__}")
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise _no_images(image[None])
    return image


def _no_images(images: np.ndarray) -> InputError:
    return InputError(
        f"an array of images must be uint8 [n, h, w, 3], got {images.dtype} {list(images.shape)}"
    )


def called(name: str, folder: str, images: Any) -> str:
    """Return an image's name: as given, or within its folder, or its number among several."""
    own = name.removeprefix(f"{Path(folder).name}/")  # A plain folder is read as a class.
    if str(images) == folder:
        return own
    if isinstance(images, str | Path):
        return str(images)
    number = int(own[:8])
    one = None if isinstance(images, np.ndarray | Image.Image) else images[number]
    return str(one if isinstance(one, str | Path) else number)


def unused(images: Any, names: Sequence[str], unreadable: Sequence[tuple[str, str]]) -> list[str]:
    """Return the files of a list that are not read as images: what they are called is none.

    Args:
        images: as given.
        names: of what was read, as they are `called`.
        unreadable: of what was not, which was told.
    """
    if isinstance(images, str | Path | np.ndarray | Image.Image):
        return []
    files = [str(one) for one in images if isinstance(one, str | Path)]
    damaged = {Path(name).name[9:] for name, _ in unreadable}
    return [file for file in files if file not in names and Path(file).name not in damaged]
