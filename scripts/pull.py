"""Downloads what push.py uploaded from the Hugging Face hub into a new folder.

    python scripts/pull.py --repo USER/NAME --out DIR [--dataset]

A run can be sampled from or predicted with; nothing that is downloaded is executed. Needs
`pip install 'jaxgan[hub]'`.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from absl import flags

from jaxgan.cli import command
from jaxgan.evaluation import hub
from jaxgan.system.paths import path_flag

flags.DEFINE_string("repo", None, "Where from: USER/NAME.")
path_flag("out", "Folder, new or empty.")
flags.DEFINE_bool("dataset", False, "It holds samples.")
flags.mark_flags_as_required(["repo", "out"])
FLAGS = flags.FLAGS


def main() -> None:
    print(hub.pull(FLAGS.repo, FLAGS.out, dataset=FLAGS.dataset))


if __name__ == "__main__":
    command.run(main)
