"""Published weights as arrays: files of PyTorch and safetensors, of which nothing is run.

A PyTorch file is a pickle, and a pickle names functions that are called. Here only those on a list
can be named, each of them is one of ours, and none does more than put arrays together.
"""

import hashlib
import json
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from jaxgan.errors import InputError
from jaxgan.system import lazy_reads
from jaxgan.system.lazy_reads import File, Span, Stream
from jaxgan.weights import pickles, zips
from jaxgan.weights.pickles import Allowed, Budget
from jaxgan.weights.tensors import ARRAYS as ARRAYS
from jaxgan.weights.tensors import NESTED, TENSORS, Storage, Tensor, is_kind
from jaxgan.weights.zips import Member

MAGIC = 0x1950A86A20F9469CFC6C  # What a file of PyTorch before 1.6 begins with, pickled.
LARGEST = 2**31  # Bytes of a file.
PICKLE = 2**26  # Bytes of a zip's data.pkl.
HEADER = 2**25  # Bytes of the header of a .safetensors file.
DAMAGES = (safetensors.SafetensorError, KeyError, ValueError, TypeError, IndexError)
DAMAGES += (AttributeError, RecursionError)
SAFE: dict[str, Any] = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": ml_dtypes.bfloat16}
SAFE |= {"I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "BOOL": "?", "C64": "c8"}
SAFE |= {"U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1"}  # As safetensors names them.


def read_weights(file: str | os.PathLike, checksum: str | None = None) -> dict[str, np.ndarray]:
    """Return the named arrays of a `.safetensors` file, or of one of PyTorch.

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
    """Return the arrays of a `.safetensors` file, whose header must be whole before the rest is
    read.
    """
    try:
        whole = lazy_reads.of(content)
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
    """Return the arrays of a dict by their names, or else those of the first dict of arrays in it.

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
    """Return what a file of PyTorch holds: a zip archive, the older format, or a plain pickle.

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
    whole = lazy_reads.of(content)
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
    inner = lazy_reads.of(inner) if type(inner) is bytes else inner
    found = _load(inner, "a tensor in it", TENSORS, None, budget)
    budget.depth -= 1
    return found


def _damaged(name: str, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, KeyError):
        reason = f"it uses {reason}, which is not in it"
    elif isinstance(error, IndexError):
        reason = "it takes more than there is"
    return f"a file of weights must be whole, and {name} is not: {pickles.printable(reason)}"


def _load_zip(content: Span, name: str, allowed: Allowed, budget: Budget) -> Any:
    """Return an archive of data.pkl, whose persistent ids name storages, and data/<key>, their
    bytes.
    """
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
    stream = Stream(lazy_reads.of(zips.read(members[place])))
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
    if not is_kind(kind) or type(key) is not str or type(count) is not int or count < 0:
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
