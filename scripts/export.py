"""Writes a run's averaged generator, or a classifier, for other programs, which need JAX alone.

    python scripts/export.py --workdir D --out DIR [--step N] [--data_licence TEXT] [--licence ID]
    python scripts/export.py --workdir D --out DIR [--data DIR] [--split test] [--onnx]
    python scripts/export.py --workdir EXPERIMENT --arm best --out DIR

Of a generator DIR/sampler.jax draws any number of images on a CPU, a GPU or a TPU, with
DIR/weights.safetensors. Of a classifier DIR/classifier.jax gives the probabilities of the classes;
--data measures it on labelled images for the card, and --onnx writes DIR/classifier.onnx, too. Of
an experiment it is all classifiers of an arm as one. DIR/model_card.md says what it was trained on,
how good it is, and how to load it in a few lines.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from absl import flags

from jaxgan.cli import command
from jaxgan.config import loading as configs
from jaxgan.data import loader
from jaxgan.errors import InputError
from jaxgan.sampling import cards, export, sample
from jaxgan.system import paths
from jaxgan.system.paths import path_flag

OF_CLASSIFIERS = ("arm", "data", "split", "onnx")

command.workdir_flag("The folder of a run, or of a finished experiment.")
path_flag("out", "Folder for the files.", remote=True)
flags.DEFINE_string("step", None, "The checkpoint: a number, or best of a generator's run.")
flags.DEFINE_string("data_licence", None, "Of the training images, for the model card.")
flags.DEFINE_string("licence", None, "Of the weights, like apache-2.0, for the model card.")
flags.DEFINE_string("arm", None, "Of an experiment: its name, or best, which is the default.")
path_flag("data", "Folder of class folders that measures a classifier, for its card.", sets=True)
flags.DEFINE_enum("split", "all", ["all", "train", "validation", "test"], "Part of these images.")
flags.DEFINE_bool("onnx", False, "Write a classifier as ONNX, too; needs jax2onnx.")
flags.mark_flags_as_required(["workdir", "out"])
FLAGS = flags.FLAGS


def main() -> None:
    paths.check_folder(FLAGS.out, "--out")
    cards.check_licence(FLAGS.licence)
    licences = {"data_licence": FLAGS.data_licence, "licence": FLAGS.licence}
    config = configs.read_claim(FLAGS.workdir)
    if configs.is_experiment(config) or config.model.name in configs.CLASSIFIERS:
        _classifier(licences)
        return
    given = [name for name in OF_CLASSIFIERS if FLAGS[name].present]
    if given:
        raise InputError(
            f"--{given[0]} goes with a classifier, and {FLAGS.workdir} holds a generator"
        )
    # The mean of a class, and noise: the style is the caller's.
    sampler = sample.restore(FLAGS.workdir, FLAGS.step)
    print(export.run(sampler, FLAGS.workdir, FLAGS.out, **licences))


def _classifier(licences: dict[str, str | None]) -> None:
    from jaxgan import api
    from jaxgan.evaluation import onnx

    if FLAGS.step is not None and not FLAGS.step.isdecimal():
        raise InputError(f"--step must be the number of a checkpoint, got {FLAGS.step!r}")
    if FLAGS.onnx:
        onnx.check()
    if FLAGS.data and not loader.exists(FLAGS.data):
        raise InputError(
            f"--data must be a folder of class folders, and {FLAGS.data} does not exist"
            f"{paths.near(FLAGS.data)}"
        )
    step = None if FLAGS.step is None else int(FLAGS.step)
    one = api.Classifier(FLAGS.workdir, step, FLAGS.arm)
    measured = one.measured
    if FLAGS.data:
        measured = one.evaluate(FLAGS.data, FLAGS.split)
    elif FLAGS["split"].present:
        raise InputError("--split must come with --data, the labelled images to measure it on")
    print(one.export(FLAGS.out, measured=measured, with_onnx=FLAGS.onnx, **licences))


if __name__ == "__main__":
    command.run(main)
