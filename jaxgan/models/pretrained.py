"""Published weights as arrays: files of PyTorch and safetensors, of which nothing is run.

A PyTorch file is a pickle, and a pickle names functions that are called. Here only those on a list
can be named, each of them is one of ours, and none does more than put arrays together.
"""

import hashlib
import io
import os
import pickle
import pickletools
import struct
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from types import FunctionType
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from jaxgan.errors import InputError

MAGIC = 0x1950A86A20F9469CFC6C  # What a file of PyTorch before 1.6 begins with, pickled.
EXPANDED = 2**24  # Elements of a tensor that is larger than its storage, at most.
TIMEOUT = 30.0  # Seconds without a byte, after which a download is given up.
CHUNK = 2**20

Allowed = Mapping[tuple[str, str], Any]  # By module and name.


class Tree(dict):
    """A dict from a file, whatever class of dicts it was there; its attributes are left out."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class _Call:
    """A function that a file may call, but not give other attributes, defaults or code."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable):
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("it changes a function")


def _tensor(storage: np.ndarray, offset: int, size: Any, strides: Any, *more: Any) -> np.ndarray:
    """A view of a storage, an array of one axis; numpy sees to it that it lies within."""
    if np.prod(size, dtype=object) > max(storage.size, EXPANDED):
        raise ValueError(f"a tensor of {tuple(size)} in {storage.size:,} numbers")
    if 0 in size:
        return np.empty(size, storage.dtype)
    width = storage.itemsize
    steps = [width * n for n in strides]
    view = np.ndarray(tuple(size), storage.dtype, storage, width * offset, steps)
    view.flags.writeable = False
    return view


def _tensor_of_bytes(
    storage: np.ndarray, offset: int, size: Any, strides: Any, *more: Any
) -> np.ndarray:
    return _tensor(storage.view(more[2]), offset, size, strides)  # After its gradient's two.


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
    ("collections", "OrderedDict"): Tree,
    ("torch", "Size"): lambda size=(): tuple(size),
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_bytes,
    ("torch._utils", "_rebuild_parameter"): lambda data, *more: data,
    ("torch._utils", "_rebuild_parameter_with_state"): lambda data, *more: data,
    ("torch.storage", "_load_from_bytes"): lambda content: load(content, "a tensor in it"),
    ("torch.storage", "UntypedStorage"): np.dtype("u1"),
    **{("torch", f"{name}Storage"): np.dtype(kind) for name, kind in STORAGES.items()},
    **{("torch", name): np.dtype(name) for name in DTYPES},
    **{("torch", name): np.dtype(getattr(ml_dtypes, name)) for name in NARROW},
}
"""All that a file of tensors in dicts, lists and tuples names, and what it gets."""


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
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"a file of weights must be readable, and {path} is not: {error.strerror}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if checksum not in (None, found):
        raise InputError(
            f"weights must be those of SHA-256 {checksum[:12]}..., and {path} is another file, "
            f"changed or cut off: it has {found[:12]}..."
        )
    if path.suffix != ".safetensors":
        return tensors(load(content, str(path)), str(path))
    try:
        return {
            name: np.frombuffer(about["data"], SAFE[about["dtype"]]).reshape(about["shape"])
            for name, about in safetensors.deserialize(content)
        }
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise InputError(_damaged(str(path), error)) from error


def tensors(tree: Any, name: str) -> dict[str, np.ndarray]:
    """The arrays of a dict by their names, or else those of the first dict of arrays in it.

    Raises:
        InputError: there are none in what was read from `name`.
    """
    for each in [tree, *tree.values()] if isinstance(tree, dict) else []:
        if isinstance(each, dict):
            found = {str(k): v for k, v in each.items() if isinstance(v, np.ndarray)}
            if found:
                return found
    raise InputError(f"a file of weights must hold tensors by their names, and {name} does not")


def load(
    content: bytes,
    name: str,
    allowed: Allowed = TENSORS,
    persistent_load: Callable[[Any], Any] | None = None,
) -> Any:
    """What a file of PyTorch holds: a zip archive, the older format, or a plain pickle.

    Tensors and parameters become arrays that cannot be written to and may share memory.

    Args:
        content: of the file.
        name: what errors call it.
        allowed: what it may name; functions and classes are called with what the file says.
        persistent_load: what a plain pickle's persistent ids stand for.

    Raises:
        InputError: it is damaged, or names anything else, which is not run.
    """
    try:
        if content.startswith(b"PK\x03\x04"):
            return _load_zip(content, name, allowed)
        stream = io.BytesIO(content)
        first = _unpickle(stream, name, allowed, persistent_load)
        return _load_older(stream, name, allowed) if first == MAGIC else first
    except InputError:
        raise
    except Exception as error:  # Of a damaged pickle, nearly anything.
        raise InputError(_damaged(name, error)) from error


def _damaged(name: str, error: Exception) -> str:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return f"a file of weights must be whole, and {name} is not: {reason}"


class _Restricted(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, name: str, allowed: Allowed, persistent_load: Any):
        super().__init__(stream, encoding="latin1")  # Python 2's strings.
        self._name, self._allowed, self._persistent_load = name, allowed, persistent_load

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in self._allowed:
            raise InputError(
                f"a file of weights may name tensors only, which needs no {module}.{name}, and "
                f"{self._name} names it: nothing of it was run"
            )
        found = self._allowed[module, name]
        return _Call(found) if isinstance(found, FunctionType) else found

    def persistent_load(self, pid: Any, /) -> Any:
        if self._persistent_load is None:
            raise ValueError(f"an object outside it, {str(pid)[:50]}")
        return self._persistent_load(pid)


def _unpickle(
    stream: io.BytesIO, name: str, allowed: Allowed, persistent_load: Callable | None = None
) -> Any:
    start = stream.tell()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        # Unpickling makes room for all numbers up to this one.
        if opcode.name in ("PUT", "LONG_BINPUT") and (argument or 0) > count:
            raise ValueError(f"an object of the number {argument:,}")
    stream.seek(start)
    return _Restricted(stream, name, allowed, persistent_load).load()


def _load_zip(content: bytes, name: str, allowed: Allowed) -> Any:
    """An archive of data.pkl, whose persistent ids name storages, and data/<key>, their bytes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {member.filename: member for member in archive.infolist()}
        if sum(member.file_size for member in members.values()) > len(content):
            raise ValueError("it is compressed, which PyTorch never does")
        (tree,) = (path for path in members if path.endswith("/data.pkl") and path.count("/") == 1)
        folder = tree.removesuffix("data.pkl")
        order = members.get(f"{folder}byteorder")
        swapped = (archive.read(order).decode() if order else "little") != sys.byteorder

        def storage(pid: tuple) -> np.ndarray:
            _, kind, key, _, count = pid
            member = members[f"{folder}data/{key}"]
            if member.file_size != count * kind.itemsize:
                raise ValueError(f"storage {key} is of another size")
            found = np.frombuffer(archive.read(member), kind)
            return found.byteswap() if swapped else found

        return _unpickle(io.BytesIO(archive.read(tree)), name, allowed, storage)


def _load_older(stream: io.BytesIO, name: str, allowed: Allowed) -> Any:
    """Pickles of a version, of the machine and of the tree; then all storages, for their views."""
    _, machine = (_unpickle(stream, name, allowed) for _ in range(2))
    storages: dict[str, np.ndarray] = {}

    def storage(pid: tuple) -> np.ndarray:
        _, kind, key, _, count, view = pid
        if view is not None or count * kind.itemsize > stream.getbuffer().nbytes:
            raise ValueError(f"storage {key} is of another size")
        return storages.setdefault(key, np.empty(count, kind))

    tree = _unpickle(stream, name, allowed, storage)
    for key in _unpickle(stream, name, allowed):
        array = storages[key]
        (count,) = struct.unpack("<q", stream.read(8))
        if count != array.size:
            raise ValueError(f"storage {key} is of another size")
        array[:] = np.frombuffer(stream.read(array.nbytes), array.dtype)
        if machine["little_endian"] != (sys.byteorder == "little"):
            array.byteswap(inplace=True)
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
