"""The order of batches is a function of the seed and the position, and of nothing else."""

import dataclasses
import itertools
import logging
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxgan.data import dataset, images, loader
from jaxgan.data.dataset import concat
from jaxgan.data.folder import FolderSource
from jaxgan.data.loader import (
    Subset,
    fingerprint,
    in_memory,
    in_order,
    make_batches,
    open_source,
)
from jaxgan.system import machine
from jaxgan.types import InputError


class Numbered:
    """Picture i is all i but for its left column, 255: tells which it is."""

    def __init__(self, count=10, resolution=4, classes=("cat", "dog")):
        self.classes, self.resolution = classes, resolution
        self.labels = np.arange(count, dtype=np.int32) % len(classes)
        self.names = tuple(f"{classes[label]}/{i}" for i, label in enumerate(self.labels))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        image = np.full((self.resolution, self.resolution, 3), range(len(self))[index], np.uint8)
        image[:, 0] = 255
        return {"image": image, "label": self.labels[index]}


def take(count, source=None, **options) -> list[dict]:
    batches = make_batches(source or Numbered(), **{"batch_size": 4, "seed": 0, **options})
    taken = list(itertools.islice(batches, count))
    batches.close()
    return taken


def which(batches) -> list[int]:
    """The numbers of the pictures."""
    return [int(x) for batch in batches for x in batch["image"][..., 1, 1, 0].ravel()]


def assert_same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        assert x.keys() == y.keys()
        for name in x:
            assert x[name].dtype == y[name].dtype
            np.testing.assert_array_equal(x[name], y[name])


def test_batches_are_uint8_pictures_with_their_labels():
    for batch in take(5):
        assert batch["image"].shape == (4, 4, 4, 3) and batch["image"].dtype == np.uint8
        assert batch["label"].shape == (4,) and batch["label"].dtype == np.int32
        np.testing.assert_array_equal(batch["image"][:, 1, 1, 0] % 2, batch["label"])


@pytest.mark.parametrize("options", [{}, {"flip": True}, {"flip": True, "turns": 3}])
def test_the_number_of_threads_changes_nothing(options):
    want = take(12, threads=0, **options)
    for threads in (1, 3, 9):  # Fewer and more than pictures in a batch.
        assert_same(take(12, threads=threads, **options), want)


class Together(Numbered):
    """Gives a picture only when three threads ask at once."""

    def __init__(self, **options):
        super().__init__(**options)
        self.meeting = threading.Barrier(3)

    def __getitem__(self, index):
        self.meeting.wait(timeout=30)
        return super().__getitem__(index)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_all_cores_decode_at_once_also_within_a_batch(monkeypatch, batch_size):
    monkeypatch.setattr(machine, "cores", lambda: 3)
    source = Together(count=3)
    batches = make_batches(source, batch_size=batch_size, seed=0, shuffle=False)
    assert which([next(batches)]) == list(range(batch_size))
    batches.close()
    source.meeting.abort()  # Else those that read ahead wait on.
    assert which([next(in_order(Together(count=3), batch_size))]) == list(range(batch_size))


def test_pictures_in_memory_need_one_thread(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 3)
    kept = in_memory(Numbered())
    for source in (kept, Subset(concat([kept, kept]), range(12))):
        assert loader._best_threads(source) == 1
    for source in (Numbered(), concat([kept, Numbered()]), Subset(Numbered(), range(3))):
        assert loader._best_threads(dataset.of(source)) == 3


@pytest.mark.parametrize("turns", [None, 3])
@pytest.mark.parametrize("hosts", [2, 4])
def test_the_hosts_shares_make_up_the_batch_of_one_host(turns, hosts):
    options = {"flip": True, "turns": turns}
    shares = [take(8, process_index=i, process_count=hosts, **options) for i in range(hosts)]
    axis = 0 if turns is None else 1
    joined = [
        {name: np.concatenate([share[name] for share in step], axis=axis) for name in step[0]}
        for step in zip(*shares, strict=True)
    ]
    assert_same(joined, take(8, **options))


@settings(max_examples=25, deadline=None)
@given(
    count=st.integers(1, 12),
    batch_size=st.integers(1, 7),
    turns=st.none() | st.integers(1, 3),
    start=st.integers(0, 9),
    seed=st.integers(0, 2**40),
)
def test_a_resumed_iterator_goes_on_where_it_stopped(count, batch_size, turns, start, seed):
    options = {"batch_size": batch_size, "turns": turns, "seed": seed, "flip": True, "threads": 0}
    whole = take(13, Numbered(count), **options)
    assert_same(take(13 - start, Numbered(count), start=start, **options), whole[start:])


def test_positions_count_from_the_first_batch_of_all():
    whole = take(9)
    batches = make_batches(Numbered(), batch_size=4, seed=0, start=5)
    assert batches.get_state() == {"next_index": 5}
    next(batches)
    assert batches.get_state() == {"next_index": 6}
    for position in (2, 8, 0):
        batches.set_state({"next_index": position})
        assert_same([next(batches)], [whole[position]])


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 30), batch_size=st.integers(1, 9), shuffle=st.booleans())
def test_every_epoch_covers_each_picture_once(count, batch_size, shuffle):
    steps = -(-3 * count // batch_size)
    options = {"batch_size": batch_size, "shuffle": shuffle, "threads": 0}
    drawn = which(take(steps, Numbered(count), **options))
    for epoch in range(3):
        covered = drawn[epoch * count : (epoch + 1) * count]
        assert sorted(covered) == list(range(count))
        assert shuffle or covered == list(range(count))


def test_epochs_and_seeds_differ_and_no_seed_is_another_one_shifted():
    epochs = {
        seed: np.reshape(which(take(20, Numbered(20), seed=seed)), (4, 20)) for seed in range(4)
    }
    orders = {tuple(epoch) for of_seed in epochs.values() for epoch in of_seed}
    assert len(orders) == 16


def test_fewer_pictures_than_a_batch_repeat_with_one_warning(caplog):
    (batch,) = take(1, Numbered(3), batch_size=8)
    counts = np.bincount(which([batch]))
    assert counts.sum() == 8 and counts.min() >= 2 and counts.max() <= 3
    (record,) = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert "a batch of 8 repeats images: there are only 3" in record.getMessage()
    assert which(take(1, Numbered(1), batch_size=3)) == [0, 0, 0]


def test_turns_are_that_many_batches_in_a_row():
    three = take(4, turns=3)
    assert three[0]["image"].shape == (3, 4, 4, 4, 3) and three[0]["label"].shape == (3, 4)
    assert which(three) == which(take(12))


def test_half_of_the_pictures_are_to_be_mirrored_anew_each_time():
    assert "mirror" not in take(1)[0] and "label" not in take(1, labels=False)[0]

    def chosen(count, *source, **options):
        return np.concatenate([x["mirror"] for x in take(count, *source, flip=True, **options)])

    flips = chosen(100)
    assert abs(flips.mean() - 0.5) < 0.1  # 4 standard deviations of 400 draws.
    assert which(take(10, flip=True)) == which(take(10))
    assert (flips[:40] != chosen(10, seed=1)).any()
    once = chosen(50, Numbered(1), batch_size=1)
    assert once.any() and not once.all()


def test_batches_are_copies():
    source = in_memory(Numbered())
    before = fingerprint(source)
    for batch in itertools.chain(take(3, source, flip=True), in_order(source, 4)):
        batch["image"][:] = 7
    assert fingerprint(source) == before


def test_what_cannot_be_batched_is_refused():
    with pytest.raises(InputError, match="at least one image"):
        make_batches(Subset(Numbered(), []), batch_size=4, seed=0)
    with pytest.raises(InputError, match="at least one image"):
        in_order(Subset(Numbered(), []), 4)
    with pytest.raises(InputError, match="multiple of the 3 hosts, got 4"):
        make_batches(Numbered(), batch_size=4, seed=0, process_count=3)


@pytest.mark.parametrize("threads", [0, 2])
def test_an_error_in_a_thread_names_the_file(tmp_path, threads):
    (tmp_path / "cat").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "cat" / "a.png")
    source = FolderSource(tmp_path, 4, in_memory=0)
    (tmp_path / "cat" / "a.png").write_bytes(b"overwritten")
    with pytest.raises(InputError, match=r"cat/a\.png is no longer readable"):
        take(1, source, threads=threads)


@pytest.mark.parametrize("threads", [0, 2])
def test_in_order_goes_once_through_and_masks_the_padding(threads):
    batches = list(in_order(Numbered(10), 4, threads=threads))
    assert [batch["mask"].tolist() for batch in batches] == [
        [True] * 4,
        [True] * 4,
        [True, True, False, False],
    ]
    for batch in batches:
        assert batch["image"].shape == (4, 4, 4, 3) and batch["image"].dtype == np.uint8
        assert batch["label"].dtype == np.int32 and batch["mask"].dtype == bool
    images, labels, mask = (
        np.concatenate([b[k] for b in batches]) for k in ("image", "label", "mask")
    )
    np.testing.assert_array_equal(images[mask][:, 1, 1, 0], np.arange(10))
    np.testing.assert_array_equal(labels[mask], Numbered(10).labels)
    assert not images[~mask].any() and not labels[~mask].any()


def test_subset_concat_and_in_memory_are_sources_of_the_same_pictures():
    source = Numbered(10)
    part = Subset(source, [7, 2, 2])
    assert part.names == ("dog/7", "cat/2", "cat/2") and part.labels.tolist() == [1, 0, 0]
    both = concat([part, source])
    assert len(both) == 13 and both.names[2:5] == ("cat/2", "cat/0", "dog/1")
    assert [int(both[i]["image"][0, 1, 0]) for i in range(13)] == [7, 2, 2, *range(10)]
    assert [int(both[i]["label"]) for i in range(13)] == both.labels.tolist()
    kept = in_memory(both)
    assert in_memory(kept) is kept and fingerprint(kept) == fingerprint(both)
    assert_same(take(5, kept), take(5, both))
    assert len(list(both)) == 13  # The end of the positions is an IndexError, as in a list.


@pytest.mark.parametrize("other", [Numbered(classes=("dog", "cat")), Numbered(resolution=8)])
def test_sources_of_other_classes_or_resolutions_are_not_joined(other):
    with pytest.raises(InputError, match="same classes and resolution"):
        concat([Numbered(), other])


def test_the_fingerprint_sees_names_labels_pixels_and_order():
    source = in_memory(Numbered(4))
    seen = {fingerprint(source), fingerprint(Subset(source, [1, 0, 2, 3]))}
    for change in ("names", "labels", "images", "classes"):
        other = in_memory(Subset(source, range(4)))
        value = getattr(other, change)
        if change == "names":
            value = ("other", *value[1:])
        elif change == "classes":
            value = ("cat", "wolf")
        else:
            value = value.copy()
            value.flat[-1] ^= 1
        other = dataclasses.replace(other, **{change: value})
        seen.add(fingerprint(other))
    assert len(seen) == 6
    assert fingerprint(Subset(source, range(4))) == fingerprint(source)


@pytest.fixture
def some_pictures(tmp_path):
    for i in range(5):
        file = tmp_path / ("cat", "dog")[i % 2] / f"{i}.png"
        file.parent.mkdir(exist_ok=True)
        Image.new("RGB", (9, 9), (40 * i, 0, 0)).save(file)
    (tmp_path / "cat" / "0.5.png").write_bytes(b"no picture")
    return tmp_path


def test_a_folder_s_pictures_are_the_same_from_memory_and_from_files(some_pictures):
    kept, read = FolderSource(some_pictures, 4), FolderSource(some_pictures, 4, in_memory=0)
    assert kept.images is not None and read.images is None
    options = {"flip": True, "turns": 2, "threads": 2}
    assert_same(take(4, kept, **options), take(4, read, **options))
    part = [4, 0, 2]
    assert_same(take(4, Subset(kept, part)), take(4, Subset(read, part)))
    want = fingerprint(Subset(kept, range(5)))  # Computed from the records.
    assert fingerprint(kept) == fingerprint(read) == want


def test_no_file_is_decoded_again_for_the_fingerprint_or_from_memory(some_pictures, monkeypatch):
    decoded = []

    def count(im, *args):
        decoded.append(im.size)
        return decode(im, *args)

    decode = images.decode
    monkeypatch.setattr(images, "decode", count)
    for in_memory_ in (0, None):
        decoded.clear()
        source = FolderSource(some_pictures, 4, in_memory=in_memory_)
        fingerprint(source)
        if in_memory_ is None:
            take(3, source)
        assert len(decoded) == len(source) == 5


def test_open_source_knows_folders_and_the_built_in_pictures(tmp_path):
    for name, count in (("cat", 5), ("dog", 2)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.new("RGB", (9, 9), (i, 0, 0)).save(tmp_path / name / f"{i}.png")
    assert len(open_source(tmp_path, 8)) == 7
    chosen = [open_source(tmp_path, 8, count=3, seed=seed) for seed in range(6)]
    assert all(np.bincount(source.labels).tolist() == [3, 2] for source in chosen)
    assert len({source.names for source in chosen}) > 1
    assert chosen[0].names == open_source(str(tmp_path), 8, count=3, seed=0).names
    toy = open_source("toy", 8, count=2, classes=["dog"])
    assert toy.classes == ("dog",) and len(toy) == 2 and toy.resolution == 8
