"""Compile training steps for TPUs and GPUs on a machine that has none, and say what they need.

    make aot                                    # Every config for v5e-1; hours on two cores
    python benchmarks/aot.py --configs wgan64,meowgan64 --targets v5e-1,v5e-8,h100

It needs the extra `aot` (libtpu) for TPUs, and `cuda13` for an H100. Nothing runs: what a row holds
is the compiler's word. Each program of a config's step (StyleGAN2 has four) is a row of `--out`:

    compile_s          seconds to compile here
    peak_mib           memory of a device at its peak; state, batch and temporaries
    state_mib          of it the state, which must be aliased: aliased of state_arrays
    gflop, gib         of one step on one device: arithmetic, by the program for a CPU, and bytes to
                       and from its memory, with one turn of each loop
    reduced_mib        what all-reduces exchange
    roofline_ms        the larger of gflop over the chip's peak and gib, where known, over its
                       bandwidth
    estimated_ms       TPU only: the compiler's cycles at its clock; gathers are not in it
    copies, transposes, gathers, float64, callbacks    how often the program has them

`--quick` asks the compiler for the least effort, a third to a fifth of the time: what compiles, is
aliased and is exchanged is the same, memory is not quite, and estimates and copies are left out.
Programs that FILE has are not compiled again. Peaks are the vendors': Google Cloud's documentation
of TPU v4, v5e and v6e, NVIDIA's H100 data sheet (SXM), without sparsity.
"""

import collections
import functools
import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags

from jaxgan.cli import command
from jaxgan.types import InputError


class Chip(NamedTuple):
    """A kind of chip: bf16 FLOP/s, bytes/s and bytes of its memory, and cycles a second."""

    flops: float
    bandwidth: float
    memory: float
    clock: float


CHIPS = {
    "v4": Chip(275e12, 1228e9, 32 * 2**30, 1.05e9),
    "v5e": Chip(197e12, 819e9, 16 * 2**30, 1.5e9),
    "v6e": Chip(918e12, 1640e9, 32 * 2**30, 1.75e9),
    "h100": Chip(989e12, 3352e9, 80e9, 1.98e9),
}
# Of devices. One alone is the first of four: a host's share, and v4's smallest slice.
SHAPES = {
    "v4": {1: "2x2x1", 4: "2x2x1", 8: "2x2x2"},
    "v5e": {1: "2x2", 4: "2x2", 8: "2x4"},
    "v6e": {1: "2x2", 4: "2x2", 8: "2x4"},
}
GPU = """
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info { major: 9 minor: 10 }
gpu_device_info {
  cuda_compute_capability { major: 9 } core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  memory_bandwidth: 3352320000000 device_memory_size: 84942979072 l2_cache_size: 52428800
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472 registers_per_core_limit: 65536 registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
}
"""
# What the least effort makes much larger.
OF_EFFORT = ("gib", "roofline_ms", "estimated_ms", "copies", "transposes")
MODES = ("jit", "pmap", "pmap-bf16")  # The last exchanges gradients in bfloat16.
SKIPPED = {"quickstart", "pca64"}  # Experiments are skipped, too; pca64 trains nothing.

flags.DEFINE_list("configs", [], "Names of training configs; all of configs/ by default.")
flags.DEFINE_list("targets", ["v5e-1"], "Chip and number: v5e-1, v5e-8, v4-4, v6e-1, h100.")
flags.DEFINE_list("precisions", ["bf16"], "bf16 and/or float32.")
flags.DEFINE_list("modes", ["jit"], f"Of {', '.join(MODES)}.")
flags.DEFINE_bool("quick", False, "With the compiler's least effort, and no estimates.")
flags.DEFINE_bool("test_config", False, "Take the configs' small twins, get_test_config().")
flags.DEFINE_integer("batch_size", None, "Of the whole step; the config's by default.", 1)
flags.DEFINE_integer("timeout", 1800, "Seconds for a config on a target.", 1)
flags.DEFINE_string("out", "benchmarks/results/aot.jsonl", "File of the rows.")
flags.DEFINE_bool("here", False, "Compile in this process: the driver gives each its own.")
FLAGS = flags.FLAGS


def topology(target: str) -> tuple[Chip, Any]:
    """Return the chip of a target like v5e-8, and its devices.

    Raises:
        InputError: an unknown target, or its compiler is not installed.
    """
    kind, dash, count = target.partition("-")
    number = int(count) if count.isdigit() else int(not dash)
    if kind not in CHIPS or not number or (kind in SHAPES and number not in SHAPES[kind]):
        known = [f"{k}-{n}" for k, shapes in SHAPES.items() for n in shapes] + ["h100"]
        raise InputError(f"--targets must be of {', '.join(known)}, got {target!r}")
    os.environ["JAX_PLATFORMS"] = "cpu"  # No accelerator is touched.
    if kind != "h100":  # What libtpu asks of a machine that is none of its own.
        os.environ |= {
            "TPU_SKIP_MDS_QUERY": "1",
            "TPU_WORKER_HOSTNAMES": "localhost",
            "TPU_ACCELERATOR_TYPE": "v5litepod-8",
        }
    from jax.experimental import topologies

    try:
        if kind == "h100":
            from jax._src import xla_bridge

            xla_bridge.discover_pjrt_plugins()
            found = topologies.get_topology_desc(
                platform="cuda", topology_name="", target_config=GPU, topology=f"1x1x{number}"
            )
        else:
            name = f"{kind}:{SHAPES[kind][number]}"
            found = topologies.get_topology_desc(platform="tpu", topology_name=name)
    except Exception as error:  # Plugins' errors have no common kind.
        extra = "cuda13" if kind == "h100" else "aot"
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"compiling for {target} needs its compiler: pip install 'jaxgan[{extra}]' ({reason})"
        ) from error
    return CHIPS[kind], found.devices[:number]


def programs(name: str, precision: str, mode: str, batch_size: int | None, devices: Any) -> Any:
    """Yield (label, lowered program, state, FLOPs on a device) of each part of a config's step.

    FLOPs are counted in the program for a CPU, in which loops are written out.
    """
    import jax
    import measure
    import numpy as np
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as P

    from jaxgan import recipes
    from jaxgan.config import loading as configs
    from jaxgan.engine import sharding

    array = np.asarray(devices)
    sharding._devices = lambda: array
    jax.local_device_count = lambda *_, **__: len(array)
    config = configs.load(str(Path("configs") / f"{name}.py"), test=FLAGS.test_config)
    mode, _, sent = mode.partition("-")
    with config.unlocked():
        config.train.update({"steps": 1000, "epochs": None, "kimg": None})
        config.precision, config.parallel = precision, mode
        config.train.all_reduce = sent or "float32"
        config.train.batch_size = batch_size or config.train.batch_size
        if config.model.name in configs.CLASSIFIERS:
            config.model.num_classes = 2
    recipe, alone = (recipes.build(config, axis) for axis in (sharding.axis_name(mode), None))
    spread = sharding.spread(mode)
    mesh = Mesh(array, (sharding.AXIS,))
    one, axis = measure.make_batch(config)
    like = jax.ShapeDtypeStruct
    all_images = {k: like(v.shape, v.dtype) for k, v in one.items()}
    whole = NamedSharding(mesh, P())
    split = NamedSharding(mesh, P(*[None] * axis, sharding.AXIS))
    if mode == "pmap":  # A leading axis of devices.
        count = len(array)
        one = {k: np.stack(np.split(v, count, axis)) for k, v in one.items()}
        split = NamedSharding(mesh, P(sharding.AXIS))
    batch = {k: like(v.shape, v.dtype, sharding=split) for k, v in one.items()}
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(recipe.init, key)
    placed = jax.tree.map(lambda x: like(x.shape, x.dtype, sharding=whole), state)
    for (label, part), counted in zip(parts(recipe).items(), parts(alone).values(), strict=True):
        program = jax.jit(counted).trace(state, all_images, key).lower(lowering_platforms=("cpu",))
        flops = (program.cost_analysis() or {})["flops"] / len(array)
        yield label, spread.compile(part).trace(placed, batch, key).lower(), state, flops


def parts(recipe: Any) -> dict[str, Any]:
    """Return the programs of a recipe's step by what they are called here."""
    found = {"step": recipe.step}
    if recipe.turns:
        steps = dict.fromkeys(part for step in range(64) for part in recipe.turns(step))
        found = {f"part {i + 1}": part for i, part in enumerate(steps)}
    if recipe.prelude:
        found["extra critic update"] = recipe.prelude.step
    return found


def lines_by_turns(text: str, unknown: int = 1) -> collections.Counter:
    """Return the instructions of an optimised program, and how often a run executes each.

    A loop's body counts as often as its number of turns, by the compiler's word or the limit that
    its condition compares with; where there is neither `unknown` times.
    """
    bodies: dict[str, list[str]] = {}
    current, entry = "", ""
    for line in text.splitlines():
        head = re.match(r"^(ENTRY )?%?([\w.\-]+)\s*\(.*\{\s*$", line)
        if head:
            current = head[2]
            bodies[current] = []
            entry = current if head[1] else entry
        elif line.startswith(" "):
            bodies.setdefault(current, []).append(line)
    counted: collections.Counter = collections.Counter()

    def visit(name: str, times: int) -> None:
        for line in bodies.get(name, ()):
            counted[line] += times
            loop = re.search(r" while\(.*condition=%?([\w.\-]+), body=%?([\w.\-]+)", line)
            if loop:
                condition = "\n".join(bodies.get(loop[1], ()))
                turns = re.findall(r'known_trip_count":\{"n":"(\d+)"', line)
                if not turns and "direction=LT" in condition:
                    turns = re.findall(r"s32\[\]\S* constant\((\d+)\)", condition)
                visit(loop[2], times * (int(turns[0]) if len(turns) == 1 else unknown))
            elif re.search(r" (call|conditional)\(", line):
                called = r"(?:to_apply|true_computation|false_computation)=%?([\w.\-]+)"
                for other in re.findall(called, line):
                    visit(other, times)

    visit(entry, 1)
    return counted


def size_of(shape: str) -> int:
    """Return the bytes of all arrays in an HLO shape, such as (f32[3,4], u8[2])."""
    widths = {"f32": 4, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "u8": 1, "s8": 1, "pred": 1}
    total = 0
    for kind, sides in re.findall(r"\b([a-z]+\d*)\[([\d,]*)\]", shape):
        number = widths.get(kind, 8)
        for side in filter(None, sides.split(",")):
            number *= int(side)
        total += number
    return total


def figures(
    compiled: Any, state: Any, chip: Chip, unknown: int = 1, flops: float | None = None
) -> dict[str, Any]:
    """Return what a compiled program needs; the keys are in the module's docstring.

    Args:
        compiled: the program.
        state: what it takes and returns.
        chip: what it is compiled for.
        unknown: turns of loops whose number no compiler knows.
        flops: of a step; by the compiler, which takes a loop's turn for all of them, where None.
    """
    import jax
    import numpy as np

    memory, cost = compiled.memory_analysis(), compiled.cost_analysis() or {}
    text = compiled.as_text()
    counts: collections.Counter = collections.Counter()
    cycles = reduced = 0
    for line, times in lines_by_turns(text, unknown).items():
        found = re.match(r"\s*(?:ROOT )?%?[\w.\-]+ = (.*?) ([a-z][\w\-]*)\(", line)
        if not found:
            continue
        counts[found[2]] += times
        if found[2] in ("all-reduce", "all-reduce-start"):
            reduced += times * size_of(found[1])
        estimate = re.search(r'"estimated_cycles":"(\d+)"', line)
        cycles += times * int(estimate[1]) if estimate else 0
    leaves = jax.tree.leaves(state)
    # A GPU's compiler counts nothing.
    arithmetic = float(cost.get("flops", math.nan) if flops is None else flops)
    moved = float(cost.get("bytes accessed", math.nan))
    mib = 2**20
    return {
        "peak_mib": getattr(memory, "peak_memory_in_bytes", 0) / mib
        or (memory.argument_size_in_bytes + memory.temp_size_in_bytes) / mib,
        "temporaries_mib": memory.temp_size_in_bytes / mib,
        "state_mib": sum(x.size * x.dtype.itemsize for x in leaves) / mib,
        "state_arrays": len(leaves),
        "aliased": len(re.findall(r"may-alias|must-alias", text.partition("\n")[0])),
        "gflop": arithmetic / 1e9,
        "gib": moved / 2**30,
        "reduced_mib": reduced / mib,
        "roofline_ms": 1e3 * np.nanmax([arithmetic / chip.flops, moved / chip.bandwidth]),
        "estimated_ms": 1e3 * cycles / chip.clock if cycles else None,
        "fits": memory.argument_size_in_bytes + memory.temp_size_in_bytes <= chip.memory,
        "copies": counts["copy"],
        "transposes": counts["transpose"],
        "gathers": text.count(" gather("),
        "float64": "f64[" in text,
        "callbacks": text.count("callback"),
    }


def compile_one(name: str, target: str, precision: str, mode: str) -> None:
    """Compile a config's programs for a target; print a row for each as JSON."""
    chip, devices = topology(target)
    about = {"config": name, "target": target, "precision": precision, "mode": mode}
    lowered_parts = programs(name, precision, mode, FLAGS.batch_size, devices)
    for label, lowered, state, flops in lowered_parts:
        start = time.perf_counter()
        row = about | {"program": label, "quick": FLAGS.quick}
        try:
            compiled = lowered.compile()
            row |= {"compile_s": time.perf_counter() - start} | figures(
                compiled, state, chip, flops=flops
            )
            row |= dict.fromkeys(OF_EFFORT if FLAGS.quick else ())
        except Exception as error:  # The compilers' errors have no common kind.
            row["error"] = str(error).strip().partition("\n")[0][:300]
        short = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in row.items()}
        short = {k: None if v != v else v for k, v in short.items()}  # What is not known.
        print("ROW " + json.dumps(short), flush=True)


def names() -> list[str]:
    """Return the training configs of configs/, or those of `--configs`.

    Raises:
        InputError: a name that is not there.
    """
    known = sorted(file.stem for file in Path("configs").glob("*.py"))
    for name in FLAGS.configs:
        if name not in known:
            raise InputError(f"--configs must be of {', '.join(known)}, got {name!r}")
    trains = [k for k in known if not k.startswith("experiment") and k not in SKIPPED]
    return FLAGS.configs or trains


def main() -> None:
    if FLAGS.here:
        compile_one(FLAGS.configs[0], FLAGS.targets[0], FLAGS.precisions[0], FLAGS.modes[0])
        return
    if unknown := set(FLAGS.modes) - set(MODES):
        raise InputError(f"--modes must be of {', '.join(MODES)}, got {min(unknown)!r}")
    out = Path(FLAGS.out)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    asked = ("config", "target", "precision", "mode", "batch_size")
    done = {
        tuple(row.get(key) for key in asked) for row in rows if FLAGS.quick or not row.get("quick")
    }
    for target in FLAGS.targets:
        kind = target.partition("-")[0]
        if kind not in CHIPS:
            topology(target)  # Raises.
        for name in names():
            for precision in FLAGS.precisions:
                for mode in FLAGS.modes:
                    if (name, target, precision, mode, FLAGS.batch_size) in done:
                        continue
                    _in_process(out, name, target, precision, mode)


def _in_process(out: Path, name: str, target: str, precision: str, mode: str) -> None:
    """Compile in a process of its own: a second topology in one process fails."""
    asked = {"configs": name, "targets": target, "precisions": precision, "modes": mode}
    line = [sys.executable, __file__, "--here", *(f"--{k}={v}" for k, v in asked.items())]
    line += ["--test_config"] * FLAGS.test_config + ["--quick"] * FLAGS.quick
    if FLAGS.batch_size:
        line.append(f"--batch_size={FLAGS.batch_size}")
    about = {"config": name, "target": target, "precision": precision, "mode": mode}
    # The last line is the error; plugins must not look for their devices.
    environment = {"JAX_TRACEBACK_FILTERING": "off", "JAX_PLATFORMS": "cpu"}
    if FLAGS.quick:
        environment["JAX_EXEC_TIME_OPTIMIZATION_EFFORT"] = "-1.0"
    try:
        run = functools.partial(
            subprocess.run,
            capture_output=True,
            text=True,
            env=os.environ | environment,
        )
        ended = run(line, timeout=FLAGS.timeout)
        found = [json.loads(x[4:]) for x in ended.stdout.splitlines() if x.startswith("ROW ")]
        said = (ended.stderr.strip() or "nothing").splitlines()[-1]
        if ended.returncode == 1 and not found:  # Bad input is the same for all that follow.
            raise InputError(said.removeprefix("aot.py: "))
        found = found or [about | {"error": said[:300]}]
    except subprocess.TimeoutExpired:
        found = [about | {"error": f"not compiled within {FLAGS.timeout} s"}]
    with out.open("a") as file:
        for row in found:
            row |= {"batch_size": FLAGS.batch_size}
            file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    command.run(main)
