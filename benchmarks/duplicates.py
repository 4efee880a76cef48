"""Are copies found, and different images left alone? By the split's rule and by the guard's.

    python benchmarks/duplicates.py --animals DIR --faces DIR [--digits FILE] --results FILE

DIR holds photographs, in class folders or not: 300 and more animals, 3,000 and more faces of one
kind, aligned. FILE of `--digits` is scikit-learn's `digits.csv.gz`. One JSON object a line:
`split`, copies that `duplicates` finds among 300 photographs and their copies; `guard`, changed
copies that `leaks` finds among others; `false`, pairs and groups of images that are different:
less those that both a quarter of the distance of different faces and a look at `--sheet` call the
same photograph. Lines that the file of `--results` already has are not measured again.

The thresholds of `duplicates` and `leaks` were chosen on such a choice of images. `--other`
measures on those of DIR that it left out, where there are enough; benchmarks/results has what
`--other --most 600 4500 200` gave on 1,200 faces of pets and 20,373 of cats.
"""

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from jaxgan.data import changed_copies, duplicates, images, walk

SIDE = 64
RESAMPLE = Image.Resampling.LANCZOS


class Images:
    """A source of images in memory."""

    def __init__(self, images):
        self.images, self.classes, self.resolution = np.stack(images), ("all",), SIDE
        self.labels = np.zeros(len(self.images), np.int32)
        self.names = tuple(map(str, range(len(self.images))))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": self.labels[index]}


def encoded(im: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    im.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def halved(im: Image.Image) -> Image.Image:
    return im.resize((im.width // 2, im.height // 2), RESAMPLE).resize(im.size, RESAMPLE)


def drawn_over(im: Image.Image, *box: float, **how) -> Image.Image:
    im = im.copy()
    ImageDraw.Draw(im).rectangle([round(x * im.width) for x in box], **how)
    return im


def cropped(im: Image.Image, share: float) -> Image.Image:
    edge = int(im.width * share)
    return im.crop((edge, edge, im.width - edge, im.height - edge))


COPIES = {
    "jpeg 30": lambda im: encoded(im, 30),
    "jpeg 75": lambda im: encoded(im, 75),
    "half size": halved,
    "brighter": lambda im: ImageEnhance.Brightness(im).enhance(1.2),
    "gray": lambda im: im.convert("L").convert("RGB"),
    "half size, brighter, jpeg 50": lambda im: encoded(
        ImageEnhance.Brightness(halved(im)).enhance(1.1), 50
    ),
}
CHANGES = {
    "identical": lambda im: im,
    "brighter": lambda im: ImageEnhance.Brightness(im).enhance(1.2),
    "mirrored": lambda im: im.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "rotated 90": lambda im: im.transpose(Image.Transpose.ROTATE_90),
    "upside down": lambda im: im.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    "rotated 5 degrees": lambda im: im.rotate(5),
    "cropped 5 % a side": lambda im: cropped(im, 0.05),
    "shifted 5 %": lambda im: im.transform(
        im.size, Image.Transform.AFFINE, (1, 0, im.width * 0.05, 0, 1, 0)
    ),
    "captioned": lambda im: drawn_over(im, 0, 0.88, 1, 1, fill="white"),
    "framed": lambda im: drawn_over(im, 0, 0, 0.999, 0.999, outline="white", width=im.width // 16),
    "inverted": lambda im: Image.eval(im, lambda value: 255 - value),
}


def photographs(folder: str, most: int, other: bool = False) -> list[Image.Image]:
    """So many of a folder, spread over it, as squares; or of those that this leaves out."""
    files = sorted(f for f in Path(folder).rglob("*") if f.suffix.lower() in walk.EXTENSIONS)
    chosen = _spread(files, most)
    if other and len(files) > 2 * most:
        chosen = _spread(sorted(set(files) - set(chosen)), most)
    return [Image.fromarray(images.crop_square(images.open_picture(f))) for f in chosen]


def _spread(files: list[Path], most: int) -> list[Path]:
    return [files[i] for i in np.linspace(0, len(files) - 1, min(most, len(files))).astype(int)]


def small(im: Image.Image) -> np.ndarray:
    return np.asarray(im.convert("RGB").resize((SIDE, SIDE), RESAMPLE))


class Results:
    """A file of lines; those that it has are not measured again."""

    def __init__(self, file: Path):
        self.file = file
        lines = file.read_text().splitlines() if file.is_file() else []
        self.known = {self._key(json.loads(line)) for line in lines}

    def add(self, measure: Callable[[], dict], **line: str) -> None:
        if self._key(line) in self.known:
            return
        start = time.monotonic()
        text = json.dumps(line | measure() | {"seconds": round(time.monotonic() - start, 1)})
        print(text, flush=True)
        with open(self.file, "a") as file:
            file.write(text + "\n")

    def _key(self, line: dict) -> tuple:
        return tuple(line.get(name) for name in ("figure", "set", "change", "detector"))


def split(results: Results, called: str, images: list[Image.Image]) -> None:
    own = [small(im) for im in images]

    def measure(change: Callable) -> dict:
        copies = [small(change(im)) for im in images]
        found = duplicates.near_duplicates(Images(own + copies))
        alike = found.group[: len(own)] == found.group[len(own) :]
        wrong = len(own) - len(np.unique(found.group))
        return {"recall": round(float(alike.mean()), 4), "wrong": wrong}

    for name, change in COPIES.items():
        results.add(lambda change=change: measure(change), figure="split", set=called, change=name)


def guard(
    results: Results, called: str, images: list[Image.Image], others: list[Image.Image]
) -> None:
    held_out, rest = Images([*map(small, images)]), [*map(small, others)]

    def measure(change: Callable) -> dict:
        copies = [small(change(im)) for im in images]
        found = changed_copies.find(Images(rest + copies), held_out)
        right = sum(a - len(rest) == b for a, b in found.pairs.tolist())
        return {"found": right, "of": len(images), "wrong": len(found.pairs) - right}

    for name, change in CHANGES.items():
        results.add(lambda change=change: measure(change), figure="guard", set=called, change=name)


def distinct(images: list[np.ndarray], most: int) -> list[np.ndarray]:
    """No two of which have details, as they are or mirrored, that are a copy's."""
    views = [
        np.stack([duplicates.detail(np.ascontiguousarray(im[:, ::step])) for im in images])
        for step in (1, -1)
    ]
    alike = np.maximum(views[0] @ views[0].T, views[0] @ views[1].T)
    return [images[i] for i in np.flatnonzero(np.tril(alike, -1).max(axis=1) < 0.75)[:most]]


def false(results: Results, called: str, images: list[np.ndarray], sheet: str | None) -> None:
    """Of images that are different, 3 in 10 are held out."""

    def of_split() -> dict:
        found = duplicates.near_duplicates(Images(images))
        grouped = len(images) - len(np.unique(found.group))
        return {"grouped": grouped, "of": len(images), "rule": found.rule}

    def of_guard() -> dict:
        order = np.random.default_rng(0).permutation(len(images))
        learned, held_out = np.split(order, [len(images) * 7 // 10])
        ours, theirs = ([images[i] for i in part] for part in (learned, held_out))
        found = changed_copies.find(Images(ours), Images(theirs))
        if sheet and len(found.pairs):
            rows = [np.concatenate([ours[a], theirs[b]], axis=1) for a, b in found.pairs]
            Image.fromarray(np.concatenate(rows)).save(f"{sheet}-{called}.png")
        return {
            "pairs": len(found.pairs),
            "of": len(theirs),
            "ordinary": round(found.ordinary, 3),
        }

    results.add(of_split, figure="false", set=called, detector="split")
    results.add(of_guard, figure="false", set=called, detector="guard")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--animals", required=True)
    parser.add_argument("--faces", required=True)
    parser.add_argument("--digits")
    parser.add_argument("--results", required=True, type=Path)
    parser.add_argument("--other", action="store_true", help="Images that were not chosen by.")
    parser.add_argument("--most", nargs=3, type=int, default=(2000, 4500, 300), metavar="N")
    parser.add_argument("--sheet", help="Start of the names of PNG files with the false pairs.")
    options = parser.parse_args()
    results = Results(options.results)
    most_animals, most_faces, count = options.most
    animals = photographs(options.animals, most_animals, options.other)
    faces = photographs(options.faces, most_faces, options.other)
    chosen = np.random.default_rng(1).permutation(len(animals))
    some, others = ([animals[i] for i in part] for part in (chosen[:count], chosen[count:]))
    split(results, "animals", some)
    split(results, "faces", faces[:count])
    guard(results, "animals", some, others)
    false(results, "animals", distinct([*map(small, animals)], 2000), options.sheet)
    false(results, "faces", distinct([*map(small, faces)], 3000), options.sheet)
    if options.digits:
        table = np.loadtxt(options.digits, delimiter=",")[:, :-1].reshape(-1, 8, 8)
        grays = (16 * table).clip(0, 255).astype(np.uint8)
        false(results, "digits", [small(Image.fromarray(gray)) for gray in grays], options.sheet)


if __name__ == "__main__":
    main()
