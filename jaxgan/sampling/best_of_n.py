"""Draws more images than are wanted, and keep the best: what `sample.py --select` does."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from jaxgan.config import loading as configs
from jaxgan.config.inputs import open_source
from jaxgan.config.settings import PCAData, TrainingData
from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.data.grouped_split import split
from jaxgan.errors import InputError, naming
from jaxgan.metrics import features as nets
from jaxgan.metrics.networks import Classifier, load_classifier
from jaxgan.sampling import sample, selection
from jaxgan.sampling.sample import Sampler
from jaxgan.sampling.selection import Classified
from jaxgan.system import checked_files
from jaxgan.system.paths import near
from jaxgan.system.terminal import few


class Judge(NamedTuple):
    """A classifier, the folder of its run, and the class that the images should be of."""

    workdir: str
    classifier: Classifier
    label: str


class Kept(NamedTuple):
    """What a selection leaves.

    Attributes:
        seeds: of the images that are kept, rising.
        scores: theirs.
        drawn: a row for each image drawn: seed, score, and whether it is kept.
        about: what `selection.json` holds.
    """

    seeds: list[int]
    scores: list[float]
    drawn: list[dict[str, Any]]
    about: dict[str, Any]


def keep_best(
    sampler: Sampler,
    seeds: Sequence[int],
    keep: int,
    by: str,
    real: Source,
    judge: Judge | None = None,
    batch_size: int = sample.BATCH,
    seed: int = 0,
) -> Kept:
    """Draw the image of each seed, no more than three batches at a time, and keep the best.

    Args:
        sampler: a trained generator.
        seeds: of the surplus.
        keep: how many images are kept.
        by: one of `selection.MEASURES`.
        real: images that the generator learned from, at its resolution.
        judge: for "classifier".
        batch_size: images drawn at once.
        seed: of the real images that choose, and of intervals.

    Raises:
        InputError: as `selection.select` and `check_judge`, or VGG16's weights are not installed;
            "classifier" and "none" do without, but what they do is then not told.
    """
    selection.check(by, keep, len(seeds))
    classified, net = None, None
    if judge is not None:
        check_judge(judge, sampler.config.data.resolution)
        says = (
            judge.classifier.predict(judge.classifier.variables, batch)
            for batch in sample.batches(sampler, seeds, batch_size)
        )
        log_p = np.concatenate([np.asarray(rows) for rows in says])[: len(seeds)]
        classified = Classified(log_p, judge.classifier.config.data.classes.index(judge.label))
    drawn = shown = np.zeros((len(seeds), 0), np.float32)
    if by in selection.LOOK_AT_REAL or nets.available():
        net = nets.vgg16(nets.input_size(real.resolution))
        drawn = nets.extract(net, sample.images(sampler, seeds, batch_size))
        shown = nets.extract(net, (real[i]["image"] for i in range(len(real))))
    chosen = selection.select(by, keep, drawn, shown, classified)
    several = len(np.unique(real.labels)) > 1
    about: dict[str, Any] = {
        "by": by,
        "drawn": len(seeds),
        "kept": keep,
        "checkpoint_step": sampler.step,
        "checkpoint_checksum": sampler.checksum,
        "real": {"pictures": len(real), "fingerprint": loader.fingerprint(real)},
    }
    if judge is not None:
        step = judge.classifier.step
        about["classifier"] = {"workdir": judge.workdir, "step": step, "label": judge.label}
    if net is not None:
        names = ("name", "dimension", "size", "resize", "checksum")
        about["features"] = {name: getattr(net, name) for name in names}
        if keep >= selection.LEAST and len(real) >= 2 * selection.LEAST:
            labels = real.labels if several else None
            about["effect"] = selection.effect(
                *(by, chosen, drawn, shown, classified, labels, real.classes, seed)
            )
    scores, kept = chosen.scores.tolist(), set(chosen.kept.tolist())
    return Kept(
        [seeds[i] for i in chosen.kept],
        [scores[i] for i in chosen.kept],
        [{"seed": s, "score": scores[i], "kept": i in kept} for i, s in enumerate(seeds)],
        about,
    )


def best_of(pool: Source, keep: int, by: str, real: Source) -> Source:
    """Return the `keep` best images of a pool, by the features of `real` ones.

    Args:
        pool: generated images, of one class.
        keep: how many, at most as many as there are.
        by: one of `selection.MEASURES`, but not "classifier".
        real: images that the classifier trains on, of that class.

    Raises:
        InputError: as `selection.select`, or VGG16's weights are not installed.
    """
    drawn = shown = np.zeros((len(pool), 0), np.float32)
    if by in selection.LOOK_AT_REAL:
        net = nets.vgg16(nets.input_size(real.resolution))
        drawn, shown = (
            nets.extract(net, (source[i]["image"] for i in range(len(source))))
            for source in (pool, real)
        )
    return loader.Subset(pool, selection.select(by, keep, drawn, shown).kept)


def save(kept: Kept, out: epath.PathLike) -> None:
    """Write `drawn.jsonl`, a row for each image drawn, and `selection.json` to a folder."""
    folder = epath.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    checked_files.write(folder / "drawn.jsonl", (json.dumps(row) + "\n" for row in kept.drawn))
    checked_files.write(folder / "selection.json", json.dumps(kept.about, indent=2) + "\n")


def open_judge(workdir: str | None, label: str | None, data: TrainingData | PCAData) -> Judge:
    """Return the classifier of a run; the label is by default the class that the generator learned
    from.

    Args:
        workdir: the classifier's.
        label: the class that images should be of.
        data: the generator's section.

    Raises:
        InputError: no run of a classifier, or as `check_judge`.
    """
    if workdir is None:
        raise InputError("--by=classifier must come with --classifier, the folder of its run")
    classifier = load_classifier(workdir, flag="--classifier")
    if label is None and len(data.classes) == 1:
        (label,) = data.classes
    if label is None:
        known = few(classifier.config.data.classes)
        raise InputError(f"--label must be given, one of {known}: the run has no class of its own")
    judge = Judge(str(workdir), classifier, label)
    check_judge(judge, data.resolution)
    return judge


def check_judge(judge: Judge, resolution: int) -> None:
    """Raise InputError for a classifier of other images, or one that does not know the label."""
    theirs = judge.classifier.config.data
    if theirs.resolution != resolution:
        raise InputError(
            f"--classifier must be of images of {resolution} px, as the generator's "
            f"are, got {theirs.resolution} px"
        )
    if judge.label not in theirs.classes:
        raise InputError(
            f"--label must be a class of the classifier, of {few(theirs.classes)}, "
            f"got {judge.label!r}"
        )


def open_real(workdir: epath.PathLike, path: str | None = None) -> Source:
    """Return what a GAN's run learned from, or the images of `path` at its resolution.

    Never images to validate or test with: of a prepared set those to train with alone; and a run
    of an experiment learned from its training images.

    Raises:
        InputError: they are not where they were, or have changed.
    """
    config = configs.read_claim(workdir)
    if path is not None:
        if path != "toy" and not epath.Path(path).expanduser().is_dir():
            raise InputError(f"--real must be a folder of images, and {path} is none{near(path)}")
        data = config.data
        with naming("--real"):
            return _to_train(loader.open_source(path, data.resolution, crop=data.crop))
    if config.data.split is not None:  # An experiment's; it split the classifiers' images.
        place = epath.Path(workdir).absolute().parent.parent
        if not (place / "config.json").exists():
            raise InputError(
                f"the images of a fold, or of a GAN that was moved, must be named with --real: "
                f"{place} is not the folder of the experiment of {workdir}"
            )
        whole = configs.read_claim(place)
        seen = _at(whole.data.at(whole.classifier.data.resolution), whole.seed)
        part = split(seen, whole.data.split, rule=whole.data.rule).train
        label = seen.classes.index(config.data.classes[0])
        source = _at(whole.data.at(config.data.resolution), whole.seed)
        source = loader.Subset(source, part[seen.labels[part] == label])
    else:
        source = _at(config.data, config.seed)
    said = configs.read_run(workdir).get("data", {})
    if loader.fingerprint(source) != said.get("fingerprint"):
        raise InputError(
            f"the images that the run learned from must be as they were, and those of "
            f"{config.data.path} have changed: give others with --real"
        )
    return _to_train(source)


def _at(data: TrainingData | PCAData, seed: int) -> Source:
    if not loader.exists(data.path):
        raise InputError(
            f"the images that the run learned from must be there to compare with, and "
            f"{data.path} does not exist: give others with --real"
        )
    return open_source(data, seed)


def _to_train(source: Source) -> Source:
    sides = getattr(source, "sides", None)
    return source if sides is None else loader.Subset(source, np.flatnonzero(sides == 0))


def table(about: dict[str, Any]) -> str:
    """Return what selection did, as a person reads it."""
    found = about.get("effect")
    lines = [f"kept {about['kept']:,} of {about['drawn']:,} images drawn, by {about['by']}"]
    if "features" not in about:
        return f"{lines[0]}; what that does is told with features: {nets.INSTALL}"
    if found is None:
        return (
            f"{lines[0]}; what that does is told of {selection.LEAST} and {2 * selection.LEAST} "
            "real ones or more"
        )
    judged = f"{about['real']['pictures']:,} real images: half of them chose, half judge"
    lines.append(f"{judged} ({about['features']['name']} at {about['features']['size']} px)")
    widths = {"before": 22, "after": 24, "change": 27}
    heads = "".join(f"{when:>{width}}" for when, width in widths.items())
    lines.append(f"{'95 % intervals':<20}{heads}")
    for name, values in found.items():
        digits = 1 if name == "frechet" else 3
        cells = []
        for when, width in widths.items():
            number = f"{'+' * (when == 'change')}.{digits}f"
            value, low, high = (format(values[when][key], number) for key in values[when])
            cells.append(f"{f'{value} [{low}, {high}]':>{width}}")
        title = f"Fréchet ({about['features']['name'].upper()})" if name == "frechet" else name
        lines.append(f"{title:<20}{''.join(cells)}")
    return "\n".join([*lines, *_warnings(found)])


def _warnings(found: dict[str, Any]) -> list[str]:
    """Return what a user has to know of these changes."""
    lines = []
    lost = [
        f"{name} by {-found[name]['change']['value']:.3f}"
        for name in ("recall", "coverage")
        if found[name]["change"]["high"] < 0
    ]
    if lost:
        lines.append(f"it narrows diversity: {' and '.join(lost)} less")
    authentic = found["authenticity"]
    if authentic["after"]["high"] < authentic["real"]["low"]:
        lines.append(
            f"what is kept is nearer to training images than these are to each other (authentic "
            f"{authentic['real']['value']:.3f}): look for copies with evaluate.py --train"
        )
    return lines
