"""A trained generator and a trained classifier."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from jaxgan.api.arguments import named
from jaxgan.api.inputs import as_folder, called, unused
from jaxgan.config import loading as configs
from jaxgan.data import loader, ranges
from jaxgan.data.folder import Source
from jaxgan.engine import log
from jaxgan.errors import InputError, naming
from jaxgan.evaluation import export
from jaxgan.evaluation.classifier import evaluate_classifier
from jaxgan.experiment import ensemble
from jaxgan.metrics import classification as evaluation
from jaxgan.metrics import networks
from jaxgan.sampling import cards, files, gallery, requests, sample
from jaxgan.sampling import export as programs
from jaxgan.system import paths
from jaxgan.system.terminal import few

logger = logging.getLogger("jaxgan")
Images = UInt8[np.ndarray, "n h w 3"]


class Generator:
    """The averaged generator of a run.

    Args:
        workdir: the run's folder.
        step: the checkpoint, or "best"; the latest where None.
        label: the class of its images, of a conditional generator; all in turn where None.

    Attributes:
        workdir: the run's folder.
        label: as given.
        sampler: see `jaxgan.sampling.sample.Sampler`.
    """

    @named(**{"class": "label"})
    def __init__(
        self, workdir: str | Path, step: int | str | None = None, label: str | None = None
    ):
        self.workdir, self._step, self.label = Path(workdir), step, label
        self.sampler = sample.restore(workdir, step, sample.Style(label=label))

    @property
    def resolution(self) -> int:
        """The side of its images in pixels."""
        return self.sampler.config.data.resolution

    @named(num="count", **{"class": "label"})
    def sample(self, count: int = 16, seed: int = 0, label: str | None = None) -> Images:
        """Return generated images, image i from seed + i, as `scripts/sample.py` draws them.

        Args:
            count: how many.
            seed: of the first.
            label: the class, of a conditional generator; its own where None.
        """
        requests.check_request(_whole(count, "count"), _whole(seed, "seed"), "png")
        sampler = self.sampler
        if label is not None:
            sampler = sample.restore(self.workdir, self._step, sample.Style(label=label))
        return np.stack([*sample.images(sampler, range(seed, seed + count), sample.BATCH)])

    def grid(self, count: int = 16, seed: int = 0) -> UInt8[np.ndarray, "h w 3"]:
        """Return `count` generated images as one."""
        return log.grid(self.sample(count, seed))

    @named(num="count")
    def save(self, folder: str | Path, count: int = 16, seed: int = 0) -> None:
        """Write generated images as PNG files, with a manifest, as `jaxgan sample` does."""
        requests.check_request(_whole(count, "count"), _whole(seed, "seed"), "png")
        paths.check_folder(str(folder), "folder")
        files.save(self.sampler, range(seed, seed + count), folder)

    @named(programs.run)
    def export(self, out: str | Path, **licences: str | None) -> str:
        """Write what other programs need, with a card: see `jaxgan.sampling.export.run`."""
        paths.check_folder(str(out), "out")
        return programs.run(self.sampler, self.workdir, out, **licences)

    @named(gallery.write, num="count")
    def view(self, file: str | Path, **options: Any) -> list[str]:
        """Write a page to look at its images with: see `jaxgan.sampling.gallery.write`."""
        return gallery.write(self.workdir, file, step=self._step, **options)

    def __repr__(self) -> str:
        config = self.sampler.config
        return (
            f"Generator({str(self.workdir)!r}: {config.model.name}, {self.resolution} px, "
            f"step {self.sampler.step:,}{'' if self.label is None else f', {self.label} alone'})"
        )


class Classifier:
    """The best checkpoint of a classifier's run, or all classifiers of an experiment's arm as one.

    Args:
        workdir: the folder of a run or of a finished experiment.
        step: a certain checkpoint of a run.
        arm: of an experiment: its name, or "best", the one that validates best.

    Attributes:
        workdir: the folder.
        arm: the arm's name; None of a run.
        members: the classifiers, see `jaxgan.metrics.networks.Classifier`; one of a run.
        measured: accuracy on the experiment's test images; None of a run.
    """

    @named()
    def __init__(self, workdir: str | Path, step: int | None = None, arm: str | None = None):
        self.workdir, self.arm = Path(workdir), arm
        self.measured, self.about = None, None
        if configs.is_experiment(configs.read_claim(workdir)):
            if step is not None:
                raise InputError("--step goes with the run of one classifier, not an experiment")
            whole = ensemble.load(workdir, ensemble.BEST if arm is None else arm)
            self.arm, self.members, self.measured, self.about = whole
        elif arm is not None:
            raise InputError(f"--arm goes with the folder of an experiment, and {workdir} is none")
        else:
            self.members = [networks.load_classifier(workdir, step)]

    @property
    def net(self) -> networks.Classifier:
        """The first of the classifiers."""
        return self.members[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `predict`."""
        return tuple(self.net.config.data.classes)

    @named()
    def predict(self, images: "str | Path | Sequence[str | Path] | Images") -> "Predictions":
        """Return the probability of each class for each image.

        Args:
            images: a folder, a file or several, a uint8 array [n, h, w, 3], or a list of images
                (Pillow's or uint8 arrays), of any sizes.

        Raises:
            InputError: no readable image, or an array of another shape or type.
        """
        with tempfile.TemporaryDirectory() as place:
            folder = as_folder(images, Path(place))
            try:
                with naming("--images"):
                    source = self._open(folder)
            except InputError as error:
                if folder != place:
                    raise
                first = images if isinstance(images, str | Path) else images[0]
                raise InputError(
                    f"there must be images that can be read, and {first} is none"
                ) from error
            names = [called(name, folder, images) for name in source.names]
            if lost := unused(images, names, getattr(source, "unreadable", ())):
                logger.warning("left out what is no image by its name: %s", few(lost))
            log_p = self._judge(source)
        return Predictions(self.classes, names, np.exp(log_p))

    def _open(self, folder: str, classes: tuple[str, ...] | None = None) -> Source:
        data = self.net.config.data
        scale = cards.read_about(self.workdir).get("data", {}).get("scale")
        return loader.open_source(
            folder,
            data.resolution,
            classes=classes,
            crop=data.crop,
            given_sides="merge",
            reading="one" if classes is None else "auto",  # Labels are not asked for.
            scale=scale and ranges.Scale(*scale),
        )

    def _judge(self, source: Source) -> Float[np.ndarray, "n k"]:
        def together(variables: Any, images: Any) -> Any:
            each = [one.predict(one.variables, images) for one in self.members]
            return evaluation.together(np.stack(each))

        return evaluation.predict(together, None, source)

    @named(data="path", split="part")
    def evaluate(self, path: str | Path, part: str = "all") -> dict[str, Any]:
        """Return accuracy with its interval, per class, and the confusion matrix.

        Args:
            path: a folder with a folder for each class.
            part: "all", or of a run, whose split decides: "train", "validation" or "test".
        """
        if self.arm is None:
            return evaluate_classifier(str(self.workdir), str(path), part)
        if part != "all":
            raise InputError(f"--split must be all for an arm of an experiment, got {part}")
        own = configs.read_claim(self.workdir).data.path
        if Path(path).resolve() == Path(own).resolve():
            logger.warning(
                "these are the experiment's own images, most of which it trained on: the card has "
                "its accuracy on those that it did not"
            )
        with naming("--data"):
            source = self._open(str(path), self.classes)
        about = {"data": str(path), "arm": self.arm, "classifiers": len(self.members)}
        return evaluation.summarise(self._judge(source), source.labels, self.classes) | about

    @named(export.run, onnx="with_onnx")
    def export(self, out: str | Path, **more: Any) -> str:
        """Write what other programs need, with a card: see `jaxgan.evaluation.export.run`."""
        given: dict[str, Any] = {"measured": self.measured, "about": self.about} | more
        return export.run(self.members, self.workdir, out, **given)

    def __repr__(self) -> str:
        name = self.net.config.model.name
        if self.arm is not None:
            name = f"{self.arm}, {len(self.members)} times {name}"
        return f"Classifier({str(self.workdir)!r}: {name} of {few(self.classes)})"


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{name} must be a whole number, got {value!r}")
    return int(value)


class Predictions(NamedTuple):
    """What a classifier says of some images.

    Attributes:
        classes: their names.
        names: of the images.
        probabilities: in the order of both.
    """

    classes: tuple[str, ...]
    names: list[str]
    probabilities: Float[np.ndarray, "n k"]

    def __repr__(self) -> str:
        counts = few([f"{self.labels.count(name):,} {name}" for name in self.classes])
        return f"Predictions({len(self.names):,} images: {counts})"

    @property
    def labels(self) -> list[str]:
        """The most probable class of each image."""
        return [self.classes[i] for i in self.probabilities.argmax(1)]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each image: its name, class and probabilities."""
        return [
            {"image": name, "class": label}
            | {c: round(float(x), 6) for c, x in zip(self.classes, p, strict=True)}
            for name, label, p in zip(self.names, self.labels, self.probabilities, strict=True)
        ]
