"""Writes a page to look at a GAN's images with: no network, keyboard and touch.

    python scripts/view.py --workdir D [--out FILE.html] [--real DIR] [--num 16] [--seed S]

The page has samples over the training, truncation where the generator has styles, each sample
beside the real images that are nearest to it, and a walk from seed to seed. Real images are those
that the run was trained on, or --real's.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from pathlib import Path

from absl import flags

from jaxgan.cli import command
from jaxgan.errors import InputError
from jaxgan.sampling import gallery
from jaxgan.system.paths import path_flag

command.workdir_flag("The folder of a GAN's run.")
path_flag("out", "File for the page; view.html in the run's folder by default.")
path_flag("real", "Folder of real images to compare with.", sets=True)
flags.DEFINE_integer("num", 16, "Samples beside real images.", 1, 400)
flags.DEFINE_integer("seed", 0, "Of the first sample.")
flags.DEFINE_string("step", None, "The checkpoint: a number or best; the latest by default.")
flags.mark_flag_as_required("workdir")
FLAGS = flags.FLAGS


def main() -> None:
    out = FLAGS.out or str(Path(FLAGS.workdir) / "view.html")
    if Path(out).suffix not in (".html", ".htm"):
        raise InputError(f"--out must end in .html, got {out}")
    if FLAGS.out:
        command.check_outputs(out)
    about = {"step": FLAGS.step, "count": FLAGS.num, "seed": FLAGS.seed, "real": FLAGS.real}
    print("\n".join(gallery.write(FLAGS.workdir, out, **about)))


if __name__ == "__main__":
    command.run(main)
