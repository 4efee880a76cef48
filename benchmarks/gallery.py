"""The gallery of docs/: short real runs of GANs on the built-in drawn cats.

    python benchmarks/gallery.py

Each config trains on 300 drawn cats at 32 px, at a width that a CPU can train, and draws 16 samples
from seeds 0 to 15, which nobody chose. Writes an image for each to docs/images/gallery/ and a row
to docs/images/gallery/runs.jsonl, with CPU seconds; rows that are there stay.
"""

import json
import re
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags
from PIL import Image

import jaxgan
from jaxgan.api.models import Generator
from jaxgan.cli import command
from jaxgan.engine.log import grid, read_metrics

flags.DEFINE_list("only", [], "Configs; all by default.")
FLAGS = flags.FLAGS

OUT = Path("docs/images/gallery")
NARROW = {"model.channels": 64, "train.batch_size": 16}
FAST = {"optim.critic.learning_rate": 4e-4, "optim.generator.learning_rate": 4e-4}
RUNS: dict[str, tuple[int, dict]] = {  # Steps, and settings beside COMMON.
    "pca64": (0, {}),
    "refined32": (120, {}),
    "drifted32": (400, {"model.backbone": "random"}),
    "meowgan64": (2000, NARROW),
    "wgangp64": (1000, NARROW | FAST),
    "stylegan2_ada64:small": (
        150,
        {"model.channel_base": 1024, "model.channel_max": 32, "train.batch_size": 16},
    ),
    "r3gan64": (2000, NARROW),
    "dcgan64": (2500, {**NARROW, "optim.critic.learning_rate": 2e-4}),
    "wgan128": (700, NARROW | FAST),
}
COMMON = {"data.resolution": 32, "data.limit": 300, "data.classes": ("cat",)}


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    file = OUT / "runs.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    for name, (steps, settings) in RUNS.items():
        if any(row["config"] == name for row in rows) or (FLAGS.only and name not in FLAGS.only):
            continue
        rows.append(run(name, steps, COMMON | settings))
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        print(rows[-1], flush=True)


def run(name: str, steps: int, settings: dict) -> dict:
    """Train a config, keep its samples, and return its row."""
    folder = Path(tempfile.mkdtemp())
    row: dict = {"config": name, "settings": settings, "steps": steps}
    if steps:
        often = ("train.log_every", "train.checkpoint_every", "train.sample_every")
        settings = settings | {"train.steps": steps, **dict.fromkeys(often, steps)}
    begin = time.process_time()
    jaxgan.train(name, "toy", settings=settings, workdir=folder / "run")
    row["cpu_seconds"] = round(time.process_time() - begin, 1)
    log = (folder / "run" / "log.txt").read_text() if (folder / "run" / "log.txt").exists() else ""
    if found := re.search(r"parameters: ([^;]+);", log):
        row["parameters"] = found[1]
    if found := re.search(r"needs about ([\d.]+ \w+)", log):
        row["memory"] = found[1]
    rows = read_metrics(folder / "run") if (folder / "run" / "metrics.jsonl").exists() else []
    for figure in ("early/distance", "early/distance_pca", "early/diversity"):
        if said := [r[figure] for r in rows if figure in r]:
            row[figure] = round(said[-1], 3)
    images = Generator(folder / "run").sample(16, seed=0)
    sheet = Image.fromarray(grid(np.asarray(images), 8))
    sheet = sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST)
    sheet.save(OUT / f"{name.replace(':', '_')}.png", optimize=True)
    shutil.rmtree(folder)
    return row


if __name__ == "__main__":
    command.run(main)
