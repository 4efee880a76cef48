"""Uploads a run, an export or samples to the Hugging Face hub, with a card.

    python scripts/push.py --source D --repo USER/NAME [--public] [--licence apache-2.0]

D is the run of a GAN or a classifier, what export.py wrote, or what sample.py --metadata wrote. It
is private unless --public is given. Needs `pip install 'jaxgan[hub]'` and `hf auth login`.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from absl import flags

from jaxgan.cli import command
from jaxgan.evaluation import hub
from jaxgan.system.paths import path_flag

path_flag("source", "The folder of a run, of an export, or of samples with metadata.")
flags.DEFINE_string("repo", None, "Where to: USER/NAME.")
flags.DEFINE_bool("public", False, "Let everybody see it.")
flags.DEFINE_string("step", None, "The checkpoint of a run.")
flags.DEFINE_string("licence", None, "Of the weights, like apache-2.0.")
flags.DEFINE_string("data_licence", None, "Of the training images.")
flags.mark_flags_as_required(["source", "repo"])
FLAGS = flags.FLAGS


def main() -> None:
    said = hub.push(
        FLAGS.source,
        FLAGS.repo,
        public=FLAGS.public,
        step=FLAGS.step,
        licence=FLAGS.licence,
        data_licence=FLAGS.data_licence,
    )
    print(said)


if __name__ == "__main__":
    command.run(main)
