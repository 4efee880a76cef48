"""The commands in Python, for notebooks and programs.

    import jaxgan

    answer = jaxgan.experiment("pets", budget="10m")
    answer.verdict, answer.interval, answer.report
    images = jaxgan.load("runs/wgan128").sample(16, seed=0)
    jaxgan.load("runs/resnet").predict("new_images")

Mistakes raise `jaxgan.InputError`, a ValueError with one sentence.
"""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from ml_collections import ConfigDict

from jaxgan.config import loading as configs
from jaxgan.data import loader, ranges
from jaxgan.data.folder import Source
from jaxgan.engine import log
from jaxgan.errors import InputError
from jaxgan.evaluation import export, folders, report
from jaxgan.experiment import budget as budgets
from jaxgan.experiment import ensemble, pipeline
from jaxgan.metrics import classification as evaluation
from jaxgan.reporting.html import text
from jaxgan.sampling import cards, sample
from jaxgan.training import run

Images = UInt8[np.ndarray, "n h w 3"]
Settings = Mapping[str, Any]
STAGES = ("", "gan.", "classifier.")
LENGTHS = "_lengths"  # Beside the values of a config that `load_config` returned.


class Experiment:
    """A finished experiment.

    Attributes:
        workdir: its folder.
        results: what `results.json` holds.
    """

    def __init__(self, workdir: str | Path):
        self.workdir = Path(workdir)
        file = self.workdir / "results.json"
        if not file.exists():
            raise InputError(f"{workdir} must hold a finished experiment, and has no results.json")
        self.results: dict[str, Any] = json.loads(file.read_text())

    @property
    def verdict(self) -> str:
        """*helps*, *hurts*, *no evidence*, ... ."""
        return self.results["verdict"]["word"]

    @property
    def sentence(self) -> str:
        """The verdict in a sentence."""
        return self.results["verdict"]["sentence"]

    @property
    def difference(self) -> float | None:
        """Of the verdict's two arms, as a share of the test images; None where an arm failed."""
        return self.results["verdict"]["difference"]

    @property
    def interval(self) -> tuple[float, float] | None:
        """That of the difference, at the config's level; None with too few seeds."""
        low, high = self.results["verdict"]["low"], self.results["verdict"]["high"]
        return None if low is None else (low, high)

    @property
    def arms(self) -> list[dict[str, Any]]:
        """A row for each arm: name, accuracy and its interval; `pandas.DataFrame(x.arms)`."""
        return [
            {"arm": name, "accuracy": arm["accuracy"], "low": arm["low"], "high": arm["high"]}
            for name, arm in self.results["arms"].items()
        ]

    @property
    def report(self) -> Path:
        """The file of the report."""
        return self.workdir / "report.html"

    def classifier(self, arm: str = ensemble.BEST) -> "Classifier":
        """Return all classifiers of an arm as one; by default of the one that validates best."""
        return Classifier(self.workdir, arm=arm)

    def __repr__(self) -> str:
        return f"Experiment({str(self.workdir)!r}: {self.sentence})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{text(arm['arm'])}</td><td>{arm['accuracy']:.1%}</td></tr>"
            for arm in self.arms
        )
        return (
            f"<p><b>{text(self.verdict)}</b>: {text(self.sentence)}</p>"
            f"<table><tr><th>arm</th><th>accuracy</th></tr>{rows}</table>"
            f'<p><a href="{text(str(self.report))}">report</a></p>'
        )


class Generator:
    """The averaged generator of a run.

    Attributes:
        workdir: the run's folder.
        sampler: see `jaxgan.sampling.sample.Sampler`.
    """

    def __init__(self, workdir: str | Path, step: int | str | None = None):
        self.workdir, self._step = Path(workdir), step
        self.sampler = sample.restore(workdir, step)

    @property
    def resolution(self) -> int:
        """The side of its images in pixels."""
        return self.sampler.config.data.resolution

    def sample(self, count: int = 16, seed: int = 0, label: str | None = None) -> Images:
        """Return generated images, image i from seed + i, as `scripts/sample.py` draws them.

        Args:
            count: how many.
            seed: of the first.
            label: the class, of a conditional generator; the classes in turn where None.
        """
        sample.check_request(count, seed, "png")
        sampler = self.sampler
        if label is not None:
            sampler = sample.restore(self.workdir, self._step, sample.Style(label=label))
        return np.stack([*sample.pictures(sampler, range(seed, seed + count), sample.BATCH)])

    def grid(self, count: int = 16, seed: int = 0) -> UInt8[np.ndarray, "h w 3"]:
        """Return `count` generated images as one."""
        return log.grid(self.sample(count, seed))

    def __repr__(self) -> str:
        config = self.sampler.config
        return (
            f"Generator({str(self.workdir)!r}: {config.model.name}, {self.resolution} px, "
            f"step {self.sampler.step:,})"
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
        members: the classifiers, see `jaxgan.training.run.Classifier`; one of a run.
        measured: accuracy on the experiment's test images; None of a run.
    """

    def __init__(self, workdir: str | Path, step: int | None = None, arm: str | None = None):
        self.workdir, self.arm = Path(workdir), arm
        self.measured, self.about = None, None
        if configs.is_experiment(configs.read_claim(workdir)):
            if step is not None:
                raise InputError("--step goes with the run of one classifier, not an experiment")
            whole = ensemble.load(workdir, arm or ensemble.BEST)
            self.arm, self.members, self.measured, self.about = whole
        elif arm is not None:
            raise InputError(f"--arm goes with the folder of an experiment, and {workdir} is none")
        else:
            self.members = [run.load_classifier(workdir, step)]

    @property
    def net(self) -> run.Classifier:
        """The first of the classifiers."""
        return self.members[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of `predict`."""
        return tuple(self.net.config.data.classes)

    def predict(self, images: "str | Path | Sequence[str | Path] | Images") -> "Predictions":
        """Return the probability of each class for each image.

        Args:
            images: a folder, files, or an array of uint8 images of any size.

        Raises:
            InputError: no readable image, or an array of another shape or type.
        """
        with tempfile.TemporaryDirectory() as place:
            folder = _as_folder(images, Path(place))
            source = self._open(folder)
            log_p = self._judge(source)
            names = [_called(name, folder, images) for name in source.names]
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

    def evaluate(self, path: str | Path, part: str = "all") -> dict[str, Any]:
        """Return accuracy with its interval, per class, and the confusion matrix.

        Args:
            path: a folder with a folder for each class.
            part: "all", or of a run, whose split decides: "train", "validation" or "test".
        """
        if self.arm is None:
            return run.evaluate_classifier(str(self.workdir), str(path), part)
        if part != "all":
            raise InputError(f"--split must be all for an arm of an experiment, got {part}")
        source = self._open(str(path), self.classes)
        about = {"data": str(path), "arm": self.arm, "classifiers": len(self.members)}
        return evaluation.summarise(self._judge(source), source.labels, self.classes) | about

    def export(self, out: str | Path, **more: Any) -> str:
        """Write what other programs need, with a card: see `jaxgan.evaluation.export.run`."""
        given = {"measured": self.measured, "about": self.about} | more
        return export.run(self.members, self.workdir, out, **given)

    def __repr__(self) -> str:
        name = self.net.config.model.name
        if self.arm is not None:
            name = f"{self.arm}, {len(self.members)} times {name}"
        return f"Classifier({str(self.workdir)!r}: {name} of {', '.join(self.classes)})"


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


class Comparison:
    """Generated images beside real ones.

    Attributes:
        result: what `evaluate.py --json` writes.
    """

    def __init__(self, result: dict[str, Any], pairs: Sequence[folders.Pair]):
        self.result, self._pairs = result, pairs

    @property
    def metrics(self) -> dict[str, float]:
        """The value of each metric."""
        return {name: one["value"] for name, one in self.result["metrics"].items()}

    def __repr__(self) -> str:
        return report.table(self.result)

    def _repr_html_(self) -> str:
        return f"<pre>{text(report.table(self.result))}</pre>"


def experiment(
    images: str | Path,
    *,
    budget: str | None = None,
    config: str | ConfigDict = "quickstart",
    workdir: str | Path | None = None,
    settings: Settings | None = None,
) -> Experiment:
    """Answer: would generated images help a classifier of these?

    Args:
        images: a folder of class folders, or any layout that `scripts/experiment.py` takes.
        budget: time to spend, like "10m".
        config: of an experiment: a name, a file, or itself.
        workdir: for all that is made; runs/<config>_<images> by default. There it goes on.
        settings: values of the config, like {"classifier.train.steps": 500}.

    Raises:
        InputError: bad input, before anything is trained; or the verdict's arms failed.
    """
    begin = time.perf_counter()
    made = _config(config, {"data.path": str(images)} | dict(settings or {}))
    place = _place(workdir, config, images)
    if budget is None:
        pipeline.run(made, place)
    else:
        budgets.spend(made, place, budgets.parse(budget), begin)
    return Experiment(place)


def train(
    config: str | ConfigDict,
    images: str | Path | None = None,
    *,
    workdir: str | Path | None = None,
    settings: Settings | None = None,
) -> "Generator | Classifier":
    """Train a GAN or a classifier as `scripts/train.py` does, and return it.

    Args:
        config: a name, a file, or itself.
        images: a folder; the config's own `data.path` where None.
        workdir: the run's folder; runs/<config> by default. There it goes on.
        settings: values of the config, like {"train.steps": 500}.
    """
    given = {} if images is None else {"data.path": str(images)}
    made = _config(config, given | dict(settings or {}))
    place = _place(workdir, config)
    run.run(made, str(place))
    found = load(place)
    assert not isinstance(found, Experiment)
    return found


def load(workdir: str | Path) -> "Experiment | Generator | Classifier":
    """Return what a run's folder holds: an `Experiment`, a `Generator` or a `Classifier`."""
    config = configs.read_claim(workdir)
    if configs.is_experiment(config):
        return Experiment(workdir)
    return (Generator if config.model.name in configs.GANS else Classifier)(workdir)


def compare(
    real: "str | Path | Images",
    fake: "str | Path | Images",
    train: "str | Path | Images | None" = None,
    **options: Any,
) -> Comparison:
    """Compare generated images with real ones, as `scripts/evaluate.py --real --fake` does.

    Args:
        real: a folder or an array of real images, best of such as no GAN saw.
        fake: of generated ones.
        train: of those that the GAN trained on; None: `real` is.
        options: see `jaxgan.evaluation.folders.evaluate`: features, metrics, resolution, seed, ...
            .
    """
    with tempfile.TemporaryDirectory() as place:
        given = {"real": real, "fake": fake, "train": train}
        paths = {
            name: None if images is None else _as_folder(images, Path(place) / name)
            for name, images in given.items()
        }
        return Comparison(*folders.evaluate(**paths, **options))


def load_config(name: str, settings: Settings | None = None) -> ConfigDict:
    """Return a config to be changed in Python, as `train` and `experiment` take it.

    Setting a length, like `config.train.steps = 500`, takes the place of the one that was set.

    Args:
        name: of a config, or a file.
        settings: values, like {"train.batch_size": 16}.
    """
    made = _config(name, settings or {})
    object.__setattr__(made, LENGTHS, {prefix: _lengths(made, prefix) for prefix in STAGES})
    return made


def _config(config: str | ConfigDict, settings: Settings) -> ConfigDict:
    """A config with its settings, lengths settled as on the command line."""
    if isinstance(config, str):
        made = configs.load(config)
    else:
        before = config.__dict__.get(LENGTHS, {})
        made = config.copy_and_resolve_references()
        for prefix in STAGES:
            _settle(made, before.get(prefix, {}), prefix, settings)
    names = list(settings)
    configs.check_names(made, names)
    configs.check_inherited(made, names)
    for name, value in settings.items():
        try:
            made.update_from_flattened_dict({name: value})
        except (TypeError, ValueError) as error:
            raise InputError(f"config.{name} cannot be {value!r}: {error}") from None
    for prefix in STAGES:
        section = made if not prefix else made.get(prefix[:-1])
        if section is not None and "train" in section:
            configs.settle_length(section.train, names, f"{prefix}train.")
    return made


def _lengths(config: ConfigDict, prefix: str) -> dict[str, Any]:
    """The lengths that a section sets."""
    section = config if not prefix else config.get(prefix[:-1])
    train = {} if section is None else section.get("train", {})
    return {n: train[n] for n in configs.LENGTHS if train.get(n) is not None}


def _settle(config: ConfigDict, before: dict[str, Any], prefix: str, settings: Settings) -> None:
    """Leave the length that was set last, where it can be known by those of before."""
    now = _lengths(config, prefix)
    names = [f"{prefix}train.{name}" for name in now]
    if len(now) < 2 or any(name in settings for name in names):
        return
    changed = [name for name, value in now.items() if before.get(name) != value]
    if len(changed) != 1 or not before:
        raise InputError(f"set one of {', '.join(names)}, and the others to None")
    train = (config if not prefix else config[prefix[:-1]]).train
    for name in now:
        if name != changed[0]:
            train[name] = None


def _place(workdir: str | Path | None, config: str | ConfigDict, images: Any = None) -> Path:
    if workdir is not None:
        return Path(workdir)
    if not isinstance(config, str):
        raise InputError("a config that is no file needs a workdir")
    parts = [Path(config.partition(":")[0]).stem, config.partition(":")[2]]
    parts += [Path(images).name] if images is not None else []
    return Path("runs") / "_".join(part for part in parts if part)


def _as_folder(images: Any, place: Path) -> str:
    """A folder with the images: itself, or one of links to files or of an array's images."""
    if isinstance(images, str | Path) and not Path(images).expanduser().is_file():
        return str(images)
    place.mkdir(parents=True, exist_ok=True)
    if isinstance(images, str | Path):
        images = [images]
    if isinstance(images, np.ndarray):
        if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != np.uint8 or not len(images):
            raise InputError(
                f"an array of images must be uint8 [n, h, w, 3], got {images.dtype} "
                f"{list(images.shape)}"
            )
        for i, image in enumerate(images):
            (place / f"{i:08d}.png").write_bytes(log.png(image))
        return str(place)
    for i, file in enumerate(images):
        source = Path(file).expanduser().resolve()
        if not source.is_file():
            raise InputError(f"{file} must be an image file, and it is none")
        (place / f"{i:08d}_{source.name}").symlink_to(source)
    return str(place)


def _called(name: str, folder: str, images: Any) -> str:
    """An image's name: as given, or within its folder, or its number in an array."""
    own = name.removeprefix(f"{Path(folder).name}/")  # A plain folder is read as a class.
    if str(images) == folder:
        return own
    if isinstance(images, str | Path):
        return str(images)
    number = int(own[:8])
    return str(number if isinstance(images, np.ndarray) else images[number])
