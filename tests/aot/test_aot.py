"""One small program of each kind compiles for TPUs that are not here (`make aot-test`)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def rows(tmp_path: Path, *arguments: str, code: int = 0) -> list[dict]:
    out = tmp_path / "rows.jsonl"
    done = subprocess.run(
        [sys.executable, "benchmarks/aot.py", f"--out={out}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"XLA_FLAGS": ""},
    )
    assert done.returncode == code, done.stdout + done.stderr
    if code:
        return [{"error": done.stderr}]
    return [json.loads(line) for line in out.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan64_paper", "stylegan2_ada64", "resnet"])
@pytest.mark.parametrize(("target", "mode"), [("v5e-1", "jit"), ("v5e-4", "pmap")])
def test_a_step_compiles_for_tpus(tmp_path, name, target, mode) -> None:
    asked = (f"--configs={name}", f"--targets={target}", f"--modes={mode}")
    for row in rows(tmp_path, *asked, "--test_config", "--batch_size=8"):
        assert "error" not in row, row
        assert row["fits"] and row["estimated_ms"] > 0 and row["gflop"] > 0
        assert row["aliased"] == row["state_arrays"] > 0
        assert not row["float64"] and not row["callbacks"]
        assert (row["reduced_mib"] > 0) == (target != "v5e-1"), row


@pytest.mark.slow
def test_bfloat16_halves_what_devices_exchange(tmp_path) -> None:
    asked = ("--configs=resnet", "--targets=v5e-4", "--modes=pmap,pmap-bf16", "--quick")
    whole, half = rows(tmp_path, *asked, "--test_config", "--batch_size=8")
    assert 0.5 <= half["reduced_mib"] / whole["reduced_mib"] < 0.55  # Metrics and statistics stay.
    assert whole["estimated_ms"] is None  # Of the least effort, which says nothing of speed.


def test_bad_modes_are_a_sentence(tmp_path) -> None:
    (row,) = rows(tmp_path, "--configs=resnet", "--modes=pmap-int8", code=1)
    assert "--modes must be of jit, pmap, pmap-bf16, got 'pmap-int8'" in row["error"]


def test_bad_targets_are_a_sentence(tmp_path) -> None:
    for target in ("v9-1", "v5e-3", "v5e-", "h100-x"):
        (row,) = rows(tmp_path, "--configs=resnet", f"--targets={target}", code=1)
        assert "--targets must be of v4-1" in row["error"] and len(row["error"].splitlines()) == 1
