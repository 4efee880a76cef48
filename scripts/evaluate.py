"""Judges a trained classifier on labelled images, or generated images beside real ones.

    python scripts/evaluate.py --workdir D --data DIR [--json FILE] [--split test]
    python scripts/evaluate.py --real REAL --fake FAKE [--train DIR] [--json FILE] [--html FILE]
        [--features vgg16|alexnet|inception|light|classifier:WORKDIR] [--metrics frechet,kid,...]

The first: DIR holds one folder of images per class. Prints accuracy with its 95 % interval, per
class, and the confusion matrix. --split takes the images that the split of training would put
there. The second: Fréchet and kernel distance, precision, recall, density and coverage of features,
and whether images of --train (else of --real) were copied; all with 95 % intervals. Of the
features of inception the Fréchet distance is the FID; entropy, the Inception score, is theirs only.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from typing import Any

from absl import flags

from jaxgan.cli import command
from jaxgan.engine.provenance import versions
from jaxgan.errors import InputError
from jaxgan.evaluation import folders, report
from jaxgan.evaluation.classifier import evaluate_classifier
from jaxgan.metrics import classification
from jaxgan.system import checked_files
from jaxgan.system.machine import cache_folder
from jaxgan.system.paths import path_flag

command.workdir_flag("The run's folder.")
path_flag("data", "Folder of class folders, or toy.", sets=True)
flags.DEFINE_enum("split", "all", ["all", "train", "validation", "test"], "Part of the images.")
flags.DEFINE_integer("step", None, "The checkpoint; the best by default.")
path_flag("real", "Folder of real images, best of such as no GAN saw.", sets=True)
path_flag("fake", "Folder of generated images.", sets=True)
path_flag("train", "Folder of the images that the GAN learned from.", sets=True)
flags.DEFINE_string(
    "features",
    None,
    "Who judges: vgg16, alexnet, inception, light, or classifier:WORKDIR; by default vgg16, or "
    "alexnet where the critic was trained on vgg16's features.",
)
flags.DEFINE_bool("allow_seen", False, "Let features judge that the critic was trained on.")
flags.DEFINE_list("metrics", None, f"Of {', '.join(folders.LEAST)}; all by default.")
path_flag("weights", "File of those of inception; else it is fetched once.")
flags.DEFINE_enum("resize", "clean", ["clean", "original"], "How inception's input is made.")
path_flag(
    "cache",
    "Folder that keeps features of real images; empty: none; else the user's own.",
    empty=True,
)
flags.DEFINE_integer("resolution", None, "Side at which all are seen; their own by default.", 8)
flags.DEFINE_integer("seed", 0, "Of the halves that are drawn.", 0, 2**32 - 1)
path_flag("json", "File for all figures.")
path_flag("html", "File for a page with the nearest pairs.")
flags.DEFINE_enum("format", "text", ["text", "md"], "How it prints; md is Markdown, for issues.")
FLAGS = flags.FLAGS
OF_FOLDERS = ["train", "features", "allow_seen", "metrics", "weights", "resize", "cache"]
OF_FOLDERS += ["resolution", "seed", "html"]
GOES_WITH = dict.fromkeys(OF_FOLDERS, "fake") | dict.fromkeys(["split", "step"], "workdir")


def main() -> None:
    one, other = (FLAGS.workdir, FLAGS.data), (FLAGS.real, FLAGS.fake)
    if all(one) == all(other) or (any(one) and any(other)):
        raise InputError("either --workdir and --data or --real and --fake must be given")
    command.check_goes_with(GOES_WITH)
    command.check_outputs(FLAGS.json, FLAGS.html)
    if all(one):
        result = evaluate_classifier(FLAGS.workdir, FLAGS.data, FLAGS.split, FLAGS.step)
        lines = classification.table(result)
        print(f"```\n{lines}\n```" if FLAGS.format == "md" else lines)
    else:
        names = ("features", "allow_seen", "metrics", "weights", "resize", "resolution", "seed")
        options: dict[str, Any] = {name: FLAGS[name].value for name in names}
        keep = cache_folder("features") if FLAGS.cache is None else FLAGS.cache or None
        result, pairs = folders.evaluate(
            *(FLAGS.real, FLAGS.fake, FLAGS.train),
            **options,
            keep=keep,
        )
        for name, about in result["sets"].items():
            print("\n".join([f"--{name}:", *about["account"]]))
        result["versions"] = versions()
        print(report.markdown(result) if FLAGS.format == "md" else report.table(result))
        if FLAGS.html:
            checked_files.write(FLAGS.html, report.page(result, pairs))
    if FLAGS.json:
        checked_files.save(FLAGS.json, result, indent=2)


if __name__ == "__main__":
    command.run(main)
