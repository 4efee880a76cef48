"""The benchmarks' PyTorch side does the same work as ours."""

import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import torch

from jaxgan import recipes
from jaxgan.config import loading as configs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def nets(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import torch_nets

    return torch_nets


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import torch_steps

    return torch_steps


def count(module):
    return sum(p.numel() for p in module.parameters())


def ours(config):
    state = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    return {
        name: sum(math.prod(x.shape) for x in jax.tree.leaves(net.params))
        for name, net in vars(state).items()
        if hasattr(net, "params")
    }


@pytest.mark.parametrize("resolution", [16, 64, 512])
def test_wgan_has_as_many_weights(nets, resolution):
    config = configs.load(str(ROOT / "configs/wgan512.py"))
    config.data.resolution = resolution
    want = ours(config)
    generator = nets.generator(resolution, config.model.latent_dim, config.model.channels)
    assert count(generator) == want["generator"]
    assert count(nets.critic(resolution, config.model.channels)) == want["critic"]


@pytest.mark.parametrize(("width", "aux_heads"), [(1.0, True), (0.25, False), (0.3, True)])
def test_googlenet_has_as_many_weights(nets, width, aux_heads):
    config = configs.load(str(ROOT / "configs/googlenet.py"))
    config.model.update({"num_classes": 3, "width": width, "aux_heads": aux_heads})
    assert count(nets.GoogLeNet(3, aux_heads, width)) == ours(config)["net"]


def test_the_penalty_of_a_linear_critic(steps):
    weights = torch.randn(3, 8, 8, requires_grad=True)
    real, fake = torch.randn(2, 4, 3, 8, 8)
    critic = lambda x: (x * weights).sum((1, 2, 3))  # noqa: E731
    found = steps.penalty(critic, real, fake, torch.rand(4, 1, 1, 1))
    assert found.item() == pytest.approx((weights.norm().item() - 1) ** 2, rel=1e-5)
    found.backward()
    want = 2 * (weights.norm() - 1) * weights / weights.norm()
    np.testing.assert_allclose(weights.grad, want.detach(), rtol=1e-4)


def run(script, *arguments):
    """The figures of a config's twin."""
    quick = ("--test_config", "--rounds=1", "--seconds=0")
    done = subprocess.run(
        [sys.executable, f"benchmarks/{script}.py", *arguments, *quick],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("name", ["wgan512", "googlenet"])
def test_side_by_side(name):
    modes = ("--against=torch", "--torch_modes=eager,channels_last")
    lines = run("step", f"--config=configs/{name}.py", *modes)
    figures = {line["figure"]: line["value"] for line in lines}
    best = max(figures["torch_eager"], figures["torch_channels_last"])
    ratio = figures["images_per_second"] / best
    assert figures["ratio_to_best_torch"] == pytest.approx(ratio, rel=1e-2)
    assert all(line["torch"] == torch.__version__ for line in lines)
    # XLA counts elementwise work, too, and PyTorch the products with padding.
    assert 0.5 < figures["flops_per_step"] / figures["torch_flops_per_step"] < 2


def test_contenders_take_turns():
    config = ("--config=configs/wgan128.py", "--config.data.resolution=16")
    step, overhead = run("scaling", *config, "--devices=2")
    assert step["figure"] == "ms_per_step" and step["devices"] == 2 and step["value"] > 0
    assert overhead["figure"] == "overhead" and overhead["value"] == 1


def test_stylegan2_side_by_side(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import torch_stylegan2 as theirs

    from jaxgan.models.stylegan2 import widths

    config = configs.load(str(ROOT / "configs/stylegan2_ada64.py:small"))
    model = config.model
    sizes = widths(64, model.channel_base, model.channel_max)
    mapped = model.latent_dim, model.w_dim, model.mapping_layers
    assert {
        "generator": count(theirs.Generator(sizes, *mapped, model.clamp)),
        "critic": count(theirs.Discriminator(sizes, model.clamp)),
    } == ours(config)

    lines = run("stylegan2", "--config=configs/stylegan2_ada128.py", "--against=torch")
    turns = {(x["of"], x["figure"]): x for x in lines if x["figure"].endswith("_turn")}
    kimg = {x["of"]: x["value"] for x in lines if x["figure"] == "seconds_per_kimg"}
    assert set(kimg) == {"ours", "augmented", "torch_eager", "torch_channels_last"}
    for who, seconds in kimg.items():
        mine = [x["value"] / x["every"] for (of, _), x in turns.items() if of == who]
        assert len(mine) == 4
        assert seconds == pytest.approx(sum(mine) / lines[0]["batch_size"], rel=1e-2)
    ratio = min(kimg["torch_eager"], kimg["torch_channels_last"]) / kimg["ours"]
    assert lines[-1]["value"] == pytest.approx(ratio, rel=1e-2)
