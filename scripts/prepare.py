"""Looks at images, says what is wrong with them, and writes a data set that loads fast.

    python scripts/prepare.py --source DIR --out DIR --resolution 64 [--clean drop]
    python scripts/prepare.py --source DIR --resolution 64 --dry-run --report report.html

The source is a folder with one folder per class, or a folder of one class; or such a folder as .zip
or .tar; or tfds:NAME or hf:NAME, a set of tensorflow-datasets or of datasets. Nothing in it is
changed. Run again, it goes on where it stopped.

Images are read by all cores or, with --runner, by the workers of that runner of Apache Beam, to
the same result. Flags that are not below then go to Beam:

    python scripts/prepare.py --source DIR --out DIR --resolution 64
        --runner=DirectRunner --direct_num_workers=8 --direct_running_mode=multi_processing

All workers must have this package and see the source and OUT under the same paths, in a file system
that they share.
"""

import jaxgan.cli.interrupts  # noqa: F401  # Ctrl-C ends the imports below in a line.

# isort: split
from collections.abc import Sequence
from typing import Any

from absl import flags

from jaxgan.cli import command
from jaxgan.errors import InputError
from jaxgan.system import checked_files
from jaxgan.system.paths import path_flag

path_flag("source", "Folder, .zip, .tar, tfds:NAME or hf:NAME, or tfds:DIR or hf:DIR.", sets=True)
path_flag("out", "Folder for the prepared set.")
flags.DEFINE_list("resolution", None, "Side in pixels; several, like 64,128, make a set each.")
flags.DEFINE_enum("crop", "center", ["center", "stretch", "none"], "none: only square images.")
flags.DEFINE_enum("align", "none", ["none", "landmarks"], "Crop faces by .cat, .xml or .csv files.")
flags.DEFINE_enum(
    "border", "reflect", ["reflect", "gray", "reject"], "Where an aligned crop leaves its image."
)
flags.DEFINE_enum(
    "clean",
    "report",
    ["report", "drop", "quarantine"],
    "What becomes of doubtful images; quarantine copies them to OUT/quarantine, too.",
)
flags.DEFINE_integer("strangest", 0, "How many of the strangest count as doubtful.", 0)
flags.DEFINE_enum("features", "auto", ["auto", "vgg16", "light"], "By which they are strange.")
flags.DEFINE_enum(
    "encoding", "auto", ["auto", "raw", "png", "webp", "jpeg"], "auto: raw to 128 px, then png."
)
flags.DEFINE_integer("quality", 95, "Of JPEG.", 1, 100)
flags.DEFINE_list("split", ["0.7", "0.15", "0.15"], "Shares of train, validation and test.")
flags.DEFINE_enum(
    "given_sides", "use", ["use", "merge"], "Of folders like train and test; merge: part anew."
)
flags.DEFINE_enum(
    "layout",
    "auto",
    ["auto", "folders", "inner", "table", "names", "one"],
    "What the classes are: the outermost folders, those inside, a table, names, or all one class.",
)
flags.DEFINE_string(
    "groups", None, "What stays on one side: folder, column:NAME, name:PATTERN or path:PATTERN."
)
flags.DEFINE_string(
    "duplicates", "auto", "Which images are the same: auto, exact, off, or a likeness in (0, 1)."
)
flags.DEFINE_bool("doctor", True, "Look for doubtful images, not only unreadable ones.")
flags.DEFINE_bool(
    "dry_run",
    False,
    "Write no set. OUT, where it is given, then holds decisions.csv, report.html, log.txt and what "
    "was read (.work), for the next run.",
)
path_flag("report", "File for the report; OUT/report.html by default.")
path_flag("json", "File for all findings.")
flags.DEFINE_string("runner", None, "Of Apache Beam, to read the images; needs make beam.")
flags.mark_flag_as_required("resolution")
FLAGS = flags.FLAGS


@flags.multi_flags_validator(["source", "out", "dry_run"])
def _given(values: dict[str, Any]) -> bool:
    if not values["source"]:
        raise InputError("--source must be given, a folder, a .zip, a .tar, tfds:NAME or hf:NAME")
    if not values["out"] and not values["dry_run"]:
        raise InputError("--out must be given, a folder for the prepared set (or --dry-run)")
    return True


def main(of_beam: Sequence[str] = ()) -> None:
    # Not by the processes that read images.
    from jaxgan.data.prepare import options, pipeline, report, summary

    if FLAGS["quality"].present and FLAGS.encoding not in ("jpeg", "webp"):
        raise InputError("--quality must come with --encoding=jpeg or webp")
    if FLAGS["border"].present and FLAGS.align == "none":
        raise InputError("--border must come with --align, whose crops may leave their image")
    wanted = options.of_flags(FLAGS.flag_values_dict(), features, of_beam)
    command.check_outputs(FLAGS.json, FLAGS.report)
    with pipeline.log(wanted.out) as say, pipeline.prepared(wanted, say) as result:
        if FLAGS.json:
            each = summary.of_each(result.diagnosis)
            checked_files.write(FLAGS.json, summary.lines(result.findings, each))
        page = FLAGS.report or (wanted.out and wanted.out / "report.html")
        if page:
            checked_files.write(page, report.page(result))
        for line in pipeline.summary(result):
            say(line)
        if page:
            say(f"report: {page}")
        if wanted.dry_run and wanted.out:
            say(
                f"no set is written; for the next run {wanted.out} holds decisions.csv, log.txt "
                f"and what was read (.work)"
            )


def features(resolution: int):
    """VGG16's, where its weights are installed; None: the light descriptor."""
    if FLAGS.features == "light" or not FLAGS.doctor:
        return None
    from jaxgan.metrics import features

    if FLAGS.features == "auto" and not features.available():
        return None
    command.use_devices()
    net = features.vgg16(features.input_size(resolution))
    return lambda pictures: features.extract(net, pictures)


if __name__ == "__main__":
    command.run(main, devices=False, others_with="runner")
