"""What the benchmarks share: a config's training step, timing by turns, figures as JSON lines."""

import datetime
import json
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from ml_collections import ConfigDict, config_flags

from jaxgan import recipes
from jaxgan.cli import command
from jaxgan.config import combinations
from jaxgan.config import loading as configs
from jaxgan.engine import loop, sharding
from jaxgan.system import machine
from jaxgan.types import InputError

FLAGS = flags.FLAGS
Run = Callable[[int], None]  # So many iterations, the last one waited for.


def define_flags() -> None:
    """The flags that say what is measured."""
    command.config_flag()
    flags.DEFINE_enum("stage", None, ["gan", "classifier"], "Which part of an experiment's config.")
    flags.DEFINE_bool("test_config", False, "Take the config's small twin, get_test_config().")
    flags.DEFINE_integer("rounds", 5, "Turns of each contender, whose median counts.", 1)
    flags.DEFINE_float("seconds", 0.5, "A turn repeats short steps for this long.", 0)


def read_config() -> tuple[ConfigDict, str]:
    """Return the training config that the flags name, checked, and its name.

    Raises:
        InputError: no `--stage` for an experiment, one for another config, or a bad value.
    """
    flag = FLAGS["config"]
    config = FLAGS.config.copy_and_resolve_references()
    name = config_flags.get_config_filename(flag)
    if FLAGS.test_config:
        config = configs.load(name, test=True)
        config.update_from_flattened_dict(config_flags.get_override_values(flag))
    if configs.is_experiment(config) != (FLAGS.stage is not None):
        raise InputError(
            f"--stage must be given for an experiment's config and for no other, got {FLAGS.stage}"
        )
    if FLAGS.stage:
        config, name = config[FLAGS.stage], f"{name} {FLAGS.stage}"
    with config.unlocked():
        config.train.update({"steps": 1, "epochs": None, "kimg": None})  # Any length will do.
        if config.model.name in configs.CLASSIFIERS and config.model.num_classes is None:
            config.model.num_classes = 2
    combinations.check_training(config)
    sharding.check_batch(config.train.batch_size)
    return config, name


def make_batch(config: ConfigDict) -> tuple[dict[str, np.ndarray], int]:
    """Random images as a loader gives them, and which of their axes counts images."""
    rng, size = np.random.default_rng(0), config.data.resolution
    shape = (config.train.batch_size, size, size, 3)
    classes = config.model.get("num_classes", 0)
    if config.model.get("conditional", False):
        classes = len(config.data.classes)
    several = config.model.name in configs.GANS and not config.train.get("same_batch", True)
    shape = (config.train.n_critic, *shape) if several else shape
    batch = {"image": rng.integers(0, 256, shape, np.uint8)}
    if classes:
        batch["label"] = rng.integers(0, classes, shape[:-3], np.int32)
    return batch, int(several)


def images_per_step(config: ConfigDict) -> int:
    """Real images that one iteration takes from the loader, as the training log counts them."""
    several = config.model.name in configs.GANS and not config.train.get("same_batch", True)
    return config.train.batch_size * (config.train.n_critic if several else 1)


class Program(NamedTuple):
    """A training step, compiled as the trainer does.

    Attributes:
        run: see `Run`; each iteration goes on from the last one's state.
        compiled: XLA's program.
        seconds: of "trace", "lower" and "compile".
        flops: of an iteration, by XLA's count, on all devices together.
    """

    run: Run
    compiled: Any
    seconds: dict[str, float]
    flops: float


def build(config: ConfigDict) -> Program:
    """Return the step of a training config, with random weights, on one batch again and again."""
    recipe = recipes.build(config, sharding.axis_name(config.parallel))
    devices = sharding.spread(config.parallel)
    init_key, train_key = jax.random.split(jax.random.key(config.seed))
    state = devices.place(jax.jit(recipe.init, compiler_options=loop.QUICK)(init_key))
    whole, axis = make_batch(config)
    share = {k: np.split(v, jax.process_count(), axis) for k, v in whole.items()}
    batch = devices.shard({k: v[jax.process_index()] for k, v in share.items()}, axis)
    started = time.perf_counter()
    traced = devices.compile(recipe.step).trace(state, batch, train_key)
    traced_at = time.perf_counter()
    lowered = traced.lower()
    lowered_at = time.perf_counter()
    compiled = lowered.compile()
    seconds = {
        "trace": traced_at - started,
        "lower": lowered_at - traced_at,
        "compile": time.perf_counter() - lowered_at,
    }
    flops = count_flops(config, compiled)
    done = 0

    def run(count: int) -> None:
        nonlocal state, done
        for done in range(done + 1, done + count + 1):  # noqa: B020
            state, metrics = compiled(state, batch, jax.random.fold_in(train_key, done))
        jax.block_until_ready((state, metrics))

    return Program(run, compiled, seconds, flops)


def count_flops(config: ConfigDict, compiled: Any) -> float:
    """Those of an iteration on all devices; of a CPU's program, whatever the step runs on."""
    if jax.default_backend() == "cpu":  # Of what each device does.
        return jax.device_count() * compiled.cost_analysis()["flops"]
    # An accelerator's program has loops, whose bodies are counted once.
    recipe, key = recipes.build(config), jax.random.key(0)
    state, (batch, _) = jax.eval_shape(recipe.init, key), make_batch(config)
    traced = jax.jit(recipe.step).trace(state, batch, key)
    return traced.lower(lowering_platforms=("cpu",)).cost_analysis()["flops"]


class Timing(NamedTuple):
    """Seconds an iteration: the median of the turns, the fastest and the slowest."""

    median: float
    low: float
    high: float


def interleave(runs: Mapping[str, Run], rounds: int, seconds: float) -> dict[str, Timing]:
    """Times contenders that are warm by turns, so that a disturbance meets all alike.

    Args:
        runs: the contenders.
        rounds: turns of each.
        seconds: how long a turn lasts at least, about; one iteration where that is longer.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    counts = {name: max(1, round(seconds / _time(run, 1))) for name, run in runs.items()}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(_time(run, counts[name]))
    return {k: Timing(statistics.median(v), min(v), max(v)) for k, v in times.items()}


def _time(run: Run, count: int) -> float:
    start = time.perf_counter()
    run(count)
    return (time.perf_counter() - start) / count


def matmul_peak(dtype: Any) -> float:
    """FLOP/s of this machine's best of five large matrix products, on one device."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    a = jax.random.normal(jax.random.key(0), (size, size), dtype)
    product = jax.jit(jnp.matmul)
    best = min(_time(lambda _: jax.block_until_ready(product(a, a)), 1) for _ in range(5))
    if a.dtype == np.float32 and jax.default_backend() == "cpu":  # NumPy may be a little faster.
        b = np.asarray(a)
        best = min(best, *(_time(lambda _: b @ b, 1) for _ in range(5)))
    return 2 * size**3 / best


def device_name() -> str:
    device = jax.devices()[0]
    if device.platform == "cpu":
        return f"{machine.cores()}-core CPU"
    return f"{jax.device_count()} x {device.device_kind}"


def describe(config: ConfigDict, name: str) -> dict[str, Any]:
    """Return what every figure of a config's benchmark carries."""
    return {
        "config": name,
        "overrides": config_flags.get_override_values(FLAGS["config"]),
        "resolution": config.data.resolution,
        "batch_size": config.train.batch_size,
        "precision": config.precision,
        "device": device_name(),
        "jax": metadata.version("jax"),
        "date": datetime.date.today().isoformat(),
    }


def torch_version() -> str:
    """PyTorch's; it is not imported yet, for the process's memory to be ours."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError as error:
        raise InputError("--against torch needs PyTorch: pip install 'jaxgan[parity]'") from error


def report(
    about: Mapping[str, Any], figure: str, value: float | None, unit: str, **more: Any
) -> None:
    """Print one figure as a line of JSON, numbers to four digits."""
    line = {"figure": figure, "value": value, "unit": unit, **about, **more}
    short = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in line.items()}
    print(json.dumps(short), flush=True)
