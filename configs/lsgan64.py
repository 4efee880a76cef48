"""The LSGAN of Deep-learning-with-cats: least squares with targets 0, 1 and 1.

    python scripts/train.py --config configs/lsgan64.py --config.data.path=DIR

Cost: 12,658,432 + 11,036,160 parameters, 100 epochs at batch 64.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DCGAN64 = str(Path(__file__).with_name("dcgan64.py"))


def get_config() -> ConfigDict:
    config = load(DCGAN64)
    config.loss.name = "least_squares"
    config.optim.generator.learning_rate = config.optim.critic.learning_rate = 1e-4
    return config


def get_test_config() -> ConfigDict:
    config = load(DCGAN64, test=True)
    config.loss.name = "least_squares"
    return config
