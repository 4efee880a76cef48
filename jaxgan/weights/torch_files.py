"""Published weights as arrays: files of PyTorch and safetensors, of which nothing is run.

A PyTorch file is a pickle, and a pickle names functions that are called. Here only those on a list
can be named, each of them is one of ours, and none does more than put arrays together.
"""

import hashlib
import io
import json
import math
import os
import stat
import struct
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import safetensors

from jaxgan.errors import InputError
from jaxgan.system import spans
from jaxgan.system.spans import File, Span, Stream
from jaxgan.weights import pickles, zips
from jaxgan.weights.pickles import Allowed, Budget, Draft, Dtype, numbers, tree
from jaxgan.weights.zips import Member

MAGIC = 0x1950A86A20F9469CFC6C  # What a file of PyTorch before 1.6 begins with, pickled.
EXPANDED = 2**24  # Elements of a tensor that is larger than its storage, at most.
TIMEOUT = 30.0  # Seconds without a byte, after which a download is given up.
CHUNK = 2**20
LARGEST = 2**31  # Bytes of a file.
PICKLE = 2**26  # Bytes of a zip's data.pkl.
HEADER = 2**25  # Bytes of the header of a .safetensors file.
DAMAGES = (safetensors.SafetensorError, KeyError, ValueError, TypeError, IndexError)
DAMAGES += (AttributeError, RecursionError)
NESTED = ("torch.storage", "_load_from_bytes")


class Storage:
    """Numbers of one type that lie in a file; they are read once, where a tensor is wanted.

    Attributes:
        kind: of each.
        size: how many there are.
        swapped: whether they are in the order of another machine's bytes.
        place: their bytes, with a checksum where there is one.
    """

    def __init__(self, kind: np.dtype, size: int, swapped: bool, place: Member | None = None):
        self.kind, self.size, self.swapped, self.place = kind, size, swapped, place
        self._found: np.ndarray | None = None

    def array(self) -> np.ndarray:
        """Return them, as one axis that cannot be written to."""
        if self._found is None and self.place is not None:
            found = np.frombuffer(zips.read(self.place), self.kind)
            found = found.byteswap() if self.swapped else found
            if found.dtype == np.bool_ and found.size and found.view(np.uint8).max() > 1:
                raise ValueError("truths that are neither 0 nor 1")
            found.flags.writeable = False
            self._found = found
        if self._found is None:
            raise ValueError("a tensor without its numbers")
        return self._found


class Tensor(NamedTuple):
    """A view of a storage that lies within."""

    storage: Storage
    kind: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """Read it.

        Raises:
            ValueError: the file has changed, or is damaged there.
        """
        if 0 in self.shape:
            return np.empty(self.shape, self.kind)
        values, width = self.storage.array().view(self.kind), self.kind.itemsize
        strides = [width * n for n in self.strides]
        view = np.ndarray(self.shape, self.kind, values, width * self.offset, strides)
        view.flags.writeable = False
        return view


def _tensor(storage: Any, offset: Any, size: Any, strides: Any, *more: Any) -> Tensor:
    if type(storage) is not Storage:
        raise ValueError("a tensor of other things than numbers")
    return _view(storage, storage.kind, offset, size, strides)


def _view(storage: Storage, kind: np.dtype, offset: Any, size: Any, strides: Any) -> Tensor:
    size, strides, (offset,) = numbers(size), numbers(strides), numbers((offset,))
    if len(size) != len(strides):
        raise ValueError("a tensor with other strides than axes")
    count = storage.size * storage.kind.itemsize // kind.itemsize
    if math.prod(size) > max(count, EXPANDED):
        raise ValueError(f"a tensor of {size} in {count:,} numbers")
    last = offset + sum((n - 1) * step for n, step in zip(size, strides, strict=True))
    if 0 not in size and last >= count:
        raise ValueError(f"offset {offset} and strides {strides} lead out of its storage")
    return Tensor(storage, kind, offset, size, strides)


def _tensor_of_bytes(storage: Any, offset: Any, size: Any, strides: Any, *more: Any) -> Tensor:
    kind = more[2]  # After its gradient's two.
    if type(storage) is not Storage or storage.kind != np.uint8 or not _is_kind(kind):
        raise ValueError("a tensor of other things than bytes")
    return _view(storage, kind, offset, size, strides)


def _is_kind(kind: Any) -> bool:
    return isinstance(kind, np.dtype)


def _parameter(data: Any, *more: Any) -> Tensor:
    if type(data) is not Tensor:
        raise ValueError("a parameter that is no tensor")
    return data


def _nested(content: Any) -> Any:
    """Stands for what reads a file in a file; `load` puts its own in its place."""
    raise ValueError("a file in it")


STORAGES = {"Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": ml_dtypes.bfloat16}
STORAGES |= {"Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "?"}
STORAGES |= {"ComplexFloat": "c8", "ComplexDouble": "c16", "Untyped": "u1"}
DTYPES = ("float64", "float32", "float16", "complex64", "complex128", "bool")
DTYPES += ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
NARROW = ("bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
SAFE: dict[str, Any] = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": ml_dtypes.bfloat16}
SAFE |= {"I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "BOOL": "?", "C64": "c8"}
SAFE |= {"U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1"}  # As safetensors names them.

TENSORS: Allowed = {
    ("collections", "OrderedDict"): tree,
    ("torch", "Size"): lambda size=(): numbers(size),
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_bytes,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch.storage", "_load_from_bytes"): _nested,
    ("torch.storage", "UntypedStorage"): np.dtype("u1"),
    **{("torch", f"{name}Storage"): np.dtype(kind) for name, kind in STORAGES.items()},
    **{("torch", name): np.dtype(name) for name in DTYPES},
    **{("torch", name): np.dtype(getattr(ml_dtypes, name)) for name in NARROW},
}
"""All that a file of tensors in dicts, lists and tuples names, and what it gets."""

ARRAYS: Allowed = {("numpy", "ndarray"): Draft, ("numpy", "dtype"): Dtype} | {
    (f"numpy.{core}.multiarray", "_reconstruct"): Draft for core in ("core", "_core")
}
"""All that a pickle of numpy arrays names, before numpy 2 and since."""


def read_weights(file: str | os.PathLike, checksum: str | None = None) -> dict[str, np.ndarray]:
    """The named arrays of a `.safetensors` file, or of one of PyTorch.

    Args:
        file: one of PyTorch holds a dict of tensors, or a dict with one such dict in it.
        checksum: SHA-256 of the file, hexadecimal; None admits any.

    Raises:
        InputError: no such file, another checksum, a damaged file, or one of other things.
    """
    path = Path(file).expanduser()
    try:
        with opened(path) as content:
            if checksum is not None:
                _check_sum(content, checksum, path)
            if path.suffix != ".safetensors":
                return tensors(load(content, str(path)), str(path))
            return _safe(content, path)
    except OSError as error:
        raise InputError(
            f"a file of weights must be readable, and {path} is not: {error.strerror}"
        ) from error


@contextmanager
def opened(path: Path) -> Iterator[File]:
    """Open a file.

    Raises:
        InputError: no file but a device, a pipe or the like, or too large a one.
        OSError: it cannot be read.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as content:
        about = os.fstat(content.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise InputError(f"a file of weights must be a plain file, and {path} is none")
        if about.st_size > LARGEST:
            raise InputError(
                f"a file of weights must have at most {LARGEST:,} bytes, and {path} has more"
            )
        yield content


def _check_sum(content: File, checksum: str, path: Path) -> None:
    found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != checksum:
        raise InputError(
            f"weights must be those of SHA-256 {checksum[:12]}..., and {path} is another file, "
            f"changed or cut off: it has {found[:12]}..."
        )


def _safe(content: File, path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.safetensors` file, whose header must be whole before the rest is read."""
    try:
        whole = spans.of(content)
        (size,) = struct.unpack("<Q", whole.part(0, 8).read())
        if size > HEADER:
            raise ValueError(f"its header has {size:,} bytes")
        named = json.loads(whole.part(8, size).read())
        end = max(
            (x["data_offsets"][1] for k, x in named.items() if k != "__metadata__"), default=0
        )
        if type(end) is not int or 8 + size + end != len(whole):
            raise ValueError("its header is of another size")
        return {
            name: np.frombuffer(about["data"], SAFE[about["dtype"]]).reshape(about["shape"])
            for name, about in safetensors.deserialize(whole.read())
        }
    except DAMAGES as error:
        raise InputError(_damaged(str(path), error)) from error


def tensors(tree: Any, name: str) -> dict[str, np.ndarray]:
    """The arrays of a dict by their names, or else those of the first dict of arrays in it.

    Raises:
        InputError: there are none in what was read from `name`.
    """
    for each in [tree, *tree.values()] if isinstance(tree, dict) else []:
        if isinstance(each, dict):
            found = {str(k): v for k, v in each.items() if isinstance(v, Tensor)}
            if found:
                return read_arrays(found, name)
    raise InputError(f"a file of weights must hold tensors by their names, and {name} does not")


def read_arrays(found: Mapping[str, Tensor], name: str) -> dict[str, np.ndarray]:
    """Read tensors.

    Raises:
        InputError: the file that is called `name` is damaged there.
    """
    try:
        return {key: tensor.array() for key, tensor in found.items()}
    except (OSError, ValueError) as error:
        raise InputError(_damaged(name, error)) from error


def load(
    content: bytes | File,
    name: str,
    allowed: Allowed = TENSORS,
    persistent_load: Callable[[Any], Any] | None = None,
) -> Any:
    """What a file of PyTorch holds: a zip archive, the older format, or a plain pickle.

    Tensors and parameters become a `Tensor` each, whose arrays cannot be written to and may share
    memory. Of their numbers nothing is read yet: a file that is refused costs little.

    Args:
        content: the file, or its bytes.
        name: what errors call it.
        allowed: what it may name; functions and classes are called with what the file says.
        persistent_load: what a plain pickle's persistent ids stand for.

    Raises:
        InputError: it is damaged, or names anything else, which is not run.
    """
    whole = spans.of(content)
    return _load(whole, name, allowed, persistent_load, Budget(len(whole)))


def _load(
    content: Span, name: str, allowed: Allowed, persistent: Callable | None, budget: Budget
) -> Any:
    if NESTED in allowed:
        allowed = {**allowed, NESTED: partial(_load_inner, budget)}
    try:
        if content.part(0, min(4, len(content))).read() == b"PK\x03\x04":
            return _load_zip(content, name, allowed, budget)
        stream = Stream(content)
        first = pickles.read(stream, name, allowed, persistent, budget)
        if type(first) is int and first == MAGIC:
            return _load_older(stream, name, allowed, budget)
        return first
    except InputError:
        raise
    except Exception as error:  # Of a damaged pickle, nearly anything.
        raise InputError(_damaged(name, error)) from error


def _load_inner(budget: Budget, inner: Any) -> Any:
    budget.depth += 1
    if type(inner) not in (bytes, Span) or budget.depth > 1:
        raise ValueError("a file in a file in it")
    inner = spans.of(inner) if type(inner) is bytes else inner
    found = _load(inner, "a tensor in it", TENSORS, None, budget)
    budget.depth -= 1
    return found


def _damaged(name: str, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"a file of weights must be whole, and {name} is not: {pickles.printable(reason)}"


def _load_zip(content: Span, name: str, allowed: Allowed, budget: Budget) -> Any:
    """An archive of data.pkl, whose persistent ids name storages, and data/<key>, their bytes."""
    members = zips.members(content)
    (place,) = (path for path in members if path.endswith("/data.pkl") and path.count("/") == 1)
    folder = place.removesuffix("data.pkl")
    order = members.get(f"{folder}byteorder")
    written = order[0].part(0, min(len(order[0]), 8)).read() if order else b"little"
    if written not in (b"little", b"big"):
        raise ValueError("its byteorder is neither little nor big")
    swapped = written.decode() != sys.byteorder
    storages: dict[str, Storage] = {}

    storage = partial(_member, folder, members, swapped, storages)
    if len(members[place][0]) > PICKLE:
        raise ValueError("its data.pkl is too large")
    stream = Stream(spans.of(zips.read(members[place])))
    return pickles.read(stream, name, _turned(allowed, swapped), storage, budget)


def _member(
    folder: str,
    members: dict[str, Member],
    swapped: bool,
    storages: dict[str, Storage],
    pid: Any,
) -> Storage:
    kind, key, count, _ = _about(pid, 5)
    member = members[f"{folder}data/{key}"]
    if len(member[0]) != count * kind.itemsize:
        raise ValueError(f"storage {key} is of another size")
    found = storages.setdefault(key, Storage(kind, count, swapped, member))
    if found.kind != kind:
        raise ValueError(f"storage {key} is of two types")
    return found


def _turned(allowed: Allowed, swapped: bool) -> Allowed:
    """Without tensors of bytes, whose numbers of another machine's order could not be turned."""
    left_out = ("torch._utils", "_rebuild_tensor_v3") if swapped else None
    return {name: what for name, what in allowed.items() if name != left_out}


def _about(pid: Any, size: int) -> tuple[np.dtype, str, int, Any]:
    """Kind, key and count of a storage, and what it is a view of, from its persistent id."""
    if type(pid) is not tuple or len(pid) != size:
        raise ValueError("an object outside it that is no storage")
    _, kind, key, _, count, *view = pid
    if not _is_kind(kind) or type(key) is not str or type(count) is not int or count < 0:
        raise ValueError("an object outside it that is no storage")
    return kind, key, count, view[0] if view else None


def _named(swapped: bool, storages: dict[str, Storage], pid: Any) -> Storage:
    kind, key, count, view = _about(pid, 6)
    found = storages.setdefault(key, Storage(kind, count, swapped))
    if view is not None or found.kind != kind or found.size != count:
        raise ValueError(f"storage {key} is of another size")
    return found


def _load_older(stream: Stream, name: str, allowed: Allowed, budget: Budget) -> Any:
    """Pickles of a version, of the machine and of the tree; then all storages, for their views."""
    _, machine = (pickles.read(stream, name, allowed, None, budget) for _ in range(2))
    little = machine.get("little_endian") if isinstance(machine, dict) else None
    if type(little) is not bool:
        raise ValueError("it does not say its byte order")
    swapped = little != (sys.byteorder == "little")
    storages: dict[str, Storage] = {}
    storage = partial(_named, swapped, storages)
    tree = pickles.read(stream, name, _turned(allowed, swapped), storage, budget)
    keys = pickles.read(stream, name, allowed, None, budget)
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise ValueError("its storages have other keys than text")
    if len(keys) != len(storages) or set(keys) != set(storages):
        raise ValueError("its storages are not those of its tensors")
    for key in keys:
        found = storages[key]
        (count,) = struct.unpack("<q", stream.rest(8).read())
        if count != found.size:
            raise ValueError(f"storage {key} is of another size")
        found.place = stream.rest(count * found.kind.itemsize), None
    return tree


def fetch(url: str, checksum: str, folder: Path, flag: str) -> Path:
    """The file of a URL, in `folder`: downloaded where it is not there yet, or is not whole.

    Args:
        url: its last part is the file's name.
        checksum: SHA-256 of the file, hexadecimal.
        folder: where files are kept.
        flag: that gives such a file, for those without a network.

    Raises:
        InputError: it cannot be had, or what came is not that file.
    """
    target = folder / url.rpartition("/")[2]
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == checksum:
        return target
    print(f"fetching {url} to {folder}, once", file=sys.stderr)
    part = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder)
        part = Path(temporary)
        with open(handle, "wb") as file, urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            found = _copy(answer, file, int(answer.headers.get("Content-Length") or 0))
        if found == checksum:
            part.replace(target)
            return target
    except (OSError, HTTPException, ValueError) as error:  # A URL's errors are OSErrors.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{target.name} must be fetched once, and it could not be ({reason}): get it from "
            f"{url} elsewhere, then give it as {flag}=FILE or put it into {folder}"
        ) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    raise InputError(
        f"{target.name} must have the SHA-256 {checksum[:12]}..., and what came from {url} has "
        f"{found[:12]}...: give the right file as {flag}=FILE"
    )


def _copy(source: Any, target: io.BufferedWriter, size: int) -> str:
    """Copies, with lines of progress; the SHA-256 of what was copied."""
    digest, done, shown = hashlib.sha256(), 0, time.monotonic()
    end, pause = ("\r", 0.5) if sys.stderr.isatty() else ("\n", 10)
    while chunk := source.read(CHUNK):
        target.write(chunk)
        digest.update(chunk)
        done += len(chunk)
        if time.monotonic() - shown > pause:
            shown = time.monotonic()
            of = f" of {size / 1e6:.0f}" if size else ""
            print(f"fetched {done / 1e6:.0f}{of} MB", end=end, file=sys.stderr)
    return digest.hexdigest()
