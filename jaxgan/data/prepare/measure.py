"""What there is to know of the pixels of images: for the doctor, and for the set as a whole."""

import numpy as np
from PIL import Image

from jaxgan.data import channel_stats, outliers, quality
from jaxgan.data import images as transforms
from jaxgan.data.prepare.decode import Options, Row, Square

AT_ONCE = 16  # Images that are looked at together: what is made of them fits a core's cache.
BYTES_AT_ONCE = 2**24  # Of decoded pixels, at most.


class Seen:
    """What was seen of images, a few of which wait until they are looked at together."""

    def __init__(self, options: Options):
        self._options = options
        self._waiting: list[tuple[Row, Image.Image, list[Square]]] = []
        self._bytes = 0
        self._found: dict[str, list[np.ndarray]] = {}

    def add(self, row: Row, picture: Image.Image, cut: list[Square]) -> None:
        self._waiting.append((row, picture, cut))
        self._bytes += 3 * picture.width * picture.height + sum(len(s.pixels) for s in cut)
        if len(self._waiting) == AT_ONCE or self._bytes > BYTES_AT_ONCE:
            self._look()

    def arrays(self) -> dict[str, np.ndarray]:
        """Of all that were added, in order."""
        if self._waiting:
            self._look()
        none = {
            "vectors": np.zeros((0, transforms.OUTLINES), np.float16),
            "descriptors": np.zeros((0, outliers.NUMBERS), np.float32),
            "moments": np.zeros((0, 6 * len(self._options.resolutions))),
            **{name: np.zeros(0) for name in quality.Measures._fields},
        }
        return {
            name: np.concatenate(self._found.get(name) or [array]) for name, array in none.items()
        }

    def _look(self) -> None:
        at_each = [
            np.frombuffer(b"".join(cut[k].pixels for _, _, cut in self._waiting), np.uint8)
            .reshape(len(self._waiting), resolution, resolution, 3)
            for k, resolution in enumerate(self._options.resolutions)
        ]  # fmt: skip
        sums = [channel_stats.sums(pictures).reshape(len(pictures), 6) for pictures in at_each]
        found = {"moments": np.concatenate(sums, axis=1)}
        if self._options.doctor:
            first = at_each[0]
            images = [cut[0].image for _, _, cut in self._waiting]
            grays = np.stack([transforms.reduced(image) for image in images])
            found["vectors"] = transforms.outlines_of(grays).astype(np.float16)
            found["descriptors"] = outliers.descriptors(np.stack([*map(outliers.seen, first)]))
            found |= self._measures(first)._asdict()
        for name, array in found.items():
            self._found.setdefault(name, []).append(array)
        self._waiting, self._bytes = [], 0

    def _measures(self, first: np.ndarray) -> quality.Measures:
        """Of the images as they were decoded, those of one size at once."""
        found = np.zeros((3, len(first)))
        of_size: dict[tuple[int, int], list[int]] = {}
        for i, (_, picture, _) in enumerate(self._waiting):
            of_size.setdefault(picture.size, []).append(i)
        for some in of_size.values():
            same = [self._waiting[i] for i in some]
            arrays = [
                first[i] if cut[0].whole else np.asarray(picture)
                for i, (_, picture, cut) in zip(some, same, strict=True)
            ]
            pictures = np.stack(arrays) if len(arrays) > 1 else arrays[0][None]
            found[:, some] = quality.measure(pictures, [self._scale(row, p) for row, p, _ in same])
        # What was enlarged is blurred as it is, but may be sharp at the resolution wanted.
        cut = [i for i, (_, _, squares) in enumerate(self._waiting) if not squares[0].whole]
        if cut:
            found[1, cut] = np.maximum(found[1, cut], quality.sharpness(first[cut] @ quality.GRAY))
        return quality.Measures(*found)

    def _scale(self, row: Row, picture: Image.Image) -> float:
        return 1.0 if self._options.align else min(row.width, row.height) / min(picture.size)
