"""How many principal components: the rules side by side, by Fréchet distance to images left out.

    python benchmarks/pca.py --sets faces=DIR/cat_faces_64,animals=DIR/cats_dogs_180 [--out FILE]

Each class of a set: 600 images to fit, 300 others to compare as many samples with. A row of FILE
has a set's mean over its classes, and "floor": what 300 of the images that were fitted have.
"""

import json
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from jaxgan.data import loader
from jaxgan.data.folder import Source
from jaxgan.metrics import features
from jaxgan.metrics.frechet import Moments, frechet_distance, moments
from jaxgan.models import pca

flags.DEFINE_list("sets", None, "NAME=FOLDER, of class folders.", required=True)
flags.DEFINE_list("resolutions", ["32", "64"], "In px.")
flags.DEFINE_list("networks", ["alexnet", "vgg16"], "Whose features.")
flags.DEFINE_string("out", "benchmarks/results/pca_2-core-cpu.jsonl", "File of the rows.")
FLAGS = flags.FLAGS

FITTED, COMPARED = 600, 300
RULES: dict[str, tuple[float | None, float]] = {  # Components, and how much is shrunk.
    "likelihood": (None, 0.0),
    "likelihood, shrunk": (None, 1.0),
    "share 0.8": (0.8, 0.0),
    "share 0.9": (0.9, 0.0),
    "share 0.95": (0.95, 0.0),
    "share 0.99": (0.99, 0.0),
    "150": (150, 0.0),
    "all": (2 * FITTED - 1, 0.0),
}


def of_class(source: Source, network: str) -> list[dict]:
    """Return a row for each rule, and one of the floor."""
    mixed = np.random.default_rng(0).permutation(len(source))
    learned = loader.in_memory(loader.Subset(source, np.sort(mixed[:FITTED])))
    others = mixed[FITTED : FITTED + COMPARED]
    net = getattr(features, network)(source.resolution)

    def looked(images: list[np.ndarray]) -> Moments:
        return moments(features.extract(net, images).astype(np.float64))

    real = looked([source[int(i)]["image"] for i in others])
    floor = looked([learned[i]["image"] for i in range(0, FITTED, FITTED // COMPARED)])
    rows = [{"rule": "floor", "distance": float(frechet_distance(real, floor))}]
    for rule, (components, shrink) in RULES.items():
        clock = time.process_time()
        fit = pca.fit(learned, components)
        seconds = time.process_time() - clock
        images = pca.draw(fit, range(COMPARED), shrink)
        rows.append(
            {
                "rule": rule,
                "components": len(fit.variances),
                "seconds": round(seconds, 2),
                "distance": float(frechet_distance(real, looked(list(images)))),
            }
        )
    return rows


def main(argv: list[str]) -> None:
    Path(FLAGS.out).parent.mkdir(parents=True, exist_ok=True)
    with open(FLAGS.out, "w") as file:
        for name, folder in (pair.split("=", 1) for pair in FLAGS.sets):
            for side in map(int, FLAGS.resolutions):
                source = loader.open_source(folder, side, count=FITTED + COMPARED, seed=0)
                classes = [
                    loader.Subset(source, np.flatnonzero(source.labels == label))
                    for label in range(len(source.classes))
                ]
                for network in FLAGS.networks:
                    each = [of_class(one, network) for one in classes]
                    for rows in zip(*each, strict=True):
                        mean = {
                            key: round(float(np.mean([row[key] for row in rows])), 2)
                            for key in rows[0]
                            if key != "rule"
                        }
                        row = {"set": name, "resolution": side, "features": network}
                        row |= {"rule": rows[0]["rule"]} | mean
                        print(json.dumps(row), file=file, flush=True)
                        print(row, flush=True)


if __name__ == "__main__":
    app.run(main)
