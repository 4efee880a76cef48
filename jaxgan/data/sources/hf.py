"""Images of a set of Hugging Face's `datasets`, as `discover` has those of a folder.

The library, an extra, finds and prepares the set; its Arrow files are read by pyarrow alone, which
other processes import in a fraction of the time.
"""

import contextlib
import functools
import json
import os
import re
import socket
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.data import groups, layout
from jaxgan.data.sources.entries import EXTENSION, Entries, Entry, Files
from jaxgan.errors import InputError
from jaxgan.system import paths
from jaxgan.system.paths import HF
from jaxgan.system.terminal import printable

HUB = "huggingface.co"
LABELS = ("label", "labels", "class", "category", "target")  # Columns that may be without names.
EXTERNAL = 2**29  # Bytes of an image in a file of its own, at most.


class _Wanted(NamedTuple):
    """What `hf:NAME:CONFIG#SPLIT,label=COLUMN` asks for."""

    name: str
    config: str | None
    splits: tuple[str, ...]
    columns: Mapping[str, str]  # Of "image", "label".


class _Rows(NamedTuple):
    """The columns of a split that matter, as Python has them."""

    values: list[Any]  # Labels.
    sizes: list[int]
    extensions: list[str]
    changed: list[int]
    groups: list[Any] | None


def find(
    source: str, *, flag: str = "--source", reading: str = "auto", grouped: str | None = None
) -> Files:
    """Find all images of a set, of all its splits or of some; it is downloaded where it must be.

    An image is named like "cat/train-000123.jpg", by class, split and row. Classes without an image
    are left out, and so are images without a label.

    Args:
        source: "hf:" and a name on the Hub or of a folder (of class folders, of Parquet or other
            files, or as `save_to_disk` writes one) or of a Parquet file; then perhaps ":CONFIG";
            then perhaps "#" and the names of splits, "image=COLUMN" or "label=COLUMN", with commas.
        flag: that named it.
        reading: "one" takes all as one class, named like the set; "auto" goes by the labels.
        grouped: "column:NAME" or None.

    Returns:
        `Files` whose root is "hf:" and, in JSON, the Arrow files of the splits.

    Raises:
        InputError: no library, no such set, split or column; one that cannot be downloaded; one
            without images or labels, or with several columns of them.
    """
    if reading not in ("auto", "one"):
        raise InputError(f"data.layout of a set of datasets must be auto or one, got {reading}")
    wanted = _parse(source)
    splits = _splits(wanted, flag)
    first = next(iter(splits.values()))
    image = _image(source, first.features, wanted.columns.get("image"))
    label = None if reading == "one" else _label(source, first.features, wanted.columns)
    column = _group_column(grouped, source, first.features)
    files = {kind: [str(each["filename"]) for each in s.cache_files] for kind, s in splits.items()}
    rows = [_look(s, files[kind], image, label, column) for kind, s in splits.items()]
    names = _names(wanted, first.features, label, [value for r in rows for value in r.values])
    found = sorted(
        (names[value][0], split, i)
        for split, r in enumerate(rows)
        for i, value in enumerate(r.values)
        if value in names
    )
    if not found:
        raise InputError(f"{flag} must hold images, and {source} has none with a label")
    classes = tuple(dict.fromkeys(printable(name) for _, name in sorted(names.values())))
    kinds = list(splits)
    width = max(6, *(len(str(len(r.values))) for r in rows))
    entries = Entries(
        Entry(
            f"{classes[n].replace('/', '_')}/{kinds[k]}-{i:0{width}}{rows[k].extensions[i]}",
            n,
            *((k, i), rows[k].sizes[i], rows[k].changed[i]),
        )
        for n, k, i in found
    )
    sides, told = layout.named_sides(kinds)
    of = None
    if column is not None:
        own = [str((rows[k].groups or [])[i]) for _, k, i in found]
        of = tuple(groups.numbered(own).tolist())
    return Files(
        HF + json.dumps({"image": image, "files": list(files.values())}),
        classes,
        entries,
        +Counter({"without a label": sum(len(r.values) for r in rows) - len(found)}),
        told=told,
        given=sides and tuple(sides[k] for _, k, _ in found),
        groups=of,
    )


def read(root: str, place: tuple[int, int]) -> bytes:
    """Return the bytes of an image.

    Args:
        root: of `find`.
        place: positions of the split and, in it, of the row.
    """
    split, row = place
    found = _columns(root.removeprefix(HF))[split][row].as_py()
    if found is None:
        raise ValueError("an empty row")
    if isinstance(found, bytes):
        return found
    return found["bytes"] or paths.read(found["path"], EXTERNAL)


@functools.lru_cache(4)
def _columns(about: str) -> list[Any]:
    """Return the images of each split; read where they are asked for."""
    known = json.loads(about)
    return [_table(tuple(files)).column(known["image"]) for files in known["files"]]


def _table(files: Sequence[str]) -> Any:
    """Return the rows of Arrow files, which stay where they are on the disk."""
    import pyarrow

    return pyarrow.concat_tables(
        pyarrow.ipc.open_stream(pyarrow.memory_map(file)).read_all() for file in files
    )


def _parse(source: str) -> _Wanted:
    name, _, more = source.removeprefix(HF).partition("#")
    if os.path.exists(os.path.expanduser(source.removeprefix(HF))):
        name, more = source.removeprefix(HF), ""
    config = None
    if not os.path.exists(os.path.expanduser(name)):
        name, _, config = name.partition(":")
    there = os.path.exists(os.path.expanduser(name))
    if not there and not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise InputError(
            f"hf: must be followed by the name of a set on the Hub, or by a folder or Parquet file "
            f"that is there, got {name!r}"
        )
    pieces = [piece for piece in more.split(",") if piece]
    columns = dict(piece.split("=", 1) for piece in pieces if "=" in piece)
    if strange := sorted(set(columns) - {"image", "label"}):
        raise InputError(f"after #, only image= and label= name columns, got {strange[0]}=")
    splits = tuple(piece for piece in pieces if "=" not in piece)
    return _Wanted(os.path.expanduser(name), config or None, splits, columns)


def _splits(wanted: _Wanted, flag: str) -> dict[str, Any]:
    """Return the splits wanted, by name, each with its Arrow files."""
    found = _loaded(wanted)
    every = dict(sorted(found.items())) if isinstance(found, Mapping) else {"train": found}
    if missing := [name for name in wanted.splits if name not in every]:
        raise InputError(
            f"{flag} must name splits that the set has, {', '.join(every)}, got {missing[0]}"
        )
    every = {kind: every[kind] for kind in every if not wanted.splits or kind in wanted.splits}
    every = {kind: s for kind, s in every.items() if s.num_rows}
    if not every:
        raise InputError(f"{flag} must hold images, and {wanted.name} has no rows")
    return every


def _loaded(wanted: _Wanted) -> Any:
    try:
        import datasets  # type: ignore[import-not-found]
    except ImportError as error:
        raise InputError("hf: needs the datasets library: pip install 'jaxgan[hf]'") from error
    datasets.disable_progress_bars()
    path, local = Path(wanted.name), os.path.exists(wanted.name)
    away = None if local else _unreachable()
    try:
        if any((path / name).is_file() for name in ("dataset_dict.json", "state.json")):
            return datasets.load_from_disk(wanted.name)
        if path.is_file():
            return datasets.load_dataset("parquet", data_files=wanted.name)
        with _offline() if away else contextlib.nullcontext():
            return datasets.load_dataset(wanted.name, wanted.config)
    except Exception as error:  # Of all classes.
        if away:
            raise InputError(
                f"the set {wanted.name} must be downloaded, as datasets' cache does not hold it, "
                f"and {HUB} cannot be reached"
            ) from error
        words = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(
            f"datasets must give the set {wanted.name}, and does not: {words}"
        ) from error


def _unreachable() -> bool:
    """Return whether the Hub is: the library says so after half a minute of trying."""
    if urllib.request.getproxies() or "HF_ENDPOINT" in os.environ:
        return False
    with contextlib.suppress(OSError):
        return not socket.getaddrinfo(HUB, 443)
    return True


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """The library looks into its cache alone."""
    import datasets  # type: ignore[import-not-found]
    from huggingface_hub import constants  # type: ignore[import-not-found]

    of = ((datasets.config, "HF_HUB_OFFLINE"), (constants, "HF_HUB_OFFLINE"))
    before = [getattr(module, name) for module, name in of]
    try:
        for module, name in of:
            setattr(module, name, True)
        yield
    finally:
        for (module, name), value in zip(of, before, strict=True):
            setattr(module, name, value)


def _image(where: str, features: Mapping[str, Any], asked: str | None) -> str:
    """Return the column of images: declared as such or, in Parquet of other programs, of bytes."""
    found = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    found = found or [name for name, feature in features.items() if _is_binary(feature)]
    if asked in found:
        return str(asked)
    if asked or not found:
        got = f"{asked!r} is none" if asked else "it has none"
        raise InputError(
            f"a set must have a column of images, and in {where} {got} (columns: "
            f"{', '.join(features)}; of images: {', '.join(found) or 'none'})"
        )
    if len(found) > 1 and "image" not in found:
        raise InputError(
            f"a set must say which of its columns of images counts, and {where} has "
            f"{', '.join(found)}: add #image={found[0]}"
        )
    return "image" if "image" in found else found[0]


def _is_binary(feature: Any) -> bool:
    inside = feature.get("bytes") if isinstance(feature, Mapping) else feature
    return getattr(inside, "dtype", None) in ("binary", "large_binary")


def _label(where: str, features: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """Return the column of labels: one with the names of classes, or of numbers or texts."""
    plain = [name for name, feature in features.items() if _is_plain(feature)]
    if (asked := columns.get("label")) is not None:
        if asked not in plain:
            raise InputError(
                f"#label= must name a column of labels, numbers or texts, and {where} has "
                f"{', '.join(plain) or 'none'}, got {asked}"
            )
        return asked
    named = [name for name in plain if type(features[name]).__name__ == "ClassLabel"]
    usual = [name for name in LABELS if name in plain]
    found = [name for name in usual if name in named][:1] or named or usual[:1]
    if not found:
        raise InputError(
            f"a set must have a column of labels, and {where} has none (columns: "
            f"{', '.join(features)}): #label=COLUMN names another, data.layout=one takes all as "
            f"one class"
        )
    if len(found) > 1:
        raise InputError(
            f"a set must say which of its labels counts, and {where} has {', '.join(found)}: add "
            f"#label={found[0]}"
        )
    return found[0]


def _is_plain(feature: Any) -> bool:
    kind, plain = type(feature).__name__, r"u?int|string|large_string|bool"
    return kind == "ClassLabel" or (kind == "Value" and bool(re.match(plain, str(feature.dtype))))


def _group_column(rule: str | None, where: str, features: Mapping[str, Any]) -> str | None:
    if not rule:
        return None
    kind, _, column = rule.partition(":")
    there = {name.lower(): name for name in features}
    if kind != "column" or column.strip().lower() not in there:
        raise InputError(
            f"data.groups of a set of datasets must be column: and one of its columns, "
            f"{', '.join(features)}, got {rule} for {where}"
        )
    return there[column.strip().lower()]


def _names(
    wanted: _Wanted, features: Mapping[str, Any], label: str | None, values: Sequence[Any]
) -> dict[Any, tuple[int, str]]:
    """Return the number and name of each value's class, of those that occur."""
    if label is None:
        return {None: (0, Path(wanted.name).name)}
    known = getattr(features[label], "names", None)
    there = sorted({value for value in values if value is not None and value != -1})
    return {
        value: (i, known[value] if known and 0 <= value < len(known) else str(value))
        for i, value in enumerate(there)
    }


def _look(
    split: Any, files: Sequence[str], image: str, label: str | None, group: str | None
) -> _Rows:
    """Return what the rows say but for the pixels, column by column."""
    import pyarrow.compute as pc

    table = _table(files) if files else None
    if table is None or table.num_rows != split.num_rows or image not in table.column_names:
        raise InputError("a set of datasets must lie in Arrow files, whole and in order")
    data, places = table.column(image), [None] * table.num_rows
    if inside := [field.name for field in getattr(data.type, "fields", ())]:
        places = pc.struct_field(data, "path").to_pylist() if "path" in inside else places
        data = pc.struct_field(data, "bytes")
    sizes = pc.binary_length(data).to_pylist()
    begins = pc.binary_slice(data, 0, 2).to_pylist()
    times = [os.stat(files[0]).st_mtime_ns] * len(sizes)
    extensions = []
    for i, (size, path, begin) in enumerate(zip(sizes, places, begins, strict=True)):
        extensions.append(os.path.splitext(path or "")[1] or EXTENSION.get(begin or b"", ""))
        if not size:
            about = os.stat(path) if path and os.path.isfile(path) else None
            sizes[i] = about.st_size if about else 0
            times[i] = about.st_mtime_ns if about else 0
    values = [None] * len(sizes) if label is None else table.column(label).to_pylist()
    own = None if group is None else table.column(group).to_pylist()
    return _Rows(values, sizes, extensions, times, own)
