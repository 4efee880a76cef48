"""Images per second of scripts/prepare.py, beside a plain loop with Pillow.

    python benchmarks/prepare.py --data .scratch/cat_faces_64 --resolution 64

The plain loop decodes, resizes and writes the same records on one core. The command is timed as a
whole, its start included; it and the loop take turns, and medians count. With --vgg16 also the rate
of VGG16's features. The prepared set is then loaded beside JPEG files of 512 px. Prints one JSON
object per figure.
"""

import contextlib
import datetime
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import loader as loading
import measure
import numpy as np
from absl import flags
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image

from jaxgan.cli import command
from jaxgan.data import loader, tf_example
from jaxgan.data.folder import FolderSource
from jaxgan.data.prepare import scan
from jaxgan.data.prepared import RecordSource
from jaxgan.data.sources import discover
from jaxgan.system import machine

FLAGS = flags.FLAGS
flags.DEFINE_bool("vgg16", False, "Also time the features of VGG16.")
SCRIPT = Path(__file__).parent.parent / "scripts" / "prepare.py"


def plain_loop(found: discover.Files, folder: Path) -> float:
    """Return seconds that a loop with Pillow takes from the files to records of raw pixels."""
    start = time.perf_counter()
    writer = ArrayRecordWriter(str(folder / "loop.array_record"), scan.UNCOMPRESSED)
    size = (FLAGS.resolution, FLAGS.resolution)
    for entry in found.entries:
        with Image.open(Path(found.root) / str(entry.place)) as image:
            small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        writer.write(
            tf_example.encode_example(np.asarray(small).tobytes(), entry.label, entry.name)
        )
    writer.close()
    return time.perf_counter() - start


def prepare(source: str, folder: Path, *more: str) -> float:
    """Return seconds that the command takes."""
    out = folder / "set"
    shutil.rmtree(out, ignore_errors=True)
    given = ["--source", source, "--out", str(out), "--resolution", str(FLAGS.resolution)]
    start = time.perf_counter()
    called = [sys.executable, str(SCRIPT), *given, "--encoding=raw", *more]
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(called, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    found = discover.find(FLAGS.data)
    count = len(found.entries)
    about = {
        "resolution": FLAGS.resolution,
        "images": f"{count} of {Path(FLAGS.data).name}",
        "device": f"{machine.cores()}-core {platform.processor() or platform.machine()} CPU",
        "versions": {"python": platform.python_version()}
        | {package: metadata.version(package) for package in ("pillow", "grain", "numpy")},
        "date": datetime.date.today().isoformat(),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        turns: dict[str, Callable[[], float]] = {
            "pillow_loop": lambda: plain_loop(found, folder),
            "prepare_without_doctor": lambda: prepare(FLAGS.data, folder, "--nodoctor"),
            "prepare": lambda: prepare(FLAGS.data, folder, "--features=light"),
        }
        seconds: dict[str, list[float]] = {turn: [] for turn in turns}
        for _ in range(FLAGS.rounds):
            for turn, run in turns.items():
                seconds[turn].append(run())

        def report(figure: str, values: list[float], unit: str) -> None:
            spread = {"low": min(values), "high": max(values), "rounds": len(values)}
            measure.report(about, figure, statistics.median(values), unit, **spread)

        for turn, values in seconds.items():
            report(turn, [count / value for value in values], "images/s")
        loop, without, whole = (seconds[turn] for turn in turns)
        report("ratio_to_loop", [a / b for a, b in zip(loop, without, strict=True)], "ratio")
        doctor = [(b - a) / c for a, b, c in zip(without, whole, loop, strict=True)]
        report("doctor_in_loops", doctor, "loop's time")
        if FLAGS.vgg16:
            vgg16 = prepare(FLAGS.data, folder, "--features=vgg16")
            report("vgg16", [count / (vgg16 - statistics.median(whole))], "images/s")
        jpegs = folder / "jpegs"
        jpegs.mkdir()
        loading.write_images(jpegs, FLAGS.images, FLAGS.size)
        sources = {
            "load_prepared": RecordSource(folder / "set", FLAGS.resolution, in_memory=0),
            "load_jpeg_512": FolderSource(jpegs, FLAGS.resolution, in_memory=0),
        }
        rates: dict[str, list[float]] = {turn: [] for turn in sources}
        for seed in range(FLAGS.rounds):
            for turn, source in sources.items():
                batches = loader.make_batches(source, batch_size=FLAGS.batch_size, seed=seed)
                rates[turn].append(loading.rate(batches, FLAGS.turn))
                batches.close()
                time.sleep(0.3)  # For what was being read ahead.
        for turn, values in rates.items():
            report(turn, values, "images/s")
        prepared, decoded = rates.values()
        ratios = [a / b for a, b in zip(prepared, decoded, strict=True)]
        report("ratio_prepared_to_jpeg_512", ratios, "ratio")


if __name__ == "__main__":
    flags.mark_flag_as_required("data")
    command.run(main)
