"""Where the time of a StyleGAN2 goes, turn by turn; beside the same turns in plain PyTorch.

    python benchmarks/stylegan2.py --config configs/stylegan2_ada64.py [--against torch]

Prints one JSON object per figure. README.md in this folder says what each figure is.
"""

import os
import time
from collections.abc import Mapping

import jax
import measure
from absl import flags
from measure import FLAGS, Run, report
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.cli import command
from jaxgan.data import loader
from jaxgan.data.toy.animals import ToySource
from jaxgan.engine import sharding
from jaxgan.types import InputError

NAMES = ("generator", "path_length", "critic", "r1")
MODES = ("eager", "channels_last")
measure.define_flags()
flags.DEFINE_enum("against", None, ["torch"], "What to compare with.")


def main() -> None:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs memory, too.
    jax.config.update("jax_enable_compilation_cache", False)
    config, name = measure.read_config()
    lazy = config.model.name == "stylegan2" and config.loss.r1 and config.loss.path_length
    if not lazy or config.model.conditional:
        raise InputError(
            "--config must be of a StyleGAN2 without classes, with R1 and path lengths, and "
            f"{name} is none"
        )
    about = measure.describe(config, name)
    if FLAGS.against:
        about["torch"] = measure.torch_version()
    every = dict(zip(NAMES, (1, config.loss.path_every, 1, config.loss.r1_every), strict=True))
    batch, _ = measure.make_batch(config)

    bare = config.copy_and_resolve_references()
    bare.augment.policy = ()
    turns = {"ours": compiled(bare, batch)}
    if config.augment.policy:
        config.augment.p = 0.5
        turns["augmented"] = compiled(config, batch)
    if FLAGS.against:
        import torch_steps
        import torch_stylegan2_turns as theirs

        for mode in MODES:
            turns[f"torch_{mode}"] = {
                turn: repeated(work, torch_steps.wait)
                for turn, work in theirs.make_turns(bare, batch, mode).items()
            }
    times = {
        turn: measure.interleave(
            {who: runs[turn] for who, runs in turns.items()}, FLAGS.rounds, FLAGS.seconds
        )
        for turn in NAMES
    }
    for turn, found in times.items():
        for who, t in found.items():
            low, high, figure = t.low * 1e3, t.high * 1e3, f"{turn}_turn"
            more = {"of": who, "low": low, "high": high, "rounds": FLAGS.rounds}
            report(about, figure, t.median * 1e3, "ms", every=every[turn], **more)
    kimg = {
        who: sum(times[turn][who].median / every[turn] for turn in NAMES)
        * 1000
        / config.train.batch_size
        for who in turns
    }
    for who, seconds in kimg.items():
        report(about, "seconds_per_kimg", seconds, "s", of=who)
    loading = load(config) * 1000
    report(about, "input_seconds_per_kimg", loading, "s", of="ours")
    if FLAGS.against:
        best = min((who for who in kimg if who.startswith("torch")), key=lambda who: kimg[who])
        report(about, "ratio_to_best_torch", kimg[best] / kimg["ours"], "1", best=best)


def compiled(config: ConfigDict, batch: Mapping) -> dict[str, Run]:
    """Return each turn as the trainer compiles it, on one state."""
    recipe = recipes.build(config, sharding.axis_name(config.parallel))
    devices = sharding.spread(config.parallel)
    key = jax.random.key(config.seed)
    state, done = devices.place(jax.jit(recipe.init)(key)), 0
    placed = devices.shard(dict(batch), 0)
    assert recipe.turns is not None  # All are due at the first step.
    programs = [devices.compile(t).lower(state, placed, key).compile() for t in recipe.turns(0)]

    def runs(program) -> Run:
        def run(count: int) -> None:
            nonlocal state, done
            for _ in range(count):
                done += 1
                state, metrics = program(state, placed, jax.random.fold_in(key, done))
            jax.block_until_ready((state, metrics))

        run(1)
        return run

    return {name: runs(program) for name, program in zip(NAMES, programs, strict=True)}


def repeated(work, wait) -> Run:
    def run(count: int) -> None:
        for _ in range(count):
            last = work()
        wait(last)

    run(1)
    return run


def load(config: ConfigDict) -> float:
    """Return seconds an image from a source in memory."""
    source, size = loader.in_memory(ToySource(config.data.resolution, count=200)), 64
    batches = loader.make_batches(source, batch_size=size, seed=0, flip=config.data.flip)
    next(batches)
    begin = time.perf_counter()
    for _ in range(100):
        next(batches)
    return (time.perf_counter() - begin) / (100 * size)


if __name__ == "__main__":
    command.run(main)
