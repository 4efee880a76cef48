"""The WGAN of Deep-learning-with-cats: clipped weights, RMSprop, 5 critic turns, at times 100.

    python scripts/train.py --config configs/wgan64.py --config.data.path=DIR

The critic has 100 turns in the first 25 steps and in every 500th.

Cost: 12,658,432 + 11,036,160 parameters, 100 epochs at batch 64.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DCGAN64 = str(Path(__file__).with_name("dcgan64.py"))


def get_config() -> ConfigDict:
    config = load(DCGAN64)
    config.loss.name = "wasserstein"
    for player in (config.optim.generator, config.optim.critic):
        player.name, player.learning_rate, player.b2 = "rmsprop", 5e-5, 0.99
    config.optim.critic.clip = 0.01
    config.train.n_critic = 5
    config.train.same_batch = False
    config.train.boost.first, config.train.boost.every = 25, 500
    return config


def get_test_config() -> ConfigDict:
    config = load(DCGAN64, test=True)
    full = get_config()
    config.loss, config.optim = full.loss, full.optim
    config.train.n_critic, config.train.same_batch = 2, False
    config.train.boost.n_critic, config.train.boost.first = 4, 1
    return config
