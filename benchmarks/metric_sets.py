"""Real images, and what becomes of them, as the metrics see them; features are kept in files."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from jaxgan.data import images as transforms
from jaxgan.data import loader, splits
from jaxgan.metrics import features as nets
from jaxgan.metrics.memorization import View

Images = np.ndarray  # uint8 [n, h, w, 3]
Change = Callable[[Images], Images]
CHUNK = 1000  # Images in a file.


def read_pool(folder: str, count: int, resolution: int = 64, seed: int = 0) -> Images:
    """So many images of a folder, in random order, no two of which are near copies."""
    source = loader.open_source(folder, resolution)
    first = np.unique(splits.near_duplicates(source).group)
    drawn = np.random.default_rng(seed).permutation(first)[:count]
    return np.stack([source[int(i)]["image"] for i in drawn])


class Viewer:
    """VGG16's features and the outlines of images, computed once.

    Args:
        folder: where they are kept, by the images' pixels.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def view(self, images: Images) -> View:
        chunks = [self._chunk(images[i : i + CHUNK]) for i in range(0, len(images), CHUNK)]
        return View(*(np.concatenate(parts) for parts in zip(*chunks, strict=True)))

    def both(self, images: Images) -> list[View]:
        """As they are, and mirrored."""
        return [self.view(images), self.view(mirrored(images))]

    def _chunk(self, images: Images) -> View:
        key = hashlib.blake2b(np.ascontiguousarray(images).data, digest_size=12).hexdigest()
        file = self._folder / f"{key}.npz"
        if not file.exists():
            outlines = np.stack([transforms.outlines(image) for image in images])
            net = nets.vgg16(nets.input_size(images.shape[1]))
            np.savez(file, features=nets.extract(net, images), outlines=outlines)
        with np.load(file) as found:
            return View(found["features"], found["outlines"])


def _each(change: Callable[[Image.Image], Image.Image]) -> Change:
    return lambda images: np.stack([np.asarray(change(Image.fromarray(x))) for x in images])


def blurred(radius: float) -> Change:
    """By a Gaussian of this deviation in px."""
    return _each(lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def noisy(deviation: float) -> Change:
    """With Gaussian noise, in gray levels."""

    def change(images: Images) -> Images:
        noise = np.random.default_rng(0).normal(0, deviation, images.shape)
        return (images + noise).round().clip(0, 255).astype(np.uint8)

    return change


def encoded(quality: int) -> Change:
    """As JPEG."""

    def change(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer)

    return _each(change)


def mirrored(images: Images) -> Images:
    return np.ascontiguousarray(images[:, :, ::-1])


def shifted(images: Images) -> Images:
    """By one pixel to the right, the first column twice."""
    return np.concatenate([images[:, :, :1], images[:, :, :-1]], axis=2)


def foggy(images: Images) -> Images:
    """Return a fifth of each image over the mean of all."""
    return (0.8 * images.mean(axis=0) + 0.2 * images).round().astype(np.uint8)
