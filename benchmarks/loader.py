"""Images per second from JPEG files to batches, beside bare Pillow and PyTorch's DataLoader.

    python benchmarks/loader.py
    python benchmarks/loader.py --data DIR --resolution 128
    python benchmarks/loader.py --train configs/quickstart.py

Without --data it writes JPEG files with a photograph's spectrum to a temporary folder. All
contenders give the same uint8 images, from files that the system has cached; they take turns, and
medians count. With --train it measures one thing only: which share of the time a GAN's training on
these images waits for them. Prints one JSON object per figure.
"""

import contextlib
import datetime
import functools
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import measure
import numpy as np
from absl import flags
from PIL import Image

from jaxgan.cli import command
from jaxgan.config import loading as configs
from jaxgan.data import loader
from jaxgan.data.folder import FolderSource
from jaxgan.engine.log import read_metrics
from jaxgan.system import machine
from jaxgan.training import run

try:
    import torch
except ImportError:  # An extra of the benchmarks.
    torch = None

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Class folders with JPEG files; by default they are made.")
flags.DEFINE_integer("resolution", 128, "Side of the loaded images.", 1)
flags.DEFINE_integer("images", 2000, "How many are made.", 1)
flags.DEFINE_integer("size", 512, "Side of those that are made.", 8)
flags.DEFINE_integer("batch_size", 32, "Images a batch.", 1)
flags.DEFINE_integer("turn", 384, "Images that a contender reads in each of its turns.", 1)
flags.DEFINE_integer("rounds", 9, "Turns of each contender; or lines of the training log.", 1)
flags.DEFINE_string("train", None, "A GAN's config, or an experiment's, to train on the images.")
flags.DEFINE_integer("steps", 20, "Of training in a line of its log.", 1)
Turn = Callable[[], float]  # Images per second.


def write_images(folder: Path, count: int, size: int) -> None:
    """JPEG files of quality 80 whose amplitudes fall as those of photographs; 70 KB at 512 px."""
    rng = np.random.default_rng(0)
    side = 2 * size
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf  # No constant: the mean is added below.
    noise = rng.normal(size=(4, 2, *frequency.shape))
    fields = np.fft.irfft2((noise[:, 0] + 1j * noise[:, 1]) / frequency**1.3, (side, side))
    light, *colours = fields / fields.std((1, 2), keepdims=True)
    large = np.stack([128 + 50 * light + 20 * colour for colour in colours], -1)
    large = large.clip(0, 255).astype(np.uint8)
    for i, (x, y) in enumerate(rng.integers(0, size, (count, 2))):
        file = folder / ("cat", "dog")[i % 2] / f"{i:06}.jpg"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(large[y : y + size, x : x + size]).save(file, quality=80)


def read(resolution: int, file: Path) -> np.ndarray:
    """Return what the package does to a JPEG file, in as few calls of Pillow as will do."""
    with Image.open(file) as im:
        im.draft("RGB", (2 * resolution, 2 * resolution))
        side = min(im.size)
        left, top = (im.width - side) // 2, (im.height - side) // 2
        square = im.convert("RGB").crop((left, top, left + side, top + side))
        small = square.resize((resolution, resolution), Image.Resampling.LANCZOS, reducing_gap=3.0)
        return np.array(small)


class Files:
    """A PyTorch dataset."""

    def __init__(self, files: list[Path], read: Callable[[Path], np.ndarray]):
        self.files, self.read = files, read

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int):
        return torch.from_numpy(self.read(self.files[index]))


def rate(batches: Iterator, images: int) -> float:
    """Images per second of a loader that is under way: what it reads ahead does not count."""
    for _ in range(2):
        next(batches)
    start, done = time.perf_counter(), 0
    while done < images:
        done += FLAGS.batch_size
        next(batches)
    return done / (time.perf_counter() - start)


def contenders(root: Path) -> dict[str, Turn]:
    decoded = FolderSource(root, FLAGS.resolution, in_memory=0)
    cached = FolderSource(root, FLAGS.resolution, in_memory=1 << 60)
    files = [root / name for name in cached.names]
    read_one = functools.partial(read, FLAGS.resolution)
    if not FLAGS.data:  # Others may need more than `read` does.
        for i in range(0, len(files), 100):
            np.testing.assert_array_equal(cached[i]["image"], read_one(files[i]))
    rng = np.random.default_rng(0)

    def some() -> list[Path]:
        return [files[i] for i in rng.integers(len(files), size=FLAGS.turn)]

    def loop() -> float:
        chosen, start = some(), time.perf_counter()
        for file in chosen:
            read_one(file)
        return len(chosen) / (time.perf_counter() - start)

    def pool() -> float:
        with ThreadPoolExecutor(machine.cores()) as threads:
            chosen, start = some(), time.perf_counter()
            for _ in threads.map(read_one, chosen):
                pass
            return len(chosen) / (time.perf_counter() - start)

    def ours(source: FolderSource, images: int) -> float:
        seed = int(rng.integers(1 << 30))
        batches = loader.make_batches(source, batch_size=FLAGS.batch_size, seed=seed)
        measured = rate(batches, images)
        batches.close()
        return measured

    turns = {
        "pillow_loop": loop,
        "thread_pool": pool,
        "decoded": lambda: ours(decoded, FLAGS.turn),
        "cached": lambda: ours(cached, 20 * FLAGS.turn),
    }
    if torch is not None:
        sampler = torch.utils.data.RandomSampler(files, replacement=True, num_samples=1 << 30)
        batches = torch.utils.data.DataLoader(
            Files(files, read_one),
            batch_size=FLAGS.batch_size,
            sampler=sampler,
            num_workers=2,
            persistent_workers=True,
            multiprocessing_context="spawn",  # A fork would inherit the threads of JAX half.
        )
        turns["torch_dataloader"] = lambda: rate(iter(batches), FLAGS.turn)
    return turns


def compare(root: Path) -> None:
    turns = contenders(root)
    for turn in turns.values():
        turn()
    rates: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(FLAGS.rounds):
        for name, turn in turns.items():
            rates[name].append(turn())
            time.sleep(0.3)  # For what was being read ahead.
    about = describe()

    def report(figure: str, values: list[float], unit: str) -> None:
        spread = {"low": round(min(values), 3), "high": round(max(values), 3)}
        value = statistics.median(values)
        measure.report(about, figure, value, unit, **spread, rounds=FLAGS.rounds)

    def report_ratio(figure: str, one: str, other: str) -> None:
        pairs = zip(rates[one], rates[other], strict=True)
        report(figure, [a / b for a, b in pairs], "ratio")

    for name, values in rates.items():
        report(name, values, "images/s")
    report_ratio("ratio_to_thread_pool", "decoded", "thread_pool")
    report_ratio("ratio_cached_to_decoded", "cached", "decoded")
    if torch is not None:
        report_ratio("ratio_to_torch", "decoded", "torch_dataloader")


def wait(root: Path) -> None:
    """Train, and report `waiting_share` of the log: each line's, but the first one's."""
    config = configs.load(FLAGS.train)
    config = config.gan if configs.is_experiment(config) else config
    with config.unlocked(), tempfile.TemporaryDirectory() as folder:
        config.data.update({"path": str(root), "classes": (), "limit": None})
        steps = FLAGS.steps * (FLAGS.rounds + 1)
        length = {"steps": steps, "epochs": None, "kimg": None, "log_every": FLAGS.steps}
        config.train.update(length | {"sample_every": 2 * steps, "checkpoint_every": 2 * steps})
        with contextlib.redirect_stdout(sys.stderr):
            run.run(config, folder)
        rows = [row for row in read_metrics(folder) if "waiting_share" in row]
    about = describe() | {
        "config": FLAGS.train,
        "resolution": config.data.resolution,
        "batch_size": config.train.batch_size,
    }
    for figure, unit in (("waiting_share", "1"), ("images_per_second", "images/s")):
        values = [row[figure] for row in rows]
        spread = {"low": min(values), "high": max(values), "rounds": len(values)}
        measure.report(about, figure, statistics.median(values), unit, **spread)


def describe() -> dict:
    """Return what every figure carries."""
    packages = ("pillow", "grain", "numpy", *(["torch"] if torch else []))
    return {
        "resolution": FLAGS.resolution,
        "batch_size": FLAGS.batch_size,
        "images": FLAGS.data or f"{FLAGS.images} JPEGs of {FLAGS.size} px",
        "device": f"{machine.cores()}-core {platform.processor() or platform.machine()} CPU",
        "cores": machine.cores(),
        "versions": {"python": platform.python_version()}
        | {package: metadata.version(package) for package in packages},
        "date": datetime.date.today().isoformat(),
    }


def main() -> None:
    benchmark = wait if FLAGS.train else compare
    if FLAGS.data:
        benchmark(Path(FLAGS.data).expanduser())
        return
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder), FLAGS.images, FLAGS.size)
        benchmark(Path(folder))


if __name__ == "__main__":
    command.run(main)
