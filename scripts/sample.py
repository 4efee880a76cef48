"""Draws pictures from the averaged generator of a run.

    python scripts/sample.py --workdir D --num 100 --out DIR [--seed S] [--grid FILE.png]
    python scripts/sample.py --workdir D --seeds 1-4,9 --out DIR
    python scripts/sample.py --workdir D --seeds 1-8 --interpolate FILE.mp4 [--cells 2x2]
    python scripts/sample.py --workdir D --history FILE.gif

Picture i is drawn from seed S + i, whatever the batch size; DIR/manifest.jsonl lists them. Films
are .mp4 (pip install 'jaxgan[video]'), .gif, .webp or .png. Of a StyleGAN2 also:

    python scripts/sample.py --workdir D --seeds 1-4 --truncation 0.7 --noise const --out DIR
    python scripts/sample.py --workdir D --style_mixing FILE.png --rows 1-4 --columns 5-8
    python scripts/sample.py --workdir D --project PICTURE --out DIR
"""

from pathlib import Path

import numpy as np
from absl import flags

from jaxgan import command, log, projection, sample, styles, video
from jaxgan.types import InputError

command.workdir_flag("The run's folder.")
flags.DEFINE_integer("num", None, "How many pictures: 64, or 8 of a film.")
flags.DEFINE_string("out", None, "Folder for the pictures and their manifest.")
flags.DEFINE_integer("seed", 0, "Of the first picture; the next have the next ones.")
flags.DEFINE_string("seeds", None, "In place of both, like 1-1000 or 1,5,7-9.")
flags.DEFINE_string("format", "png", "png or jpg.")
flags.DEFINE_string("grid", None, "File for one picture of all (PNG), at most 400.")
flags.DEFINE_string("history", None, "File for the training as an animation.")
flags.DEFINE_integer("step", None, "The checkpoint; the latest by default.")
flags.DEFINE_integer("batch_size", sample.BATCH, "Pictures drawn at once.", lower_bound=1)
flags.DEFINE_string("interpolate", None, "File for a film that goes from seed to seed.")
flags.DEFINE_integer("frames", 60, "Of it, from one seed to the next.", lower_bound=1)
flags.DEFINE_float("fps", 30, "Its frames a second.", lower_bound=1, upper_bound=100)
flags.DEFINE_string("cells", "1x1", "Rows x columns of films side by side, seeds of its own each.")
flags.DEFINE_string("space", None, "z or w, where it walks; by default w of a StyleGAN2, else z.")
flags.DEFINE_float("truncation", 1.0, "psi: less than 1 for more usual pictures.")
flags.DEFINE_integer("truncation_cutoff", None, "Layers that are truncated; all by default.")
flags.DEFINE_string("noise", "const", "Of each pixel: const, random or none.")
flags.DEFINE_string("class", None, "Name or number, for a network with classes.")
flags.DEFINE_string("style_mixing", None, "File for a grid (PNG): rows with styles of columns.")
flags.DEFINE_string("rows", "1-4", "Its seeds of rows.")
flags.DEFINE_string("columns", "5-8", "Its seeds of columns.")
flags.DEFINE_string("layers", None, "Layers from the columns, like 0-3; the coarsest 2 of 5.")
flags.DEFINE_string("project", None, "A picture to look for in w.")
flags.DEFINE_integer("project_steps", 1000, "How long.", lower_bound=1)
flags.mark_flag_as_required("workdir")
FLAGS = flags.FLAGS
WHAT = ("out", "grid", "history", "interpolate", "style_mixing")


def main() -> None:
    num = FLAGS.num if FLAGS.num is not None else 8 if FLAGS.interpolate else 64
    sample.check_request(num, FLAGS.seed, FLAGS.format)
    seeds = range(FLAGS.seed, FLAGS.seed + num)
    if FLAGS.seeds is not None:
        seeds = sample.parse_seeds(FLAGS.seeds)
    if not any(FLAGS[name].value for name in WHAT):
        raise InputError(f"one of {', '.join(f'--{name}' for name in WHAT)} must be given")
    if FLAGS.history:
        count = video.history(FLAGS.workdir, FLAGS.history)
        print(f"{count} grids: {FLAGS.history}")
    if not any(FLAGS[name].value for name in WHAT if name != "history"):
        return
    style = styles.Style(
        FLAGS.truncation, FLAGS.truncation_cutoff, FLAGS.noise, FLAGS["class"].value
    )
    sampler = sample.restore(FLAGS.workdir, FLAGS.step, style)
    if FLAGS.project:
        projection.run(sampler, style, FLAGS.project, FLAGS.out, FLAGS.project_steps)
    elif FLAGS.out:
        sample.save(sampler, seeds, FLAGS.out, FLAGS.format, FLAGS.batch_size)
        print(f"{len(seeds)} pictures of step {sampler.step}: {FLAGS.out}")
    if FLAGS.grid:
        images = np.stack(list(sample.pictures(sampler, seeds[:400], FLAGS.batch_size)))
        _picture(FLAGS.grid, log.grid(images), "grid")
    if FLAGS.style_mixing:
        rows, columns = (
            sample.parse_seeds(*x) for x in ((FLAGS.rows, "--rows"), (FLAGS.columns, "--columns"))
        )
        sheet = sample.mix(sampler, style, rows, columns, FLAGS.layers)
        _picture(FLAGS.style_mixing, sheet, "styles")
    if FLAGS.interpolate:
        video.film(
            sampler, style, seeds, FLAGS.interpolate, name=FLAGS.space, frames=FLAGS.frames,
            fps=FLAGS.fps, cells=FLAGS.cells, batch_size=FLAGS.batch_size,
        )  # fmt: skip


def _picture(file: str, image: np.ndarray, what: str) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_bytes(log.png(image))
    print(f"{what}: {file}")


if __name__ == "__main__":
    command.run(main)
