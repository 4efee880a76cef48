"""Rows that lie in files are those of the array that they make up."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxgan.data import npy_rows, splits
from jaxgan.data.npy_rows import Stored


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[Stored, np.ndarray]:
    """Five files, one without a row; in another order than theirs, and not all of them."""
    folder: Path = tmp_path_factory.mktemp("stored")
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((n, 6)).astype(np.float16) for n in (4, 0, 7, 1, 5)]
    files = [folder / f"{i}.npy" for i in range(5)]
    for file, array in zip(files, arrays, strict=True):
        npy_rows.save(file, array)
    assert len(list(folder.iterdir())) == 5
    rows = rng.permutation(17)[:13]
    ends = np.cumsum([len(array) for array in arrays])
    return Stored(files, ends, rows), np.concatenate(arrays)[rows]


@given(st.lists(st.integers(0, 12)))
def test_any_rows(both, rows: list[int]) -> None:
    ours, array = both
    index = np.array(rows, np.int64)
    np.testing.assert_array_equal(ours[index], array[index])
    np.testing.assert_array_equal(ours[2:9], array[2:9])
    assert len(ours) == 13 and ours[index].dtype == array.dtype


def test_only_some(both) -> None:
    ours, array = both
    wanted = np.arange(13) % 3 > 0
    np.testing.assert_array_equal(ours.only(wanted)[:], array[wanted])


def test_copies_are_found_in_files_as_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 512)).astype(np.float32)
    vectors[200:] = vectors[:100] + 0.3 * vectors[200:]  # They correlate by 0.96.
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    npy_rows.save(tmp_path / "a.npy", vectors[:170])
    npy_rows.save(tmp_path / "b.npy", vectors[170:])
    ours = Stored([tmp_path / "a.npy", tmp_path / "b.npy"], np.array([170, 300]), np.arange(300))
    digests = [bytes([i // 256, i % 256]) for i in range(300)]

    def read(positions: np.ndarray) -> np.ndarray:
        return vectors[positions].astype(np.float32)

    group = splits.group_copies(digests, ours, read).group
    np.testing.assert_array_equal(group, splits.group_copies(digests, vectors, read).group)
    np.testing.assert_array_equal(group[200:], np.arange(100))
