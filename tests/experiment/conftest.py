"""Whole experiments that are run once, for tests that only read from them.

Once a session, which with `-n 2 --dist loadfile` is one worker's: another worker that needs one
runs it, too. So those that read from one stand in one file.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ml_collections import ConfigDict
from PIL import Image

from jaxgan.config import loading as configs
from jaxgan.data.folder import Source
from jaxgan.data.toy.animals import ToySource
from jaxgan.experiment import pipeline
from jaxgan.training import run


class Finished(NamedTuple):
    """A whole experiment.

    Attributes:
        folder: its workdir.
        config: its config; not to be changed.
        results: what it returned.
        gans: the classes and images of each GAN.
        learned: the images to train and to validate with, by the classifier's label.
    """

    folder: Path
    config: ConfigDict
    results: dict[str, Any]
    gans: list[tuple[tuple[str, ...], Source]]
    learned: dict[str, tuple[Source, Source]]


def finish(folder: Path, config: ConfigDict, fails: str = "not to fail") -> Finished:
    """Run an experiment, of which the classifiers whose label begins with `fails` fail."""
    gans, learned = [], {}
    train_gan, train_classifier = run.train_gan, run.train_classifier

    def gan(own, source, *args, **more):
        gans.append((own.data.classes, source))
        return train_gan(own, source, *args, **more)

    def classifier(own, source, validation, *args, label, **more):
        learned[label] = source, validation
        if label.startswith(fails):
            raise RuntimeError("no luck")
        return train_classifier(own, source, validation, *args, label=label, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "train_gan", gan)
        patch.setattr(run, "train_classifier", classifier)
        return Finished(folder, config, pipeline.run(config, folder), gans, learned)


@pytest.fixture(scope="session")
def save() -> Callable[..., Path]:
    """Return what writes images of cats and dogs, which serve as generated ones."""

    def write(
        folder: Path, count: int, classes: tuple[str, ...] = ("cat", "dog"), seed: int = 5
    ) -> Path:
        source = ToySource(32, count=count, classes=classes, seed=seed)
        for i, label in enumerate(source.labels):
            file = folder / source.classes[label] / f"{i:04d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(source[i]["image"]).save(file)
        return folder

    return write


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The quickstart's twin."""
    return finish(tmp_path_factory.mktemp("quickstart"), configs.load("quickstart", test=True))


@pytest.fixture(scope="session")
def elsewhere(save: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One without a GAN, of images that lie beside its folder, of which an arm fails."""
    config, place = configs.load("quickstart", test=True), tmp_path_factory.mktemp("elsewhere")
    config.generated = str(save(place / "made", 40))
    config.arms = ("real", "replace", "add", "add:best", "pca:1x", "pretrain:1x", "weight:0.5")
    config.add.amounts = (0.5, 1.0)
    return finish(place / "run", config, fails="replace ")
