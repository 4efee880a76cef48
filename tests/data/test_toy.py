from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

from jaxgan.data.toy.animals import ToySource, draw
from jaxgan.types import InputError


def pictures(source, indices=None):
    indices = range(len(source)) if indices is None else indices
    return np.stack([source[i]["image"] for i in indices])


@pytest.fixture(scope="module")
def small():
    """120 cats, then 120 dogs."""
    return pictures(ToySource(16, count=120))


def probe(train, train_labels, test, test_labels):
    """Test accuracy of a least-squares linear classifier."""
    mean, std = train.mean(0), train.std(0)
    design, held_out = ((np.c_[(x - mean) / std, np.ones(len(x))]) for x in (train, test))
    weights, *_ = np.linalg.lstsq(design, 2.0 * train_labels - 1, rcond=None)
    return np.mean((held_out @ weights > 0) == test_labels)


def test_it_is_a_source():
    source = ToySource(12, count=3)
    assert len(source) == 6 and source.resolution == 12
    assert source.classes == ("cat", "dog")
    assert source.labels.dtype == np.int32 and source.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert source.names[1] == "toy/cat/000001" and source.names[3] == "toy/dog/000000"
    assert len(set(source.names)) == 6
    record = source[4]
    assert record["image"].shape == (12, 12, 3) and record["image"].dtype == np.uint8
    assert record["label"] == 1 and isinstance(record["label"], np.int32)
    with pytest.raises(IndexError):
        source[6]


def test_a_picture_depends_on_seed_class_and_index_alone():
    cats_first, dogs_first = ToySource(16, count=4), ToySource(16, count=9, classes=("dog", "cat"))
    forwards, backwards = pictures(cats_first), pictures(cats_first, range(7, -1, -1))[::-1]
    np.testing.assert_array_equal(forwards, backwards)
    np.testing.assert_array_equal(forwards[:4], pictures(dogs_first, range(9, 13)))
    np.testing.assert_array_equal(forwards[4:], pictures(dogs_first, range(4)))
    np.testing.assert_array_equal(forwards[4:], pictures(ToySource(16, count=4, classes=("dog",))))
    assert not np.array_equal(forwards[0], ToySource(16, seed=1)[0]["image"])


def test_threads_draw_the_same_pictures():
    source = ToySource(16, count=8)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(pool.map(lambda i: source[i]["image"], range(16)))
    np.testing.assert_array_equal(np.stack(drawn), pictures(source))


@pytest.mark.parametrize("resolution", [32, 64])
def test_every_resolution_shows_the_same_scene(resolution):
    large, small = ToySource(128, count=6), ToySource(resolution, count=6)
    factor = 128 // resolution
    shape = 12, resolution, factor, resolution, factor, 3
    reduced = pictures(large).reshape(shape).mean((2, 4))
    pairs = list(zip(reduced, pictures(small), strict=True))
    alike = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs]
    others = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for (a, _), (_, b) in pairwise(pairs)]
    assert min(alike) > 0.97
    assert max(others) < 0.9


@pytest.mark.parametrize("resolution", [8, 17, 50])
def test_any_resolution_from_8(resolution):
    image = draw("dog", np.random.default_rng(3), resolution)
    assert image.shape == (resolution, resolution, 3) and image.std() > 10


def test_all_pictures_differ(small):
    assert len({picture.tobytes() for picture in small}) == len(small)
    thumbnails = small.reshape(-1, 4, 4, 4, 4, 3).mean((2, 4)).reshape(len(small), -1)
    distances = np.abs(thumbnails[:, None] - thumbnails[None]).mean(-1)
    assert distances[~np.eye(len(small), dtype=bool)].min() > 3


def test_pixels_use_their_range(small):
    low, high = np.percentile(small, [1, 99])
    assert low < 35 and high > 220
    assert np.mean((small == 0) | (small == 255)) < 0.05
    assert 90 < small.mean() < 165


def test_colour_does_not_give_the_class_away(small):
    labels = np.repeat([0, 1], len(small) // 2)
    means, stds = small.mean((1, 2)), small.std((1, 2))
    colours = np.c_[means, stds, means**2]
    even = np.arange(len(small)) % 2 == 0
    accuracies = [
        probe(colours[half], labels[half], colours[~half], labels[~half]) for half in (even, ~even)
    ]
    # Chance is .5 with a standard error of .032 over the 240 answers.
    assert abs(np.mean(accuracies) - 0.5) < 0.1


def test_cats_and_dogs_differ_in_the_face_alone():
    """The same choices give either animal the same coat, pose, room and camera."""
    cats, dogs = (
        np.stack([draw(kind, np.random.default_rng(i), 32) for i in range(24)]).astype(int)
        for kind in ("cat", "dog")
    )
    differences = abs(cats - dogs).mean(-1)
    corners = differences[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.mean(corners == 0) > 0.9
    assert differences[:, 12:22, 12:20].mean((1, 2)).min() > 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"classes": ("cat", "cow")}, "toy classes must be among cat, dog, got 'cow'"),
        ({"classes": ("cat", "cat")}, "each once, got .'cat', 'cat'."),
        ({"classes": ()}, "one or more"),
        ({"resolution": 7}, "must be >= 8, got 7"),
        ({"count": 0}, "must be >= 1, got 0"),
        ({"seed": -1}, "must be >= 0, got -1"),
    ],
)
def test_bad_input_is_told_in_one_sentence(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        ToySource(**{"resolution": 16, **arguments})


def test_draw_refuses_other_animals():
    with pytest.raises(InputError, match="among cat, dog, got 'cow'"):
        draw("cow", np.random.default_rng(0), 16)
