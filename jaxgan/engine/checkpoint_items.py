"""The parts of a state that lie apart in a checkpoint, and checksums of all parts."""

import json
import zlib
from typing import Any

import jax
import numpy as np
from etils import epath

from jaxgan.errors import FileError
from jaxgan.system import checked_files
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


def check_metrics(folder: epath.Path) -> None:
    """Raise FileError where metrics were changed by which one of a folder's checkpoints is best."""
    for file in sorted(folder.glob("*/metrics/metrics")):
        try:
            sums = file.parents[1] / "checksums" / "metadata"
            said = json.loads(sums.read_bytes()).get("metrics")
        except (OSError, ValueError, AttributeError):
            continue  # The checkpoint is damaged: `restore` says so.
        try:
            if said is None or checked_files.checksum(json.loads(file.read_bytes())) == said:
                continue
        except (ValueError, AttributeError, RecursionError):
            pass
        raise FileError(
            f"{file} must be as it was written, and was changed: delete {folder.parent} "
            f"and run the same command again"
        )
