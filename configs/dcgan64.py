"""The DCGAN of Deep-learning-with-cats: h = 128 at 64 px, the discriminator four times slower.

    python scripts/train.py --config configs/dcgan64.py --config.data.path=DIR

Any power-of-two size: --config.data.resolution=128 --config.model.channels=2048 keeps h.

Cost: 12,658,432 + 11,036,160 parameters, 100 epochs at batch 64 (its README gives no number).
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

DCGAN64_PAPER = str(Path(__file__).with_name("dcgan64_paper.py"))


def get_config() -> ConfigDict:
    config = load(DCGAN64_PAPER)
    config.model.channels = 1024
    config.optim.critic.learning_rate = 5e-5
    config.train.batch_size = 64
    return config


def get_test_config() -> ConfigDict:
    config = load(DCGAN64_PAPER, test=True)
    config.optim.critic.learning_rate = 5e-5
    return config
