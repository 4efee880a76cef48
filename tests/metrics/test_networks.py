"""The networks that look: how pictures become their input, weights, names, bad input."""

import hashlib
import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.metrics import feature_cache, networks
from jaxgan.metrics.features import extract
from jaxgan.metrics.inception_score import inception_score
from jaxgan.models import inception
from jaxgan.steps.classifier import make_predict
from jaxgan.types import InputError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("side", [(20, 20), (31, 31), (24, 37)])
def test_the_clean_rule_is_pillows_bicubic_in_float(side: tuple[int, int]) -> None:
    """As clean-fid resizes: a channel at a time in float32, then clipped."""
    for size in (12, 29, 50):
        images = RNG.integers(0, 256, (2, *side, 3), np.uint8)
        got = np.asarray(networks.cubic(jnp.asarray(images, jnp.float32), size))
        for image, found in zip(images, got, strict=True):
            for c in range(3):
                plane = Image.fromarray(image[:, :, c].astype(np.float32))
                want = np.asarray(plane.resize((size, size), Image.Resampling.BICUBIC))
                np.testing.assert_allclose(found[:, :, c], want.clip(0, 255), atol=1e-2)


@pytest.mark.parametrize("side", [5, 8, 20, 33])
def test_the_original_rule_is_tensorflows(side: int) -> None:
    """Its definition, pixel by pixel: no half pixels, no antialiasing."""
    size = 20
    images = RNG.integers(0, 256, (1, side, side, 1), np.uint8)
    want = np.empty((size, size))
    x = images[0, :, :, 0].astype(float)
    for i in range(size):
        for j in range(size):
            (top, v), (left, h) = (divmod(n * side / size, 1) for n in (i, j))
            top, left = int(top), int(left)
            low, right = min(top + 1, side - 1), min(left + 1, side - 1)
            above = x[top, left] * (1 - h) + x[top, right] * h
            below = x[low, left] * (1 - h) + x[low, right] * h
            want[i, j] = above * (1 - v) + below * v
    got = np.asarray(networks.bilinear(jnp.asarray(images, jnp.float32), size))[0, :, :, 0]
    np.testing.assert_allclose(got, want, atol=1e-3)


def test_means_leave_the_padding_out() -> None:
    x = RNG.standard_normal((1, 5, 4, 2)).astype(np.float32)
    got = np.asarray(inception.mean_pool(jnp.asarray(x)))
    for i in range(5):
        for j in range(4):
            window = x[0, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            np.testing.assert_allclose(got[0, i, j], window.mean((0, 1)), rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def state() -> dict[str, np.ndarray]:
    """A state dict by the published names, of numbers that are the same all along."""
    abstract = jax.eval_shape(
        inception.InceptionV3().init,
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, 299, 299, 3), np.float32),
    )["params"]
    found = {}
    for path, kernel in jax.tree_util.tree_leaves_with_path(abstract):
        *module, leaf = [key.key for key in path]
        name = ".".join(module)
        if leaf != "kernel":
            continue
        if name == "fc":
            found |= {
                "fc.weight": np.ones(kernel.shape[::-1], "f4"),
                "fc.bias": np.ones(1008, "f4"),
            }
            continue
        n = kernel.shape[3]
        shape = (n, kernel.shape[2], *kernel.shape[:2])
        found[f"{name}.conv.weight"] = np.broadcast_to(np.float32(2), shape)
        about = {"weight": 3, "bias": 5, "running_mean": 7, "running_var": 4 - inception.EPSILON}
        for key, value in about.items():
            found[f"{name}.bn.{key}"] = np.full(n, value, np.float32)
    return found


def test_normalisation_is_folded_in(state: dict[str, np.ndarray]) -> None:
    params = inception.from_torch(state)
    layer = params["Mixed_6b"]["branch7x7_2"]
    assert layer["kernel"].shape == (1, 7, 128, 128)
    np.testing.assert_allclose(layer["kernel"], 2 * 3 / 2, rtol=1e-6)
    np.testing.assert_allclose(layer["bias"], 5 - 3 / 2 * 7, rtol=1e-6)
    # Keras counts 23,851,784 for 1,000 classes, 17,216 means and as many variances among them.
    assert sum(x.size for x in jax.tree.leaves(params)) == 23_851_784 - 17_216 * 2 + 8 * 2049
    with pytest.raises(InputError, match=r"must hold Mixed_7c\.branch1x1\.bn\.weight, and it is"):
        inception.from_torch({k: v for k, v in state.items() if "Mixed_7c.branch1x1" not in k})
    with pytest.raises(InputError, match=r"bias of \(1008,\) in fc, got \(1000,\)"):
        inception.from_torch(state | {"fc.bias": np.ones(1000)})


def test_another_file_is_never_called_inception(state, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({name: np.ascontiguousarray(x) for name, x in state.items()}, file)
    content = file.read_bytes()
    with pytest.raises(
        InputError, match=r"weights must be those of SHA-256 6726825d0af5\.\.\., an"
    ):
        networks.inception(str(file))
    monkeypatch.setattr(networks, "CHECKSUM", hashlib.sha256(content).hexdigest())
    net = networks.inception(str(file), "original")
    assert (net.name, net.dimension, net.size) == ("inception", 2048, 299)
    assert net.resize.startswith("original") and net.head is not None
    file.write_bytes(content[:-1] + b"x")  # Tampered with.
    with pytest.raises(InputError, match="is another file, changed or cut off"):
        networks.inception(str(file))
    with pytest.raises(InputError, match=r"--resize must be one of clean, original, got 'area'"):
        networks.inception(str(file), "area")


def test_without_a_network_the_file_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(networks, "URL", "http://127.0.0.1:9/pt_inception.pth")
    with pytest.raises(InputError, match=r"pt_inception\.pth must be fetched once.*--weights=FILE"):
        networks.by_name("inception", 64)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (
            ("vgg19", 64),
            "--features must be vgg16, alexnet, inception, light or classifier:WORKDIR, got 'v",
        ),
        (("classifier:", 64), "--features must be vgg16"),
        (
            ("vgg16", 64, "weights.pth"),
            "--weights and --resize go with --features inception, got v",
        ),
        (("light", 64, None, "original"), "go with --features inception, got light"),
    ],
)
def test_names_that_are_none(arguments: tuple, rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        networks.by_name(*arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A classifier's run with a checkpoint of random weights."""
    folder = tmp_path_factory.mktemp("runs") / "cats"
    config = configs.load(str(Path(__file__).parents[2] / "configs" / "googlenet.py"), test=True)
    with config.unlocked():
        config.model.num_classes, config.data.classes = 2, ("cat", "dog")
    abstract = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    state = jax.tree.map(lambda x: RNG.uniform(0, 0.2, x.shape).astype(x.dtype), abstract)
    configs.claim(folder, config)
    with Checkpoints(folder, networks.BEST) as checkpoints:
        metrics = {networks.BEST.metric: 0.5}
        checkpoints.save(1, state, parse(config).given, {"next_index": 0}, metrics)
    return folder


def test_a_classifier_looks_as_it_was_trained_to(run: Path) -> None:
    net = networks.by_name(f"classifier:{run}", 48)
    trained = networks.restore(run)
    size = trained.config.data.resolution
    assert net.size == size and "cats" in net.name and len(net.checksum) == 64
    images = RNG.integers(0, 256, (3, size, size, 3), np.uint8)
    found = extract(net, images)
    assert found.shape == (3, net.dimension)
    model = recipes.build_classifier(trained.config)
    head = model.apply(trained.variables, jnp.asarray(found), False, method="head")
    log_p = make_predict(model)(trained.variables, jnp.asarray(images))
    np.testing.assert_allclose(jax.nn.log_softmax(head), log_p, rtol=1e-3, atol=1e-4)
    assert np.ptp(log_p) > 0.01


def test_a_folder_without_a_classifier_is_refused(tmp_path: Path) -> None:
    flag = "--features classifier:WORKDIR must"
    with pytest.raises(InputError, match=f"{flag} be the folder of a run"):
        networks.classifier(str(tmp_path))


def test_the_inception_score_of_known_classes() -> None:
    """k classes, each picture surely of one: k where all are there alike, else 1."""
    head = 50 * np.eye(8)
    sure = np.tile(np.eye(8), (40, 1))
    score = inception_score(sure[np.argsort(np.arange(320) % 32)], head)
    assert 6.5 < score.value <= 8 and score.low <= score.value <= score.high
    assert inception_score(np.tile(sure[:1], (60, 1)), head).value == pytest.approx(1)
    assert inception_score(0 * sure, head).value == pytest.approx(1)
    with pytest.raises(InputError, match="an Inception score needs 20 images, two a part, got 19"):
        inception_score(sure[:19], head)


def test_the_longest_unused_features_go(tmp_path: Path) -> None:
    made = []

    def keep(name: str, limit: int) -> None:
        def compute():
            made.append(name)
            return np.zeros((10, 25), np.float32)

        feature_cache.kept(tmp_path, {"name": name}, 10, compute, limit)

    for i, name in enumerate("abc"):
        keep(name, 10**6)
        for file in tmp_path.iterdir():
            if file.stat().st_mtime > 10**6:
                os.utime(file, (i, i))
    keep("a", 10**6)  # Used again: the newest.
    keep("d", 3 * 1200)
    assert made == list("abcd")
    keep("a", 10**6)
    keep("b", 10**6)
    assert made == list("abcdb")


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog) -> None:
    (tmp_path / "file").write_text("")
    about = json.loads('{"a": 1}')
    found = feature_cache.kept(tmp_path / "file", about, 1, lambda: np.ones((1, 2), np.float32))
    assert found.sum() == 2 and "features cannot be kept in" in caplog.text
