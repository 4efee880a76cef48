"""Warm starts between tiny runs that were not trained at all."""

from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from jaxgan import recipes
from jaxgan.config import loading as configs
from jaxgan.engine.checkpoint import Checkpoints
from jaxgan.types import InputError
from jaxgan.weights import init_from

ROOT = Path(__file__).parents[2]


def twin(name: str, **changes: object) -> ConfigDict:
    config = configs.load(str(ROOT / "configs" / f"{name}.py"), test=True)
    config.update_from_flattened_dict(changes)
    if name == "googlenet":
        config.model.num_classes = 2
    return config


def fresh(config: ConfigDict, seed: int):
    """Numbers of the right shapes: to compile the real ones takes seconds."""
    rng = np.random.default_rng(seed)
    abstract = jax.eval_shape(recipes.build(config).init, jax.random.key(0))
    draw = lambda x: rng.normal(size=x.shape).astype(x.dtype)  # noqa: E731
    return jax.tree.map(lambda x: jax.numpy.asarray(draw(x)), abstract)


def check(config):
    return init_from.check(config.init_from, config.model.name, recipes.build(config))


def begin(config, log):
    return init_from.start(config.init_from, config.model.name, recipes.build(config), log)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of MeowGAN's twin at 16 px, with its checkpoint of step 3."""
    folder = tmp_path_factory.mktemp("run")
    config = twin("meowgan64")
    state = fresh(config, 1)
    configs.claim(folder, config)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(3, state, {}, {})
    return folder, jax.device_get(state)


def test_all_of_an_equal_net_is_taken_and_the_optimiser_begins_anew(run) -> None:
    folder, there = run
    config, told = twin("meowgan64", init_from=str(folder)), []
    mine = fresh(config, 2)
    begun = begin(config, told.append)(mine)
    for got, want in (
        (begun.generator.variables, there.generator.variables),
        (begun.critic.variables, there.critic.variables),
        (begun.ema, there.ema),
    ):
        jax.tree.map(np.testing.assert_array_equal, got, want)
    jax.tree.map(np.testing.assert_array_equal, begun.critic.opt_state, mine.critic.opt_state)
    assert len(told) == 3 and all("step 3" in line and "anew" not in line for line in told)


def test_a_larger_resolution_takes_the_layers_that_agree(run) -> None:
    folder, there = run
    config, told = twin("meowgan64", **{"data.resolution": 32, "init_from": str(folder)}), []
    mine = fresh(config, 2)
    begun = begin(config, told.append)(mine)
    params, ours, theirs = (s.generator.params for s in (begun, mine, there))
    for layer in ("conv4", "norm4", "conv8", "norm8"):
        jax.tree.map(np.testing.assert_array_equal, params[layer], theirs[layer])
    for layer in ("conv16", "norm16", "conv32"):  # 16 px is where the smaller one ends.
        jax.tree.map(np.testing.assert_array_equal, params[layer], ours[layer])
    assert "conv16/kernel" in told[0] and "conv8" not in told[0].partition("anew")[2]


def test_bad_starts_are_refused(run, tmp_path: Path) -> None:
    folder, _ = run
    with pytest.raises(InputError, match=r"config\.init_from must be the folder of a run, got"):
        check(twin("meowgan64", init_from=str(tmp_path / "nowhere")))
    with pytest.raises(InputError, match=r"same kind of model, wgan, got .* of dcgan"):
        check(twin("wgan512", init_from=str(folder)))
    changes = {"model.channels": 16, "model.latent_dim": 5, "init_from": str(folder)}
    other = twin("meowgan64", **changes)
    with pytest.raises(InputError, match="something that fits the generator"):
        check(other)
    configs.claim(tmp_path, twin("meowgan64"))
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="must hold a checkpoint"):
        begin(twin("meowgan64", init_from=str(tmp_path)), print)
