"""The parts of a state that lie apart in a checkpoint, and their checksums."""

import zlib
from typing import Any

import jax
import numpy as np

from jaxgan.types import State


def checksums(tree: Any) -> dict[str, int]:
    """CRC-32 of every array's bytes, by its path in the tree."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(tree))
    return {jax.tree_util.keystr(path): _crc(leaf) for path, leaf in leaves}


def _crc(leaf: Any) -> int:
    array = np.ascontiguousarray(leaf)
    return zlib.crc32(array.reshape(-1).view(np.uint8).data)


def items_of(state: State) -> dict:
    """Return a state's items: sampling reads no more than the averaged generator, one of them."""
    if getattr(state, "ema", None) is None:
        return {"state": state}
    return {"state": state.replace(ema=None), "ema": state.ema}
