"""The class of each image: by the folder that it lies in, a table, or the files' names."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from jaxgan.data.tables import BESIDE, Tables, match

IMAGES = {"images", "image", "imgs", "img", "jpegimages"}
MASKS = {"masks", "mask", "segmentationclass", "segmentations", "groundtruth", "ground_truth"}


def instead(reading: str) -> str:
    """Return the setting that chooses another reading; of `scripts/prepare.py` it is --layout."""
    return f"data.layout={reading}"


def classes_of(paths: Sequence[str], depth: int, look: "Look") -> dict[str, str]:
    """Return the class of each image; nothing where there is one class only, without a name."""
    root, tops = look.folder(paths, depth), look.tops(paths, depth)
    direct = tops.pop("", [])
    low = {name.lower(): name for name in tops}
    images = [low[name] for name in low if name in IMAGES]
    numbered = all(re.fullmatch(r"\d{5}", name) for name in tops)
    strong = not tops or len(tops) == 1 or numbered or (images and len(tops) == 1)
    if found := look.table(root, paths, strong=bool(strong)):
        return found
    if numbered and tops and look.tables.without_labels(root):
        look.told.append(
            "dataset.json has no labels: its folders are numbers, and all is one class"
        )
        return {}
    if len(images) == 1 and len(tops) > 1 and all(n in MASKS for n in low if n not in IMAGES):
        masks = sorted(set(tops) - set(images))
        n = sum(len(tops[name]) for name in masks)
        look.told.append(
            f"left out {n} images in {', '.join(masks)}: masks of {images[0]} "
            f"({instead('folders')} takes them as classes)"
        )
        return dict.fromkeys(tops[images[0]], images[0])
    if tops:
        others = sorted(name for name in tops if name.lower() not in IMAGES)
        if images and others:
            look.told.append(
                f"{images[0]} is the name of no class, and is read as one beside "
                f"{', '.join(others[:3])}: {instead('one')} takes all as one class"
            )
        look.left_out += direct
        return {path: name for name, files in tops.items() for path in files}
    if found := look.beside(direct):
        return found
    if found := prefixes(direct):
        names = ", ".join(sorted(set(found.values())))
        look.told.append(
            f"the classes {names} are those that the files' names begin with "
            f"({instead('one')} takes all as one class)"
        )
        return found
    unknown = look.tables.unknown(root)
    if unknown:
        look.told.append(
            f"not used: {'; '.join(unknown[:3])}: a table of classes needs columns like file,label"
        )
    elif look.alike(direct):
        look.told.append(
            "all images are one class: for more, put each class in a folder of its own, call "
            "the files like cat.0.jpg, or add labels.csv with the columns file,label"
        )
    return {}


def prefixes(paths: Iterable[str]) -> dict[str, str] | None:
    """Classes by names like `cat.0.jpg`: all of them, two prefixes, two images of each."""
    found = {}
    for path in paths:
        match = re.fullmatch(r"([^\W\d].*?)[._\- ]+\d+\.\w+", path.rpartition("/")[2])
        if match is None:
            return None
        found[path] = match[1]
    counts = Counter(found.values())
    return found if len(counts) > 1 and min(counts.values()) > 1 else None


class Look:
    """What folders, tables and names say.

    Attributes:
        tables: of the other files.
        parts: the folders and the name of each path.
        told: what is logged of it.
        used: tables that gave classes.
        left_out: images beside the class folders.
    """

    def __init__(self, paths: Iterable[str], tables: Tables):
        self.tables, self.parts = tables, {path: path.split("/") for path in paths}
        self.told: list[str] = []
        self.used: list[str] = []
        self.left_out: list[str] = []

    def folder(self, paths: Sequence[str], depth: int) -> str:
        """Return the folder of so many parts that holds all of these."""
        return "/".join(self.parts[paths[0]][:depth])

    def tops(self, paths: Iterable[str], depth: int) -> dict[str, list[str]]:
        """Return the files of each folder at this depth; "" has those that lie in none."""
        found: dict[str, list[str]] = {}
        for path in paths:
            split = self.parts[path]
            found.setdefault(split[depth] if len(split) > depth + 1 else "", []).append(path)
        return found

    def beside(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the class of each image, by a file beside it."""
        found = self.tables.beside(paths)
        self.used += [os.path.splitext(path)[0] + BESIDE for path in found]
        if found:
            self.told.append(f"the classes are those of the {BESIDE} files beside the images")
            self._missing(paths, found, f"a {BESIDE} file")
        return found

    def _missing(self, paths: Sequence[str], found: dict[str, str], where: str) -> None:
        if without := [path for path in paths if path not in found]:
            count = f"{len(without):,} image{'s' * (len(without) > 1)}"
            self.told.append(f"left out {count} without a label in {where}, {without[0]} the first")

    def alike(self, paths: Iterable[str]) -> bool:
        """Return whether several names start with letters: classes may have been meant."""
        starts = Counter(re.match(r"[^\W\d]*", p.rpartition("/")[2])[0] for p in paths)  # type: ignore
        return sum(n > 1 for start, n in starts.items() if start) > 1

    def table(self, folder: str, paths: Sequence[str], strong: bool = True) -> dict[str, str]:
        """Return the class of each image below `folder`, by the table there."""
        tables = self.tables.with_labels(folder)
        if not tables:
            return {}
        name = next((t for t in tables if t.rpartition("/")[2].startswith("metadata.")), tables[0])
        rows = self.tables.rows(name) or []
        if not strong and not name.rpartition("/")[2].startswith("metadata."):
            of = {p.rpartition("/")[2]: p.removeprefix(f"{folder}/").split("/")[0] for p in paths}
            if any(of.get(f.rpartition("/")[2], label) != label for _, f, label in rows):
                self.told.append(
                    f"{name} gives other classes than the folders: the folders are used; to use "
                    f"the table: {instead('table')}"
                )
            return {}
        if len(tables) > 1:
            self.told.append(f"{len(tables)} tables have labels: {name} is used")
        found = match(name, rows, folder, paths, "label")
        self.used.append(name)
        self.told.append(f"the classes are those of {name}")
        self._missing(paths, found, name)
        return found
