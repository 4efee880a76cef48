"""What classifiers learn from generated images: GAN-train (CAS) and GAN-test, beside GAN-base.

    python scripts/gan_train.py --config configs/googlenet.py --real TEST --fake GENERATED
        --train TRAIN [--seeds 3] [--json FILE]

Each is a folder of class folders or a prepared set. A classifier learns from as many images of
TRAIN and another of GENERATED, in as many steps; both are tested on TEST, which the GAN should not
have seen either, and the first one on GENERATED. Without --train, TEST is parted by data.split.
All are seen at the resolution of the smallest, or at --config.data.resolution.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from absl import flags
from ml_collections import config_flags

from jaxgan.cli import command
from jaxgan.data import loader
from jaxgan.errors import InputError
from jaxgan.evaluation import gan_train, gan_train_table
from jaxgan.system import checked_files, paths
from jaxgan.system.paths import path_flag
from jaxgan.training import run

command.config_flag()
command.workdir_flag("Folder for the classifiers' runs; not kept by default.")
path_flag("real", "Real images to test with.", sets=True, required=True)
path_flag("fake", "Generated images.", sets=True, required=True)
path_flag("train", "Real images to learn from, those of the GAN.", sets=True)
flags.DEFINE_integer("seeds", 3, "How many classifiers learn from each side.", lower_bound=1)
path_flag("json", "File for all figures.")
FLAGS = flags.FLAGS


def main() -> None:
    config, _ = command.read_config()
    overridden = config_flags.get_override_values(FLAGS["config"])
    if "data.path" in overridden:
        raise InputError("config.data.path follows --real, --fake and --train here: set those")
    for name in ("real", "fake", "train"):
        path = FLAGS[name].value
        if path and not loader.exists(path):
            near = paths.near(path)
            raise InputError(f"--{name} must hold class folders, and {path} does not exist{near}")
    command.check_outputs(FLAGS.json)
    run.make_deterministic(config.deterministic)
    if "data.resolution" not in overridden:
        side = gan_train.smallest(FLAGS.real, FLAGS.fake, FLAGS.train)
        config.data.resolution = side or config.data.resolution
    result = gan_train.run(
        *(config, FLAGS.real, FLAGS.fake, FLAGS.train), seeds=FLAGS.seeds, workdir=FLAGS.workdir
    )
    print(gan_train_table.table(result))
    if FLAGS.json:
        checked_files.save(FLAGS.json, result, indent=2)


if __name__ == "__main__":
    command.run(main)
