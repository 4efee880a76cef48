"""A prepared set: shards of ArrayRecord and `dataset.json`, read as a source of images.

A record is a serialised tf.train.Example with `image`, `label` and `name`, so that
tensorflow-datasets reads the folder, too.
"""

import dataclasses
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from array_record.python.array_record_data_source import ArrayRecordDataSource
from jaxtyping import Int64, UInt8
from PIL import Image

from jaxgan.data import folder, groups
from jaxgan.data import images as transforms
from jaxgan.data.dataset import Dataset
from jaxgan.data.fingerprint import add_digest, start_fingerprint
from jaxgan.data.sources import discover
from jaxgan.data.tables import Tables
from jaxgan.data.tf_example import decode_example
from jaxgan.errors import FileError, InputError
from jaxgan.system import checked_files, machine

FORMAT = 1  # Of the folder; raised when older code could not read it.
INFO = "dataset.json"
PREVIOUS = ".previous.json"  # The last one, while the set is being replaced.
SIDES = ("train", "validation", "test")
Encoding = Literal["raw", "png", "webp", "jpeg"]


def before(path: str | os.PathLike) -> dict[str, Any] | None:
    """Return what a folder held when it was prepared last; also where a run broke off that replaces
    it.
    """
    for name in (INFO, PREVIOUS):
        if (Path(path) / name).is_file():
            return read_info(path, name)
    return None


def is_prepared(path: str | os.PathLike) -> bool:
    """Return whether it holds such a set, whole or damaged: other tools write a `dataset.json`,
    too.
    """
    folder, file = Path(path).expanduser(), Path(path).expanduser() / INFO
    if not file.is_file():
        return False
    return any(folder.glob("*.array_record*")) or b'"fingerprint"' in file.read_bytes()


def read_info(path: str | os.PathLike, name: str = INFO) -> dict[str, Any]:
    """`dataset.json` of a prepared set, checked.

    Raises:
        InputError: it is damaged, of a newer format, or does not say what its images are.
    """
    file = Path(path).expanduser() / name
    remedy = f"delete {file.parent} and prepare it again"
    try:
        info = json.loads(file.read_bytes())
        if info["format"] > FORMAT:
            raise InputError(f"{file} must have format {FORMAT} or older, got {info['format']}")
        names, labels, digests, sides = (
            info["pictures"][key] for key in ("name", "label", "digest", "side")
        )
        said = fingerprint(info["classes"], info["resolution"], names, labels, digests)
        held = sum(int(shard["pictures"]) for shard in info["shards"])
        if held != len(names) or len(sides) != len(names) or not set(sides) <= {0, 1, 2}:
            raise ValueError("its lists do not go together")
        if info["encoding"] not in get_args(Encoding) or len(info["fractions"]) != len(SIDES):
            raise ValueError("no such encoding or split")
    except InputError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        why = str(error)[:80] or type(error).__name__
        raise FileError(
            f"{file} must describe a prepared set, and is damaged ({why}): {remedy}"
        ) from error
    if said != info["fingerprint"]:
        raise FileError(
            f"{file} must have the fingerprint of its images, and has another: {remedy}"
        )
    if checked_files.checksum(info) != info.get(checked_files.CHECKSUM):
        raise FileError(f"{file} must be as it was written, and was changed: {remedy}")
    return info


def fingerprint(
    classes: Sequence[str],
    resolution: int,
    names: Iterable[str],
    labels: Iterable[int],
    digests: Iterable[str],
) -> str:
    """Return what `folder.read` gives for the same images, from the hex digests of their pixels."""
    digest = start_fingerprint(classes, resolution)
    for name, label, pixels in zip(names, labels, digests, strict=True):
        add_digest(digest, name, label, bytes.fromhex(pixels))
    return digest.hexdigest()


def check_shards(path: str | os.PathLike, info: dict[str, Any]) -> None:
    """Compare each shard with the size and SHA-256 that `dataset.json` has of it.

    Raises:
        InputError: naming the first that is missing or differs.
    """

    def differs(shard: dict) -> str | None:
        file = Path(path).expanduser() / shard["file"]
        if not file.is_file():
            return f"{file} is missing"
        if file.stat().st_size != shard["bytes"] or discover.checksum(file) != shard["sha256"]:
            return f"{file} differs"
        return None

    with ThreadPoolExecutor(machine.cores()) as threads:
        for what in threads.map(differs, info["shards"]):
            if what:
                raise FileError(
                    f"the shards must be those that {INFO} describes (else delete {path} and "
                    f"prepare it again), and {what}"
                )


def decode(data: bytes, encoding: Encoding, resolution: int) -> UInt8[np.ndarray, "r r 3"]:
    """Return the image of a record."""
    if encoding == "raw":
        return np.frombuffer(data, np.uint8).reshape(resolution, resolution, 3)
    with Image.open(io.BytesIO(data), formats=(encoding.upper(),)) as image:
        return np.asarray(image.convert("RGB"))


def read(
    path: str | os.PathLike,
    resolution: int,
    *,
    classes: Sequence[str] | None = None,
    in_memory: int | None = None,
    grouped: str | None = None,
    given_sides: str = "use",
) -> Dataset:
    """Read a prepared set, whose sides were decided when it was prepared.

    Args:
        path: the folder that `scripts/prepare.py` wrote.
        resolution: side of the square images; at most that of the set, which is reduced to it.
        classes: the classes wanted, in the order of their labels; None takes all.
        in_memory: as for `folder.read`.
        grouped: which images stay on one side, by their names; None: as the set was prepared.
        given_sides: "use": a GAN learns from train alone where folders gave the sides.

    Raises:
        InputError: a damaged set, a class that it does not have, or a larger resolution.
    """
    info = read_info(path)
    check_shards(path, info)
    own, encoding = info["resolution"], info["encoding"]
    if resolution > own:
        raise InputError(
            f"data.resolution must be at most that of the prepared set, {own}, got {resolution}"
        )
    names = folder.choose(info["classes"], classes)
    position = [names.index(name) if name in names else len(names) for name in info["classes"]]
    every = np.array(position, np.int32)[np.array(info["pictures"]["label"], np.int64)]
    # By class, in the order wanted: as a folder has them.
    records = np.argsort(every, kind="stable")[: int((every < len(names)).sum())]
    labels, sides = every[records], np.array(info["pictures"]["side"])
    paths = tuple(info["pictures"]["name"][i] for i in records)
    data = ArrayRecordDataSource(
        [str(Path(path).expanduser() / shard["file"]) for shard in info["shards"]]
    )

    def load(index: int) -> UInt8[np.ndarray, "r r 3"]:
        image = decode(decode_example(data[int(records[index])])["image"], encoding, own)
        return image if resolution == own else transforms.to_square(image, resolution, "stretch")

    found = Dataset(
        names,
        labels,
        paths,
        resolution,
        load=load,
        sides=sides[records],
        fractions=tuple(info["fractions"]),
        given=sides[records] if info.get("given_sides") and given_sides == "use" else None,
        groups=_grouped(info, grouped, paths, records, sides[records]),
    )
    size = len(found) * resolution**2 * 3
    if size <= (folder.memory_limit() if in_memory is None else in_memory):
        found = found.in_memory()
    digests = [info["pictures"]["digest"][i] for i in records]
    if resolution != own:
        digests = [transforms.digest(found.image(i)).hex() for i in range(len(found))]
    said = fingerprint(names, resolution, paths, labels.tolist(), digests)
    return dataclasses.replace(found, fingerprint=said)


def _grouped(
    info: dict[str, Any],
    rule: str | None,
    names: Sequence[str],
    records: Int64[np.ndarray, " n"],
    sides: Int64[np.ndarray, " n"],
) -> Int64[np.ndarray, " n"] | None:
    own = info["pictures"].get("group")
    if not rule:
        return None if own is None else np.array(own, np.int64)[records]
    if rule.startswith("column"):
        raise InputError(
            f"data.groups={rule} needs a table, which a prepared set has not: prepare it with "
            f"--groups={rule}"
        )
    of = groups.find(rule, names, Tables([], lambda name: b""))
    found = groups.numbered([of[name] for name in names])
    groups.check_sides(found, sides, names)
    return found


RecordSource = read  # As it was called before.


def tfds_files(info: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and texts of the files by which tensorflow-datasets knows the set."""
    r, encoding = info["resolution"], info["encoding"]
    if encoding == "webp":  # It has no such feature.
        return
    shape = {"dimensions": [str(r), str(r), "3"]}
    if encoding == "raw":
        image = {
            "pythonClassName": "tensorflow_datasets.core.features.tensor_feature.Tensor",
            "tensor": {"shape": shape, "dtype": "uint8", "encoding": "bytes"},
        }
    else:
        image = {
            "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
            "image": {"shape": shape, "dtype": "uint8", "encodingFormat": encoding},
        }
    label = {
        "pythonClassName": "tensorflow_datasets.core.features.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": str(len(info["classes"]))},
    }
    name = {
        "pythonClassName": "tensorflow_datasets.core.features.text_feature.Text",
        "text": {},
    }
    features = {
        "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
        "featuresDict": {"features": {"image": image, "label": label, "name": name}},
    }
    about = {
        "name": "pictures",
        "version": "1.0.0",
        "fileFormat": "array_record",
        "splits": [
            {
                "name": "full",  # "all" is tensorflow-datasets' own.
                "shardLengths": [str(shard["pictures"]) for shard in info["shards"]],
                "numBytes": str(sum(shard["bytes"] for shard in info["shards"])),
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        ],
    }
    yield "features.json", json.dumps(features, indent=2) + "\n"
    yield "dataset_info.json", json.dumps(about, indent=2) + "\n"
    yield "label.labels.txt", "\n".join(info["classes"]) + "\n"
