"""Says of which class images are, by a trained classifier.

    python scripts/predict.py --workdir D --images DIR [--out FILE.csv|FILE.json] [--step N]
    python scripts/predict.py --workdir EXPERIMENT --arm best --images DIR

D is a classifier's run. Of a finished experiment all classifiers of an arm say it together (the
geometric mean of their probabilities): of the arm that validates best, or --arm's. --images is a
folder or a file, and can stand several times. Each row has the image's name, its most probable
class, and the probability of every class; without --out they are printed.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
import json
import sys
from pathlib import Path

from absl import flags

from jaxgan.cli import command
from jaxgan.errors import InputError
from jaxgan.system import checked_files, paths, spreadsheet
from jaxgan.system.paths import path_flag

command.workdir_flag("The folder of a classifier's run, or of a finished experiment.")
flags.DEFINE_string("arm", None, "Of an experiment: its name, or best, which is the default.")
flags.DEFINE_multi_string("images", None, "A folder of images or a file; may be repeated.")
path_flag("out", "File for the rows, .csv or .json.")
flags.DEFINE_integer("step", None, "The checkpoint; the best by default.")
flags.mark_flags_as_required(["workdir", "images"])
FLAGS = flags.FLAGS


def main() -> None:
    kind = Path(FLAGS.out).suffix if FLAGS.out else ".csv"
    if kind not in (".csv", ".json"):
        raise InputError(f"--out must end in .csv or .json, got {FLAGS.out}")
    for path in FLAGS.images:
        if path != "toy" and not Path(path).expanduser().exists():
            near = paths.near(path)
            raise InputError(f"--images must be folders or files, and {path} does not exist{near}")
    command.check_outputs(FLAGS.out)
    from jaxgan import api

    classifier = api.Classifier(FLAGS.workdir, FLAGS.step, FLAGS.arm)
    if classifier.measured:
        share = classifier.measured["accuracy"]
        why = ", which validate best" * (FLAGS.arm in (None, "best"))
        print(
            f"the {len(classifier.members)} classifiers of {classifier.arm}{why}; on the test "
            f"images {share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%})",
            file=sys.stderr,
        )
    rows = [row for images in _together(FLAGS.images) for row in classifier.predict(images).rows()]
    if kind == ".json":
        text = json.dumps(rows, indent=1) + "\n"
    else:
        text = spreadsheet.table([*rows[0]], rows)
    if FLAGS.out:
        checked_files.write(FLAGS.out, text)
        print(f"{len(rows):,} images: {FLAGS.out}")
    else:
        print(text, end="")


def _together(given: list[str]) -> list[str | list[str]]:
    """Folders one by one, and all files at once."""
    files = [path for path in given if Path(path).expanduser().is_file()]
    folders: list[str | list[str]] = [path for path in given if path not in files]
    return folders + ([files] if files else [])


if __name__ == "__main__":
    command.run(main)
