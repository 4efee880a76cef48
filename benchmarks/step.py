"""One training step, timed; beside the same step in plain PyTorch.

    python benchmarks/step.py --config F [--config.a.b=v] [--against torch] [--kernels 5]

Prints one JSON object per figure. README.md in this folder says what each figure is.
"""

import os
import resource
import sys
import time

import jax
import kernels
import measure
from absl import flags
from measure import FLAGS, report
from ml_collections import ConfigDict

from jaxgan.cli import command
from jaxgan.engine import memory
from jaxgan.types import InputError

MODES = ("eager", "channels_last", "compile")
measure.define_flags()
flags.DEFINE_enum("against", None, ["torch"], "What to compare with.")
flags.DEFINE_list("torch_modes", list(MODES), "Which of PyTorch's.")
flags.register_validator(
    "torch_modes", lambda modes: set(modes) <= set(MODES), f"must be of {', '.join(MODES)}"
)
flags.DEFINE_integer("kernels", 0, "Also the time of so many largest operations.", 0)


def main() -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs memory, too.
    jax.config.update("jax_enable_compilation_cache", False)
    config, name = measure.read_config()
    about = measure.describe(config, name)
    if FLAGS.against:
        about["torch"] = measure.torch_version()
    f32 = measure.matmul_peak("float32")
    report(about, "matmul_peak", f32 / 1e9, "GFLOP/s")
    peak = f32
    if config.precision == "bf16":
        peak = measure.matmul_peak("bfloat16")
        report(about, "matmul_peak_bf16", peak / 1e9, "GFLOP/s")

    program = measure.build(config)
    for stage, seconds in program.seconds.items():
        report(about, f"{stage}_seconds", seconds, "s")
    program.run(1)
    report_program(program, about)

    steps = {"ours": program.run}
    if FLAGS.against:
        steps |= torch_runs(config, about)
    times = measure.interleave(steps, FLAGS.rounds, FLAGS.seconds)
    images = measure.images_per_step(config)
    for key, t in times.items():
        low, high, rounds = t.low * 1e3, t.high * 1e3, FLAGS.rounds
        figure = "ms_per_step" if key == "ours" else f"{key}_ms_per_step"
        report(about, figure, t.median * 1e3, "ms", low=low, high=high, rounds=rounds)
        figure = "images_per_second" if key == "ours" else key
        report(about, figure, images / t.median, "images/s")
    ours = times.pop("ours").median
    # The devices of a CPU are made up, and share its peak.
    peak *= 1 if jax.default_backend() == "cpu" else jax.device_count()
    report(about, "share_of_matmul_peak", program.flops / ours / peak, "1")
    if times:
        best = min(times, key=lambda key: times[key].median)
        ratio = times[best].median / ours
        report(about, "ratio_to_best_torch", ratio, "1", best=best, ran=list(times))
    if FLAGS.kernels:
        for row in kernels.largest(program, FLAGS.kernels):
            report(about, "kernel", row.pop("ms"), "ms", **row)


def report_program(program: measure.Program, about: dict) -> None:
    """What XLA says of the compiled program, and the system of the process."""
    if sys.platform == "linux":  # Before PyTorch takes its part.
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        report(about, "peak_memory_of_process", rss, "bytes")
    in_use = jax.devices()[0].memory_stats()
    if in_use:
        report(about, "peak_memory_of_device", in_use["peak_bytes_in_use"], "bytes")
    needs = memory.needs(program.compiled)
    if needs is not None:
        report(about, "peak_memory", sum(needs), "bytes", temporaries=needs.temporaries)
    report(about, "flops_per_step", program.flops, "FLOP")


def torch_runs(config: ConfigDict, about: dict) -> dict[str, measure.Run]:
    """Return the three modes of PyTorch, warm; without those that fail, whose error is reported."""
    import torch_steps

    if config.model.name not in torch_steps.STEPS:
        known = ", ".join(torch_steps.STEPS)
        raise InputError(f"--against torch must be with one of {known}, got {config.model.name}")
    batch, _ = measure.make_batch(config)
    runs = {}
    for mode in FLAGS.torch_modes:
        step = torch_steps.make_step(config, batch, mode)

        def run(count: int, step: torch_steps.Step = step) -> None:
            for _ in range(count):
                loss = step()
            torch_steps.wait(loss)

        start = time.perf_counter()
        try:
            flops = torch_steps.flops(step) if mode == "eager" else run(1)
        except Exception as error:  # The compiler's errors have no common kind.
            first = str(error).strip().partition("\n")[0]
            report(about, f"torch_{mode}", None, "images/s", error=first)
            continue
        seconds = time.perf_counter() - start
        if mode == "compile":
            report(about, "torch_compile_seconds", seconds, "s")
        elif mode == "eager":
            report(about, "torch_flops_per_step", flops, "FLOP")
        runs[f"torch_{mode}"] = run
    return runs


if __name__ == "__main__":
    command.run(main)
