"""The dog+cat predecessor of the 512 px system: one WGAN-GP a class; argument cat or dog.

    python scripts/train.py --config configs/wgan_pets.py:dog --config.data.path=DIR

Its first stage is 128 px; --config.data.resolution=512 is its second.

Cost: 80 epochs at batch 128.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

WGAN512 = Path(__file__).with_name("wgan512.py")


def get_config(name: str = "cat") -> ConfigDict:
    config = load(f"{WGAN512}:{name}")
    config.data.resolution = 128
    config.optim.generator.learning_rate = 3.5e-4
    config.optim.critic.learning_rate = 1e-4
    config.train.epochs = 80.0
    config.train.batch_size = 128
    return config


def get_test_config(name: str = "cat") -> ConfigDict:
    config = load(f"{WGAN512}:{name}", test=True)
    config.train.same_batch = False
    return config
