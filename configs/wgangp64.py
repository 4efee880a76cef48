"""The WGAN-GP of Deep-learning-with-cats, on DCGAN's nets: no normalisation in the critic.

    python scripts/train.py --config configs/wgangp64.py --config.data.path=DIR

Cost: 12,658,432 + 11,032,576 parameters, 100 epochs at batch 64, 5 critic turns a step.
Result: not yet run at this size. At an eighth of the width (--config.model.channels=128), batch 32
and both rates 4e-4 on 20,373 cat faces (2026-11): fog after 900 steps; after 3,000 most samples
have eyes, and about half are clearly cats, ears and markings included; diversity 0.85 to 0.98.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DCGAN64 = str(Path(__file__).with_name("dcgan64.py"))


def get_config() -> ConfigDict:
    config = load(DCGAN64)
    config.model.norm = False
    config.loss.name = "wasserstein"
    config.loss.gradient_penalty = 10.0
    for player in (config.optim.generator, config.optim.critic):
        player.learning_rate, player.b1, player.b2 = 1e-4, 0.0, 0.9
    config.train.n_critic = 5
    config.train.same_batch = False
    return config


def get_test_config() -> ConfigDict:
    config = load(DCGAN64, test=True)
    full = get_config()
    config.model.norm = False
    config.loss, config.optim = full.loss, full.optim
    config.train.n_critic, config.train.same_batch = 2, False
    return config
