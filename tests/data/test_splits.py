"""Copies stay on one side, sides do not depend on other pictures, shares are met."""

import hashlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxgan.data.splits import Duplicates, across_classes, assign, near_duplicates, split
from jaxgan.types import InputError


class Pictures:
    def __init__(self, images, labels=None, classes=("cat", "dog")):
        self.images, self.classes = list(images), classes
        default = np.arange(len(self.images)) % len(classes)
        self.labels = np.asarray(default if labels is None else labels, np.int32)
        self.names = tuple(str(i) for i in range(len(self.images)))
        self.resolution = 48

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {"image": self.images[index], "label": self.labels[index]}


def scene(seed, size=48) -> np.ndarray:
    """Blobs of every size, as photographs have."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, 3))
    for cells, weight in ((3, 1.0), (6, 0.6), (12, 0.4), (24, 0.2)):
        blobs = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        total += weight * np.asarray(blobs.resize((size, size), Image.Resampling.BICUBIC))
    return (total / 2.2).astype(np.uint8)


def jpeg(image, quality=50) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def resized(image, size=30) -> np.ndarray:
    small = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    return np.array(small.resize(image.shape[:2], Image.Resampling.BICUBIC))


def brighter(image, by=12) -> np.ndarray:
    return np.clip(image.astype(int) + by, 0, 255).astype(np.uint8)


def colourless(image) -> np.ndarray:
    return np.array(Image.fromarray(image).convert("L").convert("RGB"))


COPIES = {
    "exact": np.copy,
    "jpeg": jpeg,
    "resized": resized,
    "brighter": brighter,
    "darker": lambda image: brighter(image, -12),
    "contrast": lambda image: (image * 0.8).astype(np.uint8),
    "colourless": colourless,
    "all": lambda image: brighter(jpeg(resized(image))),
}


def side_of(parts, n) -> np.ndarray:
    sides = np.full(n, -1)
    for side, positions in enumerate(parts):
        assert (sides[positions] == -1).all()
        sides[positions] = side
    assert (sides >= 0).all()
    return sides


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_stay_on_one_side(kind):
    originals = [scene(i) for i in range(60)]
    copies = [COPIES[kind](image) for image in originals]
    source = Pictures(originals + copies)
    found = near_duplicates(source)
    np.testing.assert_array_equal(found.group, np.tile(np.arange(60), 2))
    sides = side_of(split(source, duplicates=found), 120)
    np.testing.assert_array_equal(sides[:60], sides[60:])


def test_mirrored_and_other_pictures_are_not_copies():
    originals = [scene(i) for i in range(100)]
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in originals]
    np.testing.assert_array_equal(
        near_duplicates(Pictures(originals + mirrored)).group, np.arange(200)
    )


def test_flat_pictures_are_the_same_only_when_equal():
    flat = [np.full((48, 48, 3), value, np.uint8) for value in (10, 10, 200)]
    noisy = [
        brighter(flat[2], np.random.default_rng(i).integers(-1, 1, (48, 48, 3))) for i in (0, 1)
    ]
    np.testing.assert_array_equal(near_duplicates(Pictures(flat + noisy)).group, [0, 0, 2, 3, 4])


def test_many_copies_of_one_picture_stay_one_group():
    """More than the search compares with each other directly."""
    copies = [brighter(jpeg(scene(0), 60 + i % 35), i // 35) for i in range(300)]
    others = [scene(i) for i in range(1, 351)]
    group = near_duplicates(Pictures(copies + others)).group
    np.testing.assert_array_equal(group, [0] * 300 + [*range(300, 650)])


def test_the_parts_cover_everything_once_in_sorted_order():
    source = Pictures([scene(i) for i in range(60)])
    parts = split(source)
    assert parts._fields == ("train", "validation", "test")
    for part in parts:
        assert part.dtype == np.int64 and (np.diff(part) > 0).all()
        assert set(source.labels[part]) == {0, 1}
    side_of(parts, 60)


PLAIN = [np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8) for i in range(600)]


@pytest.mark.parametrize(
    "fractions", [(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.8, 0, 0.2), (1, 0, 0)]
)
def test_shares_are_met_up_to_chance(fractions):
    parts = split(Pictures(PLAIN), fractions)
    for part, fraction in zip(parts, fractions, strict=True):
        deviation = (600 * fraction * (1 - fraction)) ** 0.5
        assert abs(len(part) - 600 * fraction) <= 4 * deviation


SIDES = side_of(split(Pictures(PLAIN[:200])), 200)


@settings(max_examples=15, deadline=None)
@given(st.sets(st.integers(0, 199), max_size=40), st.integers(0, 1000))
def test_a_side_depends_on_no_other_picture_nor_on_order_or_labels(without, seed):
    positions = np.random.default_rng(seed).permutation(sorted(set(range(200)) - without))
    some = split(Pictures([PLAIN[i] for i in positions]))
    np.testing.assert_array_equal(side_of(some, len(positions)), SIDES[positions])


def test_a_group_keeps_its_side_when_other_copies_are_added_after_its_smallest():
    originals = [scene(i) for i in range(40)]
    copies = [jpeg(image) for image in originals]
    digest = near_duplicates(Pictures(originals + copies)).digest
    smallest = [
        o if digest[i] < digest[40 + i] else c
        for i, (o, c) in enumerate(zip(originals, copies, strict=True))
    ]
    alone = side_of(split(Pictures(smallest)), 40)
    both = side_of(split(Pictures(originals + copies)), 80)
    np.testing.assert_array_equal(both[:40], alone)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 12), st.integers(3, 12), st.integers(0, 500))
def test_every_side_has_every_class_however_few_there_are(cats, dogs, first):
    images = PLAIN[first : first + cats + dogs]
    images += PLAIN[: cats + dogs - len(images)]
    source = Pictures(images, [0] * cats + [1] * dogs)
    for part in split(source):
        assert set(source.labels[part]) == {0, 1}


def test_too_few_pictures_are_refused_with_their_number():
    cats = PLAIN[:5]
    with pytest.raises(InputError, match="at least 3 different images for a split, dog has 1"):
        split(Pictures([*cats, PLAIN[5]], [0] * 5 + [1]))
    with pytest.raises(InputError, match="at least 3 different images for a split, dog has 1"):
        split(Pictures([*cats, *[PLAIN[5]] * 4], [0] * 5 + [1] * 4))
    with pytest.raises(InputError, match="at least 2 different"):
        split(Pictures([*cats, PLAIN[5]], [0] * 5 + [1]), (0.5, 0, 0.5))
    with pytest.raises(InputError, match="at least one image"):
        split(Pictures([]))


def test_pictures_shared_by_the_classes_may_leave_too_few():
    """The only three dogs are one cat's copies each but for the sides that the cats need."""
    source = Pictures(PLAIN[:3] * 2, [0] * 3 + [1] * 3)
    sides = side_of(split(source), 6)
    np.testing.assert_array_equal(sides[:3], sides[3:])
    assert sorted(sides[:3]) == [0, 1, 2]


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_bad_fractions_are_refused(fractions):
    with pytest.raises(InputError, match="three numbers >= 0 with sum 1"):
        split(Pictures(PLAIN[:10]), fractions)


def test_the_same_picture_in_two_classes_is_reported():
    cats = [scene(i) for i in range(8)]
    dogs = [scene(i) for i in range(100, 106)]
    assert across_classes(Pictures(cats + dogs, [0] * 8 + [1] * 6)).shape == (0, 2)
    source = Pictures([*cats, *dogs, jpeg(cats[2]), cats[5]], [0] * 8 + [1] * 8)
    found = near_duplicates(source)
    np.testing.assert_array_equal(across_classes(source, duplicates=found), [[2, 14], [5, 15]])
    sides = side_of(split(source, duplicates=found), 16)
    assert sides[2] == sides[14] and sides[5] == sides[15]
    assert len(across_classes(Pictures(cats * 2, [0] * 8 + [1] * 8))) == 8


def grown(count: int, more: Sequence[bytes] = (), groups: Sequence[int] | None = None):
    """Digests of `count` different pictures and of more; labels, and duplicates by `groups`."""
    digests = tuple(hashlib.sha256(bytes([i])).digest()[:16] for i in range(count)) + tuple(more)
    group = np.arange(len(digests)) if groups is None else np.array(groups)
    return np.zeros(len(digests), np.int64), Duplicates(group.astype(np.int64), digests)


def test_sides_that_were_decided_stay_when_pictures_are_added():
    labels, duplicates = grown(40)
    before = assign(labels, ("cat",), (0.5, 0.25, 0.25), duplicates)
    decided = dict(zip(duplicates.digest, before.tolist(), strict=True))
    # Without what was decided, a smaller digest in its group would take a picture elsewhere.
    for new in range(20):
        more = bytes([new]) * 16
        for like in range(0, 40, 7):
            labels, duplicates = grown(40, [more], [*range(40), like])
            after = assign(labels, ("cat",), (0.5, 0.25, 0.25), duplicates, decided)
            assert (after[:40] == before).all() and after[40] == before[like]


def test_a_new_picture_that_ties_two_sides_together_goes_nowhere():
    labels, duplicates = grown(40)
    before = assign(labels, ("cat",), (0.5, 0.25, 0.25), duplicates)
    decided = dict(zip(duplicates.digest, before.tolist(), strict=True))
    one, other = np.flatnonzero(before == 0)[0], np.flatnonzero(before == 2)[0]
    groups = [*range(40), int(one)]
    groups[other] = int(one)  # What is new is like both.
    labels, duplicates = grown(40, [b"new" * 5], groups)
    after = assign(labels, ("cat",), (0.5, 0.25, 0.25), duplicates, decided)
    assert (after[:40] == before).all() and after[40] == -1


def test_a_side_without_pictures_is_filled_by_new_ones_only():
    labels, duplicates = grown(30)
    decided = dict.fromkeys(duplicates.digest, 0)
    labels, duplicates = grown(30, [b"a" * 16, b"b" * 16])
    after = assign(labels, ("cat",), (0.5, 0.25, 0.25), duplicates, decided)
    assert (after[:30] == 0).all() and sorted(after[30:].tolist()) == [1, 2]


@pytest.mark.parametrize(("many", "few"), [(500, 40), (300, 8), (59, 12)])
def test_small_classes_have_their_share_on_every_side(many: int, few: int) -> None:
    """Rounded down; a share of 40 left to chance is off by 3 or more of 10, one time in three."""
    fractions = (0.6, 0.15, 0.25)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        digests = [rng.bytes(16) for _ in range(many + few)]
        labels = np.repeat([0, 1], [many, few])
        found = Duplicates(np.arange(many + few), digests)
        sides = assign(labels, ("cat", "dog"), fractions, found)
        counts = np.bincount(sides[labels == 1], minlength=3)
        assert (counts >= np.floor(np.array(fractions) * few)).all()
