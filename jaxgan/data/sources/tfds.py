"""The images of a set of tensorflow-datasets, as `discover` has those of a folder; no TensorFlow.

tensorflow-datasets reads sets in the format array_record without it. To prepare a set, which is
done once, some need it all the same: those that encode images themselves.
"""

import contextlib
import difflib
import functools
import io
import os
import socket
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import UInt8

from jaxgan.data import layout
from jaxgan.data.sources.entries import EXTENSION, Entries, Entry, Files
from jaxgan.errors import InputError
from jaxgan.system.paths import TFDS
from jaxgan.system.terminal import printable

SKIP = tfds.decode.SkipDecoding()
AT_ONCE = 64  # Records that are read together.


class _Set(NamedTuple):
    """A prepared set, opened."""

    features: Any  # A FeaturesDict of the image and, where there is one, the label.
    image: str  # Names of the features.
    label: str | None
    splits: dict[str, Sequence[bytes]]  # Records, unparsed, by split.


def find(
    source: str, *, flag: str = "--source", reading: str = "auto", grouped: str | None = None
) -> Files:
    """Return all images of a set, of all its splits; it is downloaded and prepared where it is not
    yet.

    An image is named like "cat/train-000123.jpg", by class, split and position. Classes without an
    image are left out, and so are images that are marked as having no label. Without a feature
    for labels, all are of one class, named like the set; labels without names become "0", "1" ...

    Args:
        source: "tfds:" and NAME, NAME/CONFIG:VERSION or a folder that holds a prepared set. Names
            are looked for in $TFDS_DATA_DIR or else in ~/tensorflow_datasets.
        flag: that named it.
        reading: "auto": the set itself says what the classes are.
        grouped: None: its images have no paths or columns to group them by.

    Returns:
        `Files` whose root is "tfds:" and the folder of the set.

    Raises:
        InputError: no such set; one that cannot be downloaded or read, or not without TensorFlow;
            one without images or with several in an example.
    """
    if grouped or reading != "auto":
        what = f"groups={grouped}" if grouped else f"layout={reading}"
        raise InputError(
            f"data.{what} must be of a folder or an archive, and {flag} names {source}, which "
            f"tensorflow-datasets lays out"
        )
    _open.cache_clear()  # It may have been prepared anew.
    builder = _builder(source.removeprefix(TFDS))
    folder = os.path.abspath(builder.data_dir)
    changed = (Path(folder) / "dataset_info.json").stat().st_mtime_ns
    try:
        opened = _open(folder)
        found = [
            (value, split, i, extension, size)
            for split, records in enumerate(opened.splits.values())
            for i, (value, extension, size) in enumerate(_look(opened, records))
        ]
    except InputError:
        raise
    except Exception as error:  # Of a damaged shard, nearly anything.
        raise InputError(
            f"every shard must be readable, and of {folder}: {_plain(error)}"
        ) from error
    labelled = [each for each in found if each[0] >= 0]
    if not labelled:
        raise InputError(f"{flag} must hold images, and {source} has none with a label")
    values = sorted({each[0] for each in labelled})
    names = [printable(name) for name in _names(builder, opened, values)]
    entries = []
    for value, split, i, extension, size in sorted(labelled):
        label = values.index(value)
        kind, records = list(opened.splits.items())[split]
        width = max(6, len(str(len(records) - 1)))
        name = f"{names[label].replace('/', '_')}/{kind}-{i:0{width}}{extension}"
        entries.append(Entry(name, label, (split, i), size, changed))
    left_out = Counter({"without a label": len(found) - len(labelled)})
    sides, told = layout.named_sides(list(opened.splits))
    given = sides and tuple(sides[split] for _, split, *_ in sorted(labelled))
    every = Entries(entries)
    return Files(TFDS + folder, tuple(names), every, +left_out, told=told, given=given)


def read(root: str, place: tuple[int, int]) -> bytes:
    """Return the bytes of an image file: as the set has them, or those of a PPM where it has
    arrays.

    Args:
        root: of `find`.
        place: positions of the split and, in it, of the image.
    """
    opened = _open(root.removeprefix(TFDS))
    split, i = place
    return _file(_parse(opened, list(opened.splits.values())[split][i])[opened.image])


def _builder(name: str) -> Any:
    """Return the builder of a set that is prepared, after the call if not before."""
    if os.path.isfile(os.path.join(os.path.expanduser(name), "dataset_info.json")):
        return _quietly(name, tfds.builder_from_directory, os.path.expanduser(name))
    try:
        builder = _quietly(name, tfds.builder, name, data_dir=os.environ.get("TFDS_DATA_DIR"))
    except tfds.core.registered.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        near = difflib.get_close_matches(name.partition("/")[0].partition(":")[0], known)
        hint = f" (near it: {', '.join(near)})" if near else ""
        raise InputError(
            f"tfds: must be followed by the name of a set of tensorflow-datasets or by the folder "
            f"of a prepared one, got {name!r}{hint}"
        ) from error
    if not builder.is_prepared():
        _keys(name, builder)
        _check_network(name, builder)
        _quietly(name, builder.download_and_prepare, file_format="array_record")
    return builder


def _quietly(name: str, call: Any, *args: Any, **kwargs: Any) -> Any:
    """Call tensorflow-datasets; what goes wrong becomes a sentence.

    It prints much, and its errors are of all classes.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return call(*args, **kwargs)
    except tfds.core.registered.DatasetNotFoundError:
        raise
    except Exception as error:
        if "No module named 'tensorflow'" in str(error):
            raise InputError(
                f"the set must be prepared once, as array_record, by a Python that has TensorFlow, "
                f"as tensorflow-datasets cannot prepare it without: {name}"
            ) from error
        raise InputError(
            f"tensorflow-datasets must give the set {name}, and does not: {_plain(error)}"
        ) from error


def _check_network(name: str, builder: Any) -> None:
    """Say at once what tensorflow-datasets says after minutes of trying."""
    if urllib.request.getproxies():
        return
    hosts = {urllib.parse.urlsplit(url).hostname for url in builder.url_infos or ()}
    for host in sorted(filter(None, hosts)):
        try:
            socket.getaddrinfo(host, 443)
        except OSError as error:
            raise InputError(
                f"the set {name} must be downloaded, as {builder.data_dir} does not hold it, and "
                f"{host} cannot be reached"
            ) from error


def _plain(error: Exception) -> str:
    """Return the error without tensorflow-datasets' prefix, in a line."""
    words = " ".join(str(error).rpartition('}": ')[2].split())
    return words[:300] or type(error).__name__


@functools.lru_cache(4)
def _open(folder: str) -> _Set:
    builder = tfds.builder_from_directory(folder)
    image, label = _keys(folder, builder)
    try:
        splits = builder.as_data_source(
            deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES,
            file_format="array_record",
        )
    except (NotImplementedError, ValueError) as error:
        form = builder.info.file_format
        raise InputError(
            f"a set must be prepared as array_record to be read without TensorFlow, and {folder} "
            f"holds {form.value if form else 'no data'}"
        ) from error
    features = tfds.features.FeaturesDict(
        {key: builder.info.features[key] for key in (image, label) if key}
    )
    return _Set(features, image, label, dict(sorted(splits.items())))


def _keys(where: str, builder: Any) -> tuple[str, str | None]:
    """Return name of the features that are the image and the label."""
    features, supervised = builder.info.features, builder.info.supervised_keys or ()
    features = dict(features) if isinstance(features, tfds.features.FeaturesDict) else {}
    pictures = sorted(key for key, feature in features.items() if _is_picture(feature))
    image = [key for key in supervised[:1] if key in pictures] or pictures
    if len(image) != 1:
        got = ", ".join(pictures) or f"none among {', '.join(sorted(features)) or 'its features'}"
        raise InputError(f"a set must have one image in each example, and {where} has {got}")
    labels = sorted(k for k, f in features.items() if isinstance(f, tfds.features.ClassLabel))
    whole = [key for key, feature in features.items() if _is_integer(feature)]
    label = [key for key in (*supervised[1:2], "label") if key in whole][:1] or labels
    if len(label) > 1:
        raise InputError(
            f"a set must say which of its labels counts, and {where} has {', '.join(label)}"
        )
    return image[0], label[0] if label else None


def _is_picture(feature: Any) -> bool:
    if isinstance(feature, tfds.features.Image):
        return feature.np_dtype != np.float32  # These are stored as something else.
    shape = feature.shape if type(feature) is tfds.features.Tensor else ()
    return len(shape) == 3 and shape[2] in (1, 3) and feature.np_dtype == np.uint8


def _is_integer(feature: Any) -> bool:
    return feature.shape == () and np.issubdtype(feature.np_dtype, np.integer)


def _names(builder: Any, opened: _Set, values: list[int]) -> list[str]:
    if opened.label is None:
        return [builder.name]
    feature = opened.features[opened.label]
    names = feature.names if isinstance(feature, tfds.features.ClassLabel) else None
    return [names[value] if names and value < len(names) else str(value) for value in values]


def _look(opened: _Set, records: Sequence[bytes]) -> Iterator[tuple[int, str, int]]:
    """Label, extension and size of each image: labels are in the records only."""
    for start in range(0, len(records), AT_ONCE):
        some = range(start, min(start + AT_ONCE, len(records)))
        for record in records.__getitems__(list(some)):  # type: ignore[attr-defined]
            example = _parse(opened, record)
            data = _file(example[opened.image])
            value = int(example[opened.label]) if opened.label else 0
            yield value, EXTENSION.get(data[:2], ""), len(data)


def _parse(opened: _Set, record: bytes) -> dict[str, Any]:
    skip = isinstance(opened.features[opened.image], tfds.features.Image)
    decoders = {opened.image: SKIP} if skip else None
    return opened.features.deserialize_example_np(record, decoders=decoders)


def _file(picture: bytes | UInt8[np.ndarray, "h w c"]) -> bytes:
    if isinstance(picture, bytes):
        return picture
    height, width, channels = picture.shape
    head = f"P{6 if channels == 3 else 5}\n{width} {height}\n255\n"
    return head.encode() + picture.tobytes()
