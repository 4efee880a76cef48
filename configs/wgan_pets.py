"""The dog+cat predecessor of the 512 px system: a WGAN-GP a class; cat, dog, cat512 or dog512.

    python scripts/train.py --config configs/wgan_pets.py:dog --config.data.path=DIR

Without a size it is the first stage, 128 px. The second may begin with the first one's weights:
--config configs/wgan_pets.py:dog512 --config.init_from=runs/wgan_pets_dog

Cost: 14,424,960 + 11,164,544 parameters at 128 px, 80 epochs at batch 128.
Result: not yet run at this size.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgan.config import load

WGAN512 = Path(__file__).with_name("wgan512.py")


def get_config(name: str = "cat") -> ConfigDict:
    config = load(f"{WGAN512}:{name.removesuffix('512')}")
    config.data.resolution = 512 if name.endswith("512") else 128
    config.optim.generator.learning_rate = 3.5e-4
    config.optim.critic.learning_rate = 1e-4
    config.train.epochs = 80.0
    config.train.batch_size = 128
    return config


def get_test_config(name: str = "cat") -> ConfigDict:
    config = load(f"{WGAN512}:{name.removesuffix('512')}", test=True)
    config.train.same_batch = False
    return config
