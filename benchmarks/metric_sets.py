"""Real pictures, and what becomes of them, as the metrics see them: features computed once, kept."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from jaxgan.data import loader, splits, transforms
from jaxgan.metrics import features as nets
from jaxgan.metrics.copies import View

Images = np.ndarray  # uint8 [n, h, w, 3]


def read_pool(folder: str, count: int, seed: int = 0) -> Images:
    """So many pictures of a folder, in random order, no two of which are near copies."""
    source = loader.open_source(folder, 64)
    first = np.unique(splits.near_duplicates(source).group)
    drawn = np.random.default_rng(seed).permutation(first)[:count]
    return np.stack([source[int(i)]["image"] for i in drawn])


def _each(change: Callable[[Image.Image], Image.Image]) -> Callable[[Images], Images]:
    return lambda images: np.stack([np.asarray(change(Image.fromarray(x))) for x in images])


def blurred(radius: float) -> Callable[[Images], Images]:
    return _each(lambda image: image.filter(ImageFilter.GaussianBlur(radius)))


def noisy(deviation: float) -> Callable[[Images], Images]:
    """Gaussian, in gray levels."""

    def change(images: Images) -> Images:
        noise = np.random.default_rng(0).normal(0, deviation, images.shape)
        return (images + noise).round().clip(0, 255).astype(np.uint8)

    return change


def encoded(quality: int) -> Callable[[Images], Images]:
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
    """A fifth of the picture over the mean of all."""
    return (0.8 * images.mean(axis=0) + 0.2 * images).round().astype(np.uint8)


class Sets:
    """The pool's pictures and changed ones, as VGG16 and the outlines see them.

    Args:
        pool: the pictures.
        folder: where features are kept.
    """

    def __init__(self, pool: Images, folder: Path):
        self.pool, self._folder = pool, folder
        self._net = nets.vgg16(pool.shape[1])
        folder.mkdir(parents=True, exist_ok=True)

    def view(self, images: Images) -> View:
        key = hashlib.blake2b(np.ascontiguousarray(images).data, digest_size=12).hexdigest()
        file = self._folder / f"{key}.npz"
        if not file.exists():
            outlines = np.stack([transforms.outlines(image) for image in images])
            np.savez(file, features=nets.extract(self._net, images), outlines=outlines)
        with np.load(file) as found:
            return View(found["features"], found["outlines"])

    def both(self, images: Images) -> list[View]:
        """As they are, and mirrored."""
        return [self.view(images), self.view(mirrored(images))]
