"""Tensors that a file of PyTorch names: what may be named, and the numbers, read where wanted."""

import math
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from jaxgan.weights import zips
from jaxgan.weights.pickles import Allowed, Draft, Dtype, numbers, tree
from jaxgan.weights.zips import Member

EXPANDED = 2**24  # Elements of a tensor that is larger than its storage, at most.
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
    if type(storage) is not Storage or storage.kind != np.uint8 or not is_kind(kind):
        raise ValueError("a tensor of other things than bytes")
    return _view(storage, kind, offset, size, strides)


def is_kind(kind: Any) -> bool:
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
