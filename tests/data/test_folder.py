"""Folders of pictures: what is taken, what is left out, and what is said about it."""

import json
import logging
import os
import time

import numpy as np
import pytest
from PIL import Image

from jaxgan.data import folder as folder_module
from jaxgan.data import threads
from jaxgan.data.folder import FolderSource
from jaxgan.data.threads import in_threads
from jaxgan.system import machine
from jaxgan.system.terminal import printable
from jaxgan.types import InputError


def save(path, colour=(200, 30, 60), size=(12, 10), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


@pytest.fixture
def pets(tmp_path):
    """Three cats (red 10, 20, 30) and two dogs (blue)."""
    for i, name in enumerate(["b.png", "a.JPG", "deeper/still/c.webp"]):
        save(tmp_path / "cat" / name, (10 + 10 * i, 0, 0))
    for name in ["x.bmp", "y.tiff"]:
        save(tmp_path / "dog" / name, (0, 0, 200))
    return tmp_path


def warnings_of(caplog) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_class_folders_become_labelled_records(pets, caplog):
    source = FolderSource(pets, 8)
    assert source.classes == ("cat", "dog") and source.resolution == 8 and len(source) == 5
    assert source.names == (
        *("cat/a.JPG", "cat/b.png", "cat/deeper/still/c.webp"),
        *("dog/x.bmp", "dog/y.tiff"),
    )
    assert source.labels.dtype == np.int32 and source.labels.tolist() == [0, 0, 0, 1, 1]
    record = source[4]
    assert record["image"].shape == (8, 8, 3) and record["image"].dtype == np.uint8
    assert record["label"] == 1 and isinstance(record["label"], np.int32)
    assert (record["image"] == (0, 0, 200)).all() and (source[1]["image"] == (10, 0, 0)).all()
    assert not source.unreadable and not warnings_of(caplog)


def test_classes_choose_and_order_the_labels(pets):
    source = FolderSource(str(pets), 8, classes=["dog", "cat"])
    assert source.classes == ("dog", "cat") and source.labels.tolist() == [0, 0, 1, 1, 1]
    assert FolderSource(pets, 8, classes=("dog",)).names == ("dog/x.bmp", "dog/y.tiff")


@pytest.mark.parametrize("classes", [("cat", "bird"), (), ("cat", "cat")])
def test_wrong_classes_answer_with_those_there_are(pets, classes):
    with pytest.raises(InputError, match="there are cat, dog; wanted are"):
        FolderSource(pets, 8, classes=classes)


def test_a_folder_of_pictures_is_one_class_named_after_it(pets):
    source = FolderSource(pets / "dog", 8)
    assert source.classes == ("dog",) and source.names == ("x.bmp", "y.tiff")
    assert FolderSource(pets / "dog", 8, classes=("dog",)).classes == ("dog",)


def test_missing_and_empty_folders_are_refused(tmp_path, pets):
    for path in (tmp_path / "nowhere", "", pets / "dog" / "x.bmp"):
        with pytest.raises(InputError, match=r"data.path must be a folder, a \.zip or a \.tar"):
            FolderSource(path, 8)
    (tmp_path / "none" / "cat").mkdir(parents=True)
    (tmp_path / "none" / "notes.txt").write_text("cats")
    with pytest.raises(InputError, match=r"must hold images.*\(1 other files\)"):
        FolderSource(tmp_path / "none", 8)


def test_what_is_no_picture_is_left_out_and_counted(pets, caplog):
    (pets / "cat" / "notes.txt").write_text("meow")
    (pets / "cat" / ".a.png").write_text("hidden")
    save(pets / ".cache" / "a.png")
    save(pets / "stray.png")
    (pets / "bird").mkdir()
    source = FolderSource(pets, 8)
    assert len(source) == 5 and source.classes == ("cat", "dog")
    assert source.left_out == {"hidden": 2, "no picture": 1, "beside the class folders": 1}
    beside, empty = warnings_of(caplog)
    assert "beside the class folders" in beside and "stray.png" in beside
    assert empty == "left out folders without images: bird"


def damage(pets):
    (pets / "cat" / "text.jpg").write_text("no picture")
    whole = save(pets / "dog" / "half.png", size=(300, 300)).read_bytes()
    (pets / "dog" / "half.png").write_bytes(whole[: len(whole) // 2])
    (pets / "dog" / "gone.png").symlink_to(pets / "nowhere.png")
    os.mkfifo(pets / "dog" / "pipe.png")


def test_unreadable_files_are_left_out_with_one_warning(pets, caplog):
    damage(pets)
    source = FolderSource(pets, 8)
    assert [name for name, _ in source.unreadable] == [
        *("cat/text.jpg", "dog/gone.png", "dog/half.png", "dog/pipe.png")
    ]
    reasons = dict(source.unreadable)
    assert "not an image" in reasons["cat/text.jpg"]
    assert "no such file" in reasons["dog/gone.png"]
    assert "truncated" in reasons["dog/half.png"]
    assert reasons["dog/pipe.png"] == "not a regular file"
    (line,) = warnings_of(caplog)
    assert "left out 4 of 9" in line and "cat/text.jpg" in line and "and 1 more" in line
    assert source.names == FolderSource(pets, 8).names and len(source) == 5
    assert (source[4]["image"] == (0, 0, 200)).all()  # Those that follow a gap moved up.


def test_raise_makes_the_first_unreadable_file_fatal(pets):
    damage(pets)
    with pytest.raises(InputError, match=r"cat/text\.jpg is not: not an image"):
        FolderSource(pets, 8, on_error="raise")


def test_a_class_without_a_readable_picture_is_refused(pets):
    for file in ("x.bmp", "y.tiff"):
        (pets / "dog" / file).write_bytes(b"")
    with pytest.raises(InputError, match="every class needs a readable image, dog has none"):
        FolderSource(pets, 8)


@pytest.mark.parametrize("limit", [149, 74])  # Pillow warns above it and raises above twice it.
def test_a_huge_picture_is_unreadable_and_nothing_leaks(tmp_path, monkeypatch, recwarn, limit):
    save(tmp_path / "dog" / "huge.png", size=(15, 10))
    save(tmp_path / "dog" / "small.png", size=(7, 10))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    source = FolderSource(tmp_path, 8)
    ((name, why),) = source.unreadable
    assert name == "dog/huge.png" and "more than the 150" in why and len(source) == 1
    assert not recwarn.list


def test_pictures_beyond_the_memory_limit_are_read_again(pets):
    damage(pets)
    kept, again = FolderSource(pets, 8), FolderSource(pets, 8, in_memory=0)
    assert kept.names == again.names and kept.unreadable == again.unreadable
    for i in range(len(kept)):
        np.testing.assert_array_equal(kept[i]["image"], again[i]["image"])
    (pets / "cat" / "b.png").write_bytes(b"")
    kept[1]
    with pytest.raises(InputError, match=r"cat/b\.png is no longer readable"):
        again[1]


@pytest.mark.parametrize(("pictures_that_fit", "kept"), [(5, True), (4.9, False), (None, True)])
def test_no_more_than_half_of_the_free_memory_is_taken(pets, monkeypatch, pictures_that_fit, kept):
    free = None if pictures_that_fit is None else int(2 * pictures_that_fit * 8 * 8 * 3)
    monkeypatch.setattr(machine, "free_memory", lambda: free)
    assert (FolderSource(pets, 8).images is not None) == kept


def test_the_stated_limit_holds_where_memory_is_plenty(pets, monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: 10**15)
    assert folder_module.IN_MEMORY == 4 * 1024**3
    for limit, kept in ((5 * 8 * 8 * 3, True), (5 * 8 * 8 * 3 - 1, False)):
        monkeypatch.setattr(folder_module, "IN_MEMORY", limit)
        assert (FolderSource(pets, 8).images is not None) == kept


def test_pictures_in_memory_cannot_be_changed_by_accident(pets):
    with pytest.raises(ValueError, match="read-only"):
        FolderSource(pets, 8)[0]["image"][:] = 0


def test_odd_names_stay_printable_and_json_encodable(tmp_path):
    names = ["with space.png", "Kätzchen.png", "猫.png", "new\nline.png"]
    for name in names:
        save(tmp_path / "cat" / name)
    raw = os.path.join(os.fsencode(tmp_path), b"cat", b"\xff\xfe.png")
    os.rename(save(tmp_path / "cat" / "raw.png"), raw)
    source = FolderSource(tmp_path, 8)
    assert len(source) == 5 and len(set(source.names)) == 5
    for name in source.names:
        assert name.isprintable() and json.loads(json.dumps(name)) == name and name.encode()
    assert {"cat/with space.png", "cat/Kätzchen.png", "cat/猫.png"} < set(source.names)
    assert printable("new\nline") == "new\\nline"


def test_links_are_followed_but_not_in_circles(pets, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save(elsewhere / "far.png")
    (pets / "cat" / "far").symlink_to(elsewhere)
    (pets / "cat" / "link.png").symlink_to(elsewhere / "far.png")
    (pets / "cat" / "circle").symlink_to(pets)
    (pets / "wolf").symlink_to(pets / "dog")
    source = FolderSource(pets, 8)
    assert source.classes == ("cat", "dog", "wolf") and len(source) == 9
    assert {"cat/far/far.png", "cat/link.png", "wolf/x.bmp"} < set(source.names)


def test_crops(tmp_path):
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = 255
    (tmp_path / "cat").mkdir()
    Image.fromarray(picture).save(tmp_path / "cat" / "a.png")
    assert (FolderSource(tmp_path, 8)[0]["image"] == 255).all()
    stretched = FolderSource(tmp_path, 9, crop="stretch")[0]["image"]
    assert (stretched[:, 4] == 255).all() and (stretched[:, [0, 8]] <= 2).all()


def test_threads_keep_the_order_and_a_failure_stops_them():
    def slow_first(i):
        time.sleep(0.02 * (i == 0))
        return i

    assert list(in_threads(slow_first, 50)) == list(range(50))
    ran = []

    def fail(i):
        ran.append(i)
        time.sleep(0.001)
        raise ValueError(i)

    with pytest.raises(ValueError, match="0"):
        list(in_threads(fail, 1000))
    assert len(ran) < 500


def test_threads_do_not_run_far_ahead_of_a_slow_caller():
    started = []
    results = in_threads(started.append, 1000)
    next(results)
    time.sleep(0.02)
    assert len(started) <= 8 * machine.cores() + 1
    results.close()


def test_progress_is_shown_only_when_it_takes_long(capsys, monkeypatch):
    list(in_threads(lambda i: i, 10))
    assert capsys.readouterr().err == ""
    clock = iter(range(0, 10_000, 3))
    monkeypatch.setattr(threads.time, "monotonic", lambda: next(clock))
    list(in_threads(lambda i: i, 10))
    assert "images read: 1 of 10 (0/s)" in capsys.readouterr().err


@pytest.mark.parametrize("count", [0, 1, 7, 2_001, 8_003])
def test_threads_read_all_in_order_and_raise_what_fails(count: int, monkeypatch) -> None:
    monkeypatch.setattr("jaxgan.system.machine.cores", lambda: 2)
    assert [*in_threads(lambda i: i * i, count)] == [i * i for i in range(count)]
    if count:
        with pytest.raises(ZeroDivisionError):
            [*in_threads(lambda i: 1 // (count - 1 - i), count)]
