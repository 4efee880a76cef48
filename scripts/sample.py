"""Draws pictures from the averaged generator of a run.

    python scripts/sample.py --workdir D --num 100 --out DIR [--seed S] [--grid FILE.png]
    python scripts/sample.py --workdir D --history FILE.gif

Picture i is drawn from seed S + i, whatever the batch size; DIR/manifest.jsonl lists them.
"""

from pathlib import Path

import numpy as np
from absl import flags

from jaxgan import command, log, sample
from jaxgan.types import InputError

command.workdir_flag("The run's folder.")
flags.DEFINE_integer("num", 64, "How many pictures.")
flags.DEFINE_string("out", None, "Folder for the pictures and their manifest.")
flags.DEFINE_integer("seed", 0, "Of the first picture; the next have the next ones.")
flags.DEFINE_string("format", "png", "png or jpg.")
flags.DEFINE_string("grid", None, "File for one picture of all (PNG), at most 400.")
flags.DEFINE_string("history", None, "File for the training as an animation: .gif, .webp, .png.")
flags.DEFINE_string("step", None, "The checkpoint: a number or best; the latest by default.")
flags.DEFINE_integer("batch_size", sample.BATCH, "Pictures drawn at once.", lower_bound=1)
flags.mark_flag_as_required("workdir")
FLAGS = flags.FLAGS


def main() -> None:
    sample.check_request(FLAGS.num, FLAGS.seed, FLAGS.format)
    if not FLAGS.out and not FLAGS.grid and not FLAGS.history:
        raise InputError("one of --out, --grid and --history must be given")
    if FLAGS.history:
        count = sample.history(FLAGS.workdir, FLAGS.history)
        print(f"{count} grids: {FLAGS.history}")
    if not FLAGS.out and not FLAGS.grid:
        return
    sampler = sample.restore(FLAGS.workdir, FLAGS.step)
    seeds = range(FLAGS.seed, FLAGS.seed + FLAGS.num)
    if FLAGS.out:
        sample.save(sampler, seeds, FLAGS.out, FLAGS.format, FLAGS.batch_size)
        print(f"{FLAGS.num} pictures of step {sampler.step}: {FLAGS.out}")
    if FLAGS.grid:
        images = np.stack(list(sample.pictures(sampler, seeds[:400], FLAGS.batch_size)))
        Path(FLAGS.grid).parent.mkdir(parents=True, exist_ok=True)
        Path(FLAGS.grid).write_bytes(log.png(log.grid(images)))
        print(f"grid: {FLAGS.grid}")


if __name__ == "__main__":
    command.run(main)
