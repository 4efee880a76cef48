"""Every training config's twin: two steps, an exact resume, samples or predictions."""

from pathlib import Path

import jax
import numpy as np
import pytest

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.engine import sharding
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.evaluation.classifier import evaluate_classifier
from jaxgan.sampling import sample
from jaxgan.training import run

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*.py"))
TRAINING = [f for f in CONFIGS if not configs.is_experiment(configs.load(str(f)))]
TRAINING = [f for f in TRAINING if f.stem != "pca64"]  # Which trains nothing: see test_pca.py.


def twin(file: Path):
    config = configs.load(str(file), test=True)
    config.data.limit = 12
    return config


def last_state(workdir: Path):
    config = configs.read_claim(workdir)
    abstract = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    with Checkpoints(workdir, run.BEST) as checkpoints:
        restored = checkpoints.restore(abstract)
    return restored.step, restored.state


@pytest.mark.parametrize("file", TRAINING, ids=lambda f: f.stem)
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
        pictures = list(sample.pictures(sampler, range(3), 2))
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
