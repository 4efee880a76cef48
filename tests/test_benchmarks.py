"""The benchmarks print what they promise; how fast it is, no test can say."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxgan.engine import sharding

ROOT = Path(__file__).parents[1]
ABOUT = {"config", "overrides", "resolution", "batch_size", "precision", "device", "jax", "date"}
QUICK = ("--test_config", "--rounds=1", "--seconds=0", "--config.data.resolution=16")


def call(script: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, f"benchmarks/{script}.py", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        env=os.environ | {"XLA_FLAGS": ""},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def figures(script: str, *arguments: str) -> list[dict]:
    lines = [json.loads(line) for line in call(script, *arguments).stdout.splitlines()]
    for line in lines:
        assert {"figure", "value", "unit"} | ABOUT <= line.keys(), line
        assert line["value"] > 0, line
    return lines


@pytest.mark.slow
def test_a_step() -> None:
    config = ("--config=configs/wgan_pets.py", "--config.train.batch_size=6")
    lines = figures("step", *config, *QUICK, "--kernels=2")
    by_name = {line["figure"]: line["value"] for line in lines}
    assert {line["batch_size"] for line in lines} == {6}
    # Two critic turns, each with a batch of its own.
    rate = 2 * 6 / by_name["ms_per_step"] * 1e3
    assert by_name["images_per_second"] == pytest.approx(rate, rel=1e-2)
    spent = by_name["matmul_peak"] * 1e9 * by_name["ms_per_step"] / 1e3
    share = by_name["flops_per_step"] / spent
    assert by_name["share_of_matmul_peak"] == pytest.approx(share, rel=1e-2)
    assert {"trace_seconds", "lower_seconds", "compile_seconds", "peak_memory"} <= by_name.keys()
    kernels = [line for line in lines if line["figure"] == "kernel"]
    assert [kernel["rank"] for kernel in kernels] == [1, 2]
    assert kernels[0]["value"] >= kernels[1]["value"] and kernels[0]["name"]


@pytest.mark.slow
def test_an_experiment_has_stages() -> None:
    error = call("step", "--config=configs/quickstart.py", code=1).stderr
    assert "--stage must be given" in error and len(error.splitlines()) == 1


LOOP = """
%body (x: (s32[], f32[8])) -> (s32[], f32[8]) {
  %inside = f32[8] add(%x, %x)
}
%condition (x: (s32[], f32[8])) -> pred[] {
  %limit = s32[]{:T(128)} constant(5)
  ROOT %lt = pred[] compare(%i, %limit), direction=LT
}
ENTRY %main (x: (s32[], f32[8])) -> f32[8] {
  %loop = (s32[], f32[8]) while(%x), condition=%condition, body=%body
  %outside = f32[8] add(%loop, %loop)
}
"""


def test_a_loop_counts_as_often_as_it_turns() -> None:
    """By the limit of its condition, where the compiler names no number."""
    count = "import aot, sys; print(dict(aot.lines_by_turns(sys.argv[1])))"
    folder = ROOT / "benchmarks"
    done = subprocess.run(
        [sys.executable, "-c", count, LOOP], cwd=folder, capture_output=True, text=True, check=True
    )
    assert "add(%x, %x)': 5" in done.stdout and "add(%loop, %loop)': 1" in done.stdout


@pytest.mark.slow
def test_losses_of_both_precisions(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    call("precision", "--configs=resnet", "--steps=10", "--seeds=2", "--images=16", f"--out={out}")
    (row,) = map(json.loads, out.read_text().splitlines())
    assert row["loss"] == "loss" and row["steps"] == 10 and row["seeds"] == 2
    assert row["float32"] == pytest.approx(row["bf16"], rel=0.05)
    assert row["float32"] != row["bf16"] and row["spread"] > 0 and 0 <= row["p"] <= 1


def test_flops_are_those_of_all_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a device's program says: of the whole batch, which the devices share."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    measure = importlib.import_module("measure")
    x, w = np.ones((64, 32), np.float32), jnp.ones((32, 16))
    for mode in ("jit", "pmap"):
        devices = sharding.spread(mode)
        step = devices.compile(lambda s, b, k: (s, {"out": (b["x"] @ s["w"]).sum()}))
        state, batch = devices.place({"w": w}), devices.shard({"x": x}, 0)
        compiled = step.lower(state, batch, jax.random.key(0)).compile()
        flops = measure.count_flops(ConfigDict(), compiled)
        assert flops == pytest.approx(2 * 64 * 32 * 16, rel=0.1), mode
