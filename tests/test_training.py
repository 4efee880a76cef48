import logging
from pathlib import Path

import numpy as np
import pytest

from jaxgan import config as configs
from jaxgan import training
from jaxgan.data.loader import Concat, Subset
from jaxgan.data.toy import ToySource
from jaxgan.experiment.design import Labelled
from jaxgan.types import InputError

SOURCE = ToySource(16, count=40)


def shared(count: int):
    """Cats and dogs, the first `count` cats among the dogs too."""
    cats = Subset(SOURCE, np.flatnonzero(SOURCE.labels == 0)[:count])
    return Concat([SOURCE, Labelled(cats, SOURCE.classes, "dog")])


def test_classes_with_the_same_pictures_are_refused() -> None:
    with pytest.raises(InputError, match=r"hold different pictures: 40 pictures .* toy/cat/"):
        training.split(shared(40), (0.5, 0.25, 0.25))


def test_a_few_shared_pictures_are_named(caplog) -> None:
    with caplog.at_level(logging.WARNING, "jaxgan"):
        training.split(shared(2), (0.5, 0.25, 0.25))
    assert "2 pictures stand in two classes" in caplog.text


def test_one_class_is_nothing_to_tell_apart() -> None:
    with pytest.raises(InputError, match="two classes or more, got only cat"):
        training.check_classes(ToySource(16, count=3, classes=("cat",)))


def test_a_run_goes_on_with_its_pictures_only(tmp_path: Path) -> None:
    about = training.describe_data(SOURCE)
    configs.claim_data(tmp_path, about["fingerprint"])
    configs.claim_data(tmp_path, about["fingerprint"])
    other = training.describe_data(Subset(SOURCE, np.arange(79)))
    with pytest.raises(InputError, match="have changed since"):
        configs.claim_data(tmp_path, other["fingerprint"])


def test_the_description_counts_by_class() -> None:
    assert training.describe_data(SOURCE)["counts"] == {"cat": 40, "dog": 40}


def test_the_environment_names_versions_and_devices() -> None:
    about = training.environment()
    assert set(about["versions"]) == set(training.PACKAGES)
    assert len(about["devices"]) == 2 and "pytest" in about["command"]
