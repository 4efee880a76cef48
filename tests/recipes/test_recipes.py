"""Training configs: their shapes, and of each path through the code an exact resume and samples."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.config.typed import parse
from jaxgan.engine import sharding
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.evaluation.classifier import evaluate_classifier
from jaxgan.sampling import sample
from jaxgan.training import run

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.py"))
TRAINING = [f for f in CONFIGS if not configs.is_experiment(configs.load(str(f)))]
TRAINING = [f for f in TRAINING if f.stem != "pca64"]  # Which trains nothing: see test_pca.py.


def twin(file: Path) -> ConfigDict:
    config = configs.load(str(file), test=True)
    config.data.limit = 12
    return config


def path_through_the_code(config: ConfigDict) -> str:
    """Return what chooses the code: names, switches, and of numbers whether they are 0 or 1."""

    def kind(value: object) -> object:
        if isinstance(value, tuple):
            return [kind(part) for part in value]
        is_amount = isinstance(value, int | float) and value not in (0, 1)
        return "amount" if is_amount else value

    sections = {name: value for name, value in config.to_dict().items() if name != "seed"}
    return repr(jax.tree.map(kind, sections, is_leaf=lambda x: not isinstance(x, dict)))


# One config of each path, and of those the light ones in `make test`.
DISTINCT = list({path_through_the_code(twin(file)): file for file in reversed(TRAINING)}.values())
DISTINCT.sort()
LIGHT = ("dcgan64", "vgg16_small", "wgan128")


def shapes(tree: Any) -> Any:
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


@pytest.mark.parametrize("file", DISTINCT, ids=lambda f: f.stem)
def test_a_step_keeps_all_shapes(file: Path) -> None:
    """Those of the twin; nothing is compiled. And samples take the weights that are averaged."""
    config = twin(file)
    is_gan = config.model.name in configs.GANS
    if not is_gan:
        config.model.num_classes = 2
    recipe, key = recipes.build(config), jax.random.key(0)
    state = jax.eval_shape(recipe.init, key)
    if is_gan:
        assert shapes(recipes.abstract_ema(parse(config))) == shapes(state.ema)
    size, count = config.data.resolution, config.train.batch_size
    lead = (count,) if config.train.get("same_batch", True) else (config.train.n_critic, count)
    batch = {
        "image": jax.ShapeDtypeStruct((*lead, size, size, 3), np.uint8),
        "label": jax.ShapeDtypeStruct(lead, np.int32),
    }
    after, metrics = jax.eval_shape(recipe.step, state, batch, key)
    assert shapes(after) == shapes(state)
    assert metrics and all(m.shape == () and m.dtype == np.float32 for m in metrics.values())


@pytest.mark.parametrize("file", TRAINING, ids=lambda f: f.stem)
def test_at_its_own_size_all_weights_are_float32(file: Path) -> None:
    config = configs.load(str(file))
    if "num_classes" in config.model:
        config.model.num_classes = 2
    if "backbone" in config.model:
        config.model.backbone = "random"  # The published weights may be missing.
    state = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    nets = (state.generator, state.critic) if config.model.name in configs.GANS else (state.net,)
    weights = [net.params for net in nets]  # None in the critic of a drifting model.
    assert {x.dtype for x in jax.tree.leaves(weights)} == {np.dtype("float32")}
    if config.model.name in configs.GANS:
        assert shapes(recipes.abstract_ema(parse(config))) == shapes(state.ema)


def last_state(workdir: Path):
    config = configs.read_claim(workdir)
    abstract = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    with Checkpoints(workdir, run.BEST) as checkpoints:
        restored = checkpoints.restore(abstract)
    return restored.step, restored.state


@pytest.mark.parametrize(
    "file",
    [pytest.param(f, marks=() if f.stem in LIGHT else pytest.mark.slow) for f in DISTINCT],
    ids=lambda f: f.stem,
)
def test_trains_and_resumes_to_the_same_bits(file: Path, tmp_path: Path) -> None:
    run.run(twin(file), tmp_path / "whole")
    parts = twin(file)
    parts.train.steps = 1
    run.run(parts, tmp_path / "parts")
    run.run(twin(file), tmp_path / "parts")
    (step, whole), (again, resumed) = (last_state(tmp_path / n) for n in ("whole", "parts"))
    assert step == again == 2
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)

    config = configs.read_claim(tmp_path / "whole")
    if config.model.name in configs.GANS:
        sampler = sample.restore(tmp_path / "whole")
        pictures = list(sample.images(sampler, range(3), 2))
        size = config.data.resolution
        assert np.stack(pictures).shape == (3, size, size, 3)
        assert (tmp_path / "whole" / "samples" / "0000002.png").exists()
        # Each turn once, however many steps it has.
        told = (tmp_path / "whole" / "log.txt").read_text().count("the step was compiled")
        assert told == 4 if config.model.name == "stylegan2" else told in (1, 2)
    else:
        summary = evaluate_classifier(tmp_path / "whole", "toy", "test")
        assert summary["accuracy"]["pictures"] > 0
    for name in ("config.json", "run.json", "metrics.jsonl", "log.txt", "parameters.txt"):
        assert (tmp_path / "whole" / name).exists(), name


def test_bf16_keeps_float32_weights() -> None:
    config = twin(CONFIGS[0].with_name("wgan512.py"))
    config.precision = "bf16"
    recipe = recipes.build(config)
    abstract = jax.eval_shape(recipe.init, jax.random.key(0))
    size = config.data.resolution
    batch = {"image": jax.ShapeDtypeStruct((4, size, size, 3), np.uint8)}
    after, metrics = jax.eval_shape(recipe.step, abstract, batch, jax.random.key(0))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
        lambda x: (x.shape, x.dtype), abstract
    )
    assert all(m.dtype == np.float32 for m in metrics.values())


@pytest.mark.slow
def test_a_checkpoint_moves_to_another_number_of_devices(tmp_path: Path, monkeypatch) -> None:
    """Saved by two devices, it goes on on one, and back."""
    file = CONFIGS[0].with_name("wgan512.py")
    config = twin(file)
    config.train.steps = 1
    run.run(config, tmp_path)
    one = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda *args: one)
    sharding._jit.cache_clear()
    run.run(twin(file), tmp_path)
    sharding._jit.cache_clear()
    assert last_state(tmp_path)[0] == 2
