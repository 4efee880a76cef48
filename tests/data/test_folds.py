"""Every image is a test image once, copies stay together, classes are even."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.data.folds import folds
from jaxgan.data.splits import Duplicates
from jaxgan.types import InputError


class Labels:
    """A source of which only the labels matter."""

    resolution = 8

    def __init__(self, labels, classes=("cat", "dog")):
        self.labels, self.classes = np.asarray(labels, np.int32), classes
        self.names = tuple(map(str, range(len(self.labels))))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        raise AssertionError("no image is needed")


def grouped(groups):
    """Copies by the number of their group; the digests are different ones."""
    groups = np.asarray(groups)
    digest = np.random.default_rng(3).bytes(16 * len(groups))
    return Duplicates(groups, np.frombuffer(digest, "V16"))


def alone(n):
    return grouped(np.arange(n))


def check(source, parts):
    tested = np.concatenate([part.test for part in parts])
    assert sorted(tested.tolist()) == list(range(len(source)))
    for part in parts:
        every = np.concatenate(part)
        assert sorted(every.tolist()) == list(range(len(source)))
        for side in part:
            assert set(source.labels[side].tolist()) == set(range(len(source.classes)))


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(2, 6),
    sizes=st.lists(st.integers(8, 40), min_size=2, max_size=4),
    validation=st.floats(0.1, 0.4),
)
def test_each_image_is_a_test_image_once_and_folds_are_even(count, sizes, validation) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    source = Labels(labels, tuple("abcd"[: len(sizes)]))
    parts = folds(source, count, validation, alone(len(labels)))
    check(source, parts)
    for label, n in enumerate(sizes):
        each = [(labels[part.test] == label).sum() for part in parts]
        assert max(each) - min(each) <= 1 and sum(each) == n
        for part in parts:
            rest = n - (labels[part.test] == label).sum()
            kept = (labels[part.validation] == label).sum()
            assert kept >= 1 and abs(kept - validation * rest) <= 1


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 5))
def test_copies_are_never_parted(seed, count) -> None:
    """Nor are those of one image under two labels."""
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(40), rng.integers(0, 40, 30)])
    labels = np.where(rng.random(70) < 0.1, 1 - groups % 2, groups % 2)
    labels[:40] = np.arange(40) % 2
    first = {g: int(np.flatnonzero(groups == g)[0]) for g in range(40)}
    found = grouped([first[g] for g in groups])
    source = Labels(labels)
    parts = folds(source, count, 0.2, found)
    check(source, parts)
    for part in parts:
        sides = [set(groups[side].tolist()) for side in part]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]


def test_the_order_of_the_files_does_not_matter() -> None:
    labels, known = np.arange(30) % 2, alone(30)
    order = np.random.default_rng(0).permutation(30)
    moved = Duplicates(np.arange(30), known.digest[order])
    there = folds(Labels(labels), 3, 0.2, known)
    here = folds(Labels(labels[order]), 3, 0.2, moved)
    for a, b in zip(there, here, strict=True):
        for side, other in zip(a, b, strict=True):
            assert set(side.tolist()) == set(order[other].tolist())


def test_more_folds_than_images_of_the_smallest_class_are_refused() -> None:
    source = Labels([0] * 20 + [1] * 4)
    words = r"data\.folds=5 needs at least 5 different images in each class, and dog has 4"
    with pytest.raises(InputError, match=words):
        folds(source, 5, 0.2, alone(24))
    copies = grouped([*range(20), 20, 20, 20, 23])
    with pytest.raises(InputError, match=r"data\.folds=3 needs at least 3 .* and dog has 2"):
        folds(source, 3, 0.2, copies)
    with pytest.raises(InputError, match=r"needs at least 4 .* and dog has 3"):
        folds(Labels([0] * 5 + [1] * 3), 2, 0.2, alone(8))
    for count, dogs in ((2, 4), (3, 3), (5, 5)):  # As few as may be.
        few = Labels([0] * 20 + [1] * dogs)
        check(few, folds(few, count, 0.2, alone(len(few))))
