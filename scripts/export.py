"""Writes a run's averaged generator for other programs, which need JAX and safetensors alone.

    python scripts/export.py --workdir D --out DIR [--data_licence TEXT] [--step N]

DIR/sampler.jax draws any number of pictures on a CPU, a GPU or a TPU, with DIR/weights.safetensors;
DIR/model_card.md says what it learned from, how good it is, and how to load it in five lines.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from absl import flags

from jaxgan.cli import command
from jaxgan.sampling import export, sample
from jaxgan.system import paths
from jaxgan.system.paths import path_flag

command.workdir_flag("The run's folder.")
path_flag("out", "Folder for the files.", remote=True)
flags.DEFINE_string("step", None, "The checkpoint: a number or best; the latest by default.")
flags.DEFINE_string("data_licence", None, "Of the training pictures, for the model card.")
flags.mark_flags_as_required(["workdir", "out"])
FLAGS = flags.FLAGS


def main() -> None:
    paths.check_folder(FLAGS.out, "--out")
    # The mean of a class, and noise: the style is the caller's.
    sampler = sample.restore(FLAGS.workdir, FLAGS.step)
    export.run(sampler, FLAGS.workdir, FLAGS.out, FLAGS.data_licence)


if __name__ == "__main__":
    command.run(main)
