"""What stands for a set of images: a hash over classes, resolution, names, labels and pixels."""

import hashlib
from collections.abc import Sequence

import numpy as np

from jaxgan.data import images


def start_fingerprint(classes: Sequence[str], resolution: int) -> "hashlib._Hash":
    """Begin the digest to which `add_to_fingerprint` adds each image, in order."""
    return hashlib.sha256(repr((tuple(classes), resolution)).encode())


def add_to_fingerprint(digest: "hashlib._Hash", name: str, label: int, image: np.ndarray) -> None:
    """Add one more image: its name, label and pixels."""
    add_digest(digest, name, label, images.digest(image))


def add_digest(digest: "hashlib._Hash", name: str, label: int, pixels: bytes) -> None:
    """Add an image whose `images.digest` is at hand."""
    digest.update(repr((name, int(label))).encode() + pixels)
