"""Judges a trained classifier on labelled pictures.

    python scripts/evaluate.py --workdir D --data DIR [--json FILE] [--split test]

DIR holds one folder of pictures per class. Prints accuracy with its 95 % interval, per class, and
the confusion matrix. --split takes the pictures that the split of training would put there.
"""

import json
from pathlib import Path

from absl import flags

from jaxgan import command, evaluate, training

command.workdir_flag("The run's folder.")
flags.DEFINE_string("data", None, "Folder of class folders, or toy.")
flags.DEFINE_string("json", None, "File for all figures.")
flags.DEFINE_enum("split", "all", ["all", "train", "validation", "test"], "Part of the pictures.")
flags.DEFINE_integer("step", None, "The checkpoint; the best by default.")
flags.mark_flags_as_required(["workdir", "data"])
FLAGS = flags.FLAGS


def main() -> None:
    summary = training.evaluate_classifier(FLAGS.workdir, FLAGS.data, FLAGS.split, FLAGS.step)
    print(evaluate.table(summary))
    if FLAGS.json:
        Path(FLAGS.json).parent.mkdir(parents=True, exist_ok=True)
        Path(FLAGS.json).write_text(json.dumps(summary, indent=2) + "\n")


if __name__ == "__main__":
    command.run(main)
