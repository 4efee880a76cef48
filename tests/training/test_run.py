import logging
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.data.dataset import concat
from jaxgan.data.loader import Subset
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine import provenance
from jaxgan.experiment import pipeline
from jaxgan.training import run
from jaxgan.training.options import assemble
from jaxgan.types import InputError

SOURCE = ToySource(16, count=40)


def shared(count: int):
    """Cats and dogs, the first `count` cats among the dogs too."""
    cats = Subset(SOURCE, np.flatnonzero(SOURCE.labels == 0)[:count])
    return concat([SOURCE, cats.relabel(SOURCE.classes, "dog")])


def test_classes_with_the_same_pictures_are_refused() -> None:
    with pytest.raises(InputError, match=r"hold different images: 40 images .* toy/cat/"):
        run.split(shared(40), (0.5, 0.25, 0.25))


def test_a_few_shared_pictures_are_named(caplog) -> None:
    with caplog.at_level(logging.WARNING, "jaxgan"):
        run.split(shared(2), (0.5, 0.25, 0.25))
    assert "2 images stand in two classes" in caplog.text


def test_one_class_is_nothing_to_tell_apart() -> None:
    with pytest.raises(InputError, match="two classes or more, got only cat"):
        run.check_classes(ToySource(16, count=3, classes=("cat",)))


def test_a_run_goes_on_with_its_pictures_only(tmp_path: Path) -> None:
    about = run.describe_data(SOURCE)
    configs.claim_data(tmp_path, about["fingerprint"])
    configs.claim_data(tmp_path, about["fingerprint"])
    other = run.describe_data(Subset(SOURCE, np.arange(79)))
    with pytest.raises(InputError, match="have changed since"):
        configs.claim_data(tmp_path, other["fingerprint"])


def test_the_description_counts_by_class() -> None:
    assert run.describe_data(SOURCE)["counts"] == {"cat": 40, "dog": 40}


def test_the_environment_names_versions_and_devices() -> None:
    about = provenance.environment()
    assert set(about["versions"]) == set(provenance.PACKAGES)
    assert len(about["devices"]) == 2 and about["command"] == shlex.join(sys.argv)


@pytest.mark.parametrize(
    ("platform", "capability", "warns", "refused"),
    [
        ("gpu", "7.5", False, True),
        ("gpu", "8.0", False, False),
        ("gpu", "12.0", False, False),
        ("gpu", "gfx90a", False, False),  # AMD's.
        ("tpu", None, False, False),
        ("cpu", None, True, False),
    ],
)
def test_bf16_where_there_is_none(platform, capability, warns, refused, monkeypatch, caplog):
    device = SimpleNamespace(platform=platform, device_kind="X1")
    if capability:
        device.compute_capability = capability
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    run.check_precision("float32")
    assert not caplog.records
    if refused:
        with pytest.raises(InputError, match=r"8\.0 or more .*got 7\.5 \(X1\)"):
            run.check_precision("bf16")
    else:
        run.check_precision("bf16")
    assert len(caplog.records) == warns


def test_the_loop_is_told_what_to_trace_and_what_takes_memory() -> None:
    file = Path(__file__).parents[2] / "configs" / "googlenet.py"
    config = configs.load(str(file), test=True)
    config.train.profile, config.train.microbatch, config.precision = "3:2", 2, "bf16"
    config.model.num_classes = 2
    options = assemble(parse(config), SOURCE).options
    assert list(options.profile) == [3, 4]
    assert options.memory == (config.train.batch_size, 2, False, True, "")


@pytest.mark.parametrize(
    ("section", "change", "words"),
    [
        ("gan", {"batch_size": 6}, r"half of gan\.train\.batch_size must .* 2 devices, got 3"),
        ("gan", {"microbatch": 2}, r"half of gan\.train\.microbatch must .* got 1"),
        ("gan", {"microbatch": 4}, None),
        ("classifier", {"batch_size": 5}, r"^classifier\.train\.batch_size must .* got 5"),
        ("classifier", {"batch_size": 6, "microbatch": 2}, None),  # Its halves are not its own.
    ],
)
def test_an_experiments_batches_suit_its_devices(section, change, words) -> None:
    """Path lengths take half of a batch of StyleGAN2's; the tests have two devices."""
    folder = Path(__file__).parents[2] / "configs"
    config = configs.load(str(folder / "quickstart.py"), test=True)
    config.gan = configs.load(str(folder / "stylegan2_ada128.py"), test=True)
    config.gan.retrain, config.gan.model.group_size = 1, 2
    config[section].train.update(change)
    if words is None:
        pipeline.prepare(config)
        return
    with pytest.raises(InputError, match=words):
        pipeline.prepare(config)
    if section == "gan":  # As `run.run` says of one network, without the prefix.
        with pytest.raises(InputError, match=words.replace(r"gan\.", "")):
            run.run(config.gan, "nowhere")


@pytest.mark.parametrize(("file", "axis"), [("wgan64", 1), ("wgan512", 0), ("vgg16_small", 0)])
def test_what_is_assembled_is_what_is_trained(file: str, axis: int) -> None:
    config = configs.load(str(Path(__file__).parents[2] / "configs" / f"{file}.py"), test=True)
    if file == "vgg16_small":
        config.model.num_classes = 2
    recipe, batches, options = assemble(parse(config), SOURCE, prefix="gan.")
    assert options.batch_axis == axis and options.memory.prefix == "gan."
    shape = next(batches)["image"].shape
    assert shape[axis] == config.train.batch_size and len(shape) == axis + 4
    assert (recipe.prelude is not None) == (file == "wgan64")
