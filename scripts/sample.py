"""Draws images from the averaged generator of a run.

    python scripts/sample.py --workdir D --num 100 --out DIR [--seed S] [--grid FILE.png]
    python scripts/sample.py --workdir D --seeds 1-4,9 --out DIR
    python scripts/sample.py --workdir D --seeds 1-8 --interpolate FILE.mp4 [--cells 2x2]
    python scripts/sample.py --workdir D --select 100 [--by outlier] --out DIR [--surplus 4]
    python scripts/sample.py --workdir D --history FILE.gif
    python scripts/sample.py --workdir D --num 100 --out DIR --metadata [--licence cc0-1.0]

Image i is drawn from seed S + i, whatever the batch size; DIR/manifest.jsonl lists them. Films
are .mp4 (pip install 'jaxgan[video]'), .gif, .webp or .png. Of a StyleGAN2 also:

    python scripts/sample.py --workdir D --seeds 1-4 --truncation 0.7 --noise const --out DIR
    python scripts/sample.py --workdir D --style_mixing FILE.png --rows 1-4 --columns 5-8
    python scripts/sample.py --workdir D --project PICTURE --out DIR

--select N draws N x --surplus images (or --num) and keeps the best by a measure: outlier (how
usual), density (in how many neighbourhoods of real images), realism (how deep in one), classifier
(how surely --classifier, a run's folder, says --label), or none, the control. Real
images are those that the run learned from, or --real's. manifest.jsonl then has the scores of
what is kept, DIR/drawn.jsonl those of all, and DIR/selection.json what it did to the images.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from jaxgan.cli import command
from jaxgan.engine import log
from jaxgan.engine.provenance import versions
from jaxgan.sampling import (
    best_of_n,
    cards,
    files,
    imagefolder,
    projection,
    requests,
    sample,
    selection,
    stylegan2,
    video,
)
from jaxgan.system import checked_files, paths
from jaxgan.system.paths import path_flag
from jaxgan.types import InputError

command.workdir_flag("The run's folder.")
flags.DEFINE_integer("num", None, "How many: 64, or 8 of a film; with --select: to choose among.")
path_flag("out", "Folder for the images and their manifest.", remote=True)
flags.DEFINE_integer("seed", 0, "Of the first image; the next have the next ones.")
flags.DEFINE_string("seeds", None, "In place of both, like 1-1000 or 1,5,7-9.")
flags.DEFINE_string("format", "png", "png or jpg.")
flags.DEFINE_bool("metadata", False, "Write metadata.jsonl and a card: a set for `datasets`.")
flags.DEFINE_string("licence", None, "Of the images, like cc0-1.0, for that card.")
path_flag("grid", "File for one image of all (PNG), at most 400.")
path_flag("history", "File for the training as an animation.")
flags.DEFINE_string("step", None, "The checkpoint: a number or best; the latest by default.")
flags.DEFINE_integer("batch_size", sample.BATCH, "Images drawn at once.", lower_bound=1)

flags.DEFINE_integer("select", None, "How many of a surplus to keep.")
flags.DEFINE_string("by", "outlier", f"With --select: {', '.join(selection.MEASURES)}.")
flags.DEFINE_integer("surplus", 4, "With --select: drawn for each that is kept.", lower_bound=1)
path_flag("real", "Real images to train with, to select by.", sets=True)
path_flag("classifier", "The folder of a classifier's run, to select by.", remote=True)
flags.DEFINE_string("label", None, "The class that it should say; the run's, if it has one.")

path_flag("interpolate", "File for a film that goes from seed to seed.")
flags.DEFINE_integer("frames", 60, "Of it, from one seed to the next.", lower_bound=1)
flags.DEFINE_float("fps", 30, "Its frames a second.", lower_bound=1, upper_bound=100)
flags.DEFINE_string("cells", "1x1", "Rows x columns of films side by side, seeds of its own each.")
flags.DEFINE_string("space", None, "z or w, where it walks; by default w of a StyleGAN2, else z.")

flags.DEFINE_float("truncation", 1.0, "psi: less than 1 for more usual images.")
flags.DEFINE_integer("truncation_cutoff", None, "Layers that are truncated; all by default.")
flags.DEFINE_string("noise", "const", "Of each pixel: const, random or none.")
flags.DEFINE_string("class", None, "Name or number, for a network with classes; else in turn.")
path_flag("style_mixing", "File for a grid (PNG): rows with styles of columns.")
flags.DEFINE_string("rows", "1-4", "Its seeds of rows.")
flags.DEFINE_string("columns", "5-8", "Its seeds of columns.")
flags.DEFINE_string("layers", None, "Layers from the columns, like 0-3; the coarsest 2 of 5.")
path_flag("project", "An image to look for in w.")
flags.DEFINE_integer("project_steps", 1000, "How long.", lower_bound=1)
flags.mark_flag_as_required("workdir")
FLAGS = flags.FLAGS
# Flags that do nothing without another one.
GOES_WITH: dict[str, str] = dict.fromkeys(("rows", "columns", "layers"), "style_mixing")
GOES_WITH |= dict.fromkeys(("frames", "fps", "cells", "space"), "interpolate")
GOES_WITH |= dict.fromkeys(("by", "surplus", "real", "classifier"), "select")
GOES_WITH |= {"label": "classifier", "project_steps": "project", "format": "out"}
GOES_WITH |= {"metadata": "out", "licence": "metadata"}


def main() -> None:
    seeds = _seeds()
    if FLAGS.out:
        paths.check_folder(FLAGS.out, "--out")
        paths.check_no_images(FLAGS.out, "--out", but=r"(seed\d+|projected.*)\.\w+", deep=True)
    for name in ("grid", "style_mixing"):
        file = FLAGS[name].value
        if file and not file.lower().endswith(".png"):
            raise InputError(f"--{name} must be a .png file, got {file}")
    command.check_outputs(FLAGS.grid, FLAGS.history, FLAGS.interpolate, FLAGS.style_mixing)
    cards.check_licence(FLAGS.licence)
    if FLAGS.metadata and not FLAGS.out:
        raise InputError("--metadata must come with --out, the folder of the images")
    command.check_goes_with(GOES_WITH)
    drawing = [FLAGS.out, FLAGS.grid, FLAGS.interpolate, FLAGS.style_mixing, FLAGS.project]
    if not any(drawing) and not FLAGS.history:
        raise InputError(
            "one of --out, --grid, --history, --interpolate, --style_mixing and --project must be "
            "given"
        )
    if FLAGS.history:
        print(f"{video.history(FLAGS.workdir, FLAGS.history)} grids: {FLAGS.history}")
    if not any(drawing):
        return
    label = FLAGS["class"].value
    style = stylegan2.Style(FLAGS.truncation, FLAGS.truncation_cutoff, FLAGS.noise, label)
    sampler = sample.restore(FLAGS.workdir, FLAGS.step, style)
    if FLAGS.project:
        projection.run(sampler, style, FLAGS.project, FLAGS.out, FLAGS.project_steps)
        return
    if FLAGS.interpolate:
        about = (FLAGS.space, FLAGS.frames, FLAGS.fps, FLAGS.cells, FLAGS.batch_size)
        video.film(sampler, style, seeds, FLAGS.interpolate, *about)
    if FLAGS.style_mixing:
        rows = requests.parse_seeds(FLAGS.rows, "--rows")
        columns = requests.parse_seeds(FLAGS.columns, "--columns")
        _write(FLAGS.style_mixing, sample.mix(sampler, style, rows, columns, FLAGS.layers))
    scores = None
    if FLAGS.select is not None:
        seeds, scores = _best(sampler, seeds)
    if FLAGS.out:
        files.save(sampler, seeds, FLAGS.out, FLAGS.format, FLAGS.batch_size, scores)
        print(f"{len(seeds)} images of step {sampler.step}: {FLAGS.out}")
        if FLAGS.metadata:
            imagefolder.describe(sampler, style, seeds, FLAGS.out, FLAGS.format, FLAGS.licence)
    if FLAGS.grid:
        images = np.stack(list(sample.images(sampler, seeds[:400], FLAGS.batch_size)))
        _write(FLAGS.grid, log.grid(images))


def _seeds() -> Sequence[int]:
    if not math.isfinite(FLAGS.fps):
        raise InputError(f"--fps must be a finite number, got {FLAGS.fps}")
    count = FLAGS.num
    if count is None:
        count = 8 if FLAGS.interpolate else 64
        count = count if FLAGS.select is None else FLAGS.select * FLAGS.surplus
    requests.check_request(count, FLAGS.seed, FLAGS.format)
    seeds = range(FLAGS.seed, FLAGS.seed + count)
    if FLAGS.seeds is not None:
        seeds = requests.parse_seeds(FLAGS.seeds)
        if len(set(seeds)) < len(seeds) and not FLAGS.interpolate:  # A film may come back.
            raise InputError(f"--seeds must name each seed once, got {FLAGS.seeds}")
    if FLAGS.select is not None:
        selection.check(FLAGS.by, FLAGS.select, len(seeds))
    elif FLAGS["by"].present:
        raise InputError("--by must come with --select, the number of images to keep")
    return seeds


def _best(sampler: sample.Sampler, seeds: Sequence[int]) -> tuple[list[int], list[float]]:
    real = best_of_n.open_real(FLAGS.workdir, FLAGS.real)
    judge = None
    if FLAGS.by == "classifier":
        judge = best_of_n.open_judge(FLAGS.classifier, FLAGS.label, sampler.config.data)
    kept = best_of_n.keep_best(
        *(sampler, seeds, FLAGS.select, FLAGS.by, real, judge), FLAGS.batch_size
    )
    print(best_of_n.table(kept.about))
    if FLAGS.out:
        kept.about["versions"] = versions()
        best_of_n.save(kept, FLAGS.out)
    return kept.seeds, kept.scores


def _write(file: str, image: np.ndarray) -> None:
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    checked_files.write(file, log.png(image))
    print(f"grid: {file}")


if __name__ == "__main__":
    command.run(main)
