"""One device, and eight in every way to use them, do the same, in every leaf of the state."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CASES = {
    "wgan": ("wgan512", {}),
    "wgan, fresh batches, microbatches": (
        "wgan512",
        {"train.same_batch": False, "train.microbatch": 8},
    ),
    "dcgan": ("meowgan64", {}),  # With batch normalisation of both, dropout and noise.
    "drifting": (
        "drifted64",
        {"train.positives": 16, "model.conditional": True, "data.classes": ("cat", "dog")},
    ),
    "stylegan2": ("stylegan2_ada128", {"augment.p": 0.6}),  # Lazy terms in every step.
    "googlenet": ("googlenet", {"data.resolution": 64}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_number_of_devices_changes_nothing(case: str) -> None:
    config, overrides = CASES[case]
    modes = ["jit", "pmap", *(("zero", "fsdp") if case == "wgan" else ())]
    file = str(HERE.parents[1] / "configs" / f"{config}.py")
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / "eight_devices.py"),
            file,
            json.dumps(overrides),
            ",".join(modes),
        ],
        env=os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == set(modes)
    for mode in found:
        leaves = found[mode]["differences"]
        worst = max(leaves, key=leaves.__getitem__)
        assert leaves[worst] < 1e-4, (mode, worst, leaves[worst])
        if config != "googlenet":  # The gradients stand in the state, of both players.
            assert sum("opt_state" in name for name in leaves) > 3 * 6
    # Under pmap each device has its part and no more; under jit the compiler shares out. Where the
    # state is shared out, too, it repeats some of the work of nets as small as these.
    for mode, most in {"jit": 1.2, "zero": 2, "fsdp": 2}.items():
        assert mode not in modes or found[mode]["flops"] < most * found["pmap"]["flops"]
    if "fsdp" in modes:  # Numbers that a device keeps.
        assert found["fsdp"]["state"] < found["zero"]["state"] < found["jit"]["state"]
