"""Draws pictures from the averaged generator of a run.

    python scripts/sample.py --workdir D --num 100 --out DIR [--seed S] [--grid FILE.png]
    python scripts/sample.py --workdir D --select 100 --by realism --out DIR [--surplus 4]
    python scripts/sample.py --workdir D --history FILE.gif

Picture i is drawn from seed S + i, whatever the batch size; DIR/manifest.jsonl lists them.

--select N draws N x --surplus pictures (or --num) and keeps the best by a measure: realism (how
deep in the neighbourhood of a real picture), density (in how many of these), outlier (how usual),
classifier (how surely --classifier, a run's folder, says --label), or none, the control. Real
pictures are those that the run learned from, or --real's. manifest.jsonl then has the scores of
what is kept, DIR/drawn.jsonl those of all, and DIR/selection.json what it did to the pictures.
"""

from pathlib import Path

import numpy as np
from absl import flags

from jaxgan import command, log, sample, selection, surplus, training
from jaxgan.types import InputError

command.workdir_flag("The run's folder.")
flags.DEFINE_integer("num", 64, "How many pictures; with --select: to choose among.")
flags.DEFINE_string("out", None, "Folder for the pictures and their manifest.")
flags.DEFINE_integer("seed", 0, "Of the first picture; the next have the next ones.")
flags.DEFINE_string("format", "png", "png or jpg.")
flags.DEFINE_string("grid", None, "File for one picture of all (PNG), at most 400.")
flags.DEFINE_string("history", None, "File for the training as an animation: .gif, .webp, .png.")
flags.DEFINE_string("step", None, "The checkpoint: a number or best; the latest by default.")
flags.DEFINE_integer("batch_size", sample.BATCH, "Pictures drawn at once.", lower_bound=1)
flags.DEFINE_integer("select", None, "How many of a surplus to keep.")
flags.DEFINE_string("by", "realism", f"With --select: {', '.join(selection.MEASURES)}.")
flags.DEFINE_integer("surplus", 4, "With --select: drawn for each that is kept.", lower_bound=1)
flags.DEFINE_string("real", None, "Real pictures to train with, to select by.")
flags.DEFINE_string("classifier", None, "The folder of a classifier's run, to select by.")
flags.DEFINE_string("label", None, "The class that it should say; the run's, if it has one.")
flags.mark_flag_as_required("workdir")
FLAGS = flags.FLAGS


def main() -> None:
    count = FLAGS.num
    if FLAGS.select is not None:
        count = FLAGS.num if FLAGS["num"].present else FLAGS.select * FLAGS.surplus
        selection.check(FLAGS.by, FLAGS.select, count)
    elif FLAGS["by"].present:
        raise InputError("--by must come with --select, the number of pictures to keep")
    sample.check_request(count, FLAGS.seed, FLAGS.format)
    if not FLAGS.out and not FLAGS.grid and not FLAGS.history:
        raise InputError("one of --out, --grid and --history must be given")
    if FLAGS.history:
        print(f"{sample.history(FLAGS.workdir, FLAGS.history)} grids: {FLAGS.history}")
    if not FLAGS.out and not FLAGS.grid:
        return
    sampler = sample.restore(FLAGS.workdir, FLAGS.step)
    seeds, scores = range(FLAGS.seed, FLAGS.seed + count), None
    if FLAGS.select is not None:
        real = surplus.open_real(FLAGS.workdir, FLAGS.real)
        judge = None
        if FLAGS.by == "classifier":
            judge = surplus.open_judge(FLAGS.classifier, FLAGS.label, sampler.config)
        kept = surplus.keep_best(
            *(sampler, seeds, FLAGS.select, FLAGS.by, real, judge), FLAGS.batch_size
        )
        print(surplus.table(kept.about))
        seeds, scores = kept.seeds, kept.scores
        if FLAGS.out:
            kept.about["versions"] = training.versions()
            surplus.save(kept, FLAGS.out)
    if FLAGS.out:
        sample.save(sampler, seeds, FLAGS.out, FLAGS.format, FLAGS.batch_size, scores)
        print(f"{len(seeds)} pictures of step {sampler.step}: {FLAGS.out}")
    if FLAGS.grid:
        images = np.stack(list(sample.pictures(sampler, seeds[:400], FLAGS.batch_size)))
        Path(FLAGS.grid).parent.mkdir(parents=True, exist_ok=True)
        Path(FLAGS.grid).write_bytes(log.png(log.grid(images)))
        print(f"grid: {FLAGS.grid}")


if __name__ == "__main__":
    command.run(main)
