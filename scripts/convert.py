"""A published StyleGAN2-ADA network as a run folder, or a run folder as safetensors.

    python scripts/convert.py --source net.pkl --out DIR
    python scripts/convert.py --source DIR --out FILE.safetensors

Of a network file of the PyTorch tool nothing is run, and PyTorch is not needed. DIR can be sampled
from, exported, and trained on from (--config.init_from=DIR); the same seeds give the images of
the published generator. FILE.safetensors holds the generator, its average and the discriminator; of
a StyleGAN2 by the published names, so that it goes both ways.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from absl import flags

from jaxgan.cli import command
from jaxgan.system.paths import path_flag
from jaxgan.weights import convert

path_flag("source", "A .pkl, a .safetensors or a run's folder.", remote=True)
path_flag("out", "The folder or file to write.", remote=True)
flags.DEFINE_integer("resolution", None, "That the network must have; any by default.")
flags.mark_flags_as_required(["source", "out"])
FLAGS = flags.FLAGS


def main() -> None:
    convert.run(FLAGS.source, FLAGS.out, FLAGS.resolution)


if __name__ == "__main__":
    command.run(main)
