"""How good a trained classifier is on a folder of images."""

import dataclasses
import logging

from etils import epath

from jaxgan.config import loading as configs
from jaxgan.config.inputs import open_source
from jaxgan.data import class_counts, dataset, loader, ranges
from jaxgan.data.grouped_split import split
from jaxgan.errors import InputError, naming
from jaxgan.metrics.classification import predict, summarise
from jaxgan.metrics.networks import load_classifier
from jaxgan.system.paths import near


def evaluate_classifier(
    workdir: epath.PathLike, path: str, part: str = "all", step: int | None = None
) -> dict:
    """Return what the best checkpoint of a classifier's run makes of the images of `path`.

    Args:
        workdir: the run's folder.
        path: a folder with the run's class folders; or "toy".
        part: "all", or "train", "validation" or "test" as the run's split parts them.
        step: a certain checkpoint.

    Raises:
        InputError: no classifier's run, or images of other classes.
    """
    if not loader.exists(path):
        raise InputError(
            f"--data must be a folder of class folders, and {path} does not exist{near(path)}"
        )
    classifier = load_classifier(workdir, step)
    config = classifier.config
    data = dataclasses.replace(config.data, path=path)
    if part == "all":  # Groups decide over splits alone.
        data = dataclasses.replace(data, limit=None, groups=None)
    known = configs.read_run(workdir).get("data", {})
    trained, scale = known.get("fingerprint"), known.get("scale")
    with naming("--data"):
        source = open_source(data, config.seed, scale and ranges.Scale(*scale))
    if part == "all" and loader.fingerprint(source) == trained:
        logging.getLogger("jaxgan").warning(
            "these are the images it was trained on: only those of its split test are new to it"
        )
    if part != "all":
        if data.duplicates is None and dataset.of(source).sides is None:
            raise InputError(
                f"--split {part} must be parted as in training, and the run in {workdir} is older "
                f"than data.duplicates: train anew, or give a folder of new images with --split all"
            )
        source = loader.Subset(source, getattr(split(source, data.split, rule=data.rule), part))
    print("\n".join(class_counts.lines(source)), flush=True)
    log_p = predict(classifier.predict, classifier.variables, source)
    return summarise(log_p, source.labels, source.classes) | {
        "workdir": str(workdir),
        "step": classifier.step,
        "data": path,
        "split": part,
        "fingerprint": loader.fingerprint(source),
    }
